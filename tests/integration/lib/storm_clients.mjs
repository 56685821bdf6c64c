// Thousands of clients in one thread, for storm.test.mjs: bare sockets that do a handshake, come back as they are told
// to, and count. What a library's client costs would blur what the server does.
import { connect } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

const { port, token, count } = workerData
const stats = { open: 0, attempts: 0, refused: 0, broken: 0, retryAfter: {}, hints: [], other: [] }
let ended = false

function again(ms) {
  if (!ended) setTimeout(attempt, ms)
}

// One connection, from its first byte to its end.
function attempt() {
  stats.attempts += 1
  let open = false
  let next = null // when to come back; null: the connection broke without a word
  let buffer = Buffer.alloc(0)
  const socket = connect({ port, host: '127.0.0.1' })
  socket.setNoDelay(true)
  socket.on('connect', () => socket.write(`GET /realtime?token=${token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', data => {
    buffer = buffer.length > 0 ? Buffer.concat([buffer, data]) : data
    if (!open && next === null) head()
    if (open) frames()
  })
  socket.on('close', () => {
    if (open) stats.open -= 1
    if (next === null) stats.broken += 1
    // Without a hint: at once the first time, as an impatient client does; then with a pause.
    again(next ?? (open ? 0 : 200 + Math.random() * 800))
  })

  function head() {
    const end = buffer.indexOf('\r\n\r\n')
    if (end < 0) return
    const text = buffer.subarray(0, end).toString('latin1')
    buffer = buffer.subarray(end + 4)
    if (text.startsWith('HTTP/1.1 101')) {
      open = true
      stats.open += 1
      return
    }
    const after = text.match(/^Retry-After: (\d+)$/m)
    if (!text.startsWith('HTTP/1.1 503') || !after) return unexpected(text.split('\r\n')[0])
    stats.refused += 1
    stats.retryAfter[after[1]] = (stats.retryAfter[after[1]] ?? 0) + 1
    next = Number(after[1]) * 1000
    socket.end()
  }

  function frames() {
    while (buffer.length >= 2) {
      const long = (buffer[1] & 127) === 126
      if (long && buffer.length < 4) return
      const from = long ? 4 : 2
      const length = long ? buffer.readUInt16BE(2) : buffer[1] & 127
      if (buffer.length < from + length) return
      if ((buffer[0] & 15) === 8) closing(buffer.subarray(from, from + length))
      buffer = buffer.subarray(from + length)
    }
  }

  function closing(payload) {
    const code = payload.readUInt16BE(0)
    const reason = payload.subarray(2).toString()
    const hint = reason.match(/; retry_ms=(\d+)$/)
    if (!hint) unexpected(`${code} ${reason}`)
    else stats.hints.push([code, Number(hint[1])])
    next = hint ? Number(hint[1]) : 1000
    socket.end()
  }

  function unexpected(text) {
    if (stats.other.length < 10) stats.other.push(text)
    next = 1000
    socket.end()
  }
}

// In batches, so that the first can say what they want while the last connect: a turn of this loop must not take seconds.
function begin(left) {
  for (let n = 0; n < Math.min(left, 50); n++) attempt()
  if (left > 50) setImmediate(begin, left - 50)
}

parentPort.on('message', what => {
  if (what === 'go') begin(count)
  if (what === 'end') ended = true
  parentPort.postMessage(structuredClone(stats))
})
