// Engine.IO and Socket.IO byte by byte: every row of the error tables, and what real clients do not send. Each request goes to
// whichever of two edges the kernel picks, so that every test is one of the hand-over, too.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { connect as tcp } from 'node:net'
import { after, before, test } from 'node:test'
import { System, until } from './lib/system.mjs'
import { llanaTables, token } from './lib/llana.mjs'
import { RawSocket, frame } from './lib/raw.mjs'

let system
const PATH = '/socket.io/?EIO=4&transport=polling'
before(async () => {
  system = await System.start({ set: ['llana.failure_delay=0', 'llana.ping_interval=400ms', 'llana.ping_timeout=600ms', 'llana.upgrade_timeout=700ms',
    'llana.connect_timeout=1500ms', 'llana.max_payload=2000', 'realtime.client_budget=65536'] })
  await llanaTables(system)
  await system.sql(`create table "Customer" ("custId" int primary key, name text); grant select on "Customer" to authenticated;
    select enable_realtime('public', 'Customer'); insert into "User" values (1, 'ADMIN', 'a@x');
    insert into _llana_role (role, records) values ('ADMIN', 'READ')`)
  await system.settled()
})
after(() => system?.stop())

// One request on a connection of its own.
function ask(path, { method = 'GET', headers = {}, body, agent = false } = {}) {
  return new Promise((done, fail) => {
    const asked = httpRequest({ port: system.port, host: '127.0.0.1', path, method, headers, agent }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', part => { text += part }).on('end', () => done({ status: answer.statusCode, headers: answer.headers, text }))
    })
    asked.on('error', fail)
    ask.last = asked
    asked.end(body)
  })
}
const poll = sid => ask(`${PATH}&sid=${sid}`)
const post = (sid, body, more = {}) => ask(`${PATH}&sid=${sid}`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain;charset=UTF-8', ...more } })
const open = async () => JSON.parse((await ask(PATH)).text.slice(1)).sid
const auth = () => JSON.stringify({ token: token(system, 1), 'x-llana-table': 'Customer' })
// Everything that polls bring until one of the packets is wanted; pings are answered.
async function packets(sid, wanted) {
  const all = []
  for (;;) {
    const answer = await poll(sid)
    assert.equal(answer.status, 200, answer.text)
    const got = answer.text.split('\x1e')
    if (got.includes('2')) await post(sid, '3')
    all.push(...got.filter(packet => packet !== '2'))
    if (all.some(wanted)) return all
  }
}
async function joined() {
  const sid = await open()
  assert.equal((await post(sid, `40${auth()}`)).text, 'ok')
  const [answer] = await packets(sid, packet => packet.startsWith('4'))
  assert.match(answer, /^40\{"sid":"[\w-]{20}","pid":"[^"]+"\}$/)
  return sid
}

test('the open packet and its headers', async () => {
  const answer = await ask(`${PATH}&t=abc&b64=1`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'text/plain; charset=UTF-8')
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-allow-credentials'], undefined)
  const { sid, ...rest } = JSON.parse(answer.text.slice(1))
  assert.match(sid, /^[\w-]{20}$/)
  assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 400, pingTimeout: 600, maxPayload: 2000 })
})

test('every error of the transport has its code and text', async () => {
  const sid = await open()
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
    const answer = await ask(path, how)
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
  const answer = await ask(PATH, { method: 'OPTIONS', headers: { Origin: 'http://app', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,x-llana-table' } })
  assert.equal(answer.status, 204)
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-allow-methods'], 'GET,HEAD,PUT,PATCH,POST,DELETE')
  assert.equal(answer.headers['access-control-allow-headers'], 'authorization,x-llana-table')
  assert.equal(answer.headers.vary, 'Access-Control-Request-Headers')
  assert.equal(answer.text, '')
})

test('packets in one body, in several, and a body that comes in pieces', async () => {
  const sid = await open()
  const raw = tcp(system.port, '127.0.0.1')
  const body = Buffer.from(`40${auth()}\x1e42["message","ü"]\x1e42["message",2]`)
  const head = `POST ${PATH}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  let text = ''
  raw.on('data', part => { text += part })
  raw.write(head.slice(0, 30))
  for (const piece of [head.slice(30), body.subarray(0, 10), body.subarray(10, body.length - 20), body.subarray(body.length - 20)]) {
    await new Promise(done => setImmediate(done))
    raw.write(piece)
  }
  await until('ok', () => text.endsWith('ok'))
  const got = await packets(sid, packet => packet.includes('"data":2'))
  assert.ok(got.some(packet => packet.includes('"data":"ü"')))
  raw.destroy()
})

test('a body that is too large is 413, and the session lives', async () => {
  const sid = await open()
  const answer = await post(sid, 'x'.repeat(2001))
  assert.equal(answer.status, 413)
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal((await post(sid, `40${auth()}`)).text, 'ok')
  await packets(sid, packet => packet.startsWith('40'))
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
    const sid = await open()
    const waiting = poll(sid)
    await post(sid, body)
    const answer = await waiting
    assert.equal(answer.status, 200)
    assert.match(answer.text, /(^|\x1e)1$/)
    await until('the id is unknown', async () => (await poll(sid)).status === 400)
  })
}

test('a client that says it goes is gone, and its poll is released', async () => {
  const sid = await joined()
  const waiting = poll(sid)
  await post(sid, '1')
  const answer = await waiting // it may reach the edge before the post or behind it
  assert.match(answer.text, answer.status === 200 ? /^(6|2)$/ : /"code":[13]/)
  await until('unknown', async () => (await poll(sid)).status === 400)
})

test('two polls at a time end the session', async () => {
  const sid = await open()
  const answers = await Promise.all([poll(sid), poll(sid)])
  assert.deepEqual(answers.map(answer => answer.status).sort(), [200, 400])
})

test('a poll that is given up ends the session', async () => {
  const sid = await joined()
  await until('unknown', async () => {
    const waiting = poll(sid).catch(() => 'gone')
    const asked = ask.last
    await new Promise(done => asked.once('socket', socket => socket.once('connect', () => setTimeout(done, 20))))
    asked.destroy()
    await waiting
    return (await post(sid, '3')).status === 400 // which answers a ping otherwise
  })
})

test('pings come, and silence ends it', async () => {
  const sid = await open()
  assert.equal((await poll(sid)).text, '2')
  await until('gone without an answer', async () => (await post(sid, '')).status === 400, { deadline: 5000 })
  const other = await open()
  for (let i = 0; i < 3; i++) {
    assert.equal((await poll(other)).text, '2')
    await post(other, '3')
  }
})

test('who joins no namespace is closed in time', async () => {
  const sid = await open()
  const end = Date.now() + 10_000
  for (;;) {
    const answer = await poll(sid)
    if (answer.text === '1') break
    assert.equal(answer.text, '2')
    await post(sid, '3')
    assert.ok(Date.now() < end, 'not closed')
  }
})

async function websocket(sid) {
  const raw = await RawSocket.open(system, { path: `/socket.io/?EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}` })
  assert.equal(raw.status, 101)
  raw.say = text => raw.write(frame(1, text))
  raw.text = async () => {
    for (;;) {
      const got = await raw.frame()
      if (got.opcode === 1) return got.payload.toString()
    }
  }
  return raw
}

test('the upgrade: the poll is released, and from then on everything comes over the WebSocket', async () => {
  const sid = await joined()
  const raw = await websocket(sid)
  const waiting = poll(sid)
  raw.say('2probe')
  assert.equal(await raw.text(), '3probe')
  assert.match((await waiting).text, /^(6|2|2\x1e6)$/)
  raw.say('5')
  await system.sql(`insert into "Customer" values (1, 'x')`)
  let got
  do { got = await raw.text(); if (got === '2') raw.say('3') } while (got === '2')
  assert.match(got, /^42\["Customer",\{"type":"INSERT","custId":"1"\},"[0-9a-f-]+"\]$/)
  assert.deepEqual(JSON.parse((await poll(sid)).text), { code: 3, message: 'Bad request' })
  assert.deepEqual(JSON.parse((await post(sid, '3')).text), { code: 3, message: 'Bad request' })
  raw.destroy()
  await until('unknown', async () => (await poll(sid)).text.includes('unknown'))
})

test('an upgrade that is given up in the middle leaves the session with its polls', async () => {
  const sid = await joined()
  for (const give of [raw => raw.destroy(), raw => raw.say('nonsense'), async raw => { raw.say('2probe'); await raw.text(); raw.destroy() }, async raw => { raw.say('2probe'); await raw.text(); await raw.end() }]) {
    const raw = await websocket(sid)
    const polls = packets(sid, packet => packet.startsWith('42'))
    await give(raw)
    await raw.end()
    const id = 1000 + Math.floor(Math.random() * 1e6)
    await system.sql(`insert into "Customer" values (${id}, 'x')`)
    assert.ok((await polls).some(packet => packet.includes(`"${id}"`)))
    raw.destroy()
  }
})

test('a second WebSocket for one session is refused', async () => {
  const sid = await joined()
  const first = await websocket(sid)
  const second = await websocket(sid)
  assert.equal(await second.closeCode(), 1002)
  first.destroy(); second.destroy()
})

test('WebSocket only: order, refusals, and a connect after a refusal', async () => {
  const raw = await websocket()
  const opened = await raw.text()
  assert.deepEqual(JSON.parse(opened.slice(1)).upgrades, [])
  raw.say('40/api,{"a":1}')
  assert.equal(await raw.text(), '44/api,{"message":"Invalid namespace"}')
  raw.say('40')
  assert.equal(await raw.text(), '44{"message":"No Table Provided In Headers[x-llana-table]"}')
  raw.say(`40${auth()}`)
  let got = await raw.text()
  while (got === '2') { raw.say('3'); got = await raw.text() }
  assert.match(got, /^40\{"sid"/)
  assert.notEqual(JSON.parse(got.slice(2)).sid, JSON.parse(opened.slice(1)).sid)
  raw.say('41')
  raw.say('42["x"]') // of a namespace that was left
  assert.equal(await raw.closeCode(), 1002)
  raw.destroy()
})

test('requests on one connection that belong to sessions of different processes', async () => {
  const sids = await Promise.all(Array.from({ length: 8 }, open))
  assert.ok(new Set(sids.map(sid => sid.slice(0, 6))).size === 2, 'both processes have sessions')
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
  const sid = await open()
  await post(sid, '40', { Authorization: `Bearer ${token(system, 1)}`, 'x-llana-table': 'Customer' })
  const [got] = await packets(sid, packet => packet.startsWith('4'))
  assert.equal(got, '44{"message":"No Table Provided In Headers[x-llana-table]"}')
})

test('a client that does not read is sent away when its budget is used up', async () => {
  const sid = await joined()
  await system.sql(`insert into "Customer" select g, 'x' from generate_series(2000000, 2002000) g`)
  await until('closed', async () => { const answer = await poll(sid); if (answer.status === 200 && answer.text.includes('2')) await post(sid, '3'); return answer.text === '1' || answer.status === 400 })
})
