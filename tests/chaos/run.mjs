#!/usr/bin/env node
// tests/chaos/run.mjs: kills everything, in every order, and counts what clients missed. See docs/reliability.md.
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const HELP = `Usage: tests/chaos/run.mjs [OPTIONS]

  --short             what tests/run does: 3 seeds inside the window, 1 beyond it, about 3 minutes
  --minutes N         long mode: seeds of 5 minutes each until N minutes are over
  --seed N            this seed; may be repeated. Reproduces writers, schedule and clients
  --seeds N           how many seeds, counted up from a random one (default 1)
  --seconds N         of disasters per seed (default 30; 300 with --minutes)
  --beyond-window     tiny windows and long outages: losses happen, and each must be covered by an explicit gap
  --clients N         (default 24)         --tables N    (default 6)
  --shards N          (default 3)          --edges N     (default 2)
  --writers N         (default 4)          --pause MS    between a writer's transactions, at most (default 150)
  --no-standby        without a second tailer
  --no-postgres       PostgreSQL is left alone
  --no-snapshots      no client subscribes with a snapshot
  --no-transactions   none asks for ?transactions=true
  --without WORD      no event whose kind or target begins with it (edge, disconnect, postgres, stall, …); may be repeated
  --build NAME|DIR    asan (default), release, or a build directory
  --set PATH=VALUE    one more option for every process; may be repeated
  --patience MS       for clients to catch up at the end (default 60000)
  --markdown FILE     add the row for docs/reliability.md to this file; - prints it
  --keep              keep the directories; those of failed runs are kept with --keep-failed
  --verbose           say what is done to whom
`
const { values: args } = parseArgs({ options: {
  short: { type: 'boolean' }, minutes: { type: 'string' }, seed: { type: 'string', multiple: true, default: [] }, seeds: { type: 'string' }, seconds: { type: 'string' },
  'beyond-window': { type: 'boolean' }, clients: { type: 'string' }, tables: { type: 'string' }, shards: { type: 'string' }, edges: { type: 'string' }, writers: { type: 'string' },
  pause: { type: 'string' }, 'no-standby': { type: 'boolean' }, 'no-postgres': { type: 'boolean' }, 'no-snapshots': { type: 'boolean' }, 'no-transactions': { type: 'boolean' }, without: { type: 'string', multiple: true, default: [] }, build: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] }, patience: { type: 'string' }, markdown: { type: 'string' }, keep: { type: 'boolean' }, 'keep-failed': { type: 'boolean' },
  verbose: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
if (args.help) { process.stdout.write(HELP); process.exit(0) }

// Before anything of the tests is imported: they read it at once.
const build = args.build ?? process.env.PGTIDE_TEST_BUILD_DIR ?? 'asan'
process.env.PGTIDE_TEST_BUILD_DIR = ['asan', 'release', 'tsan', 'dev'].includes(build) ? join(ROOT, 'build', build) : resolve(build)
process.env.ASAN_OPTIONS ??= 'detect_leaks=1:abort_on_error=0:strict_string_checks=1'
process.env.LSAN_OPTIONS ??= `suppressions=${join(ROOT, 'tests/lsan.supp')}:print_suppressions=0`
process.env.UBSAN_OPTIONS ??= 'print_stacktrace=1'
const { runSeed } = await import('./seed_run.mjs')
const { MARKDOWN_HEAD, markdownRow, printSeed } = await import('./report.mjs')

const number = (name, fallback) => args[name] === undefined ? fallback : Number(args[name])
const base = { clients: number('clients', 24), tables: number('tables', 6), shards: number('shards', 3), edges: number('edges', 2), writerCount: number('writers', 4),
  pause: number('pause', 150), standby: !args['no-standby'], postgres: !args['no-postgres'], snapshots: !args['no-snapshots'], wholeTransactions: !args['no-transactions'], set: args.set, without: args.without, patience: number('patience', 60_000),
  keep: args.keep ?? false, keepFailed: args['keep-failed'] ?? false, verbose: args.verbose ?? false }

// [{seed, seconds, beyondWindow}]
function* plan() {
  const first = args.seed.length > 0 ? null : Number(process.env.PGTIDE_TEST_SEED ?? (args.short ? 1 : Date.now() % 1_000_000))
  const beyondWindow = args['beyond-window'] ?? false
  if (args.short) {
    const seconds = number('seconds', 30)
    for (let n = 0; n < 3; n++) yield { seed: Number(args.seed[n] ?? (first ?? Number(args.seed[0])) + n), seconds, beyondWindow: false }
    yield { seed: (first ?? Number(args.seed[0])) + 3, seconds: Math.min(seconds, 25), beyondWindow: true }
  } else if (args.minutes) {
    const seconds = number('seconds', 300)
    const count = Math.max(1, Math.ceil(Number(args.minutes) * 60 / seconds))
    for (let n = 0; n < count; n++) yield { seed: Number(args.seed[n] ?? (first ?? Number(args.seed[0])) + n), seconds, beyondWindow }
  } else {
    const seeds = args.seed.length > 0 ? args.seed.map(Number) : Array.from({ length: number('seeds', 1) }, (_, n) => first + n)
    for (const seed of seeds) yield { seed, seconds: number('seconds', 30), beyondWindow }
  }
}

const runs = []
let failed = 0
for (const each of plan()) {
  try {
    const run = await runSeed({ ...base, ...each })
    runs.push(run)
    printSeed(run, { perClient: true })
    if (run.wrong.length > 0) failed += 1
  } catch (error) {
    failed += 1
    console.log(`\nseed ${each.seed}: did not finish: ${error.stack}`)
  }
}

for (const beyondWindow of [false, true]) {
  const some = runs.filter(run => run.beyondWindow === beyondWindow)
  if (some.length === 0) continue
  const row = markdownRow(some, { commit: commit(), build: build.split('/').at(-1) })
  if (args.markdown === '-' || args.markdown === undefined) console.log(`\n${MARKDOWN_HEAD}\n${row}`)
  else {
    if (!existsSync(args.markdown)) writeFileSync(args.markdown, `${MARKDOWN_HEAD}\n`)
    appendFileSync(args.markdown, `${row}\n`)
  }
}
console.log(`\n${runs.length} seeds, ${failed} failed`)
process.exit(failed > 0 || runs.length === 0 ? 1 : 0)

function commit() {
  try {
    const dirty = execFileSync('git', ['status', '--porcelain', '-uno'], { cwd: ROOT, encoding: 'utf8' }) === '' ? '' : '+'
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim() + dirty
  } catch {
    return '?'
  }
}
