-- The publications, empty until enable_realtime(): one of the tables that clients may watch, one of the tables that
-- policies of those read (08_policies.sql). They must exist before the slot: a slot older than its publication fails
-- for ever, since decoding looks at the catalog as of then.

do $publication$
declare
    wanted name;
    present record;
    messages constant text := pg_catalog.current_setting('client_min_messages');
begin
    if pg_catalog.current_setting('wal_level') <> 'logical' then
        raise warning 'wal_level is %, so changes cannot be followed', pg_catalog.current_setting('wal_level')
            using hint = 'Run: ALTER SYSTEM SET wal_level = ''logical'';  and restart PostgreSQL.';
    end if;
    foreach wanted in array array[pgtide.publication(), pgtide.policy_publication()] loop
        select p.pubviaroot, p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate as whole
            into present from pg_catalog.pg_publication p where p.pubname = wanted;
        if not found then
            -- PostgreSQL warns of wal_level here as well; once is enough.
            perform pg_catalog.set_config('client_min_messages', 'error', true);
            execute pg_catalog.format('create publication %I with (publish_via_partition_root = true)', wanted);
            execute pg_catalog.format('comment on publication %I is %L', wanted,
                                      case wanted when pgtide.publication() then 'pgtide: tables that enable_realtime() was called for'
                                          else 'pgtide: tables that policies read; brokers follow them, no client sees them' end);
            perform pg_catalog.set_config('client_min_messages', messages, true);
            continue;
        end if;
        if not present.pubviaroot then
            execute pg_catalog.format('alter publication %I set (publish_via_partition_root = true)', wanted);
            raise notice 'publication % now publishes partitions under the name of their root', wanted;
        end if;
        if not present.whole then
            raise notice 'publication % does not publish every kind of change', wanted
                using hint = pg_catalog.format('If that is not on purpose: ALTER PUBLICATION %I '
                    'SET (publish = ''insert, update, delete, truncate'');', wanted);
        end if;
    end loop;
end
$publication$;
