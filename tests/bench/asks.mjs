// The fallback lane against walrus's way (one prepared statement for a change, executed for each subscriber under its role and
// claims): microseconds for one identity and one row, on one machine, in alternating rounds. Medians; starts a PostgreSQL of its own.
//   cmake --preset release && cmake --build build/release && PGTIDE_TEST_BUILD_DIR=$PWD/build/release node tests/bench/asks.mjs [identities] [rounds]
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BUILD, Cluster } from '../oracle/cluster.mjs'

const run = promisify(execFile)
const identities = Number(process.argv[2] ?? 1000)
const rounds = Number(process.argv[3] ?? 5)
const ROWS = 40

const SETUP = `
  create role authenticated nologin; create schema auth; grant usage on schema auth, public to authenticated;
  create function auth.jwt() returns jsonb language sql stable as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
  create function auth.uid() returns uuid language sql stable as $$ select (auth.jwt() ->> 'sub')::uuid $$;
  create table members (team int, member uuid, primary key (team, member));
  create function is_member(t int) returns boolean language plpgsql stable security definer as $$
    begin return exists (select 1 from public.members where team = t and member = auth.uid()); end $$;
  create table identities as select i as id, 'authenticated' as role, ''::text as filter, json_build_object('sub', md5(i::text)::uuid,
    'role', 'authenticated', 'email', 'user' || i || '@example.org', 'teams', json_build_array(i % 50, i % 7), 'name', 'User ' || i)::text as claims from generate_series(1, ${identities}) i;
  insert into members select i % 50, md5(i::text)::uuid from generate_series(1, ${identities}) i on conflict do nothing;
  create table notes (id int primary key, owner uuid, team int, email text, title text, tags jsonb);
  insert into notes select i, md5(i::text)::uuid, i % 50, 'User' || i || '@Example.org', 'Title ' || i, jsonb_build_array(i % 50) from generate_series(1, ${ROWS}) i;
  alter table notes enable row level security; grant select on notes to authenticated; analyze;
  -- walrus's way, written for this comparison.
  create function one_by_one(wanted int) returns int language plpgsql as $$
    declare who record; yes boolean; n int := 0;
    begin
      if exists (select from pg_prepared_statements where name = 'judge') then deallocate judge; end if;
      execute format('prepare judge as select count(*) > 0 from public.notes where id = %s', wanted);
      for who in select role, claims from public.identities loop
        perform set_config('role', who.role, true), set_config('request.jwt.claims', who.claims, true);
        execute 'execute judge' into yes;
        if yes then n := n + 1; end if;
      end loop;
      perform set_config('role', 'none', true);
      return n;
    end $$; grant select on identities to authenticated`

const CASES = {
  'regular expression (set)': `using (title ~ ('^' || split_part(auth.jwt() ->> 'name', ' ', 1) || ' 1'))`,
  'lower(email) = claim (set)': `using (lower(email) = (auth.jwt() ->> 'email'))`,
  'claim contains the row (set)': `using ((auth.jwt() -> 'teams') @> tags)`,
  'owner, or claim contains the row (set)': `using (owner = (select auth.uid()) or (auth.jwt() -> 'teams') @> tags)`,
  'security definer function (loop)': 'using (is_member(team))',
  'subquery with <= (loop)': 'using (exists (select from members m where m.team <= notes.team and m.member = (select auth.uid())))',
}

const median = list => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]

const cluster = await Cluster.start(0, false)
try {
  await cluster.sql(SETUP)
  const postmaster = readFileSync(join(cluster.dir, 'data/postmaster.pid'), 'utf8').split('\n')[0]
  await cluster.sql('grant select on members to authenticated')
  for (const [name, policy] of Object.entries(CASES)) {
    await cluster.sql(`drop policy if exists p on notes; create policy p on notes ${policy}`)
    const { stdout } = await run(join(BUILD, 'bin/bench_asks'), [`host=${cluster.dir} user=postgres dbname=template1`, 'public', 'notes', postmaster, String(rounds)])
    const seen = {}
    for (const [, way, us, server, broker, , yes] of stdout.matchAll(/^(\w+) us=([\d.]+) server=([\d.]+) broker=([\d.]+) pairs=(\d+) yes=(\d+)$/mg)) {
      seen[way] ??= { us: [], server: [], broker: [], cpu: [], yes }
      seen[way].us.push(Number(us))
      seen[way].server.push(Number(server))
      seen[way].broker.push(Number(broker))
      seen[way].cpu.push(Number(server) + Number(broker))
      if (yes !== seen.one_by_one.yes) throw new Error(`${name}: ${way} says yes ${yes} times, walrus's way ${seen.one_by_one.yes} times`)
    }
    const base = { us: median(seen.one_by_one.us), server: median(seen.one_by_one.server), cpu: median(seen.one_by_one.cpu) }
    console.log(`${name}: one by one ${base.us.toFixed(2)} us, CPU ${base.cpu.toFixed(2)}`)
    for (const [way, figures] of Object.entries(seen).slice(1)) {
      const { us, server, broker, cpu } = Object.fromEntries(Object.entries(figures).map(([key, list]) => [key, key === 'yes' ? list : median(list)]))
      console.log(`  ${way}: ${us.toFixed(2)} us (${(base.us / us).toFixed(1)} x); CPU of PostgreSQL ${server.toFixed(2)} (${(base.server / server).toFixed(1)} x), with the broker's ${cpu.toFixed(2)} (${(base.cpu / cpu).toFixed(1)} x)`)
    }
  }
} finally {
  await cluster.stop()
}
