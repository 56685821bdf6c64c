// The links between tiers: encrypted when there is a key, closed to others, refused beyond this host without one.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Client } from './lib/client.mjs'
import { System, bin, freePort, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const run = promisify(execFile)
let system
let keys
before(async () => {
  keys = mkdtempSync(join(tmpdir(), 'pgtide-keys-'))
  for (const name of ['ours', 'theirs']) await run(bin('pgtide'), ['keygen', join(keys, name)])
  const ports = await Promise.all(Array.from({ length: 2 }, freePort))
  system = await System.start({ set: [`links.key_file=${join(keys, 'ours')}`,
    `links.tailer_publish=tcp://127.0.0.1:${ports[0]}`, `links.tailer_control=tcp://127.0.0.1:${ports[1]}`] })
  await system.sql(`create table t (id int primary key, v text); grant select on t to authenticated; select enable_realtime('t')`)
})
after(async () => {
  await system?.stop()
  rmSync(keys, { recursive: true, force: true })
})

test('with a key every frame goes over PUB, encrypted; replay is for losses only', async () => {
  const client = await Client.open(system, { token: user(system) })
  assert.equal((await client.subscribe('table:public.t')).type, 'ack')
  const total = async (metric, names) => (await Promise.all(names.map(name => system.metric(name, metric)))).reduce((a, b) => a + b, 0)
  const receivers = ['broker-0', 'broker-1', 'edge-0', 'edge-1']
  const was = [await total('pgtide_link_received_frames_total', receivers), await total('pgtide_link_replayed_frames_total', receivers)]
  for (let n = 0; n < 100; n++) {
    await system.sql('insert into t values ($1, $2)', [n, 'x'])
    assert.equal((await client.change('INSERT')).payload.record.id, n)
  }
  const received = (await total('pgtide_link_received_frames_total', receivers)) - was[0]
  const replayed = (await total('pgtide_link_replayed_frames_total', receivers)) - was[1]
  assert.ok(received >= 200, `${received} frames`)
  assert.ok(replayed <= received / 20, `${replayed} of ${received} frames came by replay`)
  client.close()
})

test('another key, or none, gets nothing; the attempt is counted', async () => {
  const failures = () => Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_link_handshake_failures_total'))).then(all => all[0] + all[1])
  for (const key of [join(keys, 'theirs'), '']) {
    const port = await freePort()
    const intruder = spawn(bin('pgtide-edge'), ['--config', join(system.dir, 'pgtide.yml'), '--set', `links.key_file=${key}`,
      '--set', `admin.edge_listen=127.0.0.1:${port}`, '--set', `realtime.listen=127.0.0.1:${await freePort()}`], { stdio: 'ignore' })
    const ended = new Promise(done => intruder.once('exit', done))
    try {
      await until('it runs', () => fetch(`http://127.0.0.1:${port}/livez`).then(answer => answer.ok))
      const was = await failures()
      await until('its attempts are refused', async () => (await failures()) > was)
      const again = await failures()
      await until('and it does not give up', async () => (await failures()) > again)
      assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 503)
    } finally {
      intruder.kill('SIGTERM')
      await ended
    }
  }
  assert.ok((await system.readyz('edge-0')).ok, 'the others notice nothing')
})

// ZeroMQ itself never comes back to an address where something answered that it cannot talk to.
test('another program answered at the addresses of a shard for a while: the edges come back to the shard', async () => {
  const client = await Client.open(system, { token: user(system) })
  const paths = ['pub', 'ctl'].map(end => join(system.dir, `run/sockets.d/shard-0.${end}`))
  const reconnects = () => Promise.all([0, 1].map(n => system.metric(`edge-${n}`, 'pgtide_link_reconnects_total'))).then(all => all[0] + all[1])
  await system.kill('broker-0')
  const open = new Set()
  const others = await Promise.all(paths.map(async path => {
    rmSync(path, { force: true })
    const greeting = Buffer.alloc(64)
    Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, ...Buffer.from('PLAIN')]).copy(greeting)
    const server = createServer(socket => { server.calls += 1; open.add(socket); socket.on('error', () => {}).write(greeting) })
    server.calls = 0
    await new Promise(done => server.listen(path, done))
    return server
  }))
  try {
    await until('both edges have called', () => others.every(server => server.calls >= 2))
    const was = await reconnects()
    await until('and call again', async () => (await reconnects()) >= was + 2)
  } finally {
    for (const socket of open) socket.destroy()
    await Promise.all(others.map(server => new Promise(done => server.close(done))))
  }
  system.start('broker-0')
  await system.allReady()
  for (let n = 0; n < 8; n++) {
    await system.sql(`create table back${n} (id int primary key); grant select on back${n} to authenticated; select enable_realtime('back${n}')`)
    assert.equal((await client.subscribe(`table:public.back${n}`)).type, 'ack')
    await system.sql(`insert into back${n} values (1)`)
    assert.equal((await client.change('INSERT')).payload.table, `back${n}`)
  }
  client.close()
})

test('a key file that others can read, or that is no key, is refused', async () => {
  const fails = async (file, words) => {
    const error = await run(bin('pgtide-edge'), ['--set', `links.key_file=${file}`, '--set', 'admin.edge_listen=127.0.0.1:0', '--set', 'realtime.listen=127.0.0.1:0'], { timeout: 20_000 })
      .then(() => assert.fail('it started'), failure => failure)
    assert.equal(error.code, 1)
    assert.match(error.stderr, words)
  }
  await fails(join(keys, 'missing'), /missing/)
  chmodSync(join(keys, 'theirs'), 0o644)
  await fails(join(keys, 'theirs'), /chmod|others|0600|permission/i)
})

test('without a key no tier binds an address beyond this host', async () => {
  const error = await run(bin('pgtide-broker'), ['--set', 'database.url=postgres://nobody@127.0.0.1:1/x', '--set', 'links.broker_publish_bind=tcp://0.0.0.0:0', '--set', 'admin.broker_listen=127.0.0.1:0',
    '--set', `links.broker_control_bind=ipc://${join(keys, 'ctl')}`], { timeout: 20_000 }).then(() => assert.fail('it started'), failure => failure)
  assert.equal(error.code, 1)
  assert.match(error.stderr, /key_file/)
})
