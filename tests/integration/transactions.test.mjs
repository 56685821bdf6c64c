// What belongs together arrives together: `last` on every subscription, and whole transactions with ?transactions=true.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import WebSocket from 'ws'
import { comparePositions, parsePosition } from '../chaos/position.mjs'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=16`
const LONG = process.env.PGTIDE_TEST_LONG === '1'
const TABLES = 8
let system
let shardOf
before(async () => {
  system = await System.start({ edges: 1, set: ['database.retry_max=500ms', 'realtime.heartbeat_interval=200ms', 'realtime.message_rate_limit=0', 'realtime.client_budget=256MiB'] })
  await system.sql(Array.from({ length: TABLES }, (_, n) => `create table t${n} (id int primary key, v text); grant select on t${n} to authenticated; select enable_realtime('t${n}');`).join(''))
  await system.sql(`create table big (id int primary key, v text); grant select on big to authenticated; select enable_realtime('big')`)
  await system.settled()
  shardOf = await shards()
  assert.deepEqual([...new Set(shardOf)].sort(), [0, 1], 'tables on both shards')
})
after(() => system?.stop())

const open = options => Client.open(system, { token: user(system), ...options })
const channel = n => `table:public.t${n}`
async function all(options) {
  const client = await open(options)
  for (let n = 0; n < TABLES; n++) assert.equal((await client.subscribe(channel(n))).type, 'ack')
  return client
}

// Which shard has which table: the one whose number of subscriptions grows.
async function shards() {
  const client = await open()
  const found = []
  const counts = () => Promise.all([0, 1].map(each => system.metric(`broker-${each}`, 'pgtide_broker_subscriptions')))
  for (let n = 0; n < TABLES; n++) {
    const was = await counts()
    await client.subscribe(channel(n))
    found.push((await counts()).findIndex((count, at) => count > was[at]))
  }
  client.close()
  return found
}

// Takes frames up to the commit and gives [changes, commit].
async function transaction(client, options) {
  const changes = []
  for (;;) {
    const frame = await client.take(each => ['broadcast', 'postgres_changes', 'commit', 'gap', 'error'].includes(each.type), { what: 'a transaction', ...options })
    if (frame.type === 'commit') return { changes, commit: frame.payload }
    assert.ok(frame.type === 'broadcast' || frame.type === 'postgres_changes', JSON.stringify(frame))
    changes.push(frame.payload)
  }
}
let next = 10_000_000
const lasts = payloads => payloads.map(payload => payload.last)

test('last: single changes, several rows, several tables, event filters', async () => {
  const client = await all()
  const filtered = await open()
  for (const event of ['INSERT', 'UPDATE', 'DELETE']) {
    filtered.send({ type: 'subscribe', channel: event, config: { event, schema: 'public', table: 't0' } })
    await filtered.take(frame => frame.type === 'ack')
  }
  await system.sql('insert into t0 values (1)')
  assert.deepEqual(lasts(await client.changes(1)), [true])
  await system.sql('insert into t0 select g from generate_series(2, 6) g')
  assert.deepEqual(lasts(await client.changes(5)), [false, false, false, false, true])

  await system.sql(`begin; insert into t0 values (7); insert into t1 values (7); update t0 set v = 'x' where id = 7; insert into t1 values (8); delete from t0 where id <= 2; commit`)
  const changes = await client.changes(6)
  const of = table => changes.filter(change => change.table === table).map(change => `${change.type} ${change.last}`)
  assert.deepEqual(of('t0'), ['INSERT false', 'UPDATE false', 'DELETE false', 'DELETE true'])
  assert.deepEqual(of('t1'), ['INSERT false', 'INSERT true'])

  const seen = []
  while (seen.length < 10) seen.push(await filtered.take(frame => frame.type === 'postgres_changes'))
  const on = name => seen.filter(frame => frame.channel === name).map(frame => frame.payload.last)
  assert.deepEqual(on('INSERT'), [true, false, false, false, false, true, true])
  assert.deepEqual(on('UPDATE'), [true])
  assert.deepEqual(on('DELETE'), [false, true])

  await system.sql('truncate t0, t1')
  assert.deepEqual((await client.changes(2)).map(change => `${change.type} ${change.last}`), ['TRUNCATE true', 'TRUNCATE true'])
  client.close()
  filtered.close()
})

test('last: exactly one in a big transaction, at its end; a column set of its own is marked as well', async () => {
  await system.sql('grant select (id) on big to anon')
  const clients = [await open(), await Client.open(system)]
  for (const client of clients) assert.equal((await client.subscribe('table:public.big')).type, 'ack')
  await system.sql(`insert into big select g, 'x' from generate_series(1, 20000) g`)
  for (const client of clients) {
    const changes = await client.changes(20_000, { deadline: 60_000 })
    assert.deepEqual(changes.flatMap((change, at) => change.last ? [at] : []), [19_999])
    client.close()
  }
})

test('whole transactions over tables of both shards, each followed by its commit', async () => {
  const client = await all({ transactions: true })
  const [a, b] = [shardOf.indexOf(0), shardOf.indexOf(1)]
  for (const [statement, count] of [
    [`begin; insert into t${a} values (1); insert into t${b} values (1); insert into t${a} values (2); commit`, 3],
    [`insert into t${b} values (2)`, 1],
    [`begin; ${Array.from({ length: TABLES }, (_, n) => `insert into t${n} values (100)`).join(';')}; commit`, TABLES],
    [`begin; insert into t${a} select g from generate_series(1000, 1999) g; insert into t${b} select g from generate_series(1000, 1999) g; commit`, 2000],
  ]) {
    await system.sql('begin; insert into t0 values (-1); rollback')
    await system.sql(`insert into big values (${next++})`) // not subscribed here: no commit of it
    await system.sql(statement)
    const { changes, commit } = await transaction(client)
    assert.equal(changes.length, count)
    assert.equal(commit.changes, count)
    const at = parsePosition(commit.id)
    assert.equal(at.index, 0xffffffff)
    const positions = changes.map(change => parsePosition(change.id))
    assert.ok(positions.every(position => position.lsn === at.lsn && position.epoch === at.epoch))
    for (let n = 1; n < positions.length; n++) assert.ok(positions[n].index > positions[n - 1].index, 'in the order of the transaction')
  }
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  client.close()
})

test('many writers: every transaction whole, in commit order, on every connection alike', async () => {
  await system.sql(Array.from({ length: TABLES }, (_, n) => `truncate t${n}`).join(';'))
  await system.settled()
  const clients = await Promise.all([all({ transactions: true }), all({ transactions: true }), all()])
  const sizes = new Map()
  await Promise.all(Array.from({ length: 6 }, async (_, writer) => {
    for (let round = 0; round < 60; round++) {
      const name = `w${writer}-${round}`
      const size = 1 + (writer * 7 + round * 3) % 12
      sizes.set(name, size)
      await system.sql(`begin; ${Array.from({ length: size }, (_, n) => `insert into t${(writer + n * 3 + round) % TABLES} values (${writer * 100000 + round * 100 + n}, '${name}')`).join(';')}; ${round % 10 === 9 ? 'rollback' : 'commit'}`)
      if (round % 10 === 9) sizes.delete(name)
    }
  }))
  const total = [...sizes.values()].reduce((a, b) => a + b)
  const orders = []
  for (const client of clients.slice(0, 2)) {
    const order = []
    let before = { lsn: 0, index: 0 }
    for (let n = 0; n < sizes.size; n++) {
      const { changes, commit } = await transaction(client, { deadline: 60_000 })
      const names = new Set(changes.map(change => change.record.v))
      assert.equal(names.size, 1, `one transaction: ${[...names]}`)
      assert.equal(changes.length, sizes.get([...names][0]))
      assert.equal(commit.changes, changes.length)
      assert.ok(comparePositions(before, parsePosition(commit.id)) < 0, 'in commit order')
      before = parsePosition(commit.id)
      order.push(...changes.map(change => change.id))
    }
    orders.push(order)
  }
  assert.deepEqual(orders[0], orders[1])
  const plain = (await clients[2].changes(total, { deadline: 60_000 })).map(payload => parsePosition(payload.id)).sort(comparePositions).map(position => position.text)
  assert.deepEqual(orders[0], plain)
  for (const client of clients) client.close()
})

test('resume from a commit: the next transaction is the next one', async () => {
  const first = await all({ transactions: true })
  const write = value => system.sql(`begin; ${Array.from({ length: TABLES }, (_, n) => `insert into t${n} values (${900000 + value}, 'r')`).join(';')}; commit`)
  await write(1)
  const { commit } = await transaction(first)
  first.close()
  await write(2)
  await write(3)
  const again = await open({ transactions: true })
  again.send(Array.from({ length: TABLES }, (_, n) => ({ type: 'subscribe', channel: channel(n), since: commit.id })))
  for (let n = 0; n < TABLES; n++) assert.equal((await again.take(frame => frame.type === 'ack' || frame.type === 'error')).payload.resumed, true)
  for (const value of [2, 3]) {
    const { changes } = await transaction(again)
    assert.deepEqual(changes.map(change => change.record.id), Array(TABLES).fill(900000 + value))
  }
  await write(4)
  assert.equal((await transaction(again)).changes.length, TABLES)
  again.close()
})

test('one shard is stopped: whole transactions wait for it, single subscriptions of the other do not; then all arrive', async () => {
  const [whole, plain] = [await all({ transactions: true }), await all()]
  const [sick, well] = [shardOf.indexOf(0), shardOf.indexOf(1)]
  await system.kill('broker-0', 'SIGSTOP')
  try {
    for (let n = 1; n <= 5; n++) await system.sql(`begin; insert into t${well} values (${700000 + n}, 's'); ${n === 3 ? `insert into t${sick} values (${700000 + n}, 's');` : ''} commit`)
    assert.deepEqual((await plain.changes(5)).map(change => change.record.id), [700001, 700002, 700003, 700004, 700005])
    assert.deepEqual((await whole.drain()).filter(frame => frame.type !== 'heartbeat' && frame.type !== 'stale'), [], 'it cannot know yet that nothing of the other shard comes before')
  } finally {
    await system.kill('broker-0', 'SIGCONT')
  }
  for (let n = 1; n <= 5; n++) assert.equal((await transaction(whole)).changes.length, n === 3 ? 2 : 1)
  whole.close()
  plain.close()
  await system.allReady()
})

test('the price in latency', async t => {
  const [whole, plain] = [await all({ transactions: true }), await all()]
  const times = { single: [], transactions: [] }
  const db = new pg.Client({ connectionString: system.databaseUrl })
  db.on('error', () => {})
  await db.connect()
  for (let n = 0; n < 200; n++) {
    const id = 600000 + n
    const sent = performance.now()
    const arrivals = [
      plain.take(frame => frame.payload?.record?.id === id).then(() => times.single.push(performance.now() - sent)),
      whole.take(frame => frame.type === 'commit').then(() => times.transactions.push(performance.now() - sent)),
    ]
    await db.query(`insert into t${n % TABLES} values ($1)`, [id])
    await Promise.all(arrivals)
    whole.frames.splice(0)
  }
  await db.end()
  const at = (list, share) => list.sort((a, b) => a - b)[Math.floor(list.length * share)].toFixed(1)
  t.diagnostic(Object.entries(times).map(([name, list]) => `${name}: p50 ${at(list, 0.5)} ms, p99 ${at(list, 0.99)} ms`).join('; '))
  assert.ok(Number(at(times.transactions, 0.5)) < 500, 'an idle other shard holds a transaction up only until its progress')
  whole.close()
  plain.close()
})

// Each row once and in order, one `last`, at the end; whatever is killed in the middle.
async function bigTransaction(t, rows, size, victims, { mayGap = false } = {}) {
  await system.sql('truncate big')
  await system.settled()
  const socket = new WebSocket(`${system.url}/realtime?token=${user(system)}`, { perMessageDeflate: false })
  await new Promise((done, fail) => socket.once('open', done).once('error', fail))
  let [received, expected, disorder, lasts, gaps, closed, acked, id, skipped] = [0, 1, 0, [], 0, null, false, null, false]
  socket.on('close', (code, reason) => { closed = `${code} ${reason}` })
  socket.on('message', data => {
    const head = data.toString('latin1', 0, 40)
    if (head.includes('"ack"')) acked = true
    if (head.includes('"gap"')) {
      gaps += 1
      expected = null
      const behind = parsePosition(JSON.parse(data).payload.id) // all of the rest may be in the gap
      skipped ||= id !== null && behind.index === 0xffffffff && behind.lsn >= parsePosition(id).lsn
      return
    }
    if (!head.includes('"broadcast"')) return
    const { payload } = JSON.parse(data)
    if (expected !== null && payload.record.id !== expected) disorder += 1
    expected = payload.record.id + 1
    id = payload.id
    if (payload.last) lasts.push(payload.record.id)
    received += 1
  })
  socket.send(JSON.stringify({ type: 'subscribe', channel: 'table:public.big' }))
  await until('it is subscribed', () => acked)
  const started = Date.now()
  await system.sql(`insert into big select g, repeat('x', ${size}) from generate_series(1, ${rows}) g`)
  const written = Date.now()
  for (const [at, name] of victims.entries()) {
    const part = Math.floor(rows * (at + 1) / (victims.length + 2))
    await until(`${part} rows are there`, () => received >= part || closed, { deadline: 600_000 })
    assert.ok(received < rows, 'it is killed in the middle')
    await system.kill(name)
    system.start(name)
  }
  const done = () => closed || lasts.length > 0 || (mayGap && (skipped || (gaps > 0 && expected > rows)))
  await until('the end of it is there', done, { deadline: 900_000 })
  assert.equal(closed, null)
  t.diagnostic(`${rows} rows of ${size} bytes, ${victims} killed in the middle: written in ${written - started} ms, all there ${Date.now() - written} ms later; gaps ${gaps}`)
  if (!mayGap || gaps === 0) assert.deepEqual({ received, disorder, lasts, gaps }, { received: rows, disorder: 0, lasts: [rows], gaps: 0 })
  else assert.equal(disorder, 0)
  socket.terminate()
  await system.allReady()
}

test('a transaction of 100 MB, tailer and shards killed in the middle of it', t =>
  bigTransaction(t, 100_000, 1000, ['tailer', 'broker-0', 'broker-1']))

test('a transaction of 1 GB, the tailer killed in the middle of it', { skip: !LONG && 'PGTIDE_TEST_LONG=1' }, t =>
  bigTransaction(t, 1_000_000, 1000, ['tailer']))

test('a transaction of 1 GB, more than the window, shards killed in the middle of it', { skip: !LONG && 'PGTIDE_TEST_LONG=1' }, t =>
  bigTransaction(t, 1_000_000, 1000, ['broker-0', 'broker-1'], { mayGap: true }))
