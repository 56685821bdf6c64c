// The truth as a thread of clients needs it: one Stream per table and event.
import { Stream } from './checker.mjs'
import { OPERATIONS } from './truth.mjs'

export class Streams {
  constructor() {
    this.streams = new Map()
    this.upto = 0
  }

  // Ask for all before the first batch.
  of(table, event) {
    const name = `${table} ${event}`
    if (!this.streams.has(name)) this.streams.set(name, Object.assign(new Stream(), { table, only: event === '*' ? null : OPERATIONS.indexOf(event) }))
    return this.streams.get(name)
  }

  take({ upto, tables }) {
    this.upto = Math.max(this.upto, upto)
    for (const stream of this.streams.values()) {
      const batch = tables[stream.table]
      for (let at = 0; batch && at < batch.lsn.length; at++) {
        if (stream.only === null || batch.key[at] % 4 === stream.only) stream.add(batch.lsn[at], batch.index[at], batch.key[at])
      }
      stream.upto = this.upto
    }
  }
}
