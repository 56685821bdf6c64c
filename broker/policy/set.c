/* broker/policy/set.c - a join of images and identities out, the numbers of the pairs that hold in. */
#include "broker/policy/set.h"

#include <string.h>

#include "broker/policy/deparse.h"
#include "broker/policy/sql.h"

bool policy_set_has(const struct policy_program *program, const struct policy_binding *binding)
{
    const struct policy_set *set = &program->asking.set;
    bool good = set->condition != NULL && !binding->refused;

    for (uint32_t i = 0; i < set->constant_count && good; i++) {
        uint32_t fold = set->constants[i].fold;
        good = fold < binding->count;
        uint8_t state = good ? binding->values[fold].state : VALUE_ERROR;
        good = state == VALUE_NULL || ((state == VALUE_KNOWN || state == VALUE_FREE) &&
                                       binding->values[fold].text != NULL);
    }
    return good;
}

/* --- the statement ---------------------------------------------------------------------------- */

/* An element of an array, inside of a literal. In runs: a text is long, and has few such characters. */
static void write_element(struct rt_buf *out, const char *text, size_t len)
{
    size_t from = 0;

    rt_buf_putc(out, '"');
    for (size_t at = 0; at < len; at++) {
        if (text[at] == '"' || text[at] == '\\' || text[at] == '\'') {
            rt_buf_append(out, text + from, at - from);
            rt_buf_putc(out, text[at] == '\'' ? '\'' : '\\');
            from = at;
        }
    }
    if (len > from) {
        rt_buf_append(out, text + from, len - from);
    }
    rt_buf_putc(out, '"');
}

/* One constant of all identities, as an array of its type if it is pinned, else of texts. */
static void write_constants(struct rt_buf *out, const struct policy_set_batch *batch,
                            const struct policy_set_constant *constant)
{
    rt_buf_puts(out, "'{");
    for (size_t i = 0; i < batch->binding_count; i++) {
        const struct policy_value *value = &batch->bindings[i]->values[constant->fold];
        if (i > 0) {
            rt_buf_putc(out, ',');
        }
        if (value->state == VALUE_NULL) {
            rt_buf_puts(out, "NULL");
        } else {
            write_element(out, value->text, value->len);
        }
    }
    rt_buf_puts(out, "}'::");
    rt_buf_puts(out, constant->pinned ? constant->type : "pg_catalog.text");
    rt_buf_puts(out, "[]");
}

/* ROWS FROM (…) WITH ORDINALITY AS name(k0, …, n) */
static void write_list(struct rt_buf *out, const struct policy_set_batch *batch, const char *name)
{
    const struct policy_set *set = &batch->program->asking.set;

    if (set->constant_count == 0) {
        rt_buf_printf(out, "pg_catalog.generate_series(1, %zu) AS %s(n)", batch->binding_count,
                      name);
        return;
    }
    rt_buf_puts(out, "ROWS FROM (");
    for (uint32_t i = 0; i < set->constant_count; i++) {
        rt_buf_puts(out, i > 0 ? ", pg_catalog.unnest(" : "pg_catalog.unnest(");
        write_constants(out, batch, &set->constants[i]);
        rt_buf_putc(out, ')');
    }
    rt_buf_printf(out, ") WITH ORDINALITY AS %s(", name);
    for (uint32_t i = 0; i < set->constant_count; i++) {
        rt_buf_printf(out, "k%u, ", (unsigned)set->constants[i].fold);
    }
    rt_buf_puts(out, "n)");
}

static bool all_pinned(const struct policy_set *set)
{
    for (uint32_t i = 0; i < set->constant_count; i++) {
        if (!set->constants[i].pinned) {
            return false;
        }
    }
    return true;
}

/* What is not pinned is cast when the statement runs: once for each identity, not for each pair. */
static void write_casts(struct rt_buf *out, const struct policy_set_batch *batch)
{
    const struct policy_set *set = &batch->program->asking.set;

    rt_buf_puts(out, "WITH pgtide_who AS MATERIALIZED (SELECT u.n");
    for (uint32_t i = 0; i < set->constant_count; i++) {
        const struct policy_set_constant *constant = &set->constants[i];
        unsigned fold = constant->fold;
        rt_buf_printf(out, constant->pinned ? ", u.k%u" : ", CAST(u.k%u AS ", fold);
        if (!constant->pinned) {
            rt_buf_printf(out, "%s) AS k%u", constant->type, fold);
        }
    }
    rt_buf_puts(out, " FROM ");
    write_list(out, batch, "u");
    rt_buf_puts(out, ") ");
}

/* `kept`: the images and their number are parameters. */
static void write_rows(struct rt_buf *out, const struct policy_set_batch *batch, bool kept)
{
    struct policy_batch images = { .schema = batch->schema,
                                   .table = batch->table,
                                   .images = batch->images,
                                   .image_count = batch->image_count };

    rt_buf_puts(out, "pg_catalog.unnest(");
    if (kept) {
        rt_buf_puts(out, "$1");
    } else {
        policy_sql_images(out, &images);
    }
    rt_buf_puts(out, ") WITH ORDINALITY AS pgtide_row(");
    for (size_t i = 0; i < batch->column_count; i++) {
        rt_buf_printf(out, "c%u, ", (unsigned)batch->columns[i]);
    }
    rt_buf_puts(out, "n)");
}

static void write_judgement(struct rt_buf *out, const struct policy_set_batch *batch, bool kept)
{
    bool pinned = all_pinned(&batch->program->asking.set);

    rt_buf_puts(out, "SELECT pg_catalog.set_config('pgtide.verdicts', (");
    if (!pinned) {
        write_casts(out, batch);
    }
    rt_buf_puts(out, "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text || ' ' || "
                     "COALESCE(pg_catalog.string_agg(((pgtide_who.n - 1) * ");
    if (kept) {
        rt_buf_puts(out, "$2");
    } else {
        rt_buf_printf(out, "%zu", batch->image_count);
    }
    rt_buf_puts(out, " + pgtide_row.n - 1)::pg_catalog.text, ','), '') FROM ");
    write_rows(out, batch, kept);
    rt_buf_puts(out, ", ");
    if (pinned) {
        write_list(out, batch, "pgtide_who");
    } else {
        rt_buf_puts(out, "pgtide_who");
    }
    rt_buf_puts(out, " WHERE ");
    rt_buf_puts(out, batch->program->asking.set.condition);
    rt_buf_puts(out, "), true)");
}

/* One plan for all images: with a parameter PostgreSQL would plan the first few times anew. */
static void write_kept(struct rt_buf *out, const struct policy_set_batch *batch)
{
    const struct policy_set_session *session = batch->session;
    struct policy_batch images = { .schema = batch->schema,
                                   .table = batch->table,
                                   .images = batch->images,
                                   .image_count = batch->image_count };

    if (session->prepare) {
        rt_buf_printf(out, "PREPARE %s(", session->name);
        policy_sql_table(out, batch->schema, batch->table);
        rt_buf_puts(out, "[], pg_catalog.int8) AS ");
        write_judgement(out, batch, true);
        rt_buf_puts(out, "; ");
    }
    rt_buf_printf(out, "SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE %s(",
                  session->name);
    policy_sql_images(out, &images);
    rt_buf_printf(out, ", %zu)", batch->image_count);
}

/* SET and not set_config(): that would be a query, with a plan of its own. */
static void write_role(struct rt_buf *out, const char *role)
{
    rt_buf_puts(out, "SET LOCAL jit = off; SET LOCAL ROLE ");
    policy_sql_identifier(out, role);
    rt_buf_puts(out, "; ");
}

void policy_set_sql(struct rt_buf *out, const struct policy_set_batch *batch)
{
    const struct policy_set_session *session = batch->session;

    policy_sql_begin(out, batch->timeout_ms);
    if (session != NULL && session->reset) {
        rt_buf_puts(out, "DEALLOCATE ALL; ");
        policy_sql_prepare_answer(out, session->answer);
    }
    if (session != NULL && session->drop != NULL) {
        rt_buf_puts(out, session->drop);
    }
    write_role(out, batch->role);
    if (session != NULL && session->name != NULL) {
        write_kept(out, batch);
    } else {
        write_judgement(out, batch, false);
    }
    if (session != NULL) {
        policy_sql_answer_by(out, session->answer, batch->schema, batch->table);
    } else {
        policy_sql_answer(out, batch->schema, batch->table);
    }
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool read_pairs(struct policy_verdicts *out, const char *at, const char *end)
{
    while (at < end) {
        size_t number = 0;
        const char *from = at;
        while (at < end && *at >= '0' && *at <= '9' && number < out->count) {
            number = number * 10 + (size_t)(*at++ - '0');
        }
        bool more = at < end && *at == ',';
        if (at == from || number >= out->count || (at < end && !more) || (more && at + 1 == end)) {
            return false;
        }
        out->verdicts[number] = POLICY_VERDICT_YES;
        at += more;
    }
    return true;
}

bool policy_set_read(struct policy_verdicts *out, const char *text, size_t len, size_t count)
{
    bool good = policy_verdicts_open(out, &text, &len, count);

    if (good) {
        memset(out->verdicts, POLICY_VERDICT_NO, count);
        good = read_pairs(out, text, text + len);
    }
    if (!good) {
        policy_verdicts_fini(out);
    }
    return good;
}
