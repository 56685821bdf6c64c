// From SIGKILL of a process to the first change that a client gets which was committed after the kill. A supervisor that
// starts it again at once is assumed, as systemd, docker and Kubernetes are; the tailer has a standby.
//   node tests/bench/recovery.mjs [--rounds 10]
import { cpus } from 'node:os'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, until } = await import('../integration/lib/system.mjs')
const { Client } = await import('../integration/lib/client.mjs')
const { user } = await import('../integration/lib/token.mjs')

const at = process.argv.indexOf('--rounds')
const rounds = at < 0 ? 10 : Number(process.argv[at + 1])
const system = await System.start({ shards: 1, edges: 2 })
let next = 1
let since = null

async function listen() {
  const client = await Client.open(system, { token: user(system) })
  client.send({ type: 'subscribe', channel: 'table:public.t', ...(since ? { since } : {}) })
  const ack = await client.take(frame => frame.type === 'ack' || frame.type === 'error')
  if (ack.type !== 'ack') throw new Error(JSON.stringify(ack))
  return client
}

// Writes a row every few milliseconds from the kill on, and measures until the first of them is there.
async function measure(kill, client, reconnect) {
  const first = next
  let writing = true
  const writer = (async () => {
    while (writing) {
      await system.sql('insert into t values ($1)', [next++])
      await new Promise(wake => setTimeout(wake, 5))
    }
  })()
  const started = performance.now()
  await kill()
  for (;;) {
    let change
    try {
      change = await client.change('INSERT')
    } catch (error) {
      if (!reconnect) throw error
      client = await until('a client is back', listen, { every: 5 })
      continue
    }
    since = change.payload.id
    if (change.payload.record.id >= first) break
  }
  const took = performance.now() - started
  writing = false
  await writer
  for (let seen = first; seen < next - 1;) {
    const change = await client.change('INSERT')
    since = change.payload.id
    seen = change.payload.record.id
  }
  return [took, client]
}

async function series(name, kill, { reconnect = false, prepare = async () => {} } = {}) {
  let client = await listen()
  const times = []
  for (let n = 0; n < rounds; n++) {
    await prepare()
    const [took, after] = await measure(kill, client, reconnect)
    client = after
    times.push(took)
    for (const each of ['broker-0', 'edge-0', 'edge-1']) {
      await until(`${each} is ready`, async () => (await system.readyz(each)).ok, { deadline: 60_000 })
    }
  }
  client.close()
  times.sort((a, b) => a - b)
  console.log(`${name}: median ${times[rounds >> 1].toFixed(0)} ms, largest ${times[rounds - 1].toFixed(0)} ms of ${rounds}`)
}

try {
  await system.sql(`create table t (id int primary key); grant select on t to authenticated; select enable_realtime('t')`)
  await series('broker', async () => { await system.kill('broker-0'); system.start('broker-0') })
  await series('edge (client comes back to the other one)', async () => {
    await Promise.all(['edge-0', 'edge-1'].map(name => system.kill(name)))
    system.start('edge-0'); system.start('edge-1')
  }, { reconnect: true })
  let standby = system.standby('tailer')
  let active = true
  await until('it stands by', () => /standby/.test(system.log('tailer-standby')))
  await series('tailer (standby takes over)', async () => {
    // Whoever has the slot is killed; the other one takes over, and the killed one becomes the next standby.
    if (active) {
      await system.kill('tailer')
      system.start('tailer')
    } else {
      process.kill(standby.pid, 'SIGKILL')
      standby = system.standby('tailer')
    }
  }, { prepare: async () => { active = (await system.readyz('tailer').catch(() => ({ ok: false }))).ok } })
  await standby.stop()
  console.log(`machine: ${cpus().length} × ${cpus()[0].model}`)
} finally {
  await system.stop()
}
