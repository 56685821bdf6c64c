// 10,000 clients come at once: at a start, when an edge drains, when an edge dies. They come back as they are told to, all get
// in, and the clients that are connected hardly notice.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const THREADS = 2
const WITHIN = 40_000
const RATE = 500 // half of the default, so that even on a slow machine clients come faster
// Every client is a descriptor here, and one in the edge.
const limit = execFileSync('bash', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
const COUNT = limit === 'unlimited' || Number(limit) >= 12_000 ? 10_000 : Math.floor((Number(limit) - 1000) / THREADS) * THREADS
let system, workers, healthy
before(async () => {
  system = await System.start({ shards: 1, edges: 2, set: ['realtime.max_connections=20000', `realtime.connect_rate=${RATE}`] })
  await system.sql(`create table t (id serial primary key, sent float8); grant select on t to authenticated; select enable_realtime('t')`)
  workers = Array.from({ length: THREADS }, () => new Worker(new URL('./lib/storm_clients.mjs', import.meta.url), {
    workerData: { port: system.port, token: user(system), count: COUNT / THREADS },
  }))
  healthy = await Promise.all(Array.from({ length: 10 }, async () => {
    const client = await Client.open(system, { token: user(system) })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack')
    return client
  }))
})
after(async () => {
  await Promise.all(workers?.map(worker => worker.terminate()) ?? [])
  await system?.stop()
})

async function tell(what) {
  const all = await Promise.all(workers.map(worker => new Promise((done, fail) => {
    worker.once('error', fail)
    worker.once('message', stats => { worker.off('error', fail); done(stats) })
    worker.postMessage(what)
  })))
  const sum = key => all.reduce((total, stats) => total + stats[key], 0)
  const retryAfter = {}
  for (const stats of all) for (const [value, n] of Object.entries(stats.retryAfter)) retryAfter[value] = (retryAfter[value] ?? 0) + n
  return { open: sum('open'), attempts: sum('attempts'), refused: sum('refused'), broken: sum('broken'), retryAfter,
    hints: all.flatMap(stats => stats.hints), other: all.flatMap(stats => stats.other) }
}

// Runs `work` while a row is inserted every 50 ms; resolves to how long the rows took, from the insert's start to each healthy client.
async function measured(work) {
  const delays = []
  let going = true
  const writing = (async () => {
    while (going) {
      await system.sql('insert into t (sent) values ($1)', [performance.now()])
      await new Promise(wake => setTimeout(wake, 50))
    }
    await system.sql('insert into t (sent) values (-1)')
  })()
  const reading = healthy.filter(client => !client.closed).map(async client => {
    for (;;) {
      const { record } = (await client.change('INSERT', { deadline: 60_000 })).payload
      if (record.sent < 0) return
      delays.push(performance.now() - record.sent)
    }
  })
  try {
    await work()
  } finally {
    going = false
    await writing
  }
  await Promise.all(reading)
  delays.sort((a, b) => a - b)
  const at = part => Math.round(delays[Math.min(delays.length - 1, Math.floor(delays.length * part))])
  return { count: delays.length, p50: at(0.5), p99: at(0.99), most: at(1) }
}

const allOpen = () => until(`${COUNT} clients are connected`, async () => (await tell('stats')).open === COUNT, { deadline: WITHIN, every: 100 })
const refused = name => system.metric(name, 'pgtide_edge_refused_total', 'reason="connect_rate"')

test('a start: every client gets in, at the rate, and those before keep their latency', async t => {
  const calm = await measured(() => new Promise(wake => setTimeout(wake, 1000)))
  const before = Math.max(system.rss('edge-0'), system.rss('edge-1'))
  let pending = 0
  const started = Date.now()
  const storm = await measured(async () => {
    await tell('go')
    await until('all are connected', async () => {
      for (const name of ['edge-0', 'edge-1']) pending = Math.max(pending, await system.metric(name, 'pgtide_edge_pending_requests'))
      return (await tell('stats')).open === COUNT
    }, { deadline: WITHIN, every: 100 })
  })
  const took = Date.now() - started
  const stats = await tell('stats')
  const grown = Math.max(system.peakRss('edge-0'), system.peakRss('edge-1')) - before
  t.diagnostic(`${COUNT} clients in ${took} ms, ${stats.attempts} attempts, ${stats.refused} refused, ${stats.broken} broken; ` +
    `latency p50/p99/most ${calm.p50}/${calm.p99}/${calm.most} ms before, ${storm.p50}/${storm.p99}/${storm.most} ms meanwhile; ` +
    `at most ${pending} requests under way; an edge grew by ${Math.round(grown / 1048576)} MiB`)
  assert.deepEqual(stats.other, [])
  assert.ok(took > (COUNT - 2 * RATE) / (2 * RATE) * 1000 * 0.9, 'not faster than two edges may')
  assert.ok(stats.refused > 0 && stats.refused === (await refused('edge-0')) + (await refused('edge-1')))
  assert.ok(pending <= 4096)
  assert.ok(grown < COUNT * 32768, `${grown} bytes`) // AddressSanitizer's share included
  assert.ok(storm.p99 < 1500, JSON.stringify(storm))
})

test('a drain: every client is told when to come back, at different times, and the other edge takes them', async t => {
  const was = await tell('stats')
  const started = Date.now()
  await system.kill('edge-0', 'SIGTERM')
  const drained = Date.now() - started
  await allOpen()
  const stats = await tell('stats')
  const hints = stats.hints.map(([code, ms]) => { assert.equal(code, 1001); return ms }).sort((a, b) => a - b)
  t.diagnostic(`drained in ${drained} ms, all back after ${Date.now() - started} ms; ${hints.length} hints from ${hints[0]} to ${hints.at(-1)} ms; ` +
    `${stats.refused - was.refused} refused, ${stats.broken - was.broken} broken`)
  assert.deepEqual(stats.other, [])
  assert.ok(hints.length > COUNT / 4)
  assert.ok(hints[0] >= 500 && hints.at(-1) <= 5000)
  const [low, high] = [hints[Math.floor(hints.length * 0.1)], hints[Math.floor(hints.length * 0.9)]]
  assert.ok(high - low > (hints.at(-1) - 500) * 0.7, `spread: ${low} to ${high}`)
  assert.ok((await Promise.all(healthy.map(async client => client.closed === null || / retry_ms=\d+$/.test(client.closed.reason)))).every(Boolean))
})

test('a death: all come back at once to the one that is left, which takes them at its rate', async t => {
  system.start('edge-0')
  await until('edge-0 is ready', async () => (await system.readyz('edge-0')).ok)
  for (const client of healthy) client.close()
  await system.kill('edge-1') // every client of the storm was there
  healthy = await Promise.all([1, 2, 3].map(async () => {
    const client = await until('a healthy client is in', () => Client.open(system, { token: user(system) }), { deadline: WITHIN })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack')
    return client
  }))
  const started = Date.now()
  const was = await tell('stats')
  const storm = await measured(allOpen)
  const stats = await tell('stats')
  t.diagnostic(`all back after ${Date.now() - started} ms; ${stats.attempts - was.attempts} attempts, ${stats.refused - was.refused} refused; ` +
    `latency p50/p99/most ${storm.p50}/${storm.p99}/${storm.most} ms`)
  assert.deepEqual(stats.other, [])
  assert.ok(storm.p99 < 1500, JSON.stringify(storm))
  assert.ok(stats.refused > COUNT / 4)
  assert.deepEqual(Object.keys(stats.retryAfter).sort(), ['1', '2', '3', '4', '5'])
  for (const n of Object.values(stats.retryAfter)) assert.ok(n > stats.refused / 5 * 0.7 && n < stats.refused / 5 * 1.3, JSON.stringify(stats.retryAfter))
  await tell('end')
})
