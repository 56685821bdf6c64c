// Processes and PostgreSQL that go away and come back: what is said meanwhile, and that it heals by itself.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
let next = 1
before(async () => {
  system = await System.start({ set: ['database.retry_max=500ms', 'window.time=2s'] })
  await system.sql(`create table t (id int primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
})
after(() => system?.stop())

async function listening() {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  return client
}
const write = async () => { await system.sql('insert into t values ($1)', [next]); return next++ }
const hears = async (client, id) => assert.equal((await client.change('INSERT')).payload.record.id, id)

test('PostgreSQL stops and comes back: clients stay, nothing is lost', async () => {
  const client = await listening()
  await hears(client, await write())
  await system.kill('postgres', 'SIGKILL')
  await until('the tailer says so', async () => !(await system.readyz('tailer')).ok)
  assert.match((await system.readyz('tailer')).text, /connect|PostgreSQL|database/i)
  assert.equal(client.closed, null)
  system.start('postgres')
  await until('PostgreSQL is back', async () => { await system.connect(); return system.sql('select 1') }, { deadline: 60_000 })
  const id = await write()
  await hears(client, id)
  await system.allReady()
  client.close()
})

test('PostgreSQL is down when everything starts', async () => {
  for (const name of ['tailer', 'broker-0', 'broker-1', 'edge-0', 'edge-1', 'postgres']) await system.kill(name, 'SIGTERM')
  for (const name of ['edge-0', 'edge-1', 'broker-0', 'broker-1', 'tailer']) system.start(name)
  await until('the tailer reports itself not ready', async () => (await system.readyz('tailer')).status === 503)
  const client = await until('an edge serves', () => Client.open(system, { token: user(system) }))
  system.start('postgres')
  await until('PostgreSQL is back', async () => { await system.connect(); return system.sql('select 1') }, { deadline: 60_000 })
  await system.allReady()
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  await hears(client, await write())
  client.close()
})

test('the tailer is killed: what was committed meanwhile arrives once, in order', async () => {
  const client = await listening()
  await system.kill('tailer')
  const ids = [await write(), await write(), await write()]
  system.start('tailer')
  for (const id of ids) await hears(client, id)
  await hears(client, await write())
  client.close()
})

test('a second tailer stands by and takes over', async () => {
  const client = await listening()
  const standby = system.standby('tailer')
  try {
    await until('it stands by', () => /standby/.test(system.log('tailer-standby')))
    await system.kill('tailer')
    const id = await write()
    await hears(client, id)
  } finally {
    await standby.stop()
    system.start('tailer')
    await system.allReady()
  }
  await hears(client, await write())
  client.close()
})

test('a shard is killed: its clients notice nothing', async () => {
  const client = await listening()
  await hears(client, await write())
  const shard = (await Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_subscriptions')))).findIndex(count => count > 0)
  await system.kill(`broker-${shard}`)
  const meanwhile = await write()
  system.start(`broker-${shard}`)
  await hears(client, meanwhile)
  await hears(client, await write())
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  client.close()
})

test('an edge is killed: the other one serves on the same port', async () => {
  const before = await listening()
  await system.kill('edge-0')
  await system.kill('edge-1')
  assert.equal((await before.closing()).code, 1006)
  system.start('edge-1')
  const client = await until('the port is served', () => listening())
  await hears(client, await write())
  system.start('edge-0')
  await system.allReady()
  client.close()
})

test('SIGTERM drains an edge: clients are told to go', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, listening))
  await Promise.all([system.kill('edge-0', 'SIGTERM'), system.kill('edge-1', 'SIGTERM')])
  for (const client of clients) assert.equal((await client.closing()).code, 1001)
  system.start('edge-0'); system.start('edge-1')
  await system.allReady()
})

test('a stopped shard holds nothing up for the tables of the other', async () => {
  await system.sql(Array.from({ length: 8 }, (_, n) =>
    `create table s${n} (id int primary key); grant select on s${n} to authenticated; select enable_realtime('s${n}');`).join(''))
  const client = await Client.open(system, { token: user(system) })
  const shardOf = []
  for (let n = 0; n < 8; n++) {
    const counts = () => Promise.all([0, 1].map(each => system.metric(`broker-${each}`, 'pgtide_broker_subscriptions')))
    const was = await counts()
    await client.subscribe(`table:public.s${n}`)
    shardOf.push((await counts()).findIndex((count, at) => count > was[at]))
  }
  const [sick, well] = [shardOf.indexOf(0), shardOf.indexOf(1)]
  assert.ok(sick >= 0 && well >= 0, `tables on both shards: ${shardOf}`)
  await system.kill('broker-0', 'SIGSTOP')
  await system.sql(`insert into s${sick} values (1); insert into s${well} values (1)`)
  assert.equal((await client.change('INSERT')).payload.table, `s${well}`)
  await system.kill('broker-0', 'SIGCONT')
  assert.equal((await client.change('INSERT')).payload.table, `s${sick}`, 'and what waited arrives')
  client.close()
})

test('an idle table does not pin the WAL', async () => {
  const confirmed = async () => (await system.sql(`select confirmed_flush_lsn::text as l from pg_replication_slots where slot_name = 'pgtide'`))[0].l
  await system.sql(`create table unpublished as select g from generate_series(1, 50000) g`)
  const [{ lsn }] = await system.sql('select pg_current_wal_flush_lsn()::text as lsn')
  await until('the slot has moved past unrelated WAL', async () =>
    (await system.sql('select $1::pg_lsn >= $2::pg_lsn as past', [await confirmed(), lsn]))[0].past)
})
