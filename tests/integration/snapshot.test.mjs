// Rows and then the stream, in one subscription: at every moment the copy can become what SELECT says, nothing twice.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import WebSocket from 'ws'
import { Client } from './lib/client.mjs'
import { Copy } from './lib/copy.mjs'
import { stallCommits } from './lib/standby.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

// What the sanitizer keeps of freed memory is not the program's.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=16`
let system
before(async () => {
  system = await System.start({ set: ['realtime.heartbeat_interval=200ms', 'realtime.message_rate_limit=0'] })
})
after(() => system?.stop())

async function table(name, columns, rows = '') {
  await system.sql(`create table ${name} (${columns}); grant select on ${name} to authenticated; select enable_realtime('${name}'); ${rows}`)
  await system.settled()
}
const open = options => Client.open(system, { token: user(system), ...options })
const channel = name => `table:public.${name}`
// As to_jsonb says, which is what records are.
const selected = async (name, columns = '*') => (await system.sql(`select to_jsonb(r) as row from (select ${columns} from ${name}) r`)).map(each => each.row)
const idle = () => until('no snapshot is open in the database', async () =>
  (await system.sql(`select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%' and backend_type = 'client backend'`))[0].n === 0)

test('a snapshot, page by page in key order, and then the stream', async () => {
  await table('plain', 'id int primary key, v text', `insert into plain select g, 'row ' || g from generate_series(1, 250) g`)
  const client = await open()
  const copy = new Copy()
  const ack = await copy.read(client, channel('plain'), { snapshot: true, page_size: 100 })
  assert.notEqual(ack.payload.resumed, true)
  assert.deepEqual(copy.pages.map(page => page.page), copy.pages.map((_, at) => at + 1))
  assert.ok(copy.pages.every(page => page.rows <= 100))
  assert.deepEqual(copy.pages.map(page => page.last), copy.pages.map((_, at) => at === copy.pages.length - 1))
  assert.deepEqual([...copy.rows.keys()].map(Number), Array.from({ length: 250 }, (_, n) => n + 1))
  copy.equals(await selected('plain'))
  await system.sql(`insert into plain values (251, 'live')`)
  await copy.until(client, 251)
  copy.equals(await selected('plain'))
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  await idle()
  client.close()
})

test('page sizes: one row, the largest, and what is refused', async () => {
  const client = await open()
  for (const page_size of [0, -1, 10001, 'x', 1.5]) {
    const answer = await client.subscribe(channel('plain'), { snapshot: true, page_size })
    assert.equal(answer.type, 'error', `${page_size}: ${JSON.stringify(answer)}`)
    assert.match(answer.message, /page_size/)
  }
  client.close()
  for (const [page_size, most] of [[1, 252], [7, 37], [10000, 2]]) {
    const each = await open()
    const copy = new Copy()
    await copy.read(each, channel('plain'), { snapshot: true, page_size })
    assert.ok(copy.pages.length <= most && copy.pages.every(page => page.rows <= page_size), JSON.stringify(copy.pages.slice(0, 5)))
    copy.equals(await selected('plain'))
    each.close()
  }
})

test('under concurrent writes: every copy equals the table at the end', async t => {
  await table('busy', 'id int primary key, v int', 'insert into busy select g, 0 from generate_series(1, 5000) g')
  let writing = true
  let written = 0
  const writers = [0, 1, 2].map(async writer => {
    let next = 10_000 + writer * 1_000_000
    while (writing) {
      const some = Math.floor(Math.random() * 5000) + 1
      await system.sql(`begin; update busy set v = v + 1 where id in (${some}, ${(some + 2500) % 5000}); insert into busy values (${++next}, 1), (${++next}, 1);
        delete from busy where id = ${next - 20}; ${written % 7 === 0 ? 'rollback' : 'commit'}`)
      written += 1
    }
  })
  let all
  try {
    all = await Promise.all(Array.from({ length: 12 }, async (_, n) => {
      await new Promise(wake => setTimeout(wake, 100 * n))
      const client = await open()
      const copy = new Copy()
      await copy.read(client, channel('busy'), { snapshot: true, page_size: [50, 100, 1000][n % 3] })
      return { client, copy }
    }))
  } finally {
    writing = false
    await Promise.all(writers)
  }
  await system.sql('insert into busy values (9999999, 1)')
  const final = await selected('busy')
  for (const { client, copy } of all) {
    await copy.until(client, 9_999_999)
    copy.equals(final)
    client.close()
  }
  t.diagnostic(`12 snapshots of ${final.length} rows beside ${written} transactions; changes applied: ${all.map(({ copy }) => copy.changes).join(' ')}`)
  await idle()
})

test('only the columns that the role may read, in pages and in changes', async () => {
  await system.sql(`create table columns_of (id int primary key, open text, secret text); grant select (id, open) on columns_of to authenticated;
    select enable_realtime('columns_of'); insert into columns_of values (1, 'o', 's'); create table locked (id int primary key); select enable_realtime('locked')`)
  await system.settled()
  const client = await open()
  const copy = new Copy()
  await copy.read(client, channel('columns_of'), { snapshot: true })
  await system.sql(`insert into columns_of values (2, 'oo', 'ss')`)
  await copy.until(client, 2)
  copy.equals([{ id: 1, open: 'o' }, { id: 2, open: 'oo' }])
  assert.equal((await client.subscribe(channel('locked'), { snapshot: true })).code, 'FORBIDDEN')
  client.close()
})

test('an empty table: one last page without rows', async () => {
  await table('empty', 'id int primary key')
  const client = await open()
  const copy = new Copy()
  await copy.read(client, channel('empty'), { snapshot: true })
  assert.deepEqual(copy.pages, [{ page: 1, rows: 0, last: true }])
  await system.sql('insert into empty values (1)')
  await copy.until(client, 1)
  client.close()
})

test('without a primary key: all rows, no token between pages', async () => {
  await table('keyless', 'v text', `insert into keyless select 'v' || g from generate_series(1, 500) g`)
  const client = await open()
  assert.equal((await client.subscribe(channel('keyless'), { snapshot: true, page_size: 100 })).type, 'ack')
  const rows = []
  for (;;) {
    const { payload } = await client.take(frame => frame.type === 'snapshot')
    rows.push(...payload.rows.map(row => row.v))
    if (payload.last) break
    assert.ok(payload.token == null || payload.token === '', `token ${payload.token}`)
  }
  assert.deepEqual(rows.sort(), Array.from({ length: 500 }, (_, n) => `v${n + 1}`).sort())
  await system.sql(`insert into keyless values ('live')`)
  assert.equal((await client.change()).payload.record.v, 'live')
  client.close()
})

for (const [name, columns, key, rows] of [
  ['composite', 'a int, b text, v text, primary key (b, a)', ['a', 'b'], `insert into composite select g % 10, 'b' || g / 10, 'x' from generate_series(1, 300) g`],
  ['collated', 'k text collate "C" primary key, v int', 'k', `insert into collated select chr(32 + g % 90) || chr(228 + g % 20) || g, g from generate_series(1, 300) g`],
  ['by_icu', 'k text collate "de-x-icu" primary key, v int', 'k', `insert into by_icu select (case g % 4 when 0 then 'ä' when 1 then 'a' when 2 then 'Z' else 'z''"\\' end) || g, g from generate_series(1, 300) g`],
  ['by_uuid', 'k uuid primary key default gen_random_uuid(), v int', 'k', `insert into by_uuid (v) select g from generate_series(1, 300) g`],
  ['by_numeric', 'k numeric primary key, v int', 'k', `insert into by_numeric select g / 7.0, g from generate_series(1, 300) g`],
  ['by_time', 'k timestamptz primary key, v int', 'k', `insert into by_time select '2026-03-29 00:30+00'::timestamptz + g * interval '13 minutes 7.123456 seconds', g from generate_series(1, 300) g`],
  ['"Quoted ""name"', '"the Key" int, "sel ect" text, primary key ("the Key")', 'the Key', `insert into "Quoted ""name" select g, 'x' from generate_series(1, 300) g`],
  ['partitioned', 'id int primary key, v text) partition by range (id', 'id', `create table part_1 partition of partitioned for values from (0) to (150);
    create table part_2 partition of partitioned for values from (150) to (1000); insert into partitioned select g, 'x' from generate_series(1, 300) g`],
]) {
  test(`key and table: ${name}, with a disconnect after every second page`, async t => {
    if (name === 'by_icu' && (await system.sql(`select from pg_collation where collname = 'de-x-icu'`)).length === 0) return t.skip('PostgreSQL without ICU')
    const sqlName = name
    await system.sql(`create table ${sqlName} (${columns})`)
    await system.sql(`grant select on ${sqlName} to authenticated; ${rows}`)
    await system.sql('select enable_realtime($1, $2)', ['public', name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name])
    await system.settled()
    const wanted = channel(name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name)
    const copy = new Copy(key)
    let more = { snapshot: true, page_size: 40 }
    while (!copy.done) {
      const client = await open()
      await copy.read(client, wanted, more, { pages: 2 })
      client.close()
      more = { snapshot_token: copy.token, page_size: 40 }
    }
    copy.equals(await selected(sqlName))
  })
}

test('a row of a snapshot is written as the same row of the stream', async () => {
  await table('kinds', `id int primary key, b bigint, n numeric, f float8, d real, t timestamptz, ts timestamp, da date, ti time, i interval, j jsonb, js json, a int[], ta text[],
    u uuid, by bytea, bo boolean, r int4range, p point, inet inet, e text, x text, m money`)
  const client = await open()
  assert.equal((await client.subscribe(channel('kinds'))).type, 'ack')
  await system.sql(`insert into kinds values (1, 9007199254740993, 12345678901234567890.123, 'NaN', 1.5, '2026-11-21 10:00:00.123456+02', '2026-11-21 10:00', '0044-03-15 BC', '10:11:12.5',
    '1 year 2 days -3 seconds', '{"a":[1,null,"é"]}', '{"b" : 2, "b":3}', '{{1,2},{3,NULL}}', '{"a,b","c\\"d",NULL}', '6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01', '\\x00ff10', true, '[1,5)', '(1,2)',
    '10.0.0.1/8', E'tab\\t "quote" \\\\ \\u0001 é 😀', null, '12.34'), (2, null, 'Infinity', '-Infinity', 'Infinity', 'infinity', '-infinity', 'infinity', '24:00', '0', 'null', '[]', '{}', '{}', null, '', false,
    'empty', null, null, '', null, null)`)
  const streamed = (await client.changes(2)).map(payload => payload.record)
  client.close()
  const other = await open()
  const copy = new Copy()
  await copy.read(other, channel('kinds'), { snapshot: true })
  assert.deepEqual([...copy.rows.values()], streamed)
  other.close()
})

test('disconnect between pages, writes meanwhile, go on with the token: the copy is right', async () => {
  await table('broken', 'id int primary key, v int', 'insert into broken select g, 0 from generate_series(1, 1000) g')
  const copy = new Copy()
  let more = { snapshot: true, page_size: 100 }
  for (let round = 1; !copy.done; round++) {
    const client = await open()
    await copy.read(client, channel('broken'), more, { pages: 2 })
    client.close()
    // Rows that came already, rows still to come, new ones on both sides, deleted ones.
    await system.sql(`update broken set v = ${round} where id % 50 = 0; delete from broken where id % 97 = ${round};
      insert into broken values (${-round}, ${round}), (${10_000 + round}, ${round}); update broken set id = ${20_000 + round} where id = ${round * 50 + 1}`)
    more = { snapshot_token: copy.token, page_size: 100 }
  }
  const client = await open()
  copy.changes = 0
  // The token of the last page: no rows any more, only what the snapshot did not hold.
  const ack = await client.subscribe(channel('broken'), more)
  assert.equal(ack.type, 'ack', JSON.stringify(ack))
  await system.sql('insert into broken values (99999, 0)')
  for (;;) {
    const frame = await client.take(each => ['snapshot', 'broadcast', 'gap', 'error'].includes(each.type), { deadline: 60_000 })
    if (frame.type === 'snapshot') { assert.equal(frame.payload.rows.length, 0); continue }
    copy.done = false // changes may tell again what the copy has: it is the state that counts
    copy.apply(frame)
    if (frame.payload.record?.id === 99999) break
  }
  copy.equals(await selected('broken'))
  client.close()
})

test('cancelled between pages: nothing more comes, nothing stays open in the database', async () => {
  await table('cancelled', 'id int primary key, v text', `insert into cancelled select g, repeat('x', 500) from generate_series(1, 50000) g`)
  const client = await open()
  const copy = new Copy()
  await copy.read(client, channel('cancelled'), { snapshot: true, page_size: 10 }, { pages: 3 })
  client.send({ type: 'unsubscribe', channel: channel('cancelled') })
  await client.take(frame => frame.type === 'ack' && frame.status === 'unsubscribed')
  client.frames.splice(0)
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [])
  await idle()
  assert.equal((await client.subscribe(channel('cancelled'))).type, 'ack', 'and the channel is free again')
  client.close()
  const gone = await open()
  await new Copy().read(gone, channel('cancelled'), { snapshot: true, page_size: 10 }, { pages: 3 })
  gone.close()
  await idle()
})

test('a token that is not one, or of something else', async () => {
  const client = await open()
  const copy = new Copy()
  await copy.read(client, channel('plain'), { snapshot: true, page_size: 10 }, { pages: 1 })
  client.close()
  const other = await open()
  for (const [name, token] of [['plain', 'nonsense'], ['busy', copy.token], ['plain', `${copy.token}x`], ['plain', copy.token.slice(0, -3)], ['plain', 'x'.repeat(3000)], ['plain', 5]]) {
    const answer = await other.subscribe(channel(name), { snapshot_token: token })
    assert.equal(answer.type, 'error', `${token}: ${JSON.stringify(answer)}`)
    if (answer.code === 'RESUME_GONE') assert.equal(answer.payload.reason, 'snapshot')
    else assert.match(answer.message, /snapshot_token|token/)
  }
  assert.equal((await other.subscribe(channel('plain'), { snapshot_token: copy.token })).type, 'ack')
  other.close()
})

// The first change of a table in the stream makes the broker read its rights again, as of that transaction: it would wait for
// a stalled one. And a broker that was just started cannot know what waits since before it: one snapshot shows that nothing does.
async function announced(watcher, name) {
  await system.sql(`insert into ${name} values (-1, 0)`)
  await watcher.changes(1)
  await system.sql(`delete from ${name} where id = -1`)
  await watcher.changes(1)
  const client = await open()
  await new Copy().read(client, channel(name), { snapshot: true })
  client.close()
}

// A commit that waits for a synchronous standby is in the WAL and decoded, but no snapshot sees it yet.
test('a stalled synchronous standby during the snapshot: nothing lost, nothing twice', async () => {
  await table('stalled', 'id int primary key, v int', 'insert into stalled select g, 0 from generate_series(1, 500) g')
  const watcher = await open()
  assert.equal((await watcher.subscribe(channel('stalled'))).type, 'ack')
  await announced(watcher, 'stalled')
  const waiting = []
  const copies = []
  const resume = await stallCommits(system)
  try {
    for (const statement of ['insert into stalled values (501, 1)', 'update stalled set v = 1 where id = 1', 'delete from stalled where id = 2', 'insert into stalled values (0, 1), (502, 1)']) {
      waiting.push(system.sql(statement))
    }
    await watcher.changes(5) // so the broker has them behind it
    assert.deepEqual((await system.sql('select id from stalled where id in (0, 1, 2, 501) and v = 0')).map(row => row.id).sort(), [1, 2], 'and nobody sees them')
    for (const page_size of [50, 1000]) {
      const client = await open()
      const copy = new Copy()
      await copy.read(client, channel('stalled'), { snapshot: true, page_size }, { pages: 1 })
      copies.push({ client, copy, page_size })
    }
    // One is in the middle of its pages when the standby comes back, the other has them all.
  } finally {
    await resume()
    await Promise.all(waiting)
  }
  await system.sql('insert into stalled values (600, 2)')
  for (const { client, copy } of copies) {
    while (!copy.done) await copy.page(client, channel('stalled'))
    await copy.until(client, 600)
    assert.equal(copy.changes, 6, 'each waiting change once')
    copy.equals(await selected('stalled'))
    client.close()
  }
  watcher.close()
})

// The snapshot shows a later commit and not an earlier one: behind its rows the earlier one comes, and its `id` would be no
// `since`. The heartbeat's is, says the protocol.
test('since, right after a snapshot that shows commits out of their order', async () => {
  await table('overtaken', 'id int primary key, v int', 'insert into overtaken select g, 0 from generate_series(1, 10) g')
  const watcher = await open()
  assert.equal((await watcher.subscribe(channel('overtaken'))).type, 'ack')
  await announced(watcher, 'overtaken')
  let waiting
  const copy = new Copy()
  const first = await open()
  const resume = await stallCommits(system)
  try {
    waiting = system.sql('insert into overtaken values (11, 1)')
    await watcher.changes(1)
    await system.sql('begin; set local synchronous_commit = local; insert into overtaken values (12, 1); commit')
    await watcher.changes(1)
    await copy.read(first, channel('overtaken'), { snapshot: true })
    assert.ok(copy.rows.has('12') && !copy.rows.has('11'), 'the later one is there, the earlier one is not')
  } finally {
    await resume()
    await waiting
  }
  await copy.until(first, 11)
  first.frames.splice(0)
  const { payload: { id } } = await first.take(frame => frame.type === 'heartbeat' && frame.payload?.id)
  first.close()
  const second = await open()
  const ack = await second.subscribe(channel('overtaken'), { since: id })
  assert.equal(ack.payload?.resumed, true, JSON.stringify(ack))
  await system.sql('insert into overtaken values (13, 1)')
  await copy.until(second, 13)
  copy.equals(await selected('overtaken'))
  second.close()
  watcher.close()
})

test('a million rows for a slow client: memory is bounded, others notice nothing', async t => {
  const rows = 1_000_000
  await table('huge', 'id int primary key, v text')
  await system.sql(`insert into huge select g, 'row number ' || g || repeat(' ', 50) from generate_series(1, ${rows}) g`)
  await table('other', 'id int primary key, at timestamptz default clock_timestamp()')
  await system.settled()
  const names = system.processes().filter(name => /^(broker|edge)/.test(name))
  const before = Object.fromEntries(names.map(name => [name, system.rss(name)]))
  const well = await open()
  await well.subscribe(channel('other'))

  const slow = new WebSocket(`${system.url}/realtime?token=${user(system)}`, { perMessageDeflate: false })
  await new Promise((done, fail) => slow.once('open', done).once('error', fail))
  let [received, last, disorder, closed, changes] = [0, false, 0, null, 0]
  let highest = 0
  slow.on('close', (code, reason) => { closed = `${code} ${reason}` })
  slow.on('message', data => {
    const frame = JSON.parse(data)
    if (frame.type === 'broadcast') { changes += 1; return }
    if (frame.type !== 'snapshot') return
    for (const row of frame.payload.rows) { if (row.id <= highest) disorder += 1; highest = row.id }
    received += frame.payload.rows.length
    last ||= frame.payload.last
  })
  slow.send(JSON.stringify({ type: 'subscribe', channel: channel('huge'), snapshot: true, page_size: 1000 }))
  await until('it has begun', () => received > 0)
  slow.pause()
  const delays = []
  const started = Date.now()
  for (let n = 1; n <= 40; n++) {
    const sent = Date.now()
    await system.sql('insert into other (id) values ($1)', [n])
    await well.change('INSERT')
    delays.push(Date.now() - sent)
    await new Promise(wake => setTimeout(wake, 50))
  }
  assert.ok(Math.max(...delays) < 2000, `another client waited ${Math.max(...delays)} ms`)
  const paused = received
  assert.ok(!last && paused < rows)
  slow.resume()
  await system.sql(`update huge set v = 'changed' where id in (1, ${rows})`)
  await until('all rows are there', () => last || closed, { deadline: 300_000 })
  assert.equal(closed, null)
  const seconds = Math.round((Date.now() - started) / 100) / 10
  const grown = Object.fromEntries(names.map(name => [name, Math.round((system.peakRss(name) - before[name]) / 1048576)]))
  t.diagnostic(`${rows} rows in ${seconds} s; memory grew by MiB ${JSON.stringify(grown)}; others waited at most ${Math.max(...delays)} ms`)
  for (const name of names) assert.ok(grown[name] < 100, `${name} grew by ${grown[name]} MiB`)
  await until('the changes are there, too', () => changes >= 1)
  assert.deepEqual([received, disorder], [rows, 0])
  slow.terminate()
  well.close()
  await idle()
})
