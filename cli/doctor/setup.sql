-- What pgtide init makes.
with functions (name) as (
    values ('public.enable_realtime(text)'), ('public.disable_realtime(text)'), ('pgtide.publication()'), ('pgtide.policy_publication()'),
           ('pgtide.sync_policies()'), ('auth.uid()'), ('auth.role()'), ('auth.jwt()')
), triggers (name) as (values ('pgtide_ddl'), ('pgtide_drop'))
select 'error', 'set-up', format('%s missing: the database was not set up, or for an older pgtide',
    case when count(*) = 1 then string_agg(name, '') || ' is' else string_agg(name, ', ') || ' are' end), 'pgtide init'
from functions where to_regprocedure(name) is null having count(*) > 0
union all
select 'warning', 'event trigger ' || t.name, 'is missing: changes of functions that policies call are noticed late, new partitions and tables that policies read not at all',
    'pgtide init  -- as a superuser'
from triggers t where not exists (select from pg_event_trigger where evtname = t.name)
union all
select 'warning', 'event trigger ' || t.name, case e.evtenabled when 'D' then 'is disabled' else 'does not fire in sessions that switch triggers off' end || ': changes of rights there are noticed late',
    format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', t.name)
from triggers t join pg_event_trigger e on e.evtname = t.name where e.evtenabled <> 'A'
union all
select 'warning', 'function pgtide.announce', 'is older than this pgtide: in a transaction of more than 64 KiB, rows in front of DDL that changes rights are judged by the rights before it',
    'pgtide init  -- as a superuser'
from pg_proc where oid = to_regprocedure('pgtide.announce(text, jsonb, bigint)') and prosrc not like '%pgtide.rights%'
