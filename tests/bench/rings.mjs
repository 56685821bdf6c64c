// What each process holds when its rings and windows are full: who reads is stopped, more is written than they may keep.
//   node tests/bench/rings.mjs
import { cpus } from 'node:os'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, until } = await import('../integration/lib/system.mjs')
const { Client } = await import('../integration/lib/client.mjs')
const { user } = await import('../integration/lib/token.mjs')

const MIB = 1 << 20
const system = await System.start({ shards: 1, edges: 1, set: ['window.time=10m', 'links.lease=10m', 'links.shard_stall=10m', 'freshness.interval=200ms'] })
const rss = name => Math.round(system.rss(name) / MIB)
let next = 1
// About one MiB of WAL per transaction, in rows of 1 kB that do not compress.
async function write(mib) {
  for (let n = 0; n < mib; n++, next += 1000) {
    await system.sql(`insert into t select g, (select string_agg(md5(random()::text || g::text || n::text), '') from generate_series(1, 32) n) from generate_series($1::int, $2::int) g`, [next, next + 999])
  }
}
const settled = async () => {
  const [{ lsn }] = await system.sql(`select (pg_current_wal_flush_lsn() - '0/0')::text as lsn`)
  await until('the tailer is there', async () => (await system.metric('tailer', 'pgtide_tailer_published_lsn')) >= Number(lsn), { deadline: 120_000 })
}
try {
  await system.sql(`create table t (id int primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
  const client = await Client.open(system, { token: user(system) })
  await client.subscribe('table:public.t')
  const line = (what, names) => console.log(`${what}: ${names.map(name => `${name} ${rss(name)} MiB`).join(', ')}`)
  line('idle', ['tailer', 'broker-0', 'edge-0'])

  await write(300)
  await settled()
  await until('the window is full', async () => (await system.metric('broker-0', 'pgtide_broker_window_bytes')) > 200 * MIB, { deadline: 120_000 })
  line('windows full (window.bytes 256 MiB each)', ['tailer', 'broker-0', 'edge-0'])

  const before = rss('broker-0')
  await system.kill('edge-0', 'SIGSTOP')
  await write(120)
  await settled()
  console.log(`edge stopped, its ring at the limit (links.edge_ring 64 MiB): broker-0 ${rss('broker-0')} MiB, ${rss('broker-0') - before} more`)
  await system.kill('edge-0', 'SIGCONT')

  const tailer = rss('tailer')
  await system.kill('broker-0', 'SIGSTOP')
  await write(120)
  await until('the tailer reads no more', async () => (await system.metric('tailer', 'pgtide_tailer_lag_bytes')) > 16 * MIB, { deadline: 60_000 })
  console.log(`shard stopped, its ring at the limit (links.tailer_ring 64 MiB): tailer ${rss('tailer')} MiB, ${rss('tailer') - tailer} more`)
  await system.kill('broker-0', 'SIGCONT')
  client.close()
} finally {
  await system.stop()
}
console.log(`machine: ${cpus().length} × ${cpus()[0].model}`)
