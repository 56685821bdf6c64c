// Whatever a client sends: a clear error or the close code that RFC 6455 names, and nobody else notices.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { RawSocket, frame, request } from './lib/raw.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

let system
let healthy
let serial = 0
before(async () => {
  system = await System.start({ edges: 1, set: ['realtime.message_rate_limit=0'] })
  await system.sql(`create table t (id int primary key); create table plain (id int primary key);
    grant select on t, plain to anon, authenticated; select enable_realtime('t')`)
  healthy = await Client.open(system, { token: user(system) })
  assert.equal((await healthy.subscribe('table:public.t')).type, 'ack')
})
// After every test somebody else still gets their changes.
afterEach(async () => {
  await system.sql('insert into t values ($1)', [++serial])
  assert.equal((await healthy.change('INSERT')).payload.record.id, serial)
})
after(async () => {
  healthy?.close()
  await system?.stop()
})

const open = () => Client.open(system, { token: user(system) })
async function errorFor(message) {
  const client = await open()
  client.send(message)
  const error = await client.take(each => each.type === 'error')
  assert.equal(error.message, error.error)
  assert.ok(error.message.length > 5)
  assert.deepEqual(await client.drain(), [], 'one answer, and the connection is unharmed')
  client.close()
  return error
}

test('messages that are not what the protocol says', async () => {
  for (const [text, words] of [
    ['{"type":', /JSON/i], ['', /JSON/i], ['[1]', /object/i], ['[]', /array/i], [JSON.stringify(Array(101).fill({ type: 'ping' })), /array/i], ['"text"', /object/i], ['12', /object/i], ['{}', /type/i],
    ['{"type":5}', /type/i], ['{"type":"subscribe"}', /channel|table/i], ['{"type":"subscribe","channel":7}', /channel/i],
    ['{"type":"dance"}', /unknown message type/i], ['{"type":"subscribe","channel":"x","config":[]}', /config/i],
    ['{"type":"subscribe","channel":"x","config":{"event":"PATCH","schema":"public","table":"t"}}', /event/i],
    ['{"type":"subscribe","channel":"x","config":{"event":"*"}}', /table/i],
    ['{"type":"unsubscribe"}', /channel|subscription_id/i], ['{"type":"subscribe","channel":"table:public.t"} extra', /JSON/i],
    [`${'['.repeat(5000)}${']'.repeat(5000)}`, /JSON|object/i], ['{"type":"access_token"}', /token/i],
  ]) {
    const error = await errorFor(text)
    assert.match(error.message, words, text.slice(0, 60))
    assert.ok(['SUBSCRIPTION_FAILED', 'INVALID_CHANNEL', 'UNAUTHORIZED'].includes(error.code), error.code)
  }
})

test('an array of messages: each is answered, a bad one among them harms none', async () => {
  const client = await open()
  client.send('[{"type":"ping"},7,{"type":"subscribe","channel":"table:public.t"},{"type":"ping"}]')
  assert.equal((await client.take(each => each.type === 'ack')).channel, 'table:public.t')
  for (const type of ['pong', 'pong', 'error']) await client.take(each => each.type === type)
  assert.deepEqual(await client.drain(), [])
  client.close()
})

test('channels that do not exist, are not enabled, or are no channels', async () => {
  const cases = [
    ['table:public.nothing', 'SUBSCRIPTION_FAILED', /does not exist/], ['table:nowhere.t', 'SUBSCRIPTION_FAILED', /does not exist/],
    ['table:public.plain', 'FORBIDDEN', /enable_realtime/], ['users', 'INVALID_CHANNEL', /table:/], ['table:', 'INVALID_CHANNEL', /table:/],
    ['table:t', 'INVALID_CHANNEL', /schema/], ['table:public.', 'INVALID_CHANNEL', /./], ['table:.t', 'INVALID_CHANNEL', /./],
    ['', 'INVALID_CHANNEL', /./], [`table:public.${'x'.repeat(64)}`, 'INVALID_CHANNEL', /./], ['x'.repeat(1000), 'INVALID_CHANNEL', /./],
    ['table:public.t\u0000', 'INVALID_CHANNEL', /./], [`table:public."t"; drop table t`, 'SUBSCRIPTION_FAILED', /./],
    ['table:pg_catalog.pg_class', 'FORBIDDEN', /./],
  ]
  for (const [channel, code, words] of cases) {
    const error = await errorFor({ type: 'subscribe', channel })
    // A NUL in JSON is refused as JSON; every other bad name by its own code.
    if (!channel.includes('\u0000')) assert.equal(error.code, code, `${channel}: ${error.message}`)
    assert.match(error.message, words, channel)
  }
})

test('a filter is never ignored: one that is none is refused', async () => {
  for (const filter of ['id', 'id=near.1', 'id=eq.one', 'nothing=eq.1', 'id=in.(', 'id=eq.']) {
    const error = await errorFor({ type: 'subscribe', channel: 'x', config: { event: '*', schema: 'public', table: 't', filter } })
    assert.match(error.message, /invalid filter: /, filter)
  }
})

test('a second subscribe and an unsubscribe of nothing', async () => {
  const client = await open()
  await client.subscribe('table:public.t')
  client.send({ type: 'subscribe', channel: 'table:public.t' })
  assert.match((await client.take(each => each.type === 'error')).message, /already subscribed/)
  client.send({ type: 'unsubscribe', channel: 'table:public.plain' })
  assert.match((await client.take(each => each.type === 'error')).message, /not subscribed/)
  await system.sql('insert into t values ($1)', [++serial])
  await healthy.change('INSERT')
  assert.equal((await client.change('INSERT')).payload.record.id, serial)
  assert.deepEqual(await client.drain(), [], 'each change once')
  client.close()
})

test('10,000 subscribes in a row', async () => {
  const client = await open()
  for (let n = 0; n < 10_000; n++) client.send({ type: 'subscribe', channel: `table:public.none_${n}` })
  for (let n = 0; n < 10_000; n++) await client.take(each => each.type === 'error', { deadline: 60_000 })
  assert.equal((await client.subscribe('table:public.t')).type, 'ack', 'failed ones do not count')
  client.close()
})

test('more than 100 subscriptions on a connection', async () => {
  const client = await open()
  for (let n = 0; n < 101; n++) client.send({ type: 'subscribe', channel: `c${n}`, config: { event: '*', schema: 'public', table: 't' } })
  for (let n = 0; n < 100; n++) await client.take(each => each.type === 'ack')
  const error = await client.take(each => each.type === 'error')
  assert.equal(error.code, 'SUBSCRIPTION_FAILED')
  assert.match(error.message, /100/)
  client.close()
})

test('frames against RFC 6455 get the code it names', async () => {
  const cases = [
    ['not masked', frame(1, '{"type":"ping"}', { mask: false }), 1002],
    ['reserved bit', frame(1, 'x', { rsv: 4 }), 1002],
    ['reserved opcode', frame(3, 'x'), 1002],
    ['reserved control opcode', frame(11, 'x'), 1002],
    ['binary', frame(2, 'x'), 1003],
    ['invalid UTF-8', frame(1, Buffer.from([0x7b, 0xff, 0xfe])), 1007],
    ['UTF-8 surrogate', frame(1, Buffer.from([0xed, 0xa0, 0x80])), 1007],
    ['UTF-8 cut at the end', frame(1, Buffer.from([0xe6, 0xbc])), 1007],
    ['too large', frame(1, 'x'.repeat(64 * 1024 + 1)), 1009],
    ['announced too large', frame(1, '', { length: 2 ** 40 }), 1009],
    ['length with the top bit', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1002],
    ['length not minimal', Buffer.concat([Buffer.from([0x81, 0xfe, 0, 5, 0, 0, 0, 0]), Buffer.from('hello')]), 1002],
    ['continuation of nothing', frame(0, 'x'), 1002],
    ['text inside a fragmented text', Buffer.concat([frame(1, 'a', { fin: false }), frame(1, 'b')]), 1002],
    ['fragmented ping', frame(9, 'x', { fin: false }), 1002],
    ['ping of 126 bytes', frame(9, 'x'.repeat(126)), 1002],
    ['close with one byte', frame(8, 'x'), 1002],
    ['close with a code nobody may send', frame(8, Buffer.from([0x03, 0xed])), 1002],
    ['close with bad UTF-8', frame(8, Buffer.from([0x03, 0xe8, 0xff])), 1007],
    ['fragments that grow too large', Buffer.concat([frame(1, 'x'.repeat(40_000), { fin: false }), frame(0, 'x'.repeat(40_000))]), 1009],
  ]
  for (const [what, bytes, code] of cases) {
    const raw = await RawSocket.open(system)
    assert.equal(raw.status, 101, what)
    raw.write(bytes)
    assert.equal(await raw.closeCode(), code, what)
    await raw.end()
  }
})

test('frames that are right although unusual', async () => {
  const raw = await RawSocket.open(system)
  raw.write(frame(9, 'are you there'))
  const pong = await raw.frame()
  assert.deepEqual([pong.opcode, pong.payload.toString(), pong.masked], [10, 'are you there', false])
  raw.write(frame(10, 'unasked'))
  raw.write(frame(1, '{"ty', { fin: false }))
  raw.write(frame(9, 'in between'))
  raw.write(frame(0, '', { fin: false }))
  raw.write(frame(0, 'pe":"ping"}'))
  assert.equal((await raw.frame()).opcode, 10)
  assert.deepEqual(JSON.parse((await raw.frame()).payload), { type: 'pong' })
  // One byte at a time, multi-byte characters cut.
  for (const byte of frame(1, '{"type":"ping","note":"漢字🐘"}')) {
    raw.write(Buffer.from([byte]))
    await new Promise(setImmediate)
  }
  assert.deepEqual(JSON.parse((await raw.frame()).payload), { type: 'pong' })
  // Many messages in one segment.
  raw.write(Buffer.concat(Array.from({ length: 500 }, () => frame(1, '{"type":"ping"}'))))
  for (let n = 0; n < 500; n++) assert.deepEqual(JSON.parse((await raw.frame()).payload), { type: 'pong' })
  for (const code of [1000, 1001, 1012, 1014, 3000, 4999]) {
    const other = await RawSocket.open(system)
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    other.write(frame(8, payload))
    assert.equal(await other.closeCode(), code)
    await other.end()
  }
  raw.write(frame(8, ''))
  assert.equal((await raw.frame()).opcode, 8)
  await raw.end()
})

test('handshakes', async () => {
  for (const [what, text, status] of [
    ['no upgrade', request('/realtime', { Upgrade: null, Connection: null }), 426],
    ['another version', request('/realtime', { 'Sec-WebSocket-Version': '8' }), 426],
    ['another path', request('/nothing', { Upgrade: null, Connection: null }), 404],
    ['POST', 'POST /realtime HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', null],
  ]) {
    const raw = await RawSocket.open(system, { upgrade: false })
    raw.write(text)
    const head = await raw.head()
    if (status) assert.equal(head.status, status, what)
    else assert.ok(head.status >= 400, what)
    raw.destroy()
  }
  for (const text of ['\x00\x01\x02\x03\r\n\r\n', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    request('/realtime', { Upgrade: 'h2c' }), request('/realtime', { 'Sec-WebSocket-Key': null })]) {
    const raw = await RawSocket.open(system, { upgrade: false })
    raw.write(text)
    await Promise.race([raw.end(), raw.head().then(head => assert.notEqual(head.status, 101, text.slice(0, 40)))])
    raw.destroy()
  }
})

test('clients that vanish, half-open and silent ones', async () => {
  const sockets = []
  for (let n = 0; n < 50; n++) sockets.push(await RawSocket.open(system))
  sockets.forEach((raw, at) => { raw.write(frame(1, '{"type":"subscribe","channel":"table:public.t"}')); if (at % 2) raw.destroy() })
  for (const raw of sockets) raw.socket.resetAndDestroy ? raw.socket.resetAndDestroy() : raw.destroy()
  await until('the edge has forgotten them', async () => (await system.metric('edge-0', 'pgtide_edge_connections')) === 1)
})

test('a client that does not read is closed as slow; others notice nothing', async () => {
  const tight = await System.start({ shards: 1, edges: 1, set: ['realtime.client_budget=512KiB'] })
  try {
    await tight.sql(`create table s (id int primary key, v text); grant select on s to anon; select enable_realtime('s')`)
    const good = await Client.open(tight)
    await good.subscribe('table:public.s')
    const slow = await Client.open(tight)
    await slow.subscribe('table:public.s')
    slow.socket.pause()
    // Row by row transactions, so that the good client reads between them.
    const rows = 3000
    for (let n = 0; n < rows; n += 50) {
      await tight.sql(`insert into s select g, repeat('x', 5000) from generate_series($1::int, $2::int) g`, [n, n + 49])
      for (let m = 0; m < 50; m++) assert.equal((await good.change('INSERT')).payload.record.id, n + m)
    }
    assert.equal(await tight.metric('edge-0', 'pgtide_edge_closes_total', 'code="4008"'), 1)
    assert.equal(good.closed, null)
    slow.socket.resume()
    await slow.closing()
    good.close()
  } finally {
    await tight.stop()
  }
})

test('too many messages are answered RATE_LIMITED, and pings are free', async () => {
  const limited = await System.start({ shards: 1, edges: 1, set: ['realtime.message_rate_limit=10', 'realtime.max_connections=2'] })
  try {
    const client = await Client.open(limited)
    for (let n = 0; n < 12; n++) client.send({ type: 'unsubscribe', channel: 'table:public.t' })
    const errors = []
    for (let n = 0; n < 12; n++) errors.push((await client.take(each => each.type === 'error')).code)
    assert.equal(errors.filter(code => code === 'RATE_LIMITED').length, 2)
    for (let n = 0; n < 50; n++) client.send({ type: 'ping' })
    for (let n = 0; n < 50; n++) await client.take(each => each.type === 'pong')
    const second = await Client.open(limited)
    const third = await Client.open(limited)
    assert.equal((await third.take(each => each.type === 'error')).code, 'RATE_LIMITED')
    assert.equal((await third.closing()).code, 1013)
    second.close(); client.close()
  } finally {
    await limited.stop()
  }
})
