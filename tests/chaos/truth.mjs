// The ledger: a second logical slot of the same database, read with pgoutput while the run goes on.
import pg from 'pg'
import { Pgoutput } from './pgoutput.mjs'

export const OPERATIONS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']

// One number that names a change: `mark` is unique for every insert and update, a delete carries the old one.
export const changeKey = (op, row, old) => Number((op === 'DELETE' ? old : row)?.mark ?? 0) * 4 + OPERATIONS.indexOf(op)

export class Truth {
  // deliver({upto, tables: {name: {lsn: [], index: [], key: []}}}): whole transactions in commit order.
  constructor(databaseUrl, deliver, { slot = 'truth', publication = 'pgtide' } = {}) {
    Object.assign(this, { databaseUrl, deliver, slot, publication })
    this.batch = {}
    this.changes = 0
    this.transactions = 0
    this.failures = 0
    this.flushed = 0
    this.parser = new Pgoutput(event => this.take(event))
  }

  async create() {
    await this.ask(db => db.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [this.slot]))
  }

  take(event) {
    if (event.commit !== undefined) { this.transactions += 1; return }
    const table = this.batch[event.table] ??= { lsn: [], index: [], key: [] }
    table.lsn.push(event.lsn)
    table.index.push(event.index)
    table.key.push(changeKey(event.op, event.row, event.old))
    this.changes += 1
  }

  async ask(work) {
    const db = new pg.Client({ connectionString: this.databaseUrl, connectionTimeoutMillis: 10_000 })
    db.on('error', () => {})
    await db.connect()
    try {
      return await work(db)
    } finally {
      await db.end().catch(() => {})
    }
  }

  // Peeks, takes, and only then moves the slot: a server killed at any point repeats, and repeats are dropped by LSN.
  async read() {
    await this.ask(async db => {
      const [{ upto, flushed }] = (await db.query(`select l::text as upto, (l - '0/0')::text as flushed from pg_current_wal_flush_lsn() l`)).rows
      const { rows } = await db.query(`select data from pg_logical_slot_peek_binary_changes($1, $2::pg_lsn, null, 'proto_version', '1',
        'publication_names', $3, 'messages', 'true')`, [this.slot, upto, this.publication])
      for (const { data } of rows) this.parser.message(data)
      // What was flushed at the last reading has certainly been decoded by now; the end of this one may cut a record.
      const complete = this.flushed
      this.flushed = Number(flushed)
      const tables = this.batch
      this.batch = {}
      this.deliver({ upto: complete, tables })
      await db.query('select pg_replication_slot_advance($1, $2::pg_lsn)', [this.slot, upto])
    })
  }

  // Reads until stop(); PostgreSQL may be away meanwhile.
  run(every = 1000) {
    this.stopped = false
    this.running = (async () => {
      while (!this.stopped) {
        await this.read().catch(error => { this.failures += 1; this.lastError = error })
        for (let waited = 0; waited < every && !this.stopped; waited += 50) await new Promise(wake => setTimeout(wake, 50))
      }
    })()
  }

  async stop() {
    this.stopped = true
    await this.running
  }
}
