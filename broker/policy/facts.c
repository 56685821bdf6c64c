/* broker/policy/facts.c - one statement, five kinds of rows. */
#include "broker/policy/facts.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/map.h"

/* Element types of arrays come with them. The default of parse_ident's second parameter is a boolean true: where its byte
 * is says how the server's processor writes numbers. */
const char policy_facts_sql[] =
    "WITH types AS (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.oid = ANY ($3::oid[])"
    " UNION SELECT t.typelem FROM pg_catalog.pg_type t WHERE t.oid = ANY ($3::oid[]) AND t.typelem "
    "<> 0)"
    " SELECT 'o' AS what, o.oid::text, n.nspname::text, o.oprname::text, o.oprcode::oid::text, '', "
    "'', ''"
    " FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace"
    " WHERE o.oid = ANY ($1::oid[])"
    " UNION ALL SELECT 'f', p.oid::text, n.nspname, p.proname, p.provolatile::text,"
    "  p.proretset::int::text || (l.lanname = 'sql' AND p.prosqlbody IS NULL)::int || (l.lanname = "
    "'internal')::int"
    "  || (p.pronargs = 0)::int, CASE WHEN l.lanname = 'sql' THEN coalesce(p.prosrc, '') ELSE '' "
    "END, ''"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    " WHERE p.oid = ANY ($2::oid[]) OR p.oid IN (SELECT oprcode FROM pg_catalog.pg_operator WHERE "
    "oid = ANY ($1::oid[]))"
    "  OR (l.lanname = 'sql' AND p.pronargs = 0 AND p.prokind = 'f' AND p.pronamespace IN ("
    "   SELECT q.pronamespace FROM pg_catalog.pg_proc q WHERE q.oid = ANY ($2::oid[]) AND q.oid >= "
    "16384))"
    " UNION ALL SELECT 't', t.oid::text, n.nspname, t.typname, t.typtype::text,"
    "  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END::text, '', ''"
    " FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid JOIN pg_catalog.pg_namespace n ON "
    "n.oid = t.typnamespace"
    " UNION ALL SELECT 'c', c.oid::text, n.nspname, c.collname, c.collisdeterministic::int::text,"
    "  (CASE WHEN c.collprovider = 'd' THEN d.datlocprovider = 'c' AND d.datcollate IN ('C', "
    "'POSIX')"
    "   ELSE c.collprovider = 'c' AND coalesce(c.collcollate IN ('C', 'POSIX'), false) "
    "END)::int::text, '', ''"
    " FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace,"
    " pg_catalog.pg_database d WHERE c.oid = ANY ($4::oid[]) AND d.datname = current_database()"
    " UNION ALL SELECT 'r', c.oid::text, n.nspname, c.relname, a.attnum::text, a.attname, '', ''"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " WHERE c.oid = ANY ($5::oid[])"
    " UNION ALL SELECT 'd', '0', '', '', (pg_catalog.getdatabaseencoding() = 'UTF8')::int::text,"
    "  coalesce((SELECT (position('[ 1 0 0 0 0 0 0 0 ]' IN proargdefaults::text) > 0)::int::text"
    "   FROM pg_catalog.pg_proc WHERE proname = 'parse_ident' AND pronamespace = "
    "'pg_catalog'::regnamespace), '0'), '', ''"
    " UNION ALL SELECT 'e', t.oid::text, '', e.enumlabel, e.oid::text,"
    "  row_number() OVER (PARTITION BY t.oid ORDER BY e.enumsortorder)::text,"
    "  count(*) OVER (PARTITION BY t.oid)::text, ''"
    " FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid JOIN pg_catalog.pg_enum e ON "
    "e.enumtypid = t.oid";

enum { OPS, FUNCTIONS, TYPES, COLLATIONS, TABLES };

struct policy_facts {
    struct policy_arena arena;
    struct rt_map *by_oid[POLICY_FACTS_PARAMS];
    struct rt_map *functions_by_name; /* schema NUL name */
    struct rt_map *columns;           /* table << 16 | number: its name */
    struct rt_map *enums;             /* of a type whose labels came before it */
    struct rt_map *reads;             /* of a table: struct reads */
    bool strict;
    bool utf8;
    bool little_endian;
};

struct reads {
    uint32_t count;
    uint32_t *tables;
};

struct policy_facts *policy_facts_new(void)
{
    struct policy_facts *facts = rt_alloc(sizeof(*facts));

    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        facts->by_oid[i] = rt_map_new();
    }
    facts->functions_by_name = rt_map_new();
    facts->columns = rt_map_new();
    facts->enums = rt_map_new();
    facts->reads = rt_map_new();
    return facts;
}

static void free_reads(struct policy_facts *facts)
{
    struct rt_map_iter iter = rt_map_begin(facts->reads);
    struct reads *reads = NULL;

    while ((reads = rt_map_next(&iter)) != NULL) {
        free(reads->tables);
        free(reads);
    }
    rt_map_free(facts->reads);
}

void policy_facts_strict(struct policy_facts *facts)
{
    facts->strict = true;
}

void policy_facts_read(struct policy_facts *facts, uint32_t table, uint32_t read)
{
    struct reads *reads = rt_map_get_u64(facts->reads, table);

    if (reads == NULL) {
        reads = rt_alloc(sizeof(*reads));
        (void)rt_map_put_u64(facts->reads, table, reads);
    }
    reads->tables = rt_realloc(reads->tables, (size_t)reads->count + 1, sizeof(uint32_t));
    reads->tables[reads->count++] = read;
}

uint32_t policy_facts_reads(const struct policy_facts *facts, uint32_t table,
                            const uint32_t **out_tables)
{
    const struct reads *reads = rt_map_get_u64(facts->reads, table);

    *out_tables = reads == NULL ? NULL : reads->tables;
    return reads == NULL ? 0 : reads->count;
}

void policy_facts_free(struct policy_facts *facts)
{
    if (facts == NULL) {
        return;
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_map_free(facts->by_oid[i]);
    }
    rt_map_free(facts->functions_by_name);
    rt_map_free(facts->columns);
    rt_map_free(facts->enums);
    free_reads(facts);
    policy_arena_fini(&facts->arena);
    free(facts);
}

/* --- what a tree mentions --------------------------------------------------------------------- */

static int kind_of_field(const struct policy_tree *field)
{
    static const struct {
        const char *name;
        int kind;
    } fields[] = {
        { "opno", OPS },
        { "opfuncid", FUNCTIONS },
        { "funcid", FUNCTIONS },
        { "consttype", TYPES },
        { "vartype", TYPES },
        { "resulttype", TYPES },
        { "funcresulttype", TYPES },
        { "opresulttype", TYPES },
        { "array_typeid", TYPES },
        { "element_typeid", TYPES },
        { "casetype", TYPES },
        { "coalescetype", TYPES },
        { "paramtype", TYPES },
        { "type", TYPES },
        { "typeId", TYPES },
        { "inputcollid", COLLATIONS },
        { "collOid", COLLATIONS },
        { "constcollid", COLLATIONS },
        { "varcollid", COLLATIONS },
        { "opcollid", COLLATIONS },
        { "funccollid", COLLATIONS },
        { "resultcollid", COLLATIONS },
        { "relid", TABLES },
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strlen(fields[i].name) == field->len &&
            memcmp(fields[i].name, field->text, field->len) == 0) {
            return fields[i].kind;
        }
    }
    return -1;
}

static void want(const struct policy_facts *facts, const struct policy_tree *field,
                 struct rt_buf *arrays)
{
    int kind = kind_of_field(field);
    int64_t oid = 0;

    if (kind < 0 || !policy_tree_token_number(field->child, &oid) || oid <= 0 || oid > UINT32_MAX ||
        rt_map_get_u64(facts->by_oid[kind], (uint64_t)oid) != NULL) {
        return;
    }
    rt_buf_printf(&arrays[kind], "%c%u", arrays[kind].len == 0 ? '{' : ',', (unsigned)oid);
}

bool policy_facts_wanted(const struct policy_facts *facts, const struct policy_tree *tree,
                         struct rt_buf arrays[POLICY_FACTS_PARAMS])
{
    const struct policy_tree *stack[POLICY_TREE_DEPTH_MAX + 1];
    size_t depth = 0;
    bool any = false;

    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        if (arrays[i].len > 0) {
            arrays[i].len -=
                arrays[i].len == 2 ? 2 : 1; /* {} or the }: goes on where an earlier tree ended */
        }
    }
    /* Depth first: of each open level the sibling that comes next. */
    stack[depth++] = tree;
    while (depth > 0) {
        const struct policy_tree *item = stack[depth - 1];
        if (item == NULL) {
            depth--;
            continue;
        }
        stack[depth - 1] = item->next;
        if (item->kind == POLICY_TREE_FIELD) {
            want(facts, item, arrays);
        }
        if (item->child != NULL) {
            stack[depth++] = item->child;
        }
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        any = any || arrays[i].len > 0;
        rt_buf_puts(&arrays[i], arrays[i].len > 0 ? "}" : "{}");
    }
    return any;
}

/* --- answers ---------------------------------------------------------------------------------- */

enum field { WHAT, OID, SCHEMA, NAME, A, B, C };

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static const char *copy(struct policy_facts *facts, const char *text)
{
    return policy_arena_copy(&facts->arena, text, strlen(text));
}

static struct policy_fact base(struct policy_facts *facts, const char *const *fields)
{
    return (struct policy_fact){ number(fields[OID]), copy(facts, fields[SCHEMA]),
                                 copy(facts, fields[NAME]) };
}

static void put(struct policy_facts *facts, int kind, uint32_t oid, void *fact)
{
    rt_map_put_u64(facts->by_oid[kind], oid, fact);
}

static void add_function(struct policy_facts *facts, const char *const *fields)
{
    struct policy_function_fact *fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
    struct rt_buf key = { 0 };

    fact->f = base(facts, fields);
    fact->volatility = fields[A][0];
    if (strlen(fields[B]) == 4) {
        fact->set = fields[B][0] == '1';
        fact->sql = fields[B][1] == '1';
        fact->internal = fields[B][2] == '1';
        if (fields[B][3] == '1') {
            rt_buf_append(&key, fields[SCHEMA], strlen(fields[SCHEMA]) + 1);
            rt_buf_puts(&key, fields[NAME]);
            rt_map_put(facts->functions_by_name, key.data, key.len, fact);
        }
    }
    fact->body = copy(facts, fields[C]);
    put(facts, FUNCTIONS, fact->f.oid, fact);
    rt_buf_fini(&key);
}

/* Labels may come before or after their type. */
static struct policy_enum_label *labels_of(struct policy_facts *facts, uint32_t type,
                                           uint32_t count, struct policy_enum *labels)
{
    struct policy_enum_label *list = rt_map_get_u64(facts->enums, type);

    if (list == NULL) {
        list = policy_arena_alloc(&facts->arena, count * sizeof(*list));
        rt_map_put_u64(facts->enums, type, list);
    }
    labels->oid = type;
    labels->count = count;
    labels->labels = list;
    return list;
}

static void add_type(struct policy_facts *facts, const char *const *fields)
{
    struct policy_type_fact *fact = rt_map_get_u64(facts->by_oid[TYPES], number(fields[OID]));

    if (fact == NULL) {
        fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
        put(facts, TYPES, number(fields[OID]), fact);
    }
    fact->f = base(facts, fields);
    fact->type = fields[A][0];
    fact->element = number(fields[B]);
}

static void add_label(struct policy_facts *facts, const char *const *fields)
{
    uint32_t type = number(fields[OID]);
    uint32_t rank = number(fields[B]);
    uint32_t count = number(fields[C]);
    struct policy_type_fact *fact = rt_map_get_u64(facts->by_oid[TYPES], type);

    if (fact == NULL) {
        fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
        put(facts, TYPES, type, fact);
    }
    if (rank == 0 || rank > count || count > 65536 ||
        (fact->labels.count != 0 && fact->labels.count != count)) {
        return;
    }
    struct policy_enum_label *list = labels_of(facts, type, count, &fact->labels);
    const char *label = copy(facts, fields[NAME]);
    list[rank - 1] =
        (struct policy_enum_label){ number(fields[A]), (uint32_t)strlen(label), label };
}

static void add_column(struct policy_facts *facts, const char *const *fields)
{
    uint32_t table = number(fields[OID]);
    uint64_t column = number(fields[A]);

    if (rt_map_get_u64(facts->by_oid[TABLES], table) == NULL) {
        struct policy_fact *fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
        *fact = base(facts, fields);
        put(facts, TABLES, table, fact);
    }
    if (column <= 0xffff) {
        rt_map_put_u64(facts->columns, (uint64_t)table << 16 | column,
                       policy_arena_copy(&facts->arena, fields[B], strlen(fields[B])));
    }
}

static void add_other(struct policy_facts *facts, const char *const *fields)
{
    if (fields[WHAT][0] == 'o') {
        struct policy_op_fact *fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
        fact->f = base(facts, fields);
        fact->function = number(fields[A]);
        put(facts, OPS, fact->f.oid, fact);
    } else if (fields[WHAT][0] == 'c') {
        struct policy_collation_fact *fact = policy_arena_alloc(&facts->arena, sizeof(*fact));
        fact->f = base(facts, fields);
        fact->deterministic = fields[A][0] == '1';
        fact->bytes = fields[B][0] == '1';
        put(facts, COLLATIONS, fact->f.oid, fact);
    } else if (fields[WHAT][0] == 'd') {
        facts->utf8 = fields[A][0] == '1';
        facts->little_endian = fields[B][0] == '1';
    }
}

void policy_facts_add(struct policy_facts *facts, const char *const fields[POLICY_FACTS_COLUMNS])
{
    switch (fields[WHAT][0]) {
    case 'f':
        add_function(facts, fields);
        break;
    case 't':
        add_type(facts, fields);
        break;
    case 'e':
        add_label(facts, fields);
        break;
    case 'r':
        add_column(facts, fields);
        break;
    default:
        add_other(facts, fields);
    }
}

/* --- lookups ---------------------------------------------------------------------------------- */

const struct policy_op_fact *policy_facts_op(const struct policy_facts *facts, uint32_t oid)
{
    return rt_map_get_u64(facts->by_oid[OPS], oid);
}

const struct policy_function_fact *policy_facts_function(const struct policy_facts *facts,
                                                         uint32_t oid)
{
    return rt_map_get_u64(facts->by_oid[FUNCTIONS], oid);
}

const struct policy_function_fact *policy_facts_function_named(const struct policy_facts *facts,
                                                               const char *schema, const char *name)
{
    struct rt_buf key = { 0 };

    rt_buf_append(&key, schema, strlen(schema) + 1);
    rt_buf_puts(&key, name);
    const struct policy_function_fact *fact =
        rt_map_get(facts->functions_by_name, key.data, key.len);
    rt_buf_fini(&key);
    return fact;
}

/* A type of which only labels are known is not known. */
const struct policy_type_fact *policy_facts_type(const struct policy_facts *facts, uint32_t oid)
{
    const struct policy_type_fact *fact = rt_map_get_u64(facts->by_oid[TYPES], oid);

    return fact != NULL && fact->f.oid == oid ? fact : NULL;
}

const struct policy_collation_fact *policy_facts_collation(const struct policy_facts *facts,
                                                           uint32_t oid)
{
    return rt_map_get_u64(facts->by_oid[COLLATIONS], oid);
}

const struct policy_fact *policy_facts_table(const struct policy_facts *facts, uint32_t oid)
{
    if (facts->strict && rt_map_get_u64(facts->reads, oid) == NULL) {
        return NULL;
    }
    return rt_map_get_u64(facts->by_oid[TABLES], oid);
}

const char *policy_facts_column(const struct policy_facts *facts, uint32_t table, uint32_t column)
{
    return column <= 0xffff ? rt_map_get_u64(facts->columns, (uint64_t)table << 16 | column) : NULL;
}

bool policy_facts_utf8(const struct policy_facts *facts)
{
    return facts->utf8;
}

bool policy_facts_little_endian(const struct policy_facts *facts)
{
    return facts->little_endian;
}
