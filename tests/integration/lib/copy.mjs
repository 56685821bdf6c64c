// A local copy of a table, as a client keeps one from a snapshot and the changes after it; strict about both.
import assert from 'node:assert/strict'

// jsonb orders the members of an object in its own way.
const canonical = value => JSON.stringify(value, (_, each) => each && typeof each === 'object' && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each)

export class Copy {
  constructor(key = 'id') {
    this.key = key
    this.rows = new Map()
    this.pages = []
    this.token = null
    this.done = false
    this.changes = 0
    this.last = null
  }

  // Subscribes and takes pages until `pages` of them are there, or the last.
  async read(client, channel, more, { pages = Infinity, deadline = 60_000 } = {}) {
    const ack = await client.subscribe(channel, more)
    assert.equal(ack.type, 'ack', JSON.stringify(ack))
    for (let n = 0; n < pages && !this.done; n++) await this.page(client, channel, { deadline })
    return ack
  }

  async page(client, channel, { deadline = 60_000 } = {}) {
    const end = Date.now() + deadline
    for (;;) {
      const frame = await client.take(each => each.channel === channel && ['snapshot', 'broadcast', 'postgres_changes', 'gap', 'error'].includes(each.type),
        { deadline: end - Date.now(), what: 'a page' })
      if (frame.type !== 'snapshot') { this.apply(frame); continue }
      this.take(frame.payload)
      return frame.payload
    }
  }

  take(payload) {
    assert.equal(this.done, false, 'no page after the last')
    for (const row of payload.rows) {
      const id = this.id(row)
      assert.ok(!this.rows.has(id) || this.changes > 0, `row ${id} came twice`)
      this.rows.set(id, row)
    }
    this.pages.push({ page: payload.page, rows: payload.rows.length, last: payload.last })
    this.token = payload.token
    this.done = payload.last
  }

  id(row) {
    return Array.isArray(this.key) ? this.key.map(name => row[name]).join('|') : String(row[this.key])
  }

  apply(frame) {
    assert.ok(frame.type === 'broadcast' || frame.type === 'postgres_changes', `unexpected: ${JSON.stringify(frame)}`)
    const { type, record, old_record: old } = frame.payload
    this.changes += 1
    this.last = frame.payload
    if (this.done) {
      if (type === 'INSERT') assert.ok(!this.rows.has(this.id(record)), `INSERT of row ${this.id(record)}, which the copy has`)
      if (type === 'DELETE' || type === 'UPDATE') assert.ok(this.rows.has(this.id(old)), `${type} of row ${this.id(old)}, which the copy does not have`)
    }
    if (type === 'TRUNCATE') this.rows.clear()
    if (type === 'DELETE' || type === 'UPDATE') this.rows.delete(this.id(old))
    if (type === 'INSERT' || type === 'UPDATE') this.rows.set(this.id(record), record)
  }

  // Applies changes up to the row with this value in its key.
  async until(client, id, options) {
    while (!this.rows.has(String(id))) {
      this.apply(await client.take(each => ['broadcast', 'postgres_changes', 'gap'].includes(each.type), { deadline: 60_000, what: `row ${id}`, ...options }))
    }
  }

  equals(rows) {
    const want = new Map(rows.map(row => [this.id(row), row]))
    const wrong = [...want].filter(([id, row]) => canonical(this.rows.get(id)) !== canonical(row))
    assert.deepEqual(wrong.slice(0, 3).map(([id, row]) => ({ want: row, have: this.rows.get(id) })), [], `${wrong.length} of ${want.size} rows differ`)
    assert.deepEqual([...this.rows.keys()].filter(id => !want.has(id)).slice(0, 3), [], 'rows that the table does not have')
  }
}
