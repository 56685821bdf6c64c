-- The tables that policies read: their changes go to brokers, which keep what policies see in them (memberships, roles in a
-- table) as of each commit. They are in a publication of their own, pgtide.policy_publication(); no client gets their rows,
-- since clients may watch only what is in pgtide.publication().
--
-- A table is there when a policy of an enabled table reads it, or a policy of a table that such a one reads. PostgreSQL knows
-- what a policy reads (pg_depend), but not through views and functions: those policies are asked of PostgreSQL row by row.
--
-- Only a caller who owns a table makes it followed, since that may change its REPLICA IDENTITY: the old version of a row must
-- have every column that policies use, so it becomes FULL unless the primary key, or the index that is its replica identity, has
-- them all. A table that is not read any more leaves the publication; its replica identity stays as it is.

-- By whom which table is read: by the policies of `source`. Column 0: no column, only the rows.
create or replace function pgtide.policy_reads() returns table (source oid, target oid, col int)
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select distinct p.polrelid, d.refobjid, d.refobjsubid
        from pg_policy p
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
            and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
        join pg_class c on c.oid = d.refobjid and c.relkind in ('r', 'p') and c.relpersistence = 'p'
        join pg_namespace n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema', 'pgtide')
        where p.polcmd in ('r', '*')
    $$;

-- What should be followed, and the columns that policies use of it.
create or replace function pgtide.policy_tables() returns table (target oid, columns text[])
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        with reads as materialized (select * from pgtide.policy_reads()),
        enabled as materialized (
            select t.relid from pg_publication p, lateral pg_get_publication_tables(p.pubname) t
            where p.pubname = pgtide.publication()
        ),
        first as materialized (select distinct r.target from reads r where r.source in (select relid from enabled) and r.target <> r.source),
        second as (select distinct r.target from reads r where r.source in (select f.target from first f) and r.target <> r.source),
        wanted as (select f.target from first f union select s.target from second s)
        select w.target,
               array(select distinct a.attname::text from reads r join pg_attribute a on a.attrelid = r.target and a.attnum = r.col
                     where r.target = w.target and r.col > 0
                         and (r.source = w.target or r.source in (select relid from enabled) or r.source in (select f.target from first f)))
        from wanted w
    $$;

-- Named in the policies' publication, or below a table that is.
create or replace function pgtide.is_followed(target oid) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select exists (
            select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
            where p.pubname = pgtide.policy_publication()
                and (r.prrelid = target
                     or r.prrelid in (select a.relid::oid from pg_partition_ancestors(target::regclass) a)))
    $$;

-- Why a table cannot be followed; null when it can. What the first publication leaves out would reach clients by way of the
-- second: PostgreSQL sends what any of them publishes. (With lists of columns that differ it would send nothing, for ever.)
create or replace function pgtide.policy_table_problem(target oid) returns text
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select case
            when exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
                         where p.pubname = pgtide.publication() and r.prrelid = target
                             and (to_jsonb(r) ->> 'prqual' is not null or to_jsonb(r) ->> 'prattrs' is not null))
                then format('publication %s has a row filter or a list of columns for it', pgtide.publication())
            when pgtide.is_published(target) and not exists (
                    select from pg_publication p where p.pubname = pgtide.publication()
                        and p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate)
                then format('publication %s does not publish every kind of change', pgtide.publication())
            when pgtide.published_parent(target) is not null
                then 'its changes arrive as changes of the table that it is a partition of'
            when exists (select from pg_class c where c.oid = target and c.relispartition)
                then 'it is a partition'
            when exists (select from pg_inherits i join pg_class c on c.oid = i.inhparent where i.inhparent = target and c.relkind = 'r')
                then 'other tables inherit from it'
            end
    $$;

-- Whether old versions of its rows, and of its partitions' rows, have these columns.
create or replace function pgtide.identity_covers(target oid, columns text[]) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select not exists (
            select from pgtide.members(target) m join pg_class c on c.oid = m
            where c.relkind in ('r', 'p') and c.relreplident <> 'f' and not exists (
                select from pg_index i
                where i.indrelid = c.oid and i.indimmediate
                    and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
                    and columns <@ array(select a.attname::text from pg_attribute a
                                         where a.attrelid = c.oid
                                             and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))))
    $$;

-- With the rights of whoever ran pgtide init. As with pgtide.publish(), the owner's own act is required as well: the replica
-- identity. Leaving needs nobody's consent: only what no policy reads leaves.
create or replace function pgtide.follow(target oid, wanted boolean) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$
declare
    caller constant name := case current_setting('role') when 'none' then session_user else current_setting('role')::name end;
    it record;
    asked record;
    allowed boolean;
begin
    select c.relowner, format('%I.%I', n.nspname, c.relname) as name
        into strict it from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    select w.columns into asked from pgtide.policy_tables() w where w.target = follow.target;
    if wanted then
        allowed := found and pgtide.policy_table_problem(target) is null and pg_has_role(caller, it.relowner, 'USAGE')
            and pgtide.identity_covers(target, asked.columns);
    else
        allowed := not found or pgtide.policy_table_problem(target) is not null;
    end if;
    if not allowed then
        raise exception 'permission denied for table %', it.name
            using errcode = 'insufficient_privilege', hint = 'Call pgtide.sync_policies() as its owner.';
    end if;
    execute format('alter publication %I %s table only %s', pgtide.policy_publication(),
                   case when wanted then 'add' else 'drop' end, it.name);
end
$$;

create or replace function pgtide.set_followed(target oid, wanted boolean) returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
begin
    if exists (select from pg_publication p where p.pubname = pgtide.policy_publication() and pg_has_role(p.pubowner, 'USAGE')) then
        execute format('alter publication %I %s table only %s', pgtide.policy_publication(),
                       case when wanted then 'add' else 'drop' end, target::regclass);
    else
        perform pgtide.follow(target, wanted);
    end if;
end
$$;

-- Makes the publication what pgtide.policy_tables() says, as far as the caller may. Returns how many tables joined or left.
-- Loud: names the tables that cannot be followed.
create or replace function pgtide.apply_policies(loud boolean) returns bigint
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
declare
    -- Within pgtide.publish() the event trigger comes here with the rights of whoever ran pgtide init: they do not count.
    caller constant name := case current_setting('role') when 'none' then session_user else current_setting('role')::name end;
    it record;
    changed bigint := 0;
begin
    if not exists (select from pg_publication where pubname = pgtide.policy_publication() and not puballtables) then
        return 0;
    end if;
    for it in
        select r.prrelid from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
        where p.pubname = pgtide.policy_publication()
            and (r.prrelid not in (select w.target from pgtide.policy_tables() w) or pgtide.policy_table_problem(r.prrelid) is not null)
        order by r.prrelid
    loop
        -- Asked again: the event trigger may have come here first, from within.
        if pgtide.is_followed(it.prrelid) then
            perform pgtide.set_followed(it.prrelid, false);
            changed := changed + 1;
        end if;
    end loop;
    for it in
        select w.target, w.columns, c.relowner, pg_has_role(c.relowner, 'USAGE') and pg_has_role(caller, c.relowner, 'USAGE') as owned, pgtide.policy_table_problem(w.target) as problem
        from pgtide.policy_tables() w join pg_class c on c.oid = w.target
        where not pgtide.is_followed(w.target) or not pgtide.identity_covers(w.target, w.columns)
        order by w.target
    loop
        if it.problem is not null or not it.owned then
            continue when not loud;
            raise notice 'changes of table % are not followed, though policies read it: %', it.target::regclass,
                    coalesce(it.problem, format('only its owner (%s) or a superuser may say so', pg_get_userbyid(it.relowner)))
                using hint = case when it.problem is null then 'Let its owner run: SELECT pgtide.sync_policies();'
                    else 'PostgreSQL is asked about each row that they judge, which is slower.' end;
            continue;
        end if;
        if not pgtide.is_followed(it.target) then
            -- Who has changed it and not committed yet would be followed in part only.
            execute format('lock table %s in share row exclusive mode', it.target::regclass);
        end if;
        if not pgtide.identity_covers(it.target, it.columns) then
            perform pgtide.set_identity(it.target, true);
            raise notice 'table % has REPLICA IDENTITY FULL now: policies read it', it.target::regclass;
        end if;
        if not pgtide.is_followed(it.target) then
            perform pgtide.set_followed(it.target, true);
            changed := changed + 1;
        end if;
    end loop;
    return changed;
end
$$;
create or replace function pgtide.sync_policies() returns bigint
    language sql set search_path = pg_catalog, pg_temp
    as $$select pgtide.apply_policies(true)$$;
comment on function pgtide.sync_policies() is
    'pgtide: follow the tables that policies of enabled tables read; needed by hand only where there is no event trigger';

-- A table that others are writing to is waited for, but not for long: the command that fired the trigger holds locks.
create or replace function pgtide.sync_policies_soon() returns void
    language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '3s'
    as $$
begin
    perform pgtide.apply_policies(false);
exception when others then
    raise warning 'pgtide does not follow every table that policies read: %', sqlerrm
        using hint = 'Run: SELECT pgtide.sync_policies();  Until then these policies are slower, not wrong.';
end
$$;

-- What was enabled before this file was there.
select pgtide.sync_policies_soon();
