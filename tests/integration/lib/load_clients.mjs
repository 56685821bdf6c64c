// Many clients in one thread, for load.test.mjs: each keeps a hash of what it got per table.
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import WebSocket from 'ws'

const { url, token, count, tables } = workerData
const all = []
let wanted = null

function finished() {
  if (!wanted || all.some(client => client.counts.some((n, at) => n < wanted[at]))) return
  wanted = null
  parentPort.postMessage({ kind: 'result', value: all.map(client => ({
    counts: client.counts, disorder: client.disorder, hashes: client.hashes.map(hash => hash.copy().digest('hex')) })) })
}

function open() {
  const client = { counts: Array(tables).fill(0), hashes: Array.from({ length: tables }, () => createHash('sha256')), last: Array(tables).fill(''), disorder: 0 }
  all.push(client)
  return new Promise((done, fail) => {
    const socket = new WebSocket(`${url}/realtime?token=${token}`, { perMessageDeflate: false })
    let acks = 0
    socket.on('open', () => { for (let n = 0; n < tables; n++) socket.send(JSON.stringify({ type: 'subscribe', channel: `table:public.l${n}` })) })
    socket.on('error', fail)
    socket.on('close', (code, reason) => { throw new Error(`closed ${code} ${reason}`) })
    socket.on('message', data => {
      const frame = JSON.parse(data)
      if (frame.type === 'ack' && ++acks === tables) return done()
      if (frame.type === 'error' || frame.type === 'gap') throw new Error(JSON.stringify(frame))
      if (frame.type !== 'broadcast') return
      const { type, table, record, old_record: old, id } = frame.payload
      const at = Number(table.slice(1))
      const row = type === 'DELETE' ? old : record
      client.hashes[at].update(`${client.counts[at]++ ? '\n' : ''}${type} ${row.id} ${row.mark}`)
      // (LSN, index) of one table grows; the index is hexadecimal of varying length.
      const [, lsn, index] = id.split('-')
      const key = lsn + index.padStart(8, '0')
      if (key <= client.last[at]) client.disorder += 1
      client.last[at] = key
    })
  })
}

// A result is looked for now and then, not per message: counting must not be the bottleneck.
setInterval(finished, 50)
parentPort.on('message', ({ counts }) => { wanted = counts })
for (let n = 0; n < count; n++) await open()
parentPort.postMessage({ kind: 'ready' })
