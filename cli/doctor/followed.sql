-- The tables that policies read: are their changes followed? Needs what pgtide init makes.
select 'warning', 'table ' || w.target::regclass, coalesce('policies read it, and its changes cannot be followed: ' || pgtide.policy_table_problem(w.target) || '. PostgreSQL is asked about each row that they judge',
        case when not pgtide.is_followed(w.target) then format('policies read it, and it is not in publication %s: PostgreSQL is asked about each row that they judge', pgtide.policy_publication())
            else 'policies read columns of it that old versions of its rows do not have' end),
    case when pgtide.policy_table_problem(w.target) is null then format('SELECT pgtide.sync_policies();  -- as %s or a superuser', pg_get_userbyid(c.relowner)) end
from pgtide.policy_tables() w join pg_class c on c.oid = w.target
where not pgtide.is_followed(w.target) or not pgtide.identity_covers(w.target, w.columns)
union all
select 'warning', 'slot ' || s.slot_name, format('its stream does not bring publication %s yet, so sets of members are asked for anew; the log of the tailer (policies.missing, policies.not_yet) says why', pgtide.policy_publication()), null
from pgtide.slot s join pg_replication_slots r on r.slot_name = s.slot_name and r.active where not s.policies and s.slot_name = current_setting('doctor.slot')
