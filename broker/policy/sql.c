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

static void write_text(struct rt_buf *out, const char *text)
{
    policy_write_literal(out, text, strlen(text));
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

void policy_write_name(struct rt_buf *out, const struct policy_fact *fact)
{
    policy_sql_identifier(out, fact->schema);
    rt_buf_putc(out, '.');
    policy_sql_identifier(out, fact->name);
}

void policy_write_literal(struct rt_buf *out, const char *text, size_t len)
{
    rt_buf_putc(out, '\'');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            rt_buf_putc(out, '\'');
        }
        rt_buf_putc(out, text[i]);
    }
    rt_buf_putc(out, '\'');
}
