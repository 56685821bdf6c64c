// Tokens: what is accepted, and how everything else is refused.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System } from './lib/system.mjs'
import { now, sign, unsigned, user } from './lib/token.mjs'

let system
before(async () => {
  system = await System.start({ shards: 1, edges: 1, set: ['realtime.unauthorized_delay=50ms'] })
  await system.sql(`create table t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
})
after(() => system?.stop())

async function refused(token) {
  const client = await Client.open(system, { token })
  const error = await client.take(frame => frame.type === 'error')
  assert.equal(error.code, 'UNAUTHORIZED')
  assert.equal(error.message, 'Invalid or expired token')
  assert.equal((await client.closing()).code, 1008)
}

test('HS256, HS384 and HS512', async () => {
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    const client = await Client.open(system, { token: sign(system.jwtKey, { role: 'authenticated' }, { alg, typ: 'JWT' }) })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack', alg)
    client.close()
  }
})

test('times: exp and nbf, with a little tolerance', async () => {
  for (const claims of [{ exp: now() + 5 }, { nbf: now() - 5 }, { exp: now() - 2 }, { nbf: now() + 2 }, { iat: now() + 9999 }]) {
    const client = await Client.open(system, { token: user(system, { exp: undefined, ...claims }) })
    assert.equal((await client.subscribe('table:public.t')).type, 'ack', JSON.stringify(claims))
    client.close()
  }
  for (const claims of [{ exp: now() - 60 }, { exp: 0 }, { exp: -1 }, { exp: '9999999999' }, { exp: 1e300 }, { exp: null }, { exp: [] }, { nbf: now() + 60 }, { nbf: 'soon' }]) {
    await refused(user(system, claims))
  }
})

test('forged, confused and broken tokens', async () => {
  const good = user(system)
  const [head, body, signature] = good.split('.')
  const tampered = Buffer.from(JSON.stringify({ role: 'service_role' })).toString('base64url')
  for (const token of [
    unsigned({ role: 'authenticated' }), unsigned({ role: 'authenticated' }, { alg: 'nOnE' }), unsigned({ role: 'authenticated' }, {}),
    sign('another key of more than 32 bytes ....', { role: 'authenticated' }), sign('', { role: 'authenticated' }),
    sign(system.jwtKey, { role: 'authenticated' }, { alg: 'RS256' }), sign(system.jwtKey, { role: 'authenticated' }, { alg: 'ES256' }),
    sign(system.jwtKey, { role: 'authenticated' }, { typ: 'JWT' }), sign(system.jwtKey, { role: 'authenticated' }, { alg: 'hs256' }),
    `${head}.${tampered}.${signature}`, `${head}.${body}.`, `${head}.${body}`, `${good}.x`, `${good}x`, 'x', '..', '.', ` ${good}`,
    'x'.repeat(9000), sign(system.jwtKey, [1]), sign(system.jwtKey, '"text"'), sign(system.jwtKey, { role: 7 }),
  ]) await refused(token)
})

test('an empty token is no token', async () => {
  const client = await Client.open(system, { token: '' })
  assert.equal((await client.subscribe('table:public.t')).code, 'FORBIDDEN')
  client.close()
})

test('role claims: known ones as they are, none is anon, others are authenticated', async () => {
  for (const [claims, type] of [[{ role: 'authenticated' }, 'ack'], [{ role: 'anon' }, 'error'], [{ role: undefined }, 'error'], [{ role: '' }, 'error'],
    [{ role: 'editor' }, 'ack'], [{ role: 'postgres' }, 'ack']]) {
    const client = await Client.open(system, { token: user(system, claims) })
    assert.equal((await client.subscribe('table:public.t')).type, type, JSON.stringify(claims))
    client.close()
  }
})

test('a connection ends when its token does', async () => {
  const client = await Client.open(system, { token: user(system, { exp: now() - 3 }) }) // inside the leeway of 5 s
  const error = await client.take(frame => frame.type === 'error', { deadline: 15_000 })
  assert.equal(error.code, 'UNAUTHORIZED')
  assert.equal((await client.closing()).code, 1008)
})

test('with reject_with_401 a browser cannot read it, but other clients back off', async () => {
  const strict = await System.start({ shards: 1, edges: 1, set: ['realtime.reject_with_401=true'] })
  try {
    await assert.rejects(Client.open(strict, { token: 'bad' }), error => {
      assert.equal(error.status, 401)
      assert.deepEqual(JSON.parse(error.body), { error: 'Invalid or expired token' })
      return true
    })
  } finally {
    await strict.stop()
  }
})

test('tokens and keys never reach a log', async () => {
  const token = user(system, { sub: 'a-very-special-subject' })
  const client = await Client.open(system, { token })
  await client.drain()
  client.close()
  const logs = system.processes().map(name => system.log(name)).join('\n')
  assert.ok(!logs.includes(token) && !logs.includes(token.split('.')[2]) && !logs.includes(system.jwtKey) && !logs.includes('a-very-special-subject'))
})
