-- auth.uid(), auth.role(), auth.jwt(): who is asking, for policies. They read the setting
-- request.jwt.claims (a JSON object), which is set for each identity when its policies are evaluated.
--
-- A function that exists already is somebody else's and is kept, unless its comment starts with "pgtide:".

do $auth$
declare
    wanted record;
    existing pg_catalog.oid;
begin
    if pg_catalog.to_regnamespace('auth') is null then
        create schema auth;
        comment on schema auth is 'pgtide: who is asking, for row-level security policies';
        grant usage on schema auth to public;
    end if;
    for wanted in
        select * from (values
            ('jwt', 'jsonb',
             'select nullif(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb',
             'pgtide: all claims of the current token; null without one'),
            ('role', 'text',
             'select nullif(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb ->> ''role''',
             'pgtide: the role claim of the current token; null without one'),
            ('uid', 'uuid',
             'select case when (nullif(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb ->> ''sub'')'
             ' ~* ''^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$'''
             ' then (nullif(pg_catalog.current_setting(''request.jwt.claims'', true), '''')::pg_catalog.jsonb ->> ''sub'')::pg_catalog.uuid end',
             'pgtide: the sub claim of the current token; null when there is none or it is not a uuid')
        ) as v (name, result, body, about)
    loop
        existing := pg_catalog.to_regprocedure(pg_catalog.format('auth.%I()', wanted.name));
        continue when existing is not null
            and coalesce(pg_catalog.obj_description(existing, 'pg_proc'), '') not like 'pgtide:%';
        execute pg_catalog.format('create or replace function auth.%I() returns pg_catalog.%I language sql stable as %L',
                                  wanted.name, wanted.result, wanted.body);
        execute pg_catalog.format('comment on function auth.%I() is %L', wanted.name, wanted.about);
    end loop;
exception when insufficient_privilege then
    raise exception using errcode = sqlstate,
        message = pg_catalog.format('the functions of schema auth could not be made: %s', sqlerrm),
        hint = 'Run pgtide init as the owner of the database and of schema auth, or as a superuser.';
end
$auth$;
