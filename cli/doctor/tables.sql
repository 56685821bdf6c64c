-- The enabled tables.
with enabled as materialized (
    select c.oid, c.oid::regclass::text as name, c.relkind, c.relreplident, c.relrowsecurity, c.relnamespace, n.nspname,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as has_key
    from pg_publication p, lateral pg_get_publication_tables(p.pubname) t
        join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
    where p.pubname = current_setting('doctor.publication')
), pieces as (
    select e.oid, e.name, e.has_key, e.relrowsecurity, leaf.oid::regclass::text as leaf, leaf.relreplident as identity
    from enabled e cross join lateral (
        select c.oid, c.relreplident from pg_class c where c.oid = e.oid and c.relkind = 'r'
        union all select c.oid, c.relreplident from pg_partition_tree(e.oid) m join pg_class c on c.oid = m.relid where e.relkind = 'p' and m.isleaf) leaf
), roles as materialized (
    select r.oid, r.rolname from pg_roles r where r.rolname = any (string_to_array(current_setting('doctor.roles'), ','))
), readers as (
    select e.oid as table_oid, r.rolname, has_schema_privilege(r.oid, e.relnamespace, 'USAGE') as usage
    from enabled e cross join roles r where has_any_column_privilege(r.oid, e.oid, 'SELECT')
), reads as (
    select distinct e.name, p.polname, d.refobjid, a.attname, a.attgenerated <> '' as generated, pg_get_expr(f.adbin, f.adrelid) as expression, d.refobjid = e.oid as own
    from enabled e join pg_policy p on p.polrelid = e.oid and p.polcmd in ('r', '*') and p.polqual is not null
        join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
        left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and d.refobjsubid > 0
        left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
    where e.relrowsecurity
)
select 'error', 'table ' || leaf, 'has no replica identity: PostgreSQL refuses its UPDATE and DELETE while it is published', format('SELECT enable_realtime(%L);', name)
from pieces where identity = 'n' or (identity = 'd' and not has_key)
union all
select case when relrowsecurity then 'error' else 'warning' end, 'table ' || leaf,
    case when relrowsecurity then 'has not REPLICA IDENTITY FULL: old versions of rows cannot be judged by its policies, so clients are not told of rows that leave their view, and old_record is a key'
        else 'has not REPLICA IDENTITY FULL: old_record is a key, and large values that an update does not touch are left out' end,
    format('ALTER TABLE %s REPLICA IDENTITY FULL;', leaf)
from pieces where identity = 'i' or (identity = 'd' and has_key)
union all
select 'warning', 'table ' || name, 'has no primary key: clients cannot tell its rows apart, and a snapshot of it is one long transaction', format('ALTER TABLE %s ADD PRIMARY KEY (...);', name)
from enabled where not has_key
union all
select 'warning', 'table ' || name, 'has policies, but row-level security is off: they have no effect', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', name)
from enabled where not relrowsecurity and exists (select from pg_policy where polrelid = enabled.oid)
union all
select 'warning', 'table ' || name, 'has row-level security and no policy for SELECT: only its owner, superusers and BYPASSRLS roles see anything', format('CREATE POLICY ... ON %s FOR SELECT USING (...);', name)
from enabled where relrowsecurity and not exists (select from pg_policy where polrelid = enabled.oid and polcmd in ('*', 'r') and polpermissive and polqual is not null)
union all
select 'warning', 'table ' || name, 'none of the roles that clients have may SELECT from it', format('GRANT SELECT ON %s TO %s;', name, (select string_agg(format('%I', rolname), ', ') from roles))
from enabled where not exists (select from readers where table_oid = enabled.oid)
union all
select 'warning', 'table ' || e.name, format('role %s may SELECT from it, but has no USAGE on schema %s', x.rolname, e.nspname), format('GRANT USAGE ON SCHEMA %I TO %I;', e.nspname, x.rolname)
from readers x join enabled e on e.oid = x.table_oid where not x.usage
union all
select 'error', format('policy %I of table %s', polname, name), format('reads generated column %I, which the log of PostgreSQL does not carry: rows for which it counts are not shown', attname),
    format('ALTER POLICY %I ON %s USING (...);  -- with what %I is: %s', polname, name, attname, expression)
from reads where own and generated
    and not exists (select from pg_publication p where p.pubname = current_setting('doctor.publication') and to_jsonb(p) ->> 'pubgencols' = 's')
union all
select distinct 'warning', format('policy %I of table %s', r.polname, r.name), format('reads unlogged table %s, whose changes are not in the log of PostgreSQL: PostgreSQL is asked about each row', c.oid::regclass), format('ALTER TABLE %s SET LOGGED;', c.oid::regclass)
from reads r join pg_class c on c.oid = r.refobjid where c.relpersistence = 'u' and c.relkind in ('r', 'p')
union all
-- Locks in the analysed tree of a subquery.
select 'error', format('policy %I of table %s', p.polname, e.name), 'locks rows (FOR SHARE, FOR UPDATE), which is an error in the read-only transactions that policies are asked in: rows for which it counts are not shown',
    format('ALTER POLICY %I ON %s USING (...);  -- without the lock', p.polname, e.name)
from enabled e join pg_policy p on p.polrelid = e.oid and p.polcmd in ('r', '*') where e.relrowsecurity and p.polqual::text ~ ':rowMarks \(\{'
