// Llana's official Nuxt plugin, the real one, against two edges and two shards: what an application hears from it, and what it does when
// its token is refused, is too old, or its edge dies.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { System, until } from './lib/system.mjs'
import { llanaTables, token } from './lib/llana.mjs'
import { LlanaRest, subscribe } from './lib/llana_plugin.mjs'
import { now } from './lib/token.mjs'

const EDGES = ['edge-0', 'edge-1']
const DELAY = 200
let system
let rest
const open = []
before(async () => {
  system = await System.start({ set: [`llana.failure_delay=${DELAY}ms`] })
  await llanaTables(system)
  await system.sql(`
    create table "Customer" ("custId" int primary key, name text);
    create table notes (id uuid primary key default gen_random_uuid(), name text);
    grant select on "Customer", notes to authenticated;
    select enable_realtime('public', name) from unnest(array['Customer', 'notes']) name;
    insert into "User" values (1, 'ADMIN', 'a@x'), (2, 'NOBODY', 'n@x');
    insert into _llana_role (role, records) values ('ADMIN', 'READ'), ('NOBODY', 'NONE')`)
  rest = await restOf(() => token(system, 1))
})
beforeEach(() => system.settled())
after(async () => {
  for (const each of open) each.stop()
  await system?.stop()
})

const sum = async (metric, labels) => (await Promise.all(EDGES.map(edge => system.metric(edge, metric, labels)))).reduce((all, each) => all + each, 0)
const connected = () => sum('pgtide_edge_llana_connects_total', 'outcome="connected"')
const sessions = () => Promise.all(EDGES.map(edge => system.metric(edge, 'pgtide_edge_engineio_sessions')))

async function restOf(tokens) {
  const started = await LlanaRest.start(tokens)
  open.push(started)
  return started
}
// The plugin does not say when it is connected; the edges do.
async function subscribed(table, from = rest) {
  const count = await connected()
  const application = await subscribe(system, from, table)
  open.push(application)
  await until('subscribed', async () => await connected() > count)
  return application
}
async function hears(application, count) {
  await until(`${count} events`, () => application.heard.length >= count)
  return application.heard.splice(0, count)
}
function stop(...applications) {
  for (const each of applications) each.stop()
}
let next = 1
const insert = async (count = 1) => {
  const first = next
  next += count
  await system.sql(`insert into "Customer" select g, 'x' from generate_series(${first}, ${next - 1}) g`)
  return Array.from({ length: count }, (_, at) => ({ insert: { type: 'INSERT', custId: String(first + at) } }))
}

test('the callbacks of a table are called with the payloads of the documents', async () => {
  const [customers, notes] = [await subscribed('Customer'), await subscribed('notes')]
  const [inserted] = await insert()
  const { custId } = inserted.insert
  await system.sql(`update "Customer" set name = 'y' where "custId" = ${custId}`)
  await system.sql(`delete from "Customer" where "custId" = ${custId}`)
  assert.deepEqual(await hears(customers, 3), [inserted, { update: { type: 'UPDATE', custId } }, { delete: { type: 'DELETE', custId } }])
  const [{ id }] = await system.sql(`insert into notes (name) values ('x') returning id`)
  assert.deepEqual(await hears(notes, 1), [{ insert: { type: 'INSERT', id } }], 'and nothing of the other table')
  assert.equal(customers.heard.length, 0)
  stop(customers, notes)
  await until('a subscription that is stopped has no session any more', async () => (await sessions()).every(count => count === 0))
})

test('applications on both edges hear the same, also when one of the edges is killed', async () => {
  const applications = []
  do applications.push(await subscribed('Customer'))
  while ((await sessions()).some(count => count === 0))
  const wanted = await insert(50)
  for (const each of applications) assert.deepEqual(await hears(each, 50), wanted)
  await system.kill('edge-0')
  const meanwhile = []
  for (let i = 0; i < 20; i++) meanwhile.push(...await insert(2))
  for (const each of applications) assert.deepEqual(await hears(each, 40), meanwhile)
  assert.ok(await system.metric('edge-1', 'pgtide_edge_llana_connects_total', 'outcome="recovered"') > 0)
  // The plugin and the library both bring it back: it must be there once all the same.
  system.start('edge-0')
  await system.allReady()
  const then = await insert(3)
  for (const each of applications) assert.deepEqual(await hears(each, 3), then)
  for (const each of applications) assert.equal(each.heard.length, 0)
  stop(...applications)
})

test('a token that is refused: the plugin comes back at once, again and again, and is slowed down', async () => {
  const bad = await restOf(asked => asked <= 6 ? 'rubbish' : token(system, 1))
  const began = Date.now()
  const application = await subscribed('Customer', bad)
  const took = Date.now() - began
  assert.equal(bad.asked, 7)
  assert.ok(took >= 2 * DELAY, `six refusals of two processes, each of which counts for itself, took ${took} ms`)
  const wanted = await insert()
  assert.deepEqual(await hears(application, 1), wanted)
  stop(application)
})

test('a token that has expired: the plugin waits before it comes back with another', async () => {
  const old = await restOf(asked => token(system, 1, asked === 1 ? { exp: now() - 60 } : {}))
  const application = await subscribed('Customer', old)
  assert.equal(old.asked, 2)
  const wanted = await insert()
  assert.deepEqual(await hears(application, 1), wanted)
  stop(application)
})

test('a user without the right hears nothing, and is connected', async () => {
  const nobody = await restOf(() => token(system, 2))
  const [silent, loud] = [await subscribed('Customer', nobody), await subscribed('Customer')]
  const withheld = await sum('pgtide_edge_llana_events_total', 'result="withheld"')
  const wanted = await insert(3)
  assert.deepEqual(await hears(loud, 3), wanted)
  await until('its events have been judged', async () => await sum('pgtide_edge_llana_events_total', 'result="withheld"') === withheld + 3)
  await system.sql(`update _llana_role set records = 'READ' where role = 'NOBODY'`)
  // What it hears first is what came when it had the right.
  const later = await until('it hears', async () => {
    const last = await insert()
    return silent.heard.length > 0 && last
  })
  assert.ok(Number(silent.heard[0].insert.custId) > Number(wanted[2].insert.custId))
  assert.ok(later)
  stop(silent, loud)
})
