// What the real client of seed 004 does not send: headers and cookies, preflights, bodies that are none, other people's connection ids,
// limits, streams that go on with Last-Event-ID, an edge that goes away.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { RawSocket, frame } from './lib/raw.mjs'
import { Stream, plain, post, schema } from './lib/staticbackend.mjs'
import { System, until } from './lib/system.mjs'

const KEY = 'dev_memory_pk'
const account = randomUUID()
const [ann, bob] = [randomUUID(), randomUUID()]
let system
const open = []
before(async () => {
  system = await System.start({ set: [`staticbackend.keys=${KEY}=app,small=small:2`, 'realtime.message_rate_limit=0', 'realtime.heartbeat_interval=500ms', 'staticbackend.rejoin_time=1m'] })
  await system.sql(schema('app', ['tasks_760_', 'more_760_', 'still_760_']))
  await system.sql(schema('small', []))
})
beforeEach(() => system.settled())
after(async () => { for (const each of open) each.close(); await system?.stop() })

const token = (user = ann, claims = {}) => plain(system, account, user, { publicKey: KEY, ...claims })
async function stream(options = {}) {
  const opened = await Stream.open(system, { key: KEY, ...options })
  open.push(opened)
  if (opened.status === 200) opened.sid = (await opened.take(message => message.type === 'init')).data
  return opened
}
async function authenticated(user = ann, options = {}) {
  const opened = await stream(options)
  opened.token = token(user)
  opened.say = body => post(system, { sid: opened.sid, token: opened.token, ...body }, { key: KEY, token: opened.token })
  await opened.say({ type: 'auth', data: opened.token })
  await opened.take(message => message.type === 'token')
  opened.join = async channel => {
    await opened.say({ type: 'join', data: channel })
    return opened.take(message => ['joined', 'error'].includes(message.type) && message.channel === channel, { what: `answer to join ${channel}` })
  }
  opened.drain = async () => {
    const mark = randomUUID()
    await opened.say({ type: 'echo', data: mark })
    await opened.take(message => message.type === 'echo' && message.data === `echo: ${mark}`)
    return opened.messages.splice(0).filter(message => message.type !== 'comment' && !message.type.startsWith('event '))
  }
  return opened
}
const task = async (table = 'tasks_760_', data = {}) =>
  (await system.sql(`insert into app.${table} (account_id, owner_id, data) values ($1, $2, $3) returning id`, [account, ann, data]))[0].id

test('a stream: head, init, keep-alives', async () => {
  const opened = await stream({ headers: { Origin: 'https://app.example' } })
  assert.equal(opened.status, 200)
  assert.equal(opened.headers['content-type'], 'text/event-stream')
  assert.match(opened.headers['cache-control'], /no-cache/)
  assert.equal(opened.headers['access-control-allow-origin'], 'https://app.example')
  assert.match(opened.headers.vary, /Origin/)
  assert.equal(opened.headers['transfer-encoding'], undefined)
  assert.match(opened.sid, /^[0-9a-f-]{36}$/)
  await opened.take(message => message.type === 'comment')
})

test('the public key: header, query, cookie; missing and unknown', async () => {
  for (const [options, status] of [[{ key: undefined, headers: { 'SB-PUBLIC-KEY': KEY } }, 200], [{ key: undefined, headers: { Cookie: `a=b; pk=${KEY}; c=d` } }, 200],
    [{ key: undefined }, 401], [{ key: 'nobody' }, 500], [{ key: KEY, headers: { 'SB-PUBLIC-KEY': 'nobody' } }, 500]]) {
    const opened = await stream(options)
    assert.equal(opened.status, status, JSON.stringify(options))
    if (status === 401) assert.equal(opened.text, 'invalid StaticBackend public key')
  }
  assert.equal((await post(system, {}, {})).status, 401)
  assert.equal((await post(system, {}, { key: 'nobody' })).status, 500)
})

test('preflights and other methods', async () => {
  for (const path of ['/sse/msg', '/sse/connect']) {
    const answer = await post(system, '', { method: 'OPTIONS', path, headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization,content-type,sb-public-key' } })
    assert.equal(answer.status, 200)
    assert.equal(answer.text, '')
    assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example')
    assert.equal(answer.headers['access-control-allow-methods'], 'POST')
    assert.equal(answer.headers['access-control-allow-headers'], 'authorization,content-type,sb-public-key')
    assert.match(answer.headers.vary, /Access-Control-Request-Headers/)
  }
  assert.equal((await post(system, '', { method: 'PUT', key: KEY })).status, 405)
  assert.equal((await post(system, '', { method: 'POST', path: '/sse/connect', key: KEY })).status, 405)
  assert.equal((await post(system, '', { method: 'GET', path: '/ws' })).status, 426)
})

test('bodies', async () => {
  for (const [body, status, text] of [['', 400], ['nonsense', 400], ['[]', 400], ['{"type":"echo","type":"echo"}', 400], ['{"sid":1}', 400], ['{"data":["a"]}', 400],
    ['{"type":"join","data":"a\\u0000b"}', 400], [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400], [`{"data":"${'x'.repeat(90_000)}"}`, 413],
    ['{}', 200, 'true'], [`{"sid":"${randomUUID()}","type":"echo","data":"x"}`, 200, 'true'], ['{"sid":null,"token":null,"more":[{}]}', 200, 'true']]) {
    const answer = await post(system, body, { key: KEY })
    assert.equal(answer.status, status, String(body).slice(0, 50))
    if (text) assert.equal(answer.text, text)
  }
})

test('a body in pieces, and two requests on one connection', async () => {
  const opened = await authenticated()
  const body = JSON.stringify({ sid: opened.sid, token: opened.token, type: 'echo', data: 'Zürich ✓' })
  const request = Buffer.from(`POST /sse/msg HTTP/1.1\r\nHost: x\r\nSB-PUBLIC-KEY: ${KEY}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  // To whichever process: it is handed over with what was read of it.
  for (const cut of [request.length, request.length - 4, request.indexOf('\r\n\r\n') + 4, 30]) {
    const socket = connect(system.port, '127.0.0.1')
    let got = ''
    socket.on('data', part => { got += part })
    socket.write(request.subarray(0, cut))
    await new Promise(done => setImmediate(done))
    socket.write(request.subarray(cut))
    await until('the answer', () => got.endsWith('true'))
    assert.equal((await opened.take(message => message.type === 'echo')).data, 'echo: Zürich ✓')
    got = ''
    socket.write(request)
    await until('the second answer', () => got.endsWith('true'))
    assert.equal((await opened.take(message => message.type === 'echo')).data, 'echo: Zürich ✓')
    socket.destroy()
  }
})

test('every POST reaches the stream, whichever process gets it', async () => {
  const opened = await authenticated()
  const before = await Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_handed_over_total')))
  const marks = [...Array(60)].map(() => randomUUID())
  for (const mark of marks) assert.deepEqual((({ status, text }) => ({ status, text }))(await opened.say({ type: 'echo', data: mark })), { status: 200, text: 'true' })
  for (const mark of marks) await opened.take(message => message.data === `echo: ${mark}`)
  const after = await Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_handed_over_total')))
  assert.ok(after[0] + after[1] > before[0] + before[1], 'the kernel gave some to the other process')
})

test('who has seen a connection id cannot use it', async () => {
  const opened = await authenticated(ann)
  const strange = async () => (await system.metric('edge-0', 'pgtide_staticbackend_strangers_total')) + (await system.metric('edge-1', 'pgtide_staticbackend_strangers_total'))
  const count = await strange()
  for (const [body, with_] of [[{ type: 'echo', data: 'x' }, token(bob)], [{ type: 'join', data: 'room' }, token(bob)], [{ type: 'chan_in', data: 'x', channel: 'room' }, token(bob)],
    [{ type: 'echo', data: 'x' }, undefined], [{ type: 'echo', data: 'x', token: 'x' }, undefined], [{ type: 'auth', data: token(bob) }, token(bob)], [{ type: 'auth', data: 'nonsense' }, 'nonsense']]) {
    const answer = await post(system, { sid: opened.sid, token: with_ ?? null, ...body }, { key: KEY, token: with_ })
    assert.deepEqual([answer.status, answer.text], [200, 'true'])
  }
  await post(system, { sid: opened.sid, type: 'echo', data: 'x' }, { key: 'small', token: opened.token })
  assert.deepEqual(await opened.drain(), [], 'nothing was said, to nobody')
  assert.equal(await strange() - count, 8)
  // A new token of the same user renews.
  const renewed = token(ann, { exp: Math.floor(Date.now() / 1000) + 7200 })
  await post(system, { sid: opened.sid, type: 'auth', data: renewed }, { key: KEY, token: renewed })
  assert.equal((await opened.take(message => message.type === 'token')).data, renewed)
})

test('/ws: frames in pieces with a ping in between, messages that are none, and what ends it', async () => {
  const open_ = async () => {
    const raw = await RawSocket.open(system, { path: `/ws?sbpk=${KEY}`, headers: { Origin: 'https://anywhere.example' } })
    assert.equal(raw.status, 101)
    raw.said = async () => JSON.parse((await raw.frame()).payload.toString())
    raw.say = body => raw.write(frame(1, typeof body === 'string' ? body : JSON.stringify(body)))
    assert.equal((await raw.said()).type, 'init')
    return raw
  }
  const raw = await open_()
  const text = JSON.stringify({ type: 'echo', data: 'Zürich ✓', token: null })
  raw.write(Buffer.concat([frame(1, text.slice(0, 20), { fin: false }), frame(9, 'between'), frame(0, text.slice(20))]))
  const pong = await raw.frame()
  assert.deepEqual([pong.opcode, pong.payload.toString()], [10, 'between'])
  assert.equal((await raw.said()).data, 'echo: Zürich ✓')
  for (const body of ['', '{', '[]', '"x"', '{"type":1}', '{"type":"echo","type":"echo"}']) {
    raw.say(body)
    const { type, data } = await raw.said()
    assert.equal(type, 'error', body)
    assert.match(data, /^invalid request: /)
  }
  // In the wrong order, and as another user.
  for (const [body, answer] of [[{ type: 'join', data: 'room' }, 'invalid token'], [{ type: 'chan_in', data: 'x', channel: 'room' }, 'invalid token'], [{ type: 'auth', data: '' }, 'invalid token'],
    [{ type: 'auth', data: token(ann, { exp: 1 }) }, 'invalid token']]) {
    raw.say(body)
    assert.deepEqual([(await raw.said()).data], [answer])
  }
  const given = token()
  raw.say({ type: 'auth', data: given })
  const { type, data } = await raw.said()
  assert.deepEqual([type, data], ['token', given])
  raw.say({ type: 'auth', data: token(bob) })
  assert.match((await raw.said()).data, /^invalid token/)
  raw.say({ type: 'join', data: 'room' })
  assert.equal((await raw.said()).type, 'joined', 'it is still the first user\'s')
  raw.write(frame(1, Buffer.from([0x7b, 0x22, 0xc3])))
  assert.equal(await raw.closeCode(), 1007)
  raw.destroy()
  for (const [what, code] of [[frame(2, 'x'), 1003], [frame(1, 'x'.repeat(70_000)), 1009], [frame(0, 'x'), 1002]]) {
    const other = await open_()
    other.write(what)
    assert.equal(await other.closeCode(), code)
    other.destroy()
  }
})

test('without a user: echo and auth, and nothing else', async () => {
  const opened = await stream()
  const say = body => post(system, { sid: opened.sid, token: null, ...body }, { key: KEY })
  await say({ type: 'echo', data: 'x' })
  assert.equal((await opened.take(message => message.type === 'echo')).data, 'echo: x')
  for (const body of [{ type: 'join', data: 'room' }, { type: 'join', data: 'db-tasks_760_' }, { type: 'chan_in', data: 'x', channel: 'room' }]) {
    await say(body)
    const error = await opened.take(message => message.type === 'error')
    assert.equal(error.data, 'invalid token')
    assert.equal(error.sid, opened.sid)
  }
})

test('the fixed error texts', async () => {
  const opened = await authenticated()
  for (const [body, text] of [[{ type: 'chan_in', data: 'x' }, 'no channel was specified'], [{ type: 'chan_in', data: 'x', channel: 'db-tasks_760_' }, 'you cannot write to database channel'],
    [{ type: 'chan_in', data: 'x', channel: 'DB-x' }, 'you cannot write to database channel'], [{ type: 'nothing', data: 'x' }, 'nothing command not found'], [{ data: 'x' }, ' command not found']]) {
    await opened.say(body)
    assert.equal((await opened.take(message => message.type === 'error')).data, text)
  }
})

test('the limit of a public key is answered 429, on streams and on /ws', async () => {
  const opened = [await stream({ key: 'small' }), await stream({ key: 'small' })]
  // The limit is that of a process; connections are spread by the kernel, so go on until each has its two.
  const more = await until('a process is full', async () => {
    const next = await stream({ key: 'small' })
    opened.push(next)
    return next.status === 429 && next
  })
  assert.match(more.text, /limit/)
  await assert.rejects(async () => {
    for (;;) open.push(await Client.open(system, { path: '/ws', query: '?sbpk=small' }))
  }, error => error.status === 429)
  for (const each of open.splice(0)) each.close()
  await until('there is room again', async () => {
    const next = await stream({ key: 'small' })
    return next.status === 200
  })
})

test('a stream goes on behind Last-Event-ID: nothing missing, nothing twice, on two tables', async () => {
  const first = await authenticated()
  for (const table of ['tasks_760_', 'more_760_']) assert.equal((await first.join(`db-${table}`)).type, 'joined')
  const seen = []
  const made = []
  for (let i = 0; i < 6; i++) made.push(await task(i % 2 ? 'more_760_' : 'tasks_760_', { i }))
  for (let i = 0; i < 6; i++) seen.push(await first.take(message => message.type === 'db_created'))
  assert.ok(seen.every(message => message.id), 'every event has its position')
  const lastId = seen[5].id
  first.close()
  for (let i = 6; i < 12; i++) made.push(await task(i % 2 ? 'more_760_' : 'tasks_760_', { i }))
  const second = await authenticated(ann, { headers: { 'Last-Event-ID': lastId } })
  assert.notEqual(second.sid, first.sid)
  for (const table of ['tasks_760_', 'more_760_']) assert.equal((await second.join(`db-${table}`)).type, 'joined')
  made.push(await task('tasks_760_', { i: 12 }))
  for (let i = 6; i < 13; i++) seen.push(await second.take(message => message.type === 'db_created'))
  assert.deepEqual(seen.map(message => JSON.parse(message.data).i).sort((a, b) => a - b), [...Array(13).keys()])
  assert.deepEqual(seen.map(message => JSON.parse(message.data).id).sort(), made.sort())
  await system.settled()
  assert.deepEqual(await second.drain(), [])
})

test('a stream on which nothing happens still moves on', async () => {
  const opened = await authenticated()
  const joined = await opened.join('db-still_760_')
  assert.ok(joined.id, 'its first answer is a point to go on from')
  await task()
  await system.settled()
  const [{ id: one }, { id: two }] = [await opened.take(message => message.type === 'event position'), await opened.take(message => message.type === 'event position' && message.id !== joined.id)]
  assert.ok(two >= one && two > joined.id)
  opened.close()
  const missed = await task('still_760_')
  const again = await authenticated(ann, { headers: { 'Last-Event-ID': two } })
  await again.join('db-still_760_')
  assert.equal(JSON.parse((await again.take(message => message.type === 'db_created')).data).id, missed)
})

test('what cannot be gone on from is said, and the stream begins anew', async () => {
  const [epoch] = (await (async () => { const opened = await authenticated(); return (await opened.join('db-tasks_760_')).id })()).split('-')
  const opened = await authenticated(ann, { headers: { 'Last-Event-ID': `${epoch}-0000000000000001-0` } })
  const error = await opened.join('db-tasks_760_')
  assert.equal(error.type, 'error')
  assert.match(error.data, /events were missed/)
  assert.equal((await opened.take(message => message.type === 'joined')).data, 'db-tasks_760_')
  const id = await task()
  assert.equal(JSON.parse((await opened.take(message => message.type === 'db_created')).data).id, id)
  const odd = await authenticated(ann, { headers: { 'Last-Event-ID': 'x'.repeat(300) } })
  assert.equal((await odd.join('db-tasks_760_')).type, 'joined', 'no position, no wish')
})

test('a stream that is not read is ended, and the others go on', async () => {
  const [slow, quick] = [await authenticated(ann), await authenticated(bob)]
  for (const each of [slow, quick]) await each.join('db-tasks_760_')
  slow.answer.pause()
  const text = 'x'.repeat(500_000)
  const sent = async () => (await Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_closes_total', 'code="4008"')))).some(count => count > 0)
  // How much the kernel holds for it is the kernel's matter: as many as it takes.
  do {
    await task('tasks_760_', { text })
    await quick.take(message => message.type === 'db_created')
  } while (!await sent())
  slow.close()
})

test('an edge that ends sends its streams away with a time to come back; the next stream goes on', async () => {
  const opened = await authenticated()
  const { id } = await opened.join('db-tasks_760_')
  for (const each of ['edge-0', 'edge-1']) {
    if (opened.ended) break
    await system.kill(each, 'SIGTERM')
    if (opened.ended || await Promise.race([opened.take(message => message.type === 'end', { deadline: 3000 }).then(() => true, () => false)])) {
      assert.ok(opened.messages.some(message => message.type === 'comment' && message.lines.some(line => /^retry: \d+$/.test(line))), 'it says when')
      const made = await task()
      system.start(each)
      await system.allReady()
      const again = await authenticated(ann, { headers: { 'Last-Event-ID': id } })
      await again.join('db-tasks_760_')
      assert.equal(JSON.parse((await again.take(message => message.type === 'db_created')).data).id, made)
      return
    }
    system.start(each)
    await system.allReady()
  }
  assert.fail('neither edge had the stream')
})
