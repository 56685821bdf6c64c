// Policies as people write them (lib/policy_cases.mjs): what clients receive of inserts, updates and deletes is what SELECT shows under
// their role and claims before and after each step. One test for each; POLICY_CASE=words picks by name.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CASES } from './lib/policy_cases.mjs'
import { allReached, become, claimsText, event, plain, prepare, SETTINGS, Viewer } from './lib/rls.mjs'
import { System } from './lib/system.mjs'

const ROLES = 'anon,authenticated,service_role,alice,malik,visitor,admin,keeper,level1,level2,level3,level4,passing,passer'
const wanted = CASES.filter(each => each.name.includes(process.env.POLICY_CASE ?? ''))
let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, `auth.roles=${ROLES}`] })
  await prepare(system)
  await system.sql(CASES.map(each => each.roles ?? '').join(''))
  await system.sql(`grant usage on schema auth to ${ROLES}`)
})
after(() => system?.stop())

const canonical = value => JSON.stringify(value, (_, each) => each && typeof each === 'object' && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each)

// What is in the table, and the keys of what each of them is shown.
const look = (schema, who) => system.session(async db => {
  const { rows } = await db.query(`select id, to_jsonb(t) as row from ${schema}.t`)
  const shown = []
  for (const each of who) {
    await db.query('begin')
    await become(db, each)
    // An error shows nothing.
    shown.push(new Set(await db.query(`select id from ${schema}.t`).then(answer => answer.rows.map(row => row.id), () => [])))
    await db.query('rollback')
  }
  return { rows: new Map(rows.map(({ id, row }) => [id, row])), shown }
})

function expected(was, is, at, columns) {
  const ids = [...new Set([...was.rows.keys(), ...is.rows.keys()])].sort((a, b) => a - b)
  return ids.map(id => ({ id, old: was.rows.get(id), record: is.rows.get(id) })).filter(({ old, record }) => canonical(old) !== canonical(record))
    .map(change => event(change, was.shown[at].has(change.id), is.shown[at].has(change.id), columns)).filter(Boolean)
}

for (const [n, each] of wanted.entries()) {
  test(each.name, { todo: each.todo }, async () => {
    const schema = `case${n}`
    await system.session(async db => {
      await db.query(`create schema ${schema}; grant usage on schema ${schema} to ${ROLES}; set search_path = ${schema}, public`)
      await db.query(each.ddl.replaceAll('S.', `${schema}.`))
      await db.query(`grant select on all tables in schema ${schema} to ${each.columns ? 'service_role' : ROLES}; ${each.grants ?? ''}`)
      await db.query(`select enable_realtime('${schema}.t'); reset search_path`)
    })
    await system.settled()
    const viewers = await Promise.all(each.who.map(who => Viewer.open(system, who)))
    for (const viewer of viewers) {
      await viewer.subscribe('marks')
      await viewer.subscribe('t', {}, schema)
    }
    let was = await look(schema, each.who)
    let shown = 0
    for (const step of [each.rows, 'update t set touched = 1', ...each.steps ?? [], 'delete from t']) {
      await system.sql(`set search_path = ${schema}, public; begin; ${step}; commit; reset search_path`)
      const is = await look(schema, each.who)
      await allReached(system, viewers)
      for (const [at, viewer] of viewers.entries()) {
        const want = expected(was, is, at, each.columns?.[viewer.who.role])
        const have = viewer.take('t').map(plain).sort((a, b) => (a.record ?? a.old).id - (b.record ?? b.old).id)
        assert.deepEqual(have, want, `${viewer.who.name} ${claimsText(viewer.who)} after: ${step}\n${each.ddl}`)
        viewer.take()
        shown += want.length
      }
      was = is
    }
    for (const viewer of viewers) {
      if (each.columns?.[viewer.who.role]) assert.deepEqual([...viewer.canaries()], [])
      viewer.close()
    }
    assert.ok(shown > 0 || /nothing|without|may not/.test(each.name), 'somebody sees something')
  })
}
