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
before(async () => {
  system = await System.start({ set: ['database.retry_max=500ms', `window.time=${WINDOW}ms`, 'window.bytes=1MiB'] })
  await system.sql(`create table t (id int primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
})
after(() => system?.stop())

async function listening(table = 't') {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe(`table:public.${table}`)).type, 'ack')
  return client
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

test('a standby serves within three seconds of the death of the tailer', async () => {
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
    assert.ok(took < 3000, `${took} ms`)
    assert.deepEqual(await client.drain(), [])
  } finally {
    await standby.stop()
    system.start('tailer')
    await system.allReady()
  }
  await hears(client, await write())
  client.close()
})
