// Llana's settings under their own names: HOSTS behind a proxy, SKIP_AUTH, REDIS_*, the brake on failed handshakes, the identity's age,
// and what happens while Llana's tables are not there.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { System, until } from './lib/system.mjs'
import { LlanaClient, connect, llanaTables, token } from './lib/llana.mjs'

// deploy/up hands its environment to the edges.
async function start(env, set = []) {
  const before = { ...process.env }
  Object.assign(process.env, env)
  try {
    return await System.start({ shards: 1, edges: 1, set })
  } finally {
    process.env = before
  }
}
const customers = system => system.sql(`create table "Customer" ("custId" int primary key, name text);
  grant select on "Customer" to authenticated; select enable_realtime('public', 'Customer')`)
const admin = system => system.sql(`insert into "User" values (1, 'ADMIN', 'a@x'); insert into _llana_role (role, records) values ('ADMIN', 'READ')`)

test('SKIP_AUTH: no token, no tables of Llana\'s, and events', async () => {
  const system = await start({ SKIP_AUTH: 'true' })
  try {
    await customers(system)
    const client = await connect(system, { table: 'Customer' })
    await system.sql(`insert into "Customer" values (1, 'x')`)
    assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: '1' }])
    client.close()
  } finally {
    await system.stop()
  }
})

test('HOSTS, a trusted proxy, Redis, and addresses that fail again and again', async () => {
  const system = await start({ HOSTS: '10.1.1.1, 10.1.1.2', REDIS_HOST: 'redis', REDIS_PORT: '6379' }, ['llana.trust_proxy=true', 'llana.failure_delay=300ms'])
  try {
    assert.equal(system.log('edge-0').split('\n').filter(line => line.includes('llana.redis_not_needed')).length, 1)
    await customers(system)
    await llanaTables(system)
    await admin(system)
    const from = (address, more = {}) => new LlanaClient(system, { table: 'Customer', token: token(system, 1), transports: ['websocket'], headers: { 'x-real-ip': address }, ...more })
    const inside = from('10.1.1.2')
    await inside.connected()
    inside.close()
    const outside = from('10.1.1.3')
    assert.equal(await outside.refusal(), 'Forbidden')
    outside.close()
    const forwarded = from('', { headers: { 'x-forwarded-for': '10.1.1.1, 10.9.9.9' } }) // the first entry is the client's word
    assert.equal(await forwarded.refusal(), 'Forbidden')
    forwarded.close()

    // The plugin's loop: each refusal is answered by an attempt at once, and each but the first waits for a delay.
    const began = Date.now()
    for (let i = 0; i < 6; i++) {
      const client = from('10.1.1.1', { token: 'rubbish' })
      assert.equal(await client.refusal(), 'Authentication Failed')
      client.close()
    }
    const looped = Date.now() - began
    assert.ok(looped > 1300, `six failures took ${looped} ms`)
    // Another address, or a token that is good, is let in.
    const other = from('10.1.1.2')
    await other.connected()
    const good = from('10.1.1.1')
    await good.connected()
    other.close(); good.close()
  } finally {
    await system.stop()
  }
})

test('users in another table, soft deletes, and HOSTS without a proxy that is trusted', async () => {
  const system = await start({ AUTH_USER_TABLE_NAME: 'members', ROLE_LOCATION_USER_TABLE_ROLE_FIELD: 'rank', ROLE_LOCATION_USER_TABLE_IDENTITY_COLUMN: 'login',
    SOFT_DELETE_COLUMN: 'deletedAt', HOSTS: '127.0.0.1, ::1', REDIS_PORT: '', SKIP_AUTH: '' })
  try {
    await customers(system)
    await llanaTables(system)
    await system.sql(`alter table "Customer" add "deletedAt" timestamptz;
      create table members (id uuid primary key default gen_random_uuid(), login text unique, rank text);
      grant select (id, login, rank) on members to authenticated; select enable_realtime('members');
      insert into members (login, rank) values ('ann', 'ADMIN'), ('bob', null); insert into "User" values (7, 'ADMIN', 'a@x');
      insert into _llana_role (role, records) values ('ADMIN', 'READ')`)
    await system.settled()
    // The header is the client's own word, and not looked at.
    const clients = await Promise.all(['ann', 'bob', 7].map(sub => connect(system, { table: 'Customer', token: token(system, sub), transports: ['websocket'], headers: { 'x-real-ip': '10.1.1.3' } })))
    await system.sql(`insert into "Customer" values (1, 'x')`)
    await system.sql(`update "Customer" set "deletedAt" = now()`)
    assert.deepEqual(await clients[0].take(2), [{ type: 'INSERT', custId: '1' }, { type: 'DELETE', custId: '1' }])
    await until('all is judged', async () => await system.metric('edge-0', 'pgtide_edge_llana_events_total') === 6)
    for (const client of clients) {
      await client.flushed()
      assert.deepEqual(client.events, [])
      client.close()
    }
    assert.doesNotMatch(system.log('edge-0'), /redis/i)
  } finally {
    await system.stop()
  }
})

test('an identity that is too old is shown again, and nothing is missed', async () => {
  const system = await start({ CACHE_WS_IDENTITY_DATA_TTL: '1500' })
  try {
    await customers(system)
    await llanaTables(system)
    await admin(system)
    await system.settled()
    const client = await connect(system, { table: 'Customer', token: token(system, 1) })
    let count = 0
    await until('it has been sent away, and is back', async () => {
      await system.sql(`insert into "Customer" values (${count++}, 'x')`)
      return client.drops.length > 0 && client.socket.connected
    }, { every: 50 })
    await system.sql(`insert into "Customer" values (${count++}, 'x')`)
    assert.deepEqual((await client.take(count)).map(data => data.custId), Array.from({ length: count }, (_, at) => String(at)))
    assert.ok(client.drops.length > 0)
    assert.equal(client.socket.recovered, true)
    client.close()
  } finally {
    await system.stop()
  }
})

test('until Llana\'s tables can be read clients wait, and the log says why', async () => {
  const system = await start({})
  try {
    await customers(system)
    const client = new LlanaClient(system, { table: 'Customer', token: token(system, 1), transports: ['websocket'] })
    await until('the reason is logged', () => /llana\.roles_refused table=_llana_role/.test(system.log('edge-0')))
    assert.equal(client.socket.connected, false)
    await llanaTables(system)
    await admin(system)
    await client.connected()
    await system.sql(`insert into "Customer" values (1, 'x')`)
    assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: '1' }])
    // And when the rights are taken away again, nobody is served on old ones.
    await system.sql('revoke select on _llana_role from authenticated')
    await until('sent away', () => client.drops.length > 0)
    await system.sql(`insert into "Customer" values (2, 'x')`)
    await system.sql('grant select on _llana_role to authenticated')
    assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: '2' }])
    assert.equal(client.socket.recovered, true)
    client.close()
  } finally {
    await system.stop()
  }
})
