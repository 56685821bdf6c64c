// PostgreSQL's own account of what was committed: pgoutput (protocol 1) read from SQL functions. No code is
// shared with the tailer, on purpose.
export class Pgoutput {
  constructor(emit) {
    this.emit = emit // emit({table, op, lsn, index, row, old}), emit({commit: lsn})
    this.relations = new Map()
    this.after = 0 // transactions up to this commit LSN were emitted: a slot moves back when its server crashes
  }

  message(data) {
    const at = { buffer: data, offset: 1 }
    switch (String.fromCharCode(data[0])) {
      case 'B':
        this.lsn = lsn(at)
        this.index = 0
        this.again = this.lsn <= this.after
        return
      case 'C':
        if (!this.again) this.emit({ commit: this.lsn })
        this.after = Math.max(this.after, this.lsn)
        return
      case 'R': return this.relation(at)
      case 'I': return this.change('INSERT', at)
      case 'U': return this.change('UPDATE', at)
      case 'D': return this.change('DELETE', at)
      case 'T': return this.truncate(at)
      case 'M':
        if (data[1] & 1) this.index += 1 // a transactional message takes an index, too
    }
  }

  relation(at) {
    const oid = int32(at)
    text(at)
    const table = text(at)
    at.offset += 1
    const columns = []
    for (let left = int16(at); left > 0; left--) {
      at.offset += 1
      columns.push(text(at))
      at.offset += 8
    }
    this.relations.set(oid, { table, columns })
  }

  change(op, at) {
    const relation = this.relations.get(int32(at))
    const sent = { op, table: relation.table, lsn: this.lsn, index: this.index++, row: null, old: null }
    if (this.again) return
    while (at.offset < at.buffer.length) {
      const kind = String.fromCharCode(at.buffer[at.offset++])
      sent[kind === 'N' ? 'row' : 'old'] = tuple(at, relation.columns)
    }
    this.emit(sent)
  }

  truncate(at) {
    const count = int32(at)
    at.offset += 1
    const index = this.index++
    for (let n = 0; n < count; n++) {
      const { table } = this.relations.get(int32(at))
      if (!this.again) this.emit({ op: 'TRUNCATE', table, lsn: this.lsn, index, row: null, old: null })
    }
  }
}

function tuple(at, columns) {
  const row = {}
  const count = int16(at)
  for (let n = 0; n < count; n++) {
    const kind = String.fromCharCode(at.buffer[at.offset++])
    if (kind !== 't') { if (kind === 'n') row[columns[n]] = null; continue }
    const size = int32(at)
    row[columns[n]] = at.buffer.toString('utf8', at.offset, at.offset + size)
    at.offset += size
  }
  return row
}

function int16(at) { at.offset += 2; return at.buffer.readUInt16BE(at.offset - 2) }
function int32(at) { at.offset += 4; return at.buffer.readUInt32BE(at.offset - 4) }
function lsn(at) { at.offset += 8; return Number(at.buffer.readBigUInt64BE(at.offset - 8)) }
function text(at) {
  const end = at.buffer.indexOf(0, at.offset)
  const found = at.buffer.toString('utf8', at.offset, end)
  at.offset = end + 1
  return found
}
