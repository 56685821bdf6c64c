// RFC 6455, case by case, against the raw echo path: the same groups as public suites have, written from the RFC. What must not depend on
// the dialect is asked of the dialects' paths too. permessage-deflate: conformance_deflate.test.mjs.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BINARY, ECHO, TEXT, binary, close, converse, echoed, fragments, more, open, ping, pong, text } from './lib/conform.mjs'
import { RawSocket, frame } from './lib/raw.mjs'
import { System, until } from './lib/system.mjs'

const LIMIT = 1 << 20
const KEY = 'conformance-key'
let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: ['edge.diagnostics.echo=true', `realtime.max_message_size=${LIMIT}`, 'realtime.connect_rate=0',
    'realtime.message_rate_limit=0', `staticbackend.keys=${KEY}=app`] })
})
after(async () => { await system?.stop() })

// Cases that end well: the client closes with 1000 behind what it sends.
const good = async (what, parts, expected, how) =>
  assert.deepEqual(await converse(system, [...parts, close(1000)], how), [...expected, 'close:1000'], what)
const bad = async (what, parts, code, expected = [], how = {}) =>
  assert.deepEqual(await converse(system, parts, how), [...expected, `close:${code}`], what)

test('the log warns of the path, and it is a WebSocket and nothing else', async () => {
  assert.match(system.log('edge-0'), /edge\.diagnostics.*\/diagnostics\/echo/)
  assert.equal((await fetch(`${system.http}${ECHO}`)).status, 426)
  assert.deepEqual(await converse(system, [close(1000)], { path: `${ECHO}?token=nonsense` }), ['close:1008'])
})

test('1: messages of every size, at once and in pieces', async () => {
  for (const [kind, make] of [['text', text], ['binary', binary]]) {
    for (const size of [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, LIMIT]) {
      for (const chop of size <= 65536 ? [0, 997] : [0]) {
        const payload = kind === 'text' ? '*'.repeat(size) : Buffer.alloc(size, 0xfe)
        await good(`${kind} of ${size} bytes, ${chop || 'all'} at a time`, [make(payload)], [echoed(payload, kind)], { chop })
      }
    }
  }
})

test('2: pings are answered with their payload, pongs with nothing', async () => {
  const odd = Buffer.from([0, 255, 254, 253, 252, 251, 0, 255])
  await good('empty ping', [ping()], ['pong:'])
  await good('ping with text', [ping('Hello, world!')], ['pong:Hello, world!'])
  await good('ping with bytes', [ping(odd)], [echoed(odd, 'pong')])
  await good('ping of 125 bytes', [ping(Buffer.alloc(125, 0xfe))], [echoed(Buffer.alloc(125, 0xfe), 'pong')])
  await good('ping of 125 bytes, byte by byte', [ping(Buffer.alloc(125, 0xfe))], [echoed(Buffer.alloc(125, 0xfe), 'pong')], { chop: 1 })
  await bad('ping of 126 bytes', [ping(Buffer.alloc(126))], 1002)
  await good('pongs nobody asked for', [pong(), pong('unasked'), ping('asked')], ['pong:asked'])
  const many = Array.from({ length: 100 }, (_, n) => `payload-${n}`)
  await good('many pings', many.map(each => ping(each)), many.map(each => `pong:${each}`))
  await good('many pings, byte by byte', many.slice(0, 10).map(each => ping(each)), many.slice(0, 10).map(each => `pong:${each}`), { chop: 1 })
})

test('3: reserved bits close with 1002, wherever they are', async () => {
  for (let rsv = 1; rsv < 8; rsv++) {
    await bad(`text, ${rsv}`, [text('x', { rsv })], 1002)
    await bad(`behind a message, ${rsv}`, [text('before'), text('x', { rsv }), ping()], 1002, ['text:before'])
    await bad(`binary byte by byte, ${rsv}`, [text('before'), binary('x', { rsv })], 1002, ['text:before'], { chop: 1 })
    await bad(`continuation, ${rsv}`, [text('a', open), more('b', { rsv })], 1002)
    await bad(`ping, ${rsv}`, [ping('x', { rsv })], 1002)
    await bad(`pong, ${rsv}`, [pong('x', { rsv })], 1002)
    await bad(`close, ${rsv}`, [frame(8, Buffer.from([3, 232]), { rsv })], 1002)
  }
})

test('4: opcodes that mean nothing', async () => {
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    await bad(`${opcode}`, [frame(opcode, '')], 1002)
    await bad(`${opcode} with a payload`, [frame(opcode, 'reserved')], 1002)
    await bad(`${opcode} behind a message`, [text('before'), frame(opcode, 'reserved'), ping()], 1002, ['text:before'])
    await bad(`${opcode} inside a message`, [text('a', open), frame(opcode, 'b')], 1002)
  }
})

test('5: fragments, control frames between them, continuations of nothing', async () => {
  await bad('fragmented ping', [ping('a', open), more('b')], 1002)
  await bad('fragmented pong', [pong('a', open), more('b')], 1002)
  await bad('fragmented close', [frame(8, '', open)], 1002)
  for (const chop of [0, 1]) {
    await good('two fragments', [text('frag1', open), more('frag2')], ['text:frag1frag2'], { chop })
    await good('a ping between', [text('frag1', open), ping('now'), more('frag2')], ['pong:now', 'text:frag1frag2'], { chop })
    await good('a pong between', [binary('frag1', open), pong(), more('frag2')], ['binary:frag1frag2'], { chop })
    await good('empty ones', [text('', open), more('', open), more('')], ['text:'], { chop })
    await good('empty ones around something', [text('', open), more('middle', open), more('')], ['text:middle'], { chop })
    await bad('a final continuation of nothing', [more('x'), text('y')], 1002, [], { chop })
    await bad('an open continuation of nothing', [more('x', open), text('y')], 1002, [], { chop })
    await bad('a continuation behind a message that is over', [text('a', open), more('b'), more('c')], 1002, ['text:ab'], { chop })
    await bad('a message inside a message', [text('a', open), text('b')], 1002, [], { chop })
    await bad('a binary one inside a text', [text('a', open), binary('b', open)], 1002, [], { chop })
    await good('pings between all of five', [text('1', open), ping('a'), more('2', open), ping('b'), more('3', open), ping('c'), more('4', open), more('5')],
      ['pong:a', 'pong:b', 'pong:c', 'text:12345'], { chop })
  }
  await good('a close between fragments ends it', [text('a', open)], [])
  for (const size of [1, 64, 1300, 32768]) {
    const payload = 'x'.repeat(size === 1 ? 300 : 65536)
    await good(`fragments of ${size}`, fragments(TEXT, payload, size), [echoed(payload)])
    await good(`fragments of ${size}, with pings`, fragments(BINARY, payload, size, { between: [ping()] }),
      [...Array(Math.ceil(payload.length / size) - 1).fill('pong:'), echoed(payload, 'binary'), 'pong:'])
  }
})

// RFC 3629, and the corners of its table.
const VALID = ['Hello-µ@ßöäüàá-UTF-8!!', 'κόσμε', '\u0000', '\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\ufffd', '\uffff', '\u{10000}', '\u{10ffff}', '\u{1fffe}', '𐀀👩‍👩‍👧🏳️‍🌈']
const INVALID = { 'a continuation alone': '80', 'another': 'bf', 'two': '80bf', 'a first of two alone': 'c2', 'and a blank': 'c220', 'a first of three alone': 'e0', 'with one': 'e0a0',
  'a first of four alone': 'f0', 'with two': 'f09080', 'then ASCII': 'e4bd61', fe: 'fe', ff: 'ff', 'fefeffff': 'fefeffff', 'overlong /': 'c0af', 'in three': 'e080af', 'in four': 'f08080af', 'in five': 'f8808080af',
  'in six': 'fc80808080af', 'overlong 7f': 'c1bf', 'overlong 7ff': 'e09fbf', 'overlong ffff': 'f08fbfbf', 'overlong NUL': 'c080', surrogate: 'eda080', 'last high': 'edafbf', 'low': 'edb080', 'last low': 'edbfbf',
  'a pair': 'eda080edb080', 'past the end': 'f4908080', 'f5': 'f5808080', 'five bytes': 'f888808080', 'six': 'fc8480808080' }

test('6: text is UTF-8, whatever frames and segments cut', async () => {
  for (const each of VALID) {
    const bytes = Buffer.from(each)
    await good(each, [text(bytes), ...fragments(TEXT, bytes, 1), text(bytes)], Array(3).fill(echoed(bytes)))
    await good(`${each}, byte by byte`, [text(bytes)], [echoed(bytes)], { chop: 1 })
  }
  for (const [what, hex] of Object.entries(INVALID)) {
    const bytes = Buffer.concat([Buffer.from('κό'), Buffer.from(hex, 'hex')])
    await bad(what, [text(bytes)], 1007)
    await bad(`${what}, in fragments`, fragments(TEXT, bytes, 1), 1007)
    await bad(`${what}, more behind`, [text(Buffer.concat([bytes, Buffer.from('edited')]))], 1007)
    await good(`${what} is fine in a binary message`, [binary(bytes)], [echoed(bytes, 'binary')])
  }
})

test('6: what is wrong is said when it comes, not at the end of its message', async () => {
  const start = Buffer.from('κόσμε')
  const wrong = Buffer.from('f4908080', 'hex')
  await bad('in a fragment that others should follow', [text(Buffer.concat([start, wrong]), open)], 1007)
  await bad('in the second of them', [text(start, open), more(wrong, open)], 1007)
  await bad('at the second byte, in its own fragment', [text(Buffer.concat([start, Buffer.from('f4', 'hex')]), open), more(Buffer.from('90', 'hex'), open)], 1007)
  // The header promises more than is ever sent.
  const whole = text(Buffer.concat([start, wrong, Buffer.alloc(500, 0x61)]))
  await bad('inside a frame that has not come to its end', [whole.subarray(0, whole.length - 500)], 1007)
})

test('7: closing', async () => {
  await good('at once', [], [])
  assert.deepEqual(await converse(system, [close()]), ['close:'], 'without a code it is answered without one')
  await good('nothing behind it is looked at', [close(1000), text('late'), ping('late'), frame(3, 'wrong')], [])
  await good('a reason', [close(1000, 'Hello, world!')], [])
  await good('a reason of 123 bytes', [close(1000, '*'.repeat(123))], [])
  await bad('a reason of 124 bytes', [close(1000, '*'.repeat(124))], 1002)
  await bad('a payload of one byte', [frame(8, Buffer.from([3]))], 1002)
  await bad('a reason that is not UTF-8', [close(1000, Buffer.from('ceeda080', 'hex'))], 1007)
  await bad('a reason that is cut', [close(1000, Buffer.from('κ').subarray(0, 1))], 1007)
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    await bad(`${code}`, [close(code)], code)
    await bad(`${code} with a reason`, [close(code, 'why')], code)
  }
  for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
    await bad(`${code}`, [close(code)], 1002)
    await bad(`${code} with a reason`, [close(code, 'why')], 1002)
  }
})

test('7: a client that only stops sending is let go', async () => {
  const raw = await RawSocket.open(system, { path: ECHO })
  raw.socket.end(text('half', open))
  await raw.end()
  await until('nobody is left', async () => (await system.metric('edge-0', 'pgtide_edge_connections', 'echo')) === 0)
})

test('8: lengths, masks and limits', async () => {
  const head = (...bytes) => Buffer.from([...bytes, 1, 2, 3, 4])
  await bad('not masked', [text('x', { mask: false })], 1002)
  await bad('a ping that is not masked', [ping('x', { mask: false })], 1002)
  await bad('5 in two bytes', [head(0x81, 0xfe, 0, 5), Buffer.from('hello')], 1002)
  await bad('125 in two bytes', [head(0x81, 0xfe, 0, 125)], 1002)
  await bad('65535 in eight bytes', [head(0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255)], 1002)
  await bad('64 bits', [head(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0)], 1002)
  await bad('a ping with a length in two bytes', [head(0x89, 0xfe, 0, 126)], 1002)
  await bad('announced past the limit', [text('', { length: LIMIT + 1 })], 1009)
  await bad('announced far past the limit', [binary('', { length: 2 ** 52 })], 1009)
  await bad('fragments past the limit', [text('x'.repeat(LIMIT), open), more('', open), more('y')], 1009)
  await good('fragments up to the limit', [text('x'.repeat(LIMIT - 1), open), ping('between'), more('y')], ['pong:between', echoed('x'.repeat(LIMIT))])
})

test('9: many messages in a row come back in order', async () => {
  const words = Array.from({ length: 2000 }, (_, n) => `message ${n}`)
  await good('in one segment', words.map(each => text(each)), words.map(each => `text:${each}`))
  await good('in pieces of 37 bytes', words.slice(0, 300).map(each => text(each)), words.slice(0, 300).map(each => `text:${each}`), { chop: 37 })
})

// What no dialect decides. Their own frames (a greeting, an answer to nonsense) are left out.
const PATHS = ['/realtime', '/socket.io/?EIO=4&transport=websocket', '/ws']
const FRAMES = {
  'reserved bit': [[text('x', { rsv: 2 })], 1002], 'RSV1 on a ping': [[ping('', { rsv: 4 })], 1002], 'reserved opcode': [[frame(5, 'x')], 1002], 'reserved control opcode': [[frame(12, '')], 1002],
  'not masked': [[text('x', { mask: false })], 1002], binary: [[binary('x')], 1003], 'fragmented binary': [[binary('x', open)], 1003], 'fragmented ping': [[ping('', open)], 1002], 'ping of 126': [[ping(Buffer.alloc(126))], 1002],
  'continuation of nothing': [[more('x')], 1002], 'text in a text': [[text('a', open), text('b')], 1002], 'not UTF-8': [[text(Buffer.from([0x7b, 0xff]))], 1007], 'UTF-8 cut': [[text(Buffer.from([0xe6, 0xbc]))], 1007],
  'UTF-8 at once': [[text(Buffer.from([0x7b, 0xc0, 0x80]), open)], 1007], 'announced too large': [[text('', { length: 2 ** 40 })], 1009], 'length with 64 bits': [[Buffer.from([0x81, 0xff, 255, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])], 1002],
  'length not minimal': [[Buffer.from([0x81, 0xfe, 0, 5, 0, 0, 0, 0, 1, 1, 1, 1, 1])], 1002], 'close of a byte': [[frame(8, 'x')], 1002], 'close with 1005': [[close(1005)], 1002], 'close with 2999': [[close(2999)], 1002],
  'reason not UTF-8': [[close(1000, Buffer.from([255]))], 1007], 'close with 4321': [[close(4321)], 4321], 'close between fragments': [[text('{', open), close(1001)], 1001],
}
test('the same on the paths of the dialects, with permessage-deflate and without', async () => {
  for (const path of PATHS) {
    for (const headers of [{}, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }]) {
      for (const [what, [parts, code]] of Object.entries(FRAMES)) {
        const heard = await converse(system, parts, { path, headers, skip: each => !each.startsWith('close:') })
        assert.deepEqual(heard, [`close:${code}`], `${path}: ${what}`)
      }
      const heard = await converse(system, [ping('a'), pong('b'), ping('c'), close(1000)], { path, headers, skip: each => /^z?text:/.test(each) })
      assert.deepEqual(heard, ['pong:a', 'pong:c', 'close:1000'], path)
    }
  }
})
