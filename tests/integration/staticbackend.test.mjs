// Seed 004 with the real, unmodified @staticbackend/js: event streams with POSTs, and /ws. Two edges share the port, so about half of
// the POSTs come to the process that does not have the stream; two shards, so tables are apart.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { Sb, genuine, plain, schema } from './lib/staticbackend.mjs'
import { System, until } from './lib/system.mjs'

const KEY = 'dev_memory_pk'
const A = { account: randomUUID(), users: [randomUUID(), randomUUID()] }
const B = { account: randomUUID(), users: [randomUUID()] }
let system
const open = []

before(async () => {
  system = await System.start({ set: [`staticbackend.keys=${KEY}=app,other-key=other`, 'realtime.message_rate_limit=0', 'database.max_value=64KiB'] })
  await system.sql(schema('app', ['tasks_760_', 'notes_700_', 'wall_774_', 'plain', 'pub_news', 'work_770_']))
  await system.sql(schema('other', ['tasks_760_']))
  for (const [account, user, token] of [[A.account, A.users[0], 'a0'], [A.account, A.users[1], 'a1'], [B.account, B.users[0], 'b0']]) {
    await system.sql('insert into app.sb_tokens (id, account_id, token) values ($1, $2, $3)', [user, account, token])
  }
})
beforeEach(() => system.settled())
after(async () => { for (const each of open) each.close(); await system?.stop() })

async function client(token, options) {
  const sb = new Sb(system, KEY)
  open.push(sb)
  const answer = await sb.connect(token, options)
  assert.equal(answer.type, 'onAuth', JSON.stringify(answer))
  return sb
}
const users = () => ({ a0: genuine(system, A.users[0], 'a0'), a1: genuine(system, A.users[1], 'a1'), b0: genuine(system, B.users[0], 'b0') })
const insert = async (table, account, owner, data) =>
  (await system.sql(`insert into app."${table}" (account_id, owner_id, data) values ($1, $2, $3) returning id`, [account, owner, data]))[0].id
const fiveTexts = message => {
  assert.deepEqual(Object.keys(message).sort(), ['channel', 'data', 'sid', 'token', 'type'])
  for (const [name, value] of Object.entries(message)) assert.equal(typeof value, 'string', name)
  assert.equal(message.token, '')
}

for (const socket of [false, true]) {
  const where = socket ? '/ws' : 'event stream'

  test(`${where}: echo, as the seed shows it`, async () => {
    const { a0 } = users()
    const sb = await client(a0, { socket })
    assert.equal(sb.given, a0)
    sb.send(sb.backend.types.echo, 'hello')
    const echo = await sb.event('echo')
    fiveTexts(echo)
    assert.equal(echo.data, 'echo: hello')
    assert.match(echo.sid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    sb.send('dance', 'x')
    assert.equal((await sb.event('error')).data, 'dance command not found')
  })

  test(`${where}: a document is created, updated and deleted`, async () => {
    const sb = await client(users().a0, { socket })
    const joined = await sb.join('db-tasks_760_')
    fiveTexts(joined)
    assert.equal(joined.type, 'joined')
    assert.equal(joined.data, 'db-tasks_760_')
    const id = await insert('tasks_760_', A.account, A.users[1], { name: 'new "doc"\n✓', n: [1, { x: null }], id: 'not this', accountId: 'nor this' })
    await system.sql(`update app.tasks_760_ set data = '{"name": "changed"}' where id = $1`, [id])
    await system.sql(`delete from app.tasks_760_ where id = $1`, [id])
    const created = await sb.event('db_created', 'db-tasks_760_')
    fiveTexts(created)
    assert.deepEqual(JSON.parse(created.data), { id, accountId: A.account, name: 'new "doc"\n✓', n: [1, { x: null }] })
    const updated = await sb.event('db_updated', 'db-tasks_760_')
    assert.deepEqual(JSON.parse(updated.data), { id, accountId: A.account, name: 'changed' })
    const deleted = await sb.event('db_deleted', 'db-tasks_760_')
    assert.equal(JSON.parse(deleted.data), id)
  })
}

test('accounts A and B: both users of A hear of A, the user of B of B only', async () => {
  const { a0, a1, b0 } = users()
  const [one, two, three] = [await client(a0), await client(a1, { socket: true }), await client(b0)]
  for (const sb of [one, two, three]) await sb.join('db-tasks_760_')
  const inA = await insert('tasks_760_', A.account, A.users[0], { of: 'A' })
  const inB = await insert('tasks_760_', B.account, B.users[0], { of: 'B' })
  for (const sb of [one, two]) assert.equal(JSON.parse((await sb.event('db_created')).data).id, inA)
  assert.equal(JSON.parse((await three.event('db_created')).data).id, inB)
  // From one account to the other: it leaves one sight and enters the other.
  await system.sql('update app.tasks_760_ set account_id = $2 where id = $1', [inA, B.account])
  assert.equal(JSON.parse((await one.event('db_deleted')).data), inA)
  assert.equal(JSON.parse((await two.event('db_deleted')).data), inA)
  assert.equal(JSON.parse((await three.event('db_created')).data).id, inA)
  await system.sql('delete from app.tasks_760_')
  for (const wanted of [inA, inB]) await three.take(message => message.type === 'db_deleted' && JSON.parse(message.data) === wanted)
  // Events of a table come in order, so what comes now comes behind anything that should not have come.
  await insert('tasks_760_', A.account, A.users[0], {})
  await insert('tasks_760_', B.account, B.users[0], {})
  for (const sb of [one, two, three]) await sb.event('db_created')
  for (const sb of [one, two, three]) assert.deepEqual((await sb.drain()).filter(message => message.type.startsWith('db_')), [])
})

test('owner, account, everyone: by the suffix, and without one', async () => {
  const { a0, a1, b0 } = users()
  const readers = { owner: await client(a0), mate: await client(a1), other: await client(b0) }
  const own = { owner: [A.account, A.users[0]], mate: [A.account, A.users[1]], other: [B.account, B.users[0]] }
  const sees = { notes_700_: ['owner'], tasks_760_: ['owner', 'mate'], plain: ['owner', 'mate'], work_770_: ['owner', 'mate'],
    wall_774_: ['owner', 'mate', 'other'], pub_news: ['owner', 'mate', 'other'] }
  for (const [table, who] of Object.entries(sees)) {
    for (const sb of Object.values(readers)) assert.equal((await sb.join(`db-${table}`)).type, 'joined')
    const id = await insert(table, A.account, A.users[0], { in: table })
    await system.sql(`delete from app."${table}" where id = $1`, [id])
    for (const [name, sb] of Object.entries(readers)) {
      if (!who.includes(name)) continue
      assert.equal(JSON.parse((await sb.event('db_created', `db-${table}`)).data).id, id, `${name} ${table}`)
      assert.equal(JSON.parse((await sb.event('db_deleted', `db-${table}`)).data), id, `${name} ${table}`)
    }
  }
  // Everybody sees what is their own, everywhere; what came before it, and was not for them, would be there now.
  for (const table of Object.keys(sees)) {
    for (const [name, sb] of Object.entries(readers)) {
      const id = await insert(table, ...own[name], { of: name })
      await sb.take(message => message.type === 'db_created' && JSON.parse(message.data).id === id)
    }
  }
  for (const [name, sb] of Object.entries(readers)) {
    for (const message of (await sb.drain()).filter(each => each.type.startsWith('db_'))) {
      const table = message.channel.slice(3)
      const { of } = JSON.parse(message.data)
      assert.ok(of !== undefined && of !== name, `${name} got ${JSON.stringify(message)}`)
      const mates = { owner: ['owner', 'mate'], mate: ['owner', 'mate'], other: ['other'] }[name]
      assert.ok(sees[table].length === 3 || (table !== 'notes_700_' && mates.includes(of)), `${name} got ${JSON.stringify(message)}`)
    }
  }
})

test('plain JWTs say account and user themselves, for their key only', async () => {
  const token = plain(system, A.account, A.users[0], { publicKey: KEY })
  const sb = await client(token)
  await sb.join('db-notes_700_')
  const id = await insert('notes_700_', A.account, A.users[0], {})
  assert.equal(JSON.parse((await sb.event('db_created')).data).id, id)
  for (const bad of [plain(system, A.account, A.users[0]), plain(system, A.account, A.users[0], { publicKey: 'other-key' }),
    plain(system, A.account, A.users[0], { publicKey: KEY, nbf: Math.floor(Date.now() / 1000) + 1800 }), plain(system, A.account, undefined, { publicKey: KEY }),
    genuine(system, A.users[0], 'wrong'), genuine(system, randomUUID(), 'a0'), genuine(system, A.users[0], 'a0', { exp: 1 }), 'nonsense', '']) {
    const refused = new Sb(system, KEY)
    open.push(refused)
    const answer = await refused.connect(bad)
    assert.deepEqual([answer.type, answer.data], ['error', 'invalid token'], bad)
    refused.close()
  }
})

test('the same repository of another key is another one', async () => {
  await system.sql('insert into other.sb_tokens (id, account_id, token) values ($1, $2, $3)', [A.users[0], A.account, 'o0'])
  const here = await client(users().a0)
  const there = new Sb(system, 'other-key')
  open.push(there)
  assert.equal((await there.connect(users().a0)).data, 'invalid token', 'the secret is that of the other schema')
  there.close()
  const right = new Sb(system, 'other-key')
  open.push(right)
  assert.equal((await right.connect(genuine(system, A.users[0], 'o0'))).type, 'onAuth')
  await here.join('db-tasks_760_')
  await right.join('db-tasks_760_')
  const id = await insert('tasks_760_', A.account, A.users[0], {})
  await system.sql('insert into other.tasks_760_ (account_id) values ($1)', [A.account])
  assert.equal(JSON.parse((await here.event('db_created')).data).id, id)
  assert.notEqual(JSON.parse((await right.event('db_created')).data).id, id)
  await system.sql('insert into app.tasks_760_ (account_id) values ($1)', [A.account])
  await system.sql('insert into other.tasks_760_ (account_id) values ($1)', [A.account])
  for (const sb of [here, right]) await sb.event('db_created')
  for (const sb of [here, right]) assert.deepEqual((await sb.drain()).filter(message => message.type.startsWith('db_')), [])
})

test('joining: what is refused, and how', async () => {
  const sb = await client(users().a0)
  assert.equal((await sb.join('db-sb_tokens')).data, 'no such repository')
  assert.equal((await sb.join('db-')).data, 'no such repository')
  assert.equal((await sb.join('db-nowhere_777_')).type, 'error')
  assert.match((await sb.join('db-tasks_777_')).data, /./, 'the suffix is part of the table\'s name, not the client\'s choice')
  assert.equal((await sb.join('db-tasks_760_')).type, 'joined')
  assert.equal((await sb.join('db-tasks_760_')).type, 'joined', 'again')
  const id = await insert('tasks_760_', A.account, A.users[0], {})
  assert.equal(JSON.parse((await sb.event('db_created')).data).id, id)
  await system.settled()
  assert.deepEqual(await sb.drain(), [], 'once')
})

test('a value over the limit is said, not left out', async () => {
  const sb = await client(users().a0)
  await sb.join('db-tasks_760_')
  const id = await insert('tasks_760_', A.account, A.users[0], { large: 'x'.repeat(100_000) })
  const error = await sb.event('error', 'db-tasks_760_')
  assert.match(error.data, /too large/)
  assert.ok(error.data.includes(id))
})

test('a token that is taken back ends its sessions', async () => {
  const user = randomUUID()
  await system.sql('insert into app.sb_tokens (id, account_id, token) values ($1, $2, $3)', [user, A.account, 'mine'])
  await system.settled()
  const sb = await until('the user is known', () => client(genuine(system, user, 'mine')))
  const kept = await client(users().a0)
  await system.sql(`update app.sb_tokens set token = 'another' where id = $1`, [user])
  assert.equal((await sb.event('error')).data, 'invalid token')
  assert.deepEqual(await kept.drain(), [])
})

test('channels: everybody in one gets a message, its sender too, and nobody\'s token', async () => {
  const { a0, b0 } = users()
  const room = '25ti97wIt56swf5210aPo854Uoma'
  const [one, two, socket, outside] = [await client(a0), await client(b0), await client(b0, { socket: true }), await client(a0)]
  for (const sb of [one, two, socket]) {
    const joined = await sb.join(room)
    fiveTexts(joined)
    assert.deepEqual([joined.type, joined.data], ['joined', room])
  }
  const payload = JSON.stringify({ name: 'dominic', message: 'hello from Québec "✓"\n', sentAt: new Date() })
  one.send(one.backend.types.chanIn, payload, room)
  const ok = await one.event('ok')
  fiveTexts(ok)
  assert.equal(ok.data, '')
  for (const sb of [one, two, socket]) {
    const out = await sb.event('chan_out')
    fiveTexts(out)
    assert.deepEqual([out.data, out.channel, out.sid], [payload, room, ok.sid])
    assert.equal(JSON.stringify(out).includes('eyJ'), false)
  }
  socket.send('chan_in', 'from the socket', room)
  await socket.event('ok')
  for (const sb of [one, two, socket]) assert.equal((await sb.event('chan_out')).data, 'from the socket')
  assert.deepEqual(await outside.drain(), [], 'who has not joined hears nothing')
  // Not joined, but may send, as in the original.
  outside.send('chan_in', 'from outside', room)
  await outside.event('ok')
  for (const sb of [one, two, socket]) assert.equal((await sb.event('chan_out')).data, 'from outside')
  assert.deepEqual(await outside.drain(), [])
  // From SQL, in the transaction that it speaks of.
  await system.sql(`select pgtide.broadcast('sb:${KEY}:${room}', 'told', '{"a": 1}')`)
  for (const sb of [one, two, socket]) {
    const out = await sb.event('chan_out')
    assert.deepEqual([JSON.parse(out.data), out.sid], [{ a: 1 }, ''])
  }
})

test('the same channel of another key is another one', async () => {
  const here = await client(users().a0)
  await system.sql('insert into other.sb_tokens (id, account_id, token) values ($1, $2, $3)', [A.users[1], A.account, 'o1'])
  await system.settled()
  const there = new Sb(system, 'other-key')
  open.push(there)
  const answer = await until('the user is known there', async () => (await there.connect(genuine(system, A.users[1], 'o1'))).type === 'onAuth')
  assert.ok(answer)
  for (const sb of [here, there]) await sb.join('room')
  here.send('chan_in', 'x', 'room')
  assert.equal((await here.event('chan_out')).data, 'x')
  there.send('chan_in', 'y', 'room')
  assert.equal((await there.event('chan_out')).data, 'y')
  for (const sb of [here, there]) assert.deepEqual((await sb.drain()).filter(message => message.type === 'chan_out'), [])
})
