// Row-level security and privileges decide what a client is shown, and both are current; what PostgreSQL refuses is refused with its reason.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { promisify } from 'node:util'
import { Client } from './lib/client.mjs'
import { System, bin, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => { system = await System.start({ edges: 1 }) })
beforeEach(() => system.settled())
after(() => system?.stop())

const open = (claims = {}) => Client.open(system, { token: user(system, claims) })

const me = '11111111-1111-1111-1111-111111111111'
const other = '22222222-2222-2222-2222-222222222222'

test('row-level security: everybody gets their own rows, in the stream and in the snapshot', async () => {
  await system.sql(`create table todos (id int primary key, user_id uuid); alter table todos enable row level security;
    create policy own on todos for select using (user_id = nullif(current_setting('request.jwt.claim.sub', true), '')::uuid);
    grant select on todos to authenticated, anon, service_role; select enable_realtime('todos');
    insert into todos values (1, '${me}'), (2, '${other}')`)
  await system.settled()
  const client = await open({ sub: me })
  assert.equal((await client.subscribe('table:public.todos')).type, 'ack')
  await system.sql(`insert into todos values (3, '${other}'), (4, '${me}')`)
  assert.equal((await client.change('INSERT')).payload.record.id, 4)
  const copy = await open({ sub: me })
  await copy.subscribe('table:public.todos', { snapshot: true })
  const rows = await copy.take(frame => frame.type === 'snapshot')
  assert.deepEqual(rows.payload.rows.map(row => row.id), [1, 4], 'the same identity as the stream has')
  client.close(); copy.close()
})

test('enabling row-level security without a policy hides what comes behind it, and the subscription stays', async () => {
  await system.sql(`create table later (id int primary key, v text); grant select on later to authenticated; select enable_realtime('later')`)
  const client = await open()
  await client.subscribe('table:public.later')
  await system.sql(`insert into later values (1, 'open')`)
  await client.change('INSERT')
  await system.sql(`alter table later enable row level security`)
  await system.sql(`insert into later values (2, 'secret')`)
  await system.sql(`create policy all_of_it on later for select using (id > 2)`)
  await system.sql(`insert into later values (3, 'shown')`)
  assert.equal((await client.change('INSERT')).payload.record.id, 3)
  assert.ok(!JSON.stringify(client.frames).includes('secret'))
  client.close()
})

test('policies that PostgreSQL refuses to plan for an identity: refused with its reason, and counted', async () => {
  await system.sql(`create table locked (id int primary key); create table behind (id int primary key, n int); alter table behind enable row level security;
    create policy b on behind for select using (exists (select from locked)); grant select on behind to authenticated; select enable_realtime('behind')`)
  const client = await open()
  const error = await client.subscribe('table:public.behind')
  assert.equal(error.code, 'FORBIDDEN')
  assert.match(error.message, /row-level security policies.*permission denied for table locked/)
  client.close()
})

test('functions in policies find names without a schema, as in a session: constants, rows that PostgreSQL judges, snapshots', async () => {
  await system.sql(`create table teams (id int, who uuid); insert into teams values (1, '${me}');
    create function uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
    create function has_team() returns boolean language plpgsql stable security definer as $$ begin return exists (select from teams where who = uid()); end $$;
    create function in_team(team int) returns boolean language plpgsql stable security definer as $$ begin return exists (select from teams where id = team and who = uid()); end $$;
    create table folded (id int primary key); create table asked (id int primary key, team int, tags int[]);
    alter table folded enable row level security; alter table asked enable row level security;
    create policy p on folded for select using (has_team());
    create policy p on asked for select using (in_team(team) and tags && array[9]);
    insert into folded values (1); insert into asked values (1, 1, '{9}'), (2, 2, '{9}');
    grant select on folded, asked to authenticated; select enable_realtime('folded'); select enable_realtime('asked')`)
  await system.settled()
  const client = await open({ sub: me })
  for (const table of ['folded', 'asked']) {
    assert.equal((await client.subscribe(`table:public.${table}`, { snapshot: true })).type, 'ack')
    assert.deepEqual((await client.take(frame => frame.type === 'snapshot')).payload.rows.map(row => row.id), [1])
  }
  await system.sql(`insert into folded values (2)`)
  assert.equal((await client.change('INSERT')).payload.record.id, 2)
  await system.sql(`insert into asked values (3, 2, '{9}'), (4, 1, '{8}'), (5, 1, '{9}')`)
  assert.equal((await client.change('INSERT')).payload.record.id, 5)

  // An operator with better types than pg_catalog's must not take its place: then nothing is found there.
  await system.sql(`create function always(int[], int[]) returns boolean language sql immutable as 'select true';
    create operator && (leftarg = int[], rightarg = int[], function = always)`)
  await system.sql(`insert into asked values (6, 1, '{8}'), (7, 1, '{9}')`)
  await until('PostgreSQL was asked under it', async () => await system.metric('broker-0', 'pgtide_broker_ask_raised_total') + await system.metric('broker-1', 'pgtide_broker_ask_raised_total') > 0)
  await system.sql(`drop operator && (int[], int[])`)
  await system.sql(`insert into folded values (3)`)
  assert.equal((await client.change('INSERT', 'table:public.folded')).payload.record.id, 3)
  await system.sql(`insert into asked values (8, 1, '{9}')`)
  const shown = []
  while (shown.at(-1) !== 8) shown.push((await client.change('INSERT')).payload.record.id)
  assert.ok(!shown.includes(6), `tags {8} were shown: ${shown}`)
  client.close()
})

test('a bad entry of policies.claims_settings: the broker does not start, and names it', async () => {
  const failure = await promisify(execFile)(bin('pgtide-broker'), ['--set', 'policies.claims_settings=request.jwt.claims,role', '--set', 'admin.broker_listen=127.0.0.1:0',
    '--set', 'database.url=postgres://127.0.0.1:1/none'], { timeout: 20_000 }).then(() => assert.fail('it started'), error => error)
  assert.equal(failure.code, 1)
  assert.match(failure.stderr, /bad_claims_setting.*entry="?role/)
})

test('columns a role may not read are in no frame, old or new', async () => {
  await system.sql(`create table people (id int primary key, name text, password text);
    grant select (id, name) on people to authenticated; grant select on people to service_role; select enable_realtime('people')`)
  const [limited, full] = [await open(), await open({ role: 'service_role' })]
  assert.equal((await limited.subscribe('table:public.people')).type, 'ack')
  assert.equal((await full.subscribe('table:public.people')).type, 'ack')
  await system.sql(`insert into people values (1, 'Ann', 'canary-1'); update people set password = 'canary-2'; delete from people`)
  const all = []
  for (let n = 0; n < 3; n++) {
    assert.ok(JSON.stringify((await full.change()).payload).includes('canary'))
    all.push((await limited.change()).payload)
  }
  assert.deepEqual(all.map(each => each.record), [{ id: 1, name: 'Ann' }, { id: 1, name: 'Ann' }, undefined])
  assert.deepEqual(all.map(each => each.old_record), [undefined, { id: 1, name: 'Ann' }, { id: 1, name: 'Ann' }])
  assert.ok(!JSON.stringify(all).includes('canary'))
  limited.close(); full.close()
})

test('grants and revokes take effect while the subscription lives', async () => {
  await system.sql(`create table grants (id int primary key, a text, b text); grant select (id, a) on grants to authenticated; select enable_realtime('grants')`)
  const client = await open()
  assert.equal((await client.subscribe('table:public.grants')).type, 'ack')
  await system.sql(`insert into grants values (1, 'a1', 'b1')`)
  assert.deepEqual((await client.change()).payload.record, { id: 1, a: 'a1' })
  await system.sql(`grant select (b) on grants to authenticated`)
  await system.sql(`insert into grants values (2, 'a2', 'b2')`)
  assert.deepEqual((await client.change()).payload.record, { id: 2, a: 'a2', b: 'b2' })
  await system.sql(`revoke select (a) on grants from authenticated`)
  await system.sql(`insert into grants values (3, 'a3', 'b3')`)
  assert.deepEqual((await client.change()).payload.record, { id: 3, b: 'b3' })
  await system.sql(`revoke select (id, b) on grants from authenticated; insert into grants values (4, 'revoked a', 'revoked b')`)
  const end = await client.take(frame => frame.type === 'error')
  assert.equal(end.code, 'FORBIDDEN')
  assert.ok(!JSON.stringify(client.frames).includes('revoked'))
  client.close()
})

test('no privilege on the schema, none on the table, a role that does not exist', async () => {
  await system.sql(`create schema hidden; create table hidden.t (id int primary key); grant select on hidden.t to authenticated;
    create table closed (id int primary key); select enable_realtime('hidden.t'); select enable_realtime('closed')`)
  const client = await open()
  assert.equal((await client.subscribe('table:hidden.t')).code, 'FORBIDDEN')
  assert.equal((await client.subscribe('table:public.closed')).code, 'FORBIDDEN')
  await system.sql('grant usage on schema hidden to authenticated')
  assert.equal((await client.subscribe('table:hidden.t')).type, 'ack')
  client.close()
})

test('a privilege that comes through another role counts as PostgreSQL counts it, and ends with the membership', async () => {
  await system.sql(`do $$ begin create role readers; exception when duplicate_object then null; end $$; grant readers to authenticated;
    create table shared (id int primary key, v text); grant select on shared to readers; select enable_realtime('shared')`)
  const client = await open()
  assert.equal((await client.subscribe('table:public.shared')).code, 'FORBIDDEN', 'authenticated is NOINHERIT')
  // Role commands fire no event trigger: the broker notices them by its own watch, within a second or two.
  await system.sql('alter role authenticated inherit')
  await until('the role inherits', async () => (await client.subscribe('table:public.shared')).type === 'ack')
  await system.sql(`insert into shared values (1, 'seen')`)
  assert.equal((await client.change('INSERT')).payload.record.v, 'seen')
  await system.sql('revoke readers from authenticated')
  assert.equal((await client.take(frame => frame.type === 'error' && frame.channel === 'table:public.shared' && /no longer|privilege|permission|may not/i.test(frame.message))).code, 'FORBIDDEN')
  await system.sql(`insert into shared values (2, 'hidden'); alter role authenticated noinherit`)
  assert.ok(!JSON.stringify(await client.drain()).includes('hidden'))
  client.close()
})

test('a dropped table and a disabled one end their subscriptions', async () => {
  await system.sql(`create table doomed (id int primary key); create table resting (id int primary key);
    grant select on doomed, resting to authenticated; select enable_realtime('doomed'); select enable_realtime('resting')`)
  const client = await open()
  await client.subscribe('table:public.doomed')
  await client.subscribe('table:public.resting')
  await system.sql('drop table doomed')
  assert.match((await client.take(frame => frame.type === 'error' && frame.channel === 'table:public.doomed')).message, /doomed/)
  await system.sql(`select disable_realtime('resting')`)
  assert.match((await client.take(frame => frame.type === 'error' && frame.channel === 'table:public.resting')).message, /enable_realtime/)
  // Back under the same name it is another table; subscribing works again.
  await system.sql(`create table doomed (id int primary key, extra text); grant select on doomed to authenticated; select enable_realtime('doomed')`)
  assert.equal((await client.subscribe('table:public.doomed')).type, 'ack')
  await system.sql(`insert into doomed values (1, 'new')`)
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 1, extra: 'new' })
  client.close()
})
