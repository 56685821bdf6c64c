// What was promised against what came: pure, so that it can itself be tested (checker.test.mjs).
//
// A Stream is the truth of one table and event: committed changes in commit order, fed in whole transactions.
// A SubscriptionCheck is what one client got of it, across all its reconnections. Events may run ahead of the truth
// (which is read from PostgreSQL now and then) and wait for it; nothing is judged on a guess.
import { comparePositions, END_OF_TRANSACTION, formatPosition } from './position.mjs'

const SAMPLES = 5

export class Stream {
  constructor() {
    this.lsn = []
    this.index = []
    this.key = []
    this.upto = 0 // everything committed at or before this LSN is here
  }

  get length() {
    return this.lsn.length
  }

  add(lsn, index, key) {
    this.lsn.push(lsn)
    this.index.push(index)
    this.key.push(key)
  }

  // The first place whose position is not before (lsn, index).
  place(lsn, index) {
    let low = 0
    let high = this.lsn.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.lsn[middle] < lsn || (this.lsn[middle] === lsn && this.index[middle] < index)) low = middle + 1
      else high = middle
    }
    return low
  }

  at(place) {
    return { lsn: this.lsn[place], index: this.index[place] }
  }

  countOf(lsn) {
    return this.place(lsn + 1, 0) - this.place(lsn, 0)
  }

  isLast(place) {
    return place + 1 >= this.lsn.length || this.lsn[place + 1] !== this.lsn[place]
  }
}

export class SubscriptionCheck {
  // marks: whether `last` is to be checked.
  constructor(stream, name, { marks = true } = {}) {
    this.stream = stream
    this.name = name
    this.marks = marks
    this.queue = []
    this.start = null
    this.next = 0
    this.missing = [] // [from, to) places not received so far, ascending, disjoint
    this.gaps = [] // {after, to, kind}
    this.counts = { received: 0, duplicated: 0, reordered: 0, unknown: 0, badMarks: 0 }
    this.samples = []
  }

  // The subscription is complete after this position.
  begin(position) {
    if (!this.start) this.start = { lsn: position.lsn, index: position.index }
  }

  change(position, key, last) {
    this.queue.push({ lsn: position.lsn, index: position.index, key, last })
    if (this.queue.length > 64) this.advance()
  }

  // The server said that changes after `after` up to and including `to` may be missing.
  gap(after, to, kind) {
    this.gaps.push({ after: { lsn: after.lsn, index: after.index }, to: { lsn: to.lsn, index: to.index }, kind })
  }

  advance() {
    let done = 0
    while (done < this.queue.length && this.queue[done].lsn <= this.stream.upto) this.judge(this.queue[done++])
    if (done > 0) this.queue.splice(0, done)
  }

  judge(event) {
    if (this.start === null) return this.problem('unknown', event, 'a change before the subscription was acknowledged')
    if (!this.placed) {
      // Everything at or before the start is known; expectations begin behind it.
      this.next = this.stream.place(this.start.lsn, this.start.index + 1)
      this.placed = true
      this.first = this.next
    }
    const place = this.stream.place(event.lsn, event.index)
    if (place >= this.stream.length || comparePositions(this.stream.at(place), event) !== 0 || this.stream.key[place] !== event.key) {
      return this.problem('unknown', event, 'a change that was never committed there')
    }
    if (this.marks && event.last !== this.stream.isLast(place)) {
      this.problem('badMarks', event, `"last" is ${event.last}`)
    }
    if (place < this.next) {
      if (!this.takeMissing(place)) return this.problem('duplicated', event, 'came before')
      this.counts.received += 1
      return this.problem('reordered', event, 'came after later ones')
    }
    if (place > this.next) this.missing.push([this.next, place])
    this.next = place + 1
    this.counts.received += 1
  }

  takeMissing(place) {
    const at = this.missing.findIndex(([from, to]) => from <= place && place < to)
    if (at < 0) return false
    const [from, to] = this.missing[at]
    this.missing.splice(at, 1, ...[[from, place], [place + 1, to]].filter(([low, high]) => low < high))
    return true
  }

  problem(kind, event, text) {
    this.counts[kind] += 1
    if (this.samples.length < SAMPLES) this.samples.push(`${this.name}: ${kind}: ${formatPosition(event)} key ${event.key}: ${text}`)
  }

  // Call once, when the truth is whole.
  finish() {
    this.advance()
    for (const event of this.queue.splice(0)) this.problem('unknown', event, 'later than everything committed')
    if (this.start === null) return { expected: 0, lost: 0, covered: 0, gaps: this.gaps.length, ...this.counts, started: false, samples: this.samples }
    if (!this.placed) {
      this.next = this.first = this.stream.place(this.start.lsn, this.start.index + 1)
      this.placed = true
    }
    if (this.next < this.stream.length) this.missing.push([this.next, this.stream.length])
    let lost = 0
    let covered = 0
    for (const [from, to] of this.missing) {
      for (let place = from; place < to; place++) {
        const position = this.stream.at(place)
        if (this.gaps.some(gap => comparePositions(gap.after, position) < 0 && comparePositions(position, gap.to) <= 0)) covered += 1
        else {
          lost += 1
          if (this.samples.length < SAMPLES) this.samples.push(`${this.name}: lost: ${formatPosition(position)} key ${this.stream.key[place]}`)
        }
      }
    }
    return { expected: this.stream.length - this.first, lost, covered, gaps: this.gaps.length, ...this.counts, started: true, samples: this.samples }
  }
}

// A connection with ?transactions=true: whole transactions over all its streams, in commit order.
// The client hands over each transaction when its commit frame has come.
export class TransactionCheck {
  constructor(streams, name) {
    this.streams = streams
    this.name = name
    this.queue = []
    this.last = 0
    this.excused = [] // [from, to]: transactions in between may be incomplete; of those whose commit came later
    this.counts = { transactions: 0, torn: 0 }
    this.samples = []
  }

  // Changes of these transactions may rightly be missing (a new start, a declared gap). Tell it before their commits: a server
  // that declares a gap behind them has let the client take them for whole.
  excuse(from, to) {
    this.excused.push([from, to])
  }

  // missing: the client knows that it lacks a part, but not yet up to where.
  commit(changes, position, declared, { missing = false } = {}) {
    const { lsn, index } = position
    const excused = missing || this.excused.some(([from, to]) => from <= lsn && lsn <= to)
    this.queue.push({ changes, lsn, index, declared, excused })
    if (this.queue.length > 20_000) this.advance(10_000)
  }

  advance(most = Infinity) {
    const upto = Math.min(...this.streams.map(stream => stream.upto))
    let done = 0
    while (done < this.queue.length && done < most && this.queue[done].lsn <= upto) this.judge(this.queue[done++])
    if (done > 0) this.queue.splice(0, done)
  }

  judge({ changes, lsn, index, declared, excused }) {
    this.counts.transactions += 1
    const torn = text => {
      this.counts.torn += 1
      if (this.samples.length < SAMPLES) this.samples.push(`${this.name}: transaction ${formatPosition({ lsn, index })}: ${text}`)
    }
    if (index !== END_OF_TRANSACTION) return torn(`its commit has index ${index.toString(16)}`)
    if (lsn <= this.last) return torn(`commits after ${this.last.toString(16)}`)
    this.last = lsn
    if (changes.some(change => change.lsn !== lsn)) return torn('holds changes of another one')
    if (declared !== changes.length) return torn(`says ${declared} changes, brought ${changes.length}`)
    for (let at = 1; at < changes.length; at++) {
      if (changes[at].index <= changes[at - 1].index) return torn(`index ${changes[at].index} behind ${changes[at - 1].index}`)
    }
    const whole = this.streams.reduce((sum, stream) => sum + stream.countOf(lsn), 0)
    if (!excused && changes.length !== whole) torn(`has ${whole} changes, brought ${changes.length}`)
  }

  finish() {
    this.advance()
    for (const { lsn, index } of this.queue.splice(0)) {
      this.counts.torn += 1
      if (this.samples.length < SAMPLES) this.samples.push(`${this.name}: transaction ${formatPosition({ lsn, index })}: later than everything committed`)
    }
    return { ...this.counts, samples: this.samples }
  }
}

// One row of the table that run.mjs prints.
export function total(results) {
  const sum = { expected: 0, received: 0, lost: 0, covered: 0, duplicated: 0, reordered: 0, unknown: 0, badMarks: 0, gaps: 0, torn: 0, transactions: 0 }
  for (const result of results) for (const name of Object.keys(sum)) sum[name] += result[name] ?? 0
  return sum
}

// What is wrong with a run, as texts. beyondWindow: losses may happen, but only inside declared gaps.
export function verdict(sum, { beyondWindow = false } = {}) {
  const wrong = []
  const must = (count, text) => { if (count > 0) wrong.push(`${count} ${text}`) }
  must(sum.lost, 'lost without a declared gap')
  must(sum.duplicated, 'duplicated')
  must(sum.reordered, 'reordered')
  must(sum.unknown, 'received that were never committed')
  must(sum.badMarks, 'with a wrong "last"')
  must(sum.torn, 'torn transactions')
  if (!beyondWindow) {
    must(sum.gaps, 'explicit gaps although every outage was inside the window')
    must(sum.covered, 'lost in them')
  }
  return wrong
}
