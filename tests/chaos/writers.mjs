// Writers that keep inserting, updating and deleting numbered rows. What they think they wrote does not matter: the
// truth is read from the WAL. Each insert and update has a mark of its own.
import pg from 'pg'
import { Random } from './random.mjs'

const SPAN = 1e9 // ids and marks of one writer

export class Writer {
  constructor({ databaseUrl, number, seed, tables, pause, big, bigEvery }) {
    Object.assign(this, { databaseUrl, number, tables, pause, big, bigEvery })
    this.random = Random.derive(seed, `writer ${number}`)
    this.id = number * SPAN
    this.mark = number * SPAN
    this.live = []
    this.counts = { committed: 0, rolledBack: 0, failed: 0, big: 0 }
    this.stopped = false
  }

  run() {
    this.running = this.loop()
    return this
  }

  async loop() {
    let nextBig = Date.now() + this.bigEvery * this.random.next()
    while (!this.stopped) {
      try {
        await this.connect()
        const isBig = this.big > 0 && Date.now() >= nextBig
        if (isBig) nextBig = Date.now() + this.bigEvery * (0.5 + this.random.next())
        await this.transaction(isBig)
      } catch {
        this.counts.failed += 1
        await this.disconnect()
        await wait(100)
      }
      await wait(this.random.below(this.pause))
    }
    await this.disconnect()
  }

  async connect() {
    if (this.db) return
    const db = new pg.Client({ connectionString: this.databaseUrl, connectionTimeoutMillis: 5000 })
    db.on('error', () => {})
    await db.connect()
    this.db = db
  }

  async disconnect() {
    const db = this.db
    this.db = null
    await db?.end().catch(() => {})
  }

  async transaction(isBig) {
    const { random } = this
    const tables = random.chance(0.5) ? [random.pick(this.tables)] : random.shuffled(this.tables).slice(0, random.between(2, this.tables.length))
    const statements = isBig ? [this.bigInsert(random.pick(this.tables))] : []
    for (let left = isBig ? random.below(5) : random.between(1, 50); left > 0; left--) statements.push(this.statement(random.pick(tables)))
    const rollback = random.chance(0.1)
    // Sometimes all at once, sometimes statement by statement, so that transactions overlap.
    if (random.chance(0.7)) await this.db.query(`begin;${statements.join(';')};${rollback ? 'rollback' : 'commit'}`)
    else {
      await this.db.query('begin')
      for (const statement of statements) await this.db.query(statement)
      await this.db.query(rollback ? 'rollback' : 'commit')
    }
    this.counts[rollback ? 'rolledBack' : 'committed'] += 1
    if (isBig) this.counts.big += 1
  }

  statement(table) {
    const { random } = this
    const kind = this.live.length > 20 ? random.below(4) : 0
    if (kind <= 1) {
      const row = { id: ++this.id, table }
      this.live.push(row)
      return `insert into ${table} values (${row.id}, ${++this.mark}, '${'p'.repeat(random.below(80))}')`
    }
    const at = random.below(this.live.length)
    const row = this.live[at]
    if (kind === 2) return `update ${row.table} set mark = ${++this.mark} where id = ${row.id}`
    this.live.splice(at, 1)
    return `delete from ${row.table} where id = ${row.id}`
  }

  // Rows that nothing else touches, and the ones before them away again.
  bigInsert(table) {
    const from = this.id + 1
    this.id += this.big
    const mark = this.mark
    this.mark += this.big
    const old = this.lastBig
    this.lastBig = { table, from, to: this.id }
    return `${old ? `delete from ${old.table} where id between ${old.from} and ${old.to};` : ''}
      insert into ${table} select ${from} + g, ${mark} + 1 + g, repeat('b', 40) from generate_series(0, ${this.big - 1}) g`
  }

  async stop() {
    this.stopped = true
    await this.running
  }
}

export const wait = ms => new Promise(wake => setTimeout(wake, ms))
