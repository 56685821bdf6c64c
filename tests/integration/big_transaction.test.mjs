// One transaction of 1,000,000 rows goes through every tier in bounded memory.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { RawSocket, frame } from './lib/raw.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const ROWS = 1_000_000
// What the sanitizer keeps of freed memory is not the program's; 256 MB of it would hide what is measured.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=16`
let system
before(async () => {
  // Small rings: memory must come from the budget, not from the size of the transaction.
  system = await System.start({ edges: 1, set: ['links.tailer_ring=16MiB', 'links.edge_ring=16MiB', 'realtime.client_budget=64MiB'] })
  await system.sql(`create table big (id int primary key, v text); create table small (id int primary key);
    grant select on big, small to authenticated; select enable_realtime('big'); select enable_realtime('small')`)
})
after(() => system?.stop())

test('a million rows in one transaction, each once and in order', async t => {
  // Frames are counted in place: a client that builds a string for each would be the slowest stage.
  const raw = await RawSocket.open(system, { path: `/realtime?token=${user(system)}` })
  const seen = { count: 0, wrong: 0, acks: 0, small: 0, other: [] }
  raw.onFrame(payload => look(payload, seen))
  for (const table of ['big', 'small']) raw.write(frame(1, JSON.stringify({ type: 'subscribe', channel: `table:public.${table}` })))
  await until('both subscriptions', () => seen.acks === 2)

  const names = ['tailer', 'broker-0', 'broker-1', 'edge-0']
  const before = Object.fromEntries(names.map(name => [name, system.rss(name)]))
  const started = Date.now()
  await system.sql(`insert into big select g, 'row number ' || g || repeat(' ', 100) from generate_series(1, ${ROWS}) g`)
  const written = Date.now()
  const arrivedAt = () => Date.now() - written
  await until('all rows', () => raw.ended || seen.count >= ROWS, { deadline: 400_000 })
  assert.deepEqual(seen.other, [], `after ${seen.count} rows, ${arrivedAt()} ms`)
  const arrived = Date.now()
  assert.equal(seen.count, ROWS)
  assert.equal(seen.wrong, 0)
  const grown = Object.fromEntries(names.map(name => [name, Math.round((system.peakRss(name) - before[name]) / 1048576)]))
  t.diagnostic(`${ROWS} rows: written in ${written - started} ms, arrived ${arrived - written} ms later; memory grew by MiB ${JSON.stringify(grown)}`)
  // Rings of 16 MiB, batches, the client's budget and the sanitizer's own shadow; the transaction has about 250 MB.
  for (const name of names) assert.ok(grown[name] < 200, `${name} grew by ${grown[name]} MiB`)

  await system.sql('insert into small values (1)')
  await until('the next transaction', () => seen.small === 1)
  raw.destroy()
})

const BIG = Buffer.from('"table":"big","record":{"id":')
const SMALL = Buffer.from('"table":"small"')
const ACK = Buffer.from('{"type":"ack"')
const HEARTBEAT = Buffer.from('{"type":"heartbeat"')

function look(payload, seen) {
  const at = payload.indexOf(BIG)
  if (payload.subarray(0, ACK.length).equals(ACK)) seen.acks += 1
  else if (at >= 0) {
    let id = 0
    for (let n = at + BIG.length; payload[n] >= 48 && payload[n] <= 57; n++) id = id * 10 + payload[n] - 48
    if (id !== ++seen.count) seen.wrong += 1
  } else if (payload.includes(SMALL)) seen.small += 1
  else if (!payload.subarray(0, HEARTBEAT.length).equals(HEARTBEAT)) seen.other.push(payload.toString())
}
