// Views: what the authority loads, PostgreSQL folds and casts, and the index finds, over a real PostgreSQL: no stream, no route.
// Proves that identities get what row-level security gives them, that trouble stays with its identity, and when a view is made anew.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { Cluster } from '../oracle/cluster.mjs'
import { bin, until } from './lib/system.mjs'

const ALICE = '11111111-1111-1111-1111-111111111111'
const BOB = '22222222-2222-2222-2222-222222222222'
const UUID = 2950, INT = 23, TEXT = 25, BOOL = 16

let cluster, db, probe
before(async () => {
  cluster = await Cluster.start(0)
  await cluster.sql('create database views template template0')
  db = new pg.Client({ host: cluster.dir, user: 'postgres', database: 'views' })
  await db.connect()
  await db.query(`
    create role anon; create role authenticated; create role service_role bypassrls;
    create schema auth; grant usage on schema auth to public;
    create function auth.uid() returns uuid language sql stable as
      $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    create table docs (id int primary key, gone text, owner uuid, team int, public bool, body text);
    alter table docs drop column gone; alter table docs enable row level security; alter table docs replica identity full;
    create policy mine on docs for select using (owner = auth.uid());
    create policy shown on docs for select using (public);
    create table notes (id int primary key, n int); alter table notes enable row level security;
    create policy n on notes for select using (n = (current_setting('request.jwt.claims')::jsonb ->> 'n')::int);
    create table members (team int, who uuid);
    create schema pgtide; grant usage on schema pgtide to public; create table pgtide.slot (slot_name text, policies boolean); grant select on pgtide.slot to public;
    insert into pgtide.slot values ('pgtide', true); create publication pgtide_policies for table members with (publish_via_partition_root = true); alter table members enable row level security;
    create policy own on members for select using (who = auth.uid());
    create table plans (id int primary key, team int); alter table plans enable row level security;
    create policy team on plans for select using (team in (select m.team from members m where m.who = auth.uid()));
    create table odd (id int primary key, j jsonb); alter table odd enable row level security;
    create policy odd on odd for select using (j @> (current_setting('request.jwt.claims')::jsonb));
    create table old (id int primary key, who text); alter table old enable row level security;
    create policy old on old for select using (who = current_setting('request.jwt.claim.sub', true));
    create table plain (id int primary key, a text, b int);
    create table secret (id int primary key, team int); alter table secret enable row level security;
    create table hidden (who uuid);
    create policy secret on secret for select using (exists (select from hidden h where h.who = auth.uid() and h.who is not null and secret.team = 1));
    grant select on all tables in schema public to anon, authenticated, service_role; revoke select on hidden from authenticated;
    insert into members values (7, '${ALICE}');
    create publication p for all tables`)
  probe = new Probe(`host=${cluster.dir} user=postgres dbname=views`)
})
after(async () => {
  await probe?.stop()
  await db?.end()
  await cluster?.stop()
})

class Probe {
  constructor(conninfo) {
    this.lines = []
    this.child = spawn(bin('view_probe'), [conninfo, 'p'], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.ended = new Promise(done => this.child.once('exit', done))
    createInterface({ input: this.child.stdout }).on('line', line => this.lines.push(line.split('\t')))
  }

  send(...fields) {
    this.child.stdin.write(`${fields.join('\t')}\n`)
  }

  // The next line that is about this name.
  async next(name, kinds = ['view', 'refused', 'verdict', 'none']) {
    return until(`an answer for ${name}`, () => {
      const at = this.lines.findIndex(line => kinds.includes(line[0]) && (name === undefined || line[1] === name))
      return at >= 0 ? this.lines.splice(at, 1)[0] : undefined
    }, { deadline: 10_000, every: 2 })
  }

  async watch(name, table, role, claims = '', filter = '') {
    this.send('watch', name, table, role, typeof claims === 'string' ? claims : JSON.stringify(claims), filter)
    return this.next(name)
  }

  // [new, old], each no, yes or ask. What the index finds must be the same.
  async judge(name, next, old) {
    const cells = (image, row) => Object.entries(row ?? {}).map(([column, value]) => `${image}.${column}=${value === null ? '\\N' : value}`)
    this.send('judge', name, ...cells('n', next), ...cells('o', old))
    const [, , onNew, onOld, found] = await this.next(name)
    if (onNew === 'misfit') return 'misfit'
    assert.equal(found, onNew === 'no' && onOld === 'no' ? '-' : `${onNew}/${onOld}`, `the index agrees: ${name} ${JSON.stringify([next, old])}`)
    return [onNew, onOld]
  }

  async stats() {
    this.send('stats')
    const [, folds, casts, statements] = await this.next(undefined, ['stats'])
    return { folds: Number(folds), casts: Number(casts), statements: Number(statements) }
  }

  async stop() {
    this.child.stdin.end()
    assert.equal(await this.ended, 0, 'view_probe ends well')
  }
}

const doc = (id, owner, team, isPublic, body) => ({ [`id:${INT}`]: id, [`owner:${UUID}`]: owner, [`team:${INT}`]: team, [`public:${BOOL}`]: isPublic, [`body:${TEXT}`]: body })

test('owner, public rows and both versions of a row; a dropped column shifts nothing', async () => {
  const [kind, , every, , conjunctions] = await probe.watch('a', 'docs', 'authenticated', { sub: ALICE })
  assert.deepEqual([kind, every], ['view', '0'])
  assert.equal(conjunctions, '1') // public rows: no anchor for all of it
  assert.deepEqual(await probe.judge('a', doc(1, ALICE, 1, 'f', 'x')), ['yes', 'no'])
  assert.deepEqual(await probe.judge('a', doc(1, BOB, 1, 'f', 'x')), ['no', 'no'])
  assert.deepEqual(await probe.judge('a', doc(1, BOB, 1, 't', 'x'), doc(1, BOB, 1, 'f', 'x')), ['yes', 'no'])
  assert.deepEqual(await probe.judge('a', doc(1, BOB, 1, 'f', 'x'), doc(1, ALICE, 1, 'f', 'x')), ['no', 'yes'])
  assert.deepEqual(await probe.judge('a', undefined, doc(1, ALICE, 1, null, 'x')), ['no', 'yes'])
})

test('what an UPDATE leaves out is taken from the old row; what nobody knows hides', async () => {
  assert.deepEqual(await probe.judge('a', { ...doc(1, '\\U', 1, 'f', 'x') }, doc(1, ALICE, 1, 'f', 'x')), ['yes', 'yes'])
  assert.deepEqual(await probe.judge('a', { ...doc(1, '\\U', 1, 'f', 'x') }), ['no', 'no'])
  assert.deepEqual(await probe.judge('a', undefined, doc(1, '\\M', 1, '\\M', 'x')), ['no', 'no'])
})

// Values that are equal under other texts, as PostgreSQL casts them; the index must find what the policy admits, by a constant of
// the identity and by one of the policy.
const TYPES = {
  int2: ['07', '-3'], int4: ['+5', '0'], int8: ['9223372036854775807'], oid: ['4294967295'], text: ['', 'a b', 'ä"\\'], 'varchar(9)': ['x '],
  name: ['n'], '"char"': ['q'], uuid: ['A0EEBC999C0B4EF8BB6D6BB9BD380A11'], bytea: ['\\xDEad', ''], time: ['24:00', '1:2:3.50'],
  macaddr: ['08-00-2B-01-02-03'], inet: ['10.0.0.1/32', '::FFFF:1'], mood: ['sad', 'a ok'], date: ['2026-1-2', 'infinity'],
  timestamptz: ['2026-01-02 03:04:05.60+02'], numeric: ['1.50', 'NaN'], float8: ['1e3', '-0'], bool: ['yes'], 'char(3)': ['a'], amount: ['7'],
}
test('what policies compare with, of every type, is what the index looks for', async () => {
  await db.query(`create type mood as enum ('sad', 'a ok'); create domain amount as int; set timezone = 'UTC'`)
  let anchored = 0, certain = 0
  for (const [i, [type, values]] of Object.entries(TYPES).entries()) {
    await db.query(`create table t${i} (a ${type}, b ${type}); alter table t${i} enable row level security; grant select on t${i} to authenticated;
      create policy one on t${i} for select using (a = (current_setting('request.jwt.claims')::jsonb ->> 'v')::${type});
      create policy two on t${i} for select using (b in (${values.map(each => `'${each.replaceAll('\\\\', '\\')}'::${type}`).join(', ')}))`)
    for (const [j, value] of values.map(each => each.replaceAll('\\\\', '\\')).entries()) {
      const { rows: [{ text, oid }] } = await db.query(`select x::text as text, pg_typeof(x)::oid::text as oid from (select $1::${type} as x) s`, [value])
      const name = `t${i}.${j}`
      const [kind, , , , conjunctions] = await probe.watch(name, `t${i}`, 'authenticated', { v: value })
      assert.equal(kind, 'view')
      anchored += Number(conjunctions) === 2
      for (const row of [{ a: text, b: null }, { a: null, b: text }]) {
        const [verdict] = await probe.judge(name, { [`a:${oid}`]: row.a, [`b:${oid}`]: row.b })
        assert.notEqual(verdict, 'no', `${type} ${value} ${JSON.stringify(row)}`)
        certain += verdict === 'yes'
      }
      assert.notEqual((await probe.judge(name, { [`a:${oid}`]: null, [`b:${oid}`]: null }))[0], 'yes')
      probe.send('unwatch', name)
    }
  }
  assert.ok(anchored >= 18 && certain >= 36, `${anchored} views are found by their values, ${certain} rows judged without asking`)
})

test('columns that are not those of the catalog fit no view', async () => {
  assert.equal(await probe.judge('a', { [`id:${INT}`]: 1, [`other:${UUID}`]: ALICE }), 'misfit')
  assert.equal(await probe.judge('a', { [`id:${INT}`]: 1, [`owner:${TEXT}`]: ALICE }), 'misfit')
  assert.equal(await probe.judge('a', { [`team:${INT}`]: 1, [`owner:${UUID}`]: ALICE }), 'misfit')
})

test('a thousand identities in a few statements; a claim that raises is one identity\'s trouble', async () => {
  const before = await probe.stats()
  for (let i = 0; i < 300; i++) probe.send('watch', `n${i}`, 'notes', 'authenticated', JSON.stringify({ n: i === 150 ? 'x' : i }), '')
  for (let i = 0; i < 300; i++) assert.equal((await probe.next(`n${i}`))[0], i === 150 ? 'refused' : 'view')
  const { folds, statements } = await probe.stats()
  assert.equal(folds - before.folds, 300)
  assert.ok(statements - before.statements <= 20, `${statements - before.statements} statements`)
  const row = { [`id:${INT}`]: 1, [`n:${INT}`]: 149 }
  assert.deepEqual(await probe.judge('n149', row), ['yes', 'no'])
  assert.deepEqual(await probe.judge('n151', row), ['no', 'no'])
  for (let i = 0; i < 300; i++) probe.send('unwatch', `n${i}`)
})

test('equal constants are one class whoever has them; what PostgreSQL is asked about is not', async () => {
  const key = async (name, table, claims) => (await probe.watch(name, table, 'authenticated', claims))[5]
  assert.equal(await key('k1', 'notes', { n: 1, x: 1 }), await key('k2', 'notes', { n: 1, x: 2 }))
  assert.notEqual(await key('k3', 'notes', { n: 2 }), await key('k4', 'notes', { n: 1 }))
  assert.notEqual(await key('o1', 'odd', { n: 1, x: 1 }), await key('o2', 'odd', { n: 1, x: 2 }))
  assert.deepEqual(await probe.judge('o1', { [`id:${INT}`]: 1, 'j:3802': '{}' }), ['ask', 'no'])
})

test('exempt roles see every row; an owner\'s table without a policy shows nothing to others', async () => {
  assert.equal((await probe.watch('s', 'docs', 'service_role'))[2], '1')
  assert.deepEqual(await probe.judge('s', doc(1, BOB, 1, 'f', 'x')), ['yes', 'no'])
  assert.equal((await probe.watch('an', 'docs', 'anon'))[0], 'view')
  assert.deepEqual(await probe.judge('an', doc(1, BOB, 1, 't', 'x')), ['yes', 'no'])
  assert.deepEqual(await probe.judge('an', doc(1, null, 1, null, 'x')), ['no', 'no'])
})

test('what PostgreSQL would not plan for the identity is refused, with its reason', async () => {
  const answer = await probe.watch('h1', 'secret', 'authenticated', { sub: ALICE })
  assert.equal(answer[0], 'refused')
  assert.match(answer[3], /row-level security policies.*permission denied/)
})

test('claims as settings of their own; another identity\'s are not left behind', async () => {
  await probe.watch('c1', 'old', 'authenticated', { sub: 'me' })
  await probe.watch('c2', 'old', 'authenticated', { other: 1 })
  assert.deepEqual(await probe.judge('c1', { [`id:${INT}`]: 1, [`who:${TEXT}`]: 'me' }), ['yes', 'no'])
  assert.deepEqual(await probe.judge('c2', { [`id:${INT}`]: 1, [`who:${TEXT}`]: 'me' }), ['no', 'no'])
  assert.match((await probe.watch('c3', 'old', 'authenticated', 'no json'))[3], /claims/)
})

test('a membership that changes: the view follows only when the change is visible', async () => {
  const [, , , , , , tables] = await probe.watch('m', 'plans', 'authenticated', { sub: BOB })
  const { rows: [{ oid }] } = await db.query(`select 'members'::regclass::oid`)
  assert.equal(tables, String(oid))
  const row = { [`id:${INT}`]: 1, [`team:${INT}`]: 9 }
  assert.deepEqual(await probe.judge('m', row), ['no', 'no'])
  await db.query('begin')
  await db.query(`insert into members values (9, '${BOB}')`)
  const { rows: [{ xid }] } = await db.query(`select (pg_current_xact_id()::text::bigint % 4294967296)::text as xid`)
  const asked = await probe.stats()
  probe.send('refresh', 'm', xid)
  await until('it was asked and is not good enough', async () => (await probe.stats()).statements > asked.statements + 2)
  assert.ok(!probe.lines.some(line => line[1] === 'm'))
  await db.query('commit')
  assert.equal((await probe.next('m'))[0], 'view')
  assert.deepEqual(await probe.judge('m', row), ['yes', 'no'])
  const { folds } = await probe.stats()
  probe.send('refresh', 'm', xid) // seen already: no question
  assert.equal((await probe.next('m'))[0], 'view')
  assert.equal((await probe.stats()).folds, folds)
})

test('a transaction that does not become visible in time: refused, with the reason', async () => {
  await probe.watch('late', 'plans', 'authenticated', { sub: BOB, late: 1 })
  const { rows: [{ xid }] } = await db.query(`select ((pg_current_xact_id()::text::bigint + 1000) % 4294967296)::text as xid`)
  probe.send('refresh', 'late', xid)
  const [kind, , , text] = await probe.next('late')
  assert.equal(kind, 'refused')
  assert.match(text, /in time/)
})

test('filters are cast once for each text, narrow what policies show, and are refused with the reason', async () => {
  const { casts } = await probe.stats()
  assert.equal((await probe.watch('f1', 'docs', 'authenticated', { sub: ALICE }, 'team=eq.07'))[0], 'view')
  assert.equal((await probe.watch('f2', 'docs', 'authenticated', { sub: BOB }, 'team=eq.07'))[0], 'view')
  assert.equal((await probe.stats()).casts, casts + 1)
  assert.deepEqual(await probe.judge('f1', doc(1, ALICE, 7, 'f', 'x')), ['yes', 'no'])
  assert.deepEqual(await probe.judge('f1', doc(1, ALICE, 8, 'f', 'x')), ['no', 'no'])
  assert.deepEqual(await probe.judge('f2', doc(1, ALICE, 7, 'f', 'x'), doc(1, BOB, 7, 'f', 'x')), ['no', 'yes'])
  const [, , every, , conjunctions] = await probe.watch('f3', 'plain', 'anon', '', 'a=in.(x,y),b=gt.3')
  assert.deepEqual([every, conjunctions], ['0', '1'])
  assert.deepEqual(await probe.judge('f3', { [`id:${INT}`]: 1, [`a:${TEXT}`]: 'y', [`b:${INT}`]: 4 }), ['yes', 'no'])
  assert.match((await probe.watch('f4', 'docs', 'authenticated', '', 'team=eq.x'))[3], /team.*integer/)
  assert.match((await probe.watch('f5', 'docs', 'authenticated', '', 'nothing=eq.x'))[3], /nothing/)
  assert.match((await probe.watch('f6', 'docs', 'authenticated', '', 'team=eq'))[3], /./)
})

test('a fence that changed nothing gives the same view; a policy that changed gives another', async () => {
  const count = probe.lines.length
  assert.equal(count, 0)
  await probe.watch('p', 'docs', 'authenticated', { sub: ALICE, p: 1 })
  const { folds } = await probe.stats()
  probe.send('fence')
  await probe.next(undefined, ['settled'])
  const first = (await probe.next('p'))[5]
  assert.equal((await probe.stats()).folds, folds)
  await db.query('alter policy mine on docs using (owner = auth.uid() and team = 1)')
  probe.send('fence')
  await probe.next(undefined, ['settled'])
  assert.notEqual((await probe.next('p'))[5], first)
  assert.deepEqual(await probe.judge('p', doc(1, ALICE, 2, 'f', 'x')), ['no', 'no'])
  assert.deepEqual(await probe.judge('p', doc(1, ALICE, 1, 'f', 'x')), ['yes', 'no'])
})

test('a column that may not be read any more takes its filters with it', async () => {
  await db.query('revoke select on docs from authenticated; grant select (id, owner, public) on docs to authenticated')
  probe.lines.length = 0
  probe.send('fence')
  await probe.next(undefined, ['settled'])
  // Its view by the fence before may still be on its way.
  const [, , , text] = await probe.next('f1', ['refused'])
  assert.match(text, /team/)
  assert.equal((await probe.next('p'))[0], 'view') // policies may use what the role may not read
})
