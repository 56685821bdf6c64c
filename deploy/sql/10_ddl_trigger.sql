-- Tells brokers of schema changes at their exact place in the write-ahead log: a transactional logical
-- message with prefix pgtide.ddl and the body {"tag": …, "objects": [{"type": …, "identity": …}, …]}. Another one, outside of the
-- transaction and so ahead of it in the stream, has the transaction's number (prefix pgtide.rights): its rows are judged by the
-- rights that it leaves, those before the DDL too.
--
-- A message is sent only for what can change who may see what of an enabled table: the table
-- itself, the tables that policies read, the publications, grants, policies, schemas, types and functions. New partitions of
-- an enabled table get REPLICA IDENTITY FULL here, and the publication of the tables that policies read follows the
-- policies. Whatever goes wrong in here is a warning: nobody's DDL fails because of pgtide.

create or replace function pgtide.announce(tag text, objects jsonb, total bigint) returns void
    language sql set search_path = pg_catalog, pg_temp
    as $$
        select pg_logical_emit_message(false, 'pgtide.rights', pg_current_xact_id()::xid::text);
        select pg_logical_emit_message(true, 'pgtide.ddl',
            (jsonb_build_object('tag', tag, 'objects', coalesce(objects, '[]'))
             || case when total > 50 then jsonb_build_object('more', total - 50) else '{}' end)::text);
    $$;

create or replace function pgtide.on_ddl() returns event_trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    objects jsonb;
    total bigint;
    partition oid;
begin
    for partition in
        select c.oid from pg_event_trigger_ddl_commands() d
        cross join lateral pgtide.members(d.objid) m join pg_class c on c.oid = m
        where d.classid = 'pg_class'::regclass and d.object_type = 'table' and d.command_tag in ('CREATE TABLE', 'ALTER TABLE')
            and c.relkind in ('r', 'p') and c.relispartition and c.relreplident <> 'f'
            and (pgtide.published_parent(c.oid) is not null or pgtide.is_followed(c.oid))
    loop
        execute format('alter table only %s replica identity full', partition::regclass);
    end loop;
    if tg_tag in ('CREATE POLICY', 'ALTER POLICY', 'CREATE PUBLICATION', 'ALTER PUBLICATION') then
        perform pgtide.sync_policies_soon();
    end if;

    with relevant as (
        select d.object_type as kind, d.object_identity as name
        from pg_event_trigger_ddl_commands() d
        where d.schema_name is distinct from 'pg_temp' and d.schema_name is distinct from 'pgtide'
            and case
                when d.classid = 'pg_class'::regclass then
                    d.command_tag <> 'CREATE TABLE' and (pgtide.is_published(d.objid) or pgtide.published_parent(d.objid) is not null
                                                             or pgtide.is_followed(d.objid))
                when d.classid = 'pg_policy'::regclass then
                    exists (select from pg_policy p where p.oid = d.objid
                            and (pgtide.is_published(p.polrelid) or pgtide.published_parent(p.polrelid) is not null
                                 or pgtide.is_followed(p.polrelid)))
                when d.classid is null then -- GRANT and REVOKE name a kind only
                    upper(d.object_type) in ('TABLE', 'COLUMN', 'SCHEMA', 'FUNCTION', 'PROCEDURE', 'ROUTINE', 'TYPE')
                else true end
    )
    select jsonb_agg(jsonb_build_object('type', r.kind, 'identity', r.name)) filter (where r.at <= 50), count(*)
        into objects, total
        from (select relevant.*, row_number() over () as at from relevant) r;
    if total > 0 then
        perform pgtide.announce(tg_tag, objects, total);
    end if;
exception when others then
    raise warning 'pgtide could not announce this %: %', tg_tag, sqlerrm
        using hint = 'The command itself is done. Run pgtide init again if this comes back.';
end
$$;

create or replace function pgtide.on_drop() returns event_trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    objects jsonb;
    total bigint;
begin
    with relevant as (
        select d.object_type as kind, d.object_identity as name
        from pg_event_trigger_dropped_objects() d
        where not d.is_temporary and d.schema_name is distinct from 'pgtide'
            and (d.object_type in ('publication', 'publication relation', 'publication namespace', 'policy')
                 or (d.original and d.object_type in ('schema', 'function', 'procedure', 'aggregate', 'type', 'domain', 'extension')))
    )
    select jsonb_agg(jsonb_build_object('type', r.kind, 'identity', r.name)) filter (where r.at <= 50), count(*)
        into objects, total
        from (select relevant.*, row_number() over () as at from relevant) r;
    if exists (select from pg_event_trigger_dropped_objects() d
               where d.object_type in ('policy', 'publication relation', 'publication namespace')) then
        perform pgtide.sync_policies_soon();
    end if;
    if total > 0 then
        perform pgtide.announce(tg_tag, objects, total);
    end if;
exception when others then
    raise warning 'pgtide could not announce this %: %', tg_tag, sqlerrm
        using hint = 'The command itself is done. Run pgtide init again if this comes back.';
end
$$;

do $triggers$
declare
    tags constant text[] := array[
        'ALTER TABLE', 'CREATE TABLE', 'CREATE PUBLICATION', 'ALTER PUBLICATION', 'GRANT', 'REVOKE', 'CREATE POLICY', 'ALTER POLICY',
        'ALTER SCHEMA', 'CREATE FUNCTION', 'ALTER FUNCTION', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER AGGREGATE', 'ALTER TYPE',
        'ALTER DOMAIN', 'CREATE EXTENSION', 'ALTER EXTENSION'];
    old_tags text[];
begin
    select evttags into old_tags from pg_catalog.pg_event_trigger where evtname = 'pgtide_ddl';
    if found and old_tags is distinct from tags then
        drop event trigger pgtide_ddl;
        old_tags := null;
    end if;
    if old_tags is null then
        execute pg_catalog.format('create event trigger pgtide_ddl on ddl_command_end when tag in (%s) execute function pgtide.on_ddl()',
            (select pg_catalog.string_agg(pg_catalog.quote_literal(tag), ', ') from pg_catalog.unnest(tags) as tag));
        -- Also in sessions that switch ordinary triggers off (session_replication_role).
        alter event trigger pgtide_ddl enable always;
    end if;
    if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgtide_drop') then
        create event trigger pgtide_drop on sql_drop execute function pgtide.on_drop();
        alter event trigger pgtide_drop enable always;
    end if;
exception when insufficient_privilege then
    raise notice 'no event triggers: only a superuser may create them'
        using detail = 'Policy, grant and table changes are still noticed where PostgreSQL marks them in its log; changed functions '
            'are not, and new partitions of enabled tables need another enable_realtime().',
            hint = 'Let a superuser run pgtide init once.';
end
$triggers$;
