// Row-level security through WAL, broker, edge and WebSocket: every viewer gets what PostgreSQL would show it of each row
// version, as events of its own view, and not one byte more. Random worlds come from a seed of the day:
//   RLS_SEED=N RLS_WORLDS=1 node --test --test-name-pattern=random tests/integration/rls.test.mjs
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Random } from '../chaos/random.mjs'
import { allReached, event, identity, judge, plain, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { commit, READABLE, SHARED, USERS, World } from './lib/rls_world.mjs'
import { System } from './lib/system.mjs'

const SEED = Number(process.env.RLS_SEED ?? Math.floor(Date.now() / 86_400_000))
const WORLDS = Number(process.env.RLS_WORLDS ?? 10)
const TRANSACTIONS = 60

let system
before(async () => {
  system = await System.start({ shards: 2, edges: 1, set: [...SETTINGS, 'auth.roles=anon,authenticated,service_role,rls_clerk,rls_guest,rls_owner'] })
  await prepare(system)
  await system.sql(SHARED)
  await system.settled()
})
after(() => system?.stop())

const [ann, bob, cid] = [1, 2, 3].map(n => identity(`user ${n}`, 'authenticated', { sub: uuid(n), level: '2', kind: 'a', kinds: 'a,b', org: 'x', admin: 'false' }))
const IDENTITIES = [ann, bob, cid,
  identity('admin', 'authenticated', { sub: uuid(4), admin: 'true', level: '3', kind: 'b', org: 'y' }),
  identity('claims that cannot be cast', 'authenticated', { sub: 'not a uuid', level: 'high', admin: 'perhaps', kind: null }),
  identity('token without claims'), identity('no token', 'anon', null),
  identity('clerk', 'rls_clerk', { sub: uuid(2), level: '1' }), identity('guest', 'rls_guest', { sub: uuid(1), kind: 'ab' }),
  identity('owner of the table', 'rls_owner', { sub: uuid(3) }), identity('service', 'service_role')]
const RESTRICTED = ['authenticated', 'anon']
const columnsOf = who => RESTRICTED.includes(who.role) ? READABLE : undefined

async function open(identities, tables, more) {
  const viewers = await Promise.all(identities.map(who => Viewer.open(system, who)))
  for (const viewer of viewers) for (const table of tables) await viewer.subscribe(table, more)
  return viewers
}
const closing = viewers => { for (const viewer of viewers) viewer.close() }

// What each viewer should be sent of these changes, and the canaries it may know from them.
async function expect(table, changes, identities) {
  const versions = changes.flatMap(change => [change.old, change.record]).filter(Boolean)
  const answers = await judge(system, table, versions, identities)
  return identities.map((who, at) => {
    const sees = version => version !== undefined && answers[versions.indexOf(version)][at] === '1'
    const allowed = versions.filter(sees).flatMap(version => [version.canary, ...(columnsOf(who) ? [] : [version.hidden])])
    return { events: changes.map(change => event(change, sees(change.old), sees(change.record), columnsOf(who))).filter(Boolean), allowed }
  })
}

// Runs the transactions of a world; after each stretch that ends where memberships are about to change, all is compared.
async function play(world, viewers, said) {
  const identities = viewers.map(viewer => viewer.who)
  const allowed = viewers.map(() => new Set())
  const tally = { events: 0, decisions: 0, shown: 0 }
  let pending = viewers.map(() => [])
  const compare = async steps => {
    await allReached(system, viewers)
    for (const [at, viewer] of viewers.entries()) {
      assert.deepEqual(viewer.take(world.table).map(plain), pending[at], `${said}\n${viewer.who.name} (${viewer.who.role}, ${JSON.stringify(viewer.who.claims)}); transactions since the last comparison:\n${steps.map(each => JSON.stringify(each)).join('\n')}`)
      viewer.take()
    }
    pending = viewers.map(() => [])
  }
  await system.session(async db => {
    let steps = []
    for (let n = 0; n < TRANSACTIONS; n++) {
      const next = world.transaction()
      if (next.some(([kind]) => kind === 'member')) {
        await compare(steps)
        steps = []
      }
      steps.push(next)
      const changes = await commit(db, world, next)
      for (const [at, { events, allowed: may }] of (await expect(world.table, changes, identities)).entries()) {
        pending[at].push(...events)
        for (const canary of may) allowed[at].add(canary)
        tally.shown += events.length
      }
      tally.events += changes.length
    }
    await compare(steps)
  })
  for (const [at, viewer] of viewers.entries()) {
    assert.deepEqual([...viewer.canaries()].filter(canary => !allowed[at].has(canary)), [], `${said}\nbytes that ${viewer.who.name} may not have`)
  }
  return tally
}

test('random tables, policies, identities and transactions: the events of each viewer are those of its own view', async t => {
  const total = { changes: 0, events: 0 }
  for (let number = 0; number < WORLDS; number++) {
    const seed = SEED + number
    const world = new World(new Random(seed), number)
    const sql = world.sql()
    const said = `seed ${seed}: RLS_SEED=${seed} RLS_WORLDS=1\n${sql}`
    await system.sql(sql).catch(error => assert.fail(`${said}\n${error.message}`))
    await system.settled()
    const viewers = await open(IDENTITIES, [world.table, 'marks']).catch(error => assert.fail(`${said}\n${error.message}`))
    const { events, shown } = await play(world, viewers, said)
    total.changes += events
    total.events += shown
    closing(viewers)
  }
  t.diagnostic(`seeds ${SEED} to ${SEED + WORLDS - 1}: ${total.changes} changes for ${IDENTITIES.length} viewers, ${total.events} events`)
  assert.ok(total.events > total.changes * IDENTITIES.length * 0.1, 'too little is visible for this to prove something')
})

// One table for the tests that are about a single thing: own rows, and those of one's teams.
const OWN = `using (owner = auth.uid() or exists (select from members m where m.team = docs.team and m.uid = auth.uid()))`
async function docs(policy = `create policy own on docs ${OWN}`) {
  await system.sql(`drop table if exists docs; create table docs (id int primary key, owner uuid, team int, title text, hidden text);
    alter table docs enable row level security; ${policy}; grant select (id, owner, team, title) on docs to authenticated;
    alter table members disable row level security; alter table teams disable row level security; delete from members; select enable_realtime('docs')`)
  await system.settled()
  return open([ann, bob], ['docs', 'marks'])
}
const doc = (id, owner, team = null, title = 't') => ({ id, owner: owner && uuid(owner), team, title })
const inserted = row => ({ type: 'INSERT', record: row, old: undefined })
const updated = (old, row) => ({ type: 'UPDATE', record: row, old })
const deleted = old => ({ type: 'DELETE', record: undefined, old })

async function got(viewers) {
  await allReached(system, viewers)
  return viewers.map(viewer => viewer.take().filter(each => each.table === 'docs').map(plain))
}

test('a row that enters a view is an INSERT, one that leaves a DELETE, a delete is judged by the old row', async () => {
  const viewers = await docs()
  await system.sql(`insert into docs values (1, '${USERS[0]}', null, 't', 'canary-hidden')`)
  await system.sql(`update docs set owner = '${USERS[1]}'`)
  await system.sql(`update docs set title = 'u'`)
  await system.sql(`update docs set owner = null`)
  await system.sql(`update docs set hidden = 'canary-more'`)
  await system.sql(`update docs set owner = '${USERS[0]}'`)
  await system.sql(`update docs set id = 2, hidden = 'canary-last'`)
  await system.sql('delete from docs')
  assert.deepEqual(await got(viewers), [
    [inserted(doc(1, 1)), deleted(doc(1, 1)), inserted(doc(1, 1, null, 'u')), updated(doc(1, 1, null, 'u'), doc(2, 1, null, 'u')), deleted(doc(2, 1, null, 'u'))],
    [inserted(doc(1, 2)), updated(doc(1, 2), doc(1, 2, null, 'u')), deleted(doc(1, 2, null, 'u'))]])
  for (const viewer of viewers) assert.deepEqual([...viewer.canaries()], [], 'the column that nobody may read, old or new')
  closing(viewers)
})

test('memberships of a transaction hold for all of its rows, wherever in it they were written', async () => {
  const viewers = await docs()
  const leave = `delete from members where uid = '${USERS[0]}'`
  const join = `insert into members values (7, '${USERS[0]}', 1)`
  await system.sql(`begin; insert into docs values (1, null, 7, 'before'); ${join}; insert into docs values (2, null, 7, 'after'); commit`)
  assert.deepEqual((await got(viewers))[0], [inserted(doc(1, null, 7, 'before')), inserted(doc(2, null, 7, 'after'))], 'joined')
  await system.sql(`begin; ${leave}; update docs set title = 'secret-1'; insert into docs values (3, null, 7, 'secret-2'); commit`)
  assert.deepEqual(await got(viewers), [[], []], 'left first')
  await system.sql(join)
  await system.sql(`begin; update docs set title = 'secret-3' where id = 1; delete from docs where id = 2; ${leave}; commit`)
  await system.sql(`update docs set title = 'secret-4'`)
  assert.deepEqual(await got(viewers), [[], []], 'left last')
  await system.sql(`begin; ${join}; ${leave}; insert into docs values (4, null, 7, 'secret-5'); commit`)
  await system.sql(`begin; savepoint s; ${join}; rollback to s; insert into docs values (5, null, 7, 'secret-6'); commit`)
  await system.sql(`begin; ${join}; rollback`)
  await system.sql(`insert into docs values (6, null, 7, 'secret-7')`)
  assert.deepEqual(await got(viewers), [[], []], 'never joined')
  await system.sql(join)
  await system.sql(`update docs set title = 'shown' where id = 6`)
  assert.deepEqual((await got(viewers))[0], [updated(doc(6, null, 7, 'secret-7'), doc(6, null, 7, 'shown'))], 'joined again; both versions judged by the rights of now')
  const bytes = viewers.map(viewer => viewer.bytes.join('')).join('')
  for (let n = 1; n <= 6; n++) assert.ok(!bytes.includes(`secret-${n}`), `secret-${n}`)
  closing(viewers)
})

test('TRUNCATE of a membership table, and an update that moves a membership', async () => {
  const viewers = await docs()
  await system.sql(`insert into members values (1, '${USERS[0]}', 1), (2, '${USERS[1]}', 1)`)
  await system.sql(`insert into docs values (1, null, 1), (2, null, 2)`)
  assert.deepEqual((await got(viewers)).map(events => events.map(each => each.record.id)), [[1], [2]])
  await system.sql(`begin; update members set team = 3 - team; update docs set title = 'moved'; commit`)
  assert.deepEqual((await got(viewers)).map(events => events.map(each => each.record.id)), [[2], [1]])
  await system.sql(`begin; truncate members; update docs set title = 'gone'; commit`)
  assert.deepEqual(await got(viewers), [[], []])
  closing(viewers)
})

test('whole transactions hold what the viewer may see, and count that', async () => {
  const first = await docs()
  closing(first)
  const viewers = await Promise.all([ann, bob].map(who => Viewer.open(system, who, { transactions: true })))
  for (const viewer of viewers) await viewer.subscribe('docs')
  await system.sql(`begin; insert into docs values (1, '${USERS[0]}'), (2, '${USERS[1]}'), (3, '${USERS[0]}'); update docs set owner = '${USERS[1]}' where id = 3; commit`)
  await system.sql(`insert into docs values (9, null)`)
  await system.sql(`update docs set owner = '${USERS[0]}' where id in (2, 9)`)
  const whole = async viewer => {
    const types = []
    for (;;) {
      const frame = await viewer.client.take(each => each.type === 'broadcast' || each.type === 'commit')
      if (frame.type === 'commit') return [types, frame.payload.changes]
      types.push(`${frame.payload.type} ${(frame.payload.record ?? frame.payload.old_record).id} ${frame.payload.last}`)
    }
  }
  assert.deepEqual(await whole(viewers[0]), [['INSERT 1 false', 'INSERT 3 false', 'DELETE 3 true'], 3])
  assert.deepEqual(await whole(viewers[0]), [['INSERT 2 false', 'INSERT 9 true'], 2])
  assert.deepEqual(await whole(viewers[1]), [['INSERT 2 false', 'INSERT 3 true'], 2])
  assert.deepEqual(await whole(viewers[1]), [['DELETE 2 true'], 1])
  closing(viewers)
})
