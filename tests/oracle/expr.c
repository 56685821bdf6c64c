/* tests/oracle/expr.c - random boolean expressions as people write them, and as they do not. */
#include <string.h>

#include "broker/policy/allow.h"
#include "tests/oracle/world.h"

#define PICK(rng, list) (list)[prng_below(rng, sizeof(list) / sizeof((list)[0]))]

static void expr_value(struct world *world, struct rt_buf *out, const struct type *type,
                       uint32_t depth);

static void literal(struct world *world, struct rt_buf *out, const struct type *type)
{
    uint32_t count = 0;

    while (type->values[count] != NULL) {
        count++;
    }
    if (prng_chance(&world->rng, 6)) {
        rt_buf_printf(out, "NULL::%s", type->name);
    } else {
        rt_buf_printf(out, "'%s'::%s", type->values[prng_below(&world->rng, count)], type->name);
    }
}

/* A column of exactly this type; false when there is none. */
static bool column(struct world *world, struct rt_buf *out, const struct type *type)
{
    uint32_t start = prng_below(&world->rng, world->column_count);

    for (uint32_t i = 0; i < world->column_count; i++) {
        uint32_t at = (start + i) % world->column_count;
        if (world->columns[at] == type) {
            rt_buf_printf(out, "c%u", (unsigned)at + 1);
            return true;
        }
    }
    return false;
}

/* Constants of the identity; many of them raise for some identities. */
static bool claim(struct world *world, struct rt_buf *out, const struct type *type)
{
    static const struct {
        const char *type;
        const char *sql;
    } list[] = {
        { "text", "(auth.jwt() ->> 'k')" },
        { "text", "current_setting('app.k', true)" },
        { "text", "(SELECT auth.jwt() ->> 'k')" },
        { "text", "current_user::text" },
        { "text", "coalesce(auth.jwt() ->> 'k', 'a')" },
        { "text", "auth.sub()" },
        { "text", "lower(current_setting('app.k'))" },
        { "varchar(40)", "current_setting('app.k', true)" },
        { "name", "current_user" },
        { "uuid", "auth.uid()" },
        { "uuid", "(SELECT auth.uid())" },
        { "uuid", "(auth.jwt() ->> 'sub')::uuid" },
        { "int4", "(auth.jwt() ->> 'n')::int" },
        { "int4", "current_setting('app.n')::int" },
        { "int4", "(SELECT nullif(current_setting('app.n', true), '')::int)" },
        { "int4", "(1/0)" },
        { "int8", "(auth.jwt() ->> 'n')::bigint" },
        { "int2", "(auth.jwt() ->> 'n')::int2" },
        { "numeric", "(auth.jwt() ->> 'n')::numeric" },
        { "float8", "current_setting('app.n')::float8" },
        { "bool", "(auth.jwt() ->> 'admin')::bool" },
        { "bool", "(auth.uid() IS NOT NULL)" },
        { "bool", "((auth.jwt() ->> 'k') = 'a')" },
        { "o.mood", "(auth.jwt() ->> 'mood')::o.mood" },
        { "text[]", "string_to_array(auth.jwt() ->> 'list', ',')" },
        { "text[]", "string_to_array(auth.jwt() ->> 'list', ',', 'NULL')" },
        { "text[]", "ARRAY[auth.jwt() ->> 'k', 'a', current_setting('app.k')]" },
        { "int4[]", "string_to_array(current_setting('app.n'), ',')::int[]" },
        { "uuid[]", "ARRAY[auth.uid(), NULL]" },
    };
    const uint32_t count = sizeof(list) / sizeof(list[0]);
    uint32_t start = prng_below(&world->rng, count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (start + i) % count;
        if (strcmp(list[at].type, type->name) == 0) {
            rt_buf_puts(out, list[at].sql);
            return true;
        }
    }
    return false;
}

static void expr_case(struct world *world, struct rt_buf *out, const struct type *type,
                      uint32_t depth)
{
    if (prng_chance(&world->rng, 30)) { /* CASE x WHEN v */
        const struct type *of = world->columns[prng_below(&world->rng, 2)];
        rt_buf_puts(out, "(CASE ");
        expr_value(world, out, of, 0);
        rt_buf_puts(out, " WHEN ");
        expr_value(world, out, of, 0);
    } else {
        rt_buf_puts(out, "(CASE WHEN ");
        expr_bool(world, out, depth);
    }
    rt_buf_puts(out, " THEN ");
    expr_value(world, out, type, depth);
    if (prng_chance(&world->rng, 80)) {
        rt_buf_puts(out, " ELSE ");
        expr_value(world, out, type, depth);
    }
    rt_buf_puts(out, " END)");
}

/* Other types that PostgreSQL turns into this one by itself or by a cast. */
static bool converted(struct world *world, struct rt_buf *out, const struct type *type)
{
    static const struct {
        const char *to;
        const char *from;
    } list[] = {
        { "int4", "int2" },    { "int8", "int4" },     { "int8", "int2" },
        { "numeric", "int4" }, { "numeric", "int8" },  { "float8", "int4" },
        { "float8", "int8" },  { "float8", "float4" }, { "text", "int4" },
        { "text", "uuid" },    { "text", "bool" },     { "text", "o.mood" },
        { "text", "numeric" }, { "text", "name" },     { "text", "varchar(40)" },
        { "text", "int8" },    { "int4", "text" },     { "text", "timestamp" },
        { "uuid", "text" },    { "text", "float8" },   { "text", "char(4)" },
        { "int4", "numeric" },
    };
    const uint32_t count = sizeof(list) / sizeof(list[0]);
    uint32_t start = prng_below(&world->rng, count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (start + i) % count;
        size_t before = out->len;
        rt_buf_puts(out, "(");
        if (strcmp(list[at].to, type->name) == 0 &&
            column(world, out, world_type_named(list[at].from))) {
            rt_buf_printf(out, ")::%s", type->name);
            return true;
        }
        out->len = before;
    }
    return false;
}

static void expr_value(struct world *world, struct rt_buf *out, const struct type *type,
                       uint32_t depth)
{
    uint32_t dice = prng_below(&world->rng, 100);

    if (dice < 50 && column(world, out, type)) {
        return;
    }
    if (dice < 68 && claim(world, out, type)) {
        return;
    }
    if (dice < 76 && converted(world, out, type)) {
        return;
    }
    if (dice < 84 && depth > 0) {
        expr_case(world, out, type, depth - 1);
        return;
    }
    if (dice < 90 && depth > 0 && type->family != FAMILY_FOREIGN) {
        rt_buf_puts(out, prng_chance(&world->rng, 60) ? "coalesce(" : "nullif(");
        expr_value(world, out, type, depth - 1);
        rt_buf_puts(out, ", ");
        expr_value(world, out, type, depth - 1);
        rt_buf_puts(out, ")");
        return;
    }
    literal(world, out, type);
}

/* --- boolean forms ---------------------------------------------------------------------------- */

static const struct type *some_type(struct world *world)
{
    if (prng_chance(&world->rng, 20)) {
        return world->columns[prng_below(&world->rng, 3)]; /* int4, text, bool */
    }
    return prng_chance(&world->rng, 85)
               ? world->columns[prng_below(&world->rng, world->column_count)]
               : &world_types[prng_below(&world->rng, world_type_count)];
}

static void compare(struct world *world, struct rt_buf *out, uint32_t depth)
{
    static const char *const equal[] = { "=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM",
                                         "=" };
    static const char *const all[] = { "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM" };
    const struct type *type = some_type(world);
    bool order = type->family == FAMILY_NUMBER || type->family == FAMILY_OTHER ||
                 type->family == FAMILY_BOOL ||
                 (type->family == FAMILY_TEXT && prng_chance(&world->rng, 40));
    bool numbers = type->family == FAMILY_NUMBER && prng_chance(&world->rng, 35);
    const struct type *other = type;

    if (type->family == FAMILY_ARRAY) {
        other = type = world_type_named(type->element);
    }
    if (numbers) { /* mixed ones: PostgreSQL has operators for some, and casts for the rest */
        static const char *const names[] = {
            "int2", "int4", "int8", "numeric", "float4", "float8"
        };
        other = world_type_named(PICK(&world->rng, names));
    }
    rt_buf_puts(out, "(");
    expr_value(world, out, type, depth);
    rt_buf_printf(out, " %s ", order ? PICK(&world->rng, all) : PICK(&world->rng, equal));
    expr_value(world, out, other, depth);
    if (type->family == FAMILY_TEXT && prng_chance(&world->rng, order ? 85 : 12)) {
        static const char *const collations[] = { "\"C\"", "\"C\"", "\"C\"", "\"und-x-icu\"",
                                                  "o.loose" };
        rt_buf_printf(out, " COLLATE %s", PICK(&world->rng, collations));
    }
    rt_buf_puts(out, ")");
}

static const struct type *type_of_oid(uint32_t oid)
{
    const struct policy_allow_type *allowed = policy_allow_type(oid);
    char name[32] = "";

    if (oid == POLICY_TYPE_ANYENUM) {
        return world_type_named("o.mood");
    }
    for (size_t i = 0; i + 1 < sizeof(name) && allowed->name[i] != 0; i++) {
        char c = allowed->name[i];
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return world_type_named(strcmp(name, "char") == 0 ? "\"char\"" : name);
}

/* Any operator of the allow-list, all of them equally often. */
static void listed(struct world *world, struct rt_buf *out)
{
    static const char *const names[] = { "=", "<>", "<", "<=", ">", ">=", "~~", "!~~" };
    size_t count = 0;
    const struct policy_allow_op *ops = policy_allow_ops(&count);
    const struct policy_allow_op *op = &ops[prng_below(&world->rng, (uint32_t)count)];
    const struct type *left = type_of_oid(op->left);
    const struct type *right = type_of_oid(op->right);
    bool swap = prng_chance(&world->rng, 30);

    rt_buf_puts(out, "(");
    if (swap) {
        literal(world, out, left);
    } else {
        column(world, out, left);
    }
    rt_buf_printf(out, " OPERATOR(pg_catalog.%s) ", names[op->compare]);
    if (swap || prng_chance(&world->rng, 30)) {
        column(world, out, right);
    } else {
        expr_value(world, out, right, 0);
    }
    bool text = left->family == FAMILY_TEXT || right->family == FAMILY_TEXT;
    bool order = op->compare >= POLICY_LT && op->compare <= POLICY_GE;
    if (text && prng_chance(&world->rng, order ? 85 : 10)) {
        static const char *const collations[] = { "\"C\"", "\"C\"", "\"C\"", "\"und-x-icu\"",
                                                  "o.loose" };
        rt_buf_printf(out, " COLLATE %s", PICK(&world->rng, collations));
    }
    rt_buf_puts(out, ")");
}

static void in_list(struct world *world, struct rt_buf *out, uint32_t depth)
{
    const struct type *type = some_type(world);
    uint32_t count = 1 + prng_below(&world->rng, prng_chance(&world->rng, 10) ? 12 : 4);

    if (type->family == FAMILY_ARRAY) {
        type = world_type_named(type->element);
    }
    rt_buf_puts(out, "(");
    expr_value(world, out, type, depth);
    rt_buf_puts(out, prng_chance(&world->rng, 70) ? " IN (" : " NOT IN (");
    for (uint32_t i = 0; i < count; i++) {
        rt_buf_puts(out, i > 0 ? ", " : "");
        if (prng_chance(&world->rng, 15)) {
            rt_buf_puts(out, "NULL");
        } else if (prng_chance(&world->rng, 80)) {
            literal(world, out, type);
        } else {
            expr_value(world, out, type, 0);
        }
    }
    rt_buf_puts(out, "))");
}

static void in_array(struct world *world, struct rt_buf *out, uint32_t depth)
{
    static const char *const arrays[] = { "text[]", "int4[]", "uuid[]", "o.mood[]", "numeric[]" };
    static const char *const ops[] = { "= ANY", "<> ALL", "<> ANY", "= ALL", "= ANY", "< ANY" };
    const struct type *array = world_type_named(PICK(&world->rng, arrays));
    const char *op = PICK(&world->rng, ops);

    rt_buf_puts(out, "(");
    expr_value(world, out, world_type_named(array->element), depth);
    rt_buf_printf(out, " %s (", op);
    expr_value(world, out, array, 0);
    rt_buf_puts(out, "))");
}

static void like(struct world *world, struct rt_buf *out)
{
    static const char *const patterns[] = { "'a%'",    "'%b'",    "'_'",
                                            "'a\\_b'", "'%'",     "''",
                                            "'a\\%'",  "'%\\\\'", "'_\xe6\x9c\xac'",
                                            "'a\\'",   "'%a%b%'" };
    const struct type *type = world_type_named(prng_chance(&world->rng, 80) ? "text" : "name");

    rt_buf_puts(out, "(");
    expr_value(world, out, type, 1);
    rt_buf_puts(out, prng_chance(&world->rng, 70) ? " LIKE " : " NOT LIKE ");
    if (prng_chance(&world->rng, 80)) {
        rt_buf_puts(out, PICK(&world->rng, patterns));
    } else {
        expr_value(world, out, world_type_named("text"), 0);
    }
    rt_buf_puts(out, ")");
}

/* Membership in its forms: by number, text or uuid; with and without conditions; in the sets with NULLs. */
static void member(struct world *world, struct rt_buf *out)
{
    static const struct {
        const char *type;
        const char *column; /* of o.memb */
    } keys[] = { { "int4", "team" }, { "int4", "team" }, { "int4", "rank" },
                 { "text", "k" },    { "uuid", "uid" },  { "varchar(40)", "k" } };
    static const char *const conditions[] = {
        "uid = auth.uid()",
        "uid = (SELECT auth.uid())",
        "k = (auth.jwt() ->> 'k') AND rank < 3",
        "rank > current_setting('app.n')::int",
        "uid = auth.uid() AND k IS NOT NULL",
        "rank IS DISTINCT FROM 2",
        "team IN (SELECT id FROM o.team WHERE owner = auth.uid())",
        "k LIKE 'a%'",
        "lower(k) = 'a'",
        "1 / rank > 0",
    };
    uint32_t at = prng_below(&world->rng, sizeof(keys) / sizeof(keys[0]));
    const char *key = keys[at].column;
    const char *where = PICK(&world->rng, conditions);
    struct rt_buf row = { 0 };

    if (!column(world, &row, world_type_named(keys[at].type))) {
        rt_buf_puts(&row, "NULL");
    }
    const char *x = rt_buf_cstr(&row);
    switch (prng_below(&world->rng, 4)) {
    case 0:
        rt_buf_printf(out, "EXISTS (SELECT 1 FROM o.memb m WHERE m.%s = t.%s AND %s)", key, x,
                      where);
        break;
    case 1:
        rt_buf_printf(out, "(%s IN (SELECT %s FROM o.memb WHERE %s))", x, key, where);
        break;
    case 2:
        rt_buf_printf(out, "(%s = ANY (ARRAY(SELECT %s FROM o.memb WHERE %s)))", x, key, where);
        break;
    default:
        rt_buf_printf(out, "(%s NOT IN (SELECT %s FROM o.memb WHERE %s))", x, key, where);
    }
    rt_buf_fini(&row);
}

static void written(struct world *world, struct rt_buf *out)
{
    rt_buf_puts(out, world_forms[prng_below(&world->rng, world_form_count)]);
}

static void is_test(struct world *world, struct rt_buf *out, uint32_t depth)
{
    static const char *const tests[] = { "TRUE",      "NOT TRUE", "FALSE",
                                         "NOT FALSE", "UNKNOWN",  "NOT UNKNOWN" };

    rt_buf_puts(out, "((");
    if (prng_chance(&world->rng, 50)) {
        expr_bool(world, out, depth);
        rt_buf_printf(out, ") IS %s)", PICK(&world->rng, tests));
    } else {
        expr_value(world, out, some_type(world), depth);
        rt_buf_puts(out, prng_chance(&world->rng, 50) ? ") IS NULL)" : ") IS NOT NULL)");
    }
}

static void joined(struct world *world, struct rt_buf *out, uint32_t depth)
{
    uint32_t count = 2 + prng_below(&world->rng, 2);
    const char *op = prng_chance(&world->rng, 50) ? " AND " : " OR ";

    rt_buf_puts(out, "(");
    for (uint32_t i = 0; i < count; i++) {
        rt_buf_puts(out, i > 0 ? op : "");
        expr_bool(world, out, depth);
    }
    rt_buf_puts(out, ")");
}

static void between(struct world *world, struct rt_buf *out)
{
    const struct type *type = world_type_named(prng_chance(&world->rng, 60) ? "int4" : "numeric");

    rt_buf_puts(out, "(");
    expr_value(world, out, type, 0);
    rt_buf_puts(out, prng_chance(&world->rng, 80) ? " BETWEEN " : " NOT BETWEEN ");
    expr_value(world, out, type, 0);
    rt_buf_puts(out, " AND ");
    expr_value(world, out, type, 0);
    rt_buf_puts(out, ")");
}

void expr_bool(struct world *world, struct rt_buf *out, uint32_t depth)
{
    uint32_t dice = prng_below(&world->rng, 100);
    uint32_t below = depth > 0 ? depth - 1 : 0;

    if (prng_chance(&world->rng, world->written)) {
        written(world, out);
        return;
    }
    if (depth > 0 && dice < 24) {
        joined(world, out, below);
    } else if (depth > 0 && dice < 34) {
        rt_buf_puts(out, "(NOT ");
        expr_bool(world, out, below);
        rt_buf_puts(out, ")");
    } else if (dice < 46) {
        listed(world, out);
    } else if (dice < 62) {
        compare(world, out, below);
    } else if (dice < 72) {
        in_list(world, out, below);
    } else if (dice < 79) {
        in_array(world, out, below);
    } else if (dice < 83) {
        like(world, out);
    } else if (dice < 88) {
        is_test(world, out, below);
    } else if (dice < 91) {
        expr_value(world, out, world_type_named("bool"), below);
    } else if (dice < 93) {
        between(world, out);
    } else if (dice < 97) {
        member(world, out);
    } else {
        written(world, out);
    }
}
