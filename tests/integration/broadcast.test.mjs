// Broadcast channels: from clients and from SQL, over two edges and two shards; who may; what is kept; and what a killed shard costs.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const RULES = [
  'broadcast:open:* join=anyone send=nobody', // the star is a character like any other
  'broadcast:lobby join=anyone send=authenticated',
  'broadcast:org: join=claim:org=2 send=role:service_role',
  'broadcast:quiet join=authenticated send=nobody',
].join('; ')

let system
before(async () => {
  system = await System.start({
    set: ['realtime.message_rate_limit=0', 'realtime.heartbeat_interval=200ms', 'realtime.max_connections=5000', 'channels.channel_replay_bytes=20KiB',
      `channels.rules=${RULES}`],
  })
  await system.sql(`create table notes (id int primary key, v text); grant select on notes to authenticated; select enable_realtime('notes')`)
  await system.settled()
})
after(() => system?.stop())

const open = (claims = {}, options = {}) => Client.open(system, { token: user(system, claims), ...options })
const message = (client, what = 'a message', options = {}) => client.take(frame => frame.type === 'broadcast' && frame.broadcast !== undefined, { what, ...options })
const say = (client, channel, payload, more = {}) => client.send({ type: 'broadcast', channel, payload, ...more })
const quiet = async client => (await client.drain()).filter(frame => frame.type !== 'heartbeat')
async function joined(channel, more = {}, claims = {}, options = {}) {
  const client = await open(claims, options)
  const ack = await client.subscribe(channel, more)
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  return Object.assign(client, { ack })
}
// Two clients that are on different edges: the kernel deals connections out, so some are opened until it has.
async function onBothEdges(make) {
  const count = () => Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_connections')))
  const found = [null, null]
  while (found.includes(null)) {
    const were = await count()
    const client = await make()
    const are = await count()
    const at = are.findIndex((now, edge) => now > were[edge])
    if (found[at]) client.close()
    else found[at] = client
    await until('the count is steady', async () => (await count()).reduce((sum, each) => sum + each) === were.reduce((sum, each) => sum + each) + (found[at] === client ? 1 : 0))
  }
  return found
}

test('a message reaches everybody in the channel, on both edges, with the frame of seed and SDK; the sender with self', async () => {
  const [a, b] = await onBothEdges(() => joined('broadcast:chat'))
  assert.deepEqual({ ...a.ack, payload: { ...a.ack.payload, subscription_id: '', id: '' } }, {
    type: 'ack', channel: 'broadcast:chat', status: 'subscribed',
    payload: { subscribed: true, channel: 'broadcast:chat', subscription_id: '', id: '', resumed: false },
  })
  const payload = { message: 'Hello World', user: 'john', exact: 1.10 }
  a.send(`{"type":"broadcast","channel":"broadcast:chat","event":"talk","payload":{"message":"Hello World", "user":"john","exact":1.10},"messageId":"msg_1_1"}`)
  const ack = await a.take(frame => frame.type === 'ack' && frame.messageId === 'msg_1_1')
  const own = await message(a)
  const other = await message(b)
  assert.deepEqual({ ...ack, id: '' }, { type: 'ack', channel: 'broadcast:chat', messageId: 'msg_1_1', status: 'ok', id: '' })
  assert.deepEqual(other, { type: 'broadcast', channel: 'broadcast:chat', payload, event: 'talk', broadcast: { event: 'talk', payload }, id: other.id })
  assert.deepEqual(own, { ...other, broadcast: { event: 'talk', payload, self: true } })
  assert.equal(ack.id, other.id)
  say(b, 'broadcast:chat', 'back', { self: false })
  assert.equal((await message(a)).payload, 'back')
  assert.deepEqual(await quiet(b), [], 'self: false: not to the sender; and no ack without a messageId')
  a.close(); b.close()
})

test('who sends is in the channel from then on; a later subscribe is acknowledged; unsubscribe ends it', async () => {
  const [a, b] = [await open(), await open()]
  say(a, 'broadcast:implicit', 1)
  assert.equal((await message(a)).event, 'broadcast')
  say(b, 'broadcast:implicit', 2)
  assert.equal((await message(a)).payload, 2)
  const ack = await a.subscribe('broadcast:implicit')
  assert.equal(ack.status, 'subscribed')
  assert.equal((await a.subscribe('broadcast:implicit')).code, 'SUBSCRIPTION_FAILED')
  a.send({ type: 'unsubscribe', channel: 'broadcast:implicit' })
  assert.equal((await a.take(frame => frame.type === 'ack')).status, 'unsubscribed')
  say(b, 'broadcast:implicit', 3, { messageId: 'm' })
  await b.take(frame => frame.messageId === 'm')
  assert.deepEqual(await quiet(a), [])
  a.close(); b.close()
})

test('everybody gets messages in the same order, each once', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => joined('broadcast:order')))
  const count = 60
  for (let i = 0; i < count; i++) say(clients[i % clients.length], 'broadcast:order', i)
  const seen = []
  for (const client of clients) {
    const got = []
    while (got.length < count) got.push((await message(client)).payload)
    seen.push(got)
  }
  assert.deepEqual([...seen[0]].sort((x, y) => x - y), Array.from({ length: count }, (_, i) => i))
  for (const each of seen) assert.deepEqual(each, seen[0])
  for (const client of clients) client.close()
})

test('from SQL: at commit, not after a rollback, with what a client sends in between', async () => {
  const client = await joined('broadcast:sql')
  await system.session(async db => {
    await db.query('begin')
    await db.query(`select pgtide.broadcast('sql', 'made', '{"n": 1}')`)
    assert.deepEqual(await quiet(client), [], 'not before the commit')
    await db.query('commit')
    await db.query('begin')
    await db.query(`select pgtide.broadcast('sql', 'never', '{}')`)
    await db.query('rollback')
    await db.query(`select pgtide.broadcast('sql', 'made', null), pgtide.broadcast('elsewhere', 'made', '0')`)
  })
  const first = await message(client)
  assert.deepEqual(first, { type: 'broadcast', channel: 'broadcast:sql', payload: { n: 1 }, event: 'made', broadcast: { event: 'made', payload: { n: 1 } }, id: first.id })
  assert.equal((await message(client)).payload, null)
  assert.deepEqual(await quiet(client), [])
  for (const bad of [`pgtide.broadcast('', 'e', '1')`, `pgtide.broadcast(E'a\\nb', 'e', '1')`, `pgtide.broadcast('a', E'\\t', '1')`,
    `pgtide.broadcast(repeat('x', 246), 'e', '1')`, `pgtide.broadcast('a', 'e', to_jsonb(repeat('x', 1048576)))`]) {
    await assert.rejects(system.sql(`select ${bad}`), bad)
  }
  // What does not come from pgtide.broadcast() is looked at as if a client had said it.
  await system.sql(`select pg_logical_emit_message(true, 'pgtide.broadcast', E'broadcast:sql\\nforged\\n{"broken')`)
  await system.sql(`select pg_logical_emit_message(false, 'pgtide.broadcast', E'broadcast:sql\\nforged\\n1')`)
  await system.sql(`select pgtide.broadcast('sql', 'after', '2')`)
  assert.equal((await message(client)).event, 'after')
  client.close()
})

test('from SQL: in order with the row changes of the transaction, exactly on a connection of whole transactions', async () => {
  const client = await open({}, { transactions: true })
  for (const channel of ['table:public.notes', 'broadcast:mixed', 'broadcast:mixed-2']) assert.equal((await client.subscribe(channel)).type, 'ack')
  for (let round = 0; round < 10; round++) {
    await system.session(async db => {
      await db.query('begin')
      await db.query(`insert into notes values (${round * 10}, 'a')`)
      await db.query(`select pgtide.broadcast('mixed', 'e', '"b"')`)
      await db.query(`insert into notes values (${round * 10 + 1}, 'c')`)
      await db.query(`select pgtide.broadcast('mixed-2', 'e', '"d"')`)
      await db.query(`delete from notes where id = ${round * 10}`)
      await db.query('commit')
    })
    const got = []
    for (;;) {
      const frame = await client.take(each => each.type === 'broadcast' || each.type === 'commit')
      if (frame.type === 'commit') {
        assert.equal(frame.payload.changes, 5)
        break
      }
      got.push(frame.broadcast ? frame.payload : (frame.payload.record ?? { v: 'e' }).v)
    }
    assert.deepEqual(got, ['a', 'b', 'c', 'd', 'e'])
  }
  client.close()
})

test('from SQL: behind the changes before it, on any connection, where table and channel share a shard', async () => {
  const shards = {}
  for (const name of ['s0', 's1', 's2', 's3']) { // find a topic on the shard of the table
    const were = await Promise.all([0, 1].map(shard => system.metric(`broker-${shard}`, 'pgtide_broker_channel_messages_total', 'sql')))
    await system.sql(`select pgtide.broadcast('${name}', 'e', '1')`)
    shards[name] = await until('it is on some shard', async () => {
      const are = await Promise.all([0, 1].map(shard => system.metric(`broker-${shard}`, 'pgtide_broker_channel_messages_total', 'sql')))
      const at = are.findIndex((now, shard) => now > were[shard])
      return at >= 0 && `shard ${at}`
    })
  }
  const client = await joined('table:public.notes')
  for (const name of Object.keys(shards)) await client.subscribe(`broadcast:${name}`)
  const on = [0, 1].map(shard => Object.keys(shards).find(name => shards[name] === `shard ${shard}`))
  assert.ok(on[0] && on[1], JSON.stringify(shards))
  await system.session(async db => {
    await db.query('begin')
    for (let i = 0; i < 4; i++) {
      await db.query(`insert into notes values (${1000 + i}, '${i}')`)
      await db.query(`select pgtide.broadcast('${on[0]}', 'e', '${i}'), pgtide.broadcast('${on[1]}', 'e', '${i}')`)
    }
    await db.query('commit')
  })
  const got = { changes: [], [on[0]]: [], [on[1]]: [] }
  const orders = []
  for (let i = 0; i < 12; i++) {
    const frame = await client.take(each => each.type === 'broadcast')
    const name = frame.broadcast ? frame.channel.slice(10) : 'changes'
    got[name].push(frame.broadcast ? frame.payload : Number(frame.payload.record.v))
    orders.push(`${name}:${got[name].at(-1)}`)
  }
  for (const each of Object.values(got)) assert.deepEqual(each, [0, 1, 2, 3])
  const inOrder = name => orders.filter(each => each.startsWith('changes') || each.startsWith(`${name}:`)).join(' ') ===
    [0, 1, 2, 3].map(i => `changes:${i} ${name}:${i}`).join(' ')
  assert.ok(inOrder(on[0]) || inOrder(on[1]), orders.join(' '))
  client.close()
})

test('rules: who may join and who may send; a refusal names the rule', async () => {
  const anon = await Client.open(system)
  const ann = await open({ org: 'acme' })
  const orgs = await open({ org: ['other', 'acme'] })
  const service = await open({ role: 'service_role' })
  assert.equal((await anon.subscribe('broadcast:lobby')).type, 'ack')
  assert.equal((await anon.subscribe('broadcast:open:*')).type, 'ack')
  const refused = await anon.subscribe('broadcast:chat')
  assert.equal(refused.code, 'UNAUTHORIZED')
  assert.match(refused.message, /rule "default" asks for a token/)
  say(anon, 'broadcast:lobby', 1)
  assert.equal((await anon.take(frame => frame.type === 'error')).code, 'UNAUTHORIZED')

  assert.equal((await ann.subscribe('broadcast:org:acme')).type, 'ack')
  assert.equal((await orgs.subscribe('broadcast:org:acme')).type, 'ack')
  assert.equal((await service.subscribe('broadcast:org:acme')).type, 'ack')
  const other = await ann.subscribe('broadcast:org:other')
  assert.equal(other.code, 'FORBIDDEN')
  assert.match(other.message, /not allowed to join this channel: rule "broadcast:org:" asks for a token whose claim org is part 2 of the channel/)
  say(ann, 'broadcast:org:acme', 1)
  const error = await ann.take(frame => frame.type === 'error')
  assert.equal(error.code, 'FORBIDDEN')
  assert.match(error.message, /not allowed to send to this channel: rule "broadcast:org:" asks for role service_role/)
  say(service, 'broadcast:org:acme', 'from the service')
  assert.equal((await message(ann)).payload, 'from the service')
  assert.equal((await message(orgs)).payload, 'from the service')

  assert.equal((await ann.subscribe('broadcast:quiet')).type, 'ack')
  say(ann, 'broadcast:quiet', 1)
  assert.match((await ann.take(frame => frame.type === 'error')).message, /asks for nobody/)
  await system.sql(`select pgtide.broadcast('quiet', 'e', '"from SQL"')`)
  assert.equal((await message(ann)).payload, 'from SQL')
  // A new token has its own rights: what it may not join ends.
  ann.send({ type: 'access_token', token: user(system, { org: 'elsewhere' }) })
  const over = await ann.take(frame => frame.type === 'error' && frame.channel === 'broadcast:org:acme')
  assert.equal(over.code, 'FORBIDDEN')
  await system.sql(`select pgtide.broadcast('quiet', 'e', '"still here"')`)
  assert.equal((await message(ann)).payload, 'still here')
  for (const client of [anon, ann, orgs, service]) client.close()
})

test('since: what came after a message, once and in order; gone when it is not kept any more', async () => {
  const client = await joined('broadcast:kept')
  const sender = await joined('broadcast:kept')
  const sent = async i => { // one after the other, or SQL and clients would race
    if (i % 3 === 0) await system.sql(`select pgtide.broadcast('kept', 'e', '${i}')`)
    else say(sender, 'broadcast:kept', i)
    assert.equal((await message(sender)).payload, i)
  }
  for (let i = 0; i < 4; i++) await sent(i)
  const seen = []
  while (seen.length < 4) seen.push(await message(client))
  client.close()
  for (let i = 4; i < 6; i++) await sent(i)

  const again = await joined('broadcast:kept', { since: seen[1].id })
  assert.equal(again.ack.payload.resumed, true)
  assert.equal(again.ack.payload.id, seen[1].id)
  const rest = []
  while (rest.length < 4) rest.push(await message(again))
  assert.deepEqual(rest.map(each => each.payload), [2, 3, 4, 5])
  assert.deepEqual(rest[0].id, seen[2].id)
  say(sender, 'broadcast:kept', 'live')
  assert.equal((await message(again)).payload, 'live')
  assert.deepEqual(await quiet(again), [])

  for (let i = 0; i < 30; i++) say(sender, 'broadcast:kept', 'x'.repeat(1000))
  const last = []
  while (last.length < 30) last.push(await message(again))
  const late = await open()
  const gone = await late.subscribe('broadcast:kept', { since: seen[1].id })
  assert.deepEqual([gone.type, gone.code, gone.payload.reason], ['error', 'RESUME_GONE', 'too_old'])
  const some = await late.subscribe('broadcast:kept', { since: last[25].id })
  assert.equal(some.payload.resumed, true)
  for (let i = 26; i < 30; i++) assert.equal((await message(late)).id, last[i].id)
  for (const each of [again, sender, late]) each.close()
})

test('over HTTP: a message from a server with a service token; everybody else is refused', async () => {
  const client = await joined('broadcast:http')
  const post = async (body, token = user(system, { role: 'service_role' }), method = 'POST') => {
    const answer = await fetch(`${system.http}/api/v1/realtime/broadcast`, {
      method, headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, ...(answer.headers.get('content-type').includes('json') ? JSON.parse(text) : { text }) }
  }
  const first = await post({ channel: 'broadcast:http', message: { n: 1 } })
  assert.deepEqual({ ...first, id: '' }, { status: 200, success: true, channel: 'broadcast:http', id: '' })
  const frame = await message(client)
  assert.deepEqual(frame, { type: 'broadcast', channel: 'broadcast:http', payload: { n: 1 }, event: 'broadcast', broadcast: { event: 'broadcast', payload: { n: 1 } }, id: first.id })
  assert.equal((await post({ channel: 'broadcast:http', event: 'made', payload: 2 })).success, true)
  assert.equal((await message(client)).event, 'made')
  // The service may send where clients may not.
  assert.equal((await post({ channel: 'broadcast:quiet', message: 1 })).status, 200)

  assert.equal((await post({ channel: 'broadcast:http', message: 1 }, null)).status, 401)
  assert.equal((await post({ channel: 'broadcast:http', message: 1 }, 'bad')).status, 401)
  assert.equal((await post({ channel: 'broadcast:http', message: 1 }, user(system))).status, 403)
  assert.equal((await post('', undefined, 'GET')).status, 405)
  for (const body of ['', '{', '[]', {}, { channel: 'broadcast:http' }, { channel: 'table:public.notes', message: 1 }, { channel: 7, message: 1 }]) {
    const answer = await post(body)
    assert.deepEqual([answer.status, answer.success], [400, false], JSON.stringify(body))
  }
  assert.equal((await post({ channel: 'broadcast:http', message: 'x'.repeat(70_000) })).status, 413)
  assert.deepEqual(await quiet(client), [])
  client.close()
})

test('limits: subscriptions of a connection, the length of a name, and what is not a channel', async () => {
  const client = await open()
  for (const channel of ['broadcast:', 'presence:', `broadcast:${'x'.repeat(246)}`, 'broadcast:\u0001', 'room-1']) {
    assert.equal((await client.subscribe(channel)).code, 'INVALID_CHANNEL', channel)
    say(client, channel, 1)
    assert.equal((await client.take(frame => frame.type === 'error')).code, 'INVALID_CHANNEL', channel)
  }
  for (let i = 0; i < 100; i++) assert.equal((await client.subscribe(`broadcast:limit-${i}`)).type, 'ack')
  const refused = await client.subscribe('broadcast:limit-100')
  assert.equal(refused.code, 'SUBSCRIPTION_FAILED')
  assert.match(refused.message, /may have 100/)
  client.close()
})

// The last one: an edge may learn late that its shard is another one.
test('a killed shard: members go on, SQL messages come once each, and a gap says that clients may have been lost', async () => {
  const names = ['k0', 'k1', 'k2', 'k3']
  const client = await open()
  const sender = await open()
  for (const name of names) assert.equal((await client.subscribe(`broadcast:${name}`)).type, 'ack')
  for (let i = 0; i < 5; i++) for (const name of names) await system.sql(`select pgtide.broadcast('${name}', 'e', '${i}')`)
  await system.kill('broker-0')
  for (let i = 5; i < 10; i++) for (const name of names) await system.sql(`select pgtide.broadcast('${name}', 'e', '${i}')`)
  system.start('broker-0')
  for (let i = 10; i < 15; i++) for (const name of names) await system.sql(`select pgtide.broadcast('${name}', 'e', '${i}')`)
  const got = Object.fromEntries(names.map(name => [name, []]))
  for (let i = 0; i < 15 * names.length; i++) {
    const frame = await message(client, 'every message', { deadline: 60_000 })
    got[frame.channel.slice(10)].push(frame.payload)
  }
  for (const name of names) assert.deepEqual(got[name], Array.from({ length: 15 }, (_, i) => i), name)
  const gaps = client.frames.filter(frame => frame.type === 'gap').map(frame => frame.channel)
  assert.ok(gaps.length > 0 && gaps.length < names.length, `only those of the shard that was killed: ${gaps}`)
  await until('clients can send again', async () => {
    say(sender, gaps[0], 'alive', { messageId: 'again' })
    return (await sender.take(frame => frame.type === 'error' || frame.messageId === 'again')).type === 'ack'
  }, { every: 200 })
  assert.equal((await message(client)).payload, 'alive')
  client.close(); sender.close()
  await system.allReady()
})
