-- enable_realtime() and disable_realtime(): what users call.
--
-- Only the owner of a table (or a superuser) may enable or disable it. The functions run with the
-- caller's rights, so ALTER TABLE … REPLICA IDENTITY is PostgreSQL's own check of that. The publication may belong
-- to somebody else; then pgtide.publish() changes it with the rights of whoever ran pgtide init.

-- In a SECURITY DEFINER function the caller is known only by its session and SET ROLE. So that code
-- running under another name inside such a session gains nothing, the owner's own act is required as well:
-- the replica identity, which only the owner can set, must already say what is asked for.
create or replace function pgtide.publish(target oid, wanted boolean) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$
declare
    caller constant name := case current_setting('role') when 'none' then session_user else current_setting('role')::name end;
    it record;
begin
    select c.relowner, c.relreplident, format('%I.%I', n.nspname, c.relname) as name
        into strict it from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    if not pg_has_role(caller, it.relowner, 'USAGE') or (it.relreplident = 'f') <> wanted then
        raise exception 'permission denied for table %', it.name
            using errcode = 'insufficient_privilege', hint = 'Call enable_realtime() or disable_realtime() as its owner.';
    end if;
    begin
        execute format('alter publication %I %s table only %s', pgtide.publication(),
                       case when wanted then 'add' else 'drop' end, it.name);
    exception when insufficient_privilege then
        raise exception 'publication % may not be changed for table %: %', pgtide.publication(), it.name, sqlerrm
            using errcode = 'insufficient_privilege',
                hint = format('Run pgtide init as a superuser, or as a member of role %I that owns the publication.',
                              pg_get_userbyid(it.relowner));
    end;
end
$$;

create or replace function pgtide.set_published(target oid, wanted boolean) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
begin
    if exists (select from pg_publication p where p.pubname = pgtide.publication() and pg_has_role(p.pubowner, 'USAGE')) then
        execute format('alter publication %I %s table only %s', pgtide.publication(),
                       case when wanted then 'add' else 'drop' end, target::regclass);
    else
        perform pgtide.publish(target, wanted);
    end if;
end
$$;

-- Returns how many tables (the table and its partitions) were changed.
create or replace function pgtide.set_identity(target oid, wanted_full boolean) returns bigint
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    member record;
    changed bigint := 0;
begin
    for member in
        select c.oid from pgtide.members(target) m join pg_class c on c.oid = m
        where c.relkind in ('r', 'p') and (c.relreplident = 'f') <> wanted_full order by c.oid
    loop
        execute format('alter table only %s replica identity %s', member.oid::regclass,
                       case when wanted_full then 'full' else 'default' end);
        changed := changed + 1;
    end loop;
    return changed;
end
$$;

create or replace function pgtide.require_owner(target oid) returns void
    language plpgsql stable set search_path = pg_catalog, pg_temp
    as $$
declare
    owner oid;
begin
    if not exists (select from pg_publication where pubname = pgtide.publication()) then
        raise exception 'publication % does not exist', pgtide.publication()
            using errcode = 'undefined_object', hint = 'Run pgtide init for this database.';
    end if;
    select relowner into strict owner from pg_class where oid = target;
    if not pg_has_role(owner, 'USAGE') then
        raise exception 'permission denied for table %', target::regclass
            using errcode = 'insufficient_privilege',
                hint = format('Only its owner (%s) or a superuser may enable or disable it.', pg_get_userbyid(owner));
    end if;
end
$$;

create or replace function pgtide.enable(target oid) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    parent oid;
    changed bigint;
    published boolean;
begin
    perform pgtide.require_table(target);
    if current_setting('wal_level') <> 'logical' then
        raise exception 'wal_level is %, so changes cannot be followed', current_setting('wal_level')
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'Run: ALTER SYSTEM SET wal_level = ''logical'';  and restart PostgreSQL.';
    end if;
    perform pgtide.require_owner(target);
    parent := pgtide.published_parent(target);
    if parent is not null then
        raise exception 'table % is a partition of %, which is enabled', target::regclass, parent::regclass
            using errcode = 'wrong_object_type',
                hint = format('Its changes arrive as changes of %s: subscribe to that one.', parent::regclass);
    end if;
    changed := pgtide.set_identity(target, true);
    published := pgtide.is_published(target);
    if not published then
        perform pgtide.set_published(target, true);
    elsif changed = 0 then
        raise notice 'table % is enabled already', target::regclass;
    end if;
    -- The event trigger does it too, where there is one.
    perform pgtide.sync_policies();
    if not exists (select from pg_index where indrelid = target and indisprimary) then
        raise notice 'table % has no primary key', target::regclass
            using detail = 'Its changes are sent; clients have no key by which to tell its rows apart.',
                hint = format('For example: ALTER TABLE %s ADD PRIMARY KEY (id);', target::regclass);
    end if;
end
$$;

create or replace function pgtide.disable(target oid) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
begin
    perform pgtide.require_table(target);
    perform pgtide.require_owner(target);
    if not pgtide.is_published(target) then
        raise notice 'table % is not enabled', target::regclass;
        return;
    end if;
    if not exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
                   where p.pubname = pgtide.publication() and r.prrelid = target) then
        raise exception 'publication % covers more than single tables', pgtide.publication()
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'It is FOR ALL TABLES or FOR TABLES IN SCHEMA; change it with ALTER PUBLICATION.';
    end if;
    -- The table first, as pgtide.publish() demands; its partitions last, because the event trigger keeps those
    -- of a published table at FULL.
    execute format('alter table only %s replica identity default', target::regclass);
    perform pgtide.set_published(target, false);
    perform pgtide.set_identity(target, false);
    perform pgtide.sync_policies();
end
$$;

-- PostgreSQL would keep the old names of the arguments; they are the same in every version of these files.
create or replace function public.enable_realtime(table_name text) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$begin perform pgtide.enable(pgtide.find_table(table_name)); end$$;
create or replace function public.enable_realtime(schema_name text, table_name text) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$begin perform pgtide.enable(pgtide.find_table(schema_name, table_name)); end$$;
create or replace function public.disable_realtime(table_name text) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$begin perform pgtide.disable(pgtide.find_table(table_name)); end$$;
create or replace function public.disable_realtime(schema_name text, table_name text) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$begin perform pgtide.disable(pgtide.find_table(schema_name, table_name)); end$$;

comment on function public.enable_realtime(text) is
    'pgtide: follow a table: ''users'' (schema public) or ''schema.users''. Sets REPLICA IDENTITY FULL and publishes it';
comment on function public.enable_realtime(text, text) is 'pgtide: follow table schema_name.table_name';
comment on function public.disable_realtime(text) is
    'pgtide: no longer follow a table: ''users'' (schema public) or ''schema.users''. Sets REPLICA IDENTITY DEFAULT';
comment on function public.disable_realtime(text, text) is 'pgtide: no longer follow table schema_name.table_name';
