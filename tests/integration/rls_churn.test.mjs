// Sets that are kept from the stream stay right whatever happens meanwhile: identities that come and go, transactions that are larger than a
// frame, writers that are open for long, a broker that is killed. When it is quiet again, everybody sees what SELECT shows.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../chaos/random.mjs'
import { allReached, become, identity, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System, until } from './lib/system.mjs'

const SEED = Number(process.env.RLS_SEED ?? Math.floor(Date.now() / 86_400_000))
const IDENTITIES = 24
const TEAMS = 12
const CHANGES = Number(process.env.RLS_CHANGES ?? 300)
const WRITERS = 3

const DEEP = {
  by_exists: 'exists (select from projects p where p.id = project and p.open and exists (select from members m where m.team = p.team and m.uid = auth.uid() and m.rank > 0))',
  by_in: 'project in (select p.id from projects p where p.team in (select m.team from members m where m.uid = auth.uid()) and p.open)',
  by_list: 'project = any (array(select p.id from projects p where p.team = any (array(select m.team from members m where m.uid = auth.uid() and m.rank > 0)) or p.team = 1))',
  by_policy: 'project in (select p.id from plans p)',
}
const TABLES = ['docs', ...Object.keys(DEEP)]

let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'policies.deadline=60s'] })
  await prepare(system)
  await system.sql(`create table members (id bigserial primary key, team int, uid uuid, rank int not null default 1);
    create table docs (id bigserial primary key, team int); alter table docs enable row level security;
    grant select on members, docs to authenticated; insert into docs (team) select generate_series(1, ${TEAMS});
    create policy p on docs using (exists (select from members m where m.team = docs.team and m.uid = auth.uid() and m.rank > 0)); select enable_realtime('docs')`)
  // Two tables deep, in each of the forms; the last one by the policies of the table in between.
  await system.sql(`create table projects (id int, team int, open boolean); grant select on projects to authenticated; insert into projects select n, n, true from generate_series(1, ${TEAMS}) n;
    create table plans (id int, team int); alter table plans enable row level security; grant select on plans to authenticated; insert into plans select n, n from generate_series(1, ${TEAMS}) n;
    create policy mine on plans using (team in (select m.team from members m where m.uid = auth.uid() and m.rank > 0))`)
  for (const [name, policy] of Object.entries(DEEP)) {
    await system.sql(`create table ${name} (id bigserial primary key, project int); alter table ${name} enable row level security; grant select on ${name} to authenticated;
      insert into ${name} (project) select generate_series(1, ${TEAMS}); create policy p on ${name} using (${policy}); select enable_realtime('${name}')`)
  }
  await system.settled()
})
after(() => system?.stop())

const people = Array.from({ length: IDENTITIES }, (_, n) => identity(`user ${n}`, 'authenticated', { sub: uuid(n) }))
const metric = name => system.metric('broker-0', name).then(value => value ?? 0)

// A few changes, each of a person of this writer's; sometimes among so many others that they come in several frames.
async function write(db, random, mine, changes) {
  const uid = () => mine[random.below(mine.length)].claims.sub
  const change = async () => {
    const roll = random.next()
    if (roll < 0.5) await db.query('insert into members (team, uid, rank) values ($1, $2, $3)', [1 + random.below(TEAMS), uid(), random.below(4) === 0 ? 0 : 1])
    else if (roll < 0.75) await db.query('delete from members where id = (select id from members where uid = $1 limit 1)', [uid()])
    else await db.query('update members set team = $2, rank = $3 where id = (select id from members where uid = $1 limit 1)', [uid(), 1 + random.below(TEAMS), random.below(4) === 0 ? 0 : 1])
  }
  for (let done = 0; done < changes; done++) {
    const large = random.chance(0.02)
    await db.query('begin')
    await change()
    if (large) await db.query('insert into members (team, uid) select 1000 + n, gen_random_uuid() from generate_series(1, 8000) n')
    if (random.chance(0.3)) await change()
    if (random.chance(0.3)) await db.query('update docs set team = team where id = $1', [1 + random.below(TEAMS)])
    if (random.chance(0.3)) await changeBetween(db, random, random.chance(0.5) ? 'projects' : 'plans')
    if (random.chance(0.3)) await db.query(`update ${TABLES[1 + random.below(TABLES.length - 1)]} set project = project where id = $1`, [1 + random.below(TEAMS)])
    if (random.chance(0.1)) await change()
    if (large) await db.query('delete from members where team > 1000')
    await db.query(random.chance(0.05) ? 'rollback' : 'commit')
  }
}

// The table in between. No row is locked that another writer might wait for with a row of this one's: it is the last but one thing in a transaction.
async function changeBetween(db, random, table) {
  const roll = random.next()
  if (roll < 0.4) await db.query(`insert into ${table} (id, team) values ($1, $2)`, [1 + random.below(TEAMS), random.below(8) === 0 ? null : 1 + random.below(TEAMS)])
  else if (roll < 0.6) await db.query(`delete from ${table} where ctid = (select ctid from ${table} where id = $1 limit 1 for update skip locked)`, [1 + random.below(TEAMS)])
  else await db.query(`update ${table} set team = $2 where ctid = (select ctid from ${table} where id = $1 limit 1 for update skip locked)`, [1 + random.below(TEAMS), 1 + random.below(TEAMS)])
  if (table === 'projects' && random.chance(0.3)) await db.query(`update projects set open = not open where ctid = (select ctid from projects where id = $1 limit 1 for update skip locked)`, [1 + random.below(TEAMS)])
}

// Transactions with numbers that stay open for a while, so that snapshots have something to leave out.
async function linger(db, state) {
  while (!state.over) {
    await db.query(`begin; insert into members (team, uid) values (2000, gen_random_uuid())`)
    await sleep(400)
    await db.query('commit')
  }
}

async function comeAndGo(random, state) {
  while (!state.over) {
    const viewer = await Viewer.open(system, people[random.below(IDENTITIES)])
    // Refused while the broker is away.
    await viewer.client.subscribe(`table:public.${TABLES[random.below(TABLES.length)]}`, random.chance(0.3) ? { filter: `id=gt.${random.below(3)}` } : {})
    viewer.close()
  }
}

// What it is sent of an update of every row, and what SELECT shows.
async function check(viewers, when) {
  await until('all sets are sure', async () => await metric('pgtide_broker_policy_sets_unsure') === 0)
  await allReached(system, viewers)
  for (const viewer of viewers) viewer.sort()
  for (const viewer of viewers) viewer.events = []
  await system.sql(['update docs set team = team', ...Object.keys(DEEP).map(table => `update ${table} set project = project`)].join(';'))
  await allReached(system, viewers)
  let seen = 0
  for (const viewer of viewers) {
    const shown = await system.session(async db => {
      await db.query('begin')
      await become(db, viewer.who)
      const all = new Map()
      for (const table of TABLES) all.set(table, (await db.query(`select id from ${table}`)).rows.map(row => Number(row.id)))
      await db.query('rollback')
      return all
    })
    for (const table of TABLES) {
      const sent = viewer.events.filter(each => each.table === table).map(each => Number(each.record.id))
      assert.deepEqual(sent.sort((a, b) => a - b), shown.get(table).sort((a, b) => a - b), `RLS_SEED=${SEED}: ${viewer.who.name}, ${table}, ${when}`)
      seen += sent.length
    }
  }
  assert.ok(seen > viewers.length * TABLES.length, 'too little is visible for this to prove something')
}

async function open() {
  const viewers = await Promise.all(people.map(who => Viewer.open(system, who)))
  await Promise.all(viewers.map(async viewer => { for (const table of [...TABLES, 'marks']) await viewer.subscribe(table) }))
  return viewers
}

async function churn(random, during) {
  const state = { over: false }
  const others = [system.session(db => linger(db, state)), comeAndGo(random, state), comeAndGo(random, state)]
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => system.session(db =>
    write(db, new Random(SEED * 10 + writer), people.filter((_, n) => n % WRITERS === writer), CHANGES / WRITERS))))
  try {
    await during()
    await writers
  } finally {
    state.over = true
    await Promise.all(others)
  }
}

test('identities that come and go, large transactions, long ones', async () => {
  const viewers = await open()
  await churn(new Random(SEED), async () => {})
  await check(viewers, 'those who were there')
  const late = await open()
  await check(late, 'those who came afterwards')
  for (const viewer of [...viewers, ...late]) viewer.close()
})

test('a broker that is killed meanwhile', async () => {
  const viewers = await open()
  await churn(new Random(SEED + 1), async () => {
    await system.kill('broker-0')
    system.start('broker-0')
  })
  await check(viewers, 'after the restart')
  // One for each test: docs has one, the others two each.
  await until('all sets are kept', async () => await metric('pgtide_broker_policy_sets') === IDENTITIES * (1 + 2 * Object.keys(DEEP).length))
  for (const viewer of viewers) viewer.close()
})
