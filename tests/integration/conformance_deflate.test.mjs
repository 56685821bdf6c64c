// permessage-deflate (RFC 7692): offers, both directions, what breaks it, and real clients on the paths of the dialects.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { constants } from 'node:zlib'
import { chromium } from 'playwright-core'
import { io } from 'socket.io-client'
import WebSocket from 'ws'
import { Client } from './lib/client.mjs'
import { BINARY, ECHO, TEXT, binary, close, converse, deflate, echoed, fragments, more, open, ping, text } from './lib/conform.mjs'
import { RawSocket, frame } from './lib/raw.mjs'
import { System, until } from './lib/system.mjs'

const LIMIT = 1 << 20
const THRESHOLD = 1024 // the default
const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
const z = { rsv: 4 } // the first frame of a compressed message
let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: ['edge.diagnostics.echo=true', `realtime.max_message_size=${LIMIT}`, 'realtime.connect_rate=0', 'realtime.message_rate_limit=0'] })
})
after(async () => { await system?.stop() })

const metric = (name, labels) => system.metric('edge-0', `pgtide_edge_${name}`, labels)
const offer = value => ({ headers: { 'Sec-WebSocket-Extensions': value } })
const good = async (what, parts, expected, { extension = 'permessage-deflate', ...how } = {}) =>
  assert.deepEqual(await converse(system, [...parts, close(1000)], { ...offer(extension), ...how }), [...expected, 'close:1000'], what)
const bad = async (what, parts, code, expected = [], extension = 'permessage-deflate') =>
  assert.deepEqual(await converse(system, parts, offer(extension)), [...expected, `close:${code}`], what)
// Text that becomes smaller, but not nothing.
const words = size => Array.from({ length: Math.ceil(size / 10) }, (_, n) => `${(n * 7919) % 10007} word `).join('').slice(0, size).padEnd(size, '.')
const returned = (payload, kind = 'text', window = 32768) => {
  const size = Buffer.byteLength(payload)
  return `${size >= THRESHOLD && size <= (window === 32768 ? LIMIT : window) ? 'z' : ''}${echoed(payload, kind)}`
}

const TAKEN = {
  'permessage-deflate': '', 'permessage-deflate; client_max_window_bits': '', 'permessage-deflate; client_max_window_bits=8': '', 'permessage-deflate; client_max_window_bits="15"': '',
  'permessage-deflate; server_no_context_takeover': '', 'permessage-deflate; client_no_context_takeover': '', 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits': '',
  'x-webkit-deflate-frame, permessage-deflate': '', 'permessage-deflate; unknown=1, permessage-deflate': '', 'permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=12': '; server_max_window_bits=12',
  ...Object.fromEntries([8, 9, 10, 11, 12, 13, 14, 15].map(bits => [`permessage-deflate; server_max_window_bits=${bits}`, `; server_max_window_bits=${bits}`])),
}
test('offers that are taken: messages of every size go there and back', async () => {
  for (const [extension, more] of Object.entries(TAKEN)) {
    const raw = await RawSocket.open(system, { path: ECHO, ...offer(extension) })
    assert.equal(raw.extensions, AGREED + more, extension)
    raw.destroy()
    const bits = Number(more.match(/\d+/)?.[0] ?? 15)
    const windowBits = Number(extension.match(/client_max_window_bits="?(\d+)/)?.[1] ?? 15)
    const sizes = [0, 16, 64, 256, 512, 1023, 1024, 1025, 4096, 8192, 16384, 32768, 65536, 131072]
    const payloads = sizes.map(words)
    await good(extension, payloads.map(each => text(deflate(each, { windowBits: Math.max(9, windowBits) }), z)), payloads.map(each => returned(each, 'text', 2 ** bits)), { extension, windowBits: bits })
  }
})

test('offers that are declined: everything works, uncompressed', async () => {
  for (const extension of ['permessage-deflate; server_max_window_bits', 'permessage-deflate; server_max_window_bits=7', 'permessage-deflate; server_max_window_bits=16', 'permessage-deflate; server_max_window_bits=09',
    'permessage-deflate; client_max_window_bits=7', 'permessage-deflate; client_no_context_takeover=1', 'permessage-deflate; nothing', 'permessage-deflate; client_max_window_bits; client_max_window_bits', 'permessage-bzip2']) {
    const raw = await RawSocket.open(system, { path: ECHO, ...offer(extension) })
    assert.equal(raw.status, 101, extension)
    assert.equal(raw.extensions, null, extension)
    raw.destroy()
    await good(extension, [text(words(5000))], [echoed(words(5000))], { extension })
    await bad(extension, [text(deflate('x'), z)], 1002, [], extension)
  }
  for (const extension of ['permessage-deflate;', '; permessage-deflate', 'permessage-deflate; a=', 'permessage-deflate; a="', 'permessage deflate']) {
    assert.deepEqual(await converse(system, [], offer(extension)), ['HTTP 400'], extension)
  }
})

test('a message in frames, segments and company', async () => {
  const payload = words(20_000)
  const packed = deflate(payload)
  for (const size of [7, 1000, 100_000]) {
    await good(`frames of ${size}`, fragments(TEXT, packed, size, z), [returned(payload)])
    await good(`frames of ${size}, pings between`, fragments(TEXT, packed, size, { ...z, between: [ping('p')] }),
      [...Array(Math.ceil(packed.length / size) - 1).fill('pong:p'), returned(payload), 'pong:p'])
  }
  await good('byte by byte', fragments(TEXT, deflate('Hello κόσμε'), 1, z), [echoed('Hello κόσμε')], { chop: 1 })
  await good('empty frames around it', [text('', { ...open, ...z }), more(packed, open), more('')], [returned(payload)])
  await good('plain ones before and behind', [text('a'), text(deflate('b'), z), text('c', open), more('d'), binary(deflate('e'), z)], ['text:a', 'text:b', 'text:cd', 'binary:e'])
  await good('a thousand', Array.from({ length: 1000 }, (_, n) => text(deflate(`message ${n}`), z)), Array.from({ length: 1000 }, (_, n) => `text:message ${n}`))
  const noise = randomBytes(60_000)
  await good('noise, which does not become smaller', [binary(deflate(noise), z)], [echoed(noise, 'binary')])
  await good('bytes that are no text', [binary(deflate(Buffer.alloc(5000, 0xff)), z)], [`z${echoed(Buffer.alloc(5000, 0xff), 'binary')}`])
})

test('every form of DEFLATE', async () => {
  for (const level of [0, 1, 6, 9]) {
    for (const strategy of [constants.Z_DEFAULT_STRATEGY, constants.Z_HUFFMAN_ONLY, constants.Z_RLE, constants.Z_FIXED]) {
      for (const flush of [constants.Z_SYNC_FLUSH, constants.Z_FULL_FLUSH, constants.Z_FINISH]) {
        await good(`level ${level}, strategy ${strategy}, flush ${flush}`, [text(deflate(words(3000), { level, strategy, flush }), z)], [returned(words(3000))])
      }
    }
  }
  const hello = 'f248cdc9c90700'
  // The examples of 7.2.3, and messages that several streams make.
  for (const [hex, payload] of [[hello, 'Hello'], ['000500faff48656c6c6f00', 'Hello'], ['f348cdc9c9070000', 'Hello'], ['f24805000000ffffcac9c90700', 'Hello'], ['00', ''], ['0200', ''], ['', ''],
    [`f348cdc9c90700${hello}`, 'HelloHello'], ['f348cdc9c90700f200110000', 'HelloHello']]) {
    await good(hex, [text(Buffer.from(hex, 'hex'), z)], [echoed(payload)])
  }
  await bad('a reference to the message before', [text(Buffer.from(hello, 'hex'), z), text(Buffer.from('f200110000', 'hex'), z)], 1007, ['text:Hello'])
})

test('what breaks it', async () => {
  const packed = deflate(words(2000))
  await bad('RSV1 on a continuation', [text(packed.subarray(0, 10), { ...open, ...z }), more(packed.subarray(10), z)], 1002)
  await bad('RSV1 on a continuation of a plain one', [text('a', open), more(packed, z)], 1002)
  for (const opcode of [8, 9, 10]) await bad(`RSV1 on ${opcode}`, [frame(opcode, '', z)], 1002)
  await bad('RSV1 with RSV2', [text(packed, { rsv: 6 })], 1002)
  await bad('RSV1 on a reserved opcode', [frame(3, packed, z)], 1002)
  await bad('a block of the reserved type', [text(Buffer.from([7]), z)], 1007)
  await bad('cut', [text(packed.subarray(0, packed.length - 20), z)], 1007)
  await bad('lengths that do not agree', [text(Buffer.from('000500faf048656c6c6f00', 'hex'), z)], 1007)
  await bad('noise', [binary(Buffer.alloc(100, 0xff), z)], 1007)
  await bad('zlib\'s header', [text(Buffer.from('789cf248cdc9c907000000', 'hex'), z)], 1007)
  await bad('plain text that says it is not', [text('Hello, world!', z)], 1007)
  await bad('text that is not UTF-8', [text(deflate(Buffer.from('cebae1bdb9cf83cebcceb5eda080', 'hex')), z)], 1007)
  await bad('text that is cut', [text(deflate(Buffer.from([0xce])), z)], 1007)
  await good('the same in a binary message', [binary(deflate(Buffer.from([0xce])), z)], [echoed(Buffer.from([0xce]), 'binary')])
  await bad('not masked', [text(packed, { ...z, mask: false })], 1002)
})

test('the limit is that of the message; what is past it is never made', async () => {
  await good('the largest', [text(deflate('x'.repeat(LIMIT)), z)], [`z${echoed('x'.repeat(LIMIT))}`])
  const noise = randomBytes(LIMIT)
  await good('the largest, longer than that when compressed', [binary(deflate(noise), z)], [echoed(noise, 'binary')])
  await bad('one byte more', [text(deflate('x'.repeat(LIMIT + 1)), z)], 1009)
  await bad('a compressed message that cannot be right', [binary('', { ...z, length: 2 * LIMIT })], 1009)
  const before = await metric('inflate_after_bytes_total')
  const bomb = deflate(Buffer.alloc(64 << 20))
  for (let n = 0; n < 4; n++) await bad('a bomb', [text(bomb, z)], 1009)
  await bad('a bomb in fragments', fragments(BINARY, bomb, 10_000, z), 1009)
  assert.equal(await metric('inflate_after_bytes_total') - before, 5 * (LIMIT + 1))
  assert.ok(await metric('inflate_messages_total', 'too_long') >= 6)
})

async function roundTrip(socket, payload) {
  socket.send(payload)
  const [data, isBinary] = await once(socket, 'message')
  assert.equal(isBinary, typeof payload !== 'string')
  assert.ok(Buffer.from(payload).equals(data))
}

test('the client of ws, however it is set', async () => {
  for (const perMessageDeflate of [true, false, { threshold: 0 }, { threshold: 0, serverMaxWindowBits: 10 }, { threshold: 0, clientMaxWindowBits: 9 }, { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }]) {
    const socket = new WebSocket(`${system.url}${ECHO}`, { perMessageDeflate })
    await once(socket, 'open')
    assert.equal(socket.extensions.includes('permessage-deflate'), perMessageDeflate !== false)
    for (const size of [0, 1, 1023, 1024, 5000, 70_000, 500_000]) {
      await roundTrip(socket, words(size))
      await roundTrip(socket, randomBytes(size))
    }
    socket.close(1000)
    assert.equal((await once(socket, 'close'))[0], 1000)
  }
})

test('a browser', async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
  try {
    const page = await browser.newPage()
    await page.goto(`${system.http}/healthz`)
    const before = await metric('inflate_messages_total', 'ok')
    const heard = await page.evaluate(url => new Promise((done, fail) => {
      const sent = ['', 'κόσμε', 'abc '.repeat(10_000), new Uint8Array(5000).fill(7), 'x'.repeat(900_000)]
      const found = { sizes: [] }
      const socket = new WebSocket(url)
      socket.binaryType = 'arraybuffer'
      socket.onerror = () => fail(new Error('the WebSocket failed'))
      socket.onopen = () => { found.extensions = socket.extensions; sent.forEach(each => socket.send(each)) }
      socket.onmessage = ({ data }) => {
        const wanted = sent[found.sizes.length]
        const same = typeof data === 'string' ? data === wanted : new Uint8Array(data).every((byte, at) => byte === wanted[at])
        found.sizes.push(same ? data.length ?? data.byteLength : 'another')
        if (found.sizes.length === sent.length) socket.close(1000)
      }
      socket.onclose = ({ code, wasClean }) => done({ ...found, code, wasClean })
    }), `${system.url}${ECHO}`)
    assert.deepEqual(heard, { extensions: AGREED, sizes: [0, 5, 40_000, 5000, 900_000], code: 1000, wasClean: true })
    assert.ok(await metric('inflate_messages_total', 'ok') - before >= 4, 'it compresses what it sends')
  } finally {
    await browser.close()
  }
})

test('a change is compressed once, for all who want it so; the others get it as it is', async () => {
  await system.sql(`create table c (id int primary key, v text); grant select on c to anon; select enable_realtime('c')`)
  const clients = []
  for (const perMessageDeflate of [true, true, true, false, false, { serverMaxWindowBits: 9 }]) clients.push(await Client.open(system, { options: { perMessageDeflate } }))
  for (const client of clients) assert.equal((await client.subscribe('table:public.c')).type, 'ack')
  const before = { frames: await metric('deflate_frames_total'), sent: await metric('deflate_sent_total'), saved: await metric('deflate_saved_bytes_total') }
  const rows = 20
  for (let id = 1; id <= rows; id++) await system.sql('insert into c values ($1, $2)', [id, words(id % 2 === 0 ? 3000 : 20)])
  for (const client of clients) {
    for (let id = 1; id <= rows; id++) assert.deepEqual((await client.change('INSERT')).payload.record, { id, v: words(id % 2 === 0 ? 3000 : 20) })
  }
  assert.equal(await metric('deflate_frames_total') - before.frames, rows / 2, 'small ones are left alone')
  assert.equal(await metric('deflate_sent_total') - before.sent, rows / 2 * 3, 'the small window has no room for 3000 bytes')
  assert.ok(await metric('deflate_saved_bytes_total') - before.saved > rows / 2 * 3 * 1000)
  // And what they send: compressed commands are commands.
  const client = await Client.open(system, { options: { perMessageDeflate: { threshold: 0 } } })
  client.send({ type: 'ping', padding: words(2000) })
  await client.take(each => each.type === 'pong')
  for (const each of [...clients, client]) each.close()
})

test('Llana\'s clients offer it in Node, and it is agreed to there too', async () => {
  const before = await metric('deflate_offers_total', 'taken')
  const socket = io(system.http, { transports: ['websocket'], reconnection: false, forceNew: true })
  try {
    await new Promise((done, fail) => socket.io.engine.once('open', done).once('close', fail)) // Engine.IO's; without a token Socket.IO goes no further
    assert.equal(await metric('deflate_offers_total', 'taken'), before + 1)
  } finally {
    socket.close()
  }
})

test('switched off: nothing is agreed to, and there is no echo unless it is asked for', async () => {
  const plain = await System.start({ shards: 1, edges: 1, set: ['edge.compression.enabled=false'] })
  try {
    assert.equal((await fetch(`${plain.http}${ECHO}`)).status, 404)
    assert.deepEqual(await converse(plain, [close(1000)]), ['HTTP 404'])
    assert.doesNotMatch(plain.log('edge-0'), /diagnostics/)
    const raw = await RawSocket.open(plain, offer('permessage-deflate'))
    assert.deepEqual([raw.status, raw.extensions], [101, null])
    raw.write(text(deflate('{}'), z))
    assert.equal(await raw.closeCode(), 1002)
    raw.destroy()
    await until('it is counted', async () => (await plain.metric('edge-0', 'pgtide_edge_deflate_offers_total', 'declined')) === 1)
  } finally {
    await plain.stop()
  }
})
