// What happens to a system, drawn from a seed: the same seed gives the same list. Pure.
import { Random } from './random.mjs'

// tiers: names of processes ('tailer', 'standby', 'broker-0', …); links: names of proxies; clients: how many.
// beyondWindow: outages of clients and processes last longer than the (tiny) window.
export function makeSchedule(seed, { seconds, processes, links, clients, beyondWindow = false, postgres = true }) {
  const random = Random.derive(seed, 'schedule')
  const events = []
  const end = seconds * 1000
  for (let at = 500; at < end; at += random.between(400, 2200)) events.push({ at, ...draw(random, { processes, links, clients, beyondWindow, postgres }) })
  return cover(random, events, { end, processes, postgres })
}

function draw(random, { processes, links, clients, beyondWindow, postgres }) {
  const long = beyondWindow ? 6 : 1
  const down = random.below(1000 * long)
  const process = random.pick(processes)
  const link = random.pick(links)
  const ms = random.between(200, 3000)
  const some = random.shuffled(Array.from({ length: clients }, (_, at) => at)).slice(0, random.between(1, Math.max(1, Math.floor(clients / 2))))
  return random.weighted([
    [22, { kind: 'kill', target: process, down }],
    [10, { kind: 'term', target: process, down }],
    [14, { kind: 'stop', target: process, ms }],
    [3, { kind: 'kill-all', target: 'all', down }],
    [2, { kind: 'stop-all', target: 'all', ms }],
    [postgres ? 4 : 0, { kind: random.pick(['postgres-kill', 'postgres-immediate']), target: 'postgres', down }],
    [10, { kind: 'cut', target: link, ms: random.chance(0.5) ? 0 : random.below(2000) }],
    [8, { kind: 'stall', target: link, ms }],
    [6, { kind: 'delay', target: link, ms, delay: random.between(20, 200) }],
    [beyondWindow ? 30 : 14, { kind: random.pick(['disconnect-hard', 'disconnect-soft']), target: 'clients', clients: some, ms: random.below(beyondWindow ? 8000 : 1500) }],
  ])
}

// Every schedule that is long enough has every tier killed, all at once too, and PostgreSQL.
function cover(random, events, { end, processes, postgres }) {
  if (end < 20_000) return events
  const has = (kind, tier) => events.some(event => event.kind === kind && event.target.startsWith(tier))
  const missing = ['tailer', 'broker', 'edge'].filter(tier => !has('kill', tier))
    .map(tier => ({ kind: 'kill', target: random.pick(processes.filter(name => name.startsWith(tier))), down: random.below(1000) }))
  if (!has('kill-all', 'all')) missing.push({ kind: 'kill-all', target: 'all', down: random.below(1000) })
  if (postgres && !events.some(event => event.target === 'postgres')) missing.push({ kind: 'postgres-kill', target: 'postgres', down: random.below(1000) })
  for (const event of missing) events.push({ at: random.between(1000, end - 2000), ...event })
  return events.sort((a, b) => a.at - b.at)
}
