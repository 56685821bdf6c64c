// 2 shards, 2 edges, 100 clients on 20 tables, 50,000 changes from 8 writers: everybody gets exactly
// what was committed, in commit order. The truth is a second logical slot, read by PostgreSQL itself.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import pg from 'pg'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const [TABLES, CLIENTS, CHANGES, WRITERS, THREADS] = [20, 100, 50_000, 8, 2]
let system
before(async () => {
  system = await System.start({ set: ['realtime.client_budget=64MiB'] })
  await system.sql(Array.from({ length: TABLES }, (_, n) => `create table l${n} (id bigint primary key, mark text not null, pad text);
    grant select on l${n} to authenticated; select enable_realtime('l${n}');`).join(''))
})
after(() => system?.stop())

test('exactly the committed changes, in commit order, none twice', async t => {
  await system.sql(`select pg_create_logical_replication_slot('truth', 'test_decoding')`)
  const workers = await Promise.all(Array.from({ length: THREADS }, () => clients(CLIENTS / THREADS)))

  const started = Date.now()
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer, CHANGES / WRITERS)))
  const written = Date.now()
  const truth = await committed()
  const total = truth.reduce((sum, table) => sum + table.length, 0)
  assert.equal(total, CHANGES)
  const results = (await Promise.all(workers.map(worker => worker.finish(truth.map(table => table.length))))).flat()
  const arrived = Date.now()
  await Promise.all(workers.map(worker => worker.end()))

  const expected = truth.map(table => createHash('sha256').update(table.join('\n')).digest('hex'))
  assert.equal(results.length, CLIENTS)
  for (const [at, client] of results.entries()) {
    assert.equal(client.disorder, 0, `client ${at}: positions out of order`)
    assert.deepEqual(client.counts, truth.map(table => table.length), `client ${at}: count per table`)
    assert.deepEqual(client.hashes, expected, `client ${at}: sequence per table`)
  }
  t.diagnostic(`${CLIENTS} clients × ${total} changes = ${CLIENTS * total} deliveries; written in ${written - started} ms, all arrived after ${arrived - started} ms`)
})

async function write(writer, changes) {
  const db = new pg.Client({ connectionString: system.databaseUrl })
  await db.connect()
  let seed = writer * 7919 + 17
  const random = below => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % below }
  let id = writer * 1_000_000
  const live = []
  for (let done = 0; done < changes;) {
    const size = Math.min(1 + random(40), changes - done)
    const statements = []
    for (let n = 0; n < size; n++, done++) {
      const mark = `w${writer}-${done}`
      const kind = live.length > 20 ? random(4) : 0
      if (kind <= 1) {
        const row = { id: ++id, table: random(TABLES) }
        live.push(row)
        statements.push(`insert into l${row.table} values (${row.id}, '${mark}', '${'p'.repeat(random(60))}')`)
      } else {
        const at = random(live.length)
        const row = live[at]
        if (kind === 2) statements.push(`update l${row.table} set mark = '${mark}' where id = ${row.id}`)
        else { live.splice(at, 1); statements.push(`delete from l${row.table} where id = ${row.id}`) }
      }
    }
    await db.query(`begin;${statements.join(';')};commit`)
  }
  await db.end()
}

// Per table, one text per change in commit order: operation, id and mark.
async function committed() {
  const tables = Array.from({ length: TABLES }, () => [])
  for (;;) {
    const rows = await system.sql(`select data from pg_logical_slot_get_changes('truth', null, 20000, 'include-xids', '0', 'skip-empty-xacts', '1')`)
    if (rows.length === 0) break
    for (const { data } of rows) {
      const found = data.match(/^table public\.l(\d+): (INSERT|UPDATE|DELETE): (.*)$/)
      if (!found) continue
      const values = found[2] === 'UPDATE' ? found[3].split(' new-tuple: ')[1] : found[3]
      tables[Number(found[1])].push(`${found[2]} ${values.match(/id\[bigint\]:(\d+)/)[1]} ${values.match(/mark\[text\]:'([^']*)'/)[1]}`)
    }
  }
  return tables
}

async function clients(count) {
  const worker = new Worker(new URL('./lib/load_clients.mjs', import.meta.url), {
    workerData: { url: system.url, token: user(system), count, tables: TABLES },
  })
  const answer = kind => new Promise((done, fail) => {
    worker.once('error', fail)
    const hear = message => { if (message.kind === kind) { worker.off('message', hear); done(message.value) } }
    worker.on('message', hear)
  })
  await answer('ready')
  return {
    finish: counts => { const result = answer('result'); worker.postMessage({ counts }); return result },
    end: () => worker.terminate(),
  }
}
