// Presence channels, over two edges and two shards: who is there, who comes and goes, and what a killed edge and a killed shard change.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({
    set: ['realtime.message_rate_limit=0', 'links.lease=2s', 'channels.presence_grace=2s', 'channels.max_presences=20', 'channels.max_meta=100',
      'realtime.max_connections=5000', 'channels.rules=presence:team: join=claim:team=2 send=claim:team=2; presence:show join=anyone send=authenticated'],
  })
})
after(() => system?.stop())

const open = (claims = {}, options = {}) => Client.open(system, { token: user(system, claims), ...options })
const track = (client, channel, key, state) => client.send({ type: 'presence', channel, event: 'track', payload: { key, ...(state === undefined ? {} : { state }) } })
const untrack = (client, channel, key) => client.send({ type: 'presence', channel, event: 'untrack', payload: { key } })
const isPresence = (frame, event) => frame.type === 'presence' && (!event || frame.payload.presence.event === event)
const presence = async (client, event, options) =>
  (await client.take(frame => isPresence(frame, event), { what: `presence ${event ?? ''}`, ...options })).payload.presence
const quiet = async client => (await client.drain()).filter(frame => frame.type !== 'heartbeat')
const sorted = object => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
async function joined(channel, claims = {}) {
  const client = await open(claims)
  const ack = await client.subscribe(channel)
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  return client
}
// Waits until the room is as said, by whatever frames.
async function sees(client, wanted, options = {}) {
  for (;;) {
    const frame = await presence(client, undefined, { what: `the room as ${JSON.stringify(wanted)}`, ...options })
    if (JSON.stringify(sorted(frame.currentPresences)) === JSON.stringify(sorted(wanted))) return frame
  }
}
async function edgeOf(make) {
  const count = () => Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_connections')))
  const were = await count()
  const client = await make()
  const at = await until('the connection counts', async () => {
    const found = (await count()).findIndex((now, edge) => now > were[edge])
    return found >= 0 && `edge-${found}`
  })
  return { client, edge: at }
}
// Two clients that are on different edges.
async function onBothEdges(make) {
  const first = await edgeOf(make)
  for (;;) {
    const second = await edgeOf(make)
    if (second.edge !== first.edge) return [first, second]
    const total = () => Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_connections'))).then(([a, b]) => a + b)
    const with2 = await total()
    second.client.close()
    await until('it is gone', async () => (await total()) < with2)
  }
}

test('join, another state, leave: told to everybody on both edges, the sender included', async () => {
  const [{ client: a }, { client: b }] = await onBothEdges(() => joined('presence:room'))
  track(a, 'presence:room', 'ann', { at: 1 })
  for (const client of [a, b]) {
    assert.deepEqual(await presence(client), { event: 'join', key: 'ann', newPresences: [{ at: 1 }], currentPresences: { ann: [{ at: 1 }] } })
  }
  // The other form of the message.
  b.send({ type: 'presence', channel: 'presence:room', payload: { event: 'track', key: 'bob', state: 'here' } })
  for (const client of [a, b]) {
    assert.deepEqual(await presence(client), { event: 'join', key: 'bob', newPresences: ['here'], currentPresences: { ann: [{ at: 1 }], bob: ['here'] } })
  }
  track(a, 'presence:room', 'ann', { at: 2 })
  for (const client of [a, b]) assert.deepEqual(await presence(client), { event: 'sync', currentPresences: { ann: [{ at: 2 }], bob: ['here'] } })
  track(a, 'presence:room', 'ann', { at: 2 }) // nothing new
  b.send({ type: 'presence', channel: 'presence:room', payload: { event: 'untrack', key: 'bob' } })
  for (const client of [a, b]) {
    assert.deepEqual(await presence(client), { event: 'leave', key: 'bob', leftPresences: ['here'], currentPresences: { ann: [{ at: 2 }] } })
  }
  untrack(a, 'presence:room', 'ann')
  for (const client of [a, b]) assert.deepEqual(await presence(client, 'leave'), { event: 'leave', key: 'ann', leftPresences: [{ at: 2 }], currentPresences: {} })
  untrack(a, 'presence:room', 'ann')
  assert.match((await a.take(frame => frame.type === 'error')).message, /not present in presence:room/)
  for (const client of [a, b]) assert.deepEqual(await quiet(client), [])
  a.close(); b.close()
})

test('who subscribes to a room that is not empty gets a sync; who tracks is subscribed', async () => {
  const a = await open()
  track(a, 'presence:sync', 'ann')
  assert.deepEqual(await presence(a), { event: 'join', key: 'ann', newPresences: [{}], currentPresences: { ann: [{}] } })
  const [{ client: b }, { client: c }] = await onBothEdges(() => joined('presence:sync'))
  for (const client of [b, c]) assert.deepEqual(await presence(client), { event: 'sync', currentPresences: { ann: [{}] } })
  assert.deepEqual(await quiet(a), [])
  const empty = await joined('presence:empty')
  assert.deepEqual(await quiet(empty), [])
  for (const client of [a, b, c, empty]) client.close()
})

test('a key is there as long as one connection has it; a closed connection leaves', async () => {
  const watcher = await joined('presence:tabs')
  const [one, two] = [await open(), await open()]
  track(one, 'presence:tabs', 'ann', 1)
  assert.equal((await presence(watcher)).event, 'join')
  track(two, 'presence:tabs', 'ann', 2)
  assert.deepEqual(await presence(watcher), { event: 'sync', currentPresences: { ann: [1, 2] } })
  one.close()
  assert.deepEqual(await presence(watcher), { event: 'sync', currentPresences: { ann: [2] } })
  two.close()
  assert.deepEqual(await presence(watcher), { event: 'leave', key: 'ann', leftPresences: [2], currentPresences: {} })
  const three = await open()
  track(three, 'presence:tabs', 'ann', 3)
  assert.equal((await presence(watcher)).event, 'join')
  three.send({ type: 'unsubscribe', channel: 'presence:tabs' })
  assert.equal((await presence(watcher)).event, 'leave')
  three.close(); watcher.close()
})

test('a connection may have several keys, up to 16; a room up to channels.max_presences; states are limited', async () => {
  const watcher = await joined('presence:limits')
  const client = await open()
  for (let i = 0; i < 17; i++) track(client, 'presence:limits', `k${i}`, i)
  assert.match((await client.take(frame => frame.type === 'error')).message, /too many presence keys/)
  const all = count => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, [i]]))
  await sees(watcher, all(16))
  const other = await open()
  for (let i = 16; i < 21; i++) track(other, 'presence:limits', `k${i}`, i)
  assert.match((await other.take(frame => frame.type === 'error')).message, /the room is full \(channels.max_presences\)/)
  await sees(watcher, all(20))
  track(client, 'presence:limits', 'k0', 'x'.repeat(100))
  assert.match((await client.take(frame => frame.type === 'error')).message, /too large \(channels.max_meta\)/)
  track(client, 'presence:limits', 'k'.repeat(256), 1)
  assert.equal((await client.take(frame => frame.type === 'error')).code, 'SUBSCRIPTION_FAILED')
  client.close()
  await sees(watcher, Object.fromEntries([16, 17, 18, 19].map(i => [`k${i}`, [i]])))
  other.close(); watcher.close()
})

test('rules hold for presence; a new token has its own', async () => {
  const anon = await Client.open(system)
  assert.equal((await anon.subscribe('presence:show')).type, 'ack')
  track(anon, 'presence:show', 'nobody', 1)
  assert.equal((await anon.take(frame => frame.type === 'error')).code, 'UNAUTHORIZED')
  const ann = await joined('presence:team:red', { team: 'red' })
  track(ann, 'presence:team:red', 'ann', 1)
  assert.equal((await presence(ann)).event, 'join')
  const refused = await ann.subscribe('presence:team:blue')
  assert.equal(refused.code, 'FORBIDDEN')
  assert.match(refused.message, /rule "presence:team:" asks for a token whose claim team is part 2/)
  track(ann, 'presence:show', 'ann', 1)
  assert.equal((await presence(anon)).key, 'ann')
  // A refreshed token of the same rights: nobody hears of it.
  ann.send({ type: 'access_token', token: user(system, { team: 'red', fresh: 1 }) })
  await ann.take(frame => frame.type === 'ack' && frame.payload.updated)
  track(ann, 'presence:team:red', 'ann', 2)
  assert.deepEqual(await presence(ann, 'sync'), { event: 'sync', currentPresences: { ann: [2] } })
  assert.deepEqual(await quiet(anon), [])
  // One that may not be there any more.
  const watcher = await joined('presence:team:red', { team: 'red' })
  assert.equal((await presence(watcher)).event, 'sync')
  ann.send({ type: 'access_token', token: user(system, { team: 'blue' }) })
  assert.equal((await ann.take(frame => frame.type === 'error')).code, 'FORBIDDEN')
  assert.deepEqual(await presence(watcher), { event: 'leave', key: 'ann', leftPresences: [2], currentPresences: {} })
  for (const client of [anon, ann, watcher]) client.close()
})

test('many who come at once are told in few frames', async () => {
  const watcher = await joined('presence:crowd')
  const clients = await Promise.all(Array.from({ length: 20 }, () => open()))
  clients.forEach((client, i) => track(client, 'presence:crowd', `k${i}`, i))
  await sees(watcher, Object.fromEntries(clients.map((_, i) => [`k${i}`, [i]])))
  for (const client of clients) client.close()
  await sees(watcher, {})
  watcher.close()
})

test('a killed edge: its keys leave after the lease, the others stay', async () => {
  const [first, second] = await onBothEdges(() => joined('presence:edges'))
  track(first.client, 'presence:edges', 'stays', 1)
  track(second.client, 'presence:edges', 'goes', 2)
  await sees(first.client, { stays: [1], goes: [2] })
  await system.kill(second.edge)
  assert.deepEqual(await presence(first.client, 'leave'), { event: 'leave', key: 'goes', leftPresences: [2], currentPresences: { stays: [1] } })
  system.start(second.edge)
  await system.allReady()
  first.client.close()
})

test('killed shards: nobody hears that somebody left and came; who really leaves meanwhile is told when the room settles', async () => {
  const rooms = ['presence:r0', 'presence:r1', 'presence:r2', 'presence:r3']
  const watcher = await open()
  const stays = await open()
  const goes = await open()
  for (const room of rooms) {
    await watcher.subscribe(room)
    track(stays, room, 'stays', 1)
    track(goes, room, 'goes', 2)
  }
  const seen = Object.fromEntries(rooms.map(room => [room, {}]))
  while (rooms.some(room => Object.keys(seen[room]).length < 2)) {
    const frame = await watcher.take(each => each.type === 'presence')
    seen[frame.channel] = frame.payload.presence.currentPresences
  }
  await watcher.drain()
  for (const shard of ['broker-0', 'broker-1']) await system.kill(shard)
  for (const shard of ['broker-0', 'broker-1']) system.start(shard)
  await system.allReady()
  goes.close()
  const left = new Set()
  while (left.size < rooms.length) {
    const frame = await watcher.take(each => each.type === 'presence')
    assert.deepEqual(frame.payload.presence, { event: 'leave', key: 'goes', leftPresences: [2], currentPresences: { stays: [1] } }, frame.channel)
    left.add(frame.channel)
  }
  // Everything goes on: what is said now is heard, and nothing else was said.
  for (const room of rooms) track(stays, room, 'stays', 'again')
  const again = new Set()
  while (again.size < rooms.length) {
    const frame = await watcher.take(each => each.type === 'presence')
    assert.deepEqual(frame.payload.presence, { event: 'sync', currentPresences: { stays: ['again'] } }, frame.channel)
    again.add(frame.channel)
  }
  const late = await joined('presence:r0')
  assert.deepEqual(await presence(late), { event: 'sync', currentPresences: { stays: ['again'] } })
  for (const client of [watcher, stays, late]) client.close()
})

test('a message to a presence channel reaches those who are in it', async () => {
  const [a, b] = [await joined('presence:talk'), await joined('presence:talk')]
  a.send({ type: 'broadcast', channel: 'presence:talk', event: 'wave', payload: { to: 'all' } })
  assert.equal((await b.take(frame => frame.type === 'broadcast')).event, 'wave')
  a.close(); b.close()
})
