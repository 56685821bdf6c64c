/* broker/policy/rules.c - see rules.h. */
#include "broker/policy/rules.h"

#include <stdlib.h>
#include <string.h>

struct policy_shared_facts {
    uint32_t refs;
    struct policy_facts *facts;
};

struct policy_load {
    struct policy_shared_facts *facts;
    uint32_t count;
    struct policy_table *tables;      /* by question */
    struct policy_program **programs; /* of those that are compiled already */
    struct policy_nested *nested;
    uint32_t nested_count;
    uint32_t nested_from; /* the first that policy_load_nest() found when it was called last */
};

static void unref_facts(struct policy_shared_facts *facts)
{
    if (--facts->refs == 0) {
        policy_facts_free(facts->facts);
        free(facts);
    }
}

struct policy_rules *policy_rules_ref(struct policy_rules *rules)
{
    rules->refs++;
    return rules;
}

void policy_rules_unref(struct policy_rules *rules)
{
    if (rules == NULL || --rules->refs > 0) {
        return;
    }
    policy_program_free(rules->program);
    policy_kept_free(rules->kept);
    policy_table_fini(&rules->table);
    unref_facts(rules->facts);
    rt_buf_fini(&rules->text);
    free(rules);
}

struct policy_rules *policy_rules_keep(struct policy_rules *old, struct policy_rules *fresh)
{
    bool same = old != NULL && old->text.len == fresh->text.len &&
                memcmp(old->text.data, fresh->text.data, old->text.len) == 0;

    if (!same) {
        return fresh;
    }
    policy_rules_unref(fresh);
    return policy_rules_ref(old);
}

/* --- the text ---------------------------------------------------------------------------------- */

/* Numbers and texts one behind the other, texts with their length: no two different lists come out the same. */
static void put(struct rt_buf *out, uint64_t number)
{
    rt_buf_append(out, &number, sizeof(number));
}

static void put_text(struct rt_buf *out, const char *text, size_t len)
{
    put(out, len);
    if (len > 0) {
        rt_buf_append(out, text, len);
    }
}

static void put_string(struct rt_buf *out, const char *text)
{
    put_text(out, text, strlen(text));
}

static void put_labels(struct rt_buf *out, const struct policy_enum *labels)
{
    put(out, labels == NULL ? 0 : labels->oid);
    put(out, labels == NULL ? 0 : labels->count);
    for (uint32_t i = 0; labels != NULL && i < labels->count; i++) {
        put(out, labels->labels[i].oid);
        put_text(out, labels->labels[i].text, labels->labels[i].len);
    }
}

static void put_shape(struct rt_buf *out, const struct policy_shape *shape)
{
    put(out, shape == NULL);
    if (shape != NULL) {
        put(out, shape->type);
        put(out, shape->kind);
        put(out, shape->element);
        put_labels(out, shape->labels);
    }
}

static void put_plain(struct rt_buf *out, const struct policy_value *value)
{
    put(out, value->state);
    put(out, value->kind);
    put_text(out, value->text, value->text == NULL ? 0 : value->len);
}

static void put_literal(struct rt_buf *out, const struct policy_value *value)
{
    put_plain(out, value);
    if (value->kind == POLICY_KIND_ARRAY) {
        uint32_t count = value->list == NULL ? 0 : value->list->count;
        put(out, count);
        for (uint32_t i = 0; i < count; i++) {
            put_plain(out, &value->list->values[i]);
            put(out, (uint64_t)value->list->values[i].i);
        }
    } else {
        put(out, (uint64_t)value->i);
    }
}

static void put_ref(struct rt_buf *out, struct policy_ref ref)
{
    put(out, (uint64_t)ref.kind << 32 | ref.at);
}

static void put_code(struct rt_buf *out, const struct policy_program *program)
{
    put(out, program->count);
    for (uint32_t i = 0; i < program->count; i++) {
        const struct policy_instruction *at = &program->code[i];
        put(out, (uint64_t)at->code << 24 | (uint64_t)at->compare << 16 | (uint64_t)at->cast << 8 |
                     (uint64_t)at->all);
        put(out, (uint64_t)at->n << 48 | (uint64_t)at->temp << 32 | at->at);
        put_ref(out, at->a);
        put_ref(out, at->b);
        put_shape(out, at->shape);
    }
    put(out, program->ref_count);
    for (uint32_t i = 0; i < program->ref_count; i++) {
        put_ref(out, program->refs[i]);
    }
}

static void put_asking(struct rt_buf *out, const struct policy_asking *asking)
{
    put_string(out, asking->set.condition != NULL ? asking->set.condition : "");
    put(out, asking->set.constant_count);
    for (uint32_t i = 0; i < asking->set.constant_count; i++) {
        put(out, asking->set.constants[i].fold);
        put_string(out, asking->set.constants[i].type);
    }
    put_text(out, (const char *)asking->columns, asking->column_count);
    put(out, (uint64_t)asking->whole_row | (uint64_t)asking->plans_apart << 1);
}

static void put_program(struct rt_buf *out, const struct policy_program *program)
{
    put_code(out, program);
    put(out, program->literal_count);
    for (uint32_t i = 0; i < program->literal_count; i++) {
        put_literal(out, &program->literals[i]);
    }
    put(out, program->fold_count);
    for (uint32_t i = 0; i < program->fold_count; i++) {
        put_string(out, program->folds[i].sql);
        put_shape(out, &program->folds[i].shape);
    }
    put_asking(out, &program->asking);
    put(out, program->table_count);
    for (uint32_t i = 0; i < program->table_count; i++) {
        put(out, program->tables[i]);
    }
    put(out, program->column_count);
    for (uint32_t i = 0; i < program->column_count; i++) {
        put_shape(out, &program->columns[i]);
    }
    put(out, program->leaf_count);
    for (uint32_t i = 0; i < program->leaf_count; i++) {
        put(out, program->leaves[i].kind);
        put_string(out, program->leaves[i].policy);
        put_string(out, program->leaves[i].reason);
    }
    put(out, (uint64_t)program->always | (uint64_t)program->uses_clock << 1 |
                 (uint64_t)program->guards << 2 | (uint64_t)program->never << 3 |
                 (uint64_t)program->guarded_unknown << 4);
}

static void put_table(struct rt_buf *out, const struct policy_table *table)
{
    put(out, table->oid);
    put(out, table->count);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct policy_rule_text *rule = &table->rules[i];
        put_string(out, rule->rule.name);
        put(out, (uint64_t)rule->rule.permissive | (uint64_t)rule->rule.has_qual << 1);
        put_string(out, rule->sql);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

struct policy_load *policy_load_new(uint32_t questions)
{
    struct policy_load *load = rt_alloc(sizeof(*load));

    load->facts = rt_alloc(sizeof(*load->facts));
    load->facts->refs = 1;
    load->facts->facts = policy_facts_new();
    load->count = questions;
    load->tables = rt_alloc((questions + 1) * sizeof(*load->tables));
    load->programs = rt_alloc((questions + 1) * sizeof(struct policy_program *));
    return load;
}

void policy_load_free(struct policy_load *load)
{
    if (load == NULL) {
        return;
    }
    for (uint32_t i = 0; i < load->count; i++) {
        policy_table_fini(&load->tables[i]);
        policy_program_free(load->programs[i]);
    }
    for (uint32_t i = 0; i < load->nested_count; i++) {
        policy_table_fini(&load->nested[i].table);
    }
    unref_facts(load->facts);
    free(load->nested);
    free(load->programs);
    free(load->tables);
    free(load);
}

void policy_load_row(struct policy_load *load, const char *const fields[POLICY_LOADER_COLUMNS])
{
    uint32_t question = policy_loader_question(fields);

    if (question >= 1 && question <= load->count) {
        policy_table_add(&load->tables[question - 1], fields);
    }
}

static void want(const struct policy_load *load, const struct policy_table *table,
                 struct rt_buf arrays[POLICY_FACTS_PARAMS], bool *wanted)
{
    for (uint32_t i = 0; i < table->count && !policy_table_exempt(table); i++) {
        const struct policy_tree *qual = table->rules[i].rule.qual;
        if (qual != NULL) {
            *wanted = policy_facts_wanted(load->facts->facts, qual, arrays);
        }
    }
}

bool policy_load_wants(const struct policy_load *load, struct rt_buf arrays[POLICY_FACTS_PARAMS])
{
    bool wanted = false;

    for (uint32_t i = 0; i < load->count; i++) {
        want(load, &load->tables[i], arrays, &wanted);
    }
    return wanted;
}

void policy_load_fact(struct policy_load *load, const char *const fields[POLICY_FACTS_COLUMNS])
{
    policy_facts_add(load->facts->facts, fields);
}

void policy_load_strict(struct policy_load *load)
{
    policy_facts_strict(load->facts->facts);
}

void policy_load_read(struct policy_load *load, uint32_t table, uint32_t read)
{
    policy_facts_read(load->facts->facts, table, read);
}

/* --- tables that sets are of -------------------------------------------------------------------- */

static struct policy_program *program_of(struct policy_load *load, uint32_t number)
{
    if (load->programs[number] == NULL) {
        load->programs[number] = policy_table_compile(&load->tables[number], load->facts->facts);
    }
    return load->programs[number];
}

static void nest(struct policy_load *load, uint32_t question, uint32_t oid)
{
    for (uint32_t i = load->nested_count; i > 0; i--) {
        const struct policy_nested *at = &load->nested[i - 1];
        if (at->question == question && at->oid == oid) {
            return;
        }
    }
    load->nested = rt_realloc(load->nested, (size_t)load->nested_count + 1, sizeof(*load->nested));
    load->nested[load->nested_count++] = (struct policy_nested){ .question = question, .oid = oid };
}

static struct policy_kept_question question_of(const struct policy_load *load, uint32_t number,
                                               const struct policy_program *program)
{
    return (struct policy_kept_question){ .program = program,
                                          .facts = load->facts->facts,
                                          .nested = load->nested,
                                          .nested_count = load->nested_count,
                                          .number = number };
}

/* Tables of the membership tests that decide which rows of its table count, when the policies of that are known. */
static void nest_inner(struct policy_load *load, uint32_t number,
                       const struct policy_membership *members)
{
    struct policy_kept_question question = question_of(load, number, NULL);
    struct policy_program *rows = policy_kept_members(&question, members);

    for (uint32_t i = 0; rows != NULL && i < rows->membership_count; i++) {
        nest(load, number, rows->memberships[i].members.table);
    }
    policy_program_free(rows);
}

uint32_t policy_load_nest(struct policy_load *load)
{
    load->nested_from = load->nested_count;
    for (uint32_t i = 0; i < load->count; i++) {
        if (!load->tables[i].known || policy_table_exempt(&load->tables[i])) {
            continue;
        }
        const struct policy_program *program = program_of(load, i);
        for (uint32_t j = 0; j < program->membership_count; j++) {
            nest(load, i, program->memberships[j].members.table);
            nest_inner(load, i, &program->memberships[j].members);
        }
    }
    return load->nested_count;
}

void policy_load_nested(const struct policy_load *load, uint32_t number, uint32_t *out_question,
                        const char **out_schema, const char **out_table)
{
    const struct policy_nested *nested = &load->nested[number];
    const struct policy_fact *fact = policy_facts_table(load->facts->facts, nested->oid);

    *out_question = nested->question;
    *out_schema = fact->schema; /* a set was compiled from it: it is known */
    *out_table = fact->name;
}

void policy_load_nested_row(struct policy_load *load,
                            const char *const fields[POLICY_LOADER_COLUMNS])
{
    uint32_t number = policy_loader_question(fields);

    if (number >= 1 && number <= load->nested_count - load->nested_from) {
        policy_table_add(&load->nested[load->nested_from + number - 1].table, fields);
    }
}

bool policy_load_nested_wants(const struct policy_load *load,
                              struct rt_buf arrays[POLICY_FACTS_PARAMS])
{
    bool wanted = false;

    for (uint32_t i = 0; i < load->nested_count; i++) {
        want(load, &load->nested[i].table, arrays, &wanted);
    }
    return wanted;
}

static void put_nested(struct rt_buf *out, const struct policy_load *load, uint32_t question)
{
    for (uint32_t i = 0; i < load->nested_count; i++) {
        const struct policy_nested *at = &load->nested[i];
        if (at->question == question) {
            put_table(out, &at->table);
            put(out, policy_table_exempt(&at->table));
        }
    }
}

static void put_kept(struct rt_buf *out, const struct policy_kept *kept)
{
    put(out, kept == NULL ? 0 : kept->count);
    for (uint32_t i = 0; kept != NULL && i < kept->count; i++) {
        const struct policy_kept_test *test = &kept->tests[i];
        put_program(out, test->members);
        put(out, (uint64_t)test->above << 32 | test->value);
        for (uint32_t j = 0; j < test->column_count; j++) {
            put_string(out, test->columns[j].name);
            put(out, (uint64_t)test->columns[j].number << 32 | test->columns[j].type);
        }
    }
}

bool policy_load_keeps(const struct policy_load *load, uint32_t number,
                       const struct policy_program *program, uint32_t membership,
                       struct rt_buf *why)
{
    struct policy_kept_question question = question_of(load, number, program);

    return policy_kept_can(&question, membership, why);
}

const struct policy_facts *policy_load_facts(const struct policy_load *load)
{
    return load->facts->facts;
}

const struct policy_table *policy_load_table(const struct policy_load *load, uint32_t number)
{
    return &load->tables[number];
}

enum policy_load_result policy_load_take(struct policy_load *load, uint32_t number, uint64_t serial,
                                         struct policy_rules **out)
{
    struct policy_table *table = &load->tables[number];

    *out = NULL;
    if (!table->known) {
        return POLICY_LOAD_UNKNOWN;
    }
    if (policy_table_exempt(table)) {
        return POLICY_LOAD_EXEMPT;
    }
    struct policy_rules *rules = rt_alloc(sizeof(*rules));
    rules->refs = 1;
    rules->serial = serial;
    rules->program = program_of(load, number);
    load->programs[number] = NULL;
    struct policy_kept_question question = question_of(load, number, rules->program);
    rules->kept = policy_kept_new(&question);
    rules->table = *table;
    rules->facts = load->facts;
    rules->facts->refs++;
    *table = (struct policy_table){ .known = false };
    put_table(&rules->text, &rules->table);
    put_program(&rules->text, rules->program);
    put_nested(&rules->text, load, number);
    put_kept(&rules->text, rules->kept);
    *out = rules;
    return POLICY_LOAD_RULES;
}
