// A WebSocket client that can misbehave: frames byte by byte, without a library's good manners.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

export class RawSocket {
  static async open(system, { path = '/realtime', headers = {}, upgrade = true } = {}) {
    const raw = new RawSocket()
    raw.buffer = Buffer.alloc(0)
    raw.ended = false
    raw.waiters = new Set()
    raw.socket = connect(system.port, '127.0.0.1')
    raw.socket.on('data', data => { raw.buffer = Buffer.concat([raw.buffer, data]); raw.wake() })
    raw.socket.on('close', () => { raw.ended = true; raw.wake() })
    raw.socket.on('error', () => {})
    await new Promise((done, fail) => raw.socket.once('connect', done).once('error', fail))
    if (upgrade) {
      raw.write(request(path, headers))
      const head = await raw.head()
      raw.status = head.status
      raw.extensions = head.text.match(/^sec-websocket-extensions: *(.*)$/im)?.[1] ?? null
    }
    return raw
  }

  wake() {
    for (const waiter of this.waiters) waiter()
  }

  async need(enough, what) {
    const end = Date.now() + 20_000
    while (!enough()) {
      if (this.ended) throw new Error(`connection ended while waiting for ${what}; have ${this.buffer.toString('latin1').slice(0, 300)}`)
      if (Date.now() > end) throw new Error(`nothing within 20 s: ${what}`)
      await new Promise(done => {
        const finish = () => { clearTimeout(timer); this.waiters.delete(finish); done() }
        const timer = setTimeout(finish, end - Date.now())
        this.waiters.add(finish)
      })
    }
  }

  write(data) {
    this.socket.write(data)
  }

  async head() {
    await this.need(() => this.buffer.includes('\r\n\r\n'), 'an HTTP answer')
    const at = this.buffer.indexOf('\r\n\r\n')
    const text = this.buffer.subarray(0, at).toString('latin1')
    this.buffer = this.buffer.subarray(at + 4)
    return { status: Number(text.split(' ')[1]), text }
  }

  async frame() {
    await this.need(() => frameSize(this.buffer) !== null && this.buffer.length >= frameSize(this.buffer), 'a frame')
    const size = frameSize(this.buffer)
    const raw = this.buffer.subarray(0, size)
    this.buffer = this.buffer.subarray(size)
    const short = raw[1] & 127
    const payload = raw.subarray(short < 126 ? 2 : short === 126 ? 4 : 10)
    return { fin: (raw[0] & 128) !== 0, rsv: (raw[0] >> 4) & 7, opcode: raw[0] & 15, masked: (raw[1] & 128) !== 0, payload }
  }

  // The close code the server gives, skipping other frames.
  async closeCode() {
    for (;;) {
      const frame = await this.frame()
      if (frame.opcode === 8) return frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005
    }
  }

  async end() {
    while (!this.ended) {
      await new Promise(done => { this.waiters.add(done) })
    }
  }

  destroy() {
    this.socket.destroy()
  }
}

export function request(path, headers = {}) {
  const all = { Host: '127.0.0.1', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...headers }
  return `GET ${path} HTTP/1.1\r\n${Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

export function frame(opcode, payload, { fin = true, mask = true, rsv = 0, length = null } = {}) {
  const body = Buffer.from(payload)
  const size = length ?? body.length
  const head = [(fin ? 128 : 0) | (rsv << 4) | opcode]
  const bit = mask ? 128 : 0
  let header
  if (length === null && size < 126) header = Buffer.from([...head, bit | size])
  else if (length === null && size < 65536) { header = Buffer.from([...head, bit | 126, 0, 0]); header.writeUInt16BE(size, 2) } else {
    header = Buffer.alloc(10); header[0] = head[0]; header[1] = bit | 127; header.writeBigUInt64BE(BigInt(size), 2)
  }
  if (!mask) return Buffer.concat([header, body])
  const key = randomBytes(4)
  return Buffer.concat([header, key, body.map((byte, at) => byte ^ key[at % 4])])
}

function frameSize(buffer) {
  if (buffer.length < 2) return null
  const short = buffer[1] & 127
  if (short < 126) return 2 + short
  if (short === 126) return buffer.length < 4 ? null : 4 + buffer.readUInt16BE(2)
  return buffer.length < 10 ? null : 10 + Number(buffer.readBigUInt64BE(2))
}
