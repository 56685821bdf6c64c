// What Engine.IO does by the clock: pings, a client that is silent, one that joins nothing, an upgrade that is not seen through, and
// that all of it is configuration. Clients that answer are served over many pings.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EngineIo, PATH, customers } from './lib/engineio.mjs'
import { connect, llanaTables, token } from './lib/llana.mjs'
import { System, until } from './lib/system.mjs'

let system, eio
before(async () => {
  system = await System.start({ set: ['llana.failure_delay=0', 'llana.ping_interval=300ms', 'llana.ping_timeout=5s', 'llana.upgrade_timeout=500ms', 'llana.connect_timeout=4s'] })
  await llanaTables(system)
  await system.sql(customers)
  await system.settled()
  eio = new EngineIo(system)
})
after(() => system?.stop())

const open = async () => JSON.parse((await eio.ask(PATH)).text.slice(1))

for (const [mode, transports] of Object.entries({ polling: ['polling'], websocket: ['websocket'], default: undefined })) {
  test(`${mode}: a client is served over many pings`, async () => {
    const client = await connect(system, { table: 'Customer', token: token(system, 1), transports })
    let pings = 0
    client.socket.io.on('ping', () => { pings++ })
    await until('three pings', () => pings >= 3)
    const [{ custId }] = await system.sql(`insert into "Customer" select coalesce(max("custId"), 0) + 1, 'x' from "Customer" returning "custId"`)
    assert.deepEqual(await client.take(1), [{ type: 'INSERT', custId: String(custId) }])
    assert.deepEqual(client.drops, [])
    client.close()
  })
}

test('pings come when they should, and silence ends it', async () => {
  const { sid, pingInterval, pingTimeout } = await open()
  assert.deepEqual([pingInterval, pingTimeout], [300, 5000])
  for (let i = 0; i < 3; i++) {
    assert.equal((await eio.poll(sid)).text, '2')
    assert.equal((await eio.post(sid, '3')).text, 'ok')
  }
  assert.equal((await eio.poll(sid)).text, '2')
  assert.equal((await eio.poll(sid)).text, '1', 'the poll that waits is told')
  assert.equal((await eio.poll(sid)).status, 400)
})

test('a client that joins no namespace is closed, over either transport', async () => {
  const { sid } = await open()
  const raw = await eio.websocket()
  const polled = (async () => {
    for (;;) {
      const { text } = await eio.poll(sid)
      if (text === '1') return
      assert.equal(text, '2')
      await eio.post(sid, '3')
    }
  })()
  await assert.rejects(async () => { for (;;) await raw.text() }, /ended/)
  await polled
})

test('an upgrade that is not seen through is given up, and polling goes on', async () => {
  const sid = await eio.joined()
  for (const far of [[], ['2probe']]) {
    const raw = await eio.websocket(sid)
    for (const text of far) raw.say(text)
    assert.equal(await raw.closeCode(), 1008)
    raw.destroy()
    const [{ custId }] = await system.sql(`insert into "Customer" select coalesce(max("custId"), 0) + 1, 'x' from "Customer" returning "custId"`)
    assert.ok((await eio.packets(sid, packet => packet.startsWith('42'))).some(packet => packet.includes(`"${custId}"`)))
  }
})

test('SIGHUP: what the next client is told is what the file says', async () => {
  const file = join(system.dir, 'pgtide.yml')
  writeFileSync(file, `${readFileSync(file, 'utf8')}\nllana:\n  max_payload: 1234567\n`)
  for (const edge of ['edge-0', 'edge-1']) await system.kill(edge, 'SIGHUP')
  for (const edge of ['edge-0', 'edge-1']) await until(`${edge} has read it`, async () => (await system.metric(edge, 'pgtide_config_reloads_total', 'result="ok"')) === 1)
  assert.equal((await open()).maxPayload, 1234567)
})
