// The window: what PostgreSQL and the tailer keep although everybody has it, and what may not be kept for ever.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const WINDOW = 2000
let system
let next = 1
let table // of each shard, one
before(async () => {
  system = await System.start({ set: ['database.retry_max=500ms', `window.time=${WINDOW}ms`, 'window.bytes=1MiB', 'links.tailer_ring=1MiB',
    'links.shard_stall=500ms', 'retention.bytes=64MiB',
    'links.lease=60s'] }) // a stopped shard is not lost for the edges: what they do then is not the subject
  table = await tablesOfBothShards()
  await system.sql(`create table t (id int primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
})
after(() => system?.stop())

async function listening(table = 't') {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe(`table:public.${table}`)).type, 'ack')
  return client
}
// Finds out by subscribing where eight tables belong; the broker says how many subscriptions it has.
async function tablesOfBothShards() {
  await system.sql(Array.from({ length: 8 }, (_, n) =>
    `create table s${n} (id int primary key, v text); grant select on s${n} to authenticated; select enable_realtime('s${n}');`).join(''))
  const client = await Client.open(system, { token: user(system) })
  const counts = () => Promise.all([0, 1].map(each => system.metric(`broker-${each}`, 'pgtide_broker_subscriptions')))
  const found = []
  for (let n = 0; n < 8; n++) {
    const was = await counts()
    assert.equal((await client.subscribe(`table:public.s${n}`)).type, 'ack')
    found.push((await counts()).findIndex((count, at) => count > was[at]))
  }
  client.close()
  assert.ok(found.includes(0) && found.includes(1), `tables on both shards: ${found}`)
  return [0, 1].map(shard => `s${found.indexOf(shard)}`)
}
// Rows of 10 kB that PostgreSQL cannot compress, in transactions of their own.
async function fill(name, from, count) {
  await system.session(client => Promise.all(Array.from({ length: count }, (_, n) => client.query(
    `insert into ${name} select $1, string_agg(md5(random()::text), '') from generate_series(1, 320)`, [from + n]))))
}
async function hearsAll(client, from, count) {
  for (let id = from; id < from + count; id++) {
    const frame = await client.take(each => each.type === 'broadcast' || each.type === 'gap', { deadline: 60_000 })
    assert.equal(frame.type, 'broadcast', JSON.stringify(frame).slice(0, 300))
    assert.equal(frame.payload.record.id, id)
  }
}
const write = async () => { await system.sql('insert into t values ($1)', [next]); return next++ }
const hears = async (client, id) => assert.equal((await client.change('INSERT')).payload.record.id, id)
const now = async () => (await system.sql('select pg_current_wal_flush_lsn()::text as l'))[0].l
// How far the slot's confirmed position is behind `lsn`, in bytes of WAL.
const behind = async lsn => Number((await system.sql(
  `select $1::pg_lsn - confirmed_flush_lsn as d from pg_replication_slots where slot_name = 'pgtide'`, [lsn]))[0].d)
const backAgain = () => until('PostgreSQL is back', async () => { await system.connect(); return system.sql('select 1') }, { deadline: 60_000 })

test('the slot stays behind by the window, and moves', async () => {
  const client = await listening()
  const begun = Date.now()
  await hears(client, await write())
  const lsn = await now()
  await until('everybody has it, and the window is what keeps it', async () => (await system.metric('tailer', 'pgtide_tailer_window_bytes')) > 0)
  assert.ok(await behind(lsn) > 0, 'not confirmed yet')
  await until('it is confirmed', async () => (await behind(lsn)) <= 0)
  assert.ok(Date.now() - begun >= WINDOW * 0.9, `confirmed after ${Date.now() - begun} ms`)
  client.close()
})

test('an idle database beside one that writes keeps no more WAL than the window', async () => {
  await system.sql('create database other')
  const url = new URL(system.databaseUrl)
  url.pathname = '/other'
  const other = new pg.Client({ connectionString: url.href })
  await other.connect()
  await other.query('create table big as select g, repeat($1, 100) as v from generate_series(1, 100000) g', ['x'])
  await other.end()
  const lsn = await now()
  await until('all but the window is confirmed', async () => (await behind(lsn)) <= 1 << 20)
  await until('and the window ends', async () => (await behind(lsn)) <= 0)
})

test('a fast shutdown of PostgreSQL does not wait for the window', async () => {
  const client = await listening()
  await hears(client, await write())
  const begun = Date.now()
  const pid = system.pid('postgres')
  process.kill(pid, 'SIGINT')
  await until('PostgreSQL is down', () => !system.alive('postgres'), { deadline: 20_000 })
  assert.match(system.log('tailer'), /slot\.lost.*shutting down/)
  console.log(`PostgreSQL was down after ${Date.now() - begun} ms`)
  system.start('postgres')
  await backAgain()
  const id = await write()
  await hears(client, id)
  assert.deepEqual(await client.drain(), [], 'and nothing twice')
  client.close()
})

test('after a crash of PostgreSQL and the tailer the slot is where it was long ago: clients hear nothing twice', async () => {
  const client = await listening()
  for (let i = 0; i < 20; i++) await hears(client, await write())
  await until('something is confirmed', async () => (await behind(await now())) <= 1 << 20)
  await system.kill('postgres')
  await system.kill('tailer')
  system.start('postgres')
  await backAgain()
  system.start('tailer')
  await system.allReady()
  const ids = [await write(), await write()]
  for (const id of ids) await hears(client, id)
  assert.deepEqual(await client.drain(), [])
  client.close()
})

test('a standby serves when the tailer dies', async () => {
  const client = await listening()
  const standby = system.standby('tailer')
  try {
    await until('it stands by', () => /standby/.test(system.log('tailer-standby')))
    await hears(client, await write())
    const begun = Date.now()
    await system.kill('tailer')
    const id = await write()
    await hears(client, id)
    const took = Date.now() - begun
    console.log(`the standby delivered after ${took} ms`)
    assert.deepEqual(await client.drain(), [])
  } finally {
    await standby.stop()
    system.start('tailer')
    await system.allReady()
  }
  await hears(client, await write())
  client.close()
})

test('the tailer writes freshness markers, which come back to it through the slot', async () => {
  const [written, seen] = await Promise.all(['markers', 'messages'].map(name => system.metric('tailer', `pgtide_tailer_${name}_total`)))
  await until('two more are written', async () => (await system.metric('tailer', 'pgtide_tailer_markers_total')) >= written + 2)
  await until('and come back', async () => (await system.metric('tailer', 'pgtide_tailer_messages_total')) >= seen + 2)
})

test('SIGTERM: what was read is processed and confirmed before the tailer ends', async () => {
  const client = await listening()
  const ids = []
  for (let i = 0; i < 50; i++) ids.push(await write())
  const [{ read }] = await system.sql(`select (pg_current_wal_flush_lsn() - '0/0')::text as read`)
  await until('the tailer has read them', async () => (await system.metric('tailer', 'pgtide_tailer_published_lsn')) >= Number(read))
  await system.kill('tailer', 'SIGTERM')
  const lsn = await now()
  assert.ok(await behind(lsn) <= 1 << 20)
  for (const id of ids) await hears(client, id)
  system.start('tailer')
  await hears(client, await write())
  assert.deepEqual(await client.drain(), [])
  await system.allReady()
  client.close()
})

test('a stopped shard is left behind, and gets everything once when it is back', async () => {
  const [sick, well] = [await listening(table[0]), await listening(table[1])]
  await fill(table[0], 1, 10)
  await hearsAll(sick, 1, 10)
  await system.kill('broker-0', 'SIGSTOP')
  // More than the rings of the tailer, of ZeroMQ and of the sockets hold.
  await Promise.all([fill(table[0], 11, 1500), fill(table[1], 1, 300)])
  await hearsAll(well, 1, 300)
  await until('shard 0 is left behind', async () => /shard 0 is left behind/.test((await system.readyz('tailer')).text))
  assert.equal(await system.metric('tailer', 'pgtide_tailer_left_behind_total'), 1)
  const lsn = await now()
  await until('the tailer has read everything', async () => (await system.metric('tailer', 'pgtide_tailer_lag_bytes')) < 1 << 20)
  await fill(table[1], 301, 20)
  await hearsAll(well, 301, 20)
  assert.ok(await behind(lsn) > 1 << 20, 'PostgreSQL keeps what shard 0 does not have')

  await system.kill('broker-0', 'SIGCONT')
  await hearsAll(sick, 11, 1500)
  await fill(table[0], 2001, 1)
  await hearsAll(sick, 2001, 1)
  assert.deepEqual(await sick.drain(), [])
  assert.deepEqual(await well.drain(), [])
  await until('all but the window is confirmed', async () => (await behind(lsn)) <= 0)
  await system.allReady()
  assert.equal(await system.metric('tailer', 'pgtide_tailer_given_up_total'), 0)
  sick.close()
  well.close()
})

test('a shard that is away for longer than retention allows is given up, and its clients are told', async () => {
  const [sick, well] = [await listening(table[0]), await listening(table[1])]
  await fill(table[0], 3001, 1)
  await hearsAll(sick, 3001, 1)
  await system.kill('broker-0', 'SIGSTOP')
  await fill(table[0], 3002, 500)
  await system.sql(`create table much as select string_agg(md5(random()::text), '') as v from generate_series(1, 2000000)  as g group by g % 2000`)
  await until('shard 0 is given up', async () => {
    await fill(table[1], 3001 + Math.floor(Math.random() * 1e8), 1) // the log goes on
    return /shard 0 was given up/.test((await system.readyz('tailer')).text)
  }, { deadline: 60_000 })
  assert.match(system.log('tailer'), /shard\.given_up/)
  const lsn = await now()
  await until('its WAL is let go', async () => (await behind(lsn)) <= 1 << 20)
  await system.kill('broker-0', 'SIGCONT')
  await until('the shard takes part again', async () => (await system.readyz('tailer')).ok)
  await fill(table[0], 4001, 3)
  // What was in its sockets when it stopped; then the gap; then what comes after it.
  const ids = []
  for (let id = 3001; id !== 4003;) {
    const frame = await sick.take(each => each.type === 'broadcast' || each.type === 'gap', { deadline: 60_000 })
    id = frame.type === 'gap' ? 'gap' : frame.payload.record.id
    ids.push(id)
  }
  const gap = ids.indexOf('gap')
  assert.ok(gap >= 0 && ids.lastIndexOf('gap') === gap, `one gap: ${ids}`)
  ids.slice(0, gap).forEach((id, at) => assert.equal(id, 3002 + at))
  const after = ids.slice(gap + 1)
  assert.deepEqual(after.slice(-3), [4001, 4002, 4003])
  after.forEach((id, at) => assert.ok(at === 0 || id > after[at - 1], `in order: ${after}`))
  assert.ok(gap < 500, 'something was lost, and said')
  assert.equal(await system.metric('tailer', 'pgtide_tailer_given_up_total'), 1)
  await system.allReady()
  sick.close()
  well.close()
})
