/* tests/unit/broker/policy/kit.h - facts of the catalog, trees and rows without a database. */
#ifndef PGTIDE_TESTS_POLICY_KIT_H
#define PGTIDE_TESTS_POLICY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/policy/compile.h"
#include "broker/policy/eval.h"
#include "tests/unit/broker/policy/kit_facts.h"

enum { KIT_COLUMNS = 9 };

struct kit {
    struct policy_arena arena;
    struct policy_facts *facts;
    struct policy_program *program;
    struct policy_cell cells[KIT_COLUMNS];
    struct policy_row row;
    struct policy_value constants[8];
    struct policy_binding binding;
};

/* One permissive policy. */
static inline void kit_compile(struct kit *kit, const char *text)
{
    *kit = (struct kit){ .facts = kit_facts() };
    struct policy_rule rule = { "p", true, true,
                                policy_tree_parse(&kit->arena, text, strlen(text)) };
    assert_non_null(rule.qual);
    kit->program = policy_compile(kit->facts, false, &rule, 1);
    kit->row = (struct policy_row){ KIT_COLUMNS, kit->cells };
    kit->binding.values = kit->constants;
    kit->binding.count = 8;
}

static inline void kit_free(struct kit *kit)
{
    policy_program_free(kit->program);
    policy_facts_free(kit->facts);
    policy_arena_fini(&kit->arena);
}

/* Columns of pt by number; NULL is NULL. */
static inline void kit_set(struct kit *kit, uint32_t column, const char *text)
{
    policy_row_set(&kit->row, column, text != NULL ? POLICY_CELL_TEXT : POLICY_CELL_NULL, text,
                   text != NULL ? (uint32_t)strlen(text) : 0);
}

static inline uint8_t kit_eval(struct kit *kit)
{
    return policy_eval(kit->program, &kit->binding, &kit->row, INT64_C(1700000000000000));
}

#endif
