// The fallback lane with a real PostgreSQL: for policies and filters that are not compiled, it says of each row and each of 100
// identities what row-level security itself says, in whichever lane; nothing counts that was judged before the change was visible.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { BUILD, Cluster } from './cluster.mjs'

const run = promisify(execFile)
let cluster
before(async () => { cluster = await Cluster.start(0, false) })
after(() => cluster?.stop())

const SETUP = `
  create role visitor nologin; create role editor nologin; create role auditor nologin;
  create schema auth; grant usage on schema auth, public to visitor, editor, auditor;
  create function auth.jwt() returns jsonb language sql stable as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
  create function auth.uid() returns int language sql stable as $$ select (auth.jwt() ->> 'sub')::int $$;
  create table teams (team int, member int); alter table teams enable row level security;
  create policy own on teams using (member = auth.uid()); grant select on teams to visitor, editor;
  insert into teams select i % 7, i from generate_series(0, 99) i;
  create function is_member(t int) returns boolean language plpgsql stable security definer as $$
    begin return exists (select 1 from public.teams where team = t and member = auth.uid()); end $$;
  create function sees(t int) returns boolean language plpgsql stable as $$
    begin if t = 3 and auth.uid() % 10 = 3 then assert false, 'no'; end if; if t = 5 then raise 'nobody'; end if; return t = auth.uid() % 7; end $$;
  create function liar() returns int language sql immutable as $$ select (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::int $$;
  create table notes (id int primary key, owner int, team int, title text, level text, tags jsonb, words text[], "it's" text);
  insert into notes select i, i % 11, i % 7, (array['alpha', 'Beta', 'gamma "x"', E'del\\\\ta', null])[1 + i % 5], (array['1', '2', 'x'])[1 + i % 3],
    jsonb_build_object('team', i % 7, 'kind', 'k' || i % 3), array['a', 'w' || i % 4], 'o''k' from generate_series(0, 29) i;
  alter table notes enable row level security; grant select on notes to visitor, editor, auditor;
  alter table notes drop column "it's"; alter table notes add column later int default 7;`

// 100 identities of three roles; some claims are no numbers, and a cast of them raises.
const IDENTITIES = `drop table if exists identities; create table identities as select i as id, (array['visitor', 'visitor', 'editor'])[1 + i % 3] as role,
    case when i % 25 = 7 then '{"sub": "nobody", "team": "x", "kinds": 1}' when i % 25 = 9 then '' else
      json_build_object('sub', i, 'team', i % 7, 'kinds', json_build_object('kind', 'k' || i % 3), 'word', 'w' || i % 4, 'pattern', '^' || chr(97 + i % 4))::text end as claims,
    ''::text as filter from generate_series(0, 99) i`

// What it is; policies; the lane that must serve it (nothing else may be used but after an error); filters, if any.
const CASES = [
  ['a security definer function over another table', 'create policy p on notes using (is_member(team))', 'loop'],
  ['plpgsql that raises, and an assertion that fails', 'create policy p on notes using (sees(team))', 'loop'],
  ['a regular expression', `create policy p on notes using (title ~ (auth.jwt() ->> 'pattern'))`, 'set'],
  ['lower() of both sides', `create policy p on notes using (lower(title) like (auth.jwt() ->> 'pattern') || '%' or lower(title) = chr(98) || 'eta')`, 'set'],
  ['jsonb containment', `create policy p on notes using (tags @> (auth.jwt() -> 'kinds'))`, 'set'],
  ['a claim in an array of the row, or the owner', `create policy p on notes using (words @> array[auth.jwt() ->> 'word']); create policy q on notes using (owner = auth.uid())`, 'set'],
  ['a cast of the row that raises', `create policy p on notes using (level::int = auth.uid() % 3)`, 'set loop'],
  ['the same behind another permissive one', `create policy a on notes using (level::int = 1); create policy b on notes using (team = auth.uid() % 7)`, 'set loop'],
  ['restrictive ones', `create policy p on notes using (title ~ 'a'); create policy r on notes as restrictive to visitor using ((auth.jwt() ->> 'team')::int = team)`, 'set'],
  ['a subquery under the policies of its table', 'create policy p on notes using (exists (select from teams m where m.team <= notes.team and m.member = auth.uid()))', 'loop'],
  ['a function that says IMMUTABLE and is not', 'create policy p on notes using (coalesce(team, 0) = liar() % 7 and is_member(team))', 'loop'],
  ['the whole row', `create policy p on notes using (auth.uid() % 2 = 0 and (notes.*)::text ~ 'alpha' and to_jsonb(notes) ->> 'title' ~ (auth.jwt() ->> 'pattern'))`, 'loop'],
  ['nothing of the identity', `create policy p on notes using (title ~* 'BETA')`, 'set'],
  ['filters that are not compiled, without and with policies', 'create policy p on notes to editor using (is_member(team)); create policy q on notes to visitor using (true)', 'loop filter',
    `update identities set filter = (array['title=imatch.BET', 'tags->>kind=eq.k1', 'title=imatch.a', ''])[1 + id % 4]`],
]

async function ask(mode) {
  const conninfo = `host=${cluster.dir} user=postgres dbname=template1`
  try {
    return (await run(join(BUILD, 'bin/asks-oracle'), [conninfo, 'public', 'notes', mode], { maxBuffer: 1 << 26 })).stdout
  } catch (error) {
    assert.fail(`asks-oracle ${mode}: ${error.message}\n${error.stdout}\n${error.stderr}`)
  }
}

const figure = (output, name) => Number(output.match(new RegExp(`^(?:.* )?${name}=(\\d+)`, 'm'))[1])
const counted = (output, name, label) => Number(output.match(new RegExp(`^pgtide_broker_ask_${name}\\{[^}]*"${label}"\\} (\\d+)`, 'm'))[1])

async function policies(text) {
  await cluster.sql(`do $$ declare p name; begin for p in select polname from pg_policy where polrelid = 'notes'::regclass loop execute format('drop policy %I on notes', p); end loop; end $$; ${text}`)
}

test('what PostgreSQL says, for 100 identities', async t => {
  await cluster.sql(SETUP)
  for (const [name, text, lanes, more] of CASES) {
    await t.test(name, async t => {
      await cluster.sql(IDENTITIES)
      await policies(text)
      if (more) await cluster.sql(more)
      const output = await ask('verdicts')
      t.diagnostic(output.split('\n')[0])
      for (const lane of ['set', 'loop', 'filter']) t.diagnostic(`${lane}: ${counted(output, 'batches_total', lane)} batches, ${counted(output, 'judged_total', lane)} judged`)
      assert.equal(figure(output, 'decisions'), 3000)
      assert.ok(figure(output, 'asked') > 100, 'nothing was asked')
      assert.equal(figure(output, 'failed'), 0)
      assert.equal(figure(output, 'wrong'), 0)
      for (const lane of ['set', 'loop', 'filter']) assert.equal(counted(output, 'batches_total', lane) > 0, lanes.includes(lane), `${lane} is used`)
    })
  }
})

test('the same from statements that connections keep, change by change', async t => {
  for (const [name, text, lanes] of CASES.filter(([, , lanes]) => lanes === 'set')) {
    await t.test(name, async () => {
      await cluster.sql(IDENTITIES)
      await policies(text)
      const output = await ask('turns')
      assert.ok(figure(output, 'asked') > 100, 'nothing was asked')
      assert.equal(figure(output, 'failed'), 0)
      assert.equal(figure(output, 'wrong'), 0)
      const kept = Number(output.match(/^pgtide_broker_ask_kept_total (\d+)/m)[1])
      assert.ok(kept >= 10, `${kept} texts made use of a kept statement`)
      assert.equal(counted(output, 'retries_total', 'raised'), 0)
    })
  }
})

test('an answer from before the commit does not count', async () => {
  await cluster.sql(IDENTITIES)
  await policies('create policy p on notes using (is_member(team))')
  const output = await ask('unseen')
  assert.equal(figure(output, 'failed'), 0)
  assert.equal(figure(output, 'wrong'), 0)
  assert.ok(figure(output, 'ms') >= 100, 'answered before the commit')
  assert.ok(counted(output, 'retries_total', 'not_visible') > 0)
})

test('what never becomes visible fails at the deadline', async () => {
  const output = await ask('late')
  assert.ok(figure(output, 'failed') > 100)
  assert.equal(figure(output, 'failed'), figure(output, 'asked'))
  assert.equal(counted(output, 'failures_total', 'deadline') > 0, true)
})
