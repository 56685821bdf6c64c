// A thousand identities on one table: each gets its own rows and no other's, and one whose claims raise an error costs nobody else
// anything, whichever way its policy is judged. What each may know is a canary of its own, searched for in every byte that it received.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { allReached, identity, plain, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System } from './lib/system.mjs'

const IDENTITIES = Number(process.env.RLS_IDENTITIES ?? 1000)
const BAD = 500 // whose org is no number
const GROUP = 10 // identities of one org
let system
before(async () => {
  system = await System.start({ shards: 2, edges: 1, set: [...SETTINGS, 'realtime.heartbeat_interval=1s'] })
  await prepare(system)
  await system.sql(`create function checked_org() returns int language plpgsql stable security definer as $$begin return (auth.jwt() ->> 'org')::int; end$$;
    create function same_org(org int) returns boolean language plpgsql volatile as $$begin return org = (auth.jwt() ->> 'org')::int; end$$`)
})
after(() => system?.stop())

const org = n => Math.floor(n / GROUP)
const people = Array.from({ length: IDENTITIES }, (_, n) => identity(`user ${n}`, 'authenticated', { sub: uuid(n), org: n === BAD ? 'none' : String(org(n)) }))

async function open(tables) {
  const viewers = []
  for (let n = 0; n < IDENTITIES; n += 50) viewers.push(...await Promise.all(people.slice(n, n + 50).map(who => Viewer.open(system, who))))
  await Promise.all(viewers.map(async viewer => { for (const table of tables) await viewer.subscribe(table) }))
  return viewers
}

// Row n belongs to user n and to its org; there are `rows` of them. What happens to one row stays in order, rows may be sorted.
async function run(t, table, policy, rows) {
  await system.sql(`create table ${table} (id int primary key, owner uuid, org int, canary text); alter table ${table} enable row level security;
    create policy p on ${table} using (${policy}); grant select on ${table} to authenticated; select enable_realtime('${table}')`)
  await system.settled()
  const viewers = await open([table, 'marks'])
  const numbers = Array.from({ length: rows }, (_, n) => Math.floor(n * IDENTITIES / rows))
  const started = Date.now()
  await system.sql(`insert into ${table} select n, (lpad(n::text, 8, '0') || '-0000-4000-8000-000000000000')::uuid, n / ${GROUP}, 'canary-' || n from unnest($1::int[]) n`, [numbers])
  await system.sql(`update ${table} set owner = null, org = null where id % 3 = 0`)
  await system.sql(`update ${table} set canary = canary || '-again'`)
  await system.sql(`delete from ${table}`)
  await allReached(system, viewers)
  t.diagnostic(`${IDENTITIES} identities, ${rows * 3 + Math.ceil(rows / 3)} changes: all there ${Date.now() - started} ms after the first`)

  for (const [n, viewer] of viewers.entries()) {
    const own = n === BAD ? [] : numbers.filter(each => org(each) === org(n))
    const row = (id, more) => ({ id, owner: uuid(id), org: org(id), canary: `canary-${id}`, ...more })
    const again = id => ({ canary: `canary-${id}-again` })
    const want = [...own.map(id => ({ type: 'INSERT', record: row(id), old: undefined })),
      ...own.filter(id => id % 3 === 0).map(id => ({ type: 'DELETE', record: undefined, old: row(id) })),
      ...own.filter(id => id % 3 !== 0).map(id => ({ type: 'UPDATE', record: row(id, again(id)), old: row(id) })),
      ...own.filter(id => id % 3 !== 0).map(id => ({ type: 'DELETE', record: undefined, old: row(id, again(id)) }))]
    const have = viewer.take(table).map(plain)
    assert.deepEqual(have.sort(byRow), want.sort(byRow), viewer.who.name)
    assert.deepEqual([...viewer.canaries()].filter(canary => !own.includes(Number(canary.split('-')[1]))), [], `${viewer.who.name} received what is not its own`)
  }
  for (const viewer of viewers) viewer.close()
}
const byRow = (a, b) => (a.record ?? a.old).id - (b.record ?? b.old).id

test('compiled: one raising claim among a thousand', t => run(t, 'compiled', `owner = auth.uid() or org = (auth.jwt() ->> 'org')::int`, 1000))
test('a constant only PostgreSQL can make, raising for one', t => run(t, 'definer', 'org = checked_org()', 200))
test('asked of PostgreSQL for each identity, raising for one', t => run(t, 'asked', 'same_org(org)', 30))
