/* broker/policy/fold.c - a DO block out, one array of texts in. */
#include "broker/policy/fold.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/deparse.h"
#include "broker/policy/sql.h"

/* An element of the answer: its first character says what it is. */
enum { ANSWER_VALUE = 'v', ANSWER_NULL = 'n', ANSWER_ERROR = 'e' };

static void write_text(struct rt_buf *out, const char *text)
{
    policy_write_literal(out, text, strlen(text));
}

/* What runs in the DO block. */
static void write_block(struct rt_buf *out, const struct policy_program *program,
                        const char *schema, const char *table)
{
    struct rt_buf select = { 0 };

    rt_buf_puts(&select, "EXPLAIN SELECT 1 FROM ");
    policy_sql_identifier(&select, schema);
    rt_buf_putc(&select, '.');
    policy_sql_identifier(&select, table);
    rt_buf_puts(out, "DECLARE r pg_catalog.text[] := '{}'; v pg_catalog.text; BEGIN "
                     "BEGIN EXECUTE ");
    write_text(out, rt_buf_cstr(&select));
    rt_buf_puts(out,
                "; r := r || 'v'::text; EXCEPTION WHEN OTHERS THEN r := r || 'e'::text; END; ");
    for (uint32_t i = 0; i < program->fold_count; i++) {
        rt_buf_puts(out, "BEGIN v := (");
        rt_buf_puts(out, program->folds[i].sql);
        rt_buf_puts(out, ")::pg_catalog.text; r := r || coalesce('v' || v, 'n'); "
                         "EXCEPTION WHEN OTHERS THEN r := r || 'e'::text; END; ");
    }
    rt_buf_puts(out, "PERFORM pg_catalog.set_config('pgtide.fold', r::pg_catalog.text, true); END");
    rt_buf_fini(&select);
}

void policy_fold_sql(struct rt_buf *out, const struct policy_program *program,
                     const struct policy_identity *identity, const char *schema, const char *table)
{
    struct rt_buf block = { 0 };

    rt_buf_puts(out, "BEGIN READ ONLY; SELECT ");
    policy_sql_identity(out, identity);
    rt_buf_puts(out, "; ");
    write_block(&block, program, schema, table);
    policy_sql_block(out, &block);
    rt_buf_puts(out, "; SELECT pg_catalog.current_setting('pgtide.fold'); COMMIT");
    rt_buf_fini(&block);
}

/* --- the answer ------------------------------------------------------------------------------- */

static const struct policy_list *read_list(struct policy_arena *arena,
                                           const struct policy_shape *shape, const char *text,
                                           size_t len)
{
    struct policy_array array;
    struct policy_list *list = policy_arena_alloc(arena, sizeof(*list));
    char *scratch = policy_arena_alloc(arena, len + 1);
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;
    uint32_t count = 0;

    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        count++;
    }
    if (array.bad) {
        return NULL;
    }
    list->values = policy_arena_alloc(arena, count * sizeof(*list->values));
    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        const char *kept = policy_arena_copy(arena, element, element_len);
        list->values[list->count++] =
            is_null ? policy_value_state(VALUE_NULL)
                    : policy_value_parse(shape->element, kept, element_len, shape->labels);
    }
    return list;
}

static struct policy_value read_constant(struct policy_arena *arena,
                                         const struct policy_shape *shape, const char *text,
                                         size_t len)
{
    if (len == 0 || text[0] == ANSWER_ERROR) {
        return policy_value_state(POLICY_FAULT(POLICY_FAULT_FOLD_ERROR_IS_NULL) ? VALUE_NULL
                                                                                : VALUE_ERROR);
    }
    if (text[0] == ANSWER_NULL) {
        return policy_value_state(VALUE_NULL);
    }
    const char *kept = policy_arena_copy(arena, text + 1, len - 1);
    struct policy_value value = policy_value_parse(shape->kind, kept, len - 1, shape->labels);
    if (shape->kind == POLICY_KIND_ARRAY) {
        value.list = read_list(arena, shape, kept, len - 1);
        value.state = value.list != NULL ? VALUE_KNOWN : VALUE_FREE;
    }
    return value;
}

bool policy_fold_read(struct policy_constants *out, const struct policy_program *program,
                      const char *text, size_t len)
{
    struct policy_array array;
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;
    uint32_t count = 0;

    *out = (struct policy_constants){ 0 };
    struct policy_value *values =
        policy_arena_alloc(&out->arena, program->fold_count * sizeof(*values));
    char *scratch = policy_arena_alloc(&out->arena, len + 1);
    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        if (is_null || count > program->fold_count) {
            array.bad = true;
            break;
        }
        if (count == 0) {
            out->binding.refused = element_len != 1 || element[0] != ANSWER_VALUE;
        } else {
            values[count - 1] =
                read_constant(&out->arena, &program->folds[count - 1].shape, element, element_len);
            out->binding.errors |= values[count - 1].state == VALUE_ERROR;
        }
        count++;
    }
    bool good = !array.bad && count == program->fold_count + 1;
    out->binding.refused = out->binding.refused || !good;
    out->binding.values = values;
    out->binding.count = good ? program->fold_count : 0;
    return good;
}

void policy_constants_fini(struct policy_constants *constants)
{
    policy_arena_fini(&constants->arena);
    *constants = (struct policy_constants){ 0 };
}

void policy_constants_none(struct policy_constants *out)
{
    *out = (struct policy_constants){ 0 };
}
