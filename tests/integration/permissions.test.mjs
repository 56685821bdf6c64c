// Until the permission engine lands: row-level security refuses, privileges decide, and both are current.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => { system = await System.start({ edges: 1 }) })
beforeEach(() => system.settled())
after(() => system?.stop())

const open = (claims = {}) => Client.open(system, { token: user(system, claims) })

test('a table with row-level security is refused', async () => {
  await system.sql(`create table todos (id int primary key, user_id uuid); alter table todos enable row level security;
    create policy own on todos for select using (user_id = auth.uid()); grant select on todos to authenticated, anon, service_role;
    select enable_realtime('todos')`)
  const client = await open()
  const error = await client.subscribe('table:public.todos')
  assert.equal(error.code, 'FORBIDDEN')
  assert.match(error.message, /row-level security/)
  await system.sql('alter table todos disable row level security')
  assert.equal((await client.subscribe('table:public.todos')).type, 'ack', 'the answer is not remembered for ever')
  client.close()
})

test('enabling row-level security ends the subscriptions at that point of the stream', async () => {
  await system.sql(`create table later (id int primary key, v text); grant select on later to authenticated; select enable_realtime('later')`)
  const client = await open()
  await client.subscribe('table:public.later')
  await system.sql(`insert into later values (1, 'open')`)
  await client.change('INSERT')
  await system.sql(`alter table later enable row level security`)
  await system.sql(`insert into later values (2, 'secret')`)
  const end = await client.take(frame => frame.type === 'error' && frame.channel === 'table:public.later')
  assert.equal(end.code, 'FORBIDDEN')
  await system.sql(`create table marker (id int primary key); grant select on marker to authenticated; select enable_realtime('marker')`)
  assert.equal((await client.subscribe('table:public.marker')).type, 'ack')
  assert.ok(!JSON.stringify(client.frames).includes('secret'))
  client.close()
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
  await system.sql(`revoke select (id, b) on grants from authenticated; insert into grants values (4, 'a4', 'b4')`)
  const end = await client.take(frame => frame.type === 'error')
  assert.equal(end.code, 'FORBIDDEN')
  assert.ok(!JSON.stringify(client.frames).includes('a4'))
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
