// The tables that policies read: enable, disable and policy DDL keep their publication, every shard gets their changes, no
// client does; and a database that was set up before there was such a publication works on, and comes to have it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from './lib/client.mjs'
import { ROOT, System, bin, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const run = promisify(execFile)
let system
before(async () => { system = await System.start({ shards: 2, edges: 1 }) })
after(() => system?.stop())

const followed = async (on = system) => (await on.sql(`select schemaname || '.' || tablename as t from pg_publication_tables
  where pubname = 'pgtide_policies' order by 1`)).map(row => row.t)
const identity = async name => (await system.sql('select relreplident from pg_class where oid = $1::regclass', [name]))[0].relreplident
const streams = async on => (await on.sql(`select policies from pgtide.slot`))[0]?.policies
// What brokers ask: the statement in broker/policy/followed.c.
const question = [...readFileSync(join(ROOT, 'broker/policy/followed.c'), 'utf8').match(/followed_sql\[\] =([^;]*);/)[1].matchAll(/"(.*)"/g)].map(found => found[1]).join('')
const brokersFollow = async (names, on = system) => (await on.sql(`select oid::regclass::text as t from (${question}) q order by 1`,
  [(await on.sql('select n::regclass::oid::int as oid from unnest($1::text[]) n', [names])).map(row => row.oid), 'pgtide_policies', 'pgtide'])).map(row => row.t)
const notices = work => system.session(async db => {
  const heard = []
  const hear = notice => heard.push(`${notice.message} ${notice.hint ?? ''}`)
  db.on('notice', hear)
  await work(db).finally(() => db.off('notice', hear))
  return heard
})

test('enable and disable take the tables along that policies read, two levels deep', async () => {
  await system.sql(`create table orgs (id int primary key, name text);
    create table teams (id int primary key, org int, name text);
    create table members (team int, uid uuid, note text, primary key (team, uid));
    create table tasks (id int primary key, team int);
    alter table tasks enable row level security; alter table members enable row level security;
    create policy p on tasks for select using (exists (select from members m where m.team = tasks.team and m.uid = auth.uid()));
    create policy p on members using (team in (select t.id from teams t where t.org = 1));
    create policy p on teams using (exists (select from orgs o where o.id = org))`)
  assert.deepEqual(await followed(), [], 'nothing is enabled')
  await system.sql(`select enable_realtime('tasks')`)
  assert.deepEqual(await followed(), ['public.members', 'public.teams'], 'orgs would be the third level')
  assert.equal(await identity('members'), 'd', 'its primary key has all that policies use')
  assert.equal(await identity('teams'), 'f', 'org is not in the primary key')
  await system.sql(`select disable_realtime('tasks')`)
  assert.deepEqual(await followed(), [])
})

test('policy DDL keeps the publication, views and functions are not seen through', async () => {
  await system.sql(`create table books (id int primary key, owner int); create table friends (a int, b int); create table hidden (id int primary key);
    create view through as select id from hidden;
    create function looks() returns boolean language plpgsql stable as $$ begin return exists (select from hidden); end $$;
    alter table books enable row level security; select enable_realtime('books')`)
  await system.sql('create policy p on books for select using (id in (select id from through) or looks())')
  assert.deepEqual(await followed(), [])
  await system.sql('alter policy p on books using (owner in (select b from friends where a = 1))')
  assert.deepEqual(await followed(), ['public.friends'])
  assert.equal(await identity('friends'), 'f', 'it has no key')
  await system.sql('update friends set a = 2; delete from friends')
  await system.sql('create policy for_writers on books for update using (exists (select from hidden))')
  assert.deepEqual(await followed(), ['public.friends'], 'policies of other commands show nothing')
  await system.sql('drop policy p on books')
  assert.deepEqual(await followed(), [])
})

test('a table of another owner is left alone until its owner agrees', async () => {
  await system.sql(`do $$ begin create role lender; create role borrower; exception when duplicate_object then null; end $$;
    grant create, usage on schema public to lender, borrower;
    set role lender; create table lent (id int, who int); reset role;
    set role borrower; create table reads (id int primary key); alter table reads enable row level security; reset role`)
  const heard = await notices(async db => {
    await db.query('set role borrower')
    await db.query('create policy p on reads for select using (id in (select id from lent))')
    await db.query(`select enable_realtime('reads')`)
    await db.query('reset role')
  })
  assert.ok(heard.some(text => /lent.*owner \(lender\).*sync_policies/.test(text)), heard.join('\n'))
  assert.deepEqual(await followed(), [])
  assert.equal(await identity('lent'), 'd')
  await system.session(async db => {
    await db.query('set role borrower')
    const [{ oid }] = (await db.query(`select 'lent'::regclass::oid::int as oid`)).rows
    await assert.rejects(db.query('select pgtide.follow($1, true)', [oid]), /permission denied/)
    await db.query('set role lender')
    await db.query('select pgtide.sync_policies()')
    await db.query('reset role')
  })
  assert.deepEqual(await followed(), ['public.lent'])
  await system.sql('drop table reads')
  assert.deepEqual(await followed(), [])
})

test('what the first publication leaves out does not come in by the second', async () => {
  await system.sql(`create table partly (id int primary key, v text); create table other (id int primary key); alter table other enable row level security;
    alter publication pgtide add table partly (id);
    create policy p on other for select using (id in (select id from partly)); select enable_realtime('other')`)
  assert.deepEqual(await followed(), [])
  await system.sql('alter publication pgtide drop table partly')
  assert.deepEqual(await followed(), ['public.partly'])
  await system.sql('alter publication pgtide add table partly where (id > 5)')
  assert.deepEqual(await followed(), [])
  await system.sql('drop table partly cascade; drop table other')
})

test('partitions that come later can be followed too', async () => {
  await system.sql(`create table parts (id int, uid int) partition by range (id); create table parts_1 partition of parts for values from (0) to (10);
    create table whole (id int primary key); alter table whole enable row level security;
    create policy p on whole for select using (id in (select id from parts where uid = 1)); select enable_realtime('whole')`)
  assert.deepEqual(await followed(), ['public.parts'])
  await until('the stream is said to bring them', () => streams(system))
  assert.deepEqual(await brokersFollow(['parts', 'parts_1']), ['parts'], 'changes of partitions come as the whole table\'s')
  await system.sql(`create table parts_2 partition of parts for values from (10) to (20); insert into parts values (1, 1), (11, 1); update parts set uid = 2`)
  assert.equal(await identity('parts_2'), 'f')
  await system.sql('drop table whole')
})

test('changes of such a table reach both shards and no client', async () => {
  await system.sql(`create table m (id int, uid int, secret text); create table t0 (id int primary key); create table guarded (id int primary key);
    alter table guarded enable row level security; create policy p on guarded for select using (id in (select id from m where uid = 1));
    grant select on m, t0, guarded to authenticated; select enable_realtime('t0'); select enable_realtime('guarded')`)
  assert.deepEqual(await followed(), ['public.m'])
  await until('the stream is said to bring them', () => streams(system))
  await system.settled()
  assert.deepEqual(await brokersFollow(['m', 't0', 'guarded']), ['m'])
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe('table:public.t0')).type, 'ack')
  const refused = await client.subscribe('table:public.m')
  assert.equal(refused.type, 'error')
  assert.match(refused.message, /not enabled|publication|enable_realtime/)
  const counts = () => Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_changes_total')))
  const was = await counts()
  await system.sql(`begin; insert into m values (1, 1, 'canary'); insert into t0 values (1); update m set uid = 2; delete from m; truncate m; insert into t0 values (2); commit`)
  await system.settled()
  const now = await counts()
  assert.deepEqual([now[0] - was[0], now[1] - was[1]].sort(), [4, 6], 'the table of the client is one shard\'s')
  assert.deepEqual((await client.changes(2)).map(each => each.record.id), [1, 2])
  assert.deepEqual(await client.drain(), [])
  const again = await client.subscribe('table:public.m', { snapshot: true })
  assert.equal(again.type, 'error')
  assert.ok(!JSON.stringify(client.frames).includes('canary'))

  // Enabled, then not any more, while policies go on reading it.
  await system.sql(`select enable_realtime('m')`)
  assert.equal((await client.subscribe('table:public.m')).type, 'ack')
  await system.sql(`insert into m values (5, 5, 'seen')`)
  assert.equal((await client.change('INSERT')).payload.record.secret, 'seen')
  await system.sql(`select disable_realtime('m')`)
  await system.sql(`insert into m values (6, 6, 'canary')`)
  await client.take(frame => frame.type === 'error' && frame.channel === 'table:public.m')
  await system.sql('insert into t0 values (3)')
  assert.equal((await client.change('INSERT')).payload.record.id, 3)
  assert.ok(!JSON.stringify(client.frames).includes('canary'))
  assert.deepEqual(await followed(), ['public.m'])
  assert.equal(await identity('m'), 'f', 'disabling it took FULL away, reading it brought it back')
  client.close()
})

test('without the publication everything else goes on; init brings it back, without a gap', async () => {
  const old = await System.start({ shards: 1, edges: 1, set: ['window.time=1s'] })
  try {
    await old.sql(`create table t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
    await until('it is streamed', () => streams(old))
    await old.sql('drop publication pgtide_policies')
    await old.settled()
    const client = await Client.open(old, { token: user(old) })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack')
    await old.sql('insert into t values (1)')
    assert.equal((await client.change('INSERT')).payload.record.id, 1)
    await until('it is said', () => /policies\.missing/.test(old.log('tailer')))
    assert.equal(await streams(old), false)
    assert.deepEqual(await brokersFollow(['t'], old), [])
    await run(bin('pgtide'), ['init', '--database', old.databaseUrl])
    await old.sql('insert into t values (2)')
    await until('it is streamed again', async () => { await old.sql('delete from t where id = 0'); return streams(old) }, { deadline: 60_000 })
    await old.sql('insert into t values (3)')
    assert.deepEqual((await client.changes(2)).map(each => each.record.id), [2, 3])
    assert.equal(await old.metric('tailer', 'pgtide_tailer_gaps_total'), 0)
    client.close()
  } finally {
    await old.stop()
  }
})
