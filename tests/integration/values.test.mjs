// Every value arrives as to_jsonb(row) of PostgreSQL itself; every shape of tuple and table.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
let client
before(async () => {
  system = await System.start()
  client = await Client.open(system, { token: user(system) })
  await system.sql(`create type mood as enum ('sad', 'it''s ok', 'very "happy"');
    create domain positive as int check (value > 0);
    create domain tags as text[];
    create type inner_pair as (a int, b text);
    create type outer_pair as (p inner_pair, list inner_pair[], t timestamptz, "odd ""name" numeric);
    create type floats as range (subtype = float8)`)
})
beforeEach(() => system.settled())
after(async () => {
  client?.close()
  await system?.stop()
})

// Type and value expressions. Each value is one row of a table with one such column.
const TYPES = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '0'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  numeric: ['0', '1.10', '-123456789012345678901234567890.123456789', "'NaN'", "'Infinity'", "'-Infinity'", '1e-20', '1e30'],
  'numeric(10,2)': ['3.14159', '-0.005'],
  real: ['1.5', "'NaN'", "'Infinity'", '1e-30', '3.4e38', "'-0'"],
  'double precision': ['0.1', '1e300', '1e-300', "'NaN'", "'-Infinity'", '123456789.123456789', "'-0'", '1e15', '1e16'],
  money: ["'12.34'", "'-1,234.56'"],
  text: ["''", "'plain'", `'quote " backslash \\ slash / tab' || chr(9) || 'nl' || chr(10) || 'cr' || chr(13) || 'bell' || chr(7) || 'del' || chr(127)`,
    `'naïve ünïcödé 漢字 🐘' || chr(8232) || chr(65533)`, "repeat('x', 100000)", "'</script>'", "'null'"],
  'varchar(20)': ["'abc  '"],
  'char(5)': ["'ab'"],
  '"char"': ["'x'", "''"],
  name: ["'a_name'"],
  bytea: ["'\\x'", "'\\x00ff5c22'", "decode(repeat('ab', 5000), 'hex')"],
  date: ["'2026-11-21'", "'0044-03-15 BC'", "'infinity'", "'-infinity'", "'5874897-12-31'", "'0001-01-01'"],
  time: ["'12:34:56'", "'24:00:00'", "'00:00:00.000001'"],
  timetz: ["'12:34:56+05:30'", "'01:02:03.5-00'"],
  timestamp: ["'2026-11-21 12:34:56'", "'2026-11-21 12:34:56.123456'", "'0044-03-15 10:00:00 BC'", "'infinity'", "'-infinity'", "'294276-12-31 23:59:59'"],
  timestamptz: ["'2026-11-21 12:34:56+00'", "'2026-11-21 12:34:56.5+05:30'", "'0044-03-15 10:00:00+00 BC'", "'infinity'", "'1883-11-18 12:00:00-08'"],
  interval: ["'1 year 2 mons 3 days 04:05:06.789'", "'-1 day'", "'0'"],
  uuid: ["'6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01'"],
  json: [`'{"b":  [1, 2.50, {"x": null}],\n "a": "t\\u00e9xt \\" \\\\ ", "e": {}, "d": [ ]}'`, "'null'", `'"text"'`, "'  12  '", "'1e5'"],
  jsonb: [`'{"b": [1, 2.50, {"x": null}], "a": "t\\u00e9xt, : { } [ ]"}'`, "'[]'", "'null'", "'1.10'", "'true'"],
  'bit(4)': ["B'1010'"],
  varbit: ["B'10101'"],
  inet: ["'10.0.0.1/8'", "'::1'"],
  cidr: ["'192.168.0.0/16'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  point: ["'(1.5,-2)'"], line: ["'{1,2,3}'"], lseg: ["'[(0,0),(1,1)]'"], box: ["'(1,1),(0,0)'"],
  path: ["'[(0,0),(1,1),(2,0)]'", "'((0,0),(1,1))'"], polygon: ["'((0,0),(1,1),(1,0))'"], circle: ["'<(0,0),2>'"],
  tsvector: ["'a:1 fat:2,4 cat''s:3'"], tsquery: ["'fat & (rat | !cat)'"],
  xml: [`'<a b="c">text</a>'`],
  pg_lsn: ["'16/B374D848'"], oid: ['4294967295'], regclass: ["'pg_class'"], xid: ["'123'"], txid_snapshot: ["'10:20:10,14'"],
  int4range: ["'[1,10)'", "'empty'"], numrange: ["'(,5.5]'"], tstzrange: ["'[2026-01-01 00:00+00,2026-02-01 00:00+00)'"],
  int4multirange: ["'{[1,3),[5,9)}'"], floats: ["'[1.5,2.5]'"],
  'integer[]': ["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'{{{1},{2}},{{3},{4}}}'", "'[2:4]={7,8,9}'"],
  'text[]': [`array['a', 'b,c', 'with "quotes"', 'back\\slash', '', 'NULL', null, ' space ', '{brace}']`],
  'boolean[]': ["'{t,f,NULL}'"],
  'numeric[]': ["'{1.10,NaN,-5}'"],
  'timestamptz[]': ["'{2026-11-21 12:34:56+00,infinity}'"],
  'date[]': ["'{2026-11-21}'"],
  'jsonb[]': [`array['{"a": 1}'::jsonb, '[1, "x"]', 'null', null]`],
  'bytea[]': ["array['\\x00ff'::bytea]"],
  'box[]': ["'{(1,1),(0,0);(3,3),(2,2)}'"],
  'uuid[]': ["array['6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01'::uuid]"],
  int2vector: ["'1 2 3'", "''"], oidvector: ["'16 25'"],
  mood: ["'it''s ok'", `'very "happy"'`], 'mood[]': [`array['sad', 'very "happy"', null]::mood[]`],
  positive: ['7'], 'positive[]': ["'{1,2}'"], tags: [`array['x', 'y z']`],
  inner_pair: [`row(1, 'text')`, `row(null, null)`, `row(2, '')`, `row(3, 'a "q" , (p) \\ b')`],
  'inner_pair[]': [`array[row(1, 'x'), row(null, 'a,"b"'), null]::inner_pair[]`],
  outer_pair: [`row(row(1, 'in "q"'), array[row(2, 'x,y')::inner_pair, null], '2026-11-21 12:00+00', 1.50)`, 'row(null, null, null, null)'],
}

test('every type equals to_jsonb(row), on insert, update and delete', async t => {
  const names = Object.keys(TYPES)
  await system.sql(names.map((type, at) => `create table v${at} (id int primary key, v ${type});
    grant select on v${at} to authenticated; select enable_realtime('v${at}');`).join('\n'))
  const big = await Client.open(system, { token: user(system) })
  for (const at of names.keys()) assert.equal((await big.subscribe(`table:public.v${at}`)).type, 'ack', names[at])

  let compared = 0
  await system.session(async db => {
    await db.query(`set timezone = 'UTC'; set intervalstyle = 'postgres'`)
    for (const [at, type] of names.entries()) {
      for (const [id, value] of ['null', ...TYPES[type]].entries()) {
        const cast = `(${value})::${type}`
        const [row] = (await db.query(`insert into v${at} as r values ($1, ${cast}) returning to_jsonb(r)::text as j`, [id])).rows
        const insert = await raw(big, 'INSERT')
        await same(db, insert.record, row.j, `${type} ${value}`)
        await db.query(`update v${at} set id = id + 1000 where id = $1`, [id])
        const update = await raw(big, 'UPDATE')
        await same(db, update.old_record, row.j, `${type} ${value} (old)`)
        await db.query(`delete from v${at} where id = $1`, [id + 1000])
        const removed = await raw(big, 'DELETE')
        await same(db, removed.old_record, row.j.replace(`"id": ${id}`, `"id": ${id + 1000}`), `${type} ${value} (deleted)`)
        compared += 3
      }
    }
  })
  t.diagnostic(`${names.length} types, ${compared} rows equal to to_jsonb(row)`)
  big.close()
})

// The text of a frame's member, cut out so that no JavaScript number rounds anything.
async function raw(from, kind) {
  from.texts ??= watch(from)
  for (;;) {
    const at = from.texts.findIndex(text => text.includes(`"payload":{"type":"${kind}"`))
    if (at >= 0) {
      const text = from.texts.splice(0, at + 1)[at]
      return { record: member(text, 'record'), old_record: member(text, 'old_record') }
    }
    await from.wake(20_000)
    if (from.closed) throw new Error(`closed ${from.closed.code}`)
  }
}

function watch(from) {
  const texts = []
  from.socket.on('message', data => texts.push(data.toString()))
  return texts
}

function member(text, name) {
  const start = text.indexOf(`"${name}":{`)
  if (start < 0) return null
  let depth = 0
  let quoted = false
  for (let at = start + name.length + 3; at < text.length; at++) {
    const c = text[at]
    if (quoted) {
      if (c === '\\') at += 1
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === '{') depth += 1
    else if (c === '}' && --depth === 0) return text.slice(start + name.length + 3, at + 1)
  }
  throw new Error(`unbalanced: ${text}`)
}

async function same(db, got, expected, what) {
  assert.ok(got, `${what}: no record`)
  const { rows: [{ equal, text }] } = await db.query('select $1::jsonb = $2::jsonb as equal, ($1::jsonb)::text as text', [got, expected])
  assert.equal(text, expected, what)
  assert.ok(equal, what)
}

const subscribe = async table => assert.equal((await client.subscribe(`table:public.${table}`)).type, 'ack', table)

async function table(name, definition, extra = '') {
  await system.sql(`create table ${name} (${definition}); ${extra}; grant select on ${name} to authenticated; select enable_realtime('${name}')`)
  await subscribe(name)
}

test('an unchanged TOAST value is whole with REPLICA IDENTITY FULL, and named otherwise', async () => {
  await table('docs', 'id int primary key, n int, body text', 'alter table docs alter body set storage external')
  await system.sql(`insert into docs values (1, 1, repeat('long ', 5000))`)
  await client.change('INSERT')
  await system.sql('update docs set n = 2')
  const full = (await client.change('UPDATE')).payload
  assert.equal(full.record.body.length, 25_000)
  assert.equal(full.unchanged, undefined)

  await system.sql('alter table docs replica identity default')
  await system.sql('update docs set n = 3')
  const partial = (await client.change('UPDATE')).payload
  assert.deepEqual(partial.record, { id: 1, n: 3 })
  assert.deepEqual(partial.unchanged, ['body'])
})

test('what is known of the old row follows the replica identity', async () => {
  await table('idents', 'id int primary key, k int not null unique, v text')
  await system.sql(`alter table idents replica identity default; insert into idents values (1, 10, 'a')`)
  await client.change('INSERT')
  await system.sql(`update idents set v = 'b'`)
  assert.deepEqual((await client.change('UPDATE')).payload.old_record, { id: 1 }, 'the key did not change')
  await system.sql('update idents set id = 2')
  assert.deepEqual((await client.change('UPDATE')).payload.old_record, { id: 1 }, 'the key before')
  await system.sql('alter table idents replica identity using index idents_k_key')
  await system.sql('delete from idents')
  const removed = (await client.change('DELETE')).payload
  assert.deepEqual(removed.old_record, { k: 10 }, 'only what the index carries; absent is not null')
  await system.sql(`alter table idents replica identity nothing`)
  await system.sql(`insert into idents values (3, 30, 'c')`)
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 3, k: 30, v: 'c' })
})

test('ALTER TABLE between two changes of one transaction', async () => {
  await table('moving', 'id int primary key, a text, b int')
  await system.sql(`begin; insert into moving values (1, 'x', 2); alter table moving add c jsonb default '{"k": 1}';
    insert into moving values (2, 'y', 3, '[]'); alter table moving drop a; alter table moving rename b to bb;
    insert into moving values (3, 4, 'null'); commit`)
  const records = []
  for (let n = 0; n < 3; n++) records.push((await client.change('INSERT')).payload.record)
  assert.deepEqual(records, [{ id: 1, a: 'x', b: 2 }, { id: 2, a: 'y', b: 3, c: [] }, { id: 3, bb: 4, c: null }])
  await system.sql('alter table moving alter bb type text using bb::text; insert into moving values (4, 5)')
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 4, bb: '5', c: { k: 1 } })
})

test('a type created and used in the same transaction', async () => {
  await system.sql(`begin; create type fresh as (x int, y text[]); create table uses_fresh (id int primary key, f fresh);
    grant select on uses_fresh to authenticated; select enable_realtime('uses_fresh'); insert into uses_fresh values (1, row(1, '{a,b}')); commit`)
  await system.settled()
  await subscribe('uses_fresh')
  await system.sql(`begin; create type fresher as enum ('u', 'v'); alter table uses_fresh add e fresher[];
    insert into uses_fresh values (2, row(2, null), '{u,v}'); commit`)
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 2, f: { x: 2, y: null }, e: ['u', 'v'] })
})

test('a partitioned table speaks under its own name, whatever the partition', async () => {
  await system.sql(`create table parts (id int, day date, v text, primary key (id, day)) partition by range (day);
    create table parts_a partition of parts for values from ('2026-01-01') to ('2026-02-01');
    create table parts_b (v text, day date not null, id int not null, primary key (id, day));
    alter table parts attach partition parts_b for values from ('2026-02-01') to ('2026-03-01');
    grant select on parts to authenticated; select enable_realtime('parts')`)
  await subscribe('parts')
  await system.sql(`insert into parts values (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')`)
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 1, day: '2026-01-05', v: 'a' })
  const second = (await client.change('INSERT')).payload
  assert.deepEqual(second.record, { id: 2, day: '2026-02-05', v: 'b' }, 'another column order in the partition')
  assert.equal(second.table, 'parts')
  await system.sql(`update parts set v = 'c' where id = 2`)
  const update = (await client.change('UPDATE')).payload
  assert.deepEqual(update.old_record, { id: 2, day: '2026-02-05', v: 'b' })
  await system.sql(`delete from parts where id = 1`)
  assert.deepEqual((await client.change('DELETE')).payload.old_record, { id: 1, day: '2026-01-05', v: 'a' })
})

test('generated columns are announced as not streamed, dropped ones leave no trace', async () => {
  await system.sql(`create table gen (id int primary key, gone text, a int, twice int generated always as (a * 2) stored);
    alter table gen drop column gone; grant select on gen to authenticated; select enable_realtime('gen')`)
  const ack = await client.subscribe('table:public.gen')
  assert.deepEqual(ack.payload.not_streamed, ['twice'])
  await system.sql('insert into gen values (1, 21)')
  assert.deepEqual((await client.change('INSERT')).payload.record, { id: 1, a: 21 })
})

test('a value over the limit is named, never a crash, and the rest of the row is there', async () => {
  await table('large', 'id int primary key, body text, small text')
  await system.sql(`insert into large values (1, repeat('x', 20 * 1024 * 1024), 's')`)
  const change = (await client.change('INSERT', { deadline: 60_000 })).payload
  assert.deepEqual(change.record, { id: 1, small: 's' })
  assert.deepEqual(change.too_large, ['body'])
  await system.sql(`update large set small = 't'`)
  const update = (await client.change('UPDATE', { deadline: 60_000 })).payload
  assert.equal(update.record.small, 't')
  assert.deepEqual(update.too_large, ['body'])
  assert.ok(await system.metric('tailer', 'pgtide_tailer_too_large_total') >= 2)
  // Just under the limit it passes whole.
  await system.sql(`insert into large values (2, repeat('y', 5 * 1024 * 1024), 's')`)
  assert.equal((await client.change('INSERT', { deadline: 60_000 })).payload.record.body.length, 5 * 1024 * 1024)
})

test('a very wide row and a table without columns to speak of', async () => {
  const columns = Array.from({ length: 500 }, (_, at) => `c${at} int`).join(', ')
  await table('wide', `id int primary key, ${columns}`)
  await system.sql(`insert into wide (id, c0, c499) values (1, 10, 20)`)
  const { record } = (await client.change('INSERT')).payload
  assert.equal(Object.keys(record).length, 501)
  assert.equal(record.c499, 20)
})
