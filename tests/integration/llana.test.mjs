// Llana (seeds 000 to 002): real socket.io-client programs over polling, over WebSockets, and from one to the other, against two edges on
// one port and two shards. What a client shows and hears: tables, tokens, refusals, events, roles.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { System, until } from './lib/system.mjs'
import { LlanaClient, connect, llanaTables, spread, token } from './lib/llana.mjs'
import { sign, unsigned, now } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({ set: ['llana.failure_delay=0', 'llana.soft_delete_column=deletedAt', 'llana.rls_tables=Ledger,Sealed'] })
  await llanaTables(system)
  await system.sql(`
    create table "Customer" ("custId" int primary key, "userId" int, name text, "deletedAt" timestamptz);
    create table "Employee" (id uuid primary key default gen_random_uuid(), name text);
    create table "Order" (id bigint primary key, owner text, note text);
    create table "Pair" (region text, number int, note text, primary key (region, number));
    create table "Ledger" (id int primary key, holder text, note text);
    create table "Sealed" (id int primary key);
    create table "NoKey" (name text);
    grant select on all tables in schema public to authenticated;
    revoke select on "Sealed" from authenticated; grant select on "Ledger" to service_role;
    alter table "Ledger" enable row level security;
    create policy own on "Ledger" for select to authenticated using (holder = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub'));
    create policy auditors on "Ledger" for select to service_role using (true);
    select enable_realtime('public', name) from unnest(array['Customer', 'Employee', 'Order', 'Pair', 'NoKey', 'Ledger', 'Sealed']) name;
    insert into "User" values (1, 'ADMIN', 'a@x'), (2, 'USER', 'u@x'), (3, 'NOBODY', 'n@x'), (4, 'CLERK', 'c@x'), (5, 'CLERK', 'd@x');
    insert into _llana_role (custom, "table", identity_column, role, records, own_records) values
      (false, null, null, 'ADMIN', 'DELETE', 'DELETE'), (false, null, null, 'USER', 'READ', 'READ'),
      (true, 'Order', 'owner', 'CLERK', 'NONE', 'WRITE'), (true, 'Order', null, 'USER', 'NONE', 'NONE');
    insert into _llana_public_tables ("table", access_level) values ('Employee', 'READ')`)
})
beforeEach(() => system.settled())
after(() => system?.stop())

const events = async () => (await system.metric('edge-0', 'pgtide_edge_llana_events_total')) + (await system.metric('edge-1', 'pgtide_edge_llana_events_total'))
const MODES = { polling: ['polling'], websocket: ['websocket'], default: undefined }
let next = 100

for (const [mode, transports] of Object.entries(MODES)) {
  test(`${mode}: insert, update and delete of a table, keys as texts`, async () => {
    const client = await connect(system, { table: 'Customer', token: token(system, 1), transports })
    const id = next++
    await system.sql(`insert into "Customer" values (${id}, 2, 'x')`)
    await system.sql(`update "Customer" set name = 'y' where "custId" = ${id}`)
    await system.sql(`delete from "Customer" where "custId" = ${id}`)
    const got = await client.take(3)
    assert.deepEqual(got, ['INSERT', 'UPDATE', 'DELETE'].map(type => ({ type, custId: String(id) })))
    assert.equal(client.socket.recovered, false)
    if (mode === 'default') assert.equal(client.socket.io.engine.transport.name, 'websocket', 'the upgrade went through')
    if (mode !== 'default') assert.equal(client.socket.io.engine.transport.name, mode)
    assert.notEqual(client.socket.id, client.socket.io.engine.id, 'the two sids differ')
    client.close()
  })
}

// What an application may leave out or get wrong, and what it is told: the texts steer the official plugin.
const REFUSALS = [
  ['no table', () => ({ token: token(system, 1) }), 'No Table Provided In Headers[x-llana-table]'],
  ['no token', () => ({ table: 'Customer' }), 'Missing authorization token. Use either <Bearer> token header or accessToken cookie'],
  ['an expired token', () => ({ table: 'Customer', token: token(system, 1, { exp: now() - 60 }) }), 'Access token expired'],
  ['another key', () => ({ table: 'Customer', token: sign('another key of at least thirty-two bytes', { sub: 1 }) }), 'Authentication Failed'],
  ['no signature', () => ({ table: 'Customer', token: unsigned({ sub: 1 }) }), 'Authentication Failed'],
  ['no user in the token', () => ({ table: 'Customer', token: sign(system.jwtKey, { email: 'x' }) }), 'Authentication Failed'],
  ['a user that is an object', () => ({ table: 'Customer', token: token(system, { id: 1 }) }), 'Authentication Failed'],
  ['no token, but an empty one', () => ({ auth: { token: '', 'x-llana-table': 'Customer' } }), 'Missing authorization token. Use either <Bearer> token header or accessToken cookie'],
  ['a name that is none', () => ({ table: 'x'.repeat(64), token: token(system, 1) }), 'This is not the name of a table'],
]
for (const [what, how, text] of REFUSALS) {
  test(`refused: ${what}`, async () => {
    for (const transports of [['polling'], ['websocket']]) {
      const client = new LlanaClient(system, { ...how(), transports })
      assert.equal(await client.refusal(), text)
      assert.equal(client.socket.connected, false)
      client.close()
    }
  })
}

test('refused: a table without a primary key, once a change has shown it', async () => {
  const early = await connect(system, { table: 'NoKey', token: token(system, 1) })
  await system.sql(`insert into "NoKey" values ('x')`)
  await until('the event is counted as lost', async () => (await system.metric('edge-0', 'pgtide_edge_llana_keyless_events_total')) + (await system.metric('edge-1', 'pgtide_edge_llana_keyless_events_total')) > 0)
  const late = await until('a client on the same edge is refused', async () => {
    const client = new LlanaClient(system, { table: 'NoKey', token: token(system, 1), transports: ['websocket'] })
    await until('an answer', () => client.socket.connected || client.errors.length > 0)
    client.close()
    return client.errors[0]
  })
  assert.equal(late, 'The table has no primary key that can be read here')
  early.close()
})

test('refused: a table that does not exist is said so', async () => {
  const client = new LlanaClient(system, { table: 'customer', token: token(system, 1) })
  assert.match(await client.refusal(), /customer/)
  client.close()
})

test('refused: another namespace, with the original text', async () => {
  const client = new LlanaClient({ http: `${system.http}/api` }, { table: 'Customer', token: token(system, 1) })
  assert.equal(await client.refusal(), 'Invalid namespace')
  client.close()
})

test('the token may come as header, raw or with Bearer in auth, or as cookie; the table as header', async () => {
  const jwt = token(system, 1)
  const ways = [
    { headers: { Authorization: `Bearer ${jwt}`, 'x-llana-table': 'Customer' } },
    { auth: { token: jwt }, headers: { 'x-llana-table': 'Customer', Origin: 'https://anywhere.example' } },
    { auth: { token: `Bearer ${jwt}`, 'x-llana-table': 'Customer' } },
    { auth: { 'x-llana-table': 'Customer' }, headers: { Cookie: `accessToken=old; theme=dark; accessToken=${jwt}` } },
    { auth: { token: 'rubbish', 'x-llana-table': 'Customer' }, headers: { Authorization: `Bearer ${jwt}`, 'x-llana-table': 'Order' } },
    { auth: { token: token(system, '1'), 'x-llana-table': 'Customer' } },
  ]
  for (const transports of [['polling'], ['websocket'], undefined]) {
    const clients = await Promise.all(ways.map(way => connect(system, { ...way, transports })))
    const id = next++
    await system.sql(`insert into "Customer" values (${id}, 1, 'x')`)
    for (const client of clients) {
      assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: String(id) }])
      client.close()
    }
  }
})

test('a public table needs no token, and one that is shown is not looked at', async () => {
  const clients = await Promise.all([{ table: 'Employee' }, { table: 'Employee', token: 'rubbish' }].map(what => connect(system, what)))
  const [{ id }] = await system.sql(`insert into "Employee" (name) values ('x') returning id`)
  for (const client of clients) {
    assert.deepEqual(await client.take(1), [{ type: 'INSERT', id }])
    client.close()
  }
})

test('a table becomes public, and private again, while clients are there', async () => {
  const nobody = await connect(system, { table: 'Customer', token: token(system, 3) })
  const admin = await connect(system, { table: 'Customer', token: token(system, 1) })
  await until('the roles are known everywhere', async () => (await system.metric('edge-0', 'pgtide_edge_llana_roles_known')) + (await system.metric('edge-1', 'pgtide_edge_llana_roles_known')) >= 1)
  const [{ id }] = await system.sql(`insert into _llana_public_tables ("table", access_level) values ('Customer', 'READ') returning id`)
  let at = next++
  await until('an event reaches the one without a role', async () => {
    await system.sql(`insert into "Customer" values (${at = next++}, 1, 'x')`)
    return nobody.events.length > 0
  })
  await system.sql(`update _llana_public_tables set access_level = 'NONE' where id = ${id}`)
  await until('it has got no further one', async () => {
    const before = nobody.events.length
    await system.sql(`insert into "Customer" values (${at = next++}, 1, 'x')`)
    await until('the admin has it', () => admin.events.some(event => event.data.custId === String(at)))
    return nobody.events.length === before
  })
  await system.sql(`delete from _llana_public_tables where id = ${id}`)
  nobody.close(); admin.close()
})

// Everybody connects; what differs is what they hear. Silence is one when every event has been judged for every socket, and what was
// sent to each has arrived.
test('roles: everything, nothing, own records, and what changes takes effect', async () => {
  const who = { admin: 1, user: 2, nobody: 3, clerk: 4, other: 5, stranger: 99 }
  const clients = {}
  for (const [name, sub] of Object.entries(who)) clients[name] = await connect(system, { table: 'Order', token: token(system, sub) })
  const before = await events()
  const heard = async count => {
    await until('every event is judged', async () => await events() === before + count * Object.keys(clients).length)
    for (const client of Object.values(clients)) await client.flushed()
    return Object.fromEntries(Object.entries(clients).map(([name, client]) => [name, client.events.splice(0).map(event => `${event.data.type} ${event.data.id}`)]))
  }
  await system.sql(`insert into "Order" values (1, '4', 'mine'), (2, '5', 'yours'), (3, null, 'nobody''s')`)
  await system.sql(`update "Order" set note = 'x' where id = 2; delete from "Order" where id = 1`)
  const all = ['INSERT 1', 'INSERT 2', 'INSERT 3', 'UPDATE 2', 'DELETE 1']
  assert.deepEqual(await heard(5), { admin: all, user: [], nobody: [], clerk: ['INSERT 1', 'DELETE 1'], other: ['INSERT 2', 'UPDATE 2'], stranger: [] })

  // The general rule for a role holds on tables without one of their own.
  const reader = await connect(system, { table: 'Customer', token: token(system, 2) })
  const id = next++
  await system.sql(`insert into "Customer" values (${id}, 1, 'x')`)
  assert.deepEqual(await reader.take(1), [{ type: 'INSERT', custId: String(id) }])
  reader.close()

  // Another role for a user, and another rule for a role.
  await system.sql(`update "User" set role = 'ADMIN' where id = 3; update _llana_role set own_records = 'NONE' where role = 'CLERK'`)
  let at = 10
  await until('the new admin hears, the clerk no more', async () => {
    for (const client of Object.values(clients)) client.events.length = 0
    await system.sql(`insert into "Order" values (${++at}, '4', 'x')`)
    await until('the admin has it', () => clients.admin.events.length > 0)
    return clients.nobody.events.length > 0 && clients.clerk.events.length === 0
  })
  await system.sql(`update "User" set role = 'NOBODY' where id = 3; update _llana_role set own_records = 'WRITE' where role = 'CLERK'`)
  for (const client of Object.values(clients)) client.close()
})

test('keys: of several columns the first, under its name', async () => {
  const client = await connect(system, { table: 'Pair', token: token(system, 1) })
  await system.sql(`insert into "Pair" values ('nörd', 7, 'x')`)
  assert.deepEqual(await client.take(1), [{ type: 'INSERT', region: 'nörd' }])
  client.close()
})

test('a soft delete is a DELETE, once; what is deleted already is updated, and what comes back is, too', async () => {
  const client = await connect(system, { table: 'Customer', token: token(system, 1) })
  const id = next++
  await system.sql(`insert into "Customer" values (${id}, 1, 'x')`)
  await system.sql(`update "Customer" set "deletedAt" = now() where "custId" = ${id}`)
  await system.sql(`update "Customer" set name = 'y' where "custId" = ${id}`)
  await system.sql(`update "Customer" set "deletedAt" = null where "custId" = ${id}`)
  assert.deepEqual((await client.take(4)).map(data => data.type), ['INSERT', 'DELETE', 'UPDATE', 'UPDATE'])
  client.close()
})

test('two sockets of one user are both served, on two tables only their own', async () => {
  const clients = await Promise.all(['Customer', 'Customer', 'Pair'].map(table => connect(system, { table, token: token(system, 1) })))
  const id = next++
  await system.sql(`begin; insert into "Customer" values (${id}, 1, 'x'); insert into "Pair" values ('r', ${id}, 'x'); commit`)
  assert.deepEqual(await clients[0].take(1), [{ type: 'INSERT', custId: String(id) }])
  assert.deepEqual(await clients[1].take(1), [{ type: 'INSERT', custId: String(id) }])
  assert.deepEqual(await clients[2].take(1), [{ type: 'INSERT', region: 'r' }])
  await until('quiet', () => clients.every(client => client.events.length === 0))
  for (const client of clients) client.close()
})

test('clients of both edges get the same, in the same order, without Redis', async () => {
  const clients = await spread(system, 12, at => connect(system, { table: 'Customer', token: token(system, 1), transports: [['polling'], ['websocket'], undefined][at % 3] }))
  const first = next
  next += 200
  await system.sql(`insert into "Customer" select g, 1, 'x' from generate_series(${first}, ${first + 199}) g`)
  const wanted = Array.from({ length: 200 }, (_, at) => ({ type: 'INSERT', custId: String(first + at) }))
  for (const client of clients) {
    assert.deepEqual(await client.take(200), wanted)
    client.close()
  }
  // Polls reached both processes, whoever had the session.
  const passed = await Promise.all(['edge-0', 'edge-1'].map(name => system.metric(name, 'pgtide_edge_handed_over_total')))
  assert.ok(passed[0] + passed[1] > 0, `handed over: ${passed}`)
})

test('clients may not talk: "message" is an exception, others are silence, and no ack is called', async () => {
  const client = await connect(system, { table: 'Customer', token: token(system, 1) })
  let acked = false
  client.socket.emit('anything', 1, () => { acked = true })
  client.socket.emit('message', { a: [1, 'ü'] }, () => { acked = true })
  assert.deepEqual(await client.take(1), [{ status: 'error', message: 'Internal server error', cause: { pattern: 'message', data: { a: [1, 'ü'] } } }])
  assert.equal(acked, false)
  assert.equal(client.socket.connected, true)
  client.close()
})

test('a disconnect ends the namespace and not the connection', async () => {
  const client = await connect(system, { table: 'Customer', token: token(system, 1) })
  const engine = client.socket.io.engine
  const other = client.socket.io.socket('/other') // keeps the manager open
  other.connect()
  client.socket.disconnect()
  client.socket.connect()
  await client.connected()
  assert.equal(client.socket.io.engine, engine, 'the same connection')
  const id = next++
  await system.sql(`insert into "Customer" values (${id}, 1, 'x')`)
  assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: String(id) }])
  other.disconnect(); client.close()
})

// A row that may not be seen would have to come before one that may be and was written later: events of a table come in order. One that
// changes hands is new to the one and gone for the other.
test('where PostgreSQL decides, its policies do, for deletes too, and Llana\'s roles have no say', async () => {
  const who = { ann: token(system, '4', { role: 'authenticated' }), bob: token(system, 3), admin: token(system, '1'), auditor: token(system, '9', { role: 'service_role' }) }
  const clients = {}
  for (const [name, jwt] of Object.entries(who)) clients[name] = await connect(system, { table: 'Ledger', token: jwt })
  await system.sql(`insert into "Ledger" values (1, '3'), (2, '4'), (3, '3'), (4, '9')`)
  await system.sql(`update "Ledger" set note = 'x' where id in (1, 2)`)
  await system.sql(`delete from "Ledger" where id in (2, 3)`)
  await system.sql(`update "Ledger" set holder = '4' where id = 1`)
  await system.sql(`delete from "Ledger" where id = 1`)
  await system.sql(`insert into "Ledger" values (11, '4'), (12, '3'), (13, '1')`)
  const heard = {}
  for (const [name, last] of Object.entries({ ann: '11', bob: '12', admin: '13', auditor: '13' })) {
    await until(`${name} has the last one`, () => clients[name].events.some(event => event.data.id === last))
    heard[name] = clients[name].events.map(event => `${event.data.type} ${event.data.id}`)
  }
  assert.deepEqual(heard, {
    ann: ['INSERT 2', 'UPDATE 2', 'DELETE 2', 'INSERT 1', 'DELETE 1', 'INSERT 11'],
    bob: ['INSERT 1', 'INSERT 3', 'UPDATE 1', 'DELETE 3', 'DELETE 1', 'INSERT 12'],
    admin: ['INSERT 13'],
    auditor: ['INSERT 1', 'INSERT 2', 'INSERT 3', 'INSERT 4', 'UPDATE 1', 'UPDATE 2', 'DELETE 2', 'DELETE 3', 'UPDATE 1', 'DELETE 1', 'INSERT 11', 'INSERT 12', 'INSERT 13'],
  })
  for (const client of Object.values(clients)) client.close()
})

test('where PostgreSQL decides, a role without the right to the table is refused', async () => {
  const client = new LlanaClient(system, { table: 'Sealed', token: token(system, 1) })
  assert.match(await client.refusal(), /permission|may not|not allowed|denied/i)
  client.close()
})
