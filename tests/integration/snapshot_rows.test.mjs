// The rows of a snapshot: what PostgreSQL would show the role, whatever happens to connections, brokers and clients meanwhile.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { stallCommits } from './lib/standby.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: ['snapshot.roll_after=1s', 'snapshot.timeout=5s'] })
  await system.sql(`create table items (id int primary key, v text, hidden text default 'secret');
    create table kinds (k text collate "C", n numeric, ts timestamptz, flag bool, c char(5), doc jsonb, list int[], primary key (k, ts));
    create table loose (v int);
    grant select (id, v) on items to authenticated; grant select on kinds, loose to authenticated;
    select enable_realtime('items'); select enable_realtime('kinds'); select enable_realtime('loose');
    insert into items select i, 'v' || i from generate_series(1, 20000) i;
    insert into kinds select 'k' || i % 7, i / 3.0, timestamptz '2024-02-29 12:00:00.000001+00' + i * interval '1.000001 s', i % 2 = 0, 'ab',
      jsonb_build_object('i', i), array[i, null] from generate_series(1, 1500) i;
    insert into loose select i from generate_series(1, 1500) i`)
  await system.sql(`update items set v = 'first' where id = 1; update kinds set n = 1 where k = 'k1'; update loose set v = 0 where v = 1`)
  await system.settled()
})
after(() => system?.stop())

// What a client knows that applies rows and changes as they come.
class Copy {
  constructor(client, channel, key = row => row.id) {
    Object.assign(this, { client, channel, key, rows: new Map(), pages: 0, last: false, token: null, changes: 0 })
  }

  static async start(channel, { key, config = { snapshot: true }, client } = {}) {
    const copy = new Copy(client ?? await Client.open(system, { token: user(system) }), channel, key)
    copy.client.send({ type: 'subscribe', channel, ...config })
    copy.ack = await copy.client.take(frame => (frame.type === 'ack' || frame.type === 'error') && frame.channel === channel)
    return copy
  }

  apply(frame) {
    if (frame.type === 'snapshot') {
      for (const row of frame.payload.rows) this.rows.set(this.key(row), row)
      this.pages++
      this.last = frame.payload.last
      this.token = frame.payload.token
    } else if (frame.type === 'broadcast') {
      const { type, record, old_record: old } = frame.payload
      if (type === 'DELETE') this.rows.delete(this.key(old))
      else this.rows.set(this.key(record), record)
      this.changes++
    } else assert.ok(['heartbeat', 'pong'].includes(frame.type), JSON.stringify(frame))
  }

  async follow(enough, what) {
    await until(what, () => {
      for (const frame of this.client.frames.splice(0)) this.apply(frame)
      return enough()
    }, { deadline: 60_000 })
  }

  // Reads to the end, and until a marker row that is written now has come.
  async complete(marker) {
    await this.follow(() => this.last, 'the last page')
    await system.sql(`insert into items values ($1, 'marker')`, [marker])
    await this.follow(() => this.rows.has(marker), 'the marker')
  }
}

const items = async () => new Map((await system.sql('select id, v from items')).map(row => [row.id, row]))
const same = async copy => assert.deepEqual(new Map([...copy.rows].map(([id, { id: key, v }]) => [id, { id: key, v }]).sort(([a], [b]) => a - b)),
  new Map([...await items()].sort(([a], [b]) => a - b)))

test('all rows, only readable columns, then changes', async () => {
  const copy = await Copy.start('table:public.items')
  assert.equal(copy.ack.type, 'ack', JSON.stringify(copy.ack))
  await copy.complete(900001)
  assert.equal(copy.pages, 41)
  assert.deepEqual(copy.rows.get(17), { id: 17, v: 'v17' })
  await same(copy)
  copy.client.socket.close()
})

test('values are what changes say', async () => {
  const key = row => `${row.k} ${row.ts}`
  const copy = await Copy.start('table:public.kinds', { key, config: { snapshot: true, page_size: 400 } })
  await copy.follow(() => copy.last, 'the last page')
  assert.equal(copy.rows.size, 1500)
  const before = new Map(copy.rows)
  copy.rows.clear()
  await system.sql('update kinds set n = n')
  await copy.follow(() => copy.rows.size === 1500, 'every row as a change')
  assert.deepEqual(new Map([...before].sort()), new Map([...copy.rows].sort()))
  copy.client.socket.close()
})

test('a table without a key comes whole, without tokens', async () => {
  const copy = await Copy.start('table:public.loose', { key: row => row.v })
  await copy.follow(() => copy.last, 'the last page')
  assert.equal(copy.rows.size, 1500)
  copy.client.socket.close()
})

async function whileWriting(work) {
  let going = true
  let step = 0
  const writers = [0, 1, 2].map(async writer => {
    while (going) {
      const id = 1 + (step * 7919 + writer) % 20500
      step++
      await system.sql(step % 5 === 0 ? 'delete from items where id = $1'
        : step % 3 === 0 ? `insert into items values ($1, 'again') on conflict (id) do update set v = 'again${step}'`
          : `update items set v = 'w${step}' where id = $1`, [id])
    }
  })
  try {
    return await work()
  } finally {
    going = false
    await Promise.all(writers)
  }
}

test('writers during snapshots: every copy ends up right', async () => {
  const copies = await whileWriting(async () => {
    const started = []
    for (let i = 0; i < 4; i++) started.push(await Copy.start('table:public.items', { config: { snapshot: true, page_size: 200 + i } }))
    await Promise.all(started.map(copy => copy.follow(() => copy.last, 'the last page')))
    return started
  })
  await system.sql(`insert into items values (900002, 'marker')`)
  for (const copy of copies) {
    await copy.follow(() => copy.rows.has(900002), 'the marker')
    await same(copy)
    copy.client.socket.close()
  }
})

test('connections of snapshots are killed: they go on behind the last row', async () => {
  const copy = await whileWriting(async () => {
    const it = await Copy.start('table:public.items', { config: { snapshot: true, page_size: 50 } })
    for (let i = 0; i < 4; i++) {
      const pages = it.pages
      await it.follow(() => it.last || it.pages > pages + 5, 'some pages')
      await system.sql(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'pgtide-broker-%-snapshot'`)
    }
    await it.follow(() => it.last, 'the last page')
    return it
  })
  await copy.complete(900003)
  await same(copy)
  assert.ok(await system.metric('broker-0', 'pgtide_broker_snapshot_rolls_total') > 0)
  copy.client.socket.close()
})

test('a token goes on in another connection', async () => {
  const first = await Copy.start('table:public.items', { config: { snapshot: true, page_size: 100 } })
  await first.follow(() => first.pages >= 3, 'three pages')
  first.client.socket.terminate()
  await system.sql(`update items set v = 'between' where id in (2, 15000); delete from items where id = 3`)
  const second = await Copy.start('table:public.items', { config: { snapshot_token: first.token, page_size: 500 } })
  assert.equal(second.ack.type, 'ack', JSON.stringify(second.ack))
  second.rows = first.rows
  await second.complete(900004)
  await same(second)
  second.client.socket.close()
})

test('tokens that do not fit are told so', async () => {
  const first = await Copy.start('table:public.items', { config: { snapshot: true, page_size: 100 } })
  await first.follow(() => first.pages >= 1, 'a page')
  for (const [channel, token] of [['table:public.kinds', first.token], ['table:public.items', 'bm9uc2Vuc2U'], ['table:public.items', first.token.slice(0, -3)]]) {
    const other = await Client.open(system, { token: user(system) })
    other.send({ type: 'subscribe', channel, snapshot_token: token })
    const told = await other.take(frame => frame.type === 'error' || frame.type === 'ack')
    assert.equal(told.code, 'RESUME_GONE', JSON.stringify(told))
    assert.equal(told.payload.reason, 'snapshot')
    other.socket.close()
  }
  first.client.socket.close()
})

test('the broker is killed in the middle: the next one goes on by the token', async () => {
  const copy = await whileWriting(async () => {
    const it = await Copy.start('table:public.items', { config: { snapshot: true, page_size: 20 } })
    await it.follow(() => it.pages > 20, 'some pages')
    await system.kill('broker-0')
    system.start('broker-0')
    await it.follow(() => it.last, 'the last page')
    return it
  })
  await copy.complete(900005)
  await same(copy)
  copy.client.socket.close()
})

// The commit is in the log and decoded long before anybody sees it: it is not in the rows, and must come as a change, once.
test('a commit that waits for a standby is not lost and not doubled', async () => {
  const waiting = await Copy.start('table:public.items') // one snapshot before it, so that this broker knows what is older than its window
  await waiting.follow(() => waiting.last, 'the last page')
  waiting.client.socket.close()
  const resume = await stallCommits(system)
  const stalled = system.sql(`insert into items values (800001, 'stalled')`)
  let copy
  try {
    await until('it waits', async () => (await system.sql(`select from pg_stat_activity where wait_event = 'SyncRep' and query like '%stalled%'`)).length > 0)
    copy = await Copy.start('table:public.items')
    let inRows = false
    await until('the last page', () => {
      for (const frame of copy.client.frames.splice(0)) {
        if (frame.type === 'snapshot') inRows ||= frame.payload.rows.some(row => row.id === 800001)
        copy.apply(frame)
      }
      return copy.last
    })
    assert.equal(inRows, false)
    await copy.follow(() => copy.rows.has(800001), 'the stalled commit as a change')
    assert.equal(copy.changes, 1)
  } finally {
    await resume()
    await stalled
  }
  await copy.complete(900006)
  assert.equal(copy.changes, 2)
  await same(copy)
  copy.client.socket.close()
})

test('nothing is left behind', async () => {
  await until('no transaction of a snapshot is open', async () =>
    (await system.sql(`select from pg_stat_activity where application_name like 'pgtide-broker-%-snapshot' and state <> 'idle'`)).length === 0)
  assert.equal(await system.metric('broker-0', 'pgtide_broker_snapshots_running'), 0)
  assert.equal(await system.metric('broker-0', 'pgtide_broker_snapshots_waiting'), 0)
})
