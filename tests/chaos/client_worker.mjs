// A thread full of clients. Its parent tells it the truth and when to disconnect; it answers with results.
import { parentPort, workerData } from 'node:worker_threads'
import { ChaosClient } from './client.mjs'
import { Random } from './random.mjs'
import { Streams } from './streams.mjs'

const { url, plans, seed, silence } = workerData
const streams = new Streams()
const clients = plans.map(plan => new ChaosClient({ url, plan, streams, silence, random: Random.derive(seed, plan.name) }))

const ready = setInterval(() => {
  if (!clients.every(client => client.subscriptions.every(each => each.answered))) return
  clearInterval(ready)
  parentPort.postMessage({ ready: true })
}, 50)
setInterval(() => {
  for (const client of clients) {
    client.watch()
    for (const each of client.subscriptions) each.check.advance()
    client.transactions?.advance()
  }
}, 1000)

parentPort.on('message', async message => {
  if (message.truth) { streams.take(message.truth); return }
  if (message.disconnect) for (const at of message.disconnect.clients) clients[at]?.disconnect(message.disconnect.hard, message.disconnect.ms)
  if (message.finish) {
    const { lsn, deadline, finals } = message.finish
    const started = Date.now()
    const open = () => clients.filter(client => !client.complete(lsn))
    while (open().length > 0 && Date.now() - started < deadline) await new Promise(wake => setTimeout(wake, 50))
    const late = open().map(client => ({ name: client.plan.name, mode: client.plan.mode, socket: client.socket?.readyState ?? null,
      waiting: client.subscriptions.filter(each => !(each.answered && each.position?.lsn >= lsn && (!each.copy || each.copy.settled))).map(each => `${each.table} ${each.position?.text} ${each.answered}${each.copy ? ` done ${each.copy.done} settled ${each.copy.settled}` : ""}`) }))
    await new Promise(wake => setTimeout(wake, 300)) // something that comes twice at the very end
    for (const client of clients) client.end()
    parentPort.postMessage({ results: clients.map(client => client.result(finals)), late, waited: Date.now() - started })
  }
})
for (const client of clients) client.connect()
