// A sick process among healthy ones: a stopped edge, a burst with small buffers, a stopped shard under load.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
before(async () => {
  // A window that is smaller than what a stopped process misses: else nobody would miss anything.
  system = await System.start({ set: ['links.edge_ring=1MiB', 'links.edge_stall=300ms', 'links.tailer_ring=1MiB', 'realtime.client_budget=1GiB'] })
  await system.sql(`create table t (id serial primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
})
after(() => { if (process.env.PGTIDE_TEST_LOGS) console.log(system?.logs(60)); return system?.stop() })

// One client on each edge: the kernel spreads connections, so connect until both have one.
async function oneOnEach() {
  const found = [null, null]
  const extra = []
  while (found.includes(null)) {
    const counts = () => Promise.all([0, 1].map(n => system.metric(`edge-${n}`, 'pgtide_edge_connections_total')))
    const was = await counts()
    const client = await Client.open(system, { token: user(system) })
    await client.drain()
    const at = (await counts()).findIndex((count, n) => count > was[n])
    if (found[at]) extra.push(client)
    else found[at] = client
  }
  for (const client of extra) client.close()
  for (const client of found) assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  return found
}

const insert = (count, size) => system.sql(`insert into t (v) select repeat('x', ${size}) from generate_series(1, ${count})`)
async function expectRows(client, count) {
  let last = 0
  for (let n = 0; n < count; n++) {
    const { record } = (await client.change('INSERT', { deadline: 60_000 })).payload
    assert.ok(record.id > last, 'in order')
    last = record.id
  }
}

test('a burst many times larger than every ring arrives whole', async () => {
  const clients = await oneOnEach()
  const rows = 20_000
  await Promise.all([insert(rows, 1000), ...clients.map(client => expectRows(client, rows))])
  for (const name of ['broker-0', 'broker-1']) assert.equal((await system.metric(name, 'pgtide_broker_evicted_frames_total')) ?? 0, 0)
  for (const client of clients) client.close()
})

test('a stopped edge costs the other one at most the declared stall, and its clients get what it missed', async () => {
  const [sick, well] = await oneOnEach()
  const pid = system.pid('edge-0')
  const rows = 15_000
  process.kill(pid, 'SIGSTOP')
  try {
    // More than the ring and ZeroMQ's own queues hold, and less than the window.
    await Promise.all([insert(rows, 10_000), expectRows(well, rows)])
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await expectRows(sick, rows)
  const evicted = await Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_evicted_frames_total')))
  assert.ok(evicted.some(count => count > 0))
  assert.deepEqual([...sick.frames, ...well.frames].filter(frame => frame.type === 'gap'), [])
  await insert(1, 10)
  const [one, two] = [await well.change('INSERT'), await sick.change('INSERT')]
  assert.equal(one.payload.id, two.payload.id)
  sick.close(); well.close()
})

test('a stopped shard under load holds the tailer back and nothing is lost', async () => {
  const [one, two] = await oneOnEach()
  const shard = (await Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_subscriptions')))).findIndex(count => count > 0)
  const rows = 10_000
  process.kill(system.pid(`broker-${shard}`), 'SIGSTOP')
  await insert(rows, 1000)
  await until('the tailer has stopped reading', async () => /shard-?\s?\d|behind|full|paused/i.test((await system.readyz('tailer')).text) && !(await system.readyz('tailer')).ok)
  process.kill(system.pid(`broker-${shard}`), 'SIGCONT')
  await Promise.all([one, two].map(client => expectRows(client, rows)))
  await system.allReady()
  assert.deepEqual([...one.frames, ...two.frames].filter(frame => frame.type === 'gap'), [])
  one.close(); two.close()
})

test('a killed shard under load: each row once, and no gap', async () => {
  const [one, two] = await oneOnEach()
  const shard = (await Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_subscriptions')))).findIndex(count => count > 0)
  const writing = (async () => { for (let n = 0; n < 40; n++) await insert(50, 100) })()
  await one.change('INSERT')
  await system.kill(`broker-${shard}`)
  system.start(`broker-${shard}`)
  await writing
  await until('both are subscribed again', async () => (await system.metric(`broker-${shard}`, 'pgtide_broker_subscriptions')) === 2)
  await insert(1, 7)
  for (const client of [one, two]) {
    await client.take(frame => frame.type === 'broadcast' && frame.payload.record?.v.length === 7)
    const ids = client.frames.filter(frame => frame.type === 'broadcast').map(frame => frame.payload.record.id)
    assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b), 'in order, none twice')
    assert.equal(ids.at(-1) - ids[0] + 1, ids.length, 'none missing')
    assert.deepEqual(client.frames.filter(frame => frame.type === 'gap'), [])
    client.close()
  }
})
