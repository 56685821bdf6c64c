-- The roles that clients can have, and this user, who should be the one whom the broker connects as.
with wanted as (select trim(name) as name from unnest(string_to_array(current_setting('doctor.roles'), ',')) as name where trim(name) <> ''),
me as (select * from pg_roles where rolname = current_user)
select 'warning', 'role ' || w.name, 'is in auth.roles and does not exist: who has it in its token gets nothing', format('CREATE ROLE %I NOLOGIN NOINHERIT;', w.name)
from wanted w where not exists (select from pg_roles where rolname = w.name)
union all
select 'error', 'role ' || w.name, format('%s cannot be SET to it: no snapshot, filter or policy of its clients can be asked of PostgreSQL', current_user),
    format('GRANT %I TO %I%s;', w.name, current_user, case when current_setting('server_version_num')::int >= 160000 then ' WITH SET TRUE' else '' end)
from wanted w join pg_roles r on r.rolname = w.name
where not pg_has_role(current_user, r.oid, case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)
union all
select 'error', 'role ' || w.name, 'is a superuser: its clients see every row of every table that is enabled', format('ALTER ROLE %I NOSUPERUSER;', w.name)
from wanted w join pg_roles r on r.rolname = w.name where r.rolsuper
union all
select 'warning', 'role ' || current_user, 'may not replicate: right for the broker; the tailer cannot connect as it', format('ALTER ROLE %I REPLICATION;', current_user)
from me where not (rolreplication or rolsuper)
