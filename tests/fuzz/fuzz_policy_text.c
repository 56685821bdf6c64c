/* tests/fuzz/fuzz_policy_text.c - texts that the database sends: values of every kind, arrays, patterns, SQL bodies, answers.
 *
 * The first byte chooses; comparing must be an order: a value equals itself, and swapping swaps.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/body.h"
#include "broker/policy/compile.h"
#include "broker/policy/fold.h"
#include "broker/policy/set.h"
#include "tests/unit/broker/policy/kit_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void compare(enum policy_kind kind, const char *text, size_t len)
{
    size_t half = len / 2;
    struct policy_value a = policy_value_parse(kind, text, half, NULL);
    struct policy_value b = policy_value_parse(kind, text + half, len - half, NULL);

    if (a.state == VALUE_KNOWN && policy_value_compare(&a, &a) != 0) {
        abort();
    }
    if (a.state == VALUE_KNOWN && b.state == VALUE_KNOWN) {
        int one = policy_value_compare(&a, &b);
        int other = policy_value_compare(&b, &a);
        if ((one > 0) != (other < 0) || (one < 0) != (other > 0)) {
            abort();
        }
    }
}

static void elements(const char *text, size_t len)
{
    char *scratch = malloc(len + 1);
    struct policy_array array;
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;

    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        if (element_len > len) {
            abort();
        }
    }
    free(scratch);
}

/* Verdicts that are taken are as many as were asked for. */
static void verdicts(const char *text, size_t len)
{
    struct policy_verdicts out;

    for (size_t count = 0; count < 4; count++) {
        for (int way = 0; way < 2; way++) {
            bool good = way == 0 ? policy_fallback_read(&out, text, len, count)
                                 : policy_set_read(&out, text, len, count);
            if (good != (out.snapshot != NULL) || out.count != (good ? count : 0)) {
                abort();
            }
            policy_verdicts_fini(&out);
        }
    }
}

static void answers(const char *text, size_t len)
{
    struct policy_answers out;

    verdicts(text, len);
    for (size_t count = 0; count < 3; count++) {
        if (policy_answers_read(&out, text, len, count) && count > 0 &&
            out.texts[count - 1].len > len) {
            abort();
        }
        policy_answers_fini(&out);
    }
}

static void answer(const char *text, size_t len)
{
    struct policy_constants constants;
    struct policy_arena arena = { 0 };
    struct policy_facts *facts = kit_facts();
    struct policy_rule rule = { "p", true, true,
                                policy_tree_parse(&arena, tree_claim, strlen(tree_claim)) };
    struct policy_program *program = policy_compile(facts, false, &rule, 1);

    if (!policy_fold_read(&constants, program, text, len) && !constants.binding.refused) {
        abort();
    }
    policy_constants_fini(&constants);
    policy_program_free(program);
    policy_facts_free(facts);
    policy_arena_fini(&arena);
}

static void body(const char *text)
{
    struct policy_facts *facts = kit_facts();
    struct policy_function_fact function = { .volatility = 's', .sql = true, .body = text };

    (void)policy_body_is_constant(facts, &function);
    policy_facts_free(facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1) {
        return 0;
    }
    char *text = malloc(len);
    memcpy(text, data + 1, len - 1);
    text[len - 1] = 0;
    len--;
    switch (data[0] % 5) {
    case 0:
        for (int kind = POLICY_KIND_NONE; kind <= POLICY_KIND_ARRAY; kind++) {
            compare((enum policy_kind)kind, text, len);
        }
        break;
    case 1:
        elements(text, len);
        break;
    case 2:
        (void)policy_like(text, len / 2, text + len / 2, len - len / 2);
        break;
    case 3:
        answer(text, len);
        answers(text, len);
        break;
    default:
        body(text);
    }
    free(text);
    return 0;
}
