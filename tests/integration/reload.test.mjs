// SIGHUP on running processes: what changes at once, what is only named, and a file that is wrong.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Client } from './lib/client.mjs'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const TIERS = ['tailer', 'broker-0', 'edge-0']
let system, file, original
before(async () => {
  system = await System.start({ shards: 1, edges: 1 })
  await system.sql(`create table t (id serial primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
  file = join(system.dir, 'pgtide.yml')
  original = readFileSync(file, 'utf8')
})
after(() => system?.stop())

// Writes the original file with further keys of `realtime` and further groups, and has `tiers` read it; resolves to what each logged.
async function reload(realtime, rest, tiers, { result = 'ok' } = {}) {
  writeFileSync(file, original.replace('realtime:\n', `realtime:\n${realtime}`) + rest)
  const reloads = name => system.metric(name, 'pgtide_config_reloads_total', `result="${result}"`)
  const said = []
  for (const name of tiers) {
    const was = await reloads(name)
    const from = system.log(name).length
    await system.kill(name, 'SIGHUP')
    await until(`${name} has read it`, async () => (await reloads(name)) === was + 1)
    said.push(system.log(name).slice(from))
  }
  return said
}

test('log.level and log.format change in every tier', async () => {
  for (const log of await reload('', 'log: {level: debug, format: json}\n', TIERS)) {
    assert.match(log, /^\{"time":"[^"]*","level":"info","tier":"[a-z0-9-]+","event":"config.reloaded","option":"log.level,log.format"\}$|config.reloaded option=log.level,log.format$/m)
    assert.doesNotMatch(log, /needs_restart|not_reloaded/)
  }
  for (const log of await reload('', '', TIERS)) assert.match(log, /"event":"config.reloaded","option":"log.level,log.format"/)
})

test('message rate, subscriptions and message size change for a client that is connected', async () => {
  const client = await Client.open(system, { token: user(system) })
  const say = async () => {
    client.send({ type: 'unsubscribe', channel: 'table:public.nothing' })
    return (await client.take(frame => frame.type === 'error')).code
  }
  for (let n = 0; n < 10; n++) assert.equal(await say(), 'SUBSCRIPTION_FAILED')
  await reload('  message_rate_limit: 1\n', '', ['edge-0'])
  assert.equal(await say(), 'RATE_LIMITED')
  await reload('  message_rate_limit: 0\n  max_subscriptions_per_connection: 1\n', '', ['edge-0'])
  for (let n = 0; n < 10; n++) assert.equal(await say(), 'SUBSCRIPTION_FAILED')
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  client.send({ type: 'subscribe', channel: 'again', config: { event: '*', schema: 'public', table: 't' } })
  assert.match((await client.take(frame => frame.type === 'error')).message, /1/)
  await reload('  max_message_size: 128\n', '', ['edge-0'])
  client.send({ type: 'ping', pad: 'x'.repeat(200) })
  assert.equal((await client.closing()).code, 1009)
})

test('connections, heartbeat and timeout change for clients that are connected', async () => {
  const first = await Client.open(system, { token: user(system) })
  await reload('  max_connections: 1\n  heartbeat_interval: 100ms\n', '', ['edge-0'])
  await first.take(frame => frame.type === 'heartbeat') // the one under way was 15 s away or more
  const second = await Client.open(system, { token: user(system) })
  assert.equal((await second.closing()).code, 1013)
  await reload('  max_connections: 2\n', '', ['edge-0'])
  const third = await Client.open(system, { token: user(system) })
  await third.drain()
  first.close(); third.close()
})

test('a mistake is logged with its line and changes nothing', async () => {
  const lines = original.split('\n').length
  const logs = await reload('  max_connections: 3\n', 'log: {level: loud}\nshrads: 2\n', TIERS, { result: 'refused' })
  for (const log of logs) {
    assert.match(log, new RegExp(`error \\S+ config.not_reloaded problem="[^"]*pgtide.yml:${lines + 2}: shrads: unknown key; did you mean shards\\?"`))
    assert.match(log, new RegExp(`config.not_reloaded problem="[^"]*pgtide.yml:${lines + 1}: log.level: `))
    assert.doesNotMatch(log, /config.reloaded/)
  }
  assert.ok((await Promise.all(TIERS.map(name => system.readyz(name)))).every(each => each.ok))
})

test('an option that needs a restart is named, and the rest of the file takes effect', async () => {
  const [log] = await reload('  max_connections: 7\n', 'auth: {anon_role: nobody, leeway: 9s}\n', ['edge-0'])
  assert.match(log, /info \S+ config.reloaded option=realtime.max_connections,auth.leeway$/m)
  assert.match(log, /warn \S+ config.needs_restart option=auth.anon_role /)
  await reload('', '', ['edge-0'])
})

test('changes keep coming across reloads', async () => {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  for (let n = 0; n < 10; n++) {
    await Promise.all([system.sql(`insert into t (v) select 'x' from generate_series(1, 100)`), reload(`  client_budget: ${10 + n}MiB\n`, '', TIERS)])
  }
  for (let n = 1; n <= 1000; n++) assert.equal((await client.change('INSERT')).payload.record.id, n)
  client.close()
})
