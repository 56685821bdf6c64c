// Random tables with random policies, and random transactions on them; all of it from a seed.
import { uuid } from './rls.mjs'

export const USERS = [1, 2, 3, 4].map(uuid)
const KINDS = ['a', 'ab', 'b', 'A', '', 'ä']
const MOMENTS = ['2020-01-01 00:00:00+00', '2026-11-21 12:00:00+00', 'infinity']

// What policies read besides the table itself. Roles: rls_clerk is a member of rls_staff and inherits, rls_guest one that does not.
export const SHARED = `
  create role rls_staff; create role rls_clerk; create role rls_guest noinherit; create role rls_owner;
  grant rls_staff to rls_clerk, rls_guest; grant usage on schema public, auth, truth to rls_staff, rls_clerk, rls_guest, rls_owner;
  create table members (team int, uid uuid, rank int); alter table members replica identity full;
  create table teams (id int primary key, org text, boss uuid);
  insert into teams select i, case when i % 2 = 0 then 'x' else 'y' end, '${USERS[0]}' from generate_series(1, 5) i;
  grant select on members, teams to authenticated, rls_staff, rls_clerk, rls_owner, service_role;
  create policy own on members using (uid = auth.uid()); create policy own on teams using (boss = auth.uid() or org = auth.jwt() ->> 'org');
  create function is_member(t int) returns boolean language sql stable security definer set search_path = '' as
    $$select exists (select from public.members m where m.team = t and m.uid = auth.uid())$$;
  create function my_teams() returns setof int language sql stable security definer set search_path = '' as
    $$select team from public.members where uid = auth.uid()$$;
  create function may_read(kind text, level numeric) returns boolean language plpgsql stable as
    $$begin if kind = 'b' then return (auth.jwt() ->> 'level')::int > level; end if; return kind like 'a%'; end$$;`

// T is the table. The last ones are for PostgreSQL alone; some raise for some identities.
const CONDITIONS = [
  'owner = auth.uid()', 'owner = (select auth.uid())', 'public', 'public is not true', 'not public', 'team = 3', 'team in (1, 2)', 'team is null', 'team <> 2',
  `kind = auth.jwt() ->> 'kind'`, `kind = any (string_to_array(auth.jwt() ->> 'kinds', ','))`, `kind <> 'a'`, `level >= 2`, `level between 1 and 3`,
  `level > (auth.jwt() ->> 'level')::int`, `at < '2026-01-01'`, `at is distinct from 'infinity'`, `coalesce(team, 0) = 0`, `auth.role() = 'authenticated'`,
  `(auth.jwt() ->> 'admin')::boolean`, 'owner is null', `case when public then team = 1 else owner = auth.uid() end`,
  'exists (select from members m where m.team = T.team and m.uid = auth.uid())',
  'exists (select from members m where m.team = T.team and m.uid = auth.uid() and m.rank > 1)',
  'team in (select team from members where uid = auth.uid())', 'team in (select m.team from members m where m.uid = (select auth.uid()))',
  `team in (select id from teams where org = auth.jwt() ->> 'org')`, 'team in (select id from teams where id in (select team from members where uid = auth.uid()))',
  'team = any (array(select team from members where uid = auth.uid()))',
  'is_member(team)', 'team in (select my_teams())', 'may_read(kind, level)', `lower(kind) = 'a'`, `data ->> 'k' = 'v'`, `tags @> array[auth.jwt() ->> 'kind']`,
  `kind ~ '^a'`, '(select count(*) from members m where m.team = T.team) > 1', 'owner not in (select uid from members where team = T.team)',
]

function condition(random, depth) {
  const roll = random.next()
  if (depth === 0 || roll < 0.5) return random.pick(CONDITIONS)
  if (roll < 0.58) return `not (${condition(random, depth - 1)})`
  return `(${condition(random, depth - 1)} ${roll < 0.82 ? 'or' : 'and'} ${condition(random, depth - 1)})`
}

// A function that writes the policy for a table of that name, in whichever schema.
function policy(random, name) {
  const text = condition(random, 2)
  const to = random.weighted([[6, 'public'], [2, 'authenticated'], [1, 'anon, rls_staff'], [1, 'rls_staff']])
  const [kind, use] = [random.weighted([[6, 'permissive'], [1, 'restrictive']]), random.weighted([[12, 'using'], [1, 'with check']])]
  const command = use === 'using' ? random.weighted([[3, 'select'], [2, 'all'], [1, 'update']]) : 'all'
  return table => `create policy ${name} on ${table} as ${kind} for ${command} to ${to} ${use} (${text.replaceAll('T.', `${table.split('.').at(-1)}.`)});`
}

const COLUMNS = 'id int primary key, owner uuid, team int, public boolean, kind text, level numeric, at timestamptz, tags text[], data jsonb, canary text, hidden text'
export const READABLE = ['id', 'owner', 'team', 'public', 'kind', 'level', 'at', 'tags', 'data', 'canary'] // all but hidden, for some roles

export class World {
  constructor(random, number) {
    this.random = random
    this.table = `world${number}`
    this.ids = []
    this.last = 0
    this.versions = 0
    this.policies = Array.from({ length: random.between(1, 4) }, (_, n) => policy(random, `p${n}`))
    this.security = `${random.chance(0.96) ? 'enable' : 'disable'} row level security`
    this.force = `${random.chance(0.4) ? 'force' : 'no force'} row level security`
    this.nested = random.chance(0.5) ? 'enable' : 'disable'
  }

  // The table itself and its twin in schema truth.
  sql() {
    const make = name => `create table ${name} (${COLUMNS}); alter table ${name} owner to rls_owner; alter table ${name} ${this.security}; alter table ${name} ${this.force};
      grant select (${READABLE}) on ${name} to authenticated, anon; grant select on ${name} to rls_clerk, rls_guest, service_role;
      ${this.policies.map(each => each(name)).join('\n      ')}`
    return `${make(this.table)}\n${make(`truth.${this.table}`)}
      alter table members ${this.nested} row level security; alter table teams ${this.nested} row level security; delete from members; select enable_realtime('${this.table}')`
  }

  row(id) {
    const { random } = this
    const maybe = (list, share = 0.12) => random.chance(share) ? null : random.pick(list)
    const canary = `canary-${this.table}-${id}-${++this.versions}`
    return { id, owner: maybe(USERS), team: maybe([1, 2, 3, 4]), public: maybe([true, false]), kind: maybe(KINDS), level: maybe(['0', '1', '2', '2.00', '3', 'NaN']),
      at: maybe(MOMENTS), tags: maybe([['a'], ['x', 'b'], []]), data: maybe([{ k: 'v' }, { k: 1 }, {}]), canary, hidden: `${canary}-hidden` }
  }

  // Steps of one transaction, for commit(); memberships change between rows, before them or after them.
  transaction() {
    const { random } = this
    const moves = random.chance(0.25) ? random.between(1, 2) : 0
    const steps = []
    for (let n = random.between(moves > 0 ? 0 : 1, 4); n > 0; n--) {
      const kind = this.ids.length === 0 ? 'insert' : random.weighted([[this.ids.length < 12 ? 5 : 1, 'insert'], [6, 'update'], [2, 'delete']])
      if (kind === 'insert') this.ids.push(++this.last)
      const id = kind === 'insert' ? this.last : random.pick(this.ids)
      if (kind === 'delete') this.ids = this.ids.filter(each => each !== id)
      // Most updates leave most columns as they are.
      const row = this.row(id)
      steps.push([kind, id, row, random.chance(0.75) ? Object.keys(row).filter(() => random.chance(0.7)) : []])
    }
    for (let n = 0; n < moves; n++) {
      steps.splice(random.below(steps.length + 1), 0, ['member', random.chance(0.65), random.pick([1, 2, 3, 4]), random.pick(USERS), random.between(1, 3)])
    }
    return steps
  }
}

const same = ['id', 'canary', 'hidden']

// Runs the steps in one transaction; the changes of rows as they were committed: {old, record}.
export async function commit(db, world, steps) {
  const changes = []
  const image = `to_jsonb(${world.table})`
  const run = async (text, values) => (await db.query(text, values)).rows[0] ?? {}
  await db.query('begin')
  for (const [kind, ...step] of steps) {
    if (kind === 'member') {
      const [join, team, user, rank] = step
      await run(join ? 'insert into members values ($1, $2, $3)' : 'delete from members where team = $1 and uid = $2', join ? [team, user, rank] : [team, user])
      continue
    }
    const [id, row, keep] = step
    const { old } = await run(`select ${image} as old from ${world.table} where id = $1`, [id])
    if (kind === 'delete') {
      await run(`delete from ${world.table} where id = $1`, [id])
      changes.push({ old })
      continue
    }
    const set = Object.entries(row).filter(([name]) => kind === 'insert' || same.includes(name) || !keep.includes(name))
    const values = set.map(([name, value]) => name === 'data' && value ? JSON.stringify(value) : value)
    const places = set.map((_, at) => `$${at + 1}`)
    const { record } = await run(kind === 'insert' ? `insert into ${world.table} (${set.map(([name]) => name)}) values (${places}) returning ${image} as record`
      : `update ${world.table} set (${set.map(([name]) => name)}) = row(${places}) where id = $1 returning ${image} as record`, values)
    changes.push({ old, record })
  }
  await db.query('commit')
  return changes
}
