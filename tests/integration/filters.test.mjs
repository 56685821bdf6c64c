// Filters: PostgreSQL's own answers against the match index and against the programs that judge rows, over types whose equal
// values have different texts, collations, and rows that miss columns.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { System, bin } from './lib/system.mjs'

let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1 })
  await fill()
})
after(() => system?.stop())

// Values of each type, spelled in several ways; some columns hold only what the others are compared with.
const TYPES = {
  a: ['int', ['0', '1', '-1', '2147483647', '007', ' 5']],
  b: ['bigint', ['1', '9223372036854775807', '-9223372036854775808', '42']],
  n: ['numeric', ['1', '1.0', '1.00', '0', '0.000', '-0', 'NaN', 'Infinity', '-Infinity', '1e3', '1000', '123456789012345678901234567890.5', '123456789012345678901234567890.50', '0.1']],
  n2: ['numeric(8,2)', ['1', '1.00', '0', '12.5', '-3.25']],
  f: ['float8', ['0', '-0', '1', '1.5', '1e300', 'NaN', 'Infinity', '-Infinity', '0.1']],
  g: ['float4', ['0', '-0', '0.1', '16777216', '1e20']],
  t: ['text', ['', 'a', 'a ', 'A', 'ä', 'Ä', 'a,b', '(x)', 'it\'s', '%', 'x_y', '\\\\', 'I', 'i', '\u0131', '\u0130', '\u212a', 'k', 'Zürich', 'zÜRICH', 'a%', '_', '%a%', 'A_']],
  tc: ['text collate "C"', ['', 'a', 'A', 'ä', 'Ä', 'b', 'Z', 'zz', 'i%', 'I', '\u212a', '%Ü%', 'zürich']],
  tt: ['text collate "tr-x-icu"', ['I', 'i', '\u0131', 'a', 'A']],
  na: ['name', ['a', 'A', 'ä', 'b', 'a%']],
  qc: ['"char"', ['a', 'b', '']],
  oi: ['oid', ['0', '1', '4294967295']],
  s: ['smallint', ['0', '1', '-32768']],
  ma: ['macaddr', ['08:00:2b:01:02:03', '08-00-2b-01-02-03', 'ff:ff:ff:ff:ff:ff']],
  ar: ['int[]', ['{}', '{1,2}', '{1}', '{NULL}']],
  me: ['mood[]', ['{}', '{sad}', '{sad,happy}']],
  jb: ['jsonb', ['null', '1', '1.0', '"a"', '{"a":1}', '{"a":"x","b":[1,2]}', '{"a":null}', '[1]']],
  js: ['json', ['{"a":1}', '{"a":"x"}', '[]']],
  tz2: ['timetz', ['12:00+00', '13:00+01']],
  v: ['varchar(4)', ['a', 'ab', 'abcd', 'abcdefgh', 'a ']],
  c: ['char(5)', ['a', 'a ', 'ab', 'abcde', '']],
  bo: ['boolean', ['t', 'false', 'yes', 'off']],
  u: ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC999C0B4EF8BB6D6BB9BD380A11', '00000000-0000-0000-0000-000000000000']],
  d: ['date', ['2026-11-21', 'infinity', '-infinity', '0044-03-15 BC', '1999-12-31']],
  ts: ['timestamp', ['2026-11-21 09:49:46', '2026-11-21T09:49:46.000', 'infinity', '0001-01-01 BC', '294276-12-31 23:59:59']],
  tz: ['timestamptz', ['2026-11-21 09:49:46+00', '2026-11-21 10:49:46+01', '2026-11-21 09:49:46.000001Z', '-infinity']],
  ti: ['time', ['24:00', '00:00', '12:30:00.5']],
  m: ['mood', ['sad', 'ok', 'happy']],
  dn: ['amount', ['1', '1.0', '2.50', '2.5']],
  dt: ['label', ['x', 'y ', 'y']],
  by: ['bytea', ['\\\\x41', 'A', '']],
  ip: ['inet', ['10.0.0.1', '10.0.0.1/32', '10.0.0.0/8', '::1']],
  iv: ['interval', ['1 day', '24 hours', '1 mon', '30 days']],
  nd: ['text collate ignore_case', ['a', 'A', 'b']],
}
const OPS = ['eq', 'eq', 'eq', 'in', 'in', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct', 'like', 'ilike', 'ilike', 'match', 'imatch', 'is']
const PATHS = ['jb->a', 'jb->>a', 'js->>a', 'jb->0', 'jb->b->>1']

let seed = 20261121
const pick = below => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor(seed / 4294967296 * below)
}
const one = list => list[pick(list.length)]
const quoted = value => `"${value.replaceAll('"', '\\"')}"`

function condition() {
  if (pick(20) === 0) return `${one(PATHS)}=${pick(3) === 0 ? 'not.' : ''}${one(['eq.1', 'eq.x', 'eq."x"', 'is.null', 'neq.2', 'isdistinct.1', 'in.(1,2)', 'gt.1', 'like.x%'])}`
  const [column, [, values]] = one(Object.entries(TYPES))
  const op = one(OPS)
  const not = pick(6) === 0 ? 'not.' : ''
  if (op === 'is') return `${column}=${not}is.${one(['null', 'null', 'true', 'false'])}`
  if (op === 'in') return `${column}=${not}in.(${Array.from({ length: 1 + pick(4) }, () => quoted(one(values))).join(',')})`
  return `${column}=${not}${op}.${quoted(one(values))}`
}

function filter(depth = 0) {
  const items = Array.from({ length: 1 + pick(3) }, () => depth < 2 && pick(3) === 0 ? `${pick(6) === 0 ? 'not.' : ''}${one(['or', 'and'])}(${filter(depth + 1)})` : condition())
  return items.join(',')
}

function ask(filters, databaseUrl = system.databaseUrl) {
  return new Promise((done, failed) => {
    const child = spawn(bin('filter_oracle'), [databaseUrl, 'public', 'things'])
    let output = ''
    child.stdout.on('data', data => { output += data })
    child.stderr.on('data', data => { output += data })
    child.on('error', failed)
    child.on('close', code => done({ code, output }))
    child.stdin.end(filters.join('\n') + '\n')
  })
}

async function fill() {
  await system.sql(`create type mood as enum ('sad', 'ok', 'happy'); create domain amount as numeric check (value > 0); create domain label as text;
    create collation ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table things (id int primary key, gone int, ${Object.entries(TYPES).map(([name, [type]]) => `${name} ${type}`).join(', ')});
    alter table things drop column gone; alter table things alter column jb type jsonb, drop column tz2, add column tz2 timetz`)
  await system.session(async db => {
    for (let id = 0; id < 200; id++) {
      const columns = Object.entries(TYPES).filter(() => pick(5) > 0)
      const values = columns.map(([name, [, values]]) => {
        const value = one(values).replaceAll('\\\\', '\\')
        return name === 'v' ? value.slice(0, 4) : value
      })
      await db.query(`insert into things (id${columns.map(([name]) => `, ${name}`).join('')}) values (${id}${columns.map((_, i) => `, $${i + 1}`).join('')})`, values)
    }
  })
}

test('the index finds what PostgreSQL says, for every row and filter', async t => {
  const { code, output } = await ask(Array.from({ length: 2500 }, () => filter()))
  const [program, figures] = output.trim().split('\n').slice(-2)
  t.diagnostic(program)
  t.diagnostic(figures)
  assert.equal(code, 0, output.match(/^.*ERROR.*$|^(LEAKED|WITHHELD|row).*/gm)?.slice(0, 5).join("\n") ?? output.slice(-2000))
  const [accepted, refused, scanned, decisions, judged, wrong] = figures.match(/\d+/g).map(Number)
  assert.ok(accepted > 500 && refused > 50 && scanned < accepted * 0.8, figures)
  assert.ok(judged < decisions && wrong === 0, figures)
  const [judgements, leaked, withheld, asked, yes, masked, undecided, , unforeseen] = program.match(/\d+/g).map(Number)
  t.diagnostic(`asked of PostgreSQL: ${(100 * asked / judgements).toFixed(2)} %`)
  assert.ok(judgements > 200_000 && leaked === 0 && withheld === 0, program)
  assert.ok(unforeseen < asked * 0.02, program)
  assert.ok(asked > 0 && asked < judgements * 0.3 && yes > judgements * 0.05 && undecided > 0 && undecided < masked / 2, program)
})

test('what is certain is not asked: the types and operators that most filters use', async t => {
  const plain = ['a', 'b', 'n', 'f', 't', 'v', 'bo', 'u', 'd', 'ts', 'tz', 'm', 'dn', 'dt', 'ip', 'na', 's']
  const filters = plain.flatMap(column => ['eq', 'neq', 'in', 'isdistinct', 'not.eq'].flatMap(op => TYPES[column][1].filter(value => !value.startsWith('294276')).map(value =>
    `${column}=${op}.${op === 'in' ? `(${quoted(value)},${quoted(value)})` : quoted(value)}`)))
  const ordered = ['a', 'b', 'n', 'f', 'bo', 'u', 'd', 'ts', 'tz', 'm', 'tc', 's'].flatMap(column => ['gt', 'lte'].map(op => `${column}=${op}.${quoted(TYPES[column][1][0])}`))
  const { code, output } = await ask([...filters, ...ordered, ...['t', 'v', 'tc', 'na'].map(column => `${column}=like."%a%"`), 'tc=ilike."%A%"', 'bo=is.true', 'bo=is.unknown', 'jb=is.null'])
  const program = output.trim().split('\n').at(-2)
  t.diagnostic(program)
  assert.equal(code, 0, output.slice(-2000))
  const [judgements, leaked, withheld, asked, , , , asking, unforeseen] = program.match(/\d+/g).map(Number)
  assert.ok(judgements > 50_000 && leaked === 0 && withheld === 0, program)
  assert.ok(asking === 0 && asked === unforeseen && asked < judgements * 0.01, program) // rows with a timestamp of the year 294276
})

test('ilike in databases of other locales: ASCII is certain where lower() is ASCII\'s, nothing in Turkish', async t => {
  const texts = ['', 'a', 'A', 'i', 'I', '\u0131', '\u0130', 'k', 'K', '\u212a', 'ä', 'Ä', 'Zürich', 'ZÜRICH', 'kitap', 'KITAP', 'ss', 'ß', 'a_b', '%']
  const patterns = [...texts, ...texts.map(text => `%${text}%`), '_', 'K____', 'k%', '%I%', 'z_rich'].filter(text => text !== '')
  for (const [name, locale, asking] of [['generic', 'und', false], ['turkish', 'tr', true]]) {
    await system.sql(`create database ${name} template template0 encoding 'UTF8' locale_provider icu icu_locale '${locale}' locale 'C'`)
    const url = new URL(system.databaseUrl)
    url.pathname = `/${name}`
    const db = new pg.Client({ connectionString: url.href })
    await db.connect()
    await db.query('create table things (id int primary key, t text)')
    for (const [id, text] of texts.entries()) await db.query('insert into things values ($1, $2)', [id, text])
    await db.end()
    const { code, output } = await ask(patterns.flatMap(pattern => [`t=ilike.${quoted(pattern)}`, `t=not.ilike.${quoted(pattern)}`]), url.href)
    const program = output.trim().split('\n').at(-2)
    t.diagnostic(`${name}: ${program}`)
    assert.equal(code, 0, output.slice(-2000))
    const [judgements, leaked, withheld, asked] = program.match(/\d+/g).map(Number)
    assert.ok(judgements > 1500 && leaked === 0 && withheld === 0, program)
    if (asking) assert.equal(asked, judgements)
    else assert.ok(asked > 0 && asked < judgements * 0.7, program)
  }
})

test('a refusal names the character and the reason', async () => {
  const { output } = await ask(['a=eq.x', 'b=eq.1,a=in.(1,2.5)', 'a=like.x', 'iv=eq.1 day,nope=eq.1', 'a=is.true', 'm=eq.angry', 't=match.(', 'u=gt', 'bo=eq.maybe', 'a=eq.99999999999'])
  const lines = output.trim().split('\n').map(line => line.split('\t')[1])
  assert.match(lines[0], /^character 1: column "a", operator eq: invalid input syntax for type integer: "x"$/)
  assert.match(lines[1], /^character 8: column "a", operator in: invalid input syntax for type integer: "2.5"$/)
  assert.match(lines[2], /^character 1: column "a", operator like: operator does not exist: integer ~~ unknown$/)
  assert.match(lines[3], /^character 13: column "nope" does not exist$/)
  assert.match(lines[4], /^character 1: column "a", operator is.true: argument of IS TRUE must be type boolean/)
  assert.match(lines[5], /^character 1: column "m", operator eq: invalid input value for enum public.mood: "angry"$/)
  assert.match(lines[6], /^invalid regular expression/)
  assert.match(lines[7], /^character 5: expected \. and a value, found the end of the filter$/)
  assert.match(lines[8], /^character 1: column "bo", operator eq: invalid input syntax for type boolean: "maybe"$/)
  assert.match(lines[9], /^character 1: column "a", operator eq: value "99999999999" is out of range for type integer$/)
})
