// pgtide explain says how a table's policies are judged, and decides as clients see it; pgtide doctor finds what is wrong with a database,
// and the statement that it gives mends it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { promisify } from 'node:util'
import { System, bin, until } from './lib/system.mjs'

const run = promisify(execFile)
const ANN = '11111111-1111-1111-1111-111111111111'
let system
let env
before(async () => {
  system = await System.start({ shards: 1, edges: 1 })
  env = { ...process.env, ...system.env }
  await system.sql(`alter system set max_slot_wal_keep_size = '20GB'; `)
  await system.sql('select pg_reload_conf()')
  await system.sql(`create table members (team int, uid uuid, primary key (team, uid)); grant select on members to authenticated, service_role;
    create function in_team(t int) returns boolean language plpgsql stable security definer as $$begin return exists (select from public.members where team = t and uid = auth.uid()); end$$;
    create table docs (id int primary key, owner uuid, team int, title text, secret text); alter table docs enable row level security;
    create policy own on docs using (owner = auth.uid()); create policy team on docs using (team in (select team from members where uid = auth.uid()));
    create policy odd on docs to service_role using (in_team(team)); create policy adding on docs for insert with check (true);
    grant select (id, owner, team, title) on docs to authenticated; grant select on docs to service_role; alter role service_role nobypassrls;
    insert into members values (7, '${ANN}'); select enable_realtime('docs')`)
})
after(() => system?.stop())

const pgtide = (...args) => run(bin('pgtide'), args, { env, cwd: system.dir }).then(done => ({ code: 0, ...done }), failed => failed)
const explain = async (...args) => {
  const { code, stdout, stderr } = await pgtide('explain', ...args)
  assert.equal(code, 0, stderr)
  return stdout
}
const claims = more => JSON.stringify({ role: 'authenticated', sub: ANN, ...more })

test('explain: policies that apply to each role, their lane and why', async () => {
  const text = await explain('docs')
  assert.match(text, /^table public\.docs\n {2}row-level security: on; owner postgres is exempt\n {2}replica identity: full\n {2}publication pgtide: has it\n/)
  assert.match(text, /without effect here: adding/)
  const [, anon, authenticated, service] = text.split(/^role /m)
  assert.match(anon, /^anon\n {2}may SELECT no column/)
  assert.match(authenticated, /may read: id, owner, team, title; not: secret/)
  assert.match(authenticated, /policy own \(permissive\): compiled/)
  assert.match(authenticated, /policy team \(permissive\): membership[^]*reads: public\.members\n {6}set of public\.members\.team: kept from the stream\n {2}all/)
  assert.match(authenticated, /all together: membership/)
  assert.doesNotMatch(authenticated, /policy odd/)
  assert.match(service, /policy odd \(permissive\): fallback[^]*public\.in_team\(team\)[^]*because: .*in_team/)
})

test('explain: constants, anchors and the decision about a row', async () => {
  const row = more => ['--row', JSON.stringify({ id: 1, title: 't', ...more })]
  const text = await explain('public.docs', '--claims', claims(), ...row({ owner: ANN }))
  assert.match(text, new RegExp(`constant .*auth.*uid.* = '${ANN}'`))
  assert.match(text, new RegExp(`looked up by: owner = '${ANN}'`))
  assert.match(text, /looked up by: team = '7'/)
  assert.match(text, /policy own: true[^]*policy team: null[^]*decision: shown, decided in memory/)
  assert.match(await explain('docs', '--claims', claims(), ...row({ team: 7 })), /policy own: null[^]*policy team: true[^]*decision: shown, decided in memory/)
  assert.match(await explain('docs', '--claims', claims(), ...row({ team: 8 })), /decision: not shown, decided in memory/)
  assert.match(await explain('docs', '--claims', claims({ role: 'service_role' }), ...row({ team: 7 })), /policy odd: not decided in memory[^]*decision: shown, /)
  assert.match(await explain('docs', '--role', 'service_role', '--claims', claims({ sub: 'nobody' }), ...row({ team: 7 })), /decision: not shown, PostgreSQL was asked/)
  assert.match(await explain('docs', '--role', 'authenticated', ...row({ team: 7 })), /claims none[^]*decision: not shown/)
})

test('explain: a generated column is not in the log', async () => {
  await system.sql(`create table derived (id int primary key, name text, short text generated always as (left(name, 3)) stored); alter table derived enable row level security;
    create policy plain on derived to authenticated using (short = 'abc'); create policy asked on derived to service_role using (in_team(id)); create policy needing on derived to anon using (in_team(length(short)));
    grant select on derived to anon, authenticated, service_role; select enable_realtime('derived')`)
  const decided = role => explain('derived', '--claims', claims({ role }), '--row', '{"id":7,"name":"abcd","short":"abc"}')
  assert.match(await decided('authenticated'), /policy plain: not true: changes do not carry a generated column\n *decision: not shown, decided in memory/)
  assert.match(await decided('service_role'), /policy asked: not decided in memory\n *decision: shown, PostgreSQL was asked/)
  assert.match(await decided('anon'), /decision: not shown, since changes do not carry a generated column/)
  await system.sql('drop table derived')
})

test('explain: a role that PostgreSQL refuses, and what cannot be explained', async () => {
  await system.sql('revoke select on members from authenticated')
  assert.match(await explain('docs', '--claims', claims()), /refused: .*permission denied for table members/)
  await system.sql('grant select on members to authenticated')
  for (const [words, ...args] of [[/nothing does not exist/, 'nothing'], [/not a table/, 'realtime_enabled_tables'], [/not a JSON object/, 'docs', '--claims', '[1]'], [/json/, 'docs', '--role', 'anon', '--row', '{']]) {
    const { code, stderr } = await pgtide('explain', ...args)
    assert.ok(code === 1 || code === 2)
    assert.match(stderr, words)
  }
  assert.match(await explain('docs', '--role', 'nobody'), /there is no such role/)
})

const OFF = 'alter event trigger pgtide_ddl disable; alter event trigger pgtide_drop disable;'
const ON = 'alter event trigger pgtide_ddl enable always; alter event trigger pgtide_drop enable always'

test('explain and doctor: which sets are kept from the stream, and why others are read again', async () => {
  await system.sql(`create table projects (id int primary key, team int, name text); grant select on projects to authenticated;
    create table tasks (id int primary key, project int, team int); alter table tasks enable row level security; grant select on tasks to authenticated;
    create policy near on tasks using (project = any (array(select p.id from projects p where p.team = 7)));
    create policy late on tasks as restrictive using (team in (select p.team from projects p where p.name ~ '^a'));
    select enable_realtime('tasks')`)
  await until('what policies read is followed', async () => !/not followed/.test(await explain('tasks', '--role', 'authenticated')))
  const near = async () => (await explain('tasks', '--role', 'authenticated')).split(/^ {2}policy /m).find(each => each.startsWith('near'))
  const text = await explain('tasks', '--role', 'authenticated')
  assert.match(text, /policy late[^]*set of public\.projects\.team: read again from PostgreSQL with each transaction [^]*because: which rows count cannot be judged in memory: .*~/)
  assert.match(await near(), /set of public\.projects\.id: read again from PostgreSQL [^]*because: another set of these policies/)
  const notes = (await doctor()).filter(each => / tasks|public\.tasks/.test(each.subject))
  assert.deepEqual(notes.map(each => [each.level, each.subject]), [['note', 'policy late of table public.tasks']])
  assert.match(notes[0].problem, /^what it sees of public\.projects is read again .*~/)
  await system.sql('drop policy late on tasks')
  assert.match(await near(), /set of public\.projects\.id: kept from the stream\n(?! *but)/)
  await system.sql('create policy deep on tasks using (exists (select from projects p where p.id = project and exists (select from members m where m.team = p.team and m.uid = auth.uid())))')
  await until('its tables are followed', async () => /policy deep[^]*set of public\.projects\.id: kept from the stream\n +read again for an identity when its set of public\.members\.team changes\n/.test(await explain('tasks', '--role', 'authenticated')))
  await system.sql('drop policy deep on tasks')
  // Without old versions a change of a membership cannot be applied to a set.
  await system.sql(`${OFF} alter table projects replica identity default; ${ON}`)
  assert.match(await near(), /kept from the stream\n +but read again after an UPDATE or DELETE: .*replica identity/)
  const [lacks] = (await doctor()).filter(each => each.subject === 'table public.projects')
  assert.match(lacks.problem, /columns of it that old versions of its rows do not have/)
  await system.sql(lacks.remedy.replace(/ {2}-- .*/, ''))
  assert.match(await near(), /set of public\.projects\.id: kept from the stream\n(?! *but)/)
  await system.sql(`${OFF} alter publication pgtide_policies drop table projects; ${ON}`)
  await until('it is said', async () => /policy near \(permissive\): fallback[^]*not followed: (public\.)?projects/.test(await explain('tasks', '--role', 'authenticated')))
  await system.sql(`drop table tasks, projects`)
})

// --- doctor

const doctor = async () => {
  const { code, stdout, stderr } = await pgtide('doctor', '--json')
  const findings = JSON.parse(stdout || `"${stderr}"`)
  assert.equal(code, findings.some(each => each.level !== 'note') ? 1 : 0, stderr)
  return findings
}
const wrong = async () => (await doctor()).filter(each => each.level !== 'note')
beforeEach(() => system.settled())

test('doctor: nothing is wrong with what deploy/up and pgtide init make; what costs speed is named', async () => {
  assert.deepEqual(await wrong(), [])
  const notes = await doctor()
  assert.deepEqual(notes.map(each => [each.level, each.subject]), [['note', 'policy odd of table public.docs']])
  assert.match(notes[0].problem, /in_team/)
  const { code, stdout } = await pgtide('doctor')
  assert.equal(code, 0)
  assert.match(stdout, /0 errors, 0 warnings, 1 notes\n$/)
})

// What is broken, what is found, and whether the statement that is given mends it.
const FAULTS = [
  ['alter table docs replica identity default', 'error', /^table public\.docs$/, /REPLICA IDENTITY FULL/],
  ['alter table docs replica identity nothing', 'error', /^table public\.docs$/, /no replica identity/],
  ['alter table docs disable row level security', 'warning', /^table public\.docs$/, /off/],
  ['alter publication pgtide set (publish = \'insert\')', 'error', /^publication pgtide$/, /every kind/],
  ['alter publication pgtide set (publish_via_partition_root = false)', 'error', /^publication pgtide$/, /partitions/],
  ['alter publication pgtide set table docs where (id > 0)', 'error', /^table public\.docs$/, /row filter/],
  [`${OFF} alter publication pgtide_policies drop table members; ${ON}`, 'warning', /^table public\.members$/, /not in publication/],
  ['alter event trigger pgtide_ddl disable', 'warning', /^event trigger pgtide_ddl$/, /disabled/],
  ['revoke usage on schema public from public', 'warning', /^table public\.docs$/, /no USAGE/, 'grant usage on schema public to public'],
  [`alter system set max_slot_wal_keep_size = '1MB'`, 'warning', /^max_slot_wal_keep_size$/, /less than/],
  [`alter system set max_slot_wal_keep_size = -1`, 'warning', /^max_slot_wal_keep_size$/, /unlimited/],
]
for (const [fault, level, subject, problem, also] of FAULTS) {
  test(`doctor: ${fault}`, async () => {
    await system.sql(fault)
    if (fault.startsWith('alter system')) await system.sql('select pg_reload_conf()')
    let found
    await until('it is found', async () => { found = (await wrong()).find(each => subject.test(each.subject) && problem.test(each.problem)); return found }, { deadline: 5_000 })
    assert.equal(found.level, level)
    for (const finding of await wrong()) {
      for (const statement of finding.remedy?.replace(/ {2}-- .*/, '').split('; ') ?? []) if (!/\.\.\./.test(statement)) await system.sql(statement)
    }
    await until('it is mended', async () => (await wrong()).length === 0, { deadline: 5_000 }).catch(async error => assert.fail(`${error.message}: ${JSON.stringify(await wrong())}`))
    if (also) await system.sql(also)
  })
}

test('doctor: functions of an older pgtide, and pgtide init mends them', async () => {
  await system.sql(`create or replace function pgtide.announce(tag text, objects jsonb, total bigint) returns void language sql set search_path = pg_catalog, pg_temp
    as $$ select pg_logical_emit_message(true, 'pgtide.ddl', '{}') $$`)
  assert.deepEqual((await wrong()).map(each => [each.level, each.subject]), [['warning', 'function pgtide.announce']])
  await run(bin('pgtide'), ['init', '--database', system.databaseUrl])
  assert.deepEqual(await wrong(), [])
})

test('doctor: claims that a policy reads are such as clients have', async () => {
  await system.sql(`create table typed (id int primary key); alter table typed enable row level security; grant select on typed to anon, authenticated; select enable_realtime('typed');
    create policy plain on typed using (id::text = (current_setting('request.jwt.claims', true)::json ->> 'sub'))`)
  assert.deepEqual(await wrong(), [])
  await system.sql(`create policy number on typed to authenticated using (id = (auth.jwt() ->> 'sub')::int)`)
  assert.deepEqual(await wrong(), [])
  const notes = (await doctor()).filter(each => each.subject === 'table public.typed')
  assert.equal(notes.length, 1)
  assert.match(notes[0].problem, /role authenticated with claims like \{"sub":.*invalid input syntax for type integer/)
  await system.sql('drop table typed')
})

test('doctor: what only people can mend is found too', async () => {
  await system.sql(`create table bare (v int); create table hidden (id int primary key); alter table hidden enable row level security; create table closed (id int primary key);
    alter table closed enable row level security; create policy p on closed using (exists (select from bare)); create policy s on closed using (ctid is not null);
    create unlogged table fleeting (v text); create table made (id int primary key, name text, short text generated always as (left(name, 3)) stored); alter table made enable row level security;
    create policy g on made using (short = 'abc'); create policy u on made using (name in (select v from fleeting)); create policy l on made using (name = (select v from fleeting for share)); create policy w on made for update using (short = 'x'); grant select on fleeting, made to authenticated; select enable_realtime('made');
    grant select on bare, hidden, closed to authenticated; select enable_realtime('bare'); select enable_realtime('hidden'); select enable_realtime('closed'); revoke select on bare from authenticated; drop event trigger pgtide_drop`)
  const found = await wrong()
  const has = (subject, problem) => assert.ok(found.some(each => each.subject === subject && problem.test(each.problem)), `${subject} ${problem}: ${JSON.stringify(found, null, 1)}`)
  has('table public.bare', /no primary key/)
  has('table public.bare', /none of the roles/)
  has('table public.hidden', /no policy for SELECT/)
  has('table public.closed', /permission denied/)
  assert.equal(found.find(each => /permission denied/.test(each.problem)).remedy, 'GRANT SELECT ON public.bare TO authenticated;')
  has('event trigger pgtide_drop', /missing/)
  has('policy s of table public.closed', /nobody can decide it/)
  has('policy g of table public.made', /generated column short/)
  assert.match(found.find(each => /generated column/.test(each.problem)).remedy, /^ALTER POLICY g ON public\.made USING \(\.\.\.\); {2}-- with what short is: .*left/i)
  has('policy u of table public.made', /unlogged table public\.fleeting/)
  assert.equal(found.find(each => /unlogged/.test(each.problem)).remedy, 'ALTER TABLE public.fleeting SET LOGGED;')
  has('policy l of table public.made', /locks rows/)
  assert.ok(!found.some(each => each.subject === 'policy w of table public.made'), 'a policy that nobody is shown anything by')
  await system.sql(`select disable_realtime('bare'); select disable_realtime('hidden'); select disable_realtime('closed'); select disable_realtime('made')`)
})

test('doctor: a user without rights, a database without pgtide, no database', async () => {
  await system.sql(`create role plain login password 'plain'`)
  await system.sql('create database empty')
  const as = (user, database) => system.databaseUrl.replace(/\/\/[^@]*@/, `//${user}@`).replace(/[^/]*$/, database)
  const at = async url => { const { stdout, stderr } = await pgtide('doctor', '--json', '--database', url); assert.ok(stdout, stderr); return JSON.parse(stdout) }
  const limited = await at(as('plain:plain', system.databaseUrl.split('/').at(-1)))
  const member = limited.find(each => each.subject === 'role authenticated')
  assert.equal(member?.remedy, 'GRANT authenticated TO plain;')
  const empty = await at(system.databaseUrl.replace(/[^/]*$/, 'empty'))
  assert.match(empty.find(each => each.subject === 'set-up').remedy, /pgtide init/)
  assert.ok(empty.some(each => each.subject === 'publication pgtide' && /does not exist/.test(each.problem)))
  const { code, stderr } = await pgtide('doctor', '--database', 'postgres://nobody@127.0.0.1:1/nothing')
  assert.equal(code, 1)
  assert.match(stderr, /connect/)
})

test('doctor: a slot that nobody reads', async () => {
  await system.kill('tailer', 'SIGTERM')
  await until('PostgreSQL has noticed', async () => (await wrong()).some(each => each.subject === 'slot pgtide' && /nobody reads it/.test(each.problem)))
  system.start('tailer')
  await until('it is read again', async () => !(await wrong()).some(each => each.subject === 'slot pgtide'))
})
