// One seed: a system, its writers, its clients, a schedule of disasters, and what came of it.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { System, until } from '../integration/lib/system.mjs'
import { user } from '../integration/lib/token.mjs'
import { total, verdict } from './checker.mjs'
import { Network } from './network.mjs'
import { Random } from './random.mjs'
import { makeSchedule } from './schedule.mjs'
import { Supervisor } from './supervisor.mjs'
import { Truth } from './truth.mjs'
import { wait, Writer } from './writers.mjs'

const SETTINGS = ['database.retry_max=500ms', 'realtime.heartbeat_interval=1s', 'realtime.message_rate_limit=0', 'realtime.max_connections=10000', 'drain_timeout=5s']
const BEYOND = ['window.time=1s', 'window.bytes=1MiB', 'retention.time=2s', 'retention.bytes=16MiB']

export async function runSeed(options) {
  const run = new SeedRun(options)
  try {
    await run.prepare()
    await run.disasters()
    await run.settle()
    return await run.judge()
  } catch (error) {
    error.message += `\n${run.system?.logs(12) ?? ''}`
    run.failed = true
    throw error
  } finally {
    await run.end()
  }
}

class SeedRun {
  constructor(options) {
    Object.assign(this, options)
    this.random = Random.derive(this.seed, 'run')
    this.tableNames = Array.from({ length: this.tables }, (_, n) => `c${n}`)
    this.disconnects = {}
    this.notes = []
    this.wrong = []
  }

  say(text) {
    if (this.verbose) console.log(`${new Date().toISOString().slice(11, 23)} seed ${this.seed}: ${text}`)
  }

  async prepare() {
    this.network = await Network.make(this.shards)
    this.system = await System.start({ shards: this.shards, edges: this.edges, keep: this.keep,
      set: [...SETTINGS, ...this.network.settings, ...(this.beyondWindow ? BEYOND : []), ...this.set] })
    this.supervisor = new Supervisor(this.system, { standby: this.standby })
    if (this.standby) this.supervisor.start('standby')
    for (const table of this.tableNames) {
      await this.system.sql(`create table ${table} (id bigint primary key, mark bigint not null, pad text);
        grant select on ${table} to authenticated; grant select (id, mark) on ${table} to anon; select enable_realtime('${table}')`)
    }
    await this.system.settled()
    this.truth = new Truth(this.system.databaseUrl, batch => { for (const worker of this.workers) worker.postMessage({ truth: batch }) })
    await this.truth.create()
    const plans = Array.from({ length: this.clients }, (_, at) => this.plan(at))
    const threads = Math.min(Math.max(1, availableParallelism()), 4, plans.length)
    this.workers = await Promise.all(Array.from({ length: threads }, (_, thread) =>
      this.worker(plans.filter((__, at) => at % threads === thread), plans.map((__, at) => at).filter(at => at % threads === thread))))
    this.say(`${plans.length} clients subscribed; ${this.system.dir}`)
  }

  plan(at) {
    const { random } = this
    const mode = at % 6 === 4 && this.wholeTransactions ? 'transactions' : at % 6 === 5 && this.snapshots ? 'snapshot' : 'tables'
    const count = mode === 'snapshot' ? random.between(1, 2) : random.between(2, Math.min(5, this.tables))
    const event = () => mode === 'tables' && random.chance(0.2) ? random.pick(['INSERT', 'UPDATE', 'DELETE']) : '*'
    const subscriptions = random.shuffled(this.tableNames).slice(0, count).map(table => ({ table, event: event() }))
    for (const each of subscriptions) each.byConfig = each.event !== '*' || (mode !== 'snapshot' && random.chance(0.3))
    return { name: `client-${at}`, mode, subscriptions, token: at % 4 === 3 ? '' : user(this.system, { exp: Math.floor(Date.now() / 1000) + 86400 }) }
  }

  async worker(plans, numbers) {
    const worker = new Worker(new URL('./client_worker.mjs', import.meta.url), {
      workerData: { url: this.system.url, plans, seed: this.seed, silence: 10_000 },
    })
    worker.numbers = numbers
    worker.on('error', error => { this.workerError = error })
    await new Promise((done, fail) => {
      worker.once('error', fail)
      worker.on('message', message => { if (message.ready) done() })
      setTimeout(() => fail(new Error('the clients were not subscribed within 60 s')), 60_000).unref()
    })
    return worker
  }

  async disasters() {
    const { databaseUrl } = this.system
    this.writers = Array.from({ length: this.writerCount }, (_, number) => new Writer({ databaseUrl, number, seed: this.seed,
      tables: this.tableNames, pause: this.pause, big: number === 0 ? 5000 : 0, bigEvery: 12_000 }).run())
    this.truth.run()
    const spared = word => this.without.some(each => word.startsWith(each))
    this.victims = this.supervisor.names.filter(name => !spared(name))
    const schedule = makeSchedule(this.seed, { seconds: this.seconds, processes: this.supervisor.names, links: this.network.links,
      clients: this.clients, beyondWindow: this.beyondWindow, postgres: this.postgres }).filter(event => !spared(event.kind) && !spared(event.target))
    const started = Date.now()
    for (const event of schedule) {
      await this.waitUntil(started + event.at)
      this.say(`${event.kind} ${event.target}${event.down === undefined ? '' : `, back after ${event.down} ms`}${event.ms === undefined ? '' : `, ${event.ms} ms`}`)
      this.do(event)
    }
    await this.waitUntil(started + this.seconds * 1000)
  }

  async waitUntil(time) {
    for (;;) {
      if (this.workerError) throw this.workerError
      this.crashed()
      const left = time - Date.now()
      if (left <= 0) return
      await wait(Math.min(left, 200))
    }
  }

  // A process that ended although nobody ended it: a defect, whatever the clients received.
  crashed() {
    const { supervisor } = this
    for (const name of supervisor.names) {
      if (supervisor.busy.has(name) || supervisor.alive(name)) continue
      this.wrong.push(`${name} ended by itself`)
      supervisor.start(name)
      supervisor.with([name], () => until(`${name} runs`, () => supervisor.alive(name)))
    }
  }

  do(event) {
    const { supervisor, network } = this
    const { kind, target, down, ms } = event
    switch (kind) {
      case 'kill': return supervisor.end([target], 'SIGKILL', down)
      case 'term': return supervisor.end([target], 'SIGTERM', down)
      case 'stop': return supervisor.pause([target], ms)
      case 'kill-all': return supervisor.end(this.victims, 'SIGKILL', down)
      case 'stop-all': return supervisor.pause(this.victims, ms)
      case 'postgres-kill':
      case 'postgres-immediate': return supervisor.postgres(kind, down)
      case 'disconnect-hard':
      case 'disconnect-soft':
        this.disconnects[kind] = (this.disconnects[kind] ?? 0) + event.clients.length
        for (const worker of this.workers) {
          worker.postMessage({ disconnect: { hard: kind === 'disconnect-hard', ms, clients: worker.numbers.map((number, at) => event.clients.includes(number) ? at : -1).filter(at => at >= 0) } })
        }
        return
      default: return network.fault(event)
    }
  }

  async settle() {
    await this.network.settle()
    await this.supervisor.settle()
    this.say('the last disaster is over')
    await Promise.all(this.writers.map(writer => writer.stop()))
    await until('PostgreSQL answers', async () => { await this.system.connect(); return this.system.sql('select 1') }, { deadline: 60_000 })
    // One of each kind for each table, in one transaction: whoever knows its position knows everything.
    await this.system.sql(`begin;${this.tableNames.map(table => `insert into ${table} values (-1, 9e15, ''); update ${table} set mark = 9e14 where id = -1;
      delete from ${table} where id = -1;`).join('')}commit`)
    const [{ lsn }] = await this.system.sql(`select (pg_current_wal_flush_lsn() - '0/0')::text as lsn`)
    await this.truth.stop()
    let reads = 0
    await until('the truth is whole', async () => {
      await this.system.sql(`select pg_logical_emit_message(false, 'chaos', 'on')`)
      await this.truth.read()
      return ++reads >= 2 && this.truth.parser.after < Number(lsn) && this.truth.flushed >= Number(lsn)
    }, { deadline: 60_000 })
    await this.truth.read()
    this.barrier = this.truth.parser.after
  }

  async judge() {
    const finals = {}
    if (this.snapshots) for (const table of this.tableNames) finals[table] = (await this.system.sql(`select id, mark from ${table}`)).map(row => [Number(row.id), Number(row.mark)])
    const answers = await Promise.all(this.workers.map(worker => new Promise((done, fail) => {
      worker.once('error', fail)
      worker.on('message', message => { if (message.results) done(message) })
      worker.postMessage({ finish: { lsn: this.barrier, deadline: this.patience, finals } })
    })))
    const clients = answers.flatMap(answer => answer.results).sort((a, b) => Number(a.name.split('-')[1]) - Number(b.name.split('-')[1]))
    const late = answers.flatMap(answer => answer.late)
    const sum = total(clients.flatMap(client => client.results))
    const closes = {}
    for (const client of clients) for (const [code, count] of Object.entries(client.closes)) closes[code] = (closes[code] ?? 0) + count
    this.wrong.push(...verdict(sum, { beyondWindow: this.beyondWindow }))
    const violations = clients.reduce((all, client) => all + client.counts.violations, 0)
    if (violations > 0) this.wrong.push(`${violations} frames against the protocol`)
    const never = clients.flatMap(client => client.results).filter(result => result.started === false).length
    if (never > 0) this.wrong.push(`${never} subscriptions were never acknowledged`)
    if (late.length > 0) this.wrong.push(`${late.length} clients had not caught up ${this.patience} ms after the end`)
    if (this.beyondWindow && sum.gaps === 0) this.wrong.push('nobody saw a gap: this schedule proves nothing about them')
    this.notes.push(...this.supervisor.log, ...late.slice(0, 8).map(each => `late: ${JSON.stringify(each)}`))
    const [first] = this.writers
    this.result = { seed: this.seed, seconds: this.seconds, beyondWindow: this.beyondWindow, clients, sum, closes,
      changes: this.truth.changes, transactions: this.truth.transactions, rolledBack: this.writers.reduce((all, writer) => all + writer.counts.rolledBack, 0),
      big: first.counts.big, kills: this.supervisor.kills, faults: this.network.faults, disconnects: this.disconnects,
      recovery: Math.max(...answers.map(answer => answer.waited)), samples: clients.flatMap(client => client.samples), notes: this.notes, wrong: this.wrong }
    if (this.wrong.length > 0 && this.keepFailed) this.system.keep = true
    return this.result
  }

  async end() {
    await this.truth?.stop()
    for (const writer of this.writers ?? []) writer.stopped = true
    await Promise.all((this.workers ?? []).map(worker => worker.terminate()))
    await this.network?.settle()
    if (this.supervisor) {
      while (this.supervisor.work.size > 0) await Promise.all(this.supervisor.work)
      await this.supervisor.stopStandby()
    }
    if (this.failed && this.keepFailed && this.system) this.system.keep = true
    try {
      await this.system?.stop()
    } catch (error) {
      if (!this.result) throw error
      this.wrong.push(error.message)
    }
    await this.network?.stop()
    if (this.system?.keep) console.log(`kept: ${this.system.dir}`)
  }
}
