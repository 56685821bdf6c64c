// A marker in the WAL comes out of every edge: its age is a metric, a readiness condition, and told to clients.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { childrenOf, System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({ set: ['freshness.interval=200ms', 'freshness.threshold=1s', 'realtime.heartbeat_interval=200ms', 'database.retry_max=500ms'] })
  await system.sql(`create table t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
  await system.settled()
})
after(() => system?.stop())

const EDGES = ['edge-0', 'edge-1']
// The age per shard.
async function ages(edge) {
  const text = await (await fetch(`${system.admin(edge)}/metrics`)).text()
  const found = [...text.matchAll(/^pgtide_edge_fresh_age_seconds\{[^}]*\} ([-+0-9.eE]+|NaN)$/gm)].map(each => Number(each[1]))
  assert.equal(found.length, 2, `one age per shard:\n${text}`)
  return found
}
// With its children: a stopped postmaster alone stops nobody else.
const signal = (name, what) => { for (const pid of [...childrenOf(system.pid(name)), system.pid(name)]) process.kill(pid, what) }
const subscribed = async () => {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  return client
}
const stale = frame => frame.type === 'stale'
const fresh = frame => frame.type === 'fresh'

test('nothing is written, and yet every edge knows that it is current', async () => {
  const client = await subscribed()
  const [{ lsn }] = await system.sql('select pg_current_wal_insert_lsn()::text as lsn')
  await until('markers are written', async () => (await system.sql('select pg_current_wal_insert_lsn() > $1::pg_lsn as past', [lsn]))[0].past)
  for (const edge of EDGES) {
    await until(`${edge} is fresh`, async () => (await ages(edge)).every(age => age >= 0 && age < 1))
    assert.ok((await system.readyz(edge)).ok)
  }
  assert.deepEqual((await client.drain()).filter(frame => frame.type !== 'heartbeat'), [], 'clients are told nothing while all is well')
  client.close()
})

for (const [what, name] of [['the tailer', 'tailer'], ['PostgreSQL', 'postgres']]) {
  test(`${what} stands still: readiness, metric, clients; and all is well afterwards`, async () => {
    const client = await subscribed()
    const bystander = await Client.open(system, { token: user(system) })
    signal(name, 'SIGSTOP')
    let seconds
    try {
      const told = await client.take(stale)
      seconds = told.payload.seconds
      assert.ok(seconds >= 1 && seconds < 20, JSON.stringify(told))
      for (const edge of EDGES) {
        await until(`${edge} says so`, async () => { const ready = await system.readyz(edge); return !ready.ok && /fresh/i.test(ready.text) })
        assert.ok((await ages(edge)).some(age => age >= 1))
      }
      assert.equal(client.closed, null)
    } finally {
      signal(name, 'SIGCONT')
    }
    await client.take(fresh)
    await system.allReady()
    assert.deepEqual(client.frames.filter(frame => stale(frame) || fresh(frame)), [], 'each once')
    assert.deepEqual((await bystander.drain()).filter(frame => frame.type !== 'heartbeat'), [], 'without subscriptions there is nothing to tell')
    await system.sql(`insert into t values (${name === 'tailer' ? 1 : 2})`)
    await client.change('INSERT')
    client.close()
    bystander.close()
  })
}

test('one shard stands still: only its subscribers are told', async () => {
  await system.sql(Array.from({ length: 8 }, (_, n) => `create table s${n} (id int primary key); grant select on s${n} to authenticated; select enable_realtime('s${n}');`).join(''))
  await system.settled()
  const counts = () => Promise.all([0, 1].map(each => system.metric(`broker-${each}`, 'pgtide_broker_subscriptions')))
  const clients = [null, null]
  const others = []
  for (let n = 0; n < 8; n++) {
    const client = await Client.open(system, { token: user(system) })
    const was = await counts()
    await client.subscribe(`table:public.s${n}`)
    const at = (await counts()).findIndex((count, shard) => count > was[shard])
    if (clients[at]) others.push(client)
    else clients[at] = client
  }
  assert.ok(clients[0] && clients[1])
  await system.kill('broker-0', 'SIGSTOP')
  try {
    await clients[0].take(stale)
    assert.deepEqual((await clients[1].drain()).filter(stale), [])
  } finally {
    await system.kill('broker-0', 'SIGCONT')
  }
  await clients[0].take(fresh)
  await system.allReady()
  for (const client of [...clients, ...others]) client.close()
})

test('interval 0: no markers, no condition', async () => {
  const quiet = await System.start({ shards: 1, edges: 1, set: ['freshness.interval=0', 'freshness.threshold=1s', 'realtime.heartbeat_interval=200ms'] })
  try {
    await quiet.sql(`create table t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
    const client = await Client.open(quiet, { token: user(quiet) })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack')
    process.kill(quiet.pid('tailer'), 'SIGSTOP')
    await new Promise(wake => setTimeout(wake, 2000)) // twice the threshold: shows that nothing comes
    process.kill(quiet.pid('tailer'), 'SIGCONT')
    assert.deepEqual((await client.drain()).filter(frame => stale(frame) || fresh(frame)), [])
    assert.ok((await quiet.readyz('edge-0')).ok)
    client.close()
  } finally {
    await quiet.stop()
  }
})
