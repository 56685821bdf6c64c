// What a compiled policy costs from end to end: a table without row-level security against the same with an owner policy, the two
// alternating in one system. See README.md here.
//   node tests/bench/rls.mjs [--cpu] [--rounds 5] [--rows 200000]      (build/release; --cpu: only what frames cost)
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

// From the WAL to the sockets: the walsender and the three tiers, over all of their threads, as the scheduler counts it.
const TIERS = ['walsender', 'tailer', 'broker-0', 'edge-0']
let walsender = 0
const cpuOfTiers = system => TIERS.map(name => {
  const tasks = `/proc/${name === 'walsender' ? walsender : system.pid(name)}/task`
  return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e3, 0)
})

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

// Every row goes to all of `count` clients, of as many identities: microseconds of the tiers' CPU for one delivered frame.
async function cpuPerFrame(system, table, count) {
  const lines = await clients(system, count, table, rows)
  const before = cpuOfTiers(system)
  await system.sql(`insert into ${table} select g, '${uuid(0)}', repeat('x', 80), 1, now() from generate_series(${next}, ${next + rows - 1}) g`)
  next += rows
  const counted = JSON.parse((await lines.next()).value)
  if (counted.frames !== rows * count || counted.lost > 0) throw new Error(`${table}: ${JSON.stringify(counted)}`)
  return cpuOfTiers(system).map((each, n) => (each - before[n]) / rows / count)
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
  await system.sql(`create table team (like plain); alter table team add primary key (id); grant select on team to authenticated; select enable_realtime('team');
    create table open (like plain); alter table open add primary key (id); grant select on open to authenticated; select enable_realtime('open');
    create table members (level int, who uuid); grant select on members to authenticated;
    insert into members select 1, ('00000000-0000-4000-8000-' || lpad(g::text, 12, '0'))::uuid from generate_series(0, 99) g;
    alter table team enable row level security; alter table open enable row level security;
    create policy p on team for select using (exists (select from members m where m.level = team.level and m.who = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid));
    create policy p on open for select using (level < 100 and (current_setting('request.jwt.claims', true)::jsonb ->> 'role') = 'authenticated')`)
  // The same frames with and without policies, alternating: what they cost in CPU, whoever else uses this machine.
  walsender = (await system.sql(`select pid from pg_stat_activity where backend_type = 'walsender'`))[0].pid
  for (const [table, count] of [['owned', 1], ['open', 20], ['team', 20], ['open', 100], ['team', 100]]) {
    const ratios = []
    const found = { plain: [], [table]: [] }
    for (let n = 0; n < rounds; n++) {
      for (const each of n % 2 ? ['plain', table] : [table, 'plain']) found[each].push(await cpuPerFrame(system, each, count))
      ratios.push(found[table][n].reduce((a, b) => a + b) / found.plain[n].reduce((a, b) => a + b))
    }
    const tiers = name => TIERS.map((_, tier) => median(found[name].map(each => each[tier])).toFixed(3)).join(' + ')
    console.log(`CPU for one frame, ${count} clients, ${table}: ${tiers(table)} us (${TIERS.join(', ')}); without policies ${tiers('plain')}; ratio ${median(ratios).toFixed(3)}, rounds ${ratios.map(each => each.toFixed(3)).join(' ')}`)
  }
  for (const owners of process.argv.includes('--cpu') ? [] : [1, 1000]) {
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
  for (let n = 0; n < rounds && !process.argv.includes('--cpu'); n++) for (const table of ['owned', 'plain']) found[table].push(await latency(system, table))
  for (const table of process.argv.includes('--cpu') ? [] : ['owned', 'plain']) {
    console.log(`commit to client at 1,000 rows/s, ${table}: p50 ${median(found[table].map(each => each.p50))} ms, p99 ${median(found[table].map(each => each.p99))} ms`)
  }
} finally {
  await system.stop()
  rmSync(scratch, { recursive: true })
}
console.log(`machine: ${cpus().length} x ${cpus()[0].model}`)
