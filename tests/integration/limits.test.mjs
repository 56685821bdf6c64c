// Connections of a user, counted over two edges by the shard of the user: the limit of the seed, with its code; what killed shards and edges make of it.
// Connections of an address. Two edges share one port, and the kernel deals connections out, so a client is opened until it is where it is wanted.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const EDGES = ['edge-0', 'edge-1']
const SHARDS = ['broker-0', 'broker-1']

let system
before(async () => {
  system = await System.start({
    set: ['realtime.max_connections_per_user=10', 'realtime.max_connections_per_ip=40', 'realtime.unauthorized_delay=100ms', 'links.lease=2s', 'realtime.message_rate_limit=0'],
  })
})
after(() => system?.stop())

const sum = async (names, metric, labels) => (await Promise.all(names.map(name => system.metric(name, metric, labels)))).reduce((a, b) => a + b)
const seated = () => sum(SHARDS, 'pgtide_broker_seats')
const connected = () => sum(EDGES, 'pgtide_edge_connections')
const refused = by => sum(EDGES, 'pgtide_edge_seats_refused_total', `by="${by}"`)
const open = (sub, options = {}) => Client.open(system, { token: user(system, { sub }), ...options })
const opened = () => Promise.all(EDGES.map(name => system.metric(name, 'pgtide_edge_connections_total', 'fluxbase')))

// A client of this user on this edge, counted by its shard.
async function place(edge, sub) {
  for (;;) {
    const [before, seats] = [await opened(), await seated()]
    const client = await open(sub)
    const at = await until('the connection is counted', async () => EDGES[(await opened()).findIndex((count, i) => count > before[i])])
    if (at === edge) {
      await until('the shard has counted it', async () => (await seated()) === seats + 1)
      return client
    }
    client.close()
    await until('its seat is free again', async () => (await seated()) === seats)
  }
}

async function closeAll(clients) {
  for (const client of clients) client.close()
  await until('all are gone', async () => (await seated()) === 0 && (await connected()) === 0)
}

async function sentAway(client) {
  const error = await client.take(frame => frame.type === 'error', { what: 'the refusal' })
  assert.deepEqual(error, { type: 'error', code: 'RATE_LIMITED', message: 'Too many connections: a user may have 10', error: 'Too many connections: a user may have 10' })
  const { code, reason } = await client.closing()
  assert.equal(code, 1013)
  assert.match(reason, /^too many connections of this user; retry_ms=\d+$/)
}

async function alive(clients) {
  for (const client of clients) assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
}

test('ten connections of a user, five on each edge; the eleventh is sent away wherever it comes; others are not concerned', async () => {
  const clients = []
  for (let i = 0; i < 10; i++) clients.push(await place(EDGES[i % 2], 'ann'))
  assert.deepEqual(await Promise.all(EDGES.map(name => system.metric(name, 'pgtide_edge_seats'))), [5, 5])
  for (let i = 0; i < 4; i++) await sentAway(await open('ann'))
  assert.equal(await refused('shard'), 4)
  assert.equal(await refused('edge'), 0)
  assert.equal(await sum(SHARDS, 'pgtide_broker_seats_refused_total'), 4)
  // Another user, a token without a user, and nobody at all.
  const others = [await open('bob'), await open(undefined), await Client.open(system)]
  for (const client of others) assert.deepEqual(await client.drain(), [])
  await until('they are counted', async () => (await seated()) === 11)
  await alive(clients)
  // One leaves, one comes.
  clients.pop().close()
  await until('the seat is free', async () => (await seated()) === 10)
  clients.push(await open('ann'))
  await until('it is taken', async () => (await seated()) === 11)
  await alive(clients)
  await closeAll([...clients, ...others])
})

test('many connections at one moment on both edges: ten stay', async () => {
  const clients = await Promise.all(Array.from({ length: 30 }, () => open('cem')))
  const gone = () => clients.filter(client => client.closed)
  await until('twenty are gone', () => gone().length === 20)
  for (const client of gone()) {
    assert.equal(client.closed.code, 1013)
    assert.equal(client.frames.find(frame => frame.type === 'error')?.code, 'RATE_LIMITED')
  }
  const rest = clients.filter(client => !client.closed)
  await alive(rest)
  await until('ten are counted', async () => (await seated()) === 10)
  await closeAll(rest)
})

test('a client that is sent away gets nothing more, and what it had asked for ends', async () => {
  await system.sql(`create table if not exists t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
  await system.settled()
  const clients = []
  for (let i = 0; i < 10; i++) clients.push(await place(EDGES[i % 2], 'dan'))
  const late = await open('dan')
  for (const channel of ['table:public.t', 'broadcast:dan', 'presence:dan']) late.send({ type: 'subscribe', channel })
  await late.closing()
  assert.equal(late.frames.filter(frame => frame.type === 'error').length, 1)
  await until('no subscription is left', async () => (await sum(SHARDS, 'pgtide_broker_subscriptions')) === 0 && (await sum(SHARDS, 'pgtide_broker_channel_subscriptions')) === 0)
  await closeAll(clients)
})

test('access_token of another user moves the seat; of one who has ten, the connection ends', async () => {
  const client = await place('edge-0', 'eve')
  client.send({ type: 'access_token', token: user(system, { sub: 'eve', fresh: 1 }) })
  await client.take(frame => frame.type === 'ack' && frame.payload.updated)
  assert.equal(await seated(), 1)
  const full = []
  for (let i = 0; i < 10; i++) full.push(await place(EDGES[i % 2], 'fay'))
  client.send({ type: 'access_token', token: user(system, { sub: 'fay' }) })
  await client.take(frame => frame.type === 'error' && frame.code === 'RATE_LIMITED')
  assert.equal((await client.closing()).code, 1013)
  await until('only one user is counted', async () => (await sum(SHARDS, 'pgtide_broker_seated_users')) === 1)
  await closeAll(full)
})

test('killed shards: nobody is sent away, who comes meanwhile is let in up to the limit of the edge, and the limit holds again', async () => {
  const clients = []
  for (let i = 0; i < 10; i++) clients.push(await place(EDGES[i % 2], 'ann'))
  const before = await refused('edge')
  for (const shard of SHARDS) await system.kill(shard)
  await until('the edges have noticed', async () => (await Promise.all(EDGES.map(name => system.readyz(name)))).every(answer => !answer.ok))
  // Each edge has five and counts by itself: five more each, and no more.
  const more = await Promise.all(Array.from({ length: 40 }, () => open('ann')))
  const gone = () => more.filter(client => client.closed)
  const letIn = await sum(EDGES, 'pgtide_edge_seats_unasked_total')
  assert.ok(letIn > 0 && letIn <= 10, `${letIn} were let in`)
  await until('the others are gone', () => gone().length === 40 - letIn)
  assert.equal(await refused('edge') - before, 40 - letIn)
  for (const shard of SHARDS) system.start(shard)
  await system.allReady()
  await until('the shard knows all', async () => (await seated()) === 10 + letIn)
  const all = [...clients, ...more.filter(client => !client.closed)]
  await alive(all)
  await sentAway(await open('ann'))
  for (const client of all.splice(0, letIn + 1)) client.close()
  await until('nine are left', async () => (await seated()) === 9)
  all.push(await open('ann'))
  await until('and one more', async () => (await seated()) === 10)
  await sentAway(await open('ann'))
  await alive(all)
  await closeAll(all)
})

test('a killed edge: its clients come back on the other one; its seats are free when the lease is over', async () => {
  const stay = []
  const go = []
  for (let i = 0; i < 5; i++) {
    stay.push(await place('edge-0', 'gil'))
    go.push(await place('edge-1', 'gil'))
  }
  await system.kill('edge-1')
  const back = []
  const judged = () => Promise.all(['granted', 'refused'].map(what => sum(SHARDS, `pgtide_broker_seats_${what}_total`)))
  for (const client of go) {
    await client.closing()
    // An edge that has said nothing for a second is not counted any more; before that it may be.
    await until('it is let in again', async () => {
      const [granted, refused] = await judged()
      const again = await open('gil')
      const [now] = await until('the shard has judged', async () => {
        const [inside, outside] = await judged()
        return inside + outside > granted + refused && [inside, outside]
      })
      if (now === granted) await sentAway(again)
      else back.push(again)
      return now > granted
    })
  }
  await alive([...stay, ...back])
  await until('ten seats are taken', async () => (await seated()) === 10)
  await sentAway(await open('gil'))
  system.start('edge-1')
  await system.allReady()
  await sentAway(await open('gil'))
  await closeAll([...stay, ...back])
})

test('connections of one address to one edge', async () => {
  const clients = await Promise.all(Array.from({ length: 81 }, () => Client.open(system)))
  const away = async () => sum(EDGES, 'pgtide_edge_refused_total', 'reason="max_connections_per_ip"')
  const gone = () => clients.filter(client => client.closed)
  const count = await away()
  assert.ok(count >= 1, 'of 81, two edges take 80')
  await until('they are gone', () => gone().length === count)
  for (const client of gone()) {
    assert.deepEqual(client.frames, [{ type: 'error', code: 'RATE_LIMITED', message: 'Too many connections', error: 'Too many connections' }])
    assert.equal(client.closed.code, 1013)
  }
  for (const edge of EDGES) assert.ok((await system.metric(edge, 'pgtide_edge_connections')) <= 40)
  const elsewhere = await Promise.all(Array.from({ length: 10 }, () => Client.open(system, { options: { localAddress: '127.0.0.2' } })))
  await alive(elsewhere)
  await closeAll([...clients.filter(client => !client.closed), ...elsewhere])
  await alive([clients[0] = await Client.open(system)])
  clients[0].close()
})
