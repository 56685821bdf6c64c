/* broker/policy/fallback.c - a DO block out, a snapshot and one character for each verdict in.
 *
 * For each run of questions that share a plan (see the header) the block has one loop over the values of their settings. */
#include "broker/policy/fallback.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/deparse.h"
#include "broker/policy/sql.h"

/* What is behind a run (a filter, the end of the text) is not to find other names than pg_catalog's. */
#define PATH_END "pgtide_v := pg_catalog.set_config('search_path', '', true); "

/* --- images ----------------------------------------------------------------------------------- */

void policy_image_value(struct rt_buf *out, bool first, const char *text, size_t len)
{
    rt_buf_puts(out, first ? "" : ",");
    if (text == NULL) {
        return;
    }
    rt_buf_putc(out, '"');
    for (size_t at = 0; at < len; at++) {
        if (text[at] == '"' || text[at] == '\\') {
            rt_buf_putc(out, text[at]);
        }
        rt_buf_putc(out, text[at]);
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
        policy_image_value(out, first, kind == POLICY_CELL_TEXT ? row->cells[i].text : NULL,
                           row->cells[i].len);
        first = false;
    }
    rt_buf_putc(out, ')');
    return true;
}

/* --- the question ----------------------------------------------------------------------------- */

/* A batch while it is written. */
struct block {
    const struct policy_batch *batch;
    struct rt_buf text;
    struct rt_buf images; /* ARRAY[…]::type[] */
    size_t settings;
};

static bool grants(const struct policy_rule_text *rule)
{
    return rule->rule.permissive && rule->rule.has_qual;
}

/* PostgreSQL looks at permissive policies from the last name to the first; where one is true and another raises an
 * error, that order decides. Restrictive ones are ANDed: their order changes nothing. OR false keeps the planner from making
 * joins of subqueries, which it does not do for row-level security either, and which cost much more for a single row; it is gone before
 * anything else is simplified. (IS TRUE would stay, and with it errors that PostgreSQL simplifies away in a WHERE.) */
static void write_condition(struct rt_buf *out, const struct policy_table *table)
{
    bool any = false;

    rt_buf_puts(out, "((");
    for (uint32_t i = table->count; i > 0; i--) {
        if (grants(&table->rules[i - 1])) {
            rt_buf_puts(out, any ? " OR (" : "(");
            rt_buf_puts(out, table->rules[i - 1].sql);
            rt_buf_putc(out, ')');
            any = true;
        }
    }
    rt_buf_puts(out, any ? ") OR false)" : "false))");
    for (uint32_t i = 0; i < table->count; i++) {
        if (!table->rules[i].rule.permissive && table->rules[i].rule.has_qual) {
            rt_buf_puts(out, " AND ((");
            rt_buf_puts(out, table->rules[i].sql);
            rt_buf_puts(out, ") OR false)");
        }
    }
}

static void write_where(struct block *block, const struct policy_question *question)
{
    rt_buf_puts(&block->text, " AS ");
    policy_sql_identifier(&block->text, question->table != NULL ? block->batch->table : "t");
    rt_buf_puts(&block->text, " WHERE ");
    if (question->table != NULL) {
        write_condition(&block->text, question->table);
    } else {
        rt_buf_puts(&block->text, question->condition);
    }
}

/* The images are written into the statement: a parameter would have PostgreSQL plan the first few executions anew. */
static void write_judgement(struct block *block, const struct policy_question *question)
{
    bool one = block->batch->image_count == 1;

    rt_buf_puts(&block->text, one ? "PERFORM FROM pg_catalog.unnest("
                                  : "SELECT pg_catalog.string_agg(CASE WHEN EXISTS (SELECT FROM "
                                    "pg_catalog.unnest((");
    rt_buf_append(&block->text, block->images.data, block->images.len);
    rt_buf_puts(&block->text, one ? ")" : ")[pgtide_at.n:pgtide_at.n])");
    write_where(block, question);
    if (one) {
        rt_buf_puts(&block->text, "; IF FOUND THEN pgtide_r := pgtide_r || '1'; ELSE "
                                  "pgtide_r := pgtide_r || '0'; END IF; ");
        return;
    }
    rt_buf_printf(&block->text,
                  ") THEN '1' ELSE '0' END, '' ORDER BY pgtide_at.n) INTO pgtide_v FROM "
                  "pg_catalog.generate_series(1, %zu) AS pgtide_at(n); "
                  "pgtide_r := pgtide_r || pgtide_v; ",
                  block->batch->image_count);
}

/* Assignments, not PERFORM: PL/pgSQL calls a function in an assignment without the executor. */
static void take_settings(struct block *block, const struct policy_identity *first)
{
    bool none = POLICY_FAULT(POLICY_FAULT_FALLBACK_NO_SETTINGS);

    for (size_t s = 0; s < block->settings && !none; s++) {
        rt_buf_puts(&block->text, "pgtide_v := pg_catalog.set_config(");
        policy_write_literal(&block->text, first->settings[s].name,
                             strlen(first->settings[s].name));
        rt_buf_printf(&block->text, ", pgtide_s%zu[pgtide_q], true); ", s);
    }
}

/* One image raises: which one? */
static void write_one_by_one(struct block *block, const struct policy_question *question)
{
    if (block->batch->image_count == 1) {
        rt_buf_puts(&block->text, "pgtide_r := pgtide_r || 'e'; ");
        return;
    }
    take_settings(block, question->identity); /* the error took them back */
    rt_buf_printf(&block->text,
                  "FOR pgtide_i IN 1..%zu LOOP BEGIN PERFORM FROM "
                  "pg_catalog.unnest(pgtide_images[pgtide_i:pgtide_i])",
                  block->batch->image_count);
    write_where(block, question);
    rt_buf_puts(&block->text, "; IF FOUND THEN pgtide_r := pgtide_r || '1'; ELSE "
                              "pgtide_r := pgtide_r || '0'; END IF; EXCEPTION WHEN OTHERS OR "
                              "assert_failure THEN pgtide_r := pgtide_r || 'e'; END; END LOOP; ");
}

static void write_settings(struct block *block, const struct policy_question *questions,
                           size_t count)
{
    for (size_t s = 0; s < block->settings; s++) {
        rt_buf_printf(&block->text, "pgtide_s%zu := ARRAY[", s);
        for (size_t i = 0; i < count; i++) {
            const char *value = questions[i].identity->settings[s].value;
            rt_buf_puts(&block->text, i > 0 ? "," : "");
            policy_write_literal(&block->text, value, strlen(value));
        }
        rt_buf_puts(&block->text, "]; ");
    }
}

/* A block with a handler is a subtransaction: there is one until somebody raises, not one for each identity. Variables keep
 * their values when it is rolled back, so that the next one goes on behind the identity that raised. */
static void write_loop(struct block *block, const struct policy_question *questions, size_t count)
{
    rt_buf_printf(&block->text,
                  "pgtide_q := 1; WHILE pgtide_q <= %zu LOOP BEGIN WHILE pgtide_q <= %zu LOOP ",
                  count, count);
    take_settings(block, questions[0].identity);
    write_judgement(block, &questions[0]);
    rt_buf_puts(&block->text, "pgtide_q := pgtide_q + 1; END LOOP; "
                              "EXCEPTION WHEN OTHERS OR assert_failure THEN ");
    write_one_by_one(block, &questions[0]);
    rt_buf_puts(&block->text, "pgtide_q := pgtide_q + 1; END; END LOOP; ");
}

/* A role that cannot be taken on is the trouble of its identities. */
static void write_run(struct block *block, const struct policy_question *questions, size_t count)
{
    const char *role = questions[0].identity->role;

    write_settings(block, questions, count);
    rt_buf_puts(&block->text, "BEGIN pgtide_v := pg_catalog.set_config('role', ");
    policy_write_literal(&block->text, role, strlen(role));
    rt_buf_puts(&block->text, ", true); EXCEPTION WHEN OTHERS THEN pgtide_v := NULL; END; "
                              "IF pgtide_v IS NULL THEN ");
    rt_buf_printf(&block->text, "pgtide_r := pgtide_r || pg_catalog.repeat('e', %zu); ELSE ",
                  count * block->batch->image_count);
    if (questions[0].table != NULL && questions[0].identity->search_path != NULL) {
        policy_sql_path(&block->text, "PERFORM", questions[0].identity->search_path);
    }
    write_loop(block, questions, count);
    rt_buf_puts(&block->text, PATH_END "END IF; ");
}

static bool shares(const struct policy_question *a, const struct policy_question *b)
{
    return !a->apart && !b->apart && a->table == b->table && a->condition == b->condition &&
           strcmp(a->identity->role, b->identity->role) == 0;
}

static void write_declarations(struct block *block)
{
    /* A policy's own columns win over the block's variables. */
    rt_buf_puts(&block->text,
                "\n#variable_conflict use_column\nDECLARE pgtide_r pg_catalog.text := "
                "pg_catalog.pg_current_snapshot()::pg_catalog.text || ' '; "
                "pgtide_v pg_catalog.text; pgtide_q pg_catalog.int4; ");
    for (size_t s = 0; s < block->settings; s++) {
        rt_buf_printf(&block->text, "pgtide_s%zu pg_catalog.text[]; ", s);
    }
    if (block->batch->image_count > 1) {
        rt_buf_puts(&block->text, "pgtide_images ");
        policy_sql_table(&block->text, block->batch->schema, block->batch->table);
        rt_buf_puts(&block->text, "[] := ");
        rt_buf_append(&block->text, block->images.data, block->images.len);
        rt_buf_puts(&block->text, "; ");
    }
    rt_buf_puts(&block->text, "BEGIN ");
}

void policy_sql_images(struct rt_buf *out, const struct policy_batch *batch)
{
    rt_buf_puts(out, "ARRAY[");
    for (size_t i = 0; i < batch->image_count; i++) {
        rt_buf_puts(out, i > 0 ? ", " : "");
        policy_write_literal(out, batch->images[i], strlen(batch->images[i]));
    }
    rt_buf_puts(out, "]::");
    policy_sql_table(out, batch->schema, batch->table);
    rt_buf_puts(out, "[]");
}

void policy_fallback_sql(struct rt_buf *out, const struct policy_batch *batch)
{
    struct block block = { .batch = batch };

    block.settings = batch->questions[0].identity->setting_count;
    policy_sql_images(&block.images, batch);
    write_declarations(&block);
    for (size_t from = 0; from < batch->question_count;) {
        size_t to = from + 1;
        while (to < batch->question_count &&
               shares(&batch->questions[from], &batch->questions[to])) {
            to++;
        }
        write_run(&block, &batch->questions[from], to - from);
        from = to;
    }
    rt_buf_puts(&block.text,
                "pgtide_v := pg_catalog.set_config('pgtide.verdicts', pgtide_r, true); END");
    policy_sql_begin(out, batch->timeout_ms);
    policy_sql_block(out, &block.text);
    policy_sql_answer(out, batch->schema, batch->table);
    rt_buf_fini(&block.images);
    rt_buf_fini(&block.text);
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool read_verdict(char c, uint8_t *out)
{
    if (POLICY_FAULT(POLICY_FAULT_FALLBACK_ERROR_IS_YES) && c == 'e') {
        *out = POLICY_VERDICT_YES;
        return true;
    }
    *out = c == '1' ? POLICY_VERDICT_YES : c == '0' ? POLICY_VERDICT_NO : POLICY_VERDICT_ERROR;
    return c == '0' || c == '1' || c == 'e';
}

bool policy_verdicts_open(struct policy_verdicts *out, const char **text, size_t *len, size_t count)
{
    const char *blank = *len > 0 ? memchr(*text, ' ', *len) : NULL;
    size_t snapshot = blank != NULL ? (size_t)(blank - *text) : 0;

    *out = (struct policy_verdicts){ .count = 0 };
    if (blank == NULL || snapshot == 0 || snapshot > POLICY_SNAPSHOT_MAX) {
        return false;
    }
    out->snapshot = rt_strndup(*text, snapshot);
    out->verdicts = rt_alloc(count + 1);
    out->count = count;
    *text = blank + 1;
    *len -= snapshot + 1;
    return true;
}

bool policy_fallback_read(struct policy_verdicts *out, const char *text, size_t len, size_t count)
{
    bool good = policy_verdicts_open(out, &text, &len, count) && len == count;

    for (size_t i = 0; i < count && good; i++) {
        good = read_verdict(text[i], &out->verdicts[i]);
    }
    if (!good) {
        policy_verdicts_fini(out);
    }
    return good;
}

void policy_verdicts_fini(struct policy_verdicts *verdicts)
{
    free(verdicts->snapshot);
    free(verdicts->verdicts);
    *verdicts = (struct policy_verdicts){ 0 };
}
