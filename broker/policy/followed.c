/* broker/policy/followed.c - see followed.h. */
#include "broker/policy/followed.h"

/* to_jsonb: columns that an older `pgtide init`, or an older PostgreSQL, does not have are NULL, not an error. */
static const char followed_sql[] =
    "SELECT c.oid FROM pg_catalog.unnest($1::oid[]) AS q(oid)"
    " JOIN pg_catalog.pg_class c ON c.oid = q.oid AND c.relpersistence = 'p'"
    "  AND NOT c.relispartition AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT EXISTS ("
    "   SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid))"
    " JOIN pg_catalog.pg_publication p ON p.pubname = $2::name AND p.pubviaroot"
    "  AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate"
    " JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid"
    "  AND pg_catalog.to_jsonb(r) ->> 'prqual' IS NULL"
    "  AND pg_catalog.to_jsonb(r) ->> 'prattrs' IS NULL"
    " WHERE EXISTS (SELECT FROM pgtide.slot s WHERE s.slot_name = $3"
    "  AND (pg_catalog.to_jsonb(s) ->> 'policies')::boolean)";

const char *policy_followed_sql(void)
{
    return followed_sql;
}

/* Words of the clock, of chance, and of what roles may do, whose answers change without any table changing (pg_catalog alone says
 * nothing); calls that an SQL function may make. A policy or a body with any other word of the kind is not looked into further. */
#define UNSTABLE                                                                                   \
    "'\\m(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|current_date|"   \
    "current_time|current_timestamp|localtime|localtimestamp|random|pg_(?!catalog\\M)\\w+|has_"    \
    "\\w+|txid_\\w+|"                                                                              \
    "inet_\\w+|version|setseed|gen_random_uuid)\\M'"
#define PLAIN_CALLS                                                                                \
    "'current_setting', 'pg_catalog.current_setting', 'nullif', 'coalesce', 'lower', 'upper', "    \
    "'trim', 'split_part', 'cast', 'jsonb_build_object', 'select', 'and', 'or', 'not', 'case', "   \
    "'when', 'then', 'else'"

static const char reads_sql[] =
    "WITH RECURSIVE reads(root, target, depth) AS ("
    " SELECT q.oid, q.oid, 0 FROM pg_catalog.unnest($1::oid[]) AS q(oid)"
    " UNION SELECT r.root, d.refobjid, r.depth + 1 FROM reads r"
    "  JOIN pg_catalog.pg_class c ON c.oid = r.target AND c.relrowsecurity"
    "  JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polcmd IN ('r', '*')"
    "  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = "
    "p.oid"
    "   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.target"
    " WHERE r.depth < 4"
    "), followed AS (SELECT c.oid FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_publication p ON p.pubname = $2::name AND p.pubviaroot"
    "  AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate"
    " JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid"
    "  AND pg_catalog.to_jsonb(r) ->> 'prqual' IS NULL"
    "  AND pg_catalog.to_jsonb(r) ->> 'prattrs' IS NULL"
    " WHERE c.oid IN (SELECT target FROM reads) AND c.relpersistence = 'p'"
    "  AND NOT c.relispartition AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT EXISTS ("
    "   SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid))"
    "  AND EXISTS (SELECT FROM pgtide.slot s WHERE s.slot_name = $3"
    "   AND (pg_catalog.to_jsonb(s) ->> 'policies')::boolean)"
    "), murky AS (SELECT c.oid FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polcmd IN ('r', '*')"
    " WHERE c.relrowsecurity AND c.oid IN (SELECT target FROM reads) AND ("
    "  pg_catalog.pg_get_expr(p.polqual, p.polrelid) ~* " UNSTABLE
    "  OR EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = "
    "d.refobjid"
    "   JOIN pg_catalog.pg_language l ON l.oid = f.prolang"
    "   WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid"
    "   AND d.refclassid = 'pg_catalog.pg_proc'::regclass"
    "   AND (l.lanname <> 'sql' OR f.prokind <> 'f' OR f.provolatile = 'v' OR f.prosqlbody IS NOT "
    "NULL"
    "    OR f.prosrc ~* '\\mfrom\\M' OR f.prosrc ~* " UNSTABLE
    "    OR EXISTS (SELECT FROM pg_catalog.regexp_matches(pg_catalog.lower(f.prosrc),"
    "     '([a-z0-9_.\"]+)\\s*\\(', 'g') AS m WHERE m[1] NOT IN (" PLAIN_CALLS "))))))"
    " SELECT r.root, r.target FROM reads r WHERE NOT EXISTS (SELECT FROM reads o WHERE o.root = "
    "r.root"
    "  AND (o.depth >= 4 OR o.target NOT IN (SELECT oid FROM followed)"
    "   OR o.target IN (SELECT oid FROM murky)))";

const char *policy_reads_sql(void)
{
    return reads_sql;
}
