-- The roles that tokens name: what a client may see is what its role may SELECT.
--
-- Roles belong to the whole server, so another database's set-up may make them at the same moment; an
-- existing role is left exactly as it is. Without CREATEROLE this is said and the rest goes on.

do $roles$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('anon', 'connections without a token'),
            ('authenticated', 'connections with a token'),
            ('service_role', 'trusted programs; row-level security does not apply to it')
        ) as v (name, purpose)
    loop
        continue when exists (select from pg_catalog.pg_roles where rolname = wanted.name);
        begin
            execute pg_catalog.format('create role %I nologin noinherit', wanted.name);
            execute pg_catalog.format('comment on role %I is %L', wanted.name, 'pgtide: ' || wanted.purpose);
        exception
            when duplicate_object or unique_violation then
                null;
            when insufficient_privilege then
                raise warning 'role % is missing and this user may not create roles', wanted.name
                    using hint = pg_catalog.format('Let an administrator run: CREATE ROLE %I NOLOGIN%s;', wanted.name,
                        case when wanted.name = 'service_role' then ' BYPASSRLS' else '' end);
                continue;
        end;
        if wanted.name = 'service_role' then
            begin
                alter role service_role bypassrls;
            exception when insufficient_privilege then
                raise notice 'service_role was created without BYPASSRLS: only a superuser may give that'
                    using hint = 'Let a superuser run: ALTER ROLE service_role BYPASSRLS;';
            end;
        end if;
    end loop;
end
$roles$;

-- Snapshots read tables as the role of their client (SET LOCAL ROLE), so the database user of the broker has to be a member
-- of these roles, unless it is a superuser. Whoever runs this file becomes one, if it may give that to itself;
-- for another user: GRANT anon, authenticated, service_role TO that_user;
do $members$
declare
    wanted text;
    may_set boolean;
begin
    for wanted in
        select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')
    loop
        -- Since PostgreSQL 16 a member may be one without the right to SET ROLE.
        execute pg_catalog.format('select pg_catalog.pg_has_role(current_user, %L, %L)', wanted,
            case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) into may_set;
        continue when may_set;
        begin
            execute pg_catalog.format('grant %I to current_user', wanted)
                || case when pg_catalog.current_setting('server_version_num')::int >= 160000 then ' with set true' else '' end;
        exception when insufficient_privilege then
            raise notice 'this user is not a member of role %: as it, the broker cannot read snapshots for clients with that role', wanted
                using hint = pg_catalog.format('Let an administrator run: GRANT %I TO %I;', wanted, current_user);
        end;
    end loop;
end
$members$;
