// The bad network is itself a program: it must lose nothing unless told to.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { Proxy } from './proxy.mjs'

let server
let proxy
before(async () => {
  server = createServer({ allowHalfOpen: false }, socket => { socket.pipe(socket); socket.on('error', () => {}) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await Proxy.start(0, server.address().port)
})
after(async () => { await proxy.stop(); server.close() })

async function open() {
  const socket = connect(proxy.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.received = Buffer.alloc(0)
  await once(socket, 'connect')
  return socket
}
async function echo(socket, data) {
  const hash = createHash('sha256')
  let left = data.length
  const whole = new Promise((done, fail) => {
    socket.on('data', function hear(chunk) {
      hash.update(chunk)
      left -= chunk.length
      if (left === 0) { socket.off('data', hear); done(hash.digest('hex')) }
    })
    socket.once('close', () => fail(new Error('closed')))
  })
  socket.write(data)
  return whole
}
const digest = data => createHash('sha256').update(data).digest('hex')

test('twenty megabytes come back unchanged, also with delays that change on the way', async () => {
  const data = randomBytes(20_000_000)
  const socket = await open()
  let turns = 0
  const timer = setInterval(() => proxy.set({ delay: turns++ % 2 ? 0 : 15 }), 10)
  try {
    assert.equal(await echo(socket, data), digest(data))
  } finally {
    clearInterval(timer)
    proxy.heal()
  }
  socket.destroy()
})

test('delay: nothing earlier, nothing out of order', async () => {
  const socket = await open()
  proxy.set({ delay: 50 })
  const started = Date.now()
  assert.equal(await echo(socket, Buffer.from('abc')), digest('abc'))
  assert.ok(Date.now() - started >= 95, `${Date.now() - started} ms for both ways`)
  proxy.heal()
  socket.destroy()
})

test('stall: nothing passes until it is over, then everything', async () => {
  const socket = await open()
  proxy.set({ stalled: true })
  const data = randomBytes(9_000_000)
  let arrived = false
  const whole = echo(socket, data).then(hash => { arrived = true; return hash })
  await new Promise(wake => setTimeout(wake, 100))
  assert.equal(arrived, false)
  proxy.heal()
  assert.equal(await whole, digest(data))
  socket.destroy()
})

test('cut: connections break, new ones work; refusing: they do not', async () => {
  const socket = await open()
  assert.equal(await echo(socket, Buffer.from('x')), digest('x'))
  const closed = once(socket, 'close')
  proxy.cut()
  await closed
  const second = await open()
  assert.equal(await echo(second, Buffer.from('y')), digest('y'))
  second.destroy()
  proxy.set({ refusing: true })
  const third = await open()
  await once(third.resume(), 'close')
  proxy.heal()
  const fourth = await open()
  assert.equal(await echo(fourth, Buffer.from('z')), digest('z'))
  fourth.destroy()
})
