// A TCP proxy that can be a bad network: refuse, cut, stall, delay. In its own connections only; loopback only.
import { connect, createServer } from 'node:net'

const HELD = 4 * 1024 * 1024 // bytes held back per direction before the sender is made to wait

export class Proxy {
  static async start(port, target) {
    const proxy = new Proxy()
    Object.assign(proxy, { port, target, pairs: new Set(), refusing: false, stalled: false, delay: 0, connections: 0 })
    proxy.server = createServer({ allowHalfOpen: false, noDelay: true }, socket => proxy.accept(socket))
    await new Promise((done, fail) => proxy.server.once('error', fail).listen(port, '127.0.0.1', done))
    proxy.port = proxy.server.address().port
    return proxy
  }

  accept(near) {
    if (this.refusing) return near.destroy()
    this.connections += 1
    const far = connect({ port: this.target, host: '127.0.0.1', noDelay: true })
    const pair = { near, far, ways: [this.way(near, far), this.way(far, near)] }
    const end = () => {
      this.pairs.delete(pair)
      near.destroy()
      far.destroy()
      for (const way of pair.ways) clearTimeout(way.timer)
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    this.pairs.add(pair)
  }

  // One direction. Bytes leave in order, each not before its time.
  way(from, to) {
    const way = { queue: [], bytes: 0, timer: null }
    way.pump = () => {
      clearTimeout(way.timer)
      way.timer = null
      while (way.queue.length > 0 && !this.stalled) {
        const wait = way.queue[0].due - Date.now()
        if (wait > 0) { way.timer = setTimeout(way.pump, wait); return }
        const { chunk } = way.queue.shift()
        way.bytes -= chunk.length
        if (!to.write(chunk)) { from.pause(); to.once('drain', way.pump); return }
      }
      if (way.bytes < HELD && !this.stalled) from.resume()
    }
    from.on('data', chunk => {
      way.queue.push({ chunk, due: Date.now() + this.delay })
      way.bytes += chunk.length
      if (way.bytes >= HELD) from.pause()
      if (way.timer === null) way.pump()
    })
    return way
  }

  // Every connection breaks now; what was under way is gone.
  cut() {
    for (const { near } of [...this.pairs]) near.destroy()
  }

  set(fault) {
    Object.assign(this, fault)
    for (const { ways } of this.pairs) for (const way of ways) way.pump()
  }

  heal() {
    this.set({ refusing: false, stalled: false, delay: 0 })
  }

  async stop() {
    this.cut()
    await new Promise(done => this.server.close(done))
  }
}
