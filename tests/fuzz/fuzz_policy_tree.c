/* tests/fuzz/fuzz_policy_tree.c - any text as the analysed tree of a policy: parsed, compiled and run.
 *
 * What the compiler makes of it must run within its stack on rows in every state, a set of outcomes is never empty,
 * and what the anchors exclude cannot be true.
 * The facts are those of the unit tests.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/anchor.h"
#include "broker/policy/compile.h"
#include "broker/policy/eval.h"
#include "tests/unit/broker/policy/kit_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { COLUMNS = 64 };

static void run(const struct policy_program *program)
{
    static const char *const texts[] = { "1", "a", "{a,NULL,\"b\"}", "2024-01-01", "t", "", "NaN" };
    struct policy_cell cells[COLUMNS];
    struct policy_row row = { COLUMNS, cells };
    struct policy_value *constants = calloc(program->fold_count + 1, sizeof(*constants));
    struct policy_binding binding = { .values = constants, .count = program->fold_count };

    for (uint32_t i = 0; i < program->fold_count; i++) {
        constants[i] = i % 3 == 0 ? policy_value_state(VALUE_ERROR)
                                  : policy_value_parse(program->folds[i].shape.kind, "1", 1,
                                                       program->folds[i].shape.labels);
    }
    struct policy_anchors anchors;
    policy_anchors_find(program, &binding, &anchors);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) + 3; i++) {
        policy_row_clear(&row);
        for (uint32_t column = 1; column <= COLUMNS && i > 0; column++) {
            size_t text = (column + i) % (sizeof(texts) / sizeof(texts[0]));
            enum policy_cell_kind kind = i == 1 ? POLICY_CELL_NULL : POLICY_CELL_TEXT;
            policy_row_set(&row, column, kind, texts[text], (uint32_t)strlen(texts[text]));
        }
        uint8_t set = policy_eval(program, &binding, &row, 0);
        bool excluded = !policy_anchors_admit(&anchors, program, &row) && (set & OUTCOME_TRUE) != 0;
        if (set == 0 || set > 31 || excluded) {
            abort();
        }
    }
    free(constants);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct policy_arena arena = { 0 };
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };
    /* A copy of its own: reading behind the end is found. */
    char *text = malloc(len + 1);
    memcpy(text, data, len);
    const struct policy_tree *tree = policy_tree_parse(&arena, text, len);

    if (tree != NULL) {
        struct policy_facts *facts = kit_facts();
        policy_facts_wanted(facts, tree, arrays);
        struct policy_rule rules[] = { { "a", true, true, tree }, { "b", false, true, tree } };
        struct policy_program *program = policy_compile(facts, false, rules, len % 2 + 1);
        run(program);
        policy_program_free(program);
        policy_facts_free(facts);
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    free(text);
    policy_arena_fini(&arena);
    return 0;
}
