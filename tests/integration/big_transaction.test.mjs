// One transaction of 1,000,000 rows goes through every tier in bounded memory.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, bin } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const ROWS = 1_000_000
// What the sanitizer keeps of freed memory is not the program's; 256 MB of it would hide what is measured.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:quarantine_size_mb=16`
let system
before(async () => {
  // Small rings: memory must come from the budget, not from the size of the transaction. What waits for the client is the client's: on a
  // busy machine nearly all of it may, and it is not to be closed for that.
  system = await System.start({ edges: 1, set: ['window.bytes=16MiB', 'links.tailer_ring=16MiB', 'links.edge_ring=16MiB', 'realtime.client_budget=512MiB'] })
  await system.sql(`create table big (id int primary key, v text); create table small (id int primary key);
    grant select on big, small to authenticated; select enable_realtime('big'); select enable_realtime('small')`)
})
after(() => system?.stop())

test('a million rows in one transaction, each once and in order', async t => {
  const small = await Client.open(system, { token: user(system) })
  await small.subscribe('table:public.small')
  // A client in C counts and checks the order: one in Node would be the slowest stage and be closed for it.
  const counter = spawn(bin('bench-clients'), [system.port, 1, 'table:public.big', ROWS, 400, user(system)].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: counter.stdout })[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, 'ready')

  const names = ['tailer', 'broker-0', 'broker-1', 'edge-0']
  const before = Object.fromEntries(names.map(name => [name, system.rss(name)]))
  const started = Date.now()
  await system.sql(`insert into big select g, 'row number ' || g || repeat(' ', 100) from generate_series(1, ${ROWS}) g`)
  const written = Date.now()
  const seen = JSON.parse((await lines.next()).value)
  const arrived = Date.now()
  assert.deepEqual({ frames: seen.frames, disorder: seen.disorder, lost: seen.lost }, { frames: ROWS, disorder: 0, lost: 0 })
  const grown = Object.fromEntries(names.map(name => [name, Math.round((system.peakRss(name) - before[name]) / 1048576)]))
  t.diagnostic(`${ROWS} rows: written in ${written - started} ms, arrived ${arrived - written} ms later; memory grew by MiB ${JSON.stringify(grown)}`)
  // Rings of 16 MiB, batches and the sanitizer's own shadow; the transaction has about 250 MB, its frames 357, which the edge holds once at most.
  for (const name of names) assert.ok(grown[name] < (name === 'edge-0' ? 600 : 200), `${name} grew by ${grown[name]} MiB`)

  await system.sql('insert into small values (1)')
  assert.equal((await small.change('INSERT')).payload.record.id, 1)
  small.close()
})
