// A client's local copy of a table: rows of a snapshot, then changes. Right when it equals the table at the end.
export class SnapshotCopy {
  constructor(name) {
    this.name = name
    this.restarts = -1
    this.pages = 0
    this.odd = 0
    this.samples = []
    this.reset()
  }

  reset() {
    this.rows = new Map()
    this.token = null
    this.done = false // the last page is here
    this.settled = false // and a heartbeat with an `id` after it: `since` serves from now on
    this.restarts += 1
  }

  ask() {
    if (this.token) return { snapshot_token: this.token, page_size: 200 }
    this.rows.clear() // a snapshot without a token starts over
    return { snapshot: true, page_size: 200 }
  }

  page(payload) {
    this.pages += 1
    for (const row of payload.rows) this.rows.set(row.id, row.mark)
    this.token = payload.token
    if (payload.last) this.done = true
  }

  // A heartbeat with a position: says true when `since` may be used from now on.
  progressed() {
    if (this.done) this.settled = true
    return this.settled
  }

  change({ type, record, old_record: old, id }) {
    if (this.settled && (type === 'INSERT') === this.rows.has((record ?? old).id)) {
      this.odd += 1
      if (this.samples.length < 3) this.samples.push(`${this.name}: ${type} of row ${(record ?? old).id} at ${id}, which the copy ${type === 'INSERT' ? 'has' : 'does not have'}`)
    }
    if (type === 'DELETE') this.rows.delete(old.id)
    else if (type === 'TRUNCATE') this.rows.clear()
    else this.rows.set(record.id, record.mark)
  }

  // final: [[id, mark], …] as SELECT gives it. Missing and outdated rows are losses, rows too many duplicates.
  finish(check, final) {
    let lost = 0
    let right = 0
    for (const [id, mark] of final) {
      if (this.rows.get(id) === mark) { right += 1; this.rows.delete(id) } else {
        lost += 1
        if (this.samples.length < 5) this.samples.push(`${this.name}: row ${id} is ${mark}, the copy has ${this.rows.get(id)}`)
        this.rows.delete(id)
      }
    }
    for (const id of [...this.rows.keys()].slice(0, 3)) this.samples.push(`${this.name}: row ${id} is in the copy only`)
    return { expected: final.length, received: right, lost, covered: 0, gaps: 0, reordered: 0, unknown: this.odd, badMarks: 0, started: true,
      duplicated: this.rows.size + check.counts.duplicated, samples: this.samples }
  }
}
