// Seed 003, tables: frames as its page shows them, with the supersets that real clients need.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start()
  await system.sql(`create table users (id int primary key, name text, email text);
    create table "Mixed Case" (id int primary key, "Sélect" text);
    grant select on users, "Mixed Case" to anon, authenticated;
    select enable_realtime('users'); select enable_realtime('public', 'Mixed Case')`)
})
beforeEach(() => system.settled())
after(() => system?.stop())

const POSITION = /^[0-9a-f]+-[0-9a-f]{16}-[0-9a-f]+$/

test('insert, update and delete arrive as the seed shows them', async () => {
  const client = await Client.open(system, { token: user(system) })
  const ack = await client.subscribe('table:public.users')
  assert.equal(ack.type, 'ack')
  assert.equal(ack.status, 'subscribed')
  assert.equal(ack.payload.subscribed, true)
  assert.equal(ack.payload.schema, 'public')
  assert.equal(ack.payload.table, 'users')
  assert.equal(ack.payload.event, '*')
  assert.match(ack.payload.subscription_id, /^[0-9a-f-]{36}$/)
  assert.match(ack.payload.id, POSITION)
  assert.equal(ack.payload.type, undefined) // the SDK takes an ack with payload.type for a token's

  await system.sql(`insert into users values (123, 'John', 'john@example.com')`)
  await system.sql(`update users set name = 'John Doe' where id = 123`)
  await system.sql(`delete from users where id = 123`)

  const insert = await client.change()
  const { commit_timestamp: time, id, ...payload } = insert.payload
  assert.deepEqual({ ...insert, payload }, {
    type: 'broadcast', channel: 'table:public.users',
    payload: { type: 'INSERT', schema: 'public', table: 'users', record: { id: 123, name: 'John', email: 'john@example.com' }, last: true },
  })
  assert.match(id, POSITION)
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, `commit_timestamp ${time}`)

  const update = await client.change()
  assert.equal(update.payload.type, 'UPDATE')
  assert.deepEqual(update.payload.old_record, { id: 123, name: 'John', email: 'john@example.com' })
  assert.deepEqual(update.payload.record, { id: 123, name: 'John Doe', email: 'john@example.com' })
  assert.ok(update.payload.id > id && id > ack.payload.id, 'positions grow')

  const removed = await client.change()
  assert.equal(removed.payload.type, 'DELETE')
  assert.deepEqual(removed.payload.old_record, { id: 123, name: 'John Doe', email: 'john@example.com' })
  assert.equal('record' in removed.payload, false)
  assert.equal('old_record' in insert.payload, false)
  client.close()
})

test('one transaction arrives in order, on two connections alike', async () => {
  const [one, two] = await Promise.all([1, 2].map(() => Client.open(system, { token: user(system) })))
  await Promise.all([one, two].map(client => client.subscribe('table:public.users')))
  await system.sql(`begin; insert into users select g, 'n' || g from generate_series(1, 50) g;
    update users set name = 'x' where id <= 10; delete from users; commit`)
  const read = async client => {
    const got = []
    while (got.length < 110) got.push((await client.change()).payload)
    return got
  }
  const [first, second] = await Promise.all([read(one), read(two)])
  assert.deepEqual(first, second)
  assert.deepEqual(first.map(payload => payload.type),
    [...Array(50).fill('INSERT'), ...Array(10).fill('UPDATE'), ...Array(50).fill('DELETE')])
  const lsn = payload => payload.id.split('-').slice(0, 2).join('-')
  assert.equal(new Set(first.map(lsn)).size, 1, 'one transaction, one LSN')
  assert.deepEqual(first.map(payload => parseInt(payload.id.split('-')[2], 16)), first.map((_, at) => at))
  one.close(); two.close()
})

test('a rolled-back transaction says nothing', async () => {
  const client = await Client.open(system, { token: user(system) })
  await client.subscribe('table:public.users')
  await system.sql(`begin; insert into users values (7001, 'ghost'); rollback`)
  await system.sql(`insert into users values (7002, 'real')`)
  assert.equal((await client.change()).payload.record.id, 7002)
  await system.sql('delete from users')
  client.close()
})

test('unsubscribe stops the changes and is acknowledged', async () => {
  const client = await Client.open(system, { token: user(system) })
  const ack = await client.subscribe('table:public.users')
  client.send({ type: 'unsubscribe', channel: 'table:public.users' })
  const gone = await client.take(frame => frame.type === 'ack' && frame.status === 'unsubscribed')
  assert.equal(gone.channel, 'table:public.users')
  assert.deepEqual(gone.payload, { unsubscribed: true, subscription_id: ack.payload.subscription_id })
  await client.subscribe('table:public.Mixed Case')
  await system.sql(`insert into users values (1, 'nobody hears'); insert into "Mixed Case" values (1, 'é')`)
  const change = await client.change()
  assert.deepEqual(change.payload.record, { id: 1, Sélect: 'é' })
  assert.equal(change.channel, 'table:public.Mixed Case')
  await system.sql('delete from users; delete from "Mixed Case"')
  client.close()
})

test('subscribing by config and by the legacy members gives postgres_changes on the client\'s own channel', async () => {
  const client = await Client.open(system, { token: user(system) })
  client.send({ type: 'subscribe', channel: 'my-room', config: { event: 'UPDATE', schema: 'public', table: 'users' } })
  const ack = await client.take(frame => frame.type === 'ack' || frame.type === 'error')
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  assert.equal(ack.channel, 'my-room')
  assert.equal(ack.payload.event, 'UPDATE')
  client.send({ type: 'subscribe', table: 'users', event: 'INSERT' })
  const legacy = await client.take(frame => frame.type === 'ack' || frame.type === 'error')
  assert.equal(legacy.payload.table, 'users', JSON.stringify(legacy))

  await system.sql(`insert into users values (1, 'a'); update users set name = 'b'; delete from users`)
  const frames = []
  while (frames.length < 2) frames.push(await client.take(frame => ['postgres_changes', 'broadcast'].includes(frame.type)))
  assert.deepEqual(frames.map(frame => frame.payload.type).sort(), ['INSERT', 'UPDATE'])
  const update = frames.find(frame => frame.payload.type === 'UPDATE')
  assert.equal(update.type, 'postgres_changes')
  assert.equal(update.channel, 'my-room')

  client.send({ type: 'unsubscribe', channel: 'my-room', subscription_id: ack.payload.subscription_id })
  assert.equal((await client.take(frame => frame.status === 'unsubscribed')).payload.subscription_id, ack.payload.subscription_id)

  // Two of one table on one channel, each with its own filter, id and end; the acknowledgement repeats what was asked for.
  const ids = []
  for (const filter of ['id=eq.1', 'id=eq.2']) {
    const made = await client.subscribe('my-room', { config: { event: '*', schema: 'public', table: 'users', filter } })
    ids.push(made.payload.subscription_id)
    const { subscription_id: id, id: position, ...rest } = made.payload
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.deepEqual(rest, { subscribed: true, schema: 'public', table: 'users', event: '*', filter, resumed: false })
  }
  client.send({ type: 'unsubscribe', channel: 'my-room', subscription_id: ids[0] })
  assert.equal((await client.take(frame => frame.status === 'unsubscribed')).payload.subscription_id, ids[0])
  await system.sql(`insert into users values (1, 'a'), (2, 'b')`)
  assert.equal((await client.take(frame => frame.type === 'postgres_changes' && frame.channel === 'my-room')).payload.record.id, 2)
  client.send({ type: 'unsubscribe', channel: 'my-room' })
  assert.equal((await client.take(frame => frame.status === 'unsubscribed')).payload.subscription_id, ids[1])
  await system.sql('delete from users')
  client.close()
})

test('a token in the Authorization header works and wins over the query', async () => {
  const client = await Client.open(system, { headers: { Authorization: `Bearer ${user(system)}` }, query: '?token=nonsense' })
  assert.equal((await client.subscribe('table:public.users')).type, 'ack')
  client.close()
})

test('without a token the role is anon', async () => {
  await system.sql('create table members_only (id int primary key); grant select on members_only to authenticated')
  await system.sql(`select enable_realtime('members_only')`)
  const client = await Client.open(system)
  assert.equal((await client.subscribe('table:public.users')).type, 'ack')
  const refused = await client.subscribe('table:public.members_only')
  assert.equal(refused.code, 'FORBIDDEN')
  client.close()
})

test('ping is answered, heartbeat never', async () => {
  const client = await Client.open(system, { token: user(system) })
  for (let n = 0; n < 5; n++) client.send({ type: 'heartbeat' })
  assert.deepEqual(await client.drain(), [])
  client.close()
})

test('the server sends heartbeats and WebSocket pings, and closes a client that is silent', async () => {
  const quick = await System.start({ shards: 1, edges: 1, set: ['realtime.heartbeat_interval=200ms', 'realtime.connection_timeout=1s'] })
  try {
    const lively = await Client.open(quick)
    let pings = 0
    lively.socket.on('ping', () => { pings += 1 })
    const dead = await Client.open(quick, { options: { autoPong: false } })
    await lively.take(frame => frame.type === 'heartbeat')
    assert.equal((await dead.closing(10_000)).code, 1001)
    await until('several pings', () => pings >= 3)
    assert.equal(lively.closed, null, 'a client that answers pings stays')
    lively.close()
  } finally {
    await quick.stop()
  }
})

test('pg_logical_emit_message beside changes disturbs nothing', async () => {
  const client = await Client.open(system, { token: user(system) })
  await client.subscribe('table:public.users')
  await system.sql(`begin; select pg_logical_emit_message(true, 'app', 'x'); insert into users values (5, 'five');
    select pg_logical_emit_message(false, 'app', 'y'); commit`)
  const change = await client.change()
  assert.equal(change.payload.record.id, 5)
  assert.equal(change.payload.id.split('-')[2], '1', 'the transactional message took index 0')
  await system.sql('delete from users')
  client.close()
})

test('truncate is told', async () => {
  const client = await Client.open(system, { token: user(system) })
  await client.subscribe('table:public.users')
  await system.sql(`insert into users values (1, 'a')`)
  await client.change('INSERT')
  await system.sql('truncate users')
  const { commit_timestamp: _time, id, ...payload } = (await client.change('TRUNCATE')).payload
  assert.deepEqual(payload, { type: 'TRUNCATE', schema: 'public', table: 'users', last: true })
  assert.match(id, POSITION)
  client.close()
})
