// Going on after a disconnect, and beginning with a snapshot, under row-level security: nothing comes that is not visible now, and
// rows and changes together give exactly what SELECT gives.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Copy } from './lib/copy.mjs'
import { allReached, become, identity, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System } from './lib/system.mjs'

let system
before(async () => {
  system = await System.start({ shards: 2, edges: 1, set: SETTINGS })
  await prepare(system)
  await system.sql(`create table members (team int, uid uuid); alter table members replica identity full; grant select on members to public;
    create function in_team(t int) returns boolean language plpgsql stable security definer as $$begin return exists (select from public.members where team = t and uid = auth.uid()); end$$`)
})
beforeEach(async () => {
  await system.sql('delete from members')
  await system.settled()
})
after(() => system?.stop())

const [ann, bob] = [1, 2].map(n => identity(`user ${n}`, 'authenticated', { sub: uuid(n) }))
// The same rule, judged in memory and by PostgreSQL.
const RULES = { compiled: t => `owner = auth.uid() or exists (select from members m where m.team = ${t}.team and m.uid = auth.uid())`, asked: () => 'owner = auth.uid() or in_team(team)' }

async function table(name, rule) {
  await system.sql(`create table ${name} (id serial primary key, owner uuid, team int, v text, hidden text default 'canary-hidden'); alter table ${name} enable row level security;
    create policy p on ${name} using (${RULES[rule](name)}); grant select (id, owner, team, v) on ${name} to authenticated; select enable_realtime('${name}')`)
  await system.settled()
}

// What SELECT gives the viewer.
const select = (name, who) => system.session(async db => {
  await db.query('begin')
  await become(db, who)
  const { rows } = await db.query(`select id, owner, team, v from ${name} order by id`)
  await db.query('rollback')
  return rows
})
const write = (name, team, v, owner = null) => system.sql(`insert into ${name} (owner, team, v) values ($1, $2, $3)`, [owner, team, v])
const join = (who, team) => system.sql('insert into members values ($1, $2)', [team, who.claims.sub])
const leave = who => system.sql('delete from members where uid = $1', [who.claims.sub])

// Subscribes anew from a position; what came until now, as `type v`.
async function resumed(name, who, since) {
  const viewer = await Viewer.open(system, who)
  await viewer.subscribe('marks')
  assert.equal((await viewer.subscribe(name, { since })).payload.resumed, true)
  await allReached(system, [viewer])
  viewer.close()
  assert.ok(!viewer.bytes.join('').includes('canary'), 'a hidden column')
  return { viewer, came: viewer.take(name).map(each => `${each.type} ${(each.record ?? each.old).v}`) }
}

for (const rule of Object.keys(RULES)) {
  test(`${rule}: since, after a revoke and after a grant: the past is judged by the rights of now`, async () => {
    const name = `past_${rule}`
    await table(name, rule)
    await join(ann, 1)
    const first = await Viewer.open(system, ann)
    const { payload: { id } } = await first.subscribe(name)
    await first.subscribe('marks')
    await write(name, 1, 'a')
    await system.sql(`update ${name} set v = 'b'`)
    await allReached(system, [first])
    assert.deepEqual(first.take(name).map(each => each.type), ['INSERT', 'UPDATE'])
    first.close()

    assert.deepEqual((await resumed(name, ann, id)).came, ['INSERT a', 'UPDATE b'])
    await leave(ann)
    assert.deepEqual((await resumed(name, ann, id)).came, [], 'revoked')
    await write(name, 1, 'secret')
    await write(name, 2, 'own', ann.claims.sub)
    const { viewer, came } = await resumed(name, ann, id)
    assert.deepEqual(came, ['INSERT own'])
    assert.ok(!viewer.bytes.join('').includes('secret'))
    await join(ann, 1)
    assert.deepEqual((await resumed(name, ann, id)).came, ['INSERT a', 'UPDATE b', 'INSERT secret', 'INSERT own'], 'granted again')
    await system.sql(`drop policy p on ${name}`)
    assert.deepEqual((await resumed(name, ann, id)).came, [], 'no policy, nothing')
  })

  test(`${rule}: a snapshot holds SELECT's rows, and with the changes after it stays what SELECT gives, whatever happens to the memberships of others`, async () => {
    const name = `rows_${rule}`
    await table(name, rule)
    await join(ann, 1)
    await join(bob, 2)
    await system.sql(`insert into ${name} (owner, team, v) select case when n % 7 = 0 then $1::uuid end, n % 5, 'v' || n from generate_series(1, 500) n`, [ann.claims.sub])
    const copies = []
    let stop = false
    const writing = (async () => {
      for (let n = 0; !stop; n++) {
        await system.sql(`update ${name} set team = (team + 1) % 5, v = 'w${n}' where id % 11 = $1`, [n % 11])
        if (n % 5 === 0 && n < 100) await system.sql(`delete from ${name} where id % 101 = $1`, [n]) // 100 rows at most: there must be some left
        if (n % 3 === 0) await write(name, n % 5, `new ${n}`)
        await system.sql(n % 2 === 0 ? `insert into members values (3, '${uuid(3)}')` : `delete from members where uid = '${uuid(3)}'`)
      }
    })()
    for (const who of [ann, bob]) {
      const viewer = await Viewer.open(system, who)
      const copy = new Copy()
      await copy.read(viewer.client, `table:public.${name}`, { snapshot: true, page_size: 50 })
      copies.push({ who, viewer, copy })
    }
    stop = true
    await writing
    await system.sql(`insert into ${name} (id, owner, team, v) values (100001, $1, 0, 'last'), (100002, $2, 0, 'last')`, [ann.claims.sub, bob.claims.sub])
    for (const { who, viewer, copy } of copies) {
      await copy.until(viewer.client, who === ann ? 100001 : 100002)
      copy.equals(await select(name, who))
      assert.ok(copy.rows.size > 50, 'there are rows')
      viewer.close()
    }
  })
}

test('a snapshot of a role that may read nothing is empty, and the stream is', async () => {
  await table('nothing', 'compiled')
  await write('nothing', 1, 'x')
  const viewer = await Viewer.open(system, ann)
  const copy = new Copy()
  await copy.read(viewer.client, 'table:public.nothing', { snapshot: true })
  await viewer.subscribe('marks')
  await system.sql(`update nothing set v = 'y'`)
  await allReached(system, [viewer])
  assert.deepEqual([copy.rows.size, viewer.take('nothing')], [0, []])
  viewer.close()
})

test('a replay that is under way when rights are taken away shows nothing after that', async () => {
  await table('going', 'compiled')
  await join(ann, 1)
  const first = await Viewer.open(system, ann)
  const { payload: { id } } = await first.subscribe('going')
  first.close()
  for (let n = 0; n < 20; n++) await system.sql(`insert into going (team, v) select 1, 'row ' || g from generate_series(1, 200) g`)
  const viewer = await Viewer.open(system, ann)
  await viewer.subscribe('marks')
  viewer.client.send({ type: 'subscribe', channel: 'table:public.going', since: id })
  await leave(ann)
  await write('going', 1, 'canary-secret')
  await allReached(system, [viewer])
  assert.deepEqual([...viewer.canaries()], [])
  const seen = viewer.take('going').map(each => each.record.id)
  assert.deepEqual(seen, seen.map((_, n) => seen[0] + n), 'what came before is whole')
  viewer.close()
})
