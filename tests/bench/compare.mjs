// Two builds, the same measurements, alternating, so that what else the machine does hits both.
//   node tests/bench/compare.mjs OTHER_BUILD_DIR [--rounds 3] [tailer] [fanout] [latency]
// Prints for each figure the median of both and the ratio this / other.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const args = process.argv.slice(2)
const option = (name, fallback) => { const at = args.indexOf(name); return at < 0 ? fallback : args.splice(at, 2)[1] }
const rounds = Number(option('--rounds', '3'))
const other = args.shift()
if (!other) { console.error('usage: compare.mjs OTHER_BUILD_DIR [--rounds N] [tailer] [fanout] [latency]'); process.exit(2) }
const parts = args.length > 0 ? args : ['tailer', 'fanout', 'latency']
const mine = process.env.PGTIDE_TEST_BUILD_DIR ?? new URL('../../build/release', import.meta.url).pathname
// Each build by its own checkout's script and deploy/up: an older one does not know today's options.
const scriptOf = build => [join(build, '../../tests/bench/run.mjs'), new URL('run.mjs', import.meta.url).pathname].find(existsSync)

// Every number of a result by the path to it: fanout.2.frames_per_s.
function figures(value, path, out) {
  if (typeof value === 'number') (out[path] ??= []).push(value)
  else if (value && typeof value === 'object') for (const [key, each] of Object.entries(value)) figures(each, `${path}.${key}`, out)
}

async function measure(build, part, out) {
  const { stdout } = await run(process.execPath, [scriptOf(build), part], { env: { ...process.env, PGTIDE_TEST_BUILD_DIR: build }, maxBuffer: 1 << 24 })
  const json = stdout.slice(stdout.indexOf(':') + 1, stdout.lastIndexOf('machine:'))
  let result = JSON.parse(json)
  if (part === 'tailer') result = result.reduce((all, each) => { for (const key in each) (all[key] ??= []).push(each[key]); return all }, {})
  figures(result, part, out)
}

const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]
const [a, b] = [{}, {}]
for (let n = 0; n < rounds; n++) {
  for (const part of parts) {
    await measure(n % 2 ? mine : other, part, n % 2 ? a : b)
    await measure(n % 2 ? other : mine, part, n % 2 ? b : a)
  }
}
for (const name of Object.keys(a)) {
  const [now, then] = [median(a[name]), median(b[name] ?? [NaN])]
  console.log(`${name}: ${now} against ${then}, ratio ${(now / then).toFixed(3)}`)
}
