-- The publications: what clients may watch, and what policies read.
with names as (
    select current_setting('doctor.publication') as name, true as clients
    union all select current_setting('doctor.policy_publication'), false
), it as (select n.name, n.clients, p.* from names n left join pg_publication p on p.pubname = n.name)
select 'error', 'publication ' || name, 'does not exist', 'pgtide init' from it where oid is null
union all
select 'error', 'publication ' || name, 'publishes partitions under their own names: who watches the partitioned table gets nothing',
    format('ALTER PUBLICATION %I SET (publish_via_partition_root = true);', name) from it where not pubviaroot
union all
select 'error', 'publication ' || name, 'does not publish every kind of change: what it leaves out never arrives',
    format('ALTER PUBLICATION %I SET (publish = ''insert, update, delete, truncate'');', name)
from it where not (pubinsert and pubupdate and pubdelete and pubtruncate)
union all
select 'warning', 'publication ' || name, 'publishes all tables: also those that enable_realtime() was not called for, with whatever REPLICA IDENTITY they have',
    format('DROP PUBLICATION %I;  -- then pgtide init, and enable_realtime() for each table', name) from it where puballtables
union all
select 'error', 'table ' || t.prrelid::regclass, format('publication %s has a row filter or a list of columns for it: rows that leave the filter look deleted, columns are missing, and PostgreSQL does not know who sees what', name),
    format('ALTER PUBLICATION %I DROP TABLE %s; ALTER PUBLICATION %1$I ADD TABLE %2$s;', name, t.prrelid::regclass)
from it join pg_publication_rel t on t.prpubid = it.oid where t.prqual is not null or t.prattrs is not null
