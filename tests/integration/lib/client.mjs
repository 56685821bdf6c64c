// A plain WebSocket client of seed 003: what a user's own code would do.
import WebSocket from 'ws'

export class Client {
  static open(system, { token, headers, path = '/realtime', query = '', transactions = false, options = {} } = {}) {
    const client = new Client()
    const asked = [token !== undefined && `token=${encodeURIComponent(token)}`, transactions && 'transactions=true'].filter(Boolean)
    const url = `${system.url}${path}${asked.length === 0 ? query : `?${asked.join('&')}`}`
    client.frames = []
    client.waiters = new Set()
    client.closed = null
    client.socket = new WebSocket(url, { headers, perMessageDeflate: false, ...options })
    client.socket.on('message', (data, binary) => {
      client.frames.push(binary ? { binary: data } : JSON.parse(data.toString()))
      for (const waiter of client.waiters) waiter()
    })
    client.socket.on('close', (code, reason) => {
      client.closed = { code, reason: reason.toString() }
      for (const waiter of client.waiters) waiter()
    })
    client.socket.on('error', error => { client.error = error })
    return new Promise((done, fail) => {
      client.socket.once('open', () => done(client))
      client.socket.once('unexpected-response', (request, response) => {
        let body = ''
        response.on('data', part => { body += part }).on('end', () =>
          fail(Object.assign(new Error(`HTTP ${response.statusCode}`), { status: response.statusCode, body, headers: response.headers })))
      })
      client.socket.once('error', fail)
    })
  }

  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  // The first frame not yet taken that matches; frames before it stay.
  async take(match, { deadline = 20_000, what = String(match) } = {}) {
    const end = Date.now() + deadline
    for (;;) {
      const at = this.frames.findIndex(match)
      if (at >= 0) return this.frames.splice(at, 1)[0]
      if (this.closed) throw new Error(`closed ${this.closed.code} ${this.closed.reason} while waiting for ${what}`)
      const left = end - Date.now()
      if (left <= 0) throw new Error(`no such frame within ${deadline} ms: ${what}; have ${JSON.stringify(this.frames.slice(-5))}`)
      await this.wake(left)
    }
  }

  wake(ms) {
    return new Promise(done => {
      const finish = () => { clearTimeout(timer); this.waiters.delete(finish); done() }
      const timer = setTimeout(finish, ms)
      this.waiters.add(finish)
    })
  }

  async closing(deadline = 20_000) {
    const end = Date.now() + deadline
    while (!this.closed) {
      if (Date.now() > end) throw new Error(`not closed within ${deadline} ms; frames: ${JSON.stringify(this.frames.slice(-5))}`)
      await this.wake(end - Date.now())
    }
    return this.closed
  }

  // more: since, snapshot, page_size, snapshot_token, config.
  async subscribe(channel, more = {}, options = {}) {
    this.send({ type: 'subscribe', channel, ...more })
    return this.take(frame => (frame.type === 'ack' || frame.type === 'error') && frame.channel === channel, { what: `answer to subscribe ${channel}`, ...options })
  }

  change(type, options) {
    return this.take(frame => frame.type === 'broadcast' && (!type || frame.payload.type === type), { what: `${type ?? 'any'} change`, ...options })
  }

  // The next `count` changes, as payloads.
  async changes(count, options) {
    const got = []
    while (got.length < count) got.push((await this.change(undefined, options)).payload)
    return got
  }

  // Everything the server sent before its answer to a ping: shows that something did NOT arrive, without waiting.
  async drain() {
    this.send({ type: 'ping' })
    await this.take(frame => frame.type === 'pong')
    return this.frames.splice(0)
  }

  close() {
    this.socket.terminate()
  }
}
