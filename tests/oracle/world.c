/* tests/oracle/world.c - tables, rows, policies and identities. */
#include "tests/oracle/world.h"

#include <string.h>

#include "tests/oracle/judge.h"

const char *const world_roles[WORLD_ROLES] = { "o_anon",  "o_user",   "o_noinherit", "o_deep",
                                               "o_owner", "o_ownmem", "o_bypass",    "o_team" };
const char *const world_setting_names[WORLD_SETTINGS] = { "request.jwt.claims", "app.k", "app.n" };

static const char *const claims[] = {
    "",
    "{}",
    "not json",
    "{\"sub\":\"11111111-1111-1111-1111-111111111111\",\"k\":\"a\",\"n\":\"3\",\"admin\":\"true\","
    "\"list\":\"a,b\",\"mood\":"
    "\"ok\"}",
    "{\"sub\":\"22222222-2222-2222-2222-222222222222\",\"k\":\"b\",\"n\":\"42\",\"admin\":"
    "\"false\",\"list\":\"\",\"mood\":"
    "\"happy\"}",
    "{\"sub\":\"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\",\"k\":\"1\",\"n\":\"1\",\"admin\":null,"
    "\"mood\":\"sad\"}",
    "{\"sub\":\"not a "
    "uuid\",\"k\":null,\"n\":\"x\",\"admin\":\"maybe\",\"list\":\"z\",\"mood\":\"angry\"}",
    "{\"sub\":\"11111111-1111-1111-1111-111111111111\",\"k\":\"a%\",\"n\":\"\",\"admin\":\"t\","
    "\"list\":\"A\"}",
    "{\"sub\":null,\"k\":\"\xc3\xa4\",\"n\":\"-1\",\"admin\":\"f\",\"list\":\"a,NULL\",\"mood\":"
    "\"A\"}",
    "{\"k\":\"it's $pgtide$ \\\\ \\\"\",\"n\":\"9999999999\",\"mood\":\"meh\"}",
};
static const char *const ks[] = { "", "a", "b", "1", "happy", "o_user", "a%" };
static const char *const ns[] = { "", "1", "3", "42", "-1", "x" };

#define PICK(rng, list) (list)[prng_below(rng, sizeof(list) / sizeof((list)[0]))]

void world_setup_sql(struct rt_buf *out)
{
    rt_buf_puts(
        out,
        "DROP SCHEMA IF EXISTS o CASCADE; CREATE SCHEMA o; GRANT USAGE ON SCHEMA o TO PUBLIC;"
        "CREATE TYPE o.mood AS ENUM ('sad', 'ok', 'zzz'); ALTER TYPE o.mood ADD VALUE 'meh' BEFORE "
        "'ok';"
        "ALTER TYPE o.mood ADD VALUE 'happy' AFTER 'ok'; ALTER TYPE o.mood ADD VALUE 'A' AFTER "
        "'zzz';"
        "CREATE COLLATION o.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = "
        "false);"
        "CREATE DOMAIN o.short AS text CHECK (length(VALUE) < 100);"
        "CREATE TABLE o.team(id int PRIMARY KEY, owner uuid, k text);"
        "CREATE TABLE o.memb(team int, uid uuid, k text, rank int);"
        "CREATE TABLE o.secret(k text);"
        "GRANT SELECT ON o.team, o.memb TO PUBLIC;"
        "INSERT INTO o.team SELECT i, ('11111111-1111-1111-1111-111111111111')::uuid, 'a' FROM "
        "generate_series(0, 7, 2) i;"
        "INSERT INTO o.team SELECT i, ('22222222-2222-2222-2222-222222222222')::uuid, 'b' FROM "
        "generate_series(1, 7, 2) i;"
        "INSERT INTO o.memb VALUES (1, '11111111-1111-1111-1111-111111111111', 'a', 1),"
        " (2, '11111111-1111-1111-1111-111111111111', 'b', 2), (3, "
        "'22222222-2222-2222-2222-222222222222', 'a', 3),"
        " (NULL, '22222222-2222-2222-2222-222222222222', NULL, 1), (7, NULL, 'ab', NULL),"
        " (42, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', NULL, 0);"
        "CREATE SCHEMA IF NOT EXISTS auth; GRANT USAGE ON SCHEMA auth TO PUBLIC;"
        "CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS"
        " $$select nullif(pg_catalog.current_setting('request.jwt.claims', true), "
        "'')::pg_catalog.jsonb$$;"
        "CREATE OR REPLACE FUNCTION auth.sub() RETURNS text LANGUAGE sql STABLE AS $$select "
        "auth.jwt() ->> 'sub'$$;"
        "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS"
        " $$select case when claim.sub ~* "
        "'^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$'"
        " then claim.sub::pg_catalog.uuid end from (select nullif(pg_catalog.current_setting("
        "'request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'sub') as claim (sub)$$;"
        "CREATE OR REPLACE FUNCTION o.member(t int) RETURNS bool LANGUAGE sql STABLE SECURITY "
        "DEFINER AS"
        " $$select exists (select 1 from o.memb m where m.team = t and m.uid = auth.uid())$$;"
        "CREATE OR REPLACE FUNCTION o.teams() RETURNS int LANGUAGE sql STABLE AS $$select "
        "count(*)::int from o.memb$$;"
        "CREATE OR REPLACE FUNCTION o.truth(visible OUT text) LANGUAGE plpgsql AS $$"
        "DECLARE c text; n int; BEGIN visible := ''; FOREACH c IN ARRAY "
        "current_setting('o.ctids')::text[] LOOP"
        " BEGIN EXECUTE pg_catalog.format('SELECT count(*) FROM o.t WHERE ctid = %L', c) INTO n;"
        " visible := visible || n::text; EXCEPTION WHEN OTHERS THEN visible := visible || 'e'; "
        "END; END LOOP; END $$;"
        "DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY "
        "'{o_anon,o_user,o_deep,o_owner,o_ownmem,o_team}'::text[] LOOP"
        " IF pg_catalog.to_regrole(r) IS NULL THEN EXECUTE 'CREATE ROLE ' || r; END IF; END LOOP;"
        " IF pg_catalog.to_regrole('o_noinherit') IS NULL THEN CREATE ROLE o_noinherit NOINHERIT; "
        "END IF;"
        " IF pg_catalog.to_regrole('o_bypass') IS NULL THEN CREATE ROLE o_bypass BYPASSRLS; END "
        "IF; END $$;"
        "GRANT o_team TO o_user, o_noinherit; GRANT o_user TO o_deep; GRANT o_owner TO o_ownmem");
}

static void write_row(struct world *world, struct rt_buf *out, uint32_t id)
{
    rt_buf_printf(out, "%s(%u", id > 1 ? "," : "", (unsigned)id);
    for (uint32_t i = 0; i < world->column_count; i++) {
        const struct type *type = world->columns[i];
        uint32_t count = 0;
        while (type->values[count] != NULL) {
            count++;
        }
        if (prng_chance(&world->rng, 14)) {
            rt_buf_puts(out, ",NULL");
        } else {
            rt_buf_printf(out, ",'%s'", type->values[prng_below(&world->rng, count)]);
        }
    }
    rt_buf_putc(out, ')');
}

/* Membership tables have policies of their own in half of the worlds. */
static void write_nested(struct world *world, struct rt_buf *out)
{
    bool nested = prng_chance(&world->rng, 50);

    rt_buf_puts(out, "DROP POLICY IF EXISTS n ON o.memb; DROP POLICY IF EXISTS n ON o.team;"
                     "CREATE POLICY n ON o.memb USING (uid = auth.uid() OR rank IS NULL);"
                     "CREATE POLICY n ON o.team USING (k = (auth.jwt() ->> 'k') OR id IN (SELECT "
                     "team FROM o.memb));");
    rt_buf_printf(
        out, "ALTER TABLE o.memb %s ROW LEVEL SECURITY; ALTER TABLE o.team %s ROW LEVEL SECURITY;",
        nested ? "ENABLE" : "DISABLE",
        nested && prng_chance(&world->rng, 50) ? "ENABLE" : "DISABLE");
}

/* Every type, in random order; the first three are what the written forms of expr.c speak of. */
static void choose_columns(struct world *world)
{
    static const char *const first[] = { "int4", "text", "bool" };

    world->column_count = world_type_count;
    for (uint32_t i = 0; i < world_type_count; i++) {
        world->columns[i] = &world_types[i];
    }
    for (uint32_t i = 0; i < world_type_count; i++) {
        uint32_t other = i < 3 ? (uint32_t)(world_type_named(first[i]) - world_types)
                               : i + prng_below(&world->rng, world_type_count - i);
        for (uint32_t j = 0; i < 3 && j < world_type_count; j++) {
            other = world->columns[j] == world_type_named(first[i]) ? j : other;
        }
        const struct type *type = world->columns[i];
        world->columns[i] = world->columns[other];
        world->columns[other] = type;
    }
}

void world_make(struct world *world, uint64_t seed, uint32_t rows, struct rt_buf *out)
{
    world->rng.state = seed;
    choose_columns(world);
    rt_buf_puts(out, "DROP TABLE IF EXISTS o.t; CREATE TABLE o.t(id int PRIMARY KEY");
    for (uint32_t i = 0; i < world->column_count; i++) {
        rt_buf_printf(out, ", c%u %s", (unsigned)i + 1, world->columns[i]->name);
    }
    rt_buf_puts(out, "); GRANT SELECT ON o.t TO PUBLIC; ALTER TABLE o.t OWNER TO o_owner; "
                     "INSERT INTO o.t VALUES ");
    for (uint32_t i = 1; i <= rows; i++) {
        write_row(world, out, i);
    }
    rt_buf_puts(out, "; SELECT set_config('o.ctids', (SELECT array_agg(ctid::text ORDER BY id) "
                     "FROM o.t)::text, false); ");
    write_nested(world, out);
}

static void write_policy(struct world *world, struct rt_buf *out, uint32_t number)
{
    struct prng *rng = &world->rng;
    /* A name in random order: PostgreSQL sorts restrictive ones. */
    rt_buf_printf(out, "CREATE POLICY p%u ON o.t AS %s FOR %s TO ", (unsigned)number,
                  prng_chance(rng, 25) ? "RESTRICTIVE" : "PERMISSIVE",
                  prng_chance(rng, 88) ? (prng_chance(rng, 50) ? "ALL" : "SELECT") : "UPDATE");
    if (prng_chance(rng, 85)) {
        rt_buf_puts(out, "PUBLIC");
    } else {
        rt_buf_puts(out, world_roles[prng_below(rng, WORLD_ROLES)]);
        rt_buf_puts(out, prng_chance(rng, 40) ? ", o_team" : "");
    }
    rt_buf_puts(out, " ");
}

void world_policies(struct world *world, struct rt_buf *out)
{
    struct prng *rng = &world->rng;
    uint32_t count = 1 + prng_below(rng, WORLD_POLICIES_MAX - 1);

    for (uint32_t i = 0; i < WORLD_POLICIES_MAX; i++) {
        rt_buf_printf(out, "DROP POLICY IF EXISTS p%u ON o.t; ", (unsigned)i);
    }
    rt_buf_printf(
        out, "ALTER TABLE o.t %s ROW LEVEL SECURITY; ALTER TABLE o.t %s ROW LEVEL SECURITY; ",
        prng_chance(rng, 97) ? "ENABLE" : "DISABLE", prng_chance(rng, 40) ? "FORCE" : "NO FORCE");
    for (uint32_t i = 0; i < count; i++) {
        struct rt_buf policy = { 0 };
        write_policy(world, &policy, i);
        bool check_only = prng_chance(rng, 6) && strstr(rt_buf_cstr(&policy), "FOR SELECT") == NULL;
        rt_buf_append(out, policy.data, policy.len);
        rt_buf_puts(out, check_only ? "WITH CHECK (" : "USING (");
        expr_bool(world, out, 3);
        rt_buf_puts(out, "); ");
        rt_buf_fini(&policy);
    }
}

struct identity world_identity(struct world *world)
{
    struct prng *rng = &world->rng;
    struct identity out;

    out.role =
        world_roles[prng_below(rng, 100) < 85 ? prng_below(rng, 4) : prng_below(rng, WORLD_ROLES)];
    out.settings[0] = PICK(rng, claims);
    out.settings[1] = PICK(rng, ks);
    out.settings[2] = PICK(rng, ns);
    return out;
}

bool judge_setup(struct judge *judge, bool objects)
{
    struct rt_buf sql = { 0 };

    rt_buf_puts(&sql,
                "SET client_min_messages = error; SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET "
                "bytea_output = 'hex';"
                "SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET jit = off; SET "
                "enable_seqscan = off;"
                "SET enable_bitmapscan = off; SET search_path = ''; SET "
                "standard_conforming_strings = on;");
    bool good = pg_run(judge->conn, rt_buf_cstr(&sql));
    rt_buf_clear(&sql);
    world_setup_sql(&sql);
    good = good && (!objects || pg_run(judge->conn, rt_buf_cstr(&sql)));
    rt_buf_fini(&sql);
    return good;
}
