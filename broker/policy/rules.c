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
    struct policy_table *tables; /* by question */
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
    return load;
}

void policy_load_free(struct policy_load *load)
{
    if (load == NULL) {
        return;
    }
    for (uint32_t i = 0; i < load->count; i++) {
        policy_table_fini(&load->tables[i]);
    }
    unref_facts(load->facts);
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

bool policy_load_wants(const struct policy_load *load, struct rt_buf arrays[POLICY_FACTS_PARAMS])
{
    bool wanted = false;

    for (uint32_t i = 0; i < load->count; i++) {
        const struct policy_table *table = &load->tables[i];
        for (uint32_t j = 0; j < table->count && !policy_table_exempt(table); j++) {
            const struct policy_tree *qual = table->rules[j].rule.qual;
            if (qual != NULL) {
                wanted = policy_facts_wanted(load->facts->facts, qual, arrays);
            }
        }
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
    rules->program = policy_table_compile(table, load->facts->facts);
    rules->table = *table;
    rules->facts = load->facts;
    rules->facts->refs++;
    *table = (struct policy_table){ .known = false };
    put_table(&rules->text, &rules->table);
    put_program(&rules->text, rules->program);
    *out = rules;
    return POLICY_LOAD_RULES;
}
