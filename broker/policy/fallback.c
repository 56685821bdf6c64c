/* broker/policy/fallback.c - a DO block out, one array of texts in. */
#include "broker/policy/fallback.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/deparse.h"
#include "broker/policy/sql.h"

/* --- images ----------------------------------------------------------------------------------- */

static void write_field(struct rt_buf *out, const struct policy_cell *cell)
{
    rt_buf_putc(out, '"');
    for (uint32_t at = 0; at < cell->len; at++) {
        if (cell->text[at] == '"' || cell->text[at] == '\\') {
            rt_buf_putc(out, cell->text[at]);
        }
        rt_buf_putc(out, cell->text[at]);
    }
    rt_buf_putc(out, '"');
}

bool policy_image_write(struct rt_buf *out, const struct policy_row *row, uint32_t columns)
{
    size_t before = out->len;
    bool first = true;

    rt_buf_putc(out, '(');
    for (uint32_t i = 0; i < columns; i++) {
        uint8_t kind = i < row->count ? row->cells[i].kind : POLICY_CELL_MISSING;
        if (kind == POLICY_CELL_DROPPED) {
            continue;
        }
        if (kind != POLICY_CELL_TEXT && kind != POLICY_CELL_NULL) {
            out->len = before;
            return false;
        }
        rt_buf_puts(out, first ? "" : ",");
        first = false;
        if (kind == POLICY_CELL_TEXT) {
            write_field(out, &row->cells[i]);
        }
    }
    rt_buf_putc(out, ')');
    return true;
}

/* --- the question ----------------------------------------------------------------------------- */

static bool grants(const struct policy_rule_text *rule)
{
    return rule->rule.permissive && rule->rule.has_qual;
}

/* PostgreSQL looks at permissive policies from the last name to the first; where one is true and another raises an
 * error, that order decides. Restrictive ones are ANDed: their order changes nothing. */
static void write_condition(struct rt_buf *out, const struct policy_table *table)
{
    bool any = false;

    rt_buf_putc(out, '(');
    for (uint32_t i = table->count; i > 0; i--) {
        if (grants(&table->rules[i - 1])) {
            rt_buf_puts(out, any ? " OR (" : "(");
            rt_buf_puts(out, table->rules[i - 1].sql);
            rt_buf_putc(out, ')');
            any = true;
        }
    }
    rt_buf_puts(out, any ? ")" : "false)");
    for (uint32_t i = 0; i < table->count; i++) {
        if (!table->rules[i].rule.permissive && table->rules[i].rule.has_qual) {
            rt_buf_puts(out, " AND (");
            rt_buf_puts(out, table->rules[i].sql);
            rt_buf_putc(out, ')');
        }
    }
}

static void write_question(struct rt_buf *out, const char *alias,
                           const struct policy_question *question)
{
    rt_buf_puts(out, "PERFORM ");
    struct policy_identity identity = *question->identity;
    if (POLICY_FAULT(POLICY_FAULT_FALLBACK_NO_SETTINGS)) {
        identity.setting_count = 0;
    }
    policy_sql_identity(out, &identity);
    rt_buf_puts(
        out, "; FOREACH pgtide_image IN ARRAY pgtide_images LOOP BEGIN SELECT "
             "pg_catalog.count(*) INTO pgtide_n FROM pg_catalog.unnest(ARRAY[pgtide_image]) AS ");
    policy_sql_identifier(out, alias);
    rt_buf_puts(out, " WHERE ");
    write_condition(out, question->table);
    rt_buf_puts(out,
                "; pgtide_r := pgtide_r || pgtide_n::pg_catalog.text; EXCEPTION WHEN OTHERS THEN "
                "pgtide_r := pgtide_r || 'e'::pg_catalog.text; END; END LOOP; ");
}

/* A policy's own columns win over the block's variables. */
void policy_fallback_sql(struct rt_buf *out, const struct policy_batch *batch)
{
    struct rt_buf block = { 0 };
    struct rt_buf type = { 0 };

    policy_sql_identifier(&type, batch->schema);
    rt_buf_putc(&type, '.');
    policy_sql_identifier(&type, batch->table);
    rt_buf_puts(&block, "\n#variable_conflict use_column\nDECLARE pgtide_r pg_catalog.text[] := "
                        "ARRAY[pg_catalog.pg_current_snapshot()::pg_catalog.text]; "
                        "pgtide_n pg_catalog.int8; ");
    rt_buf_printf(&block, "pgtide_image %s; pgtide_images %s[] := ARRAY[", rt_buf_cstr(&type),
                  (const char *)type.data);
    for (size_t i = 0; i < batch->image_count; i++) {
        rt_buf_puts(&block, i > 0 ? ", " : "");
        policy_write_literal(&block, batch->images[i], strlen(batch->images[i]));
    }
    rt_buf_printf(&block, "]::%s[]; BEGIN ", rt_buf_cstr(&type));
    for (size_t i = 0; i < batch->question_count; i++) {
        write_question(&block, batch->table, &batch->questions[i]);
    }
    rt_buf_puts(&block, "PERFORM pg_catalog.set_config('pgtide.verdicts', "
                        "pgtide_r::pg_catalog.text, true); END");
    rt_buf_puts(out, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ");
    policy_sql_block(out, &block);
    rt_buf_puts(out, "; SELECT pg_catalog.current_setting('pgtide.verdicts'); COMMIT");
    rt_buf_fini(&type);
    rt_buf_fini(&block);
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool read_verdict(const char *text, size_t len, uint8_t *out)
{
    if (len != 1) {
        return false;
    }
    if (POLICY_FAULT(POLICY_FAULT_FALLBACK_ERROR_IS_YES) && text[0] == 'e') {
        *out = POLICY_VERDICT_YES;
        return true;
    }
    *out = text[0] == '1'   ? POLICY_VERDICT_YES
           : text[0] == '0' ? POLICY_VERDICT_NO
                            : POLICY_VERDICT_ERROR;
    return true;
}

bool policy_fallback_read(struct policy_verdicts *out, const char *text, size_t len, size_t count)
{
    struct policy_array array;
    char *scratch = rt_alloc(len + 1);
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;
    bool first = true;

    *out = (struct policy_verdicts){ .verdicts = rt_alloc(count) };
    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        bool fits = !is_null && (first || out->count < count);
        if (fits && first) {
            fits = element_len < sizeof(out->snapshot);
            memcpy(out->snapshot, element, fits ? element_len : 0);
        } else if (fits) {
            fits = read_verdict(element, element_len, &out->verdicts[out->count++]);
        }
        first = false;
        if (!fits) {
            array.bad = true;
            break;
        }
    }
    free(scratch);
    bool good = !array.bad && !first && out->count == count;
    if (!good) {
        policy_verdicts_fini(out);
    }
    return good;
}

void policy_verdicts_fini(struct policy_verdicts *verdicts)
{
    free(verdicts->verdicts);
    *verdicts = (struct policy_verdicts){ 0 };
}
