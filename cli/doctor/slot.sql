-- The replication slot.
with it as (
    select s.*, current_setting('doctor.retention_bytes')::numeric as budget,
        case when pg_is_in_recovery() then 0 else pg_current_wal_lsn() - s.restart_lsn end as kept
    from pg_replication_slots s where s.slot_name = current_setting('doctor.slot')
)
select 'warning', 'slot ' || current_setting('doctor.slot'), 'does not exist: no tailer has run yet, so nothing is followed', 'start pgtide-tailer  -- it makes the slot'
where not exists (select from it)
union all
select 'error', 'slot ' || slot_name, 'is lost: PostgreSQL has removed log that was not read. The tailer makes a new one; clients are told of a gap',
    format('SELECT pg_drop_replication_slot(%L);  -- if the tailer does not', slot_name)
from it where wal_status = 'lost'
union all
select 'warning', 'slot ' || slot_name, 'is about to be lost: it needs more log than max_slot_wal_keep_size', 'start pgtide-tailer, or the shard that its /readyz names' from it where wal_status = 'unreserved'
union all
select 'error', 'slot ' || slot_name, format('is not pgtide''s: plugin %s, database %s', coalesce(plugin, 'none'), coalesce(database, 'none')),
    format('SELECT pg_drop_replication_slot(%L);  -- or set database.slot to another name', slot_name)
from it where plugin is distinct from 'pgoutput' or database is distinct from current_database()
union all
select 'warning', 'slot ' || slot_name, format('nobody reads it, and it keeps %s of log', pg_size_pretty(kept)), 'start pgtide-tailer' from it where not active and wal_status <> 'lost'
union all
select 'warning', 'slot ' || slot_name, format('keeps %s of log, more than retention.bytes: somebody does not acknowledge', pg_size_pretty(kept)), 'pgtide status  -- says who is behind'
from it where active and kept > 2 * budget
