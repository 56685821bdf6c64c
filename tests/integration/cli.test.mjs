// The pgtide command, as a person would use it.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { Client } from './lib/client.mjs'
import { System, bin, until } from './lib/system.mjs'

const run = promisify(execFile)
let system
let env
before(async () => {
  system = await System.start()
  env = { ...process.env, ...system.env }
  await system.sql('create table users (id int primary key, name text); grant select on users to authenticated')
})
after(() => system?.stop())

const pgtide = (...args) => run(bin('pgtide'), args, { env, cwd: system.dir })
const fails = async (code, words, ...args) => {
  const error = await pgtide(...args).then(() => assert.fail(`${args.join(' ')} worked`), failure => failure)
  assert.equal(error.code, code, error.stderr)
  assert.match(error.stderr, words)
}

test('every command explains itself', async () => {
  const { stdout } = await pgtide('--help')
  for (const command of ['init', 'enable', 'disable', 'token', 'tail', 'status', 'explain', 'doctor', 'keygen']) {
    assert.ok(stdout.includes(command))
    const help = (await pgtide(command, '--help')).stdout
    assert.match(help, /Usage: pgtide/)
    assert.ok(help.length > 150, command)
  }
  await fails(2, /did you mean tail/, 'tial')
  await fails(2, /--help/, 'tail')
  await fails(2, /--help/, 'token', '--nonsense', 'x')
})

test('a token it makes is accepted', async () => {
  const token = (await pgtide('token', '--role', 'authenticated', '--sub', 'u1', '--claim', 'org={"id":7}', '--ttl', '1m')).stdout.trim()
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  assert.equal(claims.sub, 'u1')
  assert.deepEqual(claims.org, { id: 7 })
  assert.equal(claims.exp - claims.iat, 60)
  await pgtide('enable', 'users', '--database', system.databaseUrl)
  const client = await Client.open(system, { token })
  assert.equal((await client.subscribe('table:public.users')).type, 'ack')
  client.close()
})

test('tail prints changes as the server sends them, and ends after --count', async () => {
  await pgtide('enable', 'users', '--database', system.databaseUrl)
  const child = spawn(bin('pgtide'), ['tail', 'users', '--url', `${system.url}/realtime`, '--role', 'authenticated', '--count', '2'], { env, cwd: system.dir })
  let stderr = ''
  child.stderr.on('data', data => { stderr += data })
  const lines = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  const ended = new Promise(done => child.once('exit', done))
  await until('it is subscribed', async () => (await Promise.all([0, 1].map(n => system.metric(`broker-${n}`, 'pgtide_broker_subscriptions')))).some(count => count > 0))
  await system.sql(`insert into users values (1, 'Ann'); update users set name = 'Bea'`)
  assert.equal(await ended, 0, stderr)
  const changes = lines.map(line => JSON.parse(line)).filter(frame => frame.type === 'broadcast')
  assert.deepEqual(changes.map(frame => frame.payload.type), ['INSERT', 'UPDATE'])
  await fails(1, /does not exist/, 'tail', 'nothing', '--url', `${system.url}/realtime`, '--role', 'authenticated')
})

test('status tells what each process says of itself', async () => {
  const args = system.processes().filter(name => /^(tailer|broker|edge)/.test(name)).map(name => system.admin(name).replace('http://', ''))
  const { stdout } = await pgtide('status', ...args)
  for (const word of ['tailer', 'broker', 'edge']) assert.ok(stdout.includes(word), stdout)
  const parsed = JSON.parse((await pgtide('status', '--json', ...args)).stdout)
  assert.equal(JSON.stringify(parsed).includes('"ready":true'), true, JSON.stringify(parsed))
  await system.kill('edge-1')
  await assert.rejects(pgtide('status', ...args))
  system.start('edge-1')
  await system.allReady()
})

test('init against a database that is not there says so', async () => {
  await fails(1, /connect/i, 'init', '--database', 'postgres://nobody@127.0.0.1:1/nothing')
})

test('configuration errors name file, line and key', async () => {
  const { writeFileSync } = await import('node:fs')
  const file = `${system.dir}/bad.yml`
  writeFileSync(file, 'realtime:\n  heartbeat_intervall: 30s\n  max_connections: many\nshards: 0\n')
  for (const tier of ['pgtide-tailer', 'pgtide-broker', 'pgtide-edge']) {
    const error = await run(bin(tier), ['--config', file], { env: process.env }).then(() => assert.fail(), failure => failure)
    assert.equal(error.code, 2)
    assert.match(error.stderr, /bad\.yml:2.*heartbeat_interval\b/)
    assert.match(error.stderr, /bad\.yml:3.*max_connections/)
    assert.match(error.stderr, /bad\.yml:4.*shards/)
  }
  const { stdout } = await run(bin('pgtide-edge'), ['--help'])
  assert.match(stdout, /realtime\.heartbeat_interval/)
})
