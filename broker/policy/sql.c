/* broker/policy/sql.c - names, settings, blocks. */
#include "broker/policy/sql.h"

#include <string.h>

#include "broker/policy/deparse.h"

void policy_sql_identifier(struct rt_buf *out, const char *name)
{
    rt_buf_putc(out, '"');
    for (; *name != 0; name++) {
        rt_buf_puts(out, *name == '"' ? "\"\"" : (char[]){ *name, 0 });
    }
    rt_buf_putc(out, '"');
}

void policy_sql_text_array(struct rt_buf *out, const char *const *items, size_t count)
{
    rt_buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        rt_buf_puts(out, i == 0 ? "\"" : ",\"");
        for (const char *at = items[i]; *at != '\0'; at++) {
            if (*at == '"' || *at == '\\') {
                rt_buf_putc(out, '\\');
            }
            rt_buf_putc(out, *at);
        }
        rt_buf_putc(out, '"');
    }
    rt_buf_putc(out, '}');
}

void policy_sql_table(struct rt_buf *out, const char *schema, const char *table)
{
    policy_sql_identifier(out, schema);
    rt_buf_putc(out, '.');
    policy_sql_identifier(out, table);
}

static void write_text(struct rt_buf *out, const char *text)
{
    policy_write_literal(out, text, strlen(text));
}

static void write_path(struct rt_buf *out, const char *search_path)
{
    struct rt_buf path = { 0 };

    rt_buf_printf(&path, "pg_catalog, %s", search_path);
    rt_buf_puts(out, "pg_catalog.set_config('search_path', ");
    write_text(out, rt_buf_cstr(&path));
    rt_buf_puts(out, ", true)");
    rt_buf_fini(&path);
}

void policy_sql_identity(struct rt_buf *out, const struct policy_identity *identity)
{
    rt_buf_puts(out, "pg_catalog.set_config('role', ");
    write_text(out, identity->role);
    rt_buf_puts(out, ", true)");
    for (size_t i = 0; i < identity->setting_count; i++) {
        rt_buf_puts(out, ", pg_catalog.set_config(");
        write_text(out, identity->settings[i].name);
        rt_buf_puts(out, ", ");
        write_text(out, identity->settings[i].value);
        rt_buf_puts(out, ", true)");
    }
    if (identity->search_path != NULL) {
        rt_buf_puts(out, ", ");
        write_path(out, identity->search_path);
    }
}

/* There is one of the name in a schema of the path that is nobody's extension, and pg_catalog's takes pseudo-types. */
#define SHADOWS(catalog, name, schema, types)                                                      \
    "EXISTS (SELECT FROM pg_catalog." catalog " x JOIN pg_catalog.pg_namespace n ON "              \
    "n.oid OPERATOR(pg_catalog.=) x." schema " WHERE n.nspname OPERATOR(pg_catalog.=) ANY "        \
    "(pg_catalog.current_schemas(false)) AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog' AND "  \
    "EXISTS (SELECT FROM pg_catalog." catalog " c JOIN pg_catalog.pg_type t ON "                   \
    "t.oid OPERATOR(pg_catalog.=) ANY (" types ") WHERE c." name " OPERATOR(pg_catalog.=) x." name \
    " AND c." schema " OPERATOR(pg_catalog.=) 11::pg_catalog.oid AND t.typtype "                   \
    "OPERATOR(pg_catalog.=) 'p') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE "        \
    "d.classid OPERATOR(pg_catalog.=) 'pg_catalog." catalog "'::pg_catalog.regclass AND "          \
    "d.objid OPERATOR(pg_catalog.=) x.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'))"

void policy_sql_path(struct rt_buf *out, const char *verb, const char *search_path)
{
    rt_buf_printf(out, "%s ", verb);
    write_path(out, search_path);
    rt_buf_printf(out, "; %s pg_catalog.set_config('search_path', 'pg_catalog', true) WHERE ",
                  verb);
    rt_buf_puts(out,
                SHADOWS("pg_operator", "oprname", "oprnamespace", "ARRAY[c.oprleft, c.oprright]"));
    rt_buf_puts(out, " OR ");
    rt_buf_puts(out,
                SHADOWS("pg_proc", "proname", "pronamespace", "c.proargtypes::pg_catalog.oid[]"));
    rt_buf_puts(out, "; ");
}

void policy_sql_block(struct rt_buf *out, struct rt_buf *block)
{
    char tag[32] = "$pgtide$";

    for (int i = 0; strstr(rt_buf_cstr(block), tag) != NULL; i++) {
        struct rt_buf name = { 0 };
        rt_buf_printf(&name, "$pgtide%d$", i);
        memcpy(tag, rt_buf_cstr(&name), name.len + 1 < sizeof(tag) ? name.len + 1 : sizeof(tag));
        rt_buf_fini(&name);
    }
    rt_buf_puts(out, "DO ");
    rt_buf_puts(out, tag);
    rt_buf_append(out, block->data, block->len);
    rt_buf_puts(out, tag);
}

void policy_sql_begin(struct rt_buf *out, unsigned timeout_ms)
{
    rt_buf_puts(out, "BEGIN READ ONLY; ");
    if (timeout_ms > 0) {
        rt_buf_printf(out, "SET LOCAL statement_timeout = %u; ", timeout_ms);
    }
}

static void write_table_text(struct rt_buf *out, const char *schema, const char *table)
{
    struct rt_buf name = { 0 };

    policy_sql_table(&name, schema, table);
    write_text(out, rt_buf_cstr(&name));
    rt_buf_fini(&name);
}

#define ANSWER_BEGIN                                                                               \
    "SELECT pg_catalog.current_setting('pgtide.verdicts'), "                                       \
    "(SELECT a.attrelid::pg_catalog.text || pg_catalog.string_agg("                                \
    "' ' || a.attnum || ' ' || a.atttypid, '' ORDER BY a.attnum) "                                 \
    "FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass("
#define ANSWER_END ") AND a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid)"

void policy_sql_answer(struct rt_buf *out, const char *schema, const char *table)
{
    rt_buf_puts(out, "; " ANSWER_BEGIN);
    write_table_text(out, schema, table);
    rt_buf_puts(out, ANSWER_END "; COMMIT");
}

void policy_sql_answer_by(struct rt_buf *out, const char *name, const char *schema,
                          const char *table)
{
    rt_buf_printf(out, "; EXECUTE %s(", name);
    write_table_text(out, schema, table);
    rt_buf_puts(out, "); COMMIT");
}

void policy_sql_prepare_answer(struct rt_buf *out, const char *name)
{
    rt_buf_printf(out, "PREPARE %s(pg_catalog.text) AS " ANSWER_BEGIN "$1" ANSWER_END "; ", name);
}

void policy_sql_shape_begin(struct rt_buf *out, uint32_t oid)
{
    rt_buf_printf(out, "%u", (unsigned)oid);
}

void policy_sql_shape_column(struct rt_buf *out, uint32_t number, uint32_t type)
{
    rt_buf_printf(out, " %u %u", (unsigned)number, (unsigned)type);
}

void policy_write_name(struct rt_buf *out, const struct policy_fact *fact)
{
    policy_sql_identifier(out, fact->schema);
    rt_buf_putc(out, '.');
    policy_sql_identifier(out, fact->name);
}

void policy_write_literal(struct rt_buf *out, const char *text, size_t len)
{
    const char *end = text + len;

    rt_buf_putc(out, '\'');
    while (text < end) {
        const char *quote = memchr(text, '\'', (size_t)(end - text));
        const char *to = quote != NULL ? quote + 1 : end;
        rt_buf_append(out, text, (size_t)(to - text));
        if (quote != NULL) {
            rt_buf_putc(out, '\'');
        }
        text = to;
    }
    rt_buf_putc(out, '\'');
}
