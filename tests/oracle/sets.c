/* tests/oracle/sets.c - sets kept from the changes of a membership table (broker/policy/sets.h) against queries of that table.
 *
 *   sets-oracle --conninfo TEXT [--seed N] [--worlds N]
 *
 * A world is a policy with a membership test over o.m, m's own policies, and some identities. Two writers change m in transactions that
 * overlap; what is committed comes to the sets later, in order. Meanwhile sets are asked for, and their answers come late too.
 * Whenever everything has come, a set that says it is current must be what PostgreSQL answers right then under that identity. */
#include "broker/policy/sets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/sets.h"

/* --- changes -------------------------------------------------------------------------------------- */

static PGresult *row_of(PGconn *conn, const char *sql)
{
    PGresult *row = pg_ask(conn, sql, 0, NULL);

    must(row != NULL, sql);
    if (PQntuples(row) == 1) {
        return row;
    }
    PQclear(row);
    return NULL;
}

static void write_values(struct world_of_sets *w, struct rt_buf *sql)
{
    static const char *const roles[] = { "'admin'",  "'member'", "'banned'",
                                         "'public'", "'7'",      "NULL" };
    static const char *const users[] = { "'11111111-1111-1111-1111-111111111111'",
                                         "'22222222-2222-2222-2222-222222222222'",
                                         "'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'", "NULL" };
    static const char *const flags[] = { "true", "true", "false", "NULL" };

    rt_buf_printf(sql, "%s, %s, %s, %" PRIu32 ", %s", PICK(&w->rng, set_kinds[w->kind].values),
                  PICK(&w->rng, users), PICK(&w->rng, roles), prng_below(&w->rng, 5),
                  PICK(&w->rng, flags));
}

static void begin(struct world_of_sets *w, uint32_t writer)
{
    struct transaction *tx = &w->open[writer];

    *tx = (struct transaction){ .open = true };
    must(pg_run(w->writers[writer], "BEGIN"), "no transaction");
    PGresult *row = row_of(w->writers[writer], "SELECT pg_current_xact_id()");
    tx->xid = (uint32_t)strtoull(PQgetvalue(row, 0, 0), NULL, 10);
    PQclear(row);
}

/* Writers have rows of their own, so that none waits for the other. */
static void change(struct world_of_sets *w, uint32_t writer)
{
    struct transaction *tx = &w->open[writer];
    PGconn *conn = w->writers[writer];
    uint32_t id = prng_below(&w->rng, 12) * WRITERS + writer;
    struct rt_buf sql = { 0 };

    if (!tx->open) {
        begin(w, writer);
    }
    if (tx->count == CHANGES_MAX) {
        return;
    }
    struct change *at = &tx->changes[tx->count];
    rt_buf_printf(&sql, "SELECT * FROM o.m WHERE id = %" PRIu32, id);
    at->old_row = row_of(conn, rt_buf_cstr(&sql));
    rt_buf_clear(&sql);
    if (at->old_row == NULL) {
        rt_buf_printf(&sql, "INSERT INTO o.m VALUES (%" PRIu32 ", ", id);
        write_values(w, &sql);
        rt_buf_puts(&sql, ") RETURNING *");
    } else if (prng_chance(&w->rng, 60)) {
        rt_buf_puts(&sql, "UPDATE o.m SET (a, b, r, n, ok) = (");
        write_values(w, &sql);
        rt_buf_printf(&sql, ") WHERE id = %" PRIu32 " RETURNING *", id);
    } else {
        /* Gives no row. */
        rt_buf_printf(
            &sql, "WITH gone AS (DELETE FROM o.m WHERE id = %" PRIu32 ") SELECT WHERE false", id);
    }
    at->new_row = row_of(conn, rt_buf_cstr(&sql));
    tx->count++;
    rt_buf_fini(&sql);
}

static void forget(struct transaction *tx)
{
    for (uint32_t i = 0; i < tx->count; i++) {
        PQclear(tx->changes[i].old_row);
        PQclear(tx->changes[i].new_row);
    }
    *tx = (struct transaction){ 0 };
}

static void finish(struct world_of_sets *w, uint32_t writer)
{
    struct transaction *tx = &w->open[writer];

    if (!tx->open || w->queued == QUEUE_MAX) {
        return;
    }
    if (prng_chance(&w->rng, 15)) {
        must(pg_run(w->writers[writer], "ROLLBACK"), "no rollback");
        forget(tx);
        return;
    }
    must(pg_run(w->writers[writer], "COMMIT"), "no commit");
    w->queue[w->queued++] = *tx;
    *tx = (struct transaction){ 0 };
}

static void truncate(struct world_of_sets *w)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        finish(w, i);
        if (w->open[i].open) {
            return;
        }
    }
    begin(w, 0);
    w->open[0].truncate = true;
    must(pg_run(w->writers[0], "TRUNCATE o.m"), "no truncate");
    finish(w, 0);
}

static void fill(struct world_of_sets *w, const PGresult *from, struct policy_row *row, bool mask)
{
    policy_row_clear(row);
    for (int i = 0; i < COLUMNS; i++) {
        bool null = PQgetisnull(from, 0, i);
        policy_row_set(row, (uint32_t)i + 1, null ? POLICY_CELL_NULL : POLICY_CELL_TEXT,
                       PQgetvalue(from, 0, i), (uint32_t)PQgetlength(from, 0, i));
    }
    if (mask && prng_chance(&w->rng, 3)) {
        policy_row_set(row, 1 + prng_below(&w->rng, COLUMNS), POLICY_CELL_MISSING, "", 0);
    }
}

/* The oldest transaction that has not come yet. */
static void deliver(struct world_of_sets *w, struct score *score)
{
    struct policy_cell cells[2][COLUMNS] = { 0 };
    struct policy_row old_row = { COLUMNS, cells[0] };
    struct policy_row new_row = { COLUMNS, cells[1] };
    struct transaction *tx = &w->queue[0];

    if (w->queued == 0) {
        return;
    }
    if (tx->truncate) {
        policy_sets_truncate(w->sets, tx->xid);
    }
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct change *at = &tx->changes[i];
        if (at->old_row != NULL) {
            fill(w, at->old_row, &old_row, true);
        }
        if (at->new_row != NULL) {
            fill(w, at->new_row, &new_row, false);
        }
        policy_sets_change(w->sets, tx->xid, at->new_row != NULL ? &new_row : NULL,
                           at->old_row != NULL ? &old_row : NULL);
        score->changes++;
    }
    forget(tx);
    w->queued--;
    memmove(&w->queue[0], &w->queue[1], w->queued * sizeof(w->queue[0]));
}

/* --- the truth ------------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The elements of an array, sorted, a NULL last, in one text. */
static void words(struct rt_buf *out, const char *text)
{
    char *list[64];
    uint32_t count = 0;
    bool nulls = false;
    char *scratch = malloc(strlen(text) + 1);
    struct policy_array array;
    const char *element = NULL;
    size_t len = 0;
    bool is_null = false;

    policy_array_open(&array, text, strlen(text));
    while (count < 64 && policy_array_next(&array, scratch, &element, &len, &is_null)) {
        nulls = nulls || is_null;
        if (!is_null) {
            list[count++] = strndup(element, len);
        }
    }
    qsort(list, count, sizeof(list[0]), by_text);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(list[i], list[i - 1]) != 0) {
            rt_buf_printf(out, "[%s]", list[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        free(list[i]);
    }
    rt_buf_puts(out, nulls ? "NULL" : "");
    free(scratch);
}

static void words_of_set(struct rt_buf *out, const struct policy_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct policy_value *value = &list->values[i];
        if (value->state == VALUE_NULL) {
            rt_buf_puts(out, "NULL");
        } else {
            rt_buf_printf(out, "[%.*s]", (int)value->len, value->text);
        }
    }
}

static void compare(struct world_of_sets *w, struct person *person, struct score *score)
{
    const struct policy_list *list = policy_set_list(person->set);
    struct rt_buf sql = { 0 };
    struct rt_buf truth = { 0 };
    struct rt_buf ours = { 0 };

    if (list == NULL) {
        return;
    }
    must(policy_members_sql(w->facts, &w->test->members, &sql), "no statement for the values");
    PGresult *row = sets_ask_as(w, person, rt_buf_cstr(&sql));
    words(&truth, row != NULL ? PQgetvalue(row, 0, 0) : "{\"an error\"}");
    words_of_set(&ours, list);
    score->compared++;
    score->values += list->count;
    if (strcmp(rt_buf_cstr(&truth), rt_buf_cstr(&ours)) != 0) {
        score->wrong++;
        printf("WRONG: --seed %" PRIu64 " --worlds 1: claims %s, n '%s'\n   %s\n   PostgreSQL: %s\n"
               "   the set: %s\n",
               score->seed, person->claims, person->n, rt_buf_cstr(&w->policies),
               rt_buf_cstr(&truth), rt_buf_cstr(&ours));
    }
    PQclear(row);
    rt_buf_fini(&sql);
    rt_buf_fini(&truth);
    rt_buf_fini(&ours);
}

static void step(struct world_of_sets *w, struct score *score)
{
    uint32_t dice = prng_below(&w->rng, 100);
    uint32_t writer = prng_below(&w->rng, WRITERS);

    if (dice < 40) {
        change(w, writer);
    } else if (dice < 58) {
        finish(w, writer);
    } else if (dice < 75) {
        deliver(w, score);
    } else if (dice < 97) {
        sets_tend(w, score);
    } else if (dice < 98 && prng_chance(&w->rng, 30)) {
        truncate(w);
    }
    if (prng_chance(&w->rng, 8)) {
        while (w->queued > 0) {
            deliver(w, score);
        }
        for (uint32_t i = 0; i < IDENTITIES; i++) {
            compare(w, &w->people[i], score);
        }
    }
}

static void run(struct world_of_sets *w, struct score *score)
{
    for (uint32_t i = 0; i < IDENTITIES; i++) {
        sets_person(w, &w->people[i]);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        step(w, score);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        if (w->open[i].open) {
            must(pg_run(w->writers[i], "ROLLBACK"), "no rollback");
        }
        forget(&w->open[i]);
    }
    while (w->queued > 0) {
        forget(&w->queue[--w->queued]);
    }
    for (uint32_t i = 0; i < IDENTITIES; i++) {
        policy_set_free(w->people[i].set);
        policy_constants_fini(&w->people[i].constants);
        free(w->people[i].array);
        free(w->people[i].snapshot);
    }
}

static void run_world(const struct world_of_sets *connections, struct score *score)
{
    struct world_of_sets *w = malloc(sizeof(*w));

    must(w != NULL, "no memory");
    *w = *connections;
    w->rng.state = score->seed;
    bool kept = sets_make(w);
    score->kept += kept;
    score->left += !kept;
    if (kept) {
        run(w, score);
    }
    sets_unmake(w);
    free(w);
}

static PGconn *connect_to(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);

    must(PQstatus(conn) == CONNECTION_OK, PQerrorMessage(conn));
    must(pg_run(conn,
                "SET client_min_messages = error; SET DateStyle = 'ISO'; SET TimeZone = 'UTC';"
                "SET bytea_output = 'hex'; SET extra_float_digits = 1; SET search_path = '';"
                "SET standard_conforming_strings = on"),
         "no session");
    return conn;
}

int main(int argc, char **argv)
{
    struct score score = { .seed = 1 };
    const char *conninfo = NULL;
    uint64_t worlds = 100;
    struct world_of_sets *w = calloc(1, sizeof(*w));

    for (int i = 1; i + 1 < argc; i += 2) {
        conninfo = strcmp(argv[i], "--conninfo") == 0 ? argv[i + 1] : conninfo;
        score.seed = strcmp(argv[i], "--seed") == 0 ? strtoull(argv[i + 1], NULL, 10) : score.seed;
        worlds = strcmp(argv[i], "--worlds") == 0 ? strtoull(argv[i + 1], NULL, 10) : worlds;
    }
    must(conninfo != NULL && w != NULL, "sets-oracle --conninfo TEXT [--seed N] [--worlds N]");
    w->reader = connect_to(conninfo);
    for (uint32_t i = 0; i < WRITERS; i++) {
        w->writers[i] = connect_to(conninfo);
    }
    for (uint64_t i = 0; i < worlds; i++, score.seed++) {
        run_world(w, &score);
    }
    printf("%" PRIu64 " comparisons, wrong %" PRIu64 "; %" PRIu64 " values, %" PRIu64
           " changes, %" PRIu64 " loads, %" PRIu64 " stale; %" PRIu64 " policies kept, %" PRIu64
           " not; seeds up to %" PRIu64 "\n",
           score.compared, score.wrong, score.values, score.changes, score.loads, score.stale,
           score.kept, score.left, score.seed - 1);
    PQfinish(w->reader);
    for (uint32_t i = 0; i < WRITERS; i++) {
        PQfinish(w->writers[i]);
    }
    free(w);
    return score.wrong == 0 ? 0 : 1;
}
