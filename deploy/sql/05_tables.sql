-- Helpers of enable_realtime(): which table is meant, may it be published, and is it.
--
-- All run with the rights of the caller, with a pinned search_path; PostgreSQL itself decides what the caller may.

create or replace function pgtide.lookup(schema_name text, table_name text) returns oid
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = schema_name and c.relname = table_name
    $$;

-- Written as in SQL (unquoted names are lower case), or exactly as the catalog has it.
create or replace function pgtide.find_table(spelled text) returns oid
    language plpgsql stable set search_path = pg_catalog, pg_temp
    as $$
declare
    parts text[];
    target oid;
begin
    if coalesce(trim(spelled), '') = '' then
        raise exception 'the name of a table is missing'
            using errcode = 'invalid_parameter_value', hint = 'For example: SELECT enable_realtime(''public.users'');';
    end if;
    begin
        parts := parse_ident(spelled);
    exception when invalid_parameter_value then
        parts := null;
    end;
    if cardinality(parts) = 1 then
        parts := array['public', parts[1]];
    end if;
    if cardinality(parts) = 2 then
        target := pgtide.lookup(parts[1], parts[2]);
    end if;
    if target is null then
        target := pgtide.lookup('public', spelled);
    end if;
    if target is null and position('.' in spelled) > 0 then
        target := pgtide.lookup(split_part(spelled, '.', 1), substr(spelled, position('.' in spelled) + 1));
    end if;
    if target is null then
        perform pgtide.no_such_table(spelled, coalesce(parts[cardinality(parts)], spelled));
    end if;
    return target;
end
$$;

create or replace function pgtide.find_table(schema_name text, table_name text) returns oid
    language plpgsql stable set search_path = pg_catalog, pg_temp
    as $$
declare
    target constant oid := coalesce(pgtide.lookup(schema_name, table_name),
                                    pgtide.lookup(lower(schema_name), lower(table_name)));
begin
    if target is null then
        perform pgtide.no_such_table(coalesce(schema_name, '?') || '.' || coalesce(table_name, '?'), table_name);
    end if;
    return target;
end
$$;

create or replace function pgtide.no_such_table(spelled text, table_name text) returns void
    language plpgsql stable set search_path = pg_catalog, pg_temp
    as $$
declare
    similar_names constant text := (
        select string_agg(format('%I.%I', near.nspname, near.relname), ', ' order by near.nspname, near.relname)
        from (select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where lower(c.relname) = lower(table_name) and c.relkind in ('r', 'p')
                  and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
              limit 3) near);
begin
    raise exception 'table % does not exist', spelled
        using errcode = 'undefined_table',
            hint = coalesce('Did you mean ' || similar_names || '?',
                            'Names are "table" (in schema public) or "schema.table"; names in mixed case as they are in the catalog.');
end
$$;

-- Refuses what has no changes of its own to follow.
create or replace function pgtide.require_table(target oid) returns void
    language plpgsql stable set search_path = pg_catalog, pg_temp
    as $$
declare
    it record;
    kind text;
begin
    select c.relkind, c.relpersistence, n.nspname, format('%I.%I', n.nspname, c.relname) as name
        into strict it from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    if it.relkind not in ('r', 'p') then
        kind := case it.relkind
            when 'v' then 'a view' when 'm' then 'a materialized view' when 'S' then 'a sequence' when 'f' then 'a foreign table'
            when 'c' then 'a composite type' when 'i' then 'an index' when 'I' then 'an index' else 'something else' end;
        raise exception '% is not a table but %', it.name, kind
            using errcode = 'wrong_object_type',
                hint = case when it.relkind in ('v', 'm') then 'Enable the tables that it reads.'
                    when it.relkind = 'f' then 'Its changes are in the other server''s log: run pgtide there.'
                    else 'Name an ordinary or a partitioned table.' end;
    elsif it.relpersistence <> 'p' then
        raise exception 'table % is %', it.name, case it.relpersistence when 't' then 'temporary' else 'unlogged' end
            using errcode = 'wrong_object_type',
                hint = case it.relpersistence when 't' then 'Changes of temporary tables are not in the write-ahead log.'
                    else format('Its changes are not in the write-ahead log. Run: ALTER TABLE %s SET LOGGED;', it.name) end;
    elsif it.nspname in ('pg_catalog', 'information_schema', 'pgtide') then
        raise exception 'table % belongs to the system', it.name
            using errcode = 'wrong_object_type', hint = 'Only tables of your own can be followed.';
    end if;
end
$$;

-- The table itself, and every partition below it.
create or replace function pgtide.members(target oid) returns setof oid
    language sql stable set search_path = pg_catalog, pg_temp
    as $$select target union select relid::oid from pg_partition_tree(target::regclass)$$;

-- Named in the publication, or covered by it as a whole; not by way of a parent.
create or replace function pgtide.is_published(target oid) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select exists (
            select from pg_publication p
            where p.pubname = pgtide.publication() and (
                p.puballtables
                or exists (select from pg_publication_rel r where r.prpubid = p.oid and r.prrelid = target)
                or exists (select from pg_publication_namespace s join pg_class c on c.relnamespace = s.pnnspid
                           where s.pnpubid = p.oid and c.oid = target)))
    $$;

-- The published parent under whose name the changes of a partition arrive; null when there is none.
create or replace function pgtide.published_parent(target oid) returns oid
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
        select a.relid::oid from pg_partition_ancestors(target::regclass) with ordinality as a (relid, depth)
        where a.relid::oid <> target and pgtide.is_published(a.relid::oid)
        order by a.depth desc limit 1
    $$;
