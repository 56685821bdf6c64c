// The SQL set-up: what init makes, and what enable_realtime and disable_realtime answer.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { System, bin } from './lib/system.mjs'

const run = promisify(execFile)
let system
before(async () => { system = await System.start({ shards: 1, edges: 1 }) })
after(() => system?.stop())

const enabled = async () => (await system.sql('select schema_name || \'.\' || table_name as t from realtime_enabled_tables order by 1')).map(row => row.t)
const fails = (text, words) => assert.rejects(system.sql(text), error => {
  assert.match(`${error.message} ${error.hint ?? ''}`, words)
  return true
})

test('init can be applied again while everything runs', async () => {
  await run(bin('pgtide'), ['init', '--database', system.databaseUrl])
  await run(bin('pgtide'), ['init', '--database', system.databaseUrl])
  const [{ n }] = await system.sql(`select count(*)::int n from pg_event_trigger where evtname like 'pgtide%'`)
  assert.ok(n >= 1)
})

test('init has nothing to say of a new database, nor the second time', async () => {
  await system.sql('create database fresh')
  const url = system.databaseUrl.replace(/\/[^/?]*(?=\?|$)/, '/fresh')
  for (let time = 0; time < 2; time++) {
    const { stdout, stderr } = await run(bin('pgtide'), ['init', '--database', url])
    assert.doesNotMatch(stdout + stderr, /warning|could not/i)
  }
})

test('enable and disable, in all forms, twice', async () => {
  await system.sql(`create schema app; create table users (id int primary key); create table app.items (id int primary key); create table "Odd Name" (id int primary key)`)
  await system.sql(`select enable_realtime('users'); select enable_realtime('app.items'); select enable_realtime('public', 'Odd Name'); select enable_realtime('users')`)
  assert.deepEqual(await enabled(), ['app.items', 'public.Odd Name', 'public.users'])
  const [{ relreplident }] = await system.sql(`select relreplident from pg_class where oid = 'app.items'::regclass`)
  assert.equal(relreplident, 'f')
  await system.sql(`select disable_realtime('users'); select disable_realtime('app', 'items'); select disable_realtime('users')`)
  assert.deepEqual(await enabled(), ['public.Odd Name'])
  await system.sql(`select disable_realtime('public', 'Odd Name')`)
})

test('errors say what is wrong and what to do', async () => {
  await system.sql(`create view a_view as select 1 as x; create sequence a_seq; create unlogged table fleeting (id int primary key)`)
  await fails(`select enable_realtime('nothing')`, /nothing.*does not exist/)
  await fails(`select enable_realtime('nowhere.t')`, /nowhere/)
  await fails(`select enable_realtime('a_view')`, /not a table/)
  await fails(`select enable_realtime('a_seq')`, /not a table/)
  await fails(`select enable_realtime('fleeting')`, /unlogged/)
  await fails(`select enable_realtime(null)`, /./)
  await fails(`select disable_realtime('nothing')`, /nothing.*does not exist/)
})

test('only the owner may enable a table', async () => {
  await system.sql(`create table owned (id int primary key); do $$ begin create role stranger; exception when duplicate_object then null; end $$; grant usage on schema public to stranger`)
  await system.session(async db => {
    await db.query('set role stranger')
    await assert.rejects(db.query(`select enable_realtime('owned')`), /owner|permission/)
    await db.query('reset role')
  })
})

test('no primary key is a notice, not an error', async () => {
  await system.sql('create table keyless (v text)')
  const notices = []
  await system.session(async db => {
    const hear = notice => notices.push(notice.message)
    db.on('notice', hear)
    await db.query(`select enable_realtime('keyless')`)
    db.off('notice', hear)
  })
  assert.ok(notices.some(text => /primary key/.test(text)), notices.join())
  await system.sql(`insert into keyless values ('a'); update keyless set v = 'b'; delete from keyless`)
})

test('auth.uid, auth.role and auth.jwt read the claims', async () => {
  const claims = sql => system.session(async db => {
    await db.query('begin')
    await db.query(`select set_config('request.jwt.claims', $1, true)`, [sql])
    const { rows: [row] } = await db.query('select auth.uid() as uid, auth.role() as role, auth.jwt() as jwt')
    await db.query('rollback')
    return row
  })
  const sub = '6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01'
  assert.deepEqual(await claims(JSON.stringify({ sub, role: 'authenticated', x: 1 })), { uid: sub, role: 'authenticated', jwt: { sub, role: 'authenticated', x: 1 } })
  assert.equal((await claims(JSON.stringify({ sub: 'no uuid' }))).uid, null)
  assert.equal((await claims('')).uid, null)
})

test('a failing DDL trigger would never stop a user\'s DDL', async () => {
  await system.sql(`do $$ begin create role builder; exception when duplicate_object then null; end $$; grant create, usage on schema public to builder`)
  await system.session(async db => {
    await db.query('set role builder')
    await db.query('create table built (id int primary key); alter table built add v text; create policy p on built using (true); drop table built')
    await db.query('create function built_fn() returns int language sql as $$ select 1 $$; drop function built_fn()')
    await db.query('reset role')
  })
})

test('wal_level that is not logical is named by enable_realtime', async () => {
  const [{ setting }] = await system.sql(`select setting from pg_settings where name = 'wal_level'`)
  assert.equal(setting, 'logical')
  const other = await System.start({ shards: 1, edges: 1 })
  try {
    await other.sql('create table t (id int primary key)')
    for (const name of ['tailer', 'broker-0', 'edge-0']) await other.kill(name, 'SIGTERM')
    await other.sql(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active`)
    await other.sql(`alter system set wal_level = 'replica'`)
    await other.kill('postgres', 'SIGTERM')
    other.start('postgres')
    const { until } = await import('./lib/system.mjs')
    await until('PostgreSQL is back', async () => { await other.connect(); return other.sql('select 1') })
    await assert.rejects(other.sql(`select enable_realtime('t')`), error => /wal_level/.test(error.message) && /logical/.test(`${error.message} ${error.hint}`))
  } finally {
    await other.stop()
  }
})
