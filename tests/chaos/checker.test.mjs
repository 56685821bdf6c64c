// The checker is what says "nothing was lost": each fault it is there for is planted and must be found.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stream, SubscriptionCheck, TransactionCheck, total, verdict } from './checker.mjs'
import { END_OF_TRANSACTION, formatPosition, later, parsePosition } from './position.mjs'
import { Random } from './random.mjs'

// Ten transactions of three changes: LSN 100, 200, …; indexes 0, 1, 2; key 1000 + place.
function truth({ upto = 10_000 } = {}) {
  const stream = new Stream()
  for (let place = 0; place < 30; place++) stream.add(100 * (1 + Math.floor(place / 3)), place % 3, 1000 + place)
  stream.upto = upto
  return stream
}
const places = (from = 0, to = 30) => Array.from({ length: to - from }, (_, n) => from + n)

function run(order, { stream = truth(), start = { lsn: 0, index: 0 }, gaps = [], last = place => place % 3 === 2 } = {}) {
  const check = new SubscriptionCheck(stream, 'test')
  check.begin(start)
  for (const place of order) check.change(stream.at(place), stream.key[place], last(place))
  for (const [after, to] of gaps) check.gap(after, to, 'gap')
  return check.finish()
}
const clean = result => assert.deepEqual(
  [result.lost, result.covered, result.duplicated, result.reordered, result.unknown, result.badMarks], [0, 0, 0, 0, 0, 0], JSON.stringify(result))
const wrongOf = (result, options) => verdict(total([result]), options)

test('a whole stream is whole', () => {
  const result = run(places())
  clean(result)
  assert.deepEqual([result.expected, result.received], [30, 30])
  assert.deepEqual(wrongOf(result), [])
})

test('a subscription that starts later expects less', () => {
  const result = run(places(12), { start: { lsn: 400, index: 2 } })
  clean(result)
  assert.deepEqual([result.expected, result.received], [18, 18])
  clean(run(places(11), { start: { lsn: 400, index: 1 } }))
  assert.equal(run(places(13), { start: { lsn: 400, index: 2 } }).lost, 1)
})

test('a planted loss is found: in the middle, at the start, at the end, all', () => {
  assert.equal(run(places().filter(place => place !== 14)).lost, 1)
  assert.equal(run(places(1)).lost, 1)
  assert.equal(run(places(0, 29)).lost, 1)
  assert.equal(run([]).lost, 30)
  assert.match(wrongOf(run(places(1)))[0], /1 lost/)
  assert.match(run(places(1)).samples[0], /lost: 0-0000000000000064-0 key 1000/)
})

test('a planted duplicate is found, also much later and after a loss', () => {
  const twice = run([...places(0, 5), 4, ...places(5)])
  assert.deepEqual([twice.duplicated, twice.lost, twice.reordered, twice.received], [1, 0, 0, 30])
  assert.equal(run([...places(), 0]).duplicated, 1)
  assert.equal(run([...places(0, 20), ...places(10)]).duplicated, 10)
  const both = run([...places(0, 10), ...places(15), 12, 12])
  assert.deepEqual([both.lost, both.reordered, both.duplicated], [4, 1, 1])
})

test('a planted reorder is found and is no loss', () => {
  const result = run([...places(0, 10), 11, 10, ...places(12)])
  assert.deepEqual([result.reordered, result.lost, result.duplicated, result.received], [1, 0, 0, 30])
  assert.match(wrongOf(result)[0], /1 reordered/)
})

test('what was never committed is found: another key, another position, the future', () => {
  for (const [position, key] of [[{ lsn: 100, index: 0 }, 7], [{ lsn: 150, index: 0 }, 1000], [{ lsn: 100, index: 3 }, 1000], [{ lsn: 20_000, index: 0 }, 1000]]) {
    const check = new SubscriptionCheck(truth(), 'test')
    check.begin({ lsn: 0, index: 0 })
    check.change(position, key, false)
    assert.equal(check.finish().unknown, 1, formatPosition(position))
  }
})

test('a declared gap covers what lies in it and nothing else', () => {
  const order = places().filter(place => place < 9 || place > 14) // transactions 400 and 500
  const covered = run(order, { gaps: [[{ lsn: 300, index: 2 }, { lsn: 500, index: 2 }]] })
  assert.deepEqual([covered.lost, covered.covered, covered.gaps], [0, 6, 1])
  assert.deepEqual(wrongOf(covered, { beyondWindow: true }), [])
  assert.equal(wrongOf(covered).length, 2, 'but inside the window there may be none')
  // One change short on either side.
  assert.equal(run(order, { gaps: [[{ lsn: 400, index: 0 }, { lsn: 500, index: 2 }]] }).lost, 1)
  assert.equal(run(order, { gaps: [[{ lsn: 300, index: 2 }, { lsn: 500, index: 1 }]] }).lost, 1)
  // Somewhere else.
  assert.equal(run(order, { gaps: [[{ lsn: 600, index: 0 }, { lsn: 900, index: 0 }]] }).lost, 6)
  assert.match(wrongOf(run(order), { beyondWindow: true })[0], /6 lost/)
})

test('a wrong last mark is found', () => {
  assert.equal(run(places(), { last: () => false }).badMarks, 10)
  assert.equal(run(places(), { last: () => true }).badMarks, 20)
  assert.equal(run(places(), { last: place => place === 3 || place % 3 === 2 }).badMarks, 1)
  assert.equal(run(places(), { last: () => undefined }).badMarks, 30, 'and so is a missing one')
  assert.match(wrongOf(run(places(), { last: () => false }))[0], /wrong "last"/)
})

test('events that run ahead of the truth wait for it', () => {
  const stream = new Stream()
  const check = new SubscriptionCheck(stream, 'test')
  check.begin({ lsn: 0, index: 0 })
  for (let n = 0; n < 100; n++) check.change({ lsn: 10 + n, index: 0 }, n, true)
  check.advance()
  assert.equal(check.counts.unknown, 0)
  for (let n = 0; n < 100; n++) {
    stream.add(10 + n, 0, n)
    stream.upto = 10 + n
    if (n % 7 === 0) check.advance()
  }
  const result = check.finish()
  clean(result)
  assert.equal(result.received, 100)
})

test('a subscription that never began is said to be so', () => {
  assert.equal(new SubscriptionCheck(truth(), 'test').finish().started, false)
})

test('random faults: counts agree with what was planted', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed)
    const dropped = new Set(places().filter(() => random.chance(0.1)))
    const order = places().filter(place => !dropped.has(place))
    let doubled = 0
    for (let n = random.below(4); n > 0 && order.length > 0; n--) { order.splice(order.length, 0, random.pick(order)); doubled += 1 }
    const result = run(order)
    assert.deepEqual([result.lost, result.duplicated, result.reordered, result.unknown], [dropped.size, doubled, 0, 0], `seed ${seed}`)
  }
})

// ---- transactions -------------------------------------------------------------------------------

function transactions(make) {
  const streams = [truth(), truth()]
  const check = new TransactionCheck(streams, 'test')
  make((lsn, { changes = six(lsn), declared = changes.length, index = END_OF_TRANSACTION } = {}) => check.commit(changes, { lsn, index }, declared), check)
  return check.finish()
}
const six = lsn => Array.from({ length: 6 }, (_, index) => ({ lsn, index }))

test('whole transactions in commit order are whole', () => {
  assert.equal(transactions(commit => { for (let n = 1; n <= 10; n++) commit(100 * n) }).torn, 0)
})

test('torn transactions are found', () => {
  const torn = make => assert.equal(transactions(make).torn, 1)
  torn(commit => commit(100, { changes: six(100).slice(1) }))
  torn(commit => commit(100, { changes: [...six(100).slice(1), { lsn: 200, index: 6 }] }))
  torn(commit => commit(100, { declared: 5 }))
  torn(commit => commit(100, { index: 5 }))
  torn(commit => { commit(200); commit(100) })
  torn(commit => { commit(200); commit(200) })
  torn(commit => commit(100, { changes: six(100).reverse() }))
  torn(commit => commit(20_000))
})

test('an incomplete transaction inside a declared gap is excused, one behind it is not', () => {
  const make = lsn => (commit, check) => { check.excuse(200, 300); commit(lsn, { changes: six(lsn).slice(2) }) }
  assert.equal(transactions(make(300)).torn, 0)
  assert.equal(transactions(make(400)).torn, 1)
})

test('a gap that is declared behind a commit does not excuse it, unless the client knew that something is missing', () => {
  const make = how => (commit, check) => { check.commit(six(300).slice(2), { lsn: 300, index: END_OF_TRANSACTION }, 4, how); check.excuse(200, 300) }
  assert.equal(transactions(make({})).torn, 1)
  assert.equal(transactions(make({ missing: true })).torn, 0)
})

// ---- positions and random numbers ----------------------------------------------------------------

test('positions: text, order, and which one a client resumes from', () => {
  const at = text => parsePosition(text)
  assert.deepEqual(at('7f3a-00000000016b3748-ff'), { epoch: '7f3a', lsn: 0x16b3748, index: 255, text: '7f3a-00000000016b3748-ff' })
  assert.equal(formatPosition(at('7f3a-00000000016b3748-ff')), '7f3a-00000000016b3748-ff')
  for (const bad of ['', null, '7f3a-16b3748-0', '7f3a-00000000016b3748', 'x-00000000016b3748-0']) assert.throws(() => at(bad))
  const [low, high, other] = ['a-0000000000000010-2', 'a-0000000000000010-10', 'b-0000000000000001-0'].map(at)
  assert.equal(later(low, high), high)
  assert.equal(later(high, low), high)
  assert.equal(later(null, low), low)
  assert.equal(later(low, null), low)
  assert.equal(later(high, other), other)
})

test('a seed reproduces, another seed and another name differ', () => {
  const draw = random => Array.from({ length: 20 }, () => random.below(1000))
  assert.deepEqual(draw(Random.derive(7, 'a')), draw(Random.derive(7, 'a')))
  assert.notDeepEqual(draw(Random.derive(7, 'a')), draw(Random.derive(8, 'a')))
  assert.notDeepEqual(draw(Random.derive(7, 'a')), draw(Random.derive(7, 'b')))
})
