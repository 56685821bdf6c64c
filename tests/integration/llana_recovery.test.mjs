// Connection state recovery with an unmodified socket.io-client: what was missed comes, in order and once, and socket.recovered says so;
// over a broken connection, a killed edge, an edge that drains; and what cannot be had is said, too.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { System, until } from './lib/system.mjs'
import { connect, llanaTables, spread, token } from './lib/llana.mjs'

let system
before(async () => {
  system = await System.start()
  await prepare(system)
})
async function prepare(system) {
  await llanaTables(system)
  await system.sql(`create table "Customer" (id int primary key, name text); grant select on "Customer" to authenticated;
    select enable_realtime('public', 'Customer'); insert into "User" values (1, 'ADMIN', 'a@x'), (2, 'CLERK', 'b@x');
    insert into _llana_role (role, records) values ('ADMIN', 'READ');
    insert into _llana_role (role, custom, "table", records, own_records, identity_column) values ('CLERK', true, 'Customer', 'NONE', 'READ', 'name')`)
}
beforeEach(() => system.settled())
after(() => system?.stop())

let next = 1
const insert = async (count = 1, name = 'x', into = system) => {
  const first = next
  next += count
  await into.sql(`insert into "Customer" select g, $1 from generate_series(${first}, ${next - 1}) g`, [name])
  return Array.from({ length: count }, (_, at) => String(first + at))
}
const ids = events => events.map(event => event.id)
const MODES = { polling: ['polling'], websocket: ['websocket'], default: undefined }

for (const [mode, transports] of Object.entries(MODES)) {
  test(`${mode}: what was committed meanwhile comes after a drop`, async () => {
    const client = await connect(system, { table: 'Customer', token: token(system, 1), transports, options: { autoConnect: true, reconnectionDelay: 600, reconnectionDelayMax: 700 } })
    const before = await insert(3)
    assert.deepEqual(ids(await client.take(3)), before)
    const { id } = client.socket
    client.socket.io.engine.close()
    await until('dropped', () => client.drops.length > 0)
    const missed = await insert(5)
    await client.connected()
    assert.equal(client.socket.recovered, true)
    assert.equal(client.socket.id, id, 'it is the same socket')
    const live = await insert(2)
    assert.deepEqual(ids(await client.take(7)), [...missed, ...live])
    client.close()
  })
}

test('a client that has had no event yet gets what it missed, too', async () => {
  const client = await connect(system, { table: 'Customer', token: token(system, 1), options: { reconnectionDelay: 600, reconnectionDelayMax: 700 } })
  client.socket.io.engine.close()
  await until('dropped', () => client.drops.length > 0)
  const missed = await insert(2)
  await client.connected()
  assert.equal(client.socket.recovered, true)
  assert.deepEqual(ids(await client.take(2)), missed)
  client.close()
})

test('what is missed is judged as what comes: own records only', async () => {
  const client = await connect(system, { table: 'Customer', token: token(system, 2), options: { reconnectionDelay: 600, reconnectionDelayMax: 700 } })
  client.socket.io.engine.close()
  await until('dropped', () => client.drops.length > 0)
  await insert(2, '1')
  const own = await insert(2, '2')
  await insert(1, '1')
  await client.connected()
  assert.equal(client.socket.recovered, true)
  const live = await insert(1, '2')
  assert.deepEqual(ids(await client.take(3)), [...own, ...live])
  client.close()
})

test('an edge is killed: its clients go on at another, and miss nothing', async () => {
  const clients = await spread(system, 9, at => connect(system, { table: 'Customer', token: token(system, 1), transports: Object.values(MODES)[at % 3] }))
  const first = await insert(2)
  for (const client of clients) assert.deepEqual(ids(await client.take(2)), first)
  await system.kill('edge-0')
  const rest = []
  for (let i = 0; i < 10; i++) rest.push(...await insert(2))
  for (const client of clients) {
    assert.deepEqual(ids(await client.take(20)), rest)
    assert.equal(client.socket.recovered, client.drops.length > 0)
    assert.equal(client.events.length, 0)
  }
  assert.ok(clients.some(client => client.drops.length > 0), 'some were on the killed edge')
  assert.ok(clients.some(client => client.drops.length === 0), 'and some were not')
  for (const client of clients) client.close()
  system.start('edge-0')
  await system.allReady()
})

test('an edge drains: its clients are told to go and miss nothing', async () => {
  const clients = await spread(system, 9, at => connect(system, { table: 'Customer', token: token(system, 1), transports: Object.values(MODES)[at % 3] }))
  const draining = system.kill('edge-1', 'SIGTERM')
  const all = []
  for (let i = 0; i < 10; i++) all.push(...await insert(2))
  await draining
  all.push(...await insert(2))
  for (const client of clients) {
    assert.deepEqual(ids(await client.take(22)), all)
    assert.equal(client.events.length, 0)
  }
  assert.ok(clients.some(client => client.drops.length > 0))
  for (const client of clients) client.close()
  system.start('edge-1')
  await system.allReady()
})

test('a shard is killed: nobody notices', async () => {
  const clients = await Promise.all([['polling'], ['websocket']].map(transports => connect(system, { table: 'Customer', token: token(system, 1), transports })))
  const first = await insert(2)
  for (const shard of [0, 1]) {
    await system.kill(`broker-${shard}`)
    system.start(`broker-${shard}`)
  }
  const rest = await insert(3)
  for (const client of clients) {
    assert.deepEqual(ids(await client.take(5)), [...first, ...rest])
    client.close()
  }
  await system.allReady()
})

test('what is too long ago is not recovered, and the client is told', async () => {
  const small = await System.start({ shards: 1, edges: 1, set: ['window.time=1s', 'window.bytes=64KiB'] })
  try {
    await prepare(small)
    await small.settled()
    const client = await connect(small, { table: 'Customer', token: token(small, 1), transports: ['websocket'], options: { reconnection: false } })
    const { id } = client.socket
    client.socket.io.engine.close()
    await until('dropped', () => client.drops.length > 0)
    // It had heard nothing, so that each of its returns asks for the same position, until that is gone.
    await until('not recovered', async () => {
      await insert(50, 'x'.repeat(500), small)
      client.socket.connect()
      await client.connected()
      if (!client.socket.recovered) return true
      client.socket._lastOffset = undefined
      client.socket.io.engine.close()
      return until('dropped', () => !client.socket.connected) && false
    }, { every: 500, deadline: 60_000 })
    assert.notEqual(client.socket.id, id, 'another socket')
    client.events.length = 0
    const live = await insert(1, 'x', small)
    assert.deepEqual(ids(await client.take(1)), live)
    client.close()
  } finally {
    await small.stop()
  }
})

test('a position that is made up is no way in, and harms nobody', async () => {
  for (const [pid, offset] of [['x', '1'], ['A'.repeat(20) + '.1-0000000000000001-0', 'nonsense'], ['A'.repeat(20) + '.ffffffffffffffff-ffffffffffffffff-ffffffff', undefined], ['A'.repeat(20) + '.1-0000000000000001-0', '1-0000000000000001-0']]) {
    const client = await connect(system, { auth: { token: token(system, 1), 'x-llana-table': 'Customer', pid, offset } })
    assert.notEqual(client.socket.id, 'A'.repeat(20))
    assert.equal(Boolean(client.socket.recovered), false)
    client.close()
  }
})
