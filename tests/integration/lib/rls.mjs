// Row-level security end to end: viewers that keep every byte, and what PostgreSQL itself would show of a row version.
//
// Truth is row-level security on a table in schema truth that holds exactly that version, has the same name and the same policies,
// under the viewer's role and claims. A SELECT that raises shows nothing.
import assert from 'node:assert/strict'
import { comparePositions, parsePosition } from '../../chaos/position.mjs'
import { Client } from './client.mjs'
import { now, sign } from './token.mjs'

const CHANGES = ['broadcast', 'postgres_changes']
const REPORTS = ['ack', 'pong', 'commit', 'snapshot', 'heartbeat', 'stale', 'fresh']

export const uuid = n => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`

// Who asks: `role` is the database's, `claims` is what the token says; null claims: no token.
export function identity(name, role = 'authenticated', claims = {}) {
  return { name, role, claims: claims === null ? null : { role, exp: now() + 7200, ...claims } }
}

// As policies are given them: who names no role is of the database's, as PostgREST has it.
const claimsOf = who => ({ ...who.claims, role: who.claims?.role ?? who.role })
export const claimsText = who => JSON.stringify(claimsOf(who))

export class Viewer {
  static async open(system, who, options = {}) {
    const viewer = new Viewer()
    viewer.who = who
    viewer.bytes = []
    viewer.events = []
    viewer.told = [] // errors, gaps and notices
    viewer.heard = null // position up to which everything was sent
    viewer.timeline = [] // [when, position, table]: what had been passed by then; without a table, on all subscriptions
    viewer.client = await Client.open(system, { ...(who.claims && { token: sign(system.jwtKey, who.claims) }), ...options })
    viewer.client.socket.on('message', data => { viewer.bytes.push(data.toString()) })
    return viewer
  }

  async subscribe(table, more = {}, schema = 'public') {
    const ack = await this.client.subscribe(`table:${schema}.${table}`, more)
    // Where PostgreSQL raises for whatever this identity asks, it is told so, and has nothing to see: the truth says the same.
    if (ack.code === 'FORBIDDEN' && /^PostgreSQL refuses the table's row-level security policies/.test(ack.message)) return ack
    assert.equal(ack.type, 'ack', `${this.who.name} on ${table}: ${JSON.stringify(ack)}`)
    return ack
  }

  // Sorts what has come. Frames that report on the connection itself stay for take().
  sort() {
    for (const frame of this.client.frames.splice(0)) {
      if (CHANGES.includes(frame.type)) {
        const { type, table, record, old_record: old, id } = frame.payload
        this.events.push({ type, table, record, old, id, at: Date.now() })
        this.pass(id, table)
      } else if (frame.type === 'heartbeat') {
        if (frame.payload?.id) this.pass(this.heard = frame.payload.id)
      } else if (!REPORTS.includes(frame.type)) {
        this.told.push(frame)
      }
    }
  }

  pass(id, table) {
    this.timeline.push([Date.now(), parsePosition(id), table])
  }

  // When it had surely been sent everything of the table up to that position.
  passedAt(position, table) {
    return this.timeline.find(([, passed, of]) => (of === undefined || of === table) && comparePositions(passed, position) >= 0)?.[0] ?? Infinity
  }

  // The first frame that came after one that promised everything up to a later position; undefined: none.
  disorder() {
    const passed = new Map()
    return this.timeline.find(([, position, table]) => {
      const before = [passed.get(undefined), passed.get(table)].filter(Boolean)
      passed.set(table, position)
      return before.some(each => comparePositions(each, position) >= (table === undefined ? 1 : 0))
    })
  }

  // Everything up to this LSN has come.
  async reached(lsn, { deadline = 60_000 } = {}) {
    const end = Date.now() + deadline
    for (;;) {
      this.sort()
      if (this.heard && parsePosition(this.heard).lsn >= lsn) return
      if (this.client.closed) throw new Error(`${this.who.name}: closed ${this.client.closed.code} ${this.client.closed.reason}`)
      if (Date.now() > end) throw new Error(`${this.who.name}: is at ${this.heard}, not at ${lsn.toString(16)}, after ${deadline} ms; told ${JSON.stringify(this.told.slice(-3))}`)
      await this.client.wake(end - Date.now())
    }
  }

  // What came since the last call; nothing but changes may have.
  take(table) {
    assert.deepEqual(this.told.filter(frame => frame.type === 'error' || frame.type === 'gap'), [], this.who.name)
    const taken = this.events.filter(event => !table || event.table === table)
    this.events = this.events.filter(event => table && event.table !== table)
    return taken
  }

  // Every canary of every received byte.
  canaries() {
    return new Set(this.bytes.join('\n').match(/canary-[0-9a-z-]+/g) ?? [])
  }

  close() {
    this.client.close()
  }
}

// Settings under which heartbeats tell a test quickly that everything has come.
export const SETTINGS = ['realtime.heartbeat_interval=100ms', 'realtime.message_rate_limit=0', 'realtime.max_connections=5000', 'realtime.connect_rate=0',
  'database.retry_max=500ms', 'freshness.interval=100ms']

export async function prepare(system) {
  await system.sql(`create schema if not exists truth; grant usage on schema truth to public;
    create table marks (id bigserial primary key, note int); grant select on marks to public; select enable_realtime('marks');
    create or replace function truth.judge(shadow text, versions jsonb[], roles text[], claims text[]) returns text[] language plpgsql as $$
    declare answers text[] := '{}'; line text; version jsonb; n int;
    begin
      foreach version in array versions loop
        execute format('delete from %s', shadow);
        execute format('insert into %s select * from jsonb_populate_record(null::%s, $1)', shadow, shadow) using version;
        line := '';
        for i in 1 .. cardinality(roles) loop
          begin
            perform set_config('request.jwt.claims', claims[i], true);
            perform set_config('request.jwt.claim.' || name, coalesce(nullif(claims[i], '')::jsonb ->> name, ''), true) from unnest(array['sub', 'role', 'email']) name;
            perform set_config('role', roles[i], true);
            execute format('select count(*) from %s', shadow) into n;
            perform set_config('role', 'none', true);
            line := line || n;
          exception when others then
            line := line || 'e';
          end;
        end loop;
        answers := answers || line;
      end loop;
      return answers;
    end $$`)
}

// For the rest of the transaction: the role and the settings that a gateway in front of PostgreSQL gives this identity.
export async function become(db, who) {
  for (const name of ['sub', 'role', 'email']) await db.query('select set_config($1, $2, true)', [`request.jwt.claim.${name}`, String(claimsOf(who)[name] ?? '')])
  await db.query(`select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`, [claimsText(who), who.role])
}

// A position behind everything that is committed, and something behind it, so that it is passed soon.
export async function mark(system) {
  const [{ lsn }] = await system.sql(`select (pg_current_wal_insert_lsn() - '0/0')::text as lsn`)
  await system.sql('insert into marks default values')
  return Number(lsn)
}

export async function allReached(system, viewers) {
  const lsn = await mark(system)
  for (const viewer of viewers) await viewer.reached(lsn)
}

// For each version, one letter for each identity: 1 shown, 0 not, e error. The database is left as it was.
export async function judge(system, table, versions, identities) {
  if (versions.length === 0) return []
  return system.session(async db => {
    await db.query('begin')
    try {
      const { rows } = await db.query('select truth.judge($1, $2::jsonb[], $3, $4) as answers',
        [`truth.${table}`, versions.map(version => JSON.stringify(version)), identities.map(who => who.role), identities.map(claimsText)])
      return rows[0].answers
    } finally {
      await db.query('rollback')
    }
  })
}

export const project = (row, columns) => row && Object.fromEntries(Object.entries(row).filter(([name]) => !columns || columns.includes(name)))

// What a viewer must be sent of a change, given which of its versions it sees; null: nothing.
export function event(change, seesOld, seesNew, columns) {
  const [old, record] = [seesOld && change.old, seesNew && change.record].map(row => row ? project(row, columns) : undefined)
  if (!old && !record) return null
  return { type: old ? record ? 'UPDATE' : 'DELETE' : 'INSERT', record, old }
}

export const plain = ({ type, record, old }) => ({ type, record, old })
