/* cli/explain_identity.c - what a view comes to for one identity, and what it decides about one row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/policy/anchor.h"
#include "broker/policy/fallback.h"
#include "broker/policy/fold.h"
#include "broker/policy/sql.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/identity.h"
#include "runtime/clock.h"

enum {
    SHOWN_MAX = 200, /* bytes of a value */
};

/* --- the identity ----------------------------------------------------------------------------- */

/* The constants of the view and of each of its policies alone. */
struct folded {
    const struct cli_view *view;
    const struct policy_identity *identity;
    struct policy_constants all;
    struct policy_constants *alone; /* view->rules->count */
};

static bool fold(PGconn *conn, struct folded *out)
{
    size_t count = (size_t)out->view->rules->count + 1;
    struct policy_fold *folds = rt_alloc(count * sizeof(*folds));
    struct policy_answers answers = { 0 };
    struct rt_buf sql = { 0 };

    for (size_t i = 0; i < count; i++) {
        const struct policy_program *program =
            i == 0 ? out->view->all->program : out->view->policies[i - 1].program;
        folds[i] =
            (struct policy_fold){ program, out->identity, out->view->schema, out->view->table };
    }
    policy_fold_sql(&sql, folds, count);
    PGresult *result = cli_policies_last(conn, rt_buf_cstr(&sql));
    const char *text = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    bool good = policy_answers_read(&answers, text, strlen(text), count);
    for (size_t i = 0; good && i < count; i++) {
        struct policy_constants *constants = i == 0 ? &out->all : &out->alone[i - 1];
        good = policy_fold_read(constants, folds[i].program, answers.texts[i].text,
                                answers.texts[i].len);
    }
    if (!good && result != NULL) {
        cli_say("PostgreSQL's answer about the constants of this identity cannot be read");
    }
    policy_answers_fini(&answers);
    PQclear(result);
    rt_buf_fini(&sql);
    free(folds);
    return good;
}

static void print_value(const struct policy_value *value)
{
    if (value->state == VALUE_KNOWN && value->text != NULL) {
        printf("'%.*s'%s", value->len > SHOWN_MAX ? SHOWN_MAX : (int)value->len, value->text,
               value->len > SHOWN_MAX ? "… (cut)" : "");
    } else {
        printf("%s", value->state == VALUE_NULL    ? "NULL"
                     : value->state == VALUE_ERROR ? "an error"
                                                   : "a value that cannot be compared in memory");
    }
}

static void print_constants(const struct folded *folded)
{
    const struct policy_program *program = folded->view->all->program;
    const struct policy_binding *binding = &folded->all.binding;

    for (uint32_t i = 0; i < program->fold_count && i < binding->count; i++) {
        printf("    constant %s = ", program->folds[i].sql);
        print_value(&binding->values[i]);
        printf("\n");
    }
}

static void print_anchors(const struct folded *folded, PGconn *conn)
{
    struct policy_anchors anchors;

    policy_anchors_find(folded->view->all->program, &folded->all.binding, &anchors);
    if (anchors.all) {
        printf(
            "    looked up by: nothing; every change of the table is judged for this identity\n");
    } else if (anchors.count == 0) {
        printf("    looked up by: nothing; no row can be visible to this identity\n");
    }
    for (uint32_t i = 0; i < anchors.count && !anchors.all; i++) {
        struct rt_buf sql = { 0 };
        rt_buf_printf(
            &sql, "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %u AND attnum = %u",
            (unsigned)folded->view->rules->oid, (unsigned)anchors.list[i].column);
        PGresult *result = PQexec(conn, rt_buf_cstr(&sql));
        printf("    looked up by: %s = ", PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "?");
        print_value(anchors.list[i].value);
        printf("\n");
        PQclear(result);
        rt_buf_fini(&sql);
    }
}

/* Why PostgreSQL would not even plan the SELECT. */
static void print_refusal(PGconn *conn, const struct folded *folded)
{
    struct rt_buf sql = { 0 };

    rt_buf_puts(&sql, "BEGIN READ ONLY; SELECT ");
    policy_sql_identity(&sql, folded->identity);
    rt_buf_puts(&sql, "; EXPLAIN SELECT 1 FROM ");
    policy_sql_identifier(&sql, folded->view->schema);
    rt_buf_putc(&sql, '.');
    policy_sql_identifier(&sql, folded->view->table);
    PGresult *result = PQexec(conn, rt_buf_cstr(&sql));
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    printf("    refused: PostgreSQL does not plan a SELECT for this identity, so nothing is shown: "
           "%s\n",
           why != NULL ? why : "it gave no reason");
    PQclear(result);
    PQclear(PQexec(conn, "ROLLBACK"));
    rt_buf_fini(&sql);
}

/* --- the row ---------------------------------------------------------------------------------- */

static const char *name_of(uint8_t set)
{
    switch (set) {
    case OUTCOME_TRUE:
        return "true";
    case OUTCOME_FALSE:
        return "false";
    case OUTCOME_NULL:
        return "null";
    case OUTCOME_ERROR:
        return "an error";
    case OUTCOME_MISSING:
        return "not true: changes do not carry a generated column";
    default:
        return (set & OUTCOME_TRUE) == 0 ? "not true" : "not decided in memory";
    }
}

/* As the broker: nobody is asked who would need to know what the change does not carry, for the others it is NULL. */
static bool complete(const struct policy_asking *asking, struct policy_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        bool needed = asking->whole_row || (i < asking->column_count && asking->columns[i]);
        if (row->cells[i].kind == POLICY_CELL_MISSING) {
            if (needed) {
                return false;
            }
            row->cells[i].kind = POLICY_CELL_NULL;
        }
    }
    return true;
}

/* The broker's fallback: its own question, for one row and one identity. */
static bool ask(PGconn *conn, const struct folded *folded, const struct policy_row *row,
                uint8_t *out_verdict)
{
    struct rt_buf image = { 0 };
    struct rt_buf sql = { 0 };
    struct policy_verdicts verdicts;
    bool good = policy_image_write(&image, row, row->count);

    const char *text = rt_buf_cstr(&image);
    struct policy_question question = {
        .table = folded->view->rules,
        .identity = folded->identity,
        .apart = folded->view->all->program->asking.plans_apart,
    };
    struct policy_batch batch = {
        .schema = folded->view->schema,
        .table = folded->view->table,
        .images = &text,
        .image_count = 1,
        .questions = &question,
        .question_count = 1,
    };
    policy_fallback_sql(&sql, &batch);
    PGresult *result = good ? cli_policies_last(conn, rt_buf_cstr(&sql)) : NULL;
    const char *answer = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    good = policy_fallback_read(&verdicts, answer, strlen(answer), 1);
    if (good) {
        *out_verdict = verdicts.verdicts[0];
        policy_verdicts_fini(&verdicts);
    } else {
        cli_say("PostgreSQL gave no verdict on the row");
    }
    PQclear(result);
    rt_buf_fini(&sql);
    rt_buf_fini(&image);
    return good;
}

static bool print_row(PGconn *conn, const struct folded *folded, const struct explained_row *asked)
{
    struct policy_cell *cells = rt_alloc((asked->columns + 1) * sizeof(*cells));
    struct policy_row row = { asked->columns, cells };
    int64_t now = rt_wall_now();
    const struct policy_program *program = folded->view->all->program;
    uint8_t verdict = POLICY_VERDICT_NO;
    bool good = true;

    printf("  row %s\n", asked->json);
    for (uint32_t i = 0; i < folded->view->rules->count; i++) {
        /* Each program parses the values as its own types. */
        memcpy(cells, asked->row->cells, asked->columns * sizeof(*cells));
        uint8_t set =
            policy_eval(folded->view->policies[i].program, &folded->alone[i].binding, &row, now);
        printf("    policy %s: %s\n", folded->view->policies[i].name, name_of(set));
    }
    memcpy(cells, asked->row->cells, asked->columns * sizeof(*cells));
    enum policy_answer answer =
        outcome_answer(policy_eval(program, &folded->all.binding, &row, now));
    if (answer != POLICY_ASK) {
        printf("    decision: %s, decided in memory\n",
               answer == POLICY_DELIVER ? "shown" : "not shown");
    } else if (program->never) {
        printf("    decision: not shown, since nobody can decide it\n");
    } else if (!complete(&program->asking, &row)) {
        printf("    decision: not shown, since changes do not carry a generated column\n");
    } else {
        good = ask(conn, folded, &row, &verdict);
        printf("    decision: %s\n", verdict == POLICY_VERDICT_YES ? "shown, PostgreSQL was asked"
                                     : verdict == POLICY_VERDICT_NO
                                         ? "not shown, PostgreSQL was asked"
                                         : "not shown, PostgreSQL raised an error");
    }
    free(cells);
    return good;
}

bool explain_identity(PGconn *conn, const struct cli_view *view, const char *names,
                      const char *path, const char *claims, const struct explained_row *row)
{
    struct cli_identity identity;
    struct folded folded = { .view = view, .identity = &identity.identity };

    if (!cli_identity_init(&identity, view->role, path, names, claims)) {
        cli_say("these claims are not a JSON object");
        return false;
    }
    folded.alone = rt_alloc((view->rules->count + 1) * sizeof(*folded.alone));
    bool good = fold(conn, &folded);
    if (good) {
        printf("  claims %s\n", claims[0] != '\0' ? claims : "none: a connection without a token");
        print_constants(&folded);
        if (folded.all.binding.refused) {
            print_refusal(conn, &folded);
        } else {
            print_anchors(&folded, conn);
        }
    }
    if (good && row->row != NULL) {
        good = print_row(conn, &folded, row);
    }
    policy_constants_fini(&folded.all);
    for (uint32_t i = 0; i < view->rules->count; i++) {
        policy_constants_fini(&folded.alone[i]);
    }
    free(folded.alone);
    cli_identity_fini(&identity);
    return good;
}
