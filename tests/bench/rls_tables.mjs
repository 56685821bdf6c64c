// What rls.mjs and instructions.mjs share: a system with tables under policies beside one without, and the clients that watch them.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, bin } = await import('../integration/lib/system.mjs')
const { user } = await import('../integration/lib/token.mjs')

export const option = (name, fallback) => { const at = process.argv.indexOf(name); return at < 0 ? fallback : Number(process.argv[at + 1]) }
export const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]
export const uuid = n => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
// From the WAL to the sockets.
export const TIERS = ['walsender', 'tailer', 'broker-0', 'edge-0']
// The tables that the frames of `plain` are compared with, and how many clients watch.
export const CASES = [['owned', 1], ['open', 20], ['team', 20], ['open', 100], ['team', 100]]

// Of the same columns: `plain` without policies; `owned` by an owner; `team` by a membership; `open` by no constant of one's own.
export async function start(set = []) {
  const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0', 'realtime.client_budget=64MiB', ...set] })
  for (const table of ['plain', 'owned', 'team', 'open']) {
    await system.sql(`create table ${table} (id bigint primary key, owner uuid, v text, level int, at timestamptz);
      grant select on ${table} to authenticated; select enable_realtime('${table}')`)
    if (table !== 'plain') await system.sql(`alter table ${table} enable row level security`)
  }
  await system.sql(`create table members (level int, who uuid); grant select on members to authenticated;
    insert into members select 1, ('00000000-0000-4000-8000-' || lpad(g::text, 12, '0'))::uuid from generate_series(0, 99) g;
    create policy p on owned for select using (owner = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid);
    create policy p on team for select using (exists (select from members m where m.level = team.level and m.who = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid));
    create policy p on open for select using (level < 100 and (current_setting('request.jwt.claims', true)::jsonb ->> 'role') = 'authenticated')`)
  return system
}

export const walsenderOf = async system => (await system.sql(`select pid from pg_stat_activity where backend_type = 'walsender'`))[0].pid

// Clients of bench_clients.c, each an identity of its own; the next line is its JSON.
export async function clients(system, scratch, { count, table, expect, seconds = 120 }) {
  const file = join(scratch, `${table}-${count}`)
  writeFileSync(file, Array.from({ length: count }, (_, n) => user(system, { sub: uuid(n) }) + '\n').join(''))
  const child = spawn(bin('bench-clients'), [system.port, count, `table:public.${table}`, expect, seconds, `@${file}`].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = (await lines.next()).value
  if (ready !== 'ready') throw new Error(`bench-clients: ${ready}`)
  return lines
}

let next = 1
// Rows that all of the clients of a table see; `owners`: of so many owners in turn.
export async function insert(system, table, rows, owners = 1) {
  await system.sql(`insert into ${table} select g, ('00000000-0000-4000-8000-' || lpad((g % ${owners})::text, 12, '0'))::uuid, repeat('x', 80), 1, now()
    from generate_series(${next}, ${next + rows - 1}) g`)
  next += rows
}

export const one = table => `insert into ${table} values (${next++}, '${uuid(0)}', '${'x'.repeat(80)}', 1, now())`

// Until every client has what it expects.
export async function counted(lines, table, frames) {
  const found = JSON.parse((await lines.next()).value)
  if (found.frames !== frames || found.lost > 0) throw new Error(`${table}: ${JSON.stringify(found)}`)
  return found
}
