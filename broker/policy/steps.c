/* broker/policy/steps.c - see steps.h. */
#include "broker/policy/steps.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/followed.h"
#include "broker/policy/sql.h"

enum stage { STAGE_START, STAGE_POLICIES, STAGE_FACTS, STAGE_READS, STAGE_NESTED, STAGE_END };

struct policy_steps {
    struct policy_load *load;
    const char *publication;
    const char *slot;
    uint32_t count;
    char **names; /* schemas, tables, roles: `count` of each */
    enum stage stage;
    bool inner;      /* what was loaded last are tables that sets are of */
    uint32_t nested; /* of these, how many have been asked for */
    struct rt_buf arrays[POLICY_STEP_PARAMS];
    struct rt_buf tables; /* that the last trees read: OIDs, an array's text */
    struct policy_step step;
};

struct policy_steps *policy_steps_new(const struct policy_subject *subjects, uint32_t count,
                                      const char *publication, const char *slot)
{
    struct policy_steps *steps = rt_alloc(sizeof(*steps));

    steps->load = policy_load_new(count);
    steps->publication = publication;
    steps->slot = slot;
    steps->count = count;
    steps->names = rt_realloc(NULL, (size_t)POLICY_LOADER_PARAMS * count + 1, sizeof(char *));
    for (uint32_t i = 0; i < count; i++) {
        steps->names[i] = rt_strdup(subjects[i].schema);
        steps->names[count + i] = rt_strdup(subjects[i].table);
        steps->names[2 * count + i] = rt_strdup(subjects[i].role);
    }
    return steps;
}

void policy_steps_free(struct policy_steps *steps)
{
    if (steps == NULL) {
        return;
    }
    for (uint32_t i = 0; i < POLICY_LOADER_PARAMS * steps->count; i++) {
        free(steps->names[i]);
    }
    for (size_t i = 0; i < POLICY_STEP_PARAMS; i++) {
        rt_buf_fini(&steps->arrays[i]);
    }
    rt_buf_fini(&steps->tables);
    free(steps->names);
    policy_load_free(steps->load);
    free(steps);
}

struct policy_load *policy_steps_load(const struct policy_steps *steps)
{
    return steps->load;
}

/* --- statements --------------------------------------------------------------------------------- */

static void clear(struct policy_steps *steps)
{
    for (size_t i = 0; i < POLICY_STEP_PARAMS; i++) {
        rt_buf_clear(&steps->arrays[i]);
    }
}

static const struct policy_step *ask_loader(struct policy_steps *steps, const char *const *names,
                                            size_t count)
{
    clear(steps);
    steps->step = (struct policy_step){ .sql = policy_loader_sql(),
                                        .param_count = POLICY_LOADER_PARAMS,
                                        .columns = POLICY_LOADER_COLUMNS };
    for (size_t i = 0; i < POLICY_LOADER_PARAMS; i++) {
        policy_sql_text_array(&steps->arrays[i], names + i * count, count);
        steps->step.params[i] = rt_buf_cstr(&steps->arrays[i]);
    }
    return &steps->step;
}

/* What the trees that came last mention; NULL: all of it is known. */
static const struct policy_step *ask_facts(struct policy_steps *steps)
{
    clear(steps);
    bool wants = steps->inner ? policy_load_nested_wants(steps->load, steps->arrays)
                              : policy_load_wants(steps->load, steps->arrays);
    const struct rt_buf *tables = &steps->arrays[POLICY_FACTS_PARAMS - 1];

    rt_buf_clear(&steps->tables);
    rt_buf_append(&steps->tables, tables->data, tables->len);
    steps->step = (struct policy_step){ .sql = policy_facts_sql,
                                        .param_count = POLICY_FACTS_PARAMS,
                                        .columns = POLICY_FACTS_COLUMNS };
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        steps->step.params[i] = steps->arrays[i].len > 0 ? rt_buf_cstr(&steps->arrays[i]) : "{}";
    }
    return wants ? &steps->step : NULL;
}

/* A database that `pgtide init` of this version has not been run for says an error: then no sets are kept. */
static const struct policy_step *ask_reads(struct policy_steps *steps)
{
    if (steps->tables.len <= strlen("{}")) {
        return NULL;
    }
    steps->step = (struct policy_step){
        .sql = policy_reads_sql(),
        .param_count = POLICY_FOLLOWED_PARAMS,
        .params = { rt_buf_cstr(&steps->tables), steps->publication, steps->slot },
        .columns = POLICY_READS_COLUMNS,
        .optional = true,
    };
    return &steps->step;
}

static const struct policy_step *ask_nested(struct policy_steps *steps)
{
    uint32_t from = steps->nested;
    uint32_t count = policy_load_nest(steps->load) - from;
    const struct policy_step *step = NULL;

    if (count > 0) {
        const char **names = rt_realloc(NULL, (size_t)POLICY_LOADER_PARAMS * count, sizeof(char *));
        for (uint32_t i = 0; i < count; i++) {
            uint32_t question = 0;
            policy_load_nested(steps->load, from + i, &question, &names[i], &names[count + i]);
            names[2 * count + i] = steps->names[2 * steps->count + question];
        }
        step = ask_loader(steps, names, count);
        free(names);
        steps->nested += count;
        steps->inner = true;
    }
    return step;
}

const struct policy_step *policy_steps_next(struct policy_steps *steps)
{
    const struct policy_step *step = NULL;

    while (step == NULL && steps->stage != STAGE_END) {
        switch (steps->stage) {
        case STAGE_START:
            steps->stage = STAGE_POLICIES;
            step = ask_loader(steps, (const char *const *)steps->names, steps->count);
            break;
        case STAGE_POLICIES:
        case STAGE_NESTED:
            steps->stage = STAGE_FACTS;
            step = ask_facts(steps);
            break;
        case STAGE_FACTS:
            policy_load_strict(steps->load);
            steps->stage = STAGE_READS;
            step = ask_reads(steps);
            break;
        case STAGE_READS:
            step = ask_nested(steps);
            steps->stage = step != NULL ? STAGE_NESTED : STAGE_END;
            break;
        case STAGE_END:
            break;
        }
    }
    return step;
}

/* --- answers ------------------------------------------------------------------------------------ */

void policy_steps_row(struct policy_steps *steps, const char *const *fields)
{
    switch (steps->stage) {
    case STAGE_POLICIES:
        policy_load_row(steps->load, fields);
        break;
    case STAGE_NESTED:
        policy_load_nested_row(steps->load, fields);
        break;
    case STAGE_FACTS:
        policy_load_fact(steps->load, fields);
        break;
    case STAGE_READS:
        policy_load_read(steps->load, (uint32_t)strtoul(fields[0], NULL, 10),
                         (uint32_t)strtoul(fields[1], NULL, 10));
        break;
    case STAGE_START:
    case STAGE_END:
        break;
    }
}
