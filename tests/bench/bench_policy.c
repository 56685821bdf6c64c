/* tests/bench/bench_policy.c - nanoseconds per decision: one row version against the policies of many identities.
 *
 * Policies are PostgreSQL's own trees (tests/unit/broker/policy/trees.h). "parsed" judges a row whose values have been
 * looked at before, as all identities but the first see it; "fresh" fills the row again each time. CPU time.
 * Usage: bench_policy [decisions]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/policy/compile.h"
#include "broker/policy/eval.h"
#include "tests/unit/broker/policy/kit_facts.h"

enum { COLUMNS = 9, IDENTITIES = 1024 };

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void fill(struct policy_row *row)
{
    static const char *const texts[COLUMNS] = { "1",
                                                "11111111-1111-1111-1111-111111111111",
                                                "a title of some length",
                                                "2",
                                                "19.90",
                                                "ok",
                                                "{a,b}",
                                                "f",
                                                "2030-01-01 00:00:00+00" };

    for (uint32_t i = 0; i < COLUMNS; i++) {
        policy_row_set(row, i + 1, POLICY_CELL_TEXT, texts[i], (uint32_t)strlen(texts[i]));
    }
}

static void bind(const struct policy_program *program, struct policy_value *values,
                 uint32_t identity)
{
    static char uuids[IDENTITIES][37];

    (void)snprintf(uuids[identity], sizeof(uuids[identity]), "11111111-1111-1111-1111-%012u",
                   identity);
    for (uint32_t i = 0; i < program->fold_count; i++) {
        enum policy_kind kind = program->folds[i].shape.kind;
        values[i] = kind == POLICY_KIND_BYTES  ? policy_value_parse(kind, uuids[identity], 36, NULL)
                    : kind == POLICY_KIND_BOOL ? policy_value_parse(kind, "t", 1, NULL)
                                               : policy_value_parse(kind, "2", 1, NULL);
    }
}

static double measure(const struct policy_program *program, struct policy_row *row,
                      uint64_t decisions, bool fresh)
{
    static struct policy_value values[IDENTITIES][4];
    static struct policy_binding bindings[IDENTITIES];
    uint64_t delivered = 0;

    for (uint32_t i = 0; i < IDENTITIES; i++) {
        bind(program, values[i], i);
        bindings[i] = (struct policy_binding){ .values = values[i], .count = program->fold_count };
    }
    fill(row);
    double began = now();
    for (uint64_t i = 0; i < decisions; i++) {
        if (fresh) {
            fill(row);
        }
        uint8_t set =
            policy_eval(program, &bindings[i % IDENTITIES], row, INT64_C(1700000000000000));
        delivered += set == OUTCOME_TRUE;
    }
    double spent = now() - began;
    if (delivered > decisions) {
        abort(); /* keeps the loop */
    }
    return spent / (double)decisions;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        const char *tree;
    } policies[] = {
        { "owner = auth.uid()", tree_owner },
        { "public or level > 3 and not (title = 'x')", tree_public },
        { "level in (1, 2, null) and title = any ('{a,\"b c\",NULL}')", tree_list },
        { "case … price >= 1.50 … like 'a%'", tree_case },
        { "mood < 'happy' and until > now()", tree_enum },
        { "claim = 'admin' and setting::int = level", tree_claim },
        { "'a' = any (tags) and nullif(level, 3) is distinct from 4", tree_tags },
    };
    uint64_t decisions = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
    struct policy_facts *facts = kit_facts();

    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct policy_arena arena = { 0 };
        struct policy_cell cells[COLUMNS] = { 0 };
        struct policy_row row = { COLUMNS, cells };
        struct policy_rule rule = {
            "p", true, true, policy_tree_parse(&arena, policies[i].tree, strlen(policies[i].tree))
        };
        struct policy_program *program = policy_compile(facts, false, &rule, 1);
        double parsed = measure(program, &row, decisions, false);
        double fresh = measure(program, &row, decisions / 4, true);
        printf("%-60s parsed %6.1f ns, fresh %6.1f ns (%u instructions, %u bytes)\n",
               policies[i].name, parsed, fresh, program->count, program->arena.bytes);
        policy_program_free(program);
        policy_arena_fini(&arena);
    }
    policy_facts_free(facts);
    return 0;
}
