// The real @staticbackend/js on its event stream, whose edge goes away: it comes back by itself, its application joins again in onAuth, as
// the documents say, and its documents' events are all there, once.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { Sb, plain, schema } from './lib/staticbackend.mjs'
import { System, until } from './lib/system.mjs'

const KEY = 'dev_memory_pk'
const account = randomUUID()
let system
const open = []
before(async () => {
  system = await System.start({ set: [`staticbackend.keys=${KEY}=app`, 'realtime.message_rate_limit=0', 'realtime.heartbeat_interval=500ms', 'staticbackend.rejoin_time=1m'] })
  await system.sql(schema('app', ['tasks_760_', 'more_760_']))
})
beforeEach(() => system.settled())
after(async () => { for (const each of open) each.close(); await system?.stop() })

const task = async table => (await system.sql(`insert into app.${table} (account_id) values ($1) returning id`, [account]))[0].id
const streams = edge => system.metric(edge, 'pgtide_staticbackend_connections')

// onAuth joins, each time.
async function application() {
  const sb = new Sb(system, KEY)
  open.push(sb)
  sb.put = message => {
    if (message.type === 'onAuth') for (const channel of ['db-tasks_760_', 'db-more_760_', 'room']) sb.send('join', channel)
    Sb.prototype.put.call(sb, message)
  }
  await sb.connect(plain(system, account, randomUUID()))
  for (let i = 0; i < 3; i++) await sb.event('joined')
  return sb
}

for (const signal of ['SIGKILL', 'SIGTERM']) {
  test(`${signal}: clients of the edge go on at the other one, and miss no document`, async () => {
    const clients = []
    while (clients.length < 4) clients.push(await application())
    // Node keeps connections for further requests, so often all of them are at one edge: that one goes.
    const [edge, other] = await streams('edge-0') > 0 ? ['edge-0', 'edge-1'] : ['edge-1', 'edge-0']
    const made = [await task('tasks_760_'), await task('more_760_')]
    for (const sb of clients) for (let i = 0; i < 2; i++) await sb.event('db_created')
    const gone = system.kill(edge, signal)
    for (let i = 0; i < 10; i++) made.push(await task('tasks_760_'), await task('more_760_'))
    await gone
    made.push(await task('tasks_760_'), await task('more_760_'))
    for (const sb of clients) {
      const got = []
      while (got.length < 22) got.push(JSON.parse((await sb.event('db_created')).data).id)
      assert.deepEqual(got.sort(), made.slice(2).sort())
    }
    // And they are where they were: in their room, and at the end of what was missed.
    for (const sb of clients) if (sb.authenticated > 1) for (let i = 0; i < 3; i++) await sb.event('joined')
    assert.ok(clients.some(sb => sb.authenticated > 1), 'some were on the edge that is gone')
    clients[0].send('chan_in', 'we are back', 'room')
    for (const sb of clients) {
      assert.equal((await sb.event('chan_out')).data, 'we are back')
      assert.deepEqual((await sb.drain()).filter(message => message.type.startsWith('db_') || message.type === 'error'), [])
      sb.close()
    }
    await until('nobody is there any more', async () => await streams(other) === 0)
    system.start(edge)
    await system.allReady()
  })
}
