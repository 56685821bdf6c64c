/* tests/oracle/fallback.c - the rows that the broker does not decide alone, put to its fallback lane. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/judge.h"

bool fallback_ask(struct judge *judge, const struct policy_table *table,
                  const struct identity *identity, const struct rt_buf *images, size_t count,
                  struct policy_verdicts *out)
{
    struct policy_setting settings[WORLD_SETTINGS];
    const char **texts = calloc(count + 1, sizeof(*texts));
    struct rt_buf sql = { 0 };
    double began = seconds_now();

    for (size_t i = 0; i < WORLD_SETTINGS; i++) {
        settings[i] = (struct policy_setting){ world_setting_names[i], identity->settings[i] };
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = (const char *)images[i].data;
    }
    struct policy_identity asked = { identity->role, settings, WORLD_SETTINGS };
    struct policy_question question = { table, &asked };
    struct policy_batch batch = { "o", "t", texts, count, &question, 1 };
    policy_fallback_sql(&sql, &batch);
    PGresult *result = pg_last(judge->conn, rt_buf_cstr(&sql));
    const char *answer = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    bool good = policy_fallback_read(out, answer, strlen(answer), count);
    if (!good) {
        fprintf(stderr, "no verdicts: %s\n%.4000s\n", PQerrorMessage(judge->conn),
                rt_buf_cstr(&sql));
    }
    PQclear(result);
    rt_buf_fini(&sql);
    free(texts);
    judge->tally.fallback_seconds += seconds_now() - began;
    return good;
}
