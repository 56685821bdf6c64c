/* Tests of broker/match/index: events, limits, cost that follows matches, skew, flooding, memory. */
#include "broker/match/parts.h"
#include "tests/unit/broker/match/toy.h"

enum { MANY = 100000 };

struct fixture {
    struct match *match;
    struct match_table *table;
    struct toy_set set;
    long live;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->match = match_new();
    f->table = match_table_new(f->match, (struct match_limits){ 10, 10 });
    f->set.set.members = toy_members;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    match_free(f->match);
    assert_int_equal(f->live, 0);
    free(f);
    return 0;
}

static struct toy_view view_of(struct toy_condition condition)
{
    struct toy_view view;

    memset(&view, 0, sizeof(view));
    view.count = 1;
    view.conjunctions[0].count = 1;
    view.conjunctions[0].conditions[0] = condition;
    return view;
}

static struct toy_view owner_is(int8_t owner)
{
    return view_of((struct toy_condition){ .op = TOY_EQUAL, .count = 1, .values = { owner } });
}

static struct match_sub add(struct fixture *f, struct toy_view view, uint64_t user)
{
    struct match_sub sub = { 0 };

    assert_int_equal(toy_add(f->table, &view, &f->set, &f->live, user, &sub), MATCH_ADDED);
    return sub;
}

static struct match_result change_owner(struct fixture *f, int from, int to)
{
    static struct toy_row rows[2];
    int owners[] = { to, from };

    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < TOY_COLUMNS; j++) {
            toy_row_set(&rows[i], j, j == 0 ? owners[i] : 1, 0);
        }
    }
    struct match_row new_row = toy_match_row(&rows[0]);
    struct match_row old_row = toy_match_row(&rows[1]);
    return match_change(f->table, &new_row, &old_row);
}

static enum match_event event_for(const struct match_result *result, const struct fixture *f,
                                  struct match_sub sub)
{
    for (uint32_t i = 0; i < result->count; i++) {
        if (result->hits[i].class_id == match_class(f->match, sub)) {
            return match_event_of(&result->hits[i]);
        }
    }
    return MATCH_NOTHING;
}

static void test_a_row_enters_and_leaves_views(void **state)
{
    struct fixture *f = *state;
    struct match_sub alice = add(f, owner_is(1), 1);
    struct match_sub bob = add(f, owner_is(2), 2);
    struct match_sub carol = add(f, owner_is(3), 3);

    struct match_result moved = change_owner(f, 1, 2);
    assert_int_equal(event_for(&moved, f, alice), MATCH_DELETE);
    assert_int_equal(event_for(&moved, f, bob), MATCH_INSERT);
    assert_int_equal(event_for(&moved, f, carol), MATCH_NOTHING);
    struct match_result stayed = change_owner(f, 1, 1);
    assert_int_equal(event_for(&stayed, f, alice), MATCH_UPDATE);
    assert_int_equal(stayed.count, 1);
}

static void test_equal_views_are_judged_once(void **state)
{
    struct fixture *f = *state;
    bool seen[5] = { false };

    for (uint64_t user = 0; user < 5; user++) {
        (void)add(f, owner_is(1), user);
    }
    assert_int_equal(f->live, 1);
    struct match_result result = change_owner(f, 0, 1);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.judged, 1);
    struct match_members members = match_members(f->match, result.hits[0].class_id);
    for (uint64_t user = 0; match_members_next(&members, &user);) {
        assert_false(seen[user]);
        seen[user] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
}

static void test_an_undecided_verdict_is_passed_on(void **state)
{
    struct fixture *f = *state;
    struct toy_view view = owner_is(1);

    view.conjunctions[0].ask = 1;
    struct match_sub sub = add(f, view, 1);

    struct match_result result = change_owner(f, 2, 1);
    assert_int_equal(event_for(&result, f, sub), MATCH_UNDECIDED);
    assert_int_equal(result.hits[0].on_new, MATCH_ASK);
    assert_int_equal(result.hits[0].on_old, MATCH_NO);
}

static void test_what_a_row_does_not_carry_is_told(void **state)
{
    struct fixture *f = *state;
    struct match_sub sub = add(f, owner_is(1), 1);

    struct match_result result = change_owner(f, TOY_MISSING, 1);
    assert_int_equal(result.blind, 1);
    assert_int_equal(event_for(&result, f, sub), MATCH_INSERT);
    result = change_owner(f, TOY_NULL, 1);
    assert_int_equal(result.blind, 0);
}

static void test_unanchored_views_are_limited_by_class(void **state)
{
    struct fixture *f = *state;
    struct match_sub sub = { 77 };
    struct toy_view view = owner_is(0);

    for (int8_t i = 0; i < 10; i++) {
        view = view_of((struct toy_condition){ TOY_NOT_EQUAL, 0, 1, { i } });
        (void)add(f, view, 1);
        (void)add(f, view, 2);
    }
    assert_int_equal(match_table_scanned(f->table), 10);
    view = view_of((struct toy_condition){ TOY_NOT_EQUAL, 0, 1, { 11 } });
    assert_int_equal(toy_add(f->table, &view, &f->set, &f->live, 1, &sub), MATCH_TOO_MANY_SCANNED);
    assert_int_equal(sub.v, 77);
    assert_int_equal(f->live, 10);
    match_table_set_limits(f->table, (struct match_limits){ 11, 0 });
    (void)add(f, view, 1);
    view = view_of((struct toy_condition){ TOY_AT_LEAST, 2, 1, { 5 } });
    assert_int_equal(toy_add(f->table, &view, &f->set, &f->live, 1, &sub), MATCH_TOO_MANY_ORDERED);
}

static void test_the_most_selective_anchor_is_taken(void **state)
{
    struct fixture *f = *state;

    for (int8_t i = 0; i < TOY_VALUES; i++) {
        struct toy_view view = owner_is(i);
        view.conjunctions[0].count = 3;
        view.conjunctions[0].conditions[1] = (struct toy_condition){ TOY_AT_LEAST, 2, 1, { 0 } };
        view.conjunctions[0].conditions[2] = (struct toy_condition){
            TOY_EQUAL, 1, 1, { 1 }
        }; /* all the same: its list grows long */
        (void)add(f, view, 1);
    }
    struct match_result result = change_owner(f, TOY_VALUES, 3);
    assert_int_equal(result.count, 1);
    assert_true(result.judged <= 3);
}

/* --- values that do not fit the toys --- */

static struct match_sub add_owner(struct fixture *f, const char *owner, const char *key)
{
    struct wire_span value = { owner, strlen(owner) };
    struct match_anchor anchor = {
        .kind = MATCH_EQUAL, .type = { MATCH_FORM_BYTES, 0 }, .values = &value, .value_count = 1
    };
    struct match_conjunction conjunction = { &anchor, 1 };
    struct toy_view judged = view_of((struct toy_condition){ TOY_NOT_EQUAL, 0, 1, { -7 } });
    struct toy_constants *constants = malloc(sizeof(*constants));
    struct match_sub sub = { 0 };

    *constants = (struct toy_constants){ judged, &f->set, &f->live };
    f->live++;
    assert_int_equal(match_add(f->table,
                               &(struct match_view){ .program = &toy_program,
                                                     .constants = constants,
                                                     .key = { key, strlen(key) },
                                                     .conjunctions = &conjunction,
                                                     .conjunction_count = 1 },
                               1, &sub),
                     MATCH_ADDED);
    return sub;
}

static uint32_t longest_run(const struct postings *postings)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < POSTINGS_PARTS; i++) {
        uint32_t run = 0;
        for (uint32_t at = 0; at < 2 * postings->parts[i].capacity; at++) {
            uint32_t mask = postings->parts[i].capacity - 1;
            run = postings->parts[i].slots[at & mask].ids.pair[0] == POSTINGS_NONE ? 0 : run + 1;
            longest = run > longest ? run : longest;
        }
    }
    return longest;
}

/* Memory per subscription at every size, not only right before the tables grow. Numbers in a row, and values that a weak hash
 * would put in one place, spread like any others. */
static void test_a_subscription_takes_less_than_200_bytes(void **state)
{
    struct fixture *f = *state;
    double worst = 0;
    char owner[64];

    for (int i = 0; i < 2 * MANY; i++) {
        if (i % 2 == 0) {
            (void)snprintf(owner, sizeof(owner), "%08x-0000-4000-8000-000000000000", (unsigned)i);
        } else {
            (void)snprintf(owner, sizeof(owner), "%d", i);
        }
        (void)add_owner(f, owner, owner);
        if (i > MANY / 2 && i % 1000 == 0) {
            double each = (double)match_stats(f->match).bytes / (i + 1);
            worst = each > worst ? each : worst;
        }
    }
    print_message("at most %.0f bytes each\n", worst);
    assert_true(worst < 200);
    assert_true(longest_run(&f->match->postings) < 200);
}

static void test_the_same_value_hashes_differently_in_each_index(void **state)
{
    struct fixture *f = *state;
    struct match *other = match_new();
    struct wire_span value = { "alice", 5 };
    struct probe probe = { .kind = PROBE_EQUAL, .salt = 1 };

    assert_true(anchor_hash(f->match, &probe, value) != anchor_hash(other, &probe, value));
    match_free(other);
}

/* All classes want one value: finding is linear in them, coming and going is not. */
static void test_one_value_for_all_does_not_slow_unsubscribing(void **state)
{
    struct fixture *f = *state;
    struct match_sub *subs = calloc(MANY, sizeof(*subs));
    struct toy_row row;
    char key[16];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        subs[i] = add_owner(f, "u1", key);
    }
    for (int j = 0; j < TOY_COLUMNS; j++) {
        toy_row_set(&row, j, 1, 0);
    }
    struct match_row given = toy_match_row(&row);
    assert_int_equal(match_change(f->table, &given, NULL).count, MANY);
    for (int i = 0; i < MANY; i++) {
        int from =
            (int)((int64_t)i * 7919 % MANY); /* a permutation: neither first nor last in the list */
        assert_true(match_remove(f->match, subs[from]));
        if (i % (MANY / 4) == 0) {
            assert_int_equal(match_change(f->table, &given, NULL).count, MANY - i - 1);
        }
    }
    struct match_stats stats = match_stats(f->match);
    assert_true(stats.subs == 0 && stats.classes == 0 && stats.postings == 0);
    free(subs);
}

static void test_more_kinds_of_anchors_than_fit_are_scanned(void **state)
{
    struct fixture *f = *state;
    struct wire_span value = { "x", 1 };
    struct match_sub subs[MATCH_PROBES_MAX + 1];

    for (uint16_t i = 0; i <= MATCH_PROBES_MAX; i++) {
        struct match_anchor anchor = { .kind = MATCH_EQUAL,
                                       .column = i,
                                       .type = { MATCH_FORM_BYTES, 0 },
                                       .values = &value,
                                       .value_count = 1 };
        struct match_conjunction conjunction = { &anchor, 1 };
        struct toy_constants *constants = calloc(1, sizeof(*constants));
        constants->live = &f->live;
        f->live++;
        struct match_view view = { .program = &toy_program,
                                   .constants = constants,
                                   .key = { (const char *)&i, sizeof(i) },
                                   .conjunctions = &conjunction,
                                   .conjunction_count = 1 };
        assert_int_equal(match_add(f->table, &view, 1, &subs[i]), MATCH_ADDED);
    }
    assert_int_equal(match_table_scanned(f->table), 1);
    assert_true(match_remove(f->match, subs[3]));
    (void)add(f, owner_is(5), 1);
    (void)add(f, view_of((struct toy_condition){ TOY_AT_MOST, 2, 1, { 5 } }), 1);
    assert_int_equal(match_table_scanned(f->table), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_row_enters_and_leaves_views, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_views_are_judged_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_undecided_verdict_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_row_does_not_carry_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unanchored_views_are_limited_by_class, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_most_selective_anchor_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_subscription_takes_less_than_200_bytes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_same_value_hashes_differently_in_each_index, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_value_for_all_does_not_slow_unsubscribing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_more_kinds_of_anchors_than_fit_are_scanned, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
