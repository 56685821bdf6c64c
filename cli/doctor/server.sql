-- The server. Rows: level (error, warning or note), what it is about, what is wrong, the statement that mends it or null.
with settings as (
    select current_setting('server_version_num')::int as version,
           current_setting('wal_level') as wal_level,
           current_setting('doctor.slot') as slot,
           current_setting('doctor.window_bytes')::numeric as window_bytes,
           current_setting('doctor.retention_bytes')::numeric as retention_bytes,
           (select setting::numeric from pg_settings where name = 'max_slot_wal_keep_size') as keep_mb,
           (select count(*) from pg_replication_slots) as slots,
           current_setting('max_replication_slots')::int as max_slots,
           (select count(*) from pg_stat_replication) as senders,
           current_setting('max_wal_senders')::int as max_senders
)
select 'error', 'PostgreSQL', format('version %s: pgtide needs 15 or later', current_setting('server_version')), null from settings where version < 150000
union all
select 'error', 'wal_level', format('is %s: changes cannot be followed', wal_level), 'ALTER SYSTEM SET wal_level = ''logical'';  -- and restart PostgreSQL'
from settings where wal_level <> 'logical'
union all
select 'error', 'max_replication_slots', format('all %s slots are taken, and none of them is %s', max_slots, slot),
    format('ALTER SYSTEM SET max_replication_slots = %s;  -- and restart PostgreSQL', max_slots + 1)
from settings where slots >= max_slots and slot not in (select slot_name from pg_replication_slots)
union all
select 'error', 'max_wal_senders', format('all %s are in use, and none of them is the tailer''s', max_senders),
    format('ALTER SYSTEM SET max_wal_senders = %s;  -- and restart PostgreSQL', max_senders + 1)
from settings where senders >= max_senders and not exists (select from pg_replication_slots where slot_name = slot and active)
union all
select 'warning', 'max_slot_wal_keep_size', 'is unlimited: a tailer that stays away fills the disk', 'ALTER SYSTEM SET max_slot_wal_keep_size = ''20GB''; SELECT pg_reload_conf();'
from settings where keep_mb = -1
union all
select 'warning', 'max_slot_wal_keep_size', format('is %s: less than twice window.bytes, or than retention.bytes, so the slot can be lost before pgtide gives up what it waits for',
    pg_size_pretty(keep_mb * 1048576)), format('ALTER SYSTEM SET max_slot_wal_keep_size = ''%sMB''; SELECT pg_reload_conf();', ceil(greatest(2 * window_bytes, retention_bytes) / 1048576 * 2))
from settings where keep_mb >= 0 and keep_mb * 1048576 < greatest(2 * window_bytes, retention_bytes)
union all
select 'warning', 'synchronous_standby_names', 'names every standby, the tailer too: it confirms as late as its window is long, and commits wait for it',
    'ALTER SYSTEM SET synchronous_standby_names = ''...'';  -- the standbys that are meant'
from settings where current_setting('synchronous_standby_names') ~ '\*'
