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
