/* Tests of policy_set_rest(): a set ends with any change of what its constants hold. */
#include <string.h>

#include "broker/view/views_impl.h"
#include "tests/unit/broker/kit.h"
#include "tests/unit/broker/view/views_fakes.h"

struct pair {
    struct access *access;
    const struct policy_kept_test *test;
    struct policy_sets *sets[2]; /* above, below */
    struct policy_value uid;
    struct policy_binding constants;
    struct policy_values *above;
    struct policy_values *below;
};

static void load_pair(struct pair *p)
{
    struct xid_snapshot snapshot;

    assert_true(xid_snapshot_parse(&snapshot, "10:10:", 6));
    p->above = policy_set_new(p->sets[0], &p->constants);
    p->below = policy_set_new(p->sets[1], &p->constants);
    assert_true(policy_set_load(p->below, "{1}", 3, &snapshot));
    assert_true(policy_set_load(p->above, "{7}", 3, &snapshot));
    policy_set_rest(p->above, p->below);
    xid_snapshot_fini(&snapshot);
}

static void make_pair(struct pair *p)
{
    *p = (struct pair){ .access = fakes_member_access(3) };
    p->test = &p->access->rules->kept->tests[0];
    p->uid = policy_value_parse(p->test->members->folds[0].shape.kind, ALICE, strlen(ALICE), NULL);
    p->constants = (struct policy_binding){ .count = 1, .values = &p->uid };
    for (size_t i = 0; i < 2; i++) {
        p->sets[i] = policy_sets_new(p->test->members, p->test->value, &p->test->element);
    }
    load_pair(p);
}

static void free_pair(struct pair *p)
{
    policy_sets_free(p->sets[0]);
    policy_sets_free(p->sets[1]);
    access_unref(p->access);
}

/* A row of Alice's with this value comes to the sets, or goes. */
static void move(struct pair *p, size_t which, const char *value, bool comes)
{
    struct policy_cell cells[8] = { { .kind = POLICY_CELL_NULL } };
    struct policy_row row = { p->test->width, cells };

    for (uint32_t i = 0; i < p->test->column_count; i++) {
        const struct policy_kept_column *column = &p->test->columns[i];
        const char *text = column->number == p->test->value ? value : ALICE;
        policy_row_set(&row, column->number, POLICY_CELL_TEXT, text, (uint32_t)strlen(text));
    }
    policy_sets_change(p->sets[which], 11, comes ? &row : NULL, comes ? NULL : &row);
}

static void test_a_set_ends_with_any_change_of_what_it_rests_on(void **state)
{
    struct pair p;

    (void)state;
    make_pair(&p);
    move(&p, 0, "8", true); /* its own */
    move(&p, 1, "1", true); /* which is there */
    move(&p, 1, "1", false);
    assert_int_equal(policy_set_state(p.above), POLICY_SET_CURRENT);
    assert_ptr_equal(policy_sets_changed(p.sets[0]), p.above);
    move(&p, 1, "2", true);
    move(&p, 1, "2", false); /* undone: but rows may have been judged in between */
    assert_int_equal(policy_set_state(p.above), POLICY_SET_STALE);
    assert_ptr_equal(policy_sets_changed(p.sets[0]), p.above);
    assert_int_equal(policy_set_state(p.below), POLICY_SET_CURRENT);
    policy_set_free(p.below); /* in this order */
    policy_set_free(p.above);
    load_pair(&p);
    policy_sets_truncate(p.sets[1], 12);
    assert_int_equal(policy_set_state(p.above), POLICY_SET_STALE);
    policy_set_free(p.above); /* and in that one */
    move(&p, 1, "3", true);
    policy_set_free(p.below);
    load_pair(&p);
    policy_sets_spoil(p.sets[1]);
    assert_int_equal(policy_set_state(p.above), POLICY_SET_STALE);
    policy_set_free(p.above);
    policy_set_free(p.below);
    free_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_ends_with_any_change_of_what_it_rests_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
