// One case of conformance: what is sent on a fresh connection, and everything that must come back until it ends.
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { RawSocket, frame } from './raw.mjs'

export const ECHO = '/diagnostics/echo'
export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10

export const text = (payload, how) => frame(TEXT, payload, how)
export const binary = (payload, how) => frame(BINARY, payload, how)
export const more = (payload, how) => frame(0, payload, how)
export const ping = (payload = '', how) => frame(PING, payload, how)
export const pong = (payload = '', how) => frame(PONG, payload, how)
export const open = { fin: false } // a fragment that others follow

export function close(code, reason = '') {
  if (code === undefined) return frame(CLOSE, '')
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return frame(CLOSE, Buffer.concat([head, Buffer.from(reason)]))
}

// A message as a sequence of frames of `size` bytes each.
export function fragments(opcode, payload, size, { rsv = 0, between = [] } = {}) {
  const bytes = Buffer.from(payload)
  const parts = []
  for (let at = 0; at === 0 || at < bytes.length; at += size) {
    parts.push(frame(at === 0 ? opcode : 0, bytes.subarray(at, at + size), { fin: at + size >= bytes.length, rsv: at === 0 ? rsv : 0 }), ...between)
  }
  return parts
}

// A message's payload as RFC 7692 7.2.1 makes it.
export function deflate(payload, { flush = constants.Z_SYNC_FLUSH, ...options } = {}) {
  const bytes = Buffer.from(payload)
  const packed = deflateRawSync(bytes, { finishFlush: flush, ...options })
  if (bytes.length === 0) return Buffer.from([0])
  return flush === constants.Z_FINISH ? Buffer.concat([packed, Buffer.from([0])]) : packed.subarray(0, -4)
}

export function inflate(payload, windowBits = 15) {
  return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 255, 255])]), { finishFlush: constants.Z_SYNC_FLUSH, windowBits })
}

const NAMES = { [TEXT]: 'text', [BINARY]: 'binary', [CLOSE]: 'close', [PING]: 'ping', [PONG]: 'pong' }
const shown = payload => payload.length <= 200 ? payload.toString('latin1') : `${payload.subarray(0, 20).toString('latin1')}…${payload.length}`

// A frame of the server as one word: "text:hello", "zbinary:…" when it was compressed, "close:1002".
export function told(got, windowBits = 15) {
  const wrong = [!got.fin && 'fragmented', got.masked && 'masked', (got.rsv & 3) !== 0 && 'reserved bits', got.rsv === 4 && got.opcode >= 8 && 'compressed control frame'].filter(Boolean)
  if (wrong.length > 0) return `a frame that is ${wrong.join(', ')}`
  if (got.opcode === CLOSE) return `close:${got.payload.length >= 2 ? got.payload.readUInt16BE(0) : ''}`
  const payload = got.rsv === 4 ? inflate(got.payload, windowBits) : got.payload
  return `${got.rsv === 4 ? 'z' : ''}${NAMES[got.opcode] ?? got.opcode}:${shown(payload)}`
}
export const echoed = (payload, kind = 'text') => `${kind}:${shown(Buffer.from(payload))}`

// Sends `parts`, `chop` bytes at a time, and returns all that comes until the server has closed the connection. Without a close frame among
// what is sent, or in what comes, that would be never.
export async function converse(system, parts, { path = ECHO, chop = 0, headers = {}, windowBits = 15, skip = () => false } = {}) {
  const raw = await RawSocket.open(system, { path, headers })
  const heard = []
  try {
    if (raw.status !== 101) return [`HTTP ${raw.status}`]
    const bytes = Buffer.concat(parts)
    for (let at = 0; at < bytes.length; at += chop || bytes.length) {
      raw.write(bytes.subarray(at, at + (chop || bytes.length)))
      if (chop) await new Promise(setImmediate)
    }
    do heard.push(await raw.frame()); while (heard.at(-1).opcode !== CLOSE)
    raw.socket.end()
    await raw.end()
    if (raw.buffer.length > 0) heard.push({ fin: true, rsv: 0, opcode: 'behind the close frame', payload: raw.buffer })
  } finally {
    raw.destroy()
  }
  return heard.map(each => told(each, windowBits)).filter(each => !skip(each))
}
