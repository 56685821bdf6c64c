// Policies as people write them: after the examples of Supabase's and PostgreSQL's documentation, and what applications do with them.
//
// Each case: DDL in a schema of its own (on the search_path while it runs; functions name it as S), the table that is watched, its rows,
// who watches, and steps that change rows or what policies read. A step does not change a row twice, nor rows and memberships both.
import { identity, uuid } from './rls.mjs'

const [U1, U2, U3] = [1, 2, 3].map(uuid)
const user = (n, claims) => identity(`user ${n}`, 'authenticated', { sub: uuid(n), ...claims })
const [ann, bob, cid] = [1, 2, 3].map(n => user(n))
const anon = identity('no token', 'anon', null)
const roleless = identity('a token that names no role', 'anon', { sub: U1, role: undefined })
const service = identity('service', 'service_role')
const as = role => identity(role, role)
const table = (name, columns) => `create table ${name} (id int primary key, touched int not null default 0, ${columns}); alter table ${name} enable row level security;`
const values = (name, columns, rows) => `insert into ${name} (id, ${columns}) values ${rows.map((row, n) => `(${n + 1}, ${row})`).join(', ')}`
const of = (name, text, more = 'for select') => `create policy "${text.slice(0, 50).replaceAll('"', '')}" on ${name} ${more} using (${text});`
const owned = rows => values('t', 'owner', rows ?? [`'${U1}'`, `'${U2}'`, `'${U1}'`, 'null'])
const teams = `create table team_user (team int, uid uuid, role text default 'member'); alter table team_user replica identity full;
  insert into team_user values (1, '${U1}', 'owner'), (1, '${U2}', 'member'), (2, '${U2}', 'admin'), (3, null, 'owner');`
const teamRows = values('t', 'team', ['1', '2', '3', 'null', '1'])
const teamSteps = [`insert into team_user values (2, '${U1}', 'viewer')`, 'update t set touched = 10', `delete from team_user where uid = '${U2}'`, 'update t set touched = 11', 'update t set team = 2 where team = 1']
const ownTable = (text, more) => table('t', 'owner uuid') + of('t', text, more)
const teamTable = (text, more = '') => teams + more + table('t', 'team int') + of('t', text)
const definer = (name, result, body, language = 'sql') => `create function ${name} returns ${result} language ${language} stable security definer set search_path = '' as $$${body}$$;`

export const CASES = [
  // Supabase: the guide to row-level security.
  { name: 'own rows, the function in a subquery', ddl: ownTable('(select auth.uid()) = owner', 'for select to authenticated'), rows: owned(), who: [ann, bob, anon, service], steps: [`update t set owner = '${U2}' where id = 1`, 'update t set owner = null where id = 2'] },
  { name: 'own rows, asked for explicitly', ddl: ownTable('auth.uid() is not null and auth.uid() = owner'), rows: owned(), who: [ann, bob, anon, user(1, { sub: 'no uuid' })] },
  { name: 'visible to everyone who has no token', ddl: ownTable('true', 'for select to anon'), rows: owned(), who: [ann, anon] },
  { name: 'visible to everyone', ddl: ownTable('true', 'for select to anon, authenticated'), rows: owned(), who: [ann, anon] },
  { name: 'visible to whoever is signed in', ddl: ownTable(`auth.role() = 'authenticated'`), rows: owned(), who: [ann, anon] },
  { name: 'visible to whoever is not signed in', ddl: ownTable(`auth.role() = 'anon'`, 'to public'), rows: owned(), who: [ann, anon, roleless], steps: ['update t set touched = 2'] },
  { name: 'only policies for writing: nothing to see', ddl: ownTable('owner = auth.uid()', 'for update') + `create policy c on t for insert with check (owner = auth.uid()); create policy d on t for delete using (owner = auth.uid())`, rows: owned(), who: [ann, bob, service] },
  { name: 'row security without a policy', ddl: table('t', 'owner uuid'), rows: owned(), who: [ann, anon, service] },
  { name: 'teams in the token, as texts', ddl: table('t', 'team text') + of('t', `team in (select jsonb_array_elements_text(auth.jwt() -> 'app_metadata' -> 'teams'))`), rows: values('t', 'team', [`'red'`, `'blue'`, 'null']),
    who: [user(1, { app_metadata: { teams: ['red', 'green'] } }), user(2, { app_metadata: { teams: [] } }), ann, anon], steps: [`update t set team = 'green' where id = 2`, `update t set team = 'blue' where id = 1`] },
  { name: 'teams in the token, by the operator for members', ddl: table('t', 'team int') + of('t', `(auth.jwt() -> 'app_metadata' -> 'teams') ? team::text`), rows: values('t', 'team', ['1', '2', 'null']),
    who: [user(1, { app_metadata: { teams: ['1', '3'] } }), ann, anon], steps: ['update t set team = 3 where id = 2'] },
  { name: 'a second factor, restrictive', ddl: ownTable('owner = auth.uid()') + of('t', `(select auth.jwt() ->> 'aal') = 'aal2'`, 'as restrictive for select to authenticated'), rows: owned(),
    who: [user(1, { aal: 'aal2' }), user(1, { aal: 'aal1' }), ann, service] },
  { name: 'a second factor for those who have one', ddl: `create table factors (id int primary key, uid uuid, status text); alter table factors replica identity full; insert into factors values (1, '${U1}', 'verified'), (2, '${U2}', 'unverified');`
    + ownTable('true') + of('t', `array[auth.jwt() ->> 'aal'] <@ (select case when count(id) > 0 then array['aal2'] else array['aal1', 'aal2'] end from factors where uid = auth.uid() and status = 'verified')`, 'as restrictive to authenticated'), rows: owned(),
    who: [user(1, { aal: 'aal1' }), user(1, { aal: 'aal2' }), user(2, { aal: 'aal1' })], steps: [`update factors set status = 'verified'`, 'update t set touched = 9'] },
  { name: 'who signed in through a provider', ddl: table('t', 'provider text') + of('t', `provider = (select auth.jwt() #>> '{amr,0,provider}')`, 'as permissive for select to authenticated'), rows: values('t', 'provider', [`'a'`, `'b'`]), who: [user(1, { amr: [{ provider: 'a' }] }), user(2, { amr: [] }), ann] },
  { name: 'not for users who signed in anonymously', ddl: ownTable('true', 'for select to authenticated') + of('t', `(select (auth.jwt() ->> 'is_anonymous')::boolean) is false`, 'as restrictive for select to authenticated'), rows: owned(),
    who: [user(1, { is_anonymous: false }), user(2, { is_anonymous: true }), ann] },
  { name: 'by the domain of an address', ddl: ownTable(`right(auth.jwt() ->> 'email', 12) = '@example.com'`), rows: owned(), who: [user(1, { email: 'a@example.com' }), user(2, { email: 'a@example.org' }), anon] },
  { name: 'permissions of roles in a table', ddl: `create type permission as enum ('t.read', 't.write'); create type app_role as enum ('admin', 'moderator'); create table role_permissions (role app_role, permission permission); alter table role_permissions replica identity full;
    insert into role_permissions values ('admin', 't.read'), ('moderator', 't.write');`
    + definer('authorize(wanted permission)', 'boolean', `declare n int; begin select count(*) into n from S.role_permissions p where p.permission = wanted and p.role = (auth.jwt() ->> 'user_role')::S.app_role; return n > 0; end`, 'plpgsql')
    + ownTable(`(select authorize('t.read'))`, 'for select to authenticated'), rows: owned(), who: [user(1, { user_role: 'admin' }), user(2, { user_role: 'moderator' }), user(3, { user_role: 'king' }), ann],
  steps: [`insert into role_permissions values ('moderator', 't.read')`, 'update t set touched = 5'] },
  { name: 'a security definer function about the user', ddl: teams + definer('has_role()', 'boolean', `select exists (select 1 from S.team_user where uid = auth.uid() and role = 'admin')`) + ownTable('(select has_role())'), rows: owned(), who: [ann, bob, anon], steps: [`update team_user set role = 'admin'`, 'update t set touched = 5'] },
  { name: 'teams of the user, IN', ddl: teamTable('team in (select team from team_user where uid = (select auth.uid()))'), rows: teamRows, who: [ann, bob, cid, anon], steps: teamSteps },
  { name: 'the user among those of the team', ddl: teamTable('(select auth.uid()) in (select uid from team_user where team_user.team = t.team)'), rows: teamRows, who: [ann, bob, cid], steps: teamSteps },
  { name: 'teams of the user, EXISTS', ddl: teamTable('exists (select 1 from team_user m where m.team = t.team and m.uid = auth.uid())'), rows: teamRows, who: [ann, bob, cid], steps: teamSteps },
  { name: 'teams of the user, a function of a set', ddl: teamTable('team in (select my_teams())', definer('my_teams()', 'setof int', 'select team from S.team_user where uid = auth.uid()')), rows: teamRows, who: [ann, bob, cid], steps: teamSteps },
  { name: 'teams of the user, an array of a function', ddl: teamTable('team = any (array(select my_teams()))', definer('my_teams()', 'setof int', 'select team from S.team_user where uid = auth.uid()')), rows: teamRows, who: [ann, bob, cid], steps: teamSteps },
  { name: 'folders named after users', ddl: table('t', 'bucket text, path text') + of('t', `bucket = 'avatars' and (string_to_array(path, '/'))[1] = (select auth.uid()::text)`), rows: values('t', 'bucket, path', [`'avatars', '${U1}/a.png'`, `'avatars', '${U2}/a.png'`, `'other', '${U1}/a.png'`]), who: [ann, bob],
    steps: [`update t set path = '${U2}/moved.png' where id = 1`] },
  { name: 'rows that live for a day', ddl: table('t', 'owner uuid, made timestamptz') + of('t', `made > current_timestamp - interval '1 day'`), rows: values('t', 'owner, made', [`'${U1}', now()`, `'${U1}', now() - interval '2 days'`]), who: [ann, anon], steps: [`update t set made = now() - interval '3 days' where id = 1`] },

  // PostgreSQL: the chapter on row security policies, and CREATE POLICY.
  { name: 'managers and their accounts', roles: 'create role managers; create role alice; create role malik; create role visitor; grant managers to alice, malik;', ddl: table('t', 'manager text') + of('t', 'manager = current_user', 'to managers'), rows: values('t', 'manager', [`'alice'`, `'malik'`, `'visitor'`]),
    who: [as('alice'), as('malik'), as('visitor')], steps: [`update t set manager = 'malik' where id = 1`] },
  { name: 'everybody their own row', ddl: table('t', 'user_name text') + of('t', 'user_name = current_user', ''), rows: values('t', 'user_name', [`'alice'`, `'visitor'`]), who: [as('alice'), as('visitor')] },
  { name: 'all may look, some may change', ddl: table('t', 'user_name text') + of('t', 'true') + of('t', 'user_name = current_user', 'for update'), rows: values('t', 'user_name', [`'alice'`, `'visitor'`]), who: [as('alice'), anon] },
  { name: 'the password file: an administrator, everybody, column privileges', roles: 'create role admin;', ddl: table('t', 'user_name text, pwhash text, shell text') + of('t', 'true', 'to admin') + of('t', `shell <> 'none'`),
    rows: values('t', 'user_name, pwhash, shell', [`'alice', 'canary-hash', '/bin/sh'`, `'admin', 'canary-hash', 'none'`]), grants: 'grant select on t to admin; grant select (id, touched, user_name, shell) on t to alice', columns: { alice: ['id', 'touched', 'user_name', 'shell'] }, who: [as('admin'), as('alice')],
    steps: [`update t set pwhash = 'canary-new'`, `update t set shell = 'none' where id = 1`] },
  { name: 'an administrator only from this machine', ddl: table('t', 'user_name text') + of('t', 'true', 'to admin, alice') + of('t', 'inet_client_addr() is null', 'as restrictive to admin'), rows: values('t', 'user_name', [`'alice'`]), who: [as('admin'), as('alice')] },
  { name: 'information by level of a group', ddl: `create table users (user_name text primary key, level int not null); alter table users replica identity full; insert into users values ('alice', 5), ('visitor', 2);`
    + table('t', 'level int not null') + of('t', 'level <= (select level from users where user_name = current_user)'), rows: values('t', 'level', ['1', '2', '3', '5']), who: [as('alice'), as('visitor'), as('malik')],
  steps: [`update users set level = 1 where user_name = 'alice'`, 'update t set touched = 7'] },
  { name: 'documents by level, some categories not', ddl: `create table account (name text primary key, level int); insert into account values ('alice', 3), ('visitor', 1);` + table('t', 'author text, category int, level int')
    + of('t', 'level <= (select level from account where name = current_user)', 'as permissive') + of('t', 'category <> 44 and category < 50', 'as restrictive to visitor'), rows: values('t', 'author, category, level', [`'a', 11, 1`, `'a', 44, 1`, `'b', 22, 2`, `'b', 55, 1`]), who: [as('alice'), as('visitor')],
  steps: ['update t set category = 44 where id = 1', 'update t set level = 9 where id = 3'] },
  { name: 'the owner is exempt', roles: 'create role keeper;', ddl: ownTable('false') + 'alter table t owner to keeper;', rows: owned(), who: [as('keeper'), as('alice')] },
  { name: 'the owner is not exempt, by FORCE', ddl: ownTable('id = 1') + 'alter table t owner to keeper; alter table t force row level security;', rows: owned(), who: [as('keeper'), as('alice')] },
  { name: 'WITH CHECK only grants nothing to see', ddl: table('t', 'owner uuid') + 'create policy w on t with check (true)', rows: owned(), who: [ann] },

  // Applications.
  { name: 'tenants by a claim', ddl: table('t', 'tenant uuid') + of('t', `tenant = (auth.jwt() ->> 'tenant_id')::uuid`, ''), rows: values('t', 'tenant', [`'${U1}'`, `'${U2}'`, 'null']), who: [user(1, { tenant_id: U1 }), user(2, { tenant_id: U2 }), user(3, { tenant_id: 'no uuid' }), ann, anon], steps: [`update t set tenant = '${U2}' where id = 1`] },
  { name: 'tenants by a claim within a claim', ddl: table('t', 'tenant int') + of('t', `tenant = ((select auth.jwt()) -> 'app_metadata' ->> 'org')::int`), rows: values('t', 'tenant', ['1', '2']), who: [user(1, { app_metadata: { org: 1 } }), user(2, { app_metadata: { org: '2' } }), ann] },
  { name: 'tenants by the setting itself', ddl: table('t', 'tenant text') + of('t', `tenant = current_setting('request.jwt.claims', true)::json ->> 'tenant'`), rows: values('t', 'tenant', [`'a'`, `'b'`]), who: [user(1, { tenant: 'a' }), ann, anon, roleless] },
  { name: 'public, or own by the setting itself', ddl: table('t', 'owner text, public boolean default false') + of('t', `public or owner = (current_setting('request.jwt.claims', true)::json ->> 'sub')`, 'to public'), rows: values('t', 'owner, public', [`'${U1}', false`, `'${U2}', true`]), who: [ann, anon, roleless], steps: ['update t set public = not public'] },
  { name: 'the older settings, one for each claim', ddl: ownTable(`owner::text = current_setting('request.jwt.claim.sub', true)`), rows: owned(), who: [ann, bob, anon] },
  { name: 'a function whose body names a table without its schema', ddl: teamTable('in_team(team)',
    'create table public.plainly as select * from team_user; grant select on public.plainly to public; create function in_team(t int) returns boolean language plpgsql stable security definer as $$begin return exists (select from plainly where team = t and uid = auth.uid()); end$$;'),
  rows: teamRows, who: [ann, bob] },
  { name: 'a claim that is a list', ddl: table('t', 'region text') + of('t', `region = any (string_to_array(auth.jwt() ->> 'regions', ','))`), rows: values('t', 'region', [`'eu'`, `'us'`, `''`, 'null']), who: [user(1, { regions: 'eu,us' }), user(2, { regions: '' }), ann] },
  { name: 'owner or team', ddl: teams + table('t', 'owner uuid, team int') + of('t', 'owner = auth.uid() or team in (select team from team_user where uid = auth.uid())'), rows: values('t', 'owner, team', [`'${U1}', 2`, `'${U3}', 1`, `'${U3}', null`, 'null, 3']), who: [ann, bob, cid], steps: teamSteps },
  { name: 'owner or team, two policies', ddl: teams + table('t', 'owner uuid, team int') + of('t', 'owner = auth.uid()') + of('t', 'exists (select from team_user u where u.team = t.team and u.uid = auth.uid())'), rows: values('t', 'owner, team', [`'${U1}', 2`, `'${U3}', 1`]), who: [ann, bob, cid], steps: teamSteps },
  { name: 'roles in a table', ddl: teamTable(`exists (select 1 from team_user u where u.team = t.team and u.uid = auth.uid() and u.role in ('owner', 'admin'))`), rows: teamRows, who: [ann, bob], steps: [`update team_user set role = 'member'`, 'update t set touched = 3', `update team_user set role = 'admin'`, 'update t set touched = 4'] },
  { name: 'an administrator sees all', ddl: teams + ownTable('owner = auth.uid()') + of('t', `exists (select from team_user where uid = auth.uid() and role = 'admin')`), rows: owned(), who: [ann, bob, anon], steps: [`update team_user set role = 'admin' where uid = '${U1}'`, 'update t set touched = 3'] },
  { name: 'public or own', ddl: table('t', 'owner uuid, public boolean default false') + of('t', 'public or owner = auth.uid()'), rows: values('t', 'owner, public', [`'${U1}', false`, `'${U2}', true`, `'${U2}', null`]), who: [ann, bob, anon], steps: ['update t set public = not public where public is not null', 'update t set owner = null'] },
  { name: 'published, or the author', ddl: `create type state as enum ('draft', 'review', 'published');` + table('t', 'owner uuid, state state') + of('t', `state = 'published' or owner = (select auth.uid())`) + of('t', `state >= 'review'`, 'to service_role'), rows: values('t', 'owner, state', [`'${U1}', 'draft'`, `'${U2}', 'published'`]), who: [ann, bob, anon],
    steps: [`update t set state = 'published' where id = 1`, `update t set state = 'review' where id = 2`] },
  { name: 'soft delete', ddl: table('t', 'owner uuid, deleted_at timestamptz') + of('t', 'owner = auth.uid() and deleted_at is null'), rows: values('t', 'owner', [`'${U1}'`, `'${U2}'`]), who: [ann, bob], steps: ['update t set deleted_at = now()', 'update t set touched = 5', 'update t set deleted_at = null where id = 1'] },
  { name: 'soft delete, restrictive', ddl: table('t', 'owner uuid, deleted boolean default false') + of('t', 'true') + of('t', 'not deleted', 'as restrictive'), rows: values('t', 'owner', [`'${U1}'`, `'${U2}'`]), who: [ann, anon], steps: ['update t set deleted = true where id = 1', 'update t set deleted = null where id = 2'] },
  { name: 'a window of time', ddl: table('t', 'opens timestamptz, closes timestamptz') + of('t', 'opens <= now() and (closes is null or closes > now())'),
    rows: values('t', 'opens, closes', [`now() - interval '1 hour', null`, `now() - interval '2 hours', now() - interval '1 hour'`, `now() + interval '1 hour', null`, `'-infinity', 'infinity'`]), who: [ann, anon], steps: [`update t set opens = now() - interval '1 hour' where id = 3`, `update t set closes = '-infinity' where id = 4`] },
  { name: 'dates of a day', ddl: table('t', 'day date') + of('t', 'day <= current_date'), rows: values('t', 'day', [`current_date - 7`, `current_date + 7`, `'infinity'`]), who: [ann] },
  { name: 'projects of teams: two tables', ddl: `${teams} create table projects (id int primary key, team int); alter table projects replica identity full; insert into projects values (1, 1), (2, 2);` + table('t', 'project int')
    + of('t', 'project in (select id from projects where team in (select team from team_user where uid = auth.uid()))'), rows: values('t', 'project', ['1', '2', '3', 'null']), who: [ann, bob, cid],
  steps: ['update projects set team = 1 where id = 2', 'update t set touched = 3', `delete from team_user where uid = '${U1}'`, 'update t set touched = 4'] },
  { name: 'projects of teams: a join', ddl: `${teams} create table projects (id int primary key, team int); alter table projects replica identity full; insert into projects values (1, 1), (2, 2);` + table('t', 'project int')
    + of('t', 'exists (select 1 from projects p join team_user u on u.team = p.team where p.id = t.project and u.uid = auth.uid())'), rows: values('t', 'project', ['1', '2', '3']), who: [ann, bob, cid], steps: ['update projects set team = 1 where id = 2', 'update t set touched = 3'] },
  { name: 'memberships with policies of their own', ddl: `${teams} alter table team_user enable row level security; create policy own on team_user using (uid = auth.uid());` + table('t', 'team int') + of('t', '(select count(*) from team_user u where u.team = t.team) > 0'), rows: teamRows, who: [ann, bob, cid], steps: teamSteps },
  { name: 'memberships that the role may not read', ddl: teamTable('team in (select team from team_user where uid = auth.uid())'), rows: teamRows, grants: 'revoke all on team_user from authenticated', who: [ann] },
  { name: 'shares that expire', ddl: `create table shares (doc int, uid uuid, until timestamptz); alter table shares replica identity full; insert into shares values (1, '${U1}', null), (2, '${U1}', now() - interval '1 day'), (3, '${U2}', now() + interval '1 day');`
    + table('t', 'owner uuid') + of('t', 'exists (select from shares s where s.doc = t.id and s.uid = auth.uid() and (s.until is null or s.until > now()))'), rows: owned(), who: [ann, bob], steps: [`update shares set until = now() + interval '1 day'`, 'update t set touched = 2'] },
  { name: 'blocked by the author', ddl: `create table blocks (blocker uuid, blocked uuid); alter table blocks replica identity full; insert into blocks values ('${U2}', '${U1}');` + ownTable('not exists (select from blocks b where b.blocker = t.owner and b.blocked = auth.uid())'), rows: owned(), who: [ann, bob], steps: ['delete from blocks', 'update t set touched = 2'] },
  { name: 'one of two people', ddl: table('t', 'sender uuid, receiver uuid') + of('t', 'auth.uid() in (sender, receiver)'), rows: values('t', 'sender, receiver', [`'${U1}', '${U2}'`, `'${U2}', '${U3}'`, `null, '${U1}'`]), who: [ann, bob, cid], steps: [`update t set receiver = '${U3}' where id = 1`] },
  { name: 'a list of viewers in the row', ddl: table('t', 'viewers uuid[]') + of('t', 'auth.uid() = any (viewers)'), rows: values('t', 'viewers', [`'{${U1},${U2}}'`, `'{}'`, 'null']), who: [ann, bob], steps: [`update t set viewers = array_append(viewers, '${U1}') where id = 2`, `update t set viewers = '{${U2}}' where id = 1`] },
  { name: 'a document in the row', ddl: table('t', 'meta jsonb') + of('t', `meta ->> 'visibility' = 'public' or meta -> 'readers' ? auth.uid()::text`), rows: values('t', 'meta', [`'{"visibility":"public"}'`, `'{"readers":["${U1}"]}'`, `'{}'`]), who: [ann, bob] },
  { name: 'an age from the token', ddl: table('t', 'min_age int') + of('t', `min_age <= (auth.jwt() ->> 'age')::int`), rows: values('t', 'min_age', ['12', '18', 'null']), who: [user(1, { age: 17 }), user(2, { age: 18 }), user(3, { age: 'old' }), ann], steps: ['update t set min_age = 16'] },
  { name: 'a tree of groups, by a recursive function', ddl: `create table groups (id int primary key, parent int, boss uuid); alter table groups replica identity full; insert into groups values (1, null, '${U1}'), (2, 1, '${U2}'), (3, 2, null);`
    + definer('under(g int)', 'boolean', `with recursive up as (select id, parent, boss from S.groups where id = g union all select p.id, p.parent, p.boss from S.groups p join up on p.id = up.parent) select exists (select from up where boss = auth.uid())`)
    + table('t', 'grp int') + of('t', 'under(grp)'), rows: values('t', 'grp', ['1', '2', '3', 'null']), who: [ann, bob, cid], steps: [`update groups set boss = '${U3}' where id = 3`, 'update t set touched = 2'] },
  { name: 'partitions: the policies of the root', ddl: `create table t (id int, touched int not null default 0, owner uuid, primary key (id)) partition by range (id); create table t_low partition of t for values from (0) to (3); create table t_high partition of t for values from (3) to (100);
    alter table t enable row level security; alter table t_low enable row level security;` + of('t', 'owner = auth.uid()'), rows: owned(), who: [ann, bob], steps: [`update t set owner = '${U2}' where id = 1`] },
]
