// Subscriptions with filters, end to end: what a client gets is what its filter says of the row before and after each change, as
// PostgreSQL understands the filter; whether the broker decides or asks.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { Copy } from './lib/copy.mjs'
import { System } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({ set: ['realtime.message_rate_limit=0'] })
  await system.sql(`create type level as enum ('low', 'mid', 'high');
    create table orders (id int primary key, status text, prio int, price numeric, level level, done boolean, doc jsonb, secret text);
    grant select (id, status, prio, price, level, done, doc) on orders to authenticated; select enable_realtime('orders')`)
  await system.settled()
})
after(() => system?.stop())

const CHANNEL = 'table:public.orders'
const open = () => Client.open(system, { token: user(system) })
async function filtered(filter, more = {}) {
  const client = await open()
  const ack = await client.subscribe(CHANNEL, { filter, ...more })
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  return client
}
// The filter, and what it is in SQL. The second half is for PostgreSQL to judge.
const FILTERS = [
  ['id=eq.7', 'id = 7'], ['status=eq.open', `status = 'open'`], ['status=in.(open,new)', `status in ('open', 'new')`], ['status=not.eq.open', `not status = 'open'`],
  ['prio=gt.5', 'prio > 5'], ['prio=lte.3', 'prio <= 3'], ['price=eq.1.5', 'price = 1.5'], ['level=gte.mid', `level >= 'mid'`], ['done=is.true', 'done is true'],
  ['status=is.null', 'status is null'], ['status=like.*e*', `status like '%e%'`], ['status=ilike.*E*', `status ilike '%E%'`], ['status=isdistinct.open', `status is distinct from 'open'`],
  ['or(status=eq.open,and(prio=gte.8,done=not.is.true))', `(status = 'open' or (prio >= 8 and done is not true))`],
  ['status=match.^o', `status ~ '^o'`], ['doc->>kind=eq.a', `doc ->> 'kind' = 'a'`], ['doc->n=eq.1', `doc -> 'n' = '1'`], ['or(status=gt.m,doc->>kind=is.null)', `(status > 'm' or doc ->> 'kind' is null)`],
]
let seed = 7
const pick = below => { seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; return (seed >> 8) % below }
const one = list => list[pick(list.length)]
const values = () => [one(['open', 'new', 'done', 'Open', null]), one([1, 3, 5, 6, 9, null]), one(['1.5', '1.50', '2', null]), one(['low', 'mid', 'high', null]), one([true, false, null]),
  one(['{"kind":"a","n":1}', '{"kind":"b","n":1.0}', '{}', null])]

const holds = check => {
  try { check() } catch { return false }
  return true
}

test('copies kept through filters are what PostgreSQL selects, after every kind of change', async t => {
  for (let id = 1; id <= 30; id++) await system.sql('insert into orders values ($1, $2, $3, $4, $5, $6, $7)', [id, ...values()])
  const views = []
  for (const [filter, sql] of FILTERS) {
    const client = await open()
    const copy = new Copy()
    await copy.read(client, CHANNEL, { filter, snapshot: true, page_size: 7 })
    views.push({ client, copy, filter, sql })
  }
  for (let n = 0; n < 150; n++) {
    const id = 1 + pick(40)
    if (pick(4) === 0) await system.sql('delete from orders where id = $1', [id])
    else {
      await system.sql(`insert into orders values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do update
        set (status, prio, price, level, done, doc) = (excluded.status, excluded.prio, excluded.price, excluded.level, excluded.done, excluded.doc)`, [id, ...values()])
    }
  }
  for (const view of views) {
    const rows = (await system.sql(`select to_jsonb(r) as row from (select id, status, prio, price, level, done, doc from orders where ${view.sql}) r`)).map(each => each.row)
    // What PostgreSQL was asked comes when it has answered.
    for (const end = Date.now() + 30_000; ;) {
      for (const frame of await view.client.drain()) if (frame.type === 'broadcast') view.copy.apply(frame)
      if (holds(() => view.copy.equals(rows)) || Date.now() > end) break
      await view.client.wake(200)
    }
    view.copy.equals(rows)
    assert.ok(view.copy.changes > 0, `${view.filter}: nothing came`)
    view.client.close()
  }
  t.diagnostic(`${views.length} filters`)
})

test('a row enters as INSERT, moves as UPDATE and leaves as DELETE', async () => {
  const client = await filtered('prio=gt.5')
  await system.sql(`insert into orders (id, prio) values (500, 1)`)
  await system.sql(`update orders set prio = 6 where id = 500`)
  await system.sql(`update orders set prio = 7 where id = 500`)
  await system.sql(`update orders set prio = null where id = 500`)
  await system.sql(`delete from orders where id = 500`)
  const got = await client.changes(3)
  assert.deepEqual(got.map(each => each.type), ['INSERT', 'UPDATE', 'DELETE'])
  assert.equal(got[0].record.prio, 6)
  assert.equal('old_record' in got[0], false)
  assert.equal(got[1].old_record.prio, 6)
  assert.equal(got[2].old_record.prio, 7)
  assert.equal('record' in got[2], false)
  await system.sql(`insert into orders (id, prio) values (501, 9)`)
  assert.equal((await client.change()).payload.record.id, 501)
  client.close()
})

test('two filters of one connection on one table do not mix', async () => {
  const client = await open()
  for (const [name, filter] of [['low', 'prio=lt.5'], ['high', 'prio=gte.5']]) {
    assert.equal((await client.subscribe(name, { config: { event: '*', schema: 'public', table: 'orders', filter } })).type, 'ack')
  }
  await system.sql(`insert into orders (id, prio) values (601, 1), (602, 9)`)
  const frames = [await client.take(frame => frame.type === 'postgres_changes'), await client.take(frame => frame.type === 'postgres_changes')]
  assert.deepEqual(frames.map(frame => [frame.channel, frame.payload.record?.id ?? frame.payload.new?.id]), [['low', 601], ['high', 602]])
  client.close()
})

test('an invalid filter is refused with the character and the reason, and the connection stays', async () => {
  const client = await open()
  for (const [filter, reason] of [
    ['prio', /^invalid filter: character 5: expected = behind the column/],
    ['prio=eq', /^invalid filter: character 8: expected \. and a value/],
    ['prio=eq.x', /^invalid filter: character 1: column "prio", operator eq: invalid input syntax for type integer: "x"$/],
    ['or(prio=eq.1,level=eq.huge)', /^invalid filter: character 14: column "level", operator eq: invalid input value for enum/],
    ['nope=eq.1', /^invalid filter: character 1: column "nope" does not exist, or may not be read$/],
    ['secret=eq.1', /^invalid filter: character 1: column "secret" does not exist, or may not be read$/],
    ['prio=like.1*', /^invalid filter: character 1: column "prio", operator like: operator does not exist/],
    ['status=match.(', /^invalid filter: .*invalid regular expression/],
    [`status=eq.${'x'.repeat(4096)}`, /^invalid filter: a filter is a string of at most 4096 bytes/],
  ]) {
    const answer = await client.subscribe(CHANNEL, { filter })
    assert.equal(answer.type, 'error', filter)
    assert.equal(answer.code, 'SUBSCRIPTION_FAILED')
    assert.match(answer.message, reason)
  }
  assert.equal((await client.subscribe(CHANNEL, { filter: 'prio=eq.1' })).type, 'ack')
  client.close()
})
