// Engine.IO and Socket.IO byte by byte: every row of the error tables, and what real clients do not send. Each request goes to
// whichever of two edges the kernel picks, so that every test is one of the hand-over, too.
import assert from 'node:assert/strict'
import { connect as tcp } from 'node:net'
import { after, before, test } from 'node:test'
import { EngineIo, PATH, customers } from './lib/engineio.mjs'
import { System, until } from './lib/system.mjs'
import { llanaTables, token } from './lib/llana.mjs'
import { RawSocket, frame } from './lib/raw.mjs'

let system, eio
before(async () => {
  system = await System.start({ set: ['llana.failure_delay=0', 'llana.max_payload=2000', 'realtime.client_budget=65536'] })
  await llanaTables(system)
  await system.sql(customers)
  await system.settled()
  eio = new EngineIo(system)
})
after(() => system?.stop())

test('the open packet and its headers', async () => {
  const answer = await eio.ask(`${PATH}&t=abc&b64=1`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'text/plain; charset=UTF-8')
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-allow-credentials'], undefined)
  const { sid, ...rest } = JSON.parse(answer.text.slice(1))
  assert.match(sid, /^[\w-]{20}$/)
  assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 25000, pingTimeout: 20000, maxPayload: 2000 })
})

test('every error of the transport has its code and text', async () => {
  const sid = await eio.open()
  const unknown = sid.slice(0, -1) + (sid.endsWith('A') ? 'B' : 'A')
  const cases = [
    ['/socket.io/?EIO=4', {}, 0, 'Transport unknown'],
    ['/socket.io/?EIO=4&transport=webtransport', {}, 0, 'Transport unknown'],
    [`${PATH}&sid=${unknown}`, {}, 1, 'Session ID unknown'],
    [`${PATH}&sid=${'x'.repeat(20)}`, {}, 1, 'Session ID unknown'],
    [`${PATH}&sid=short`, {}, 1, 'Session ID unknown'],
    [`${PATH}&sid=${'x'.repeat(4000)}`, {}, 1, 'Session ID unknown'],
    [`${PATH}&sid=${unknown}`, { method: 'POST', body: '40' }, 1, 'Session ID unknown'],
    [PATH, { method: 'POST', body: '40' }, 2, 'Bad handshake method'],
    [PATH, { method: 'DELETE' }, 2, 'Bad handshake method'],
    [`${PATH}&sid=${sid}`, { method: 'PUT', body: 'x' }, 3, 'Bad request'],
    ['/socket.io/?EIO=4&transport=websocket', {}, 3, 'Bad request'],
    ['/socket.io/?EIO=3&transport=polling', {}, 5, 'Unsupported protocol version'],
    ['/socket.io/?transport=polling', {}, 5, 'Unsupported protocol version'],
  ]
  for (const [path, how, code, message] of cases) {
    const answer = await eio.ask(path, how)
    assert.equal(answer.status, 400, path)
    assert.deepEqual(JSON.parse(answer.text), { code, message }, path)
    assert.equal(answer.headers['access-control-allow-origin'], '*')
  }
  for (const [path, code] of [[`/socket.io/?EIO=4&transport=websocket&sid=${unknown}`, 1], ['/socket.io/?EIO=3&transport=websocket', 5], ['/socket.io/?EIO=4&transport=polling', 3]]) {
    const raw = await RawSocket.open(system, { path })
    assert.equal(raw.status, 400, path)
    await raw.need(() => raw.buffer.includes('}'), 'the body')
    assert.equal(JSON.parse(raw.buffer.toString()).code, code, path)
    raw.destroy()
  }
})

test('a preflight is allowed what it asks for', async () => {
  const answer = await eio.ask(PATH, { method: 'OPTIONS', headers: { Origin: 'http://app', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,x-llana-table' } })
  assert.equal(answer.status, 204)
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-allow-methods'], 'GET,HEAD,PUT,PATCH,POST,DELETE')
  assert.equal(answer.headers['access-control-allow-headers'], 'authorization,x-llana-table')
  assert.equal(answer.headers.vary, 'Access-Control-Request-Headers')
  assert.equal(answer.text, '')
})

test('packets in one body, in several, and a body that comes in pieces', async () => {
  const sid = await eio.open()
  const raw = tcp(system.port, '127.0.0.1')
  const body = Buffer.from(`40${eio.auth()}\x1e42["message","ü"]\x1e42["message",2]`)
  const head = `POST ${PATH}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  let text = ''
  raw.on('data', part => { text += part })
  raw.write(head.slice(0, 30))
  for (const piece of [head.slice(30), body.subarray(0, 10), body.subarray(10, body.length - 20), body.subarray(body.length - 20)]) {
    await new Promise(done => setImmediate(done))
    raw.write(piece)
  }
  await until('ok', () => text.endsWith('ok'))
  const got = await eio.packets(sid, packet => packet.includes('"data":2'))
  assert.ok(got.some(packet => packet.includes('"data":"ü"')))
  raw.destroy()
})

test('packets that mean nothing here harm nothing, and a body without a length is refused', async () => {
  const sid = await eio.joined()
  assert.equal((await eio.post(sid, '6\x1e5\x1e3\x1e3')).text, 'ok')
  const chunked = await eio.post(sid, '3', { 'Transfer-Encoding': 'chunked' })
  assert.deepEqual([chunked.status, JSON.parse(chunked.text).code], [400, 3])
  assert.equal((await eio.post(sid, '3')).text, 'ok')
})

test('a body that is too large is 413, and the session lives', async () => {
  const sid = await eio.open()
  const answer = await eio.post(sid, 'x'.repeat(2001))
  assert.equal(answer.status, 413)
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal((await eio.post(sid, `40${eio.auth()}`)).text, 'ok')
  await eio.packets(sid, packet => packet.startsWith('40'))
  const raw = await RawSocket.open(system, { path: '/socket.io/?EIO=4&transport=websocket' })
  await raw.frame()
  raw.write(frame(1, 'x'.repeat(2001)))
  assert.equal(await raw.closeCode(), 1009)
  raw.destroy()
})

// Each of these ends the session: the poll that waits is told, and the id is unknown afterwards.
const FATAL = { 'truncated UTF-8': Buffer.from([0x34, 0x32, 0xc3]), 'no packet': 'hello', 'an empty packet': '3\x1e\x1e3', 'a ping from the client': '2', 'an event before connect': '42["x"]',
  'broken JSON': '40{', 'a binary event': '451-["x",{"_placeholder":true,"num":0}]', 'an event that is no array': '40\x1e42{}', 'a connect that is an array': '40[]', 'another namespace that was not joined': '42/api,["x"]' }
for (const [what, body] of Object.entries(FATAL)) {
  test(`ends the session: ${what}`, async () => {
    const sid = await eio.open()
    const waiting = eio.poll(sid)
    await eio.post(sid, body)
    const answer = await waiting
    assert.equal(answer.status, 200)
    assert.match(answer.text, /(^|\x1e)1$/)
    await until('the id is unknown', async () => (await eio.poll(sid)).status === 400)
  })
}

test('a client that says it goes is gone, and its poll is released', async () => {
  const sid = await eio.joined()
  const waiting = eio.poll(sid)
  await eio.post(sid, '1')
  const answer = await waiting // it may reach the edge before the post or behind it
  assert.match(answer.text, answer.status === 200 ? /^6$/ : /"code":[13]/)
  await until('unknown', async () => (await eio.poll(sid)).status === 400)
})

test('two polls at a time end the session', async () => {
  const sid = await eio.open()
  const answers = await Promise.all([eio.poll(sid), eio.poll(sid)])
  assert.deepEqual(answers.map(answer => answer.status).sort(), [200, 400])
})

test('two posts at a time end the session, and a poll is told', async () => {
  const sid = await eio.joined()
  const half = await RawSocket.open(system, { upgrade: false })
  half.write(`POST ${PATH}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n42`)
  await until('the other one is refused', async () => {
    const { status, text } = await eio.post(sid, '3')
    return status === 400 && assert.deepEqual(JSON.parse(text), { code: 3, message: 'Bad request' }) === undefined
  })
  assert.equal((await eio.poll(sid)).text, '1')
  half.destroy()
  await until('unknown', async () => (await eio.poll(sid)).text.includes('unknown'))
})

test('a poll that is given up ends the session', async () => {
  const sid = await eio.joined()
  await eio.poll(sid, { given: asked => asked.destroy() }).catch(error => assert.match(error.message, /hang up|reset/i))
  await until('unknown', async () => (await eio.post(sid, '3')).status === 400)
})

test('the upgrade: the poll is released, and from then on everything comes over the WebSocket', async () => {
  const sid = await eio.joined()
  const raw = await eio.websocket(sid)
  const waiting = eio.poll(sid)
  raw.say('2probe')
  assert.equal(await raw.text(), '3probe')
  assert.equal((await waiting).text, '6')
  raw.say('5')
  await system.sql(`insert into "Customer" values (1, 'x')`)
  const got = await raw.text()
  assert.match(got, /^42\["Customer",\{"type":"INSERT","custId":"1"\},"[0-9a-f-]+"\]$/)
  assert.deepEqual(JSON.parse((await eio.poll(sid)).text), { code: 3, message: 'Bad request' })
  assert.deepEqual(JSON.parse((await eio.post(sid, '3')).text), { code: 3, message: 'Bad request' })
  raw.destroy()
  await until('unknown', async () => (await eio.poll(sid)).text.includes('unknown'))
})

test('a client may connect when it has been upgraded, and not before', async () => {
  const sid = await eio.open()
  const raw = await eio.upgraded(sid)
  raw.say(`40${eio.auth()}`)
  assert.match(await raw.text(), /^40\{"sid"/)
  raw.destroy()
})

test('a packet in several frames with a ping in between, and what is no text', async () => {
  const raw = await eio.websocket()
  await raw.frame()
  raw.write(Buffer.concat([frame(1, '40', { fin: false }), frame(9, 'between'), frame(0, eio.auth())]))
  const pong = await raw.frame()
  assert.deepEqual([pong.opcode, pong.payload.toString()], [10, 'between'])
  assert.match(await raw.text(), /^40\{"sid"/)
  raw.write(frame(1, Buffer.from([0x34, 0x32, 0xc3])))
  assert.equal(await raw.closeCode(), 1007)
  raw.destroy()
  const binary = await eio.websocket()
  await binary.frame()
  binary.write(frame(2, Buffer.from([1, 2])))
  assert.equal(await binary.closeCode(), 1003)
  binary.destroy()
})

test('an upgrade that is given up in the middle leaves the session with its polls', async () => {
  const sid = await eio.joined()
  for (const give of [raw => raw.destroy(), raw => raw.say('nonsense'), async raw => { raw.say('2probe'); await raw.text(); raw.destroy() }]) {
    const raw = await eio.websocket(sid)
    const polls = eio.packets(sid, packet => packet.startsWith('42'))
    await give(raw)
    await raw.end()
    const id = 1000 + Math.floor(Math.random() * 1e6)
    await system.sql(`insert into "Customer" values (${id}, 'x')`)
    assert.ok((await polls).some(packet => packet.includes(`"${id}"`)))
    raw.destroy()
  }
})

test('a second WebSocket for one session is refused', async () => {
  const sid = await eio.joined()
  const first = await eio.websocket(sid)
  const second = await eio.websocket(sid)
  assert.equal(await second.closeCode(), 1002)
  first.destroy(); second.destroy()
})

test('WebSocket only: order, refusals, and a connect after a refusal', async () => {
  const raw = await eio.websocket()
  const opened = await raw.text()
  assert.deepEqual(JSON.parse(opened.slice(1)).upgrades, [])
  raw.say('40/api,{"a":1}')
  assert.equal(await raw.text(), '44/api,{"message":"Invalid namespace"}')
  raw.say('40')
  assert.equal(await raw.text(), '44{"message":"No Table Provided In Headers[x-llana-table]"}')
  raw.say(`40${eio.auth()}`)
  const got = await raw.text()
  assert.match(got, /^40\{"sid"/)
  assert.notEqual(JSON.parse(got.slice(2)).sid, JSON.parse(opened.slice(1)).sid)
  raw.say('41')
  raw.say('42["x"]') // of a namespace that was left
  assert.equal(await raw.closeCode(), 1002)
  raw.destroy()
})

test('requests on one connection that belong to sessions of different processes', async () => {
  const sids = []
  while (sids.length < 8 || new Set(sids.map(sid => sid.slice(0, 6))).size < 2) sids.push(await eio.open())
  const raw = await RawSocket.open(system, { upgrade: false })
  for (const sid of sids) {
    raw.write(`POST ${PATH}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n3`)
    const answer = await raw.head()
    assert.equal(answer.status, 200, answer.text)
    await raw.need(() => raw.buffer.length >= 2, 'ok')
    assert.equal(raw.buffer.toString(), 'ok')
    raw.buffer = Buffer.alloc(0)
  }
  raw.destroy()
})

test('requests that are smuggled behind a body are not read', async () => {
  const raw = await RawSocket.open(system, { upgrade: false })
  const inner = `GET ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`
  raw.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
  const answer = await raw.head()
  assert.match(answer.text, /Connection: close/)
  await raw.end()
  assert.equal(raw.buffer.toString('latin1').split('HTTP/1.1').length, 1, 'one answer')
  raw.destroy()
})

test('headers of later requests do not count', async () => {
  const sid = await eio.open()
  await eio.post(sid, '40', { Authorization: `Bearer ${token(system, 1)}`, 'x-llana-table': 'Customer' })
  const [got] = await eio.packets(sid, packet => packet.startsWith('4'))
  assert.equal(got, '44{"message":"No Table Provided In Headers[x-llana-table]"}')
})

test('a client that does not read is sent away when its budget is used up, and that is counted', async () => {
  const slow = async () => (await system.metric('edge-0', 'pgtide_edge_closes_total', 'code="4008"')) + (await system.metric('edge-1', 'pgtide_edge_closes_total', 'code="4008"'))
  const before = await slow()
  const sid = await eio.joined()
  await system.sql(`insert into "Customer" select g, 'x' from generate_series(2000000, 2002000) g`)
  await until('it has ended', async () => (await eio.post(sid, '3')).status === 400)
  assert.ok(await slow() > before)
  const answer = await eio.poll(sid)
  assert.deepEqual([answer.status, answer.text], [200, '1'])
  assert.equal((await eio.poll(sid)).status, 400)
})
