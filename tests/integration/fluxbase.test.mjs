// What applications written for Fluxbase send, and what of it the other files do not show: free channel names, the forms of both SDKs, limits per
// connection, and what is not served. Two edges, two shards.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const RULES = 'broadcast:vip- join=role:service_role send=role:service_role; broadcast:news join=anyone send=nobody'

let system
before(async () => {
  system = await System.start({ set: ['realtime.free_channels=true', 'realtime.message_rate_limit=20', `channels.rules=${RULES}`] })
  await system.sql(`create table todos (id int primary key, title text, done boolean default false, tags text[], at timestamptz, price numeric, doc jsonb);
    grant select on todos to authenticated; select enable_realtime('todos')`)
  await system.settled()
})
after(() => system?.stop())

const open = (claims = {}, options = {}) => Client.open(system, { token: user(system, claims), ...options })
const answer = client => client.take(frame => frame.type === 'ack' || frame.type === 'error', { what: 'an answer' })

test('a free name is a channel for subscribe, broadcast and presence, under the name that its client uses', async () => {
  const [a, b] = [await open(), await open()]
  assert.deepEqual({ ...(await a.subscribe('room-1')), payload: null }, { type: 'ack', channel: 'room-1', status: 'subscribed', payload: null })
  const prefixed = await b.subscribe('broadcast:room-1')
  assert.equal(prefixed.type, 'ack')
  b.send({ type: 'broadcast', channel: 'broadcast:room-1', event: 'e', payload: 1, self: false })
  const heard = await a.take(frame => frame.type === 'broadcast')
  assert.deepEqual({ ...heard, id: '' }, { type: 'broadcast', channel: 'room-1', payload: 1, event: 'e', broadcast: { event: 'e', payload: 1 }, id: '' })
  a.send({ type: 'broadcast', channel: 'room-1', event: 'e', payload: 2, messageId: 'msg_1_1' })
  assert.deepEqual({ ...(await a.take(frame => frame.messageId)), id: '' }, { type: 'ack', channel: 'room-1', messageId: 'msg_1_1', status: 'ok', id: '' })
  assert.equal((await b.take(frame => frame.type === 'broadcast')).channel, 'broadcast:room-1')
  // Presence in the same room, as the SDK does it: both in one channel object.
  a.send({ type: 'presence', channel: 'room-1', event: 'track', payload: { key: 'ann', state: { at: 1 } } })
  for (const [client, channel] of [[a, 'room-1'], [b, 'broadcast:room-1']]) {
    assert.deepEqual(await client.take(frame => frame.type === 'presence'), { type: 'presence', channel,
      payload: { presence: { event: 'join', key: 'ann', newPresences: [{ at: 1 }], currentPresences: { ann: [{ at: 1 }] } } } })
  }
  a.send({ type: 'unsubscribe', channel: 'room-1' })
  assert.equal((await answer(a)).status, 'unsubscribed')
  assert.equal((await b.take(frame => frame.type === 'presence')).payload.presence.event, 'leave')
  // From SQL and over HTTP.
  await b.drain()
  await system.sql(`select pgtide.broadcast('room-1', 'sql', '3')`)
  assert.equal((await b.take(frame => frame.type === 'broadcast')).payload, 3)
  const posted = await fetch(`${system.http}/api/v1/realtime/broadcast`, { method: 'POST', body: JSON.stringify({ channel: 'room-1', message: { n: 4 } }),
    headers: { Authorization: `Bearer ${user(system, { role: 'service_role' })}` } })
  const body = await posted.json()
  assert.deepEqual([posted.status, body.success, body.channel], [200, true, 'room-1'])
  assert.deepEqual((await b.take(frame => frame.type === 'broadcast')).payload, { n: 4 })
  a.close(); b.close()
})

test('the rules of channels hold for free names, and prefixes are no free names', async () => {
  const client = await open()
  const refused = await client.subscribe('vip-lounge')
  assert.equal(refused.code, 'FORBIDDEN')
  assert.match(refused.message, /rule "broadcast:vip-"/)
  client.send({ type: 'broadcast', channel: 'vip-lounge', payload: 1 })
  assert.equal((await answer(client)).code, 'FORBIDDEN')
  client.send({ type: 'presence', channel: 'news', event: 'track', payload: { key: 'a' } })
  assert.equal((await answer(client)).code, 'FORBIDDEN')
  for (const name of ['table:', 'table:todos', 'presence:', 'broadcast:', 'realtime:admin:x', 'a\tb', 'x'.repeat(246), '']) {
    assert.equal((await client.subscribe(name)).code, 'INVALID_CHANNEL', JSON.stringify(name))
  }
  assert.equal((await client.subscribe('x'.repeat(245))).type, 'ack')
  client.close()
})

test('a table by channel, by config and by the older members, with the JSON of to_jsonb, on one connection', async () => {
  const client = await open()
  assert.equal((await client.subscribe('table:public.todos')).payload.event, '*')
  assert.equal((await client.subscribe('mine', { config: { event: 'INSERT', schema: 'public', table: 'todos', filter: 'done=is.false' } })).payload.filter, 'done=is.false')
  client.send({ type: 'subscribe', table: 'todos', event: 'DELETE' })
  assert.equal((await answer(client)).payload.event, 'DELETE')
  await system.sql(`insert into todos values (1, 'ä"\\', false, '{a,"b c"}', '2026-01-02 03:04:05+00', 1.10, '{"x":[1,null]}')`)
  const [{ row }] = await system.sql('select to_jsonb(t)::text as row from todos t')
  const frames = [await client.take(frame => frame.type === 'broadcast'), await client.take(frame => frame.type === 'postgres_changes')]
  for (const frame of frames) {
    assert.deepEqual(frame.payload.record, JSON.parse(row))
    assert.ok(!('old_record' in frame.payload), 'INSERT has no old_record')
  }
  assert.equal(frames[1].channel, 'mine')
  await system.sql('delete from todos')
  const gone = await client.take(frame => frame.type === 'postgres_changes')
  assert.equal(gone.channel, 'table:public.todos')
  assert.ok(!('record' in gone.payload), 'DELETE has no record')
  assert.deepEqual(gone.payload.old_record, JSON.parse(row))
  client.close()
})

test('what clients say to keep a connection costs nothing; one message in a minute more than allowed does', async () => {
  const client = await open()
  for (let i = 0; i < 50; i++) {
    client.send({ type: 'ping' })
    client.send({ type: 'heartbeat' })
  }
  client.send({ type: 'access_token', token: user(system, { again: 1 }) })
  let pongs = 0
  while (pongs < 50) pongs += (await client.take(frame => frame.type === 'pong')) ? 1 : 0
  await client.take(frame => frame.type === 'ack' && frame.payload.type === 'access_token' && frame.payload.updated === true)
  assert.deepEqual(await client.drain(), [], 'heartbeats are not answered')
  for (let i = 0; i < 25; i++) client.send({ type: 'broadcast', channel: 'flood', payload: i, self: false })
  const limited = await client.take(frame => frame.type === 'error')
  assert.deepEqual([limited.code, limited.channel, limited.message, limited.error],
    ['RATE_LIMITED', 'flood', 'message ignored: more than 20 messages per minute', 'message ignored: more than 20 messages per minute'])
  assert.equal(client.closed, null)
  // It is the connection's, as the seed's table has it, not the user's.
  const other = await open()
  assert.equal((await other.subscribe('flood')).type, 'ack')
  client.close(); other.close()
})

test('what is not served is refused by name and harms nothing', async () => {
  const client = await open()
  for (const message of [{ type: 'subscribe_logs', channel: 'logs', config: { execution_id: 'x', type: 'function' } }, { type: 'subscribe_all_logs', payload: {} }]) {
    client.send(message)
    const error = await answer(client)
    assert.deepEqual([error.code, error.message], ['SUBSCRIPTION_FAILED', `unknown message type "${message.type}"`])
  }
  assert.equal((await client.subscribe('table:public.todos')).type, 'ack')
  client.close()
})

test('a sub-protocol and compression that a client offers are not needed: it is served without', async () => {
  const client = await Client.open(system, { token: user(system), options: { perMessageDeflate: true } })
  assert.equal(client.socket.protocol, '')
  assert.equal((await client.subscribe('table:public.todos')).type, 'ack')
  client.close()
})
