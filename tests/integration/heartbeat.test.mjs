// Heartbeats of a connection whose views only PostgreSQL can judge, while rows are written without a pause: their positions go on, and who
// comes back with the last of them misses nothing and gets nothing twice, on a quiet subscription as on a busy one. HEARTBEAT_SEED, or of the day.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { comparePositions, parsePosition } from '../chaos/position.mjs'
import { Random } from '../chaos/random.mjs'
import { event, identity, judge, mark, plain, prepare, SETTINGS, uuid, Viewer } from './lib/rls.mjs'
import { System, until } from './lib/system.mjs'

const SEED = Number(process.env.HEARTBEAT_SEED ?? Math.floor(Date.now() / 86_400_000))
const CUTS = Number(process.env.HEARTBEAT_CUTS ?? 5)
const AHEAD = 300 // changes that writers are ahead of the slowest viewer, at most
const BUSY = ['busy_a', 'busy_b']
const TABLES = [...BUSY, 'quiet', 'marks']
let system
before(async () => {
  system = await System.start({ shards: 2, edges: 1, set: [...SETTINGS, 'policies.deadline=5m', 'window.time=30m'] })
  await prepare(system)
  await system.sql(`create table pace (seconds float); insert into pace values (0.01);
    create function shown(kind int, viewer uuid) returns boolean language plpgsql stable security definer as
      $$begin perform pg_sleep((select seconds from public.pace)); return kind % 3 = 0 and viewer <> '${uuid(3)}'; end$$`)
  for (const name of [...BUSY, 'quiet']) {
    for (const table of [name, `truth.${name}`]) {
      await system.sql(`create table ${table} (id int primary key, owner uuid, kind int); alter table ${table} enable row level security;
        create policy p on ${table} using (owner = auth.uid()${name === 'quiet' ? '' : ' or shown(kind, auth.uid())'}); grant select on ${table} to authenticated, service_role`)
    }
    await system.sql(`select enable_realtime('${name}')`)
  }
  await system.sql('grant usage on schema truth to authenticated')
  await system.settled()
})
after(() => system?.stop())

const witness = identity('witness', 'service_role')
// The third one is shown nothing of what is busy: no event tells how far it is.
const people = [1, 2, 3].map(n => identity(`user ${n}`, 'authenticated', { sub: uuid(n) }))

// Somebody who is cut off now and then, and goes on `since` the last heartbeat.
class Person {
  constructor(who, options) { Object.assign(this, { who, options, since: null, stretches: [], advances: 0 }) }

  async connect() {
    this.viewer = await Viewer.open(system, this.who, this.options)
    for (const table of TABLES) {
      const { payload } = await this.viewer.subscribe(table, this.since ? { since: this.since } : {})
      if (this.since) assert.equal(payload.resumed, true)
      else this.begins = payload.id // in the order of subscriptions: from the last one on it has everything
    }
  }

  heard() {
    this.viewer.sort()
    return this.viewer.heard ?? this.since
  }

  lsn() {
    return this.heard() ? parsePosition(this.heard()).lsn : 0
  }

  // What it got on this connection, and what that promised.
  cut() {
    this.viewer.close()
    const { viewer } = this
    viewer.sort()
    assert.equal(viewer.disorder(), undefined, `${this.who.name}: nothing comes behind a heartbeat that was past it`)
    const until = viewer.heard ?? this.since
    this.stretches.push({ from: this.since ?? this.begins, until, events: viewer.take() })
    this.since = until
  }
}

class Writer {
  constructor(name, number, random, people) {
    Object.assign(this, { written: [], stop: false })
    this.done = system.session(async db => {
      const rows = []
      let [last, changes] = [number * 1_000_000, 0]
      const step = async table => {
        const values = [random.pick([uuid(1), uuid(2), uuid(4), null]), random.between(0, 8)]
        const roll = random.next()
        if (rows.length < 5 || (roll < 0.4 && rows.length < 50)) {
          rows.push(++last)
          await db.query(`insert into ${table} values ($1, $2, $3)`, [last, ...values])
        } else if (roll < 0.8) {
          await db.query(`update ${table} set owner = $2, kind = $3 where id = $1`, [random.pick(rows), ...values])
        } else {
          await db.query(`delete from ${table} where id = $1`, rows.splice(random.below(rows.length), 1))
        }
      }
      while (!this.stop) {
        this.written = this.written.filter(lsn => people.some(person => person.lsn() < lsn))
        if (this.written.length >= AHEAD) {
          await until('a viewer comes further', () => this.stop || people.every(person => person.lsn() > this.written[0]), { deadline: 120_000 })
          continue
        }
        const steps = random.between(1, 3)
        await db.query('begin')
        for (let n = 0; n < steps; n++) await step(name)
        if (++changes % 40 === 0) await db.query('insert into quiet values ($1, $2, 0)', [number * 1_000_000 + changes, random.pick([uuid(1), uuid(2), uuid(3)])])
        await db.query('commit')
        const { rows: [{ lsn }] } = await db.query(`select (pg_current_wal_insert_lsn() - '0/0')::text as lsn`)
        for (let n = 0; n < steps; n++) this.written.push(Number(lsn))
      }
    })
  }
}

// What PostgreSQL shows each of them of the witness's changes, by table.
async function truth(changes) {
  const expected = people.map(() => [])
  for (const table of [...BUSY, 'quiet']) {
    const some = changes.filter(each => each.table === table)
    const versions = some.flatMap(change => [change.old, change.record]).filter(Boolean)
    const answers = await judge(system, table, versions, people)
    const index = new Map(versions.map((version, at) => [version, at]))
    for (const [at] of people.entries()) {
      const sees = version => version !== undefined && answers[index.get(version)][at] === '1'
      for (const change of some) {
        const shown = event(change, sees(change.old), sees(change.record))
        if (shown) expected[at].push({ id: change.id, table, ...shown })
      }
    }
  }
  return expected
}

const between = (events, from, until) => events.filter(({ id }) => comparePositions(parsePosition(id), parsePosition(from)) > 0 && (!until || comparePositions(parsePosition(id), parsePosition(until)) <= 0))
const inOrder = events => events.map(each => ({ id: each.id, table: each.table, ...plain(each) })).sort((a, b) => comparePositions(parsePosition(a.id), parsePosition(b.id)))

test('positions go on while views are judged by PostgreSQL under load, and are true: connections cut at random and resumed miss nothing and get nothing twice', async t => {
  const random = Random.derive(SEED, 'cuts')
  const watching = await Viewer.open(system, witness)
  for (const table of TABLES) await watching.subscribe(table)
  const persons = people.map((who, at) => new Person(who, { transactions: at === 1 }))
  for (const person of persons) await person.connect()
  const writers = BUSY.map((name, at) => new Writer(name, at + 1, Random.derive(SEED, name), persons))
  let replaying = 0
  try {
    await Promise.all(persons.map(async person => {
      for (let cut = 0; cut < CUTS; cut++) {
        for (let advance = random.between(2, 5); advance > 0; advance--) {
          const was = person.lsn()
          await until(`${person.who.name} hears of a later position than ${was}`, () => {
            assert.equal(person.viewer.client.closed, null)
            return person.lsn() > was
          }, { deadline: 60_000 })
          person.advances++
          const replays = await system.metric('broker-0', 'pgtide_broker_replays') + await system.metric('broker-1', 'pgtide_broker_replays')
          if (replays === 0) advance++ // all are live at the moment: that one proves little
          replaying += replays > 0
        }
        const frames = person.viewer.events.length + random.below(20) // somewhere behind the heartbeat
        await until('some more has come', () => { person.viewer.sort(); return person.viewer.events.length >= frames || person.who === people[2] })
        person.cut()
        await person.connect()
      }
    }))
  } catch (error) {
    throw new Error(`HEARTBEAT_SEED=${SEED}: ${error.message}\n${system.logs()}`, { cause: error })
  } finally {
    for (const writer of writers) writer.stop = true
    await Promise.all(writers.map(writer => writer.done))
  }
  await system.sql('update pace set seconds = 0')
  const end = await mark(system)
  for (const viewer of [watching, ...persons.map(person => person.viewer)]) await viewer.reached(end)
  for (const person of persons) person.cut()

  const changes = watching.take()
  const expected = await truth(changes)
  let [came, again] = [0, 0]
  for (const [at, person] of persons.entries()) {
    for (const { from, until, events } of person.stretches) {
      const said = `HEARTBEAT_SEED=${SEED}: ${person.who.name} since ${from}, until ${until}`
      const got = events.filter(each => each.table !== 'marks')
      const whole = inOrder(between(got, from, until))
      assert.deepEqual(whole, inOrder(between(expected[at], from, until)), said)
      assert.deepEqual(got.filter(each => !between([each], from).length), [], `${said}: nothing again`)
      const more = inOrder(between(got, until))
      for (const each of more) assert.ok(expected[at].some(({ id }) => id === each.id), `${said}: ${each.id}`)
      came += whole.length
      again += more.length
    }
  }
  const advances = persons.reduce((sum, person) => sum + person.advances, 0)
  t.diagnostic(`HEARTBEAT_SEED=${SEED}: ${changes.length} changes; ${persons.map((person, at) => `${person.who.name}: ${expected[at].length} shown, ${person.advances} positions, ${person.stretches.length} connections`).join('; ')}; ${came} compared, ${again} behind the last position; views were being replayed at ${replaying} of ${advances} positions`)
  assert.ok(came >= CUTS && replaying >= 2 * CUTS, 'the test decides something')
})
