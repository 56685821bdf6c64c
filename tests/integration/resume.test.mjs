// A client that comes back goes on where it was, or is told why not: `since`, its edges, and what happened meanwhile.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { comparePositions, formatPosition, parsePosition } from '../chaos/position.mjs'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const SETTINGS = ['database.retry_max=500ms', 'realtime.heartbeat_interval=200ms', 'realtime.message_rate_limit=0', 'realtime.max_connections=5000']
const make = name => `create table ${name} (id int primary key, v text); grant select on ${name} to authenticated; select enable_realtime('${name}');`

let system
before(async () => {
  system = await System.start({ set: SETTINGS })
  await system.sql(['plain', 'multi', 'quiet', 'rights', 'altered', 'emptied', 'many', 'killed', 'filtered'].map(make).join(''))
  await system.settled()
})
after(() => system?.stop())

const open = (where = system, options = {}) => Client.open(where, { token: user(where), ...options })
async function subscribed(table, more, where = system) {
  const client = await open(where)
  const ack = await client.subscribe(`table:public.${table}`, more)
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  return { client, ack, id: ack.payload.id }
}
async function refused(table, since, where = system, options = {}) {
  const client = await open(where)
  const error = await client.subscribe(`table:public.${table}`, { since }, options)
  client.close()
  assert.equal(error.type, 'error', JSON.stringify(error))
  return error
}
const ids = payloads => payloads.map(payload => (payload.record ?? payload.old_record)?.id)
const at = (position, change) => formatPosition({ ...position, ...change })

test('since: exactly what came after it, then the stream; the ack says so', async () => {
  const { client, id } = await subscribed('plain')
  await system.sql(`insert into plain values (1, 'a')`)
  await system.sql(`insert into plain values (2, 'b')`)
  const seen = await client.changes(2)
  client.close()
  await system.sql(`update plain set v = 'c' where id = 2`)
  await system.sql('delete from plain where id = 1')

  const again = await subscribed('plain', { since: seen[0].id })
  assert.equal(again.ack.payload.resumed, true)
  assert.ok(comparePositions(parsePosition(again.id), parsePosition(seen[0].id)) <= 0, 'complete from there')
  const rest = await again.client.changes(3)
  assert.deepEqual(rest[0], seen[1], 'the same frame as the first time')
  assert.deepEqual(rest.map(payload => payload.type), ['INSERT', 'UPDATE', 'DELETE'])
  await system.sql(`insert into plain values (3, 'live')`)
  assert.deepEqual(ids(await again.client.changes(1)), [3])
  assert.deepEqual((await again.client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  again.client.close()

  const whole = await subscribed('plain', { since: id })
  assert.deepEqual(ids(await whole.client.changes(5)), [1, 2, 2, 1, 3], 'the id of an ack is a position like any other')
  whole.client.close()

  const fresh = await subscribed('plain')
  assert.notEqual(fresh.ack.payload.resumed, true, 'a new subscription does not claim to have resumed')
  fresh.client.close()
})

test('since inside a transaction: the rest of it', async () => {
  const { client } = await subscribed('multi')
  await system.sql(`insert into multi select g, 'v' from generate_series(1, 100) g`)
  const seen = await client.changes(100)
  client.close()
  const again = await subscribed('multi', { since: seen[41].id })
  assert.deepEqual(ids(await again.client.changes(58)), Array.from({ length: 58 }, (_, n) => n + 43))
  again.client.close()
  const end = await subscribed('multi', { since: seen[99].id })
  await system.sql(`insert into multi values (101, 'next')`)
  assert.deepEqual(ids(await end.client.changes(1)), [101])
  end.client.close()
})

test('since in config, with an event filter; two subscriptions of one connection from different positions', async () => {
  const { client, id } = await subscribed('filtered')
  await system.sql(`insert into filtered values (1, 'a'); update filtered set v = 'b'; insert into filtered values (2, 'c')`)
  const seen = await client.changes(3)
  client.close()
  const again = await open()
  again.send({ type: 'subscribe', channel: 'inserts', config: { event: 'INSERT', schema: 'public', table: 'filtered', since: id } })
  again.send({ type: 'subscribe', channel: 'table:public.filtered', since: seen[1].id })
  const got = []
  while (got.length < 3) got.push(await again.take(frame => ['broadcast', 'postgres_changes'].includes(frame.type)))
  const of = channel => ids(got.filter(frame => frame.channel === channel).map(frame => frame.payload))
  assert.deepEqual([of('inserts'), of('table:public.filtered')], [[1, 2], [2]])
  again.close()
})

test('a malformed since is refused, clearly, and the connection goes on', async () => {
  const client = await open()
  for (const since of ['', 'x', '7f3a-16b3748-0', 'g-0000000000000000-0', '7f3a-0000000000000000-', 5, {}, [], true, 'a'.repeat(5000), '7f3a-0000000000000000-1ffffffff']) {
    const answer = await client.subscribe('table:public.plain', { since })
    assert.equal(answer.type, 'error', `${JSON.stringify(since)}: ${JSON.stringify(answer)}`)
    assert.notEqual(answer.code, 'RESUME_GONE')
    assert.match(answer.message, /since/)
  }
  const both = await client.subscribe('table:public.plain', { since: '7f3a-0000000000000000-0', snapshot: true })
  assert.equal(both.type, 'error')
  assert.equal((await client.subscribe('table:public.plain')).type, 'ack')
  client.close()
})

test('another history, and the future', async () => {
  const { client, id } = await subscribed('plain')
  const here = parsePosition(id)
  const other = (BigInt(`0x${here.epoch}`) ^ 1n).toString(16)
  const epoch = await refused('plain', at(here, { epoch: other }))
  assert.equal(epoch.code, 'RESUME_GONE', JSON.stringify(epoch))
  assert.equal(epoch.payload.reason, 'epoch')
  assert.equal(epoch.payload.since, at(here, { epoch: other }))
  assert.equal(epoch.channel, 'table:public.plain')
  const ahead = await refused('plain', at(here, { lsn: here.lsn + 2 ** 40 }), system, { deadline: 60_000 })
  assert.deepEqual([ahead.code, ahead.payload.reason], ['RESUME_GONE', 'ahead'], JSON.stringify(ahead))
  client.close()
})

test('a quiet subscription goes on from the position of a heartbeat', async () => {
  const client = await open()
  const ack = await client.subscribe('table:public.quiet')
  await client.subscribe('table:public.plain')
  for (let n = 100; n < 120; n++) await system.sql(`insert into plain values ($1, 'busy')`, [n])
  const seen = await client.changes(20)
  const busy = parsePosition(seen.at(-1).id)
  const told = await client.take(frame => frame.type === 'heartbeat' && frame.payload?.id && comparePositions(parsePosition(frame.payload.id), busy) >= 0)
  assert.ok(comparePositions(parsePosition(told.payload.id), parsePosition(ack.payload.id)) > 0)
  client.close()
  await system.sql(`insert into quiet values (1, 'missed')`)
  const again = await open()
  const [one, two] = [await again.subscribe('table:public.quiet', { since: told.payload.id }), await again.subscribe('table:public.plain', { since: told.payload.id })]
  assert.deepEqual([one.payload?.resumed, two.payload?.resumed], [true, true])
  const [missed] = await again.changes(1)
  assert.deepEqual([missed.table, missed.record.id], ['quiet', 1])
  await system.sql(`insert into plain values (120, 'next')`)
  assert.deepEqual(ids(await again.changes(1)), [120])
  again.close()
})

test('a shard is killed: the client notices nothing but changes', async () => {
  const { client } = await subscribed('killed')
  let next = 1
  const write = async () => system.sql('insert into killed values ($1)', [next++])
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 5; n++) await write()
    for (const name of ['broker-0', 'broker-1']) { await system.kill(name); await write(); system.start(name); await write() }
    for (let n = 0; n < 5; n++) await write()
  }
  assert.deepEqual(ids(await client.changes(next - 1, { deadline: 60_000 })), Array.from({ length: next - 1 }, (_, n) => n + 1))
  await system.allReady()
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  assert.equal(client.closed, null)
  client.close()
})

test('rights lost while away are lost: the replay is judged by those of now', async () => {
  const { client, id } = await subscribed('rights')
  await system.sql(`insert into rights values (1, 'secret')`)
  assert.equal((await client.change()).payload.record.v, 'secret')
  client.close()
  await system.sql(`insert into rights values (2, 'secret too')`)
  await system.sql('revoke select on rights from authenticated; grant select (id) on rights to authenticated')
  await system.sql(`insert into rights values (3, 'more')`)
  await system.settled()
  const again = await subscribed('rights', { since: id })
  assert.deepEqual((await again.client.changes(3)).map(payload => payload.record), [{ id: 1 }, { id: 2 }, { id: 3 }])
  again.client.close()
  await system.sql('revoke select (id) on rights from authenticated')
  await system.settled()
  const none = await refused('rights', id)
  assert.equal(none.code, 'FORBIDDEN')
})

test('the table changed shape while the client was away: rows come with the columns they had', async () => {
  const { client, id } = await subscribed('altered')
  client.close()
  for (const statement of [`insert into altered values (1, 'a')`, 'alter table altered add column n int default 7', `insert into altered values (2, 'b')`,
    'alter table altered rename column v to w', `insert into altered values (3, 'c')`, 'alter table altered drop column n', `insert into altered values (4, 'd')`,
    'alter table altered alter column id type bigint', `insert into altered values (5, 'e')`]) await system.sql(statement)
  const again = await subscribed('altered', { since: id })
  const rows = (await again.client.changes(5)).map(payload => payload.record)
  assert.deepEqual(rows, [{ id: 1, v: 'a' }, { id: 2, v: 'b', n: 7 }, { id: 3, w: 'c', n: 7 }, { id: 4, w: 'd' }, { id: 5, w: 'e' }])
  await system.sql(`insert into altered values (6, 'live')`)
  assert.deepEqual((await again.client.change()).payload.record, { id: 6, w: 'live' })
  again.client.close()
})

test('TRUNCATE while the client was away', async () => {
  const { client, id } = await subscribed('emptied')
  client.close()
  for (const statement of [`insert into emptied values (1, 'a')`, 'truncate emptied, filtered', `insert into emptied values (1, 'b')`]) await system.sql(statement)
  const again = await subscribed('emptied', { since: id })
  assert.deepEqual((await again.client.changes(3)).map(payload => [payload.type, payload.record?.v]), [['INSERT', 'a'], ['TRUNCATE', undefined], ['INSERT', 'b']])
  again.client.close()
})

test('200 clients come back at once, each from another position', async t => {
  const { client, id } = await subscribed('many')
  const total = 400
  for (let n = 1; n <= total; n += 20) await Promise.all(Array.from({ length: 20 }, (_, more) => system.sql('insert into many values ($1, $2)', [n + more, 'x'.repeat(100)])))
  const seen = await client.changes(total)
  client.close()
  const started = Date.now()
  let writing = true
  const writer = (async () => { for (let n = total + 1; writing; n++) await system.sql('insert into many values ($1)', [n]); })()
  let clients
  try {
    clients = await Promise.all(Array.from({ length: 200 }, async (_, n) => {
      const back = await subscribed('many', { since: n === 0 ? id : seen[2 * n - 1].id })
      assert.equal(back.ack.payload.resumed, true)
      return { ...back, from: 2 * n }
    }))
    await Promise.all(clients.map(async ({ client: each, from }) => {
      assert.deepEqual((await each.changes(total - from, { deadline: 60_000 })).map(payload => payload.id), seen.slice(from).map(payload => payload.id))
    }))
    t.diagnostic(`200 clients, ${200 * (total + 2) / 2} changes: all caught up after ${Date.now() - started} ms`)
  } finally {
    writing = false
    await writer
  }
  await system.sql('insert into many values (1000000)')
  const tails = await Promise.all(clients.map(async ({ client: each }) => {
    await each.take(frame => frame.payload?.record?.id === 1_000_000, { deadline: 60_000 })
    const live = each.frames.filter(frame => frame.type === 'broadcast').map(frame => frame.payload.record.id)
    each.close()
    return JSON.stringify(live)
  }))
  assert.equal(new Set(tails).size, 1, 'and after that all see the same')
  assert.deepEqual(JSON.parse(tails[0]), Array.from({ length: JSON.parse(tails[0]).length }, (_, n) => total + 1 + n))
})

test('the edge of the window: its oldest position works, the one before it is refused with the range', async () => {
  const small = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'window.bytes=1MiB', 'window.time=10m'] })
  try {
    await small.sql(make('w'))
    const { client, id } = await subscribed('w', {}, small)
    for (let n = 1; n <= 60; n++) await small.sql(`insert into w values ($1, repeat('x', 50000))`, [n])
    const seen = (await client.changes(60, { deadline: 60_000 })).map(payload => parsePosition(payload.id))
    client.close()
    const gone = await refused('w', id, small)
    assert.deepEqual([gone.code, gone.payload.reason, gone.payload.since], ['RESUME_GONE', 'too_old', id], JSON.stringify(gone))
    const [oldest, newest] = [parsePosition(gone.payload.oldest), parsePosition(gone.payload.newest)]
    assert.ok(comparePositions(newest, seen.at(-1)) >= 0, 'newest is not before the last change')
    const rest = seen.filter(position => comparePositions(position, oldest) > 0)
    assert.ok(rest.length > 0 && rest.length < 60, `${rest.length} of 60 changes are in the window`)

    const back = await subscribed('w', { since: gone.payload.oldest }, small)
    assert.equal(back.ack.payload.resumed, true)
    assert.deepEqual((await back.client.changes(rest.length)).map(payload => payload.id), rest.map(position => position.text))
    back.client.close()
    const before = at(oldest, oldest.index > 0 ? { index: oldest.index - 1 } : { lsn: oldest.lsn - 1 })
    const edge = await refused('w', before, small)
    assert.deepEqual([edge.code, edge.payload.reason, edge.payload.oldest], ['RESUME_GONE', 'too_old', gone.payload.oldest])

    // A position between two transactions inside the window is as good as one of a change.
    const between = await subscribed('w', { since: at(rest[0], { lsn: rest[0].lsn - 1, index: 0 }) }, small)
    assert.deepEqual((await between.client.changes(rest.length)).map(payload => payload.id), rest.map(position => position.text))
    between.client.close()
  } finally {
    await small.stop()
  }
})

test('the window in time: what is older than it is gone, what is younger is not', async () => {
  const small = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'window.time=3s'] })
  try {
    await small.sql(make('w'))
    const { client, id } = await subscribed('w', {}, small)
    await small.sql(`insert into w values (1, 'old')`)
    await client.changes(1)
    const young = await subscribed('w', { since: id }, small)
    assert.deepEqual(ids(await young.client.changes(1)), [1])
    young.client.close()
    let n = 2
    const gone = await until('the position is too old', async () => {
      await small.sql('insert into w values ($1)', [n++])
      const back = await open(small)
      const answer = await back.subscribe('table:public.w', { since: id })
      back.close()
      return answer.type === 'error' && answer
    }, { every: 200 })
    assert.equal(gone.payload.reason, 'too_old', JSON.stringify(gone))
    // And the WAL is let go with it.
    const [{ lsn }] = await small.sql('select pg_current_wal_flush_lsn()::text as lsn')
    await until('the slot moves on', async () => (await small.sql(`select confirmed_flush_lsn >= $1::pg_lsn as past from pg_replication_slots where slot_name = 'pgtide'`, [lsn]))[0].past)
    client.close()
  } finally {
    await small.stop()
  }
})

test('a slot that moves backwards in a crash, and a neighbour whose WAL is let go', async t => {
  const small = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'window.time=1s'] })
  try {
    await small.sql(make('w'))
    const { client } = await subscribed('w', {}, small)
    const confirmed = async () => BigInt((await small.sql(`select (confirmed_flush_lsn - '0/0')::text as l from pg_replication_slots where slot_name = 'pgtide'`))[0].l)
    const lag = async () => Number((await small.sql(`select pg_current_wal_flush_lsn() - restart_lsn as l from pg_replication_slots where slot_name = 'pgtide'`))[0].l)
    let next = 1
    let back = 0n
    // The server writes the slot to disk when it likes (at checkpoints, when its oldest transaction moves on), so
    // not every crash forgets something; nothing may come twice in any of them.
    for (let round = 0; round < 4 && back === 0n; round++) {
      const [{ lsn }] = await small.sql(`select (pg_current_wal_insert_lsn() - '0/0')::text as lsn`)
      await small.sql('checkpoint')
      await until('the slot passes the checkpoint', async () => (await confirmed()) > BigInt(lsn))
      for (let n = 0; n < 50; n++) await small.sql('insert into w values ($1)', [next + n])
      const seen = await client.changes(50, { deadline: 60_000 })
      assert.deepEqual(ids(seen), Array.from({ length: 50 }, (_, n) => next + n), 'nothing comes twice')
      next += 50
      await until('the slot passes what was delivered', async () => (await confirmed()) > BigInt(parsePosition(seen.at(-1).id).lsn))
      process.kill(small.pid('tailer'), 'SIGSTOP')
      const was = await confirmed()
      await small.kill('postgres', 'SIGKILL')
      small.start('postgres')
      await until('PostgreSQL is back', async () => { await small.connect(); return small.sql('select 1') }, { deadline: 60_000 })
      back = was - await confirmed()
      process.kill(small.pid('tailer'), 'SIGCONT')
      await small.sql('insert into w values ($1)', [next])
      assert.deepEqual(ids(await client.changes(1, { deadline: 60_000 })), [next++], 'nothing comes twice')
    }
    t.diagnostic(`the slot went back by ${back} bytes`)
    assert.ok(back > 0n, 'a crash forgot what had been confirmed: what this test is about')

    // Another database of the same server writes; this one is idle. Its slot must not hold the WAL.
    await small.sql('create database neighbour')
    const neighbour = small.databaseUrl.replace(/\/pgtide$/, '/neighbour')
    const db = new pg.Client({ connectionString: neighbour })
    await db.connect()
    await db.query('create table n (v text)')
    for (let n = 0; n < 8; n++) await db.query(`insert into n select repeat('x', 1000) from generate_series(1, 10000)`)
    await db.end()
    const most = await lag()
    await until('the WAL is let go', async () => { await small.sql('checkpoint'); return (await lag()) < 16 * 1048576 }, { every: 200 })
    t.diagnostic(`a neighbour's ${Math.round(most / 1048576)} MiB of WAL were held at first, ${Math.round((await lag()) / 1048576)} MiB later`)
    client.close()
  } finally {
    await small.stop()
  }
})

test('a slot dropped and made anew: another epoch; who was there is told of a gap, who comes back is told why not', async () => {
  const { client, id } = await subscribed('plain')
  await system.kill('tailer', 'SIGTERM')
  await until('the slot is free', async () => (await system.sql(`select active from pg_replication_slots where slot_name = 'pgtide'`))[0]?.active === false)
  await system.sql(`select pg_drop_replication_slot('pgtide')`)
  await system.sql(`insert into plain values (5000, 'nobody saw this')`)
  system.start('tailer')
  const gap = await client.take(frame => frame.type === 'gap', { deadline: 60_000 })
  assert.equal(gap.channel, 'table:public.plain')
  assert.notEqual(parsePosition(gap.payload.id).epoch, parsePosition(id).epoch)
  await system.allReady()
  const gone = await refused('plain', id)
  assert.deepEqual([gone.code, gone.payload.reason], ['RESUME_GONE', 'epoch'], JSON.stringify(gone))
  await system.sql(`insert into plain values (5001, 'after')`)
  const change = (await client.change()).payload
  assert.equal(change.record.id, 5001)
  const back = await subscribed('plain', { since: gap.payload.id })
  assert.deepEqual(ids(await back.client.changes(1)), [5001])
  client.close()
  back.client.close()
})
