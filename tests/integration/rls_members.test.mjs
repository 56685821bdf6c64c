// Memberships change while hundreds of identities are subscribed: what each is sent is what PostgreSQL showed it as of each commit,
// in whatever transaction a membership and a row changed, and the broker asks PostgreSQL for nothing: the sets of membership
// tests are kept from the stream (broker/policy/sets.h, broker/view/views_sets.c).
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Random } from '../chaos/random.mjs'
import { allReached, identity, plain, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System, until } from './lib/system.mjs'

const SEED = Number(process.env.RLS_SEED ?? Math.floor(Date.now() / 86_400_000))
const IDENTITIES = Number(process.env.RLS_IDENTITIES ?? 300)
const CHANGES = Number(process.env.RLS_CHANGES ?? 500)
const WRITERS = 4
const TEAMS = 40

let system
before(async () => {
  // However busy the machine is: the deadline is another test's subject.
  system = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'realtime.heartbeat_interval=1s', 'policies.deadline=60s'] })
  await prepare(system)
})
after(() => system?.stop())

const people = count => Array.from({ length: count }, (_, n) => identity(`user ${n}`, 'authenticated', { sub: uuid(n) }))
const metric = name => system.metric('broker-0', name).then(value => value ?? 0)
// How many were asked for, when nobody is to be asked for once more because of a transaction that was open at the beginning.
async function folds() {
  await until('all sets are sure', async () => await metric('pgtide_broker_policy_sets_unsure') === 0)
  return metric('pgtide_broker_folds_total')
}

// Tables of their own for each test.
async function make(suffix, policy, more = '') {
  await system.sql(`create table members_${suffix} (id bigserial primary key, team int, uid uuid, rank int not null default 1);
    create table docs_${suffix} (id bigserial primary key, team int, note text); alter table docs_${suffix} enable row level security;
    grant select on members_${suffix}, docs_${suffix} to authenticated; ${more}
    create policy p on docs_${suffix} using (${policy}); select enable_realtime('docs_${suffix}')`)
  await system.settled()
}

async function open(identities, table) {
  const viewers = []
  for (let n = 0; n < identities.length; n += 50) viewers.push(...await Promise.all(identities.slice(n, n + 50).map(who => Viewer.open(system, who))))
  await Promise.all(viewers.map(async viewer => { for (const each of [table, 'marks']) await viewer.subscribe(each) }))
  return viewers
}

// As of a commit: who is a member of which team. The transactions, each with its changes, come in the order of their commits.
class Truth {
  constructor(viewers, members) {
    this.rows = new Map(members.map(row => [row.id, row]))
    this.counts = new Map()
    for (const row of members) this.count(row, 1)
    this.numbers = new Map(viewers.map((viewer, n) => [viewer.who.claims.sub, n]))
    this.events = viewers.map(() => [])
  }
  count(row, by) {
    if (row.team === null || row.rank < 1) return
    const at = `${row.team} ${row.uid}`
    this.counts.set(at, (this.counts.get(at) ?? 0) + by)
  }
  member({ old, record }) {
    if (old) this.count(old, -1)
    if (record) this.count(record, 1)
  }
  commit(changes) {
    for (const change of changes) if (change.member) this.member(change)
    for (const { member, old, record } of changes) {
      if (member) continue
      for (const [uid, n] of this.numbers) {
        const sees = row => row && this.counts.get(`${row.team} ${uid}`) > 0 ? row : undefined
        const [was, is] = [sees(old), sees(record)]
        if (was || is) this.events[n].push({ type: !was ? 'INSERT' : !is ? 'DELETE' : 'UPDATE', record: is, old: was })
      }
    }
  }
}

const number = row => row && { ...row, id: Number(row.id) }
const docOf = row => ({ id: Number(row.id), team: row.team, note: row.note })
const one = async (db, sql, args) => (await db.query(sql, args)).rows[0]

// One change of a membership, by this writer of its own people: returns what it was.
async function changeMember(db, random, suffix, mine, own) {
  const roll = random.next()
  const team = random.below(TEAMS)
  if (own.length === 0 || roll < 0.45) {
    const row = number(await one(db, `insert into members_${suffix} (team, uid, rank) values ($1, $2, $3) returning id, team, uid, rank`, [roll < 0.02 ? null : team, mine[random.below(mine.length)], random.below(5) === 0 ? 0 : 1]))
    own.push(row)
    return { member: true, record: row }
  }
  const at = random.below(own.length)
  const old = own[at]
  if (roll < 0.75) {
    await db.query(`delete from members_${suffix} where id = $1`, [old.id])
    own.splice(at, 1)
    return { member: true, old }
  }
  const record = roll < 0.9 ? { ...old, team } : { ...old, rank: 1 - Math.min(old.rank, 1) }
  await db.query(`update members_${suffix} set team = $2, rank = $3 where id = $1`, [old.id, record.team, record.rank])
  own[at] = record
  return { member: true, old, record }
}

async function changeDoc(db, random, suffix, docs) {
  const roll = random.next()
  if (docs.length === 0 || roll < 0.5) {
    const row = docOf(await one(db, `insert into docs_${suffix} (team, note) values ($1, $2) returning *`, [random.below(TEAMS), 'x'.repeat(random.below(30))]))
    docs.push(row)
    return { record: row }
  }
  const at = random.below(docs.length)
  const old = docs[at]
  if (roll < 0.6) {
    await db.query(`delete from docs_${suffix} where id = $1`, [old.id])
    docs.splice(at, 1)
    return { old }
  }
  const record = { ...old, ...(roll < 0.8 ? { team: random.below(TEAMS) } : { note: `${old.note}!` }) }
  await db.query(`update docs_${suffix} set team = $2, note = $3 where id = $1`, [old.id, record.team, record.note])
  docs[at] = record
  return { old, record }
}

// Each writer has its own people and its own documents, so that none waits for another's rows; all meet in the teams.
async function write(db, random, suffix, mine, changes, log) {
  const own = []
  const docs = []
  for (let done = 0; done < changes;) {
    await db.query('begin')
    const made = []
    for (let i = 1 + random.below(4); i > 0; i--) {
      if (random.chance(0.5) && done < changes) {
        made.push(await changeMember(db, random, suffix, mine, own))
        done++
      } else {
        made.push(await changeDoc(db, random, suffix, docs))
      }
    }
    const { xid } = await one(db, 'select pg_current_xact_id()::text as xid')
    await db.query('commit')
    log.set(xid, made)
  }
}

// The order of commits, as the WAL has it.
async function commits(slot) {
  const rows = await system.sql(`select data from pg_logical_slot_get_changes('${slot}', null, null, 'include-xids', '1')`)
  return rows.map(row => /^COMMIT (\d+)/.exec(row.data)?.[1]).filter(Boolean)
}

test(`${CHANGES} changes of memberships by ${WRITERS} writers, ${IDENTITIES} identities: as of each commit, and without a question`, async t => {
  const who = people(IDENTITIES)
  await make('many', `exists (select from members_many m where m.team = docs_many.team and m.uid = auth.uid() and m.rank > 0)`)
  await system.sql(`insert into members_many (team, uid) select n % ${TEAMS}, (lpad((n % ${IDENTITIES})::text, 8, '0') || '-0000-4000-8000-000000000000')::uuid from generate_series(1, ${IDENTITIES * 2}) n`)
  await system.settled()
  const viewers = await open(who, 'docs_many')
  // The first change of a table brings its definition, with which all rights are read again.
  await system.sql(`insert into members_many (team, uid, rank) values (0, null, 0); insert into docs_many (team) values (null)`)
  await allReached(system, viewers)
  for (const viewer of viewers) viewer.take()
  await system.sql(`select pg_create_logical_replication_slot('order_of_commits', 'test_decoding')`)
  const truth = new Truth(viewers, (await system.sql('select id, team, uid, rank from members_many')).map(number))
  const [foldsBefore, changesBefore] = [await folds(), await metric('pgtide_broker_policy_set_changes_total')]

  const log = new Map()
  const started = Date.now()
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => system.session(db =>
    write(db, new Random(SEED * 10 + writer), 'many', who.filter((_, n) => n % WRITERS === writer).map(each => each.claims.sub), CHANGES / WRITERS, log))))
  await allReached(system, viewers)
  const took = Date.now() - started
  const order = (await commits('order_of_commits')).filter(xid => log.has(xid))
  await system.sql(`select pg_drop_replication_slot('order_of_commits')`)
  assert.equal(order.length, log.size)
  for (const xid of order) truth.commit(log.get(xid))

  for (const [n, viewer] of viewers.entries()) {
    assert.deepEqual(viewer.take('docs_many').map(plain), truth.events[n], `RLS_SEED=${SEED}: ${viewer.who.name}`)
  }
  const asked = await folds() - foldsBefore
  const applied = await metric('pgtide_broker_policy_set_changes_total') - changesBefore
  const events = truth.events.reduce((sum, each) => sum + each.length, 0)
  t.diagnostic(`seed ${SEED}: ${order.length} transactions in ${took} ms, ${events} events, ${applied} changes applied to sets, ${asked} identities asked for`)
  assert.equal(applied, CHANGES)
  assert.ok(asked <= 5, `${asked} identities were asked of PostgreSQL again`)
  assert.ok(events > CHANGES, 'too little is visible for this to prove something')
  assert.equal(await metric('pgtide_broker_policy_sets'), IDENTITIES)
  for (const viewer of viewers) viewer.close()
})

const ids = viewer => viewer.take().filter(each => each.table !== 'marks').map(each => `${each.type[0]}${(each.record ?? each.old).id}`)
async function seen(viewers) {
  await allReached(system, viewers)
  return viewers.map(ids)
}

test('transactions that are larger than a frame, TRUNCATE: still without a question', async () => {
  await make('large', 'team in (select m.team from members_large m where m.uid = auth.uid() and m.rank > 0)')
  const viewers = await open(people(2), 'docs_large')
  await system.sql(`insert into members_large (team, uid) values (1, $1)`.replace('$1', `'${uuid(0)}'`))
  await system.sql('insert into docs_large (team) values (1), (2)')
  assert.deepEqual(await seen(viewers), [['I1'], []])
  const before = await folds()
  const filler = `insert into members_large (team, uid) select 100 + n, gen_random_uuid() from generate_series(1, 10000) n`
  await system.sql(`begin; update docs_large set note = 'first'; ${filler}; update members_large set uid = '${uuid(1)}' where uid = '${uuid(0)}';
    insert into members_large (team, uid) values (2, '${uuid(0)}'); ${filler}; update docs_large set note = 'last'; commit`)
  assert.deepEqual(await seen(viewers), [['U2', 'U2'], ['U1', 'U1']])
  await system.sql(`begin; truncate members_large; insert into members_large (team, uid) values (2, '${uuid(1)}'); update docs_large set note = 'after'; commit`)
  assert.deepEqual(await seen(viewers), [[], ['U2']])
  assert.equal(await folds() - before, 0)
  for (const viewer of viewers) viewer.close()
})

test('policies of the membership table count, and are followed when they change', async () => {
  await make('own', 'team = any (array(select m.team from members_own m where m.rank > 0))', `alter table members_own enable row level security;
    create policy mine on members_own using (uid = auth.uid());`)
  const viewers = await open(people(2), 'docs_own')
  await system.sql(`insert into members_own (team, uid) values (1, '${uuid(0)}'), (2, '${uuid(1)}')`)
  await system.sql('insert into docs_own (team) values (1), (2), (3)')
  assert.deepEqual(await seen(viewers), [['I1'], ['I2']])
  assert.ok(await metric('pgtide_broker_policy_sets') >= 2, 'they are not kept')
  const before = await folds()
  await system.sql(`begin; insert into members_own (team, uid, rank) values (3, '${uuid(0)}', 1), (3, '${uuid(1)}', 0); update docs_own set note = 'x'; commit`)
  assert.deepEqual(await seen(viewers), [['U1', 'U3'], ['U2']])
  assert.equal(await folds() - before, 0)
  await system.sql('alter policy mine on members_own using (true)')
  await system.sql(`update docs_own set note = 'y'`)
  assert.deepEqual(await seen(viewers), [['U1', 'U2', 'U3'], ['U1', 'U2', 'U3']])
  await system.sql(`begin; delete from members_own where team = 2; update docs_own set note = 'z'; commit`)
  assert.deepEqual(await seen(viewers), [['U1', 'U3'], ['U1', 'U3']])
  // Rows that change without a word in the stream, but not without a fence.
  await system.sql(`alter table members_own rename rank to level; alter table members_own add rank int;
    create table members_copy as select * from members_own; drop policy p on docs_own;
    alter table members_own drop level; update members_own set rank = case when team = 1 then 0 else 1 end;
    create policy p on docs_own using (team = any (array(select m.team from members_own m where m.rank > 0)))`)
  await system.sql(`update docs_own set note = 'a'`)
  assert.deepEqual(await seen(viewers), [['U3'], ['U3']])
  await system.sql(`begin; update members_own set rank = 5 where team = 1; update docs_own set note = 'b'; commit`)
  assert.deepEqual(await seen(viewers), [['U1', 'U3'], ['U1', 'U3']])
  for (const viewer of viewers) viewer.close()
})
