// What pgtide reaches on this machine, beside what bounds it. See README.md here.
//   node tests/bench/run.mjs [tailer] [fanout] [latency] [idle]      (default: all; build/release)
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, bin, until } = await import('../integration/lib/system.mjs')

const run = promisify(execFile)
const PG_BIN = process.env.PG_BIN ?? '/usr/lib/postgresql/15/bin'
const all = { tailer, fanout, latency, idle }
const wanted = process.argv.slice(2)
const results = {}
const ticks = Number((await run('getconf', ['CLK_TCK'])).stdout)

for (const [name, measure] of Object.entries(all)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  results[name] = await measure()
  console.log(`${name}: ${JSON.stringify(results[name], null, 1)}`)
}
console.log(`machine: ${cpus().length} × ${cpus()[0].model}`)

function cpuSeconds(system, name) {
  const fields = readFileSync(`/proc/${system.pid(name)}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

// Clients of bench_clients.c; `counted` resolves to its JSON.
async function clients(system, count, table, expect, seconds) {
  const child = spawn(bin('bench-clients'), [system.port, count, `table:public.${table}`, expect, seconds].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = (await lines.next()).value
  if (ready !== 'ready') throw new Error(`bench-clients: ${ready}`)
  return { counted: lines.next().then(line => JSON.parse(line.value)), stop: () => child.stdin.end() }
}

// Rows per second through the tailer, against pg_recvlogical reading the same WAL, alternating three times.
async function tailer() {
  const system = await System.start({ shards: 2, edges: 1 })
  try {
    await system.sql(`create table b (id bigint primary key, a int, b text, c numeric, d timestamptz, e uuid, f jsonb);
      grant select on b to anon; select enable_realtime('b')`)
    const rows = 1_000_000
    const runs = []
    for (let n = 0; n < 3; n++) {
      await system.kill('tailer', 'SIGTERM')
      await system.sql(`select pg_create_logical_replication_slot('peer', 'pgoutput')`)
      await system.session(async db => {
        for (let at = 0; at < rows; at += 1000) {
          await db.query(`insert into b select g, g % 1000, 'some text of a row ' || g, g / 7.0, now(), gen_random_uuid(), '{"k": [1, 2, 3]}'
            from generate_series($1::bigint, $2::bigint) g`, [n * rows + at, n * rows + at + 999])
        }
      })
      const [{ lsn }] = await system.sql('select pg_current_wal_flush_lsn()::text lsn')
      let started = Date.now()
      await run(`${PG_BIN}/pg_recvlogical`, ['-d', system.databaseUrl, '--slot', 'peer', '--start', '--endpos', lsn, '-f', '/dev/null',
        '-o', `proto_version=1`, '-o', 'publication_names=pgtide', '--no-loop'], { maxBuffer: 1 << 20 })
      const peer = rows / (Date.now() - started) * 1000
      await system.sql(`select pg_drop_replication_slot('peer')`)
      started = Date.now()
      system.start('tailer')
      await until('the tailer has published all', async () => (await system.metric('tailer', 'pgtide_tailer_changes_total')) >= rows, { deadline: 120_000, every: 10 })
      const ours = rows / (Date.now() - started) * 1000
      runs.push({ pg_recvlogical_rows_per_s: Math.round(peer), tailer_rows_per_s: Math.round(ours), ratio: +(ours / peer).toFixed(2), tailer_cpu_us_per_row: +(cpuSeconds(system, 'tailer') / rows * 1e6).toFixed(2) })
    }
    return runs
  } finally {
    await system.stop()
  }
}

// Delivered frames per second flat out, and CPU of the edge for each, at 1 to 10,000 subscribers of one table.
async function fanout() {
  const found = []
  for (const [count, rows] of [[1, 200_000], [100, 20_000], [1000, 3000], [10_000, 300]]) {
    const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0', 'realtime.client_budget=64MiB'] })
    try {
      await system.sql(`create table f (id int primary key, v text); grant select on f to anon; select enable_realtime('f')`)
      const group = await clients(system, count, 'f', rows, 90)
      const cpu = cpuSeconds(system, 'edge-0')
      const writes = await system.metric('edge-0', 'pgtide_edge_writes_total')
      await system.sql(`insert into f select g, repeat('x', 80) from generate_series(1, ${rows}) g`)
      const counted = await group.counted
      const used = cpuSeconds(system, 'edge-0') - cpu
      found.push({ subscribers: count, rows, frames: counted.frames, lost: counted.lost, frames_per_s: counted.frames_per_second,
        edge_cpu_us_per_frame: +(used / counted.frames * 1e6).toFixed(2), frames_per_s_and_core: Math.round(counted.frames / used),
        frames_per_write: +(counted.frames / ((await system.metric('edge-0', 'pgtide_edge_writes_total')) - writes)).toFixed(1) })
    } finally {
      await system.stop()
    }
  }
  return found
}

// Commit to client, single-row transactions at a steady rate.
async function latency() {
  const found = []
  for (const [count, rate, seconds] of [[1, 1000, 10], [1000, 20, 10]]) {
    const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0'] })
    try {
      await system.sql(`create table f (id serial primary key, v text); grant select on f to anon; select enable_realtime('f')`)
      const group = await clients(system, count, 'f', rate * seconds, seconds + 30)
      await system.session(async db => {
        const started = performance.now()
        for (let n = 0; n < rate * seconds; n++) {
          const wait = started + n * 1000 / rate - performance.now()
          if (wait > 1) await new Promise(wake => setTimeout(wake, wait))
          await db.query(`insert into f (v) values ('${'x'.repeat(80)}')`)
        }
      })
      const counted = await group.counted
      found.push({ subscribers: count, rows_per_s: rate, frames: counted.frames, p50_ms: counted.p50_us / 1000, p99_ms: counted.p99_us / 1000, max_ms: counted.max_us / 1000 })
    } finally {
      await system.stop()
    }
  }
  return found
}

// User-space memory of an idle, subscribed connection.
async function idle() {
  const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0'] })
  try {
    await system.sql(`create table f (id int primary key); grant select on f to anon; select enable_realtime('f')`)
    const warm = await clients(system, 500, 'f', 0, 600)
    const before = system.rss('edge-0')
    const count = 10_000
    const group = await clients(system, count, 'f', 0, 600)
    const after = system.rss('edge-0')
    warm.stop(); group.stop()
    return { connections: count, bytes_per_connection: Math.round((after - before) / count) }
  } finally {
    await system.stop()
  }
}
