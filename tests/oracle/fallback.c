/* tests/oracle/fallback.c - the rows that the broker does not decide alone, put to its fallback lane. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/set.h"
#include "tests/oracle/judge.h"

enum { ASKED = 1, QUESTIONS = 3 };

static const char **texts_of(const struct rt_buf *images, size_t count)
{
    const char **texts = calloc(count + 1, sizeof(*texts));

    for (size_t i = 0; i < count; i++) {
        texts[i] = (const char *)images[i].data;
    }
    return texts;
}

/* Between two others of its role, with which it shares a plan: nothing of the first one must be left. */
bool fallback_ask(struct judge *judge, const struct policy_table *table,
                  const struct policy_program *program, const struct identity *identity,
                  const struct rt_buf *images, size_t count, struct policy_verdicts *out)
{
    struct policy_setting settings[WORLD_SETTINGS];
    struct policy_setting others[WORLD_SETTINGS];
    const char **texts = texts_of(images, count);
    struct rt_buf sql = { 0 };
    double began = seconds_now();

    for (size_t i = 0; i < WORLD_SETTINGS; i++) {
        settings[i] = (struct policy_setting){ world_setting_names[i], identity->settings[i] };
        others[i] = (struct policy_setting){ world_setting_names[i], "{\"k\":\"b\"}" };
    }
    struct policy_identity asked = { .role = identity->role,
                                     .settings = settings,
                                     .setting_count = WORLD_SETTINGS };
    struct policy_identity other = { .role = identity->role,
                                     .settings = others,
                                     .setting_count = WORLD_SETTINGS };
    bool apart = program->asking.plans_apart;
    struct policy_question questions[QUESTIONS] = { { table, &other, NULL, apart },
                                                    { table, &asked, NULL, apart },
                                                    { table, &other, NULL, apart } };
    struct policy_batch batch = { .schema = "o",
                                  .table = "t",
                                  .images = texts,
                                  .image_count = count,
                                  .questions = questions,
                                  .question_count = QUESTIONS };
    policy_fallback_sql(&sql, &batch);
    PGresult *result = pg_last(judge->conn, rt_buf_cstr(&sql));
    const char *answer = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    bool good = policy_fallback_read(out, answer, strlen(answer), count * QUESTIONS);
    if (good) {
        memmove(out->verdicts, out->verdicts + ASKED * count, count);
    } else {
        fprintf(stderr, "no verdicts: %s\n%.4000s\n", PQerrorMessage(judge->conn),
                rt_buf_cstr(&sql));
    }
    PQclear(result);
    rt_buf_fini(&sql);
    free(texts);
    judge->tally.fallback_seconds += seconds_now() - began;
    return good;
}

/* The same by one statement for many, every second one prepared: here for one identity twice. False: not allowed, or an error, which says nothing. */
bool fallback_ask_set(struct judge *judge, const struct policy_program *program,
                      const struct policy_binding *binding, const char *role,
                      const struct rt_buf *images, size_t count, uint32_t columns,
                      struct policy_verdicts *out)
{
    const struct policy_binding *const bindings[] = { binding, binding };
    const struct policy_set_session session = {
        .reset = true, .answer = "oracle_answer", .name = "oracle_set", .prepare = true
    };
    uint32_t numbers[WORLD_COLUMNS_MAX + 1];
    struct rt_buf sql = { 0 };

    for (uint32_t i = 0; i < columns; i++) {
        numbers[i] = i + 1;
    }
    if (!policy_set_has(program, binding)) {
        return false;
    }
    const char **texts = texts_of(images, count);
    struct policy_set_batch batch = { .schema = "o",
                                      .table = "t",
                                      .role = role,
                                      .program = program,
                                      .columns = numbers,
                                      .column_count = columns,
                                      .images = texts,
                                      .image_count = count,
                                      .bindings = bindings,
                                      .binding_count = 2,
                                      .session = judge->tally.sets % 2 == 0 ? NULL : &session };
    policy_set_sql(&sql, &batch);
    PGresult *result = pg_last(judge->conn, rt_buf_cstr(&sql));
    const char *answer = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    bool good = policy_set_read(out, answer, strlen(answer), count * 2);
    if (good) {
        memmove(out->verdicts, out->verdicts + count, count);
    }
    judge->tally.sets += good;
    judge->tally.sets_raised += !good;
    PQclear(result);
    rt_buf_fini(&sql);
    free(texts);
    return good;
}
