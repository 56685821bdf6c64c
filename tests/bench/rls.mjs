// What a compiled policy costs from end to end: a table without row-level security against the same with an owner policy, the two
// alternating in one system. See README.md here.
//   node tests/bench/rls.mjs [--rounds 5] [--rows 200000]      (build/release)
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, bin } = await import('../integration/lib/system.mjs')
const { user } = await import('../integration/lib/token.mjs')

const option = (name, fallback) => { const at = process.argv.indexOf(name); return at < 0 ? fallback : Number(process.argv[at + 1]) }
const rounds = option('--rounds', 5)
const rows = option('--rows', 200_000)
const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]
const uuid = n => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const scratch = mkdtempSync(join(tmpdir(), 'pgtide-rls-'))

// Clients of bench_clients.c, each an identity of its own; `counted` resolves to its JSON.
async function clients(system, count, table, expect) {
  const file = join(scratch, `${table}-${count}`)
  writeFileSync(file, Array.from({ length: count }, (_, n) => user(system, { sub: uuid(n) }) + '\n').join(''))
  const child = spawn(bin('bench-clients'), [system.port, count, `table:public.${table}`, expect, 120, `@${file}`].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = (await lines.next()).value
  if (ready !== 'ready') throw new Error(`bench-clients: ${ready}`)
  return lines
}

const cpuSeconds = (system, name) => {
  const fields = readFileSync(`/proc/${system.pid(name)}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

let next = 1
// `owners` identities watch; a row is of one of them. Of a table without policies one client sees all.
async function throughput(system, table, owners) {
  const watching = table === 'plain' ? 1 : owners
  const lines = await clients(system, watching, table, rows / watching)
  const broker = cpuSeconds(system, 'broker-0')
  await system.sql(`insert into ${table} select g, ('00000000-0000-4000-8000-' || lpad((g % ${owners})::text, 12, '0'))::uuid, repeat('x', 80), g % 100, now()
    from generate_series(${next}, ${next + rows - 1}) g`)
  next += rows
  const counted = JSON.parse((await lines.next()).value)
  if (counted.frames !== rows || counted.lost > 0) throw new Error(`${table}: ${JSON.stringify(counted)}`)
  return { rate: counted.frames_per_second, broker: (cpuSeconds(system, 'broker-0') - broker) / rows * 1e6 }
}

async function latency(system, table) {
  const count = 3000
  const lines = await clients(system, 1, table, count)
  await system.session(async db => {
    const started = performance.now()
    for (let n = 0; n < count; n++) {
      const wait = started + n - performance.now()
      if (wait > 1) await new Promise(wake => setTimeout(wake, wait))
      await db.query(`insert into ${table} values (${next++}, '${uuid(0)}', '${'x'.repeat(80)}', 1, now())`)
    }
  })
  const counted = JSON.parse((await lines.next()).value)
  return { p50: counted.p50_us / 1000, p99: counted.p99_us / 1000 }
}

const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0', 'realtime.client_budget=64MiB'] })
try {
  for (const table of ['plain', 'owned']) {
    await system.sql(`create table ${table} (id bigint primary key, owner uuid, v text, level int, at timestamptz);
      grant select on ${table} to authenticated; select enable_realtime('${table}')`)
  }
  await system.sql(`alter table owned enable row level security;
    create policy p on owned for select using (owner = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid)`)
  for (const owners of [1, 1000]) {
    const runs = { plain: [], owned: [] }
    for (let n = 0; n < rounds; n++) {
      for (const table of n % 2 ? ['plain', 'owned'] : ['owned', 'plain']) runs[table].push(await throughput(system, table, owners))
    }
    const rate = table => Math.round(median(runs[table].map(each => each.rate)))
    const broker = table => median(runs[table].map(each => each.broker)).toFixed(2)
    console.log(`${rows} rows, ${owners} owners: ${rate('owned')} frames/s to ${owners} with the policy, ${rate('plain')} to 1 without, ratio ${(rate('owned') / rate('plain')).toFixed(3)}; `
      + `rounds ${runs.owned.map((each, n) => (each.rate / runs.plain[n].rate).toFixed(2)).join(' ')}; broker ${broker('owned')} and ${broker('plain')} us of CPU per row`)
  }
  const found = { plain: [], owned: [] }
  for (let n = 0; n < rounds; n++) for (const table of ['owned', 'plain']) found[table].push(await latency(system, table))
  for (const table of ['owned', 'plain']) {
    console.log(`commit to client at 1,000 rows/s, ${table}: p50 ${median(found[table].map(each => each.p50))} ms, p99 ${median(found[table].map(each => each.p99))} ms`)
  }
} finally {
  await system.stop()
  rmSync(scratch, { recursive: true })
}
console.log(`machine: ${cpus().length} x ${cpus()[0].model}`)
