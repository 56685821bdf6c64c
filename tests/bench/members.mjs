// What a change of a membership costs those whose policies depend on that table: changes one after the other, each with a row that only its
// identity sees, until everybody has been told everything. See README.md here.
//   node tests/bench/members.mjs [--identities 1000] [--changes 500] [--pace MS] [--rounds 3] [--deep 0|1|2]     (build/release)
// --deep: a test two tables deep, by projects of teams; the changes are of projects (1), or of members (2).
import { readFileSync } from 'node:fs'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System } = await import('../integration/lib/system.mjs')
const { allReached, identity, prepare, SETTINGS, uuid, Viewer } = await import('../integration/lib/rls.mjs')

const option = (name, fallback) => { const at = process.argv.indexOf(name); return at < 0 ? fallback : Number(process.argv[at + 1]) }
const identities = option('--identities', 1000)
const changes = option('--changes', 500)
const pace = option('--pace', 0) // between the beginnings of two changes; 0: none
const rounds = option('--rounds', 3)
const deep = option('--deep', 0)

const ticks = pid => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function measure(system) {
  const asking = await system.sql(`select pid from pg_stat_activity where application_name like 'pgtide-broker-%-policies'`)
  const metric = async name => await system.metric('broker-0', name) ?? 0
  return {
    broker: ticks(system.pid('broker-0')),
    postgres: asking.reduce((sum, { pid }) => sum + ticks(pid), 0),
    statements: await metric('pgtide_broker_view_statements_total'),
    folds: await metric('pgtide_broker_folds_total'),
  }
}

const system = await System.start({ shards: 1, edges: 1, set: [...SETTINGS, 'realtime.heartbeat_interval=1s', 'policies.deadline=60s'] })
try {
  await prepare(system)
  await system.sql(`create table members (team int, uid uuid, primary key (team, uid)); create table docs (id serial primary key, team int);
    alter table docs enable row level security; grant select on members, docs to authenticated;
    create table projects (id int primary key, team int); grant select on projects to authenticated;
    create policy p on docs using (${deep > 0
    ? 'exists (select from projects p where p.id = docs.team and p.team in (select m.team from members m where m.uid = auth.uid()))'
    : 'exists (select from members m where m.team = docs.team and m.uid = auth.uid())'}); select enable_realtime('docs')`)
  if (deep === 1) await system.sql(`insert into members select -n - 1, (lpad(n::text, 8, '0') || '-0000-4000-8000-000000000000')::uuid from generate_series(0, ${identities - 1}) n`)
  if (deep === 2) await system.sql(`insert into projects select n, n from generate_series(0, ${changes * rounds + 1}) n`)
  await system.settled()
  const viewers = []
  for (let n = 0; n < identities; n += 50) {
    viewers.push(...await Promise.all(Array.from({ length: Math.min(50, identities - n) }, (_, i) => Viewer.open(system, identity(`user ${n + i}`, 'authenticated', { sub: uuid(n + i) })))))
  }
  for (const table of ['docs', 'marks']) await Promise.all(viewers.map(viewer => viewer.subscribe(table)))
  await system.sql(`insert into members values (0, '${uuid(0)}'); insert into docs (team) values (0)`)
  if (deep === 1) await system.sql('insert into projects values (0, 0)')
  await allReached(system, viewers)
  for (let round = 0; round < rounds; round++) {
    const before = await measure(system)
    const started = performance.now()
    await system.session(async db => {
      for (let n = 0; n < changes; n++) {
        const wait = started + n * pace - performance.now()
        if (pace > 0 && wait > 1) await new Promise(wake => setTimeout(wake, wait))
        const team = 1 + round * changes + n
        const right = deep === 1 ? `insert into projects values (${team}, ${-(n % identities) - 1})` : `insert into members values (${team}, '${uuid(n % identities)}')`
        await db.query(`begin; ${right}; insert into docs (team) values (${team}); commit`)
      }
    })
    const written = performance.now() - started
    await allReached(system, viewers)
    const took = performance.now() - started
    const after = await measure(system)
    const came = viewers.reduce((sum, viewer) => sum + viewer.take('docs').length, 0)
    console.log(JSON.stringify({ round, written_ms: Math.round(written), all_told_ms: Math.round(took), came,
      statements: after.statements - before.statements, identities_asked_for: after.folds - before.folds,
      broker_cpu_us_per_change: Math.round((after.broker - before.broker) / changes * 1e6),
      postgres_cpu_us_per_change: Math.round((after.postgres - before.postgres) / changes * 1e6) }))
  }
  for (const viewer of viewers) viewer.close()
} finally {
  await system.stop()
}
