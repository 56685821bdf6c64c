/* broker/policy/followed.h - the question which tables' changes every shard is brought, whoever owns them.
 *
 * The constants of an identity that are sets (program.h: membership tests over other tables) hold until a table that they were
 * read from changes. The stream tells that only for tables in the policies' publication (deploy/sql/08_policies.sql) while the
 * tailer streams it, which it says in pgtide.slot, with a fence ("pgtide.ddl") when that changes. Sets over any other table must
 * not be kept: PostgreSQL is to be asked instead.
 *
 * A table with inheritance children, a partition, and one whose rows are filtered count as not followed. What the *policies of*
 * a table read is not looked at: ask for those tables too.
 */
#ifndef PGTIDE_BROKER_POLICY_FOLLOWED_H
#define PGTIDE_BROKER_POLICY_FOLLOWED_H

/* $1 OIDs (an array), $2 the policies' publication, $3 the slot. A row for each of them that is followed: its OID. Fails in a
 * database that `pgtide init` of this version has not been run for, if pgtide.slot may not be read: then none is. */
const char *policy_followed_sql(void);
/* The same parameters; for each of the tables over which sets may be kept, a row for each table that must not change
 * meanwhile: its OID, the other's. Itself, and, where it has row-level security, all that its policies read, and so on: all of
 * them followed, and their policies made of nothing but columns, settings and PostgreSQL's own functions of these. What
 * is not certain is left out. */
const char *policy_reads_sql(void);
enum { POLICY_FOLLOWED_PARAMS = 3, POLICY_READS_COLUMNS = 2 };

#endif
