// Membership tests two tables deep: members of teams, teams' projects, documents of projects. What each is sent is what the policies show as of
// each commit; changes of the table in between cost no question, those of memberships one for each identity whose own memberships changed.
// Who is asked about is judged by what PostgreSQL says then, so after such a change the test waits until it has been told.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Random } from '../chaos/random.mjs'
import { allReached, identity, plain, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System, until } from './lib/system.mjs'

const SEED = Number(process.env.RLS_SEED ?? Math.floor(Date.now() / 86_400_000))
const TEAMS = 6
const who = Array.from({ length: 20 }, (_, n) => identity(`user ${n}`, 'authenticated', { sub: uuid(n) }))

let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'policies.deadline=60s'] })
  await prepare(system)
})
after(() => system?.stop())

const metric = name => system.metric('broker-0', name).then(value => value ?? 0)
async function folds() {
  await until('all sets are sure', async () => await metric('pgtide_broker_policy_sets_unsure') === 0)
  return metric('pgtide_broker_folds_total')
}
const one = async (db, sql, args) => (await db.query(sql, args)).rows[0]

// What there is, by id; `sees`: whether the policies show a document of the project to a person.
class Deep {
  constructor() { Object.assign(this, { members: new Map(), projects: new Map(), docs: new Map() }) }
  teams(uid) { return new Set([...this.members.values()].filter(row => row.uid === uid).map(row => row.team)) }
  sees(uid, project) {
    const teams = this.teams(uid)
    return [...this.projects.values()].some(row => row.project === project && teams.has(row.team))
  }
}

const pick = (random, rows) => [...rows.values()][random.below(rows.size)]
const change = async (db, rows, sql, args) => {
  const row = await one(db, `${sql} returning *`, args)
  const old = rows.get(Number(row.id))
  const record = sql.startsWith('delete') ? undefined : Object.fromEntries(Object.entries(row).map(([name, value]) => [name, name === 'id' ? Number(value) : value]))
  record ? rows.set(record.id, record) : rows.delete(Number(row.id))
  return { old, record }
}

// One change of a membership or of a project; of a membership, whose.
async function changeDeep(db, random, deep, who, of) {
  const [rows, columns, values] = of === 'members'
    ? [deep.members, ['team', 'uid'], [random.below(TEAMS), who[random.below(who.length)].claims.sub]]
    : [deep.projects, ['project', 'team'], [random.below(TEAMS), random.below(10) === 0 ? null : random.below(TEAMS)]]
  const roll = random.next()
  const at = rows.size > 0 && roll > 0.5 ? pick(random, rows).id : undefined
  const { old, record } = at === undefined
    ? await change(db, rows, `insert into ${of}_deep (${columns.join(', ')}) values ($1, $2)`, values)
    : roll < 0.75 ? await change(db, rows, `delete from ${of}_deep where id = $1`, [at])
      : await change(db, rows, `update ${of}_deep set team = $2 where id = $1`, [at, random.below(TEAMS)])
  return [old?.uid, record?.uid].filter(Boolean)
}

const DEEP_FORMS = {
  exists: `exists (select from projects_deep p where p.project = docs_deep.team and exists (select from members_deep m where m.team = p.team and m.uid = auth.uid()))`,
  in: `team in (select p.project from projects_deep p where p.team in (select m.team from members_deep m where m.uid = auth.uid()))`,
  policies: `team = any (array(select p.project from projects_deep p))`,
}
for (const [form, policy] of Object.entries(DEEP_FORMS)) {
  test(`${form}: as of each commit, and only those are asked about whose own memberships changed`, async t => {
    const random = new Random(SEED * 10 + 7)
    const deep = new Deep()
    const own = form === 'policies' ? `alter table projects_deep enable row level security; create policy mine on projects_deep using (team in (select m.team from members_deep m where m.uid = auth.uid()));` : ''
    await system.sql(`create table members_deep (id bigserial primary key, team int, uid uuid); create table projects_deep (id bigserial primary key, project int, team int);
      create table docs_deep (id bigserial primary key, team int, note text); alter table docs_deep enable row level security; grant select on members_deep, projects_deep, docs_deep to authenticated;
      ${own} create policy p on docs_deep using (${policy}); select enable_realtime('docs_deep')`)
    await system.session(async db => { for (let n = 0; n < 60; n++) await changeDeep(db, random, deep, who, n % 3 === 0 ? 'projects' : 'members') })
    await system.settled()
    const viewers = await Promise.all(who.map(each => Viewer.open(system, each)))
    await Promise.all(viewers.map(async viewer => { for (const table of ['docs_deep', 'marks']) await viewer.subscribe(table) }))
    await system.sql(`insert into members_deep (team) values (-1); insert into projects_deep (project) values (-1); insert into docs_deep (team) values (-1)`) // their definitions
    await allReached(system, viewers)
    for (const viewer of viewers) viewer.take()
    const expected = new Map(who.map(each => [each.claims.sub, []]))

    // Random transactions with changes of these tables among changes of documents; how many memberships changed.
    async function run(transactions, tables) {
      let touched = 0
      await system.session(async db => {
        for (let n = 0; n < transactions; n++) {
          await db.query('begin')
          const of = new Set()
          const docs = []
          for (let i = 1 + random.below(5); i > 0; i--) {
            if (random.chance(0.5)) for (const uid of await changeDeep(db, random, deep, who, tables[random.below(tables.length)])) of.add(uid)
            else if (deep.docs.size === 0 || random.chance(0.4)) docs.push(await change(db, deep.docs, 'insert into docs_deep (team) values ($1)', [random.below(TEAMS)]))
            else docs.push(await change(db, deep.docs, 'update docs_deep set team = $2, note = $3 where id = $1', [pick(random, deep.docs).id, random.below(TEAMS), `${n} ${i}`]))
          }
          await db.query('commit')
          touched += of.size
          if (of.size > 0) await allReached(system, viewers)
          for (const [uid, events] of expected) {
            for (const { old, record } of docs) {
              const [was, is] = [old, record].map(row => row && deep.sees(uid, row.team) ? row : undefined)
              if (was || is) events.push({ type: !was ? 'INSERT' : !is ? 'DELETE' : 'UPDATE', record: is, old: was })
            }
          }
        }
      })
      await allReached(system, viewers)
      let events = 0
      for (const viewer of viewers) {
        events += expected.get(viewer.who.claims.sub).length
        assert.deepEqual(viewer.take('docs_deep').map(plain), expected.get(viewer.who.claims.sub).splice(0), `RLS_SEED=${SEED}: ${viewer.who.name}`)
      }
      assert.ok(events > transactions, 'too little is visible for this to prove something')
      return touched
    }

    await run(30, ['members', 'projects'])
    await until('all sets are kept', async () => await metric('pgtide_broker_policy_sets') === 2 * who.length)
    const first = await folds()
    await run(60, ['projects'])
    assert.equal(await folds() - first, 0)
    const touched = await run(50, ['members', 'projects', 'projects'])
    const asked = await folds() - first
    t.diagnostic(`${touched} memberships changed, ${asked} identities asked for`)
    assert.ok(asked > 0 && asked <= touched, `${asked} identities were asked of PostgreSQL for ${touched} changes`)
    for (const viewer of viewers) viewer.close()
    await system.sql('drop table docs_deep, projects_deep, members_deep')
  })
}
