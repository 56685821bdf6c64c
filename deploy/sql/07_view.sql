-- realtime_enabled_tables: the enabled tables that the reader may see (owns, or may SELECT from).
--
-- partitions_not_full counts partitions that were added without the event trigger and still lack
-- REPLICA IDENTITY FULL; enable_realtime() again mends that.

create or replace view public.realtime_enabled_tables as
select n.nspname::text as schema_name,
       c.relname::text as table_name,
       case c.relreplident when 'f' then 'full' when 'd' then 'default' when 'i' then 'index' else 'nothing' end as replica_identity,
       exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary) as has_primary_key,
       c.relrowsecurity as row_security,
       parts.total as partitions,
       parts.not_full as partitions_not_full
from pg_catalog.pg_publication_tables t
join pg_catalog.pg_namespace n on n.nspname = t.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
cross join lateral (
    select count(*) as total, count(*) filter (where p.relreplident <> 'f') as not_full
    from pg_catalog.pg_partition_tree(c.oid) as tree
    join pg_catalog.pg_class p on p.oid = tree.relid
    where tree.relid <> c.oid and p.relkind = 'r'
) as parts
where t.pubname = pgtide.publication()
    and (pg_catalog.pg_has_role(c.relowner, 'USAGE') or pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))
order by 1, 2;

comment on view public.realtime_enabled_tables is 'pgtide: tables whose changes are followed';
grant select on public.realtime_enabled_tables to public;
