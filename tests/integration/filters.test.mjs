// Filters: PostgreSQL's own answers against the match index, over types whose equal values have different texts.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
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
  t: ['text', ['', 'a', 'a ', 'A', 'ä', 'a,b', '(x)', 'it\'s', '%', 'x_y', '\\\\']],
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
const OPS = ['eq', 'eq', 'eq', 'in', 'in', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct', 'like', 'ilike', 'is']

let seed = 20261121
const pick = below => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor(seed / 4294967296 * below)
}
const one = list => list[pick(list.length)]
const quoted = value => `"${value.replaceAll('"', '\\"')}"`

function condition() {
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

function ask(filters) {
  return new Promise((done, failed) => {
    const child = spawn(bin('filter_oracle'), [system.databaseUrl, 'public', 'things'])
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
    create table things (id int primary key, ${Object.entries(TYPES).map(([name, [type]]) => `${name} ${type}`).join(', ')})`)
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
  const { code, output } = await ask(Array.from({ length: 1500 }, () => filter()))
  const figures = output.trim().split('\n').at(-1)
  t.diagnostic(figures)
  assert.equal(code, 0, output.match(/^.*ERROR.*$|row .*/gm)?.slice(0, 5).join("\n") ?? output.slice(-2000))
  const [accepted, refused, scanned, decisions, judged, wrong] = figures.match(/\d+/g).map(Number)
  assert.ok(accepted > 500 && refused > 50 && scanned < accepted * 0.8, figures)
  assert.ok(judged < decisions && wrong === 0, figures)
})

test('a refusal names the character and the reason', async () => {
  const { output } = await ask(['a=eq.x', 'b=eq.1,a=in.(1,2.5)', 'a=like.x', 'iv=eq.1 day,nope=eq.1', 'a=is.true', 'm=eq.angry', 't=match.(', 'u=gt', 'bo=eq.maybe', 'a=eq.99999999999'])
  const lines = output.trim().split('\n').map(line => line.split('\t')[1])
  assert.match(lines[0], /^character 1: column "a", operator eq: invalid input syntax for type integer: "x"$/)
  assert.match(lines[1], /^character 8: column "a", operator in: invalid input syntax for type integer: "2.5"$/)
  assert.match(lines[2], /^character 1: column "a", operator like: operator does not exist: integer ~~ unknown$/)
  assert.match(lines[3], /^character 13: column "nope" does not exist$/)
  assert.match(lines[4], /^character 1: column "a", operator is.true: argument of IS TRUE must be type boolean/)
  assert.match(lines[5], /^character 1: column "m", operator eq: invalid input value for enum mood: "angry"$/)
  assert.match(lines[6], /^invalid regular expression/)
  assert.match(lines[7], /^character 5: expected \. and a value, found the end of the filter$/)
  assert.match(lines[8], /^character 1: column "bo", operator eq: invalid input syntax for type boolean: "maybe"$/)
  assert.match(lines[9], /^character 1: column "a", operator eq: value "99999999999" is out of range for type integer$/)
})
