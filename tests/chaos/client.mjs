// A client that only knows the published protocol (docs/protocol-fluxbase.md) and comes back by it after everything.
// It feeds checkers; it repairs nothing.
import WebSocket from 'ws'
import { SubscriptionCheck, TransactionCheck } from './checker.mjs'
import { later, parsePosition } from './position.mjs'
import { SnapshotCopy } from './snapshot_copy.mjs'
import { changeKey } from './truth.mjs'

const UNANSWERED = 20_000 // a subscribe without an answer
const RETRY = 300

export class ChaosClient {
  // plan: {name, mode: tables|transactions|snapshot, subscriptions: [{table, event, byConfig}], token}
  constructor({ url, plan, streams, random, silence }) {
    Object.assign(this, { url, plan, random, silence })
    this.counts = { connects: 0, resumed: 0, gone: 0, refused: 0, silent: 0, unanswered: 0, violations: 0, stale: 0 }
    this.closes = {}
    this.samples = []
    this.subscriptions = plan.subscriptions.map((wanted, at) => this.subscription(wanted, at, streams))
    this.byChannel = new Map(this.subscriptions.map(each => [each.channel, each]))
    if (plan.mode === 'transactions') this.transactions = new TransactionCheck(this.subscriptions.map(each => each.check.stream), plan.name)
    this.partial = []
    this.away = false
    this.failures = 0
  }

  subscription({ table, event, byConfig }, at, streams) {
    const channel = byConfig ? `room-${at}-${table}` : `table:public.${table}`
    const name = `${this.plan.name} ${table}${event === '*' ? '' : ` ${event}`}`
    return { channel, table, event, byConfig, name, position: null, answered: false, asked: null, gone: null,
      check: new SubscriptionCheck(streams.of(table, event), name), copy: this.plan.mode === 'snapshot' ? new SnapshotCopy(name) : null }
  }

  note(text) {
    this.counts.violations += 1
    if (this.samples.length < 5) this.samples.push(`${this.plan.name}: ${text}`)
  }

  connect() {
    if (this.ended || this.away || this.socket) return
    const query = [this.plan.token && `token=${this.plan.token}`, this.plan.mode === 'transactions' && 'transactions=true'].filter(Boolean).join('&')
    const socket = new WebSocket(`${this.url}/realtime?${query}`, { perMessageDeflate: false, handshakeTimeout: 10_000 })
    this.socket = socket
    this.retryAfter = null
    this.partial = [] // of a transaction whose commit did not come: it comes again
    this.heard = Date.now()
    for (const each of this.subscriptions) each.answered = false
    socket.on('open', () => {
      this.counts.connects += 1
      this.failures = 0
      this.subscribe(...this.subscriptions)
    })
    socket.on('message', data => this.socket === socket && this.hear(JSON.parse(data)))
    socket.on('ping', () => { this.heard = Date.now() })
    socket.on('error', () => {})
    socket.on('unexpected-response', (_, response) => {
      this.retryAfter = Number(response.headers['retry-after']) * 1000
      this.closes[`HTTP ${response.statusCode}`] = (this.closes[`HTTP ${response.statusCode}`] ?? 0) + 1
      socket.terminate()
    })
    socket.on('close', (code, reason) => {
      if (this.socket !== socket) return
      this.socket = null
      this.closes[code] = (this.closes[code] ?? 0) + 1
      const hint = this.retryAfter || Number(/retry_ms=(\d+)/.exec(reason)?.[1]) || 0
      const pause = Math.min(2000, 50 * 1.6 ** Math.min(this.failures++, 8)) * (0.5 + this.random.next())
      this.later(Math.min(hint, 3000) + pause, () => this.connect())
    })
  }

  later(ms, work) {
    setTimeout(() => { if (!this.ended) work() }, ms)
  }

  // In one frame: whole transactions need all of them to go on at one moment.
  subscribe(...wanted) {
    if (this.socket?.readyState !== WebSocket.OPEN) return
    const messages = wanted.map(each => {
      const how = this.howToGoOn(each)
      each.asked = { ...how, at: Date.now(), socket: this.socket }
      each.answered = false
      if (each.byConfig) return { type: 'subscribe', channel: each.channel, config: { event: each.event, schema: 'public', table: each.table, ...how } }
      return { type: 'subscribe', channel: each.channel, ...how }
    })
    this.send(messages.length > 1 ? messages : messages[0])
  }

  howToGoOn(each) {
    if (each.copy && !each.copy.settled) return each.copy.ask()
    return each.position && !each.gone ? { since: each.position.text } : {}
  }

  send(message) {
    this.socket.send(JSON.stringify(message))
  }

  hear(frame) {
    this.heard = Date.now()
    const each = this.byChannel.get(frame.channel)
    switch (frame.type) {
      case 'broadcast':
      case 'postgres_changes':
        return each ? this.change(each, frame.payload) : this.note(`a change on ${frame.channel}`)
      case 'commit': return this.commit(frame.payload)
      case 'ack': return each ? this.ack(each, frame.payload) : this.note(`an ack for ${frame.channel}`)
      case 'error': return this.refused(each, frame)
      case 'gap': return each ? this.gap(each, frame.payload) : this.note(`a gap on ${frame.channel}`)
      case 'heartbeat': return frame.payload?.id && this.progress(parsePosition(frame.payload.id))
      case 'snapshot': return each?.copy ? each.copy.page(frame.payload) : this.note(`a snapshot on ${frame.channel}`)
      case 'stale': this.counts.stale += 1; return
      case 'fresh': return
      default: this.note(`a frame of type ${frame.type}`)
    }
  }

  ack(each, payload) {
    const position = parsePosition(payload.id)
    each.answered = true
    if (each.asked.since) {
      if (payload.resumed !== true) this.note(`${each.channel}: since ${each.asked.since} was acknowledged without "resumed": ${JSON.stringify(payload)}`)
      else this.counts.resumed += 1
      return
    }
    if (each.copy) { each.gone = null; if (!each.position) each.check.begin(position); return }
    if (each.gone) this.missed(each, each.gone, position, 'gone')
    else if (!each.position) this.transactions?.excuse(0, position.lsn)
    else this.note(`${each.channel}: acknowledged twice`)
    each.check.begin(position)
    each.gone = null
    each.position = later(each.position, position)
  }

  refused(each, frame) {
    if (!each) { this.note(JSON.stringify(frame)); return }
    if (frame.code === 'RESUME_GONE') {
      this.counts.gone += 1
      if (each.copy) each.copy.reset()
      else if (!each.position) this.note(`${each.channel}: RESUME_GONE without since`)
      each.gone = each.position
      each.reason = frame.payload?.reason
      return this.subscribe(each)
    }
    this.counts.refused += 1
    const { socket } = this
    if (this.transactions) { // again all together, or the order is lost; what comes from now on lacks this one
      socket.removeAllListeners('message')
      this.retryAfter = RETRY
      return socket.terminate()
    }
    this.later(RETRY, () => { if (this.socket === socket) this.subscribe(each) })
  }

  change(each, payload) {
    const position = parsePosition(payload.id)
    if (each.copy) {
      if (each.position && position.lsn === each.position.lsn ? position.index <= each.position.index : position.lsn < each.position?.lsn) {
        if (each.copy.settled) each.check.counts.duplicated += 1
        return // allowed while a snapshot goes on from its token: known by its id
      }
      each.position = position
      return each.copy.change(payload)
    }
    const key = changeKey(payload.type, payload.record, payload.old_record)
    if (this.transactions) this.partial.push({ each, key, position, last: payload.last, lsn: position.lsn, index: position.index })
    else {
      each.check.change(position, key, payload.last)
      each.position = later(each.position, position)
    }
  }

  commit(payload) {
    const position = parsePosition(payload.id)
    if (!this.transactions) return this.note('a commit frame that was not asked for')
    for (const { each, key, position: at, last } of this.partial) each.check.change(at, key, last)
    this.transactions.commit(this.partial.map(({ lsn, index }) => ({ lsn, index })), position, payload.changes, { missing: this.misses(position) })
    this.partial = []
    // A commit is of the connection: what it does not hold has no part in it.
    for (const each of this.subscriptions) if (each.answered && !each.gone) each.position = later(each.position, position)
  }

  // Whether one has not begun yet, or is gone, before this position: until its answer nobody can say up to where.
  misses(position) {
    return this.subscriptions.some(each => !each.position || each.gone?.lsn <= position.lsn)
  }

  gap(each, payload) {
    if (each.copy) { each.copy.reset(); each.position = null; this.counts.gone += 1; return this.socket?.terminate() }
    this.missed(each, parsePosition(payload.after), parsePosition(payload.id), 'gap')
    each.position = later(each.position, parsePosition(payload.id))
  }

  missed(each, after, to, kind) {
    each.check.gap(after, to, kind)
    this.transactions?.excuse(after.lsn, to.lsn)
  }

  // Everything up to here was delivered on all subscriptions of this connection.
  progress(position) {
    if (this.subscriptions.some(each => !each.answered)) return
    if (this.partial.length > 0 && position.lsn >= this.partial[0].lsn) this.note(`heartbeat ${position.text} inside transaction ${this.partial[0].lsn.toString(16)}`)
    for (const each of this.subscriptions) {
      if (each.gone) continue
      if (each.copy && !each.copy.progressed()) continue
      each.position = later(each.position, position)
    }
  }

  // Looked at every second: what a patient client does about silence.
  watch() {
    if (this.socket?.readyState !== WebSocket.OPEN) return
    if (Date.now() - this.heard > this.silence) { this.counts.silent += 1; return this.socket.terminate() }
    const waiting = this.subscriptions.find(each => !each.answered && each.asked?.socket === this.socket && Date.now() - each.asked.at > UNANSWERED)
    if (waiting) { this.counts.unanswered += 1; this.socket.terminate() }
  }

  disconnect(hard, ms) {
    this.away = true
    if (hard) this.socket?.terminate()
    else this.socket?.close(1000)
    this.later(ms, () => { this.away = false; if (!this.socket) this.connect() })
  }

  // Whether it knows everything up to `lsn`.
  complete(lsn) {
    return this.subscriptions.every(each => each.answered && !each.gone && each.position?.lsn >= lsn && (!each.copy || each.copy.settled))
  }

  end() {
    this.ended = true
    this.socket?.terminate()
  }

  result(finals) {
    const results = this.subscriptions.map(each => each.copy ? each.copy.finish(each.check, finals[each.table]) : each.check.finish())
    const torn = this.transactions?.finish()
    const samples = [...this.samples, ...results.flatMap(each => each.samples), ...(torn?.samples ?? [])]
    return { name: this.plan.name, mode: this.plan.mode, results: torn ? [...results, torn] : results, counts: this.counts, closes: this.closes, samples }
  }
}
