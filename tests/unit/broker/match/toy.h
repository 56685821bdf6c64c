/* Views simple enough to be judged by eye: conditions over five columns of small values. The index is tested against judging
 * every subscription with the same function. */
#ifndef PGTIDE_TESTS_MATCH_TOY_H
#define PGTIDE_TESTS_MATCH_TOY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/index.h"
#include "tests/unit/broker/kit.h"

enum { TOY_COLUMNS = 5, TOY_VALUES = 12, TOY_NULL = -1, TOY_MISSING = -2, TOY_SET_COLUMN = 4 };

enum toy_op { TOY_EQUAL, TOY_MEMBER, TOY_IS_NULL, TOY_AT_LEAST, TOY_AT_MOST, TOY_NOT_EQUAL };

struct toy_condition {
    uint8_t op;
    uint8_t column;
    uint8_t count;
    int8_t values[4]; /* TOY_MEMBER: values[0] is the member */
};

struct toy_conjunction {
    uint8_t count;
    uint8_t ask; /* PostgreSQL would have to say the rest */
    struct toy_condition conditions[3];
};

struct toy_view {
    uint8_t count;
    struct toy_conjunction conjunctions[3];
};

/* For each value of TOY_SET_COLUMN its members. */
struct toy_set {
    struct match_set set;
    uint32_t members[TOY_VALUES][TOY_VALUES];
    uint32_t counts[TOY_VALUES];
};

/* Constants as the index keeps them. */
struct toy_constants {
    struct toy_view view;
    const struct toy_set *set;
    long *live; /* counts constants not yet released */
};

struct toy_row {
    int8_t values[TOY_COLUMNS];
    struct wire_value wire[TOY_COLUMNS];
    char texts[TOY_COLUMNS][16];
};

static const struct match_type toy_types[TOY_COLUMNS] = {
    { MATCH_FORM_BYTES, MATCH_ORDER_NONE },   { MATCH_FORM_TRIMMED, MATCH_ORDER_NONE },
    { MATCH_FORM_BYTES, MATCH_ORDER_NUMBER }, { MATCH_FORM_DECIMAL, MATCH_ORDER_NUMBER },
    { MATCH_FORM_BYTES, MATCH_ORDER_NONE },
};

/* One of the texts of a value: `spelling` chooses among those of equal values. */
static inline struct wire_span toy_text(char out[16], int column, int value, int spelling)
{
    static const char *const before[TOY_COLUMNS] = { "u", "c", "", "", "t" };
    static const char *const behind[TOY_COLUMNS][2] = {
        { "", "" }, { "", "  " }, { "", "" }, { ".5", ".500" }, { "", "" }
    };

    (void)snprintf(out, 16, "%s%d%s", before[column], value, behind[column][spelling & 1]);
    return (struct wire_span){ out, strlen(out) };
}

static inline void toy_row_set(struct toy_row *row, int column, int value, int spelling)
{
    row->values[column] = (int8_t)value;
    row->wire[column] =
        (struct wire_value){ .kind = value == TOY_NULL ? WIRE_VALUE_NULL : WIRE_VALUE_MISSING,
                             .text = "" };
    if (value >= 0) {
        struct wire_span text = toy_text(row->texts[column], column, value, spelling);
        row->wire[column] = (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                                 .text = text.data,
                                                 .len = (uint32_t)text.len };
    }
}

static inline struct match_row toy_match_row(struct toy_row *row)
{
    return (struct match_row){ .values = row->wire, .count = TOY_COLUMNS, .context = row };
}

static inline bool toy_is_member(const struct toy_set *set, int value, uint32_t member)
{
    for (uint32_t i = 0; i < set->counts[value]; i++) {
        if (set->members[value][i] == member) {
            return true;
        }
    }
    return false;
}

static inline bool toy_holds(const struct toy_condition *c, const struct toy_set *set, int value)
{
    if (value < 0) {
        return value == TOY_NULL && c->op == TOY_IS_NULL;
    }
    switch ((enum toy_op)c->op) {
    case TOY_EQUAL:
        for (int i = 0; i < c->count; i++) {
            if (c->values[i] == value) {
                return true;
            }
        }
        return false;
    case TOY_MEMBER:
        return toy_is_member(set, value, (uint32_t)c->values[0]);
    case TOY_AT_LEAST:
        return value >= c->values[0];
    case TOY_AT_MOST:
        return value <= c->values[0];
    case TOY_NOT_EQUAL:
        return value != c->values[0];
    case TOY_IS_NULL:
        break;
    }
    return false;
}

static inline enum match_verdict
toy_judge_view(const struct toy_view *view, const struct toy_set *set, const struct toy_row *row)
{
    enum match_verdict verdict = MATCH_NO;

    for (int i = 0; i < view->count; i++) {
        const struct toy_conjunction *conjunction = &view->conjunctions[i];
        bool holds = true;
        for (int j = 0; j < conjunction->count && holds; j++) {
            const struct toy_condition *c = &conjunction->conditions[j];
            holds = toy_holds(c, set, row->values[c->column]);
        }
        if (holds && conjunction->ask == 0) {
            return MATCH_YES;
        }
        verdict = holds ? MATCH_ASK : verdict;
    }
    return verdict;
}

static inline enum match_verdict toy_judge(const struct match_program *program,
                                           const void *constants, const struct match_row *row)
{
    const struct toy_constants *mine = constants;

    (void)program;
    return toy_judge_view(&mine->view, mine->set, row->context);
}

static inline void toy_release(const struct match_program *program, void *constants)
{
    struct toy_constants *mine = constants;

    (void)program;
    --*mine->live;
    free(mine);
}

static const struct match_program toy_program = { .judge = toy_judge, .release = toy_release };

static inline const uint32_t *toy_members(const struct match_set *set, struct wire_span value,
                                          uint32_t *out_count)
{
    const struct toy_set *mine = (const struct toy_set *)(const void *)set;
    char text[16];

    (void)snprintf(text, sizeof(text), "%.*s", (int)value.len, value.data);
    assert_int_equal(text[0], 't');
    long number = strtol(text + 1, NULL, 10);
    *out_count = mine->counts[number];
    return mine->members[number];
}

/* Adds a view with every anchor that its conditions give. */
static inline enum match_status toy_add(struct match_table *table, const struct toy_view *view,
                                        const struct toy_set *set, long *live, uint64_t user,
                                        struct match_sub *out_sub)
{
    static const enum match_anchor_kind kinds[] = {
        [TOY_EQUAL] = MATCH_EQUAL,     [TOY_MEMBER] = MATCH_MEMBER,
        [TOY_IS_NULL] = MATCH_IS_NULL, [TOY_AT_LEAST] = MATCH_AT_LEAST,
        [TOY_AT_MOST] = MATCH_AT_MOST,
    };
    struct match_conjunction conjunctions[3];
    struct match_anchor anchors[3][3];
    struct wire_span values[3][3][4];
    char texts[3][3][4][16];
    struct toy_constants *constants = malloc(sizeof(*constants));

    for (int i = 0; i < view->count; i++) {
        const struct toy_conjunction *from = &view->conjunctions[i];
        conjunctions[i] = (struct match_conjunction){ anchors[i], 0 };
        for (int j = 0; j < from->count; j++) {
            const struct toy_condition *c = &from->conditions[j];
            if (c->op == TOY_NOT_EQUAL) {
                continue;
            }
            for (int k = 0; k < c->count; k++) {
                values[i][j][k] =
                    toy_text(texts[i][j][k], c->column, c->values[k], (int)(user + (uint64_t)k));
            }
            anchors[i][conjunctions[i].anchor_count++] = (struct match_anchor){
                .kind = kinds[c->op],
                .column = c->column,
                .type = toy_types[c->column],
                .values = values[i][j],
                .value_count = c->count,
                .set = c->op == TOY_MEMBER ? &set->set : NULL,
                .member = c->op == TOY_MEMBER ? (uint32_t)c->values[0] : 0,
            };
        }
    }
    ++*live;
    *constants = (struct toy_constants){ *view, set, live };
    return match_add(table,
                     &(struct match_view){ .program = &toy_program,
                                           .constants = constants,
                                           .key = { (const char *)view, sizeof(*view) },
                                           .conjunctions = conjunctions,
                                           .conjunction_count = view->count },
                     user, out_sub);
}

#endif
