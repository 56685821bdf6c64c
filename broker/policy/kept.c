/* broker/policy/kept.c - see kept.h. */
#include "broker/policy/kept.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/sets.h"
#include "runtime/buf.h"

struct maker {
    const struct policy_kept_question *question;
    struct policy_kept *kept;
    struct policy_fold_item *folds; /* of `asked` */
    uint32_t fold_count;
    struct rt_buf *why; /* of the first no; NULL: nobody asks */
};

/* Says why not: false. */
static bool refuse(struct maker *m, const char *reason, const char *more)
{
    if (m->why != NULL && m->why->len == 0) {
        rt_buf_printf(m->why, "%s%s", reason, more);
    }
    return false;
}

static bool refuse_table(struct maker *m, const char *reason, uint32_t oid)
{
    const struct policy_fact *table = policy_facts_table(m->question->facts, oid);

    if (m->why != NULL && m->why->len == 0 && table != NULL) {
        rt_buf_printf(m->why, "%s%s.%s", reason, table->schema, table->name);
    }
    return refuse(m, reason, "another table");
}

static const struct policy_table *table_of(const struct policy_kept_question *question,
                                           uint32_t oid)
{
    for (uint32_t i = 0; i < question->nested_count; i++) {
        const struct policy_nested *at = &question->nested[i];
        if (at->question == question->number && at->oid == oid && at->table.known) {
            return &at->table;
        }
    }
    return NULL;
}

/* Nothing in it may change the set but rows of the table and, unless `inner`, of tables that its own membership tests are over. */
static bool judges_rows(struct maker *m, const struct policy_program *members, bool inner)
{
    if (members->leaf_count > 0) {
        return refuse(m,
                      "which rows count cannot be judged in memory: ", members->leaves[0].reason);
    }
    if (inner && members->table_count > 0) {
        return refuse_table(m, "it is more than two tables deep: which rows count depends on ",
                            members->tables[0]);
    }
    return !members->uses_clock || refuse(m, "which rows count depends on the clock", "");
}

struct policy_program *policy_kept_members(const struct policy_kept_question *question,
                                           const struct policy_membership *members)
{
    const struct policy_table *table = table_of(question, members->table);
    struct policy_program *program = NULL;

    if (table != NULL) {
        struct policy_rule *rules = rt_alloc((table->count + 1) * sizeof(*rules));
        for (uint32_t i = 0; i < table->count; i++) {
            rules[i] = table->rules[i].rule;
        }
        program = policy_members_compile(question->facts, members, policy_table_exempt(table),
                                         rules, table->count);
        free(rules);
    }
    return program;
}

/* NULL: they cannot be judged. */
static struct policy_program *compile(struct maker *m, const struct policy_membership *members,
                                      bool inner)
{
    struct policy_program *program = policy_kept_members(m->question, members);

    if (program == NULL) {
        (void)refuse(m, "what its table's own policies are is not known", "");
    } else if (!judges_rows(m, program, inner)) {
        policy_program_free(program);
        program = NULL;
    }
    return program;
}

/* False: its name is not known. */
static bool add_column(struct maker *m, struct policy_kept_test *test, uint32_t number,
                       uint32_t type)
{
    const char *name = policy_facts_column(m->question->facts, test->table, number);

    if (name == NULL) {
        return refuse(m, "a column that it depends on is not known", "");
    }
    test->columns[test->column_count++] = (struct policy_kept_column){
        .name = policy_arena_copy(&m->kept->arena, name, strlen(name)),
        .number = number,
        .type = type,
    };
    test->width = number > test->width ? number : test->width;
    return true;
}

static bool add_columns(struct maker *m, struct policy_kept_test *test, uint32_t value_type)
{
    const struct policy_program *members = test->members;
    bool good = true;

    test->columns =
        policy_arena_alloc(&m->kept->arena, (members->column_count + 1) * sizeof(*test->columns));
    for (uint32_t i = 0; i < members->column_count && good; i++) {
        if (members->columns[i].type != 0 && i + 1 != test->value) {
            good = add_column(m, test, i + 1, members->columns[i].type);
        }
    }
    return good && add_column(m, test, test->value, value_type);
}

static bool has_fold(const struct policy_kept *kept, uint32_t fold)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        if (kept->tests[i].fold == fold) {
            return true;
        }
    }
    return false;
}

static const char *statement(struct maker *m, const struct policy_membership *members)
{
    struct rt_buf sql = { .data = NULL };
    const char *text = NULL;

    if (policy_members_sql(m->question->facts, members, &sql)) {
        text = policy_arena_copy(&m->kept->arena, (const char *)sql.data, sql.len);
    }
    rt_buf_fini(&sql);
    return text;
}

/* Its constants come behind those that are there. `above`: see kept.h. */
static bool add_test(struct maker *m, const struct policy_fold_members *from, uint32_t fold,
                     uint32_t above)
{
    struct policy_kept *kept = m->kept;
    const char *sql = statement(m, &from->members);
    struct policy_program *members = compile(m, &from->members, above != 0);

    if (members == NULL) {
        return false;
    }
    kept->tests = rt_realloc(kept->tests, (size_t)kept->count + 1, sizeof(*kept->tests));
    struct policy_kept_test *test = &kept->tests[kept->count++];
    *test = (struct policy_kept_test){
        .fold = fold,
        .above = above,
        .table = from->members.table,
        .value = from->members.value,
        .element = policy_shape_of(m->question->facts, from->members.type),
        .members = members,
        .first = m->fold_count,
    };
    if (sql == NULL) {
        return refuse(m, "its values cannot be asked for one by one", "");
    }
    if (!add_columns(m, test, from->members.type)) {
        return false;
    }
    m->folds[fold].sql = sql;
    for (uint32_t i = 0; i < members->fold_count; i++) {
        m->folds = rt_realloc(m->folds, m->fold_count + 1, sizeof(*m->folds));
        m->folds[m->fold_count++] = members->folds[i];
    }
    return true;
}

/* What the tables' other policies read does not matter to this role. */
static bool belongs(const struct maker *m, uint32_t oid)
{
    for (uint32_t i = 0; i < m->kept->count; i++) {
        uint32_t table = m->kept->tests[i].table;
        const uint32_t *reads = NULL;
        uint32_t count = policy_facts_reads(m->question->facts, table, &reads);
        if (table == oid) {
            return true;
        }
        for (uint32_t j = 0; j < count; j++) {
            if (reads[j] == oid) {
                return true;
            }
        }
    }
    return false;
}

static bool all_belong(struct maker *m, const struct policy_program *program)
{
    for (uint32_t i = 0; i < program->table_count; i++) {
        if (!belongs(m, program->tables[i])) {
            return refuse_table(m, "another part of the policies reads ", program->tables[i]);
        }
    }
    return true;
}

/* Those that decide which rows of test `above` (from 1) count. */
static bool add_inner(struct maker *m, uint32_t above)
{
    struct policy_program *members = m->kept->tests[above - 1].members;
    uint32_t first = m->kept->tests[above - 1].first;

    for (uint32_t i = 0; i < members->membership_count; i++) {
        const struct policy_fold_members *from = &members->memberships[i];
        uint32_t fold = first + from->fold;
        if (!has_fold(m->kept, fold) && !add_test(m, from, fold, above)) {
            return false;
        }
    }
    members->membership_count = 0; /* their trees do not live as long */
    return all_belong(m, members);
}

static bool add_whole(struct maker *m, const struct policy_fold_members *from)
{
    return add_test(m, from, from->fold, 0) && add_inner(m, m->kept->count);
}

static bool add_tests(struct maker *m)
{
    const struct policy_program *program = m->question->program;

    for (uint32_t i = 0; i < program->membership_count; i++) {
        const struct policy_fold_members *from = &program->memberships[i];
        if (!has_fold(m->kept, from->fold) && !add_whole(m, from)) {
            return false;
        }
    }
    return m->fold_count <= POLICY_FOLDS_MAX ||
           refuse(m, "its policies have too many constants", "");
}

static void make_asked(struct maker *m)
{
    struct policy_program *asked = rt_alloc(sizeof(*asked));
    size_t size = m->fold_count * sizeof(*m->folds);
    struct policy_fold_item *folds = policy_arena_alloc(&asked->arena, size + 1);

    memcpy(folds, m->folds, size);
    asked->folds = folds;
    asked->fold_count = m->fold_count;
    m->kept->asked = asked;
}

static void begin(struct maker *m)
{
    const struct policy_program *program = m->question->program;

    m->kept = rt_alloc(sizeof(*m->kept));
    m->folds = rt_alloc((program->fold_count + 1) * sizeof(*m->folds));
    m->fold_count = program->fold_count;
    memcpy(m->folds, program->folds, program->fold_count * sizeof(*m->folds));
}

struct policy_kept *policy_kept_new(const struct policy_kept_question *question)
{
    struct maker m = { .question = question };

    if (question->program->membership_count == 0) {
        return NULL;
    }
    begin(&m);
    bool good = add_tests(&m) && all_belong(&m, question->program);
    if (good) {
        make_asked(&m);
    } else {
        policy_kept_free(m.kept);
    }
    free(m.folds);
    return good ? m.kept : NULL;
}

bool policy_kept_can(const struct policy_kept_question *question, uint32_t membership,
                     struct rt_buf *why)
{
    struct maker m = { .question = question, .why = why };

    begin(&m);
    bool good = add_whole(&m, &question->program->memberships[membership]);
    policy_kept_free(m.kept);
    free(m.folds);
    return good;
}

void policy_kept_free(struct policy_kept *kept)
{
    if (kept != NULL) {
        for (uint32_t i = 0; i < kept->count; i++) {
            policy_program_free(kept->tests[i].members);
        }
        policy_program_free(kept->asked);
        free(kept->tests);
        policy_arena_fini(&kept->arena);
        free(kept);
    }
}
