-- Schema pgtide: what pgtide itself keeps in the database. Two small tables; no user data.

do $schema$
declare
    object text;
begin
    if pg_catalog.to_regnamespace('pgtide') is null then
        create schema pgtide;
    elsif pg_catalog.current_setting('is_superuser') = 'on' then
        -- The event trigger runs these functions in everybody's sessions, superusers' too. So once a superuser
        -- sets pgtide up, nothing here may be left to a lesser owner who could put other code in its place.
        for object in
            select 'schema pgtide' from pg_catalog.pg_namespace n
                where n.nspname = 'pgtide' and n.nspowner <> current_user::pg_catalog.regrole
            union all
            select pg_catalog.format('routine %s', p.oid::pg_catalog.regprocedure) from pg_catalog.pg_proc p
                where p.pronamespace = 'pgtide'::pg_catalog.regnamespace and p.proowner <> current_user::pg_catalog.regrole
            union all
            select pg_catalog.format('table %s', c.oid::pg_catalog.regclass) from pg_catalog.pg_class c
                where c.relnamespace = 'pgtide'::pg_catalog.regnamespace and c.relowner <> current_user::pg_catalog.regrole
                    and c.relkind in ('r', 'v')
        loop
            execute pg_catalog.format('alter %s owner to current_user', object);
        end loop;
    end if;
end
$schema$;
comment on schema pgtide is 'pgtide: state and helpers of pgtide; made by pgtide init';
grant usage on schema pgtide to public;

-- One row per replication slot. The incarnation is a random number written when the slot is made; it
-- is a part of every position's epoch, so that a slot made anew under the same name is never taken for the old one.
create table if not exists pgtide.slot (
    slot_name text primary key,
    incarnation bigint not null,
    created_at timestamptz not null default pg_catalog.now()
);
comment on table pgtide.slot is 'pgtide: incarnations of replication slots; written by the tailer';
-- Whether the slot's stream brings the changes of the tables in pgtide.policy_publication(). Brokers look.
alter table pgtide.slot add column if not exists policies boolean not null default false;
grant select on pgtide.slot to public;

create table if not exists pgtide.settings (
    name text primary key,
    value text not null
);
comment on table pgtide.settings is 'pgtide: what pgtide init was told, for the SQL functions; no secrets';
-- The functions run with the rights of whoever calls them, so everyone may read it.
grant select on pgtide.settings to public;

-- pgtide init sets pgtide.publication and pgtide.policy_publication from its configuration (database.publication,
-- database.policy_publication); psql -f does not.
insert into pgtide.settings (name, value)
    select name, pg_catalog.current_setting('pgtide.' || name, true)
    from pg_catalog.unnest(array['publication', 'policy_publication']) as name
    where coalesce(pg_catalog.current_setting('pgtide.' || name, true), '') <> ''
    on conflict (name) do update set value = excluded.value where settings.value <> excluded.value;
insert into pgtide.settings (name, value) values ('publication', 'pgtide'), ('policy_publication', 'pgtide_policies')
    on conflict (name) do nothing;

create or replace function pgtide.publication() returns name
    language sql stable set search_path = pg_catalog, pg_temp
    as $$select value::name from pgtide.settings where name = 'publication'$$;
comment on function pgtide.publication() is 'pgtide: the publication that enable_realtime() maintains';

create or replace function pgtide.policy_publication() returns name
    language sql stable set search_path = pg_catalog, pg_temp
    as $$select value::name from pgtide.settings where name = 'policy_publication'$$;
comment on function pgtide.policy_publication() is
    'pgtide: the publication of the tables that policies read; pgtide.sync_policies() maintains it';
