/* broker/policy/fold.c - a DO block out, an array of arrays in, each as text. */
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

/* What says nothing of the expression, only of the moment (a deadlock, no memory, a lock), fails the whole text: it is asked again. */
static const char on_error[] =
    "EXCEPTION WHEN transaction_rollback OR insufficient_resources OR lock_not_available THEN "
    "RAISE; WHEN OTHERS THEN pgtide_r := ";

/* The message behind the mark, up to the first value that it quotes: it may be a claim. */
static const char error_text[] =
    "('e'::pg_catalog.text OPERATOR(pg_catalog.||) "
    "pg_catalog.\"left\"(pg_catalog.split_part(SQLERRM, ': \"'::pg_catalog.text, 1), 200))";

/* Appends to pgtide_r. */
static void write_error(struct rt_buf *out)
{
    rt_buf_puts(out, on_error);
    rt_buf_puts(out, "pgtide_r OPERATOR(pg_catalog.||) ");
    rt_buf_puts(out, error_text);
    rt_buf_puts(out, "; END; ");
}

static void write_look(struct rt_buf *out, const struct policy_fold *fold)
{
    struct rt_buf select = { 0 };

    rt_buf_puts(&select, "EXPLAIN SELECT 1 FROM ");
    policy_sql_identifier(&select, fold->schema);
    rt_buf_putc(&select, '.');
    policy_sql_identifier(&select, fold->table);
    rt_buf_puts(out, "BEGIN EXECUTE ");
    write_text(out, rt_buf_cstr(&select));
    rt_buf_puts(out, "; pgtide_r := pgtide_r OPERATOR(pg_catalog.||) 'v'::pg_catalog.text; ");
    write_error(out);
    rt_buf_fini(&select);
}

/* A role that cannot be taken on: whatever was found is dropped, and the look counts as refused. */
static void write_fold(struct rt_buf *out, const struct policy_fold *fold)
{
    rt_buf_puts(out, "pgtide_r := '{}'; BEGIN PERFORM ");
    policy_sql_identity(out, fold->identity);
    rt_buf_puts(out, "; ");
    write_look(out, fold);
    for (uint32_t i = 0; i < fold->program->fold_count; i++) {
        rt_buf_puts(out, "BEGIN pgtide_v := (");
        rt_buf_puts(out, fold->program->folds[i].sql);
        rt_buf_puts(out, ")::pg_catalog.text; pgtide_r := pgtide_r OPERATOR(pg_catalog.||) "
                         "coalesce('v'::pg_catalog.text OPERATOR(pg_catalog.||) pgtide_v, "
                         "'n'::pg_catalog.text); ");
        write_error(out);
    }
    rt_buf_puts(out, on_error);
    rt_buf_puts(out, "pg_catalog.array_fill(");
    rt_buf_puts(out, error_text);
    rt_buf_puts(out, ", ARRAY[");
    rt_buf_printf(out, "%u", (unsigned)fold->program->fold_count + 1);
    rt_buf_puts(
        out, "]); END; pgtide_a := pgtide_a OPERATOR(pg_catalog.||) pgtide_r::pg_catalog.text; ");
}

void policy_fold_sql(struct rt_buf *out, const struct policy_fold *folds, size_t count)
{
    struct rt_buf block = { 0 };

    rt_buf_puts(&block, "\n#variable_conflict use_column\nDECLARE pgtide_a pg_catalog.text[] := "
                        "ARRAY[pg_catalog.pg_current_snapshot()::pg_catalog.text]; "
                        "pgtide_r pg_catalog.text[]; pgtide_v pg_catalog.text; BEGIN ");
    for (size_t i = 0; i < count; i++) {
        write_fold(&block, &folds[i]);
    }
    rt_buf_puts(&block, "PERFORM pg_catalog.set_config('search_path', '', true); "
                        "PERFORM pg_catalog.set_config('pgtide.fold', pgtide_a::pg_catalog.text, "
                        "true); END");
    rt_buf_puts(out, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ");
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
    char *scratch = rt_alloc(len + 1);
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;
    uint32_t count = 0;

    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        count++;
    }
    if (array.bad) {
        free(scratch);
        return NULL;
    }
    list->values = policy_arena_alloc(arena, count * sizeof(*list->values));
    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        bool inside = element >= text && element < text + len; /* else unescaped, in `scratch` */
        const char *kept = inside ? element : policy_arena_copy(arena, element, element_len);
        list->values[list->count++] =
            is_null ? policy_value_state(VALUE_NULL)
                    : policy_value_parse(shape->element, kept, element_len, shape->labels);
    }
    free(scratch);
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

static void keep_error(struct policy_constants *out, const char *element, size_t len)
{
    if (len > 1 && element[0] == ANSWER_ERROR && out->error == NULL) {
        char *text = policy_arena_alloc(&out->arena, len);
        memcpy(text, element + 1, len - 1);
        text[len - 1] = '\0';
        out->error = text;
    }
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
    char *scratch = rt_alloc(len + 1);
    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        if (is_null || count > program->fold_count) {
            array.bad = true;
            break;
        }
        if (count == 0) {
            out->binding.refused = element_len != 1 || element[0] != ANSWER_VALUE;
            keep_error(out, element, element_len);
        } else {
            values[count - 1] =
                read_constant(&out->arena, &program->folds[count - 1].shape, element, element_len);
            out->binding.errors |= values[count - 1].state == VALUE_ERROR;
            keep_error(out, element, element_len);
        }
        count++;
    }
    free(scratch);
    bool good = !array.bad && count == program->fold_count + 1;
    out->binding.refused = out->binding.refused || !good;
    out->binding.values = values;
    out->binding.count = good ? program->fold_count : 0;
    return good;
}

/* The parts are written one behind the other into `bytes`: unescaped, an element is never longer than it was. */
bool policy_answers_read(struct policy_answers *out, const char *text, size_t len, size_t count)
{
    struct policy_array array;
    char *at = rt_alloc(2 * len + 2);
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;
    size_t found = 0;

    *out = (struct policy_answers){ .bytes = at,
                                    .texts = rt_alloc((count + 1) * sizeof(*out->texts)) };
    policy_array_open(&array, text, len);
    char *scratch = at + len + 1;
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        if (is_null || found > count || element_len > (size_t)(scratch - at)) {
            array.bad = true;
            break;
        }
        memmove(at, element, element_len);
        out->texts[found++] = (struct policy_answer_text){ at, element_len };
        at += element_len;
    }
    if (array.bad || found != count + 1) {
        policy_answers_fini(out);
        return false;
    }
    out->snapshot = out->texts[0].text;
    out->snapshot_len = out->texts[0].len;
    memmove(out->texts, out->texts + 1, count * sizeof(*out->texts));
    return true;
}

void policy_answers_fini(struct policy_answers *answers)
{
    free(answers->bytes);
    free(answers->texts);
    *answers = (struct policy_answers){ .bytes = NULL };
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
