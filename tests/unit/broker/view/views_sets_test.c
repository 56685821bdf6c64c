/* Tests of broker/view/views_sets: constants that are sets follow their table without a question, for those whom it concerns and
 * nobody else; an answer is brought up to date by what its snapshot did not see; what cannot be followed is asked for again. */
#include <string.h>

#include "broker/view/views_impl.h"
#include "tests/unit/broker/kit.h"
#include "tests/unit/broker/view/views_fakes.h"

#define BOB "22222222-2222-2222-2222-222222222222"

enum { MEMB = 16402 };

/* Changes of memb, from records. */
struct table {
    struct relations *relations;
    struct relation *relation;
    struct wire_writer out;
};

static void define(struct table *t, const char *value, uint32_t type)
{
    struct wire_column columns[2] = { { .name = kit_text(value), .type_oid = type },
                                      { .name = kit_text("user_id"), .type_oid = 2950 } };
    struct wire_relation head = { .rel = 1,
                                  .oid = MEMB,
                                  .schema = kit_text("public"),
                                  .table = kit_text("memb"),
                                  .identity = 'f',
                                  .column_count = 2 };

    for (size_t i = 0; i < 2; i++) {
        columns[i].typmod = -1;
        columns[i].flags = WIRE_COLUMN_IDENTITY;
        columns[i].shape = (struct wire_span){ "\x00", 1 };
    }
    wire_writer_clear(&t->out);
    wire_encode_relation(&t->out, &head, columns, NULL);
    assert_int_equal(relations_put(t->relations,
                                   (struct wire_span){ (const char *)t->out.data, t->out.len },
                                   &t->relation),
                     WIRE_OK);
}

static void change(struct table *t, uint32_t xid, const char *new_row, const char *old_row)
{
    struct wire_reader in;
    struct wire_change record;
    enum wire_type type = WIRE_PROGRESS;

    wire_writer_clear(&t->out);
    kit_write_change(&t->out, 1, 0, new_row, old_row);
    wire_reader_init(&in, t->out.data, t->out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(wire_decode_change(&in, &record), WIRE_OK);
    views_change(fakes_views(), t->relation, &record, xid);
}

static void touched(uint32_t xid)
{
    const uint32_t oid = MEMB;

    views_touched(fakes_views(), &oid, 1, xid, xid);
}

/* Its set, as text. */
static void expect(const struct seen *seen, const char *set)
{
    const struct policy_value *value = &seen->view->constants->policy.binding.values[0];

    assert_int_equal(value->len, strlen(set));
    assert_memory_equal(value->text, set, strlen(set));
    assert_int_equal(value->list->count, strlen(set) == 2 ? 0 : (strlen(set) - 1) / 4);
}

/* The set, then auth.uid() for the rows of memb. */
static void answer_all(int folds, const char *snapshot, const char *set, const char *uid)
{
    char each[256];

    (void)snprintf(each, sizeof(each), "v,\\\"v%s\\\",v%s", set, uid);
    fakes_answer_texts(folds, snapshot, each);
}

static void answer(const char *snapshot, const char *set, const char *uid)
{
    answer_all(1, snapshot, set, uid);
}

static int setup(void **state)
{
    struct table *t = rt_alloc(sizeof(*t));

    (void)fakes_setup(state);
    fakes_use(fakes_member_access(2));
    t->relations = relations_new();
    define(t, "team_id", 23);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct table *t = *state;

    wire_writer_fini(&t->out);
    (void)fakes_teardown(state);
    relations_free(t->relations);
    free(t);
    return 0;
}

/* Alice and Bob, with an answer each. */
static void open_two(void)
{
    (void)fakes_watch(0, "{\"sub\":1}");
    fakes_turn();
    answer("10:10:", "{7,3,7}", ALICE);
    (void)fakes_watch(1, "{\"sub\":2}");
    fakes_turn();
    answer("10:10:", "{}", BOB);
}

static void test_a_set_follows_its_table_and_nobody_else_hears_of_it(void **state)
{
    struct table *t = *state;
    struct seen *alice = fakes_seen(0);
    struct seen *bob = fakes_seen(1);

    open_two();
    assert_true(views_is_kept(alice->watch));
    expect(alice, "{\"3\",\"7\"}");
    expect(bob, "{}");
    change(t, 11, "5," ALICE, NULL);
    change(t, 11, NULL, "3," ALICE);
    assert_int_equal(alice->answers, 1); /* not before the transaction is complete */
    touched(11);
    assert_int_equal(alice->answers, 2); /* and then at once */
    expect(alice, "{\"5\",\"7\"}");
    assert_int_equal(bob->answers, 1);
    change(t, 12, "7," BOB, "7," ALICE);
    touched(12);
    assert_int_equal(alice->answers, 2); /* she had it twice */
    expect(bob, "{\"7\"}");
    fakes_turn();
    fakes_asked(0);
}

/* From here on what passes is listened to. */
static void open_bob(void)
{
    (void)fakes_watch(1, "{\"sub\":2}");
    fakes_turn();
    answer("10:10:", "{}", BOB);
}

static void test_what_the_snapshot_saw_does_not_count_twice(void **state)
{
    struct table *t = *state;

    open_bob();
    struct seen *alice = fakes_watch(0, "{\"sub\":1}");
    fakes_turn();
    answer("10:13:11", "{1}", ALICE);
    change(t, 10, "1," ALICE, NULL);
    touched(10);
    change(t, 12, NULL, "2," ALICE);
    touched(12);
    expect(alice, "{\"1\"}");
    change(t, 11, "4," ALICE, NULL);
    touched(11);
    expect(alice, "{\"1\",\"4\"}");
    change(t, 13, NULL, "1," ALICE); /* began after the snapshot: so all that it saw has passed */
    touched(13);
    expect(alice, "{\"4\"}");
    fakes_asked(0);
}

static void test_what_comes_while_an_answer_is_on_its_way_is_in_it(void **state)
{
    struct table *t = *state;

    open_two(); /* from here on the table's changes are kept in mind */
    change(t, 20, "1,33333333-3333-3333-3333-333333333333", NULL);
    touched(20);
    struct seen *late = fakes_watch(2, "{\"sub\":3}");
    fakes_turn();
    change(t, 21, "2,33333333-3333-3333-3333-333333333333", NULL);
    touched(21);
    answer("20:22:20,21", "{}", "33333333-3333-3333-3333-333333333333");
    expect(late, "{\"1\",\"2\"}");
    struct seen *other = fakes_watch(3, "{\"sub\":4}");
    fakes_turn();
    answer("22:22:", "{1,2}", "33333333-3333-3333-3333-333333333333");
    expect(other, "{\"1\",\"2\"}");
    /* Equal sets have equal keys, however they came to be. */
    assert_memory_equal(late->view->key, other->view->key, sizeof(late->view->key));
}

static void test_a_new_viewer_of_a_kept_identity_asks_nothing(void **state)
{
    struct table *t = *state;

    open_two();
    change(t, 11, "5," BOB, NULL);
    touched(11);
    struct seen *second = fakes_watch(2, "{\"sub\":2}");
    views_refresh(second->watch, 11);
    fakes_turn();
    fakes_asked(0);
    expect(second, "{\"5\"}");
    struct access *access = fakes_member_access(2);
    views_access(second->watch, access); /* rights may be others: that is for PostgreSQL to say */
    access_unref(access);
    views_refresh(second->watch, 11);
    fakes_turn();
    answer("12:12:", "{5}", BOB);
    expect(second, "{\"5\"}");
}

static void test_what_cannot_be_followed_is_asked_for_again(void **state)
{
    struct table *t = *state;
    struct seen *alice = fakes_seen(0);
    struct seen *bob = fakes_seen(1);

    open_two();
    change(t, 11, NULL, "9," ALICE); /* never had it */
    touched(11);
    assert_int_equal(alice->doubts, 1);
    assert_int_equal(bob->doubts, 0);
    fakes_turn();
    answer("12:12:", "{1}", ALICE);
    expect(alice, "{\"1\"}");
    views_change(fakes_views(), t->relation, NULL,
                 11); /* a TRUNCATE that an answer may have been mixed up by */
    touched(11);
    assert_int_equal(alice->doubts, 1);
    expect(alice, "{\"1\"}"); /* that one has seen it */
    assert_int_equal(bob->doubts, 0);
    expect(bob, "{}");
    change(t, 12, "3," BOB, NULL);
    views_change(fakes_views(), t->relation, NULL, 13); /* and one that comes behind all answers */
    touched(13);
    expect(alice, "{}");
    expect(bob, "{}");
    assert_int_equal(alice->doubts + bob->doubts, 1);
    fakes_asked(0);
    define(t, "team_number", 23);
    change(t, 15, "1," ALICE, NULL);
    touched(15);
    assert_int_equal(alice->doubts + bob->doubts, 3);
    fakes_turn();
    answer_all(2, "16:16:", "{}", BOB);
    views_change(fakes_views(), NULL, NULL, 0); /* a hole */
    touched(0);
    assert_int_equal(alice->doubts + bob->doubts, 5);
    fakes_turn();
    answer_all(2, "18:18:", "{}", BOB);
    expect(bob, "{}");
    fakes_asked(0);
}

static void test_a_truncate_that_an_answer_may_be_mixed_up_by_is_asked_about(void **state)
{
    struct table *t = *state;

    open_bob();
    struct seen *alice = fakes_watch(0, "{\"sub\":1}");
    fakes_turn();
    answer("10:13:11", "{1}", ALICE);
    views_change(fakes_views(), t->relation, NULL, 11);
    touched(11);
    assert_int_equal(alice->doubts, 1);
    fakes_turn();
    answer("13:13:", "{}", ALICE);
    expect(alice, "{}");
}

static void test_an_answer_from_before_a_hole_does_not_count(void **state)
{
    struct table *t = *state;

    open_two();
    struct seen *late = fakes_watch(2, "{\"sub\":3}");
    fakes_turn();
    views_change(fakes_views(), NULL, NULL, 0);
    touched(0);
    answer("10:10:", "{1}", ALICE);
    assert_int_equal(late->answers, 0);
    fakes_asked(0);
    fakes_retry();
    answer_all(3, "20:20:", "{2}", ALICE);
    expect(late, "{\"2\"}");
    (void)t;
}

static void test_an_identity_whose_set_raises_is_asked_for_with_its_table(void **state)
{
    struct table *t = *state;
    struct seen *seen = fakes_watch(0, "{\"sub\":1}");

    fakes_turn();
    fakes_answer_texts(1, "10:10:", "v,e,e");
    assert_true(seen->view->constants->policy.binding.errors);
    change(t, 11, "1," ALICE, NULL);
    touched(11);
    assert_int_equal(seen->doubts, 1);
    change(t, 12, "1," BOB, NULL);
    touched(12); /* its view is on its way */
    assert_int_equal(seen->doubts, 1);
    fakes_turn();
    fakes_answer_texts(1, "12:12:", "v,e,e"); /* does not see 12 */
    assert_int_equal(seen->answers, 1);
    fakes_retry();
    answer_all(1, "13:13:", "{1}", ALICE);
    expect(seen, "{\"1\"}");
}

#define CAROL "33333333-3333-3333-3333-333333333333"

/* Alice's first commit, and many behind it, which are visible before it is. */
static void test_a_commit_that_stays_invisible_is_never_missed(void **state)
{
    struct table *t = *state;

    open_two();
    change(t, 20, "1," CAROL, NULL);
    touched(20);
    for (uint32_t xid = 21; xid < 421; xid++) {
        change(t, xid, "2," CAROL, NULL);
        touched(xid);
    }
    struct seen *carol = fakes_watch(2, "{\"sub\":3}");
    fakes_turn();
    answer("20:421:20", "{2}", CAROL);
    assert_int_equal(carol->answers, 0);
    fakes_retry();
    answer("421:421:", "{1,2}", CAROL);
    expect(carol, "{\"1\",\"2\"}");
    /* It was seen: nothing has to be compared with it any more. */
    struct seen *dave = fakes_watch(3, "{\"sub\":4}");
    fakes_turn();
    answer("421:421:", "{1}", CAROL);
    expect(dave, "{\"1\"}");
}

/* More than is kept else passes between a question and its answer. */
static void test_nothing_is_forgotten_while_an_answer_is_on_its_way(void **state)
{
    struct table *t = *state;
    struct seen *carol = fakes_seen(2);

    open_two();
    change(t, 20, "1," CAROL, NULL);
    touched(20);
    (void)fakes_watch(2, "{\"sub\":3}");
    fakes_turn();
    for (uint32_t xid = 21; xid < 421; xid++) {
        change(t, xid, "2," BOB, NULL);
        touched(xid);
    }
    answer("20:21:20", "{}", CAROL);
    expect(carol, "{\"1\"}");
}

/* What passed before anybody listened may not be visible yet. */
static void test_the_first_answer_counts_when_nothing_can_have_passed_before_it(void **state)
{
    struct table *t = *state;
    struct seen *alice = fakes_watch(0, "{\"sub\":1}");

    fakes_patience(RT_SEC);
    fakes_turn();
    answer("10:13:11", "{1}", ALICE);
    assert_int_equal(alice->answers, 0);
    fakes_retry();
    answer("12:14:12", "{1}", ALICE);
    assert_int_equal(alice->answers, 0);
    fakes_retry();
    answer("13:15:13", "{1,2}", ALICE); /* 13 began behind the first answer, and has not passed */
    expect(alice, "{\"1\",\"2\"}");
    change(t, 13, "3," ALICE, NULL);
    touched(13);
    expect(alice, "{\"1\",\"2\",\"3\"}");
}

static void test_an_answer_that_is_unsure_is_read_again_and_tells_those_who_see_by_it(void **state)
{
    struct seen *alice = fakes_watch(0, "{\"sub\":1}");
    struct seen *again = fakes_seen(2);

    (void)state;
    fakes_turn();
    answer("10:13:11", "{1}", ALICE);
    expect(alice, "{\"1\"}"); /* no patience */
    (void)fakes_watch(2, "{\"sub\":1}");
    fakes_turn();
    fakes_asked(0);
    expect(again, "{\"1\"}");
    (void)fakes_watch(1, "{\"sub\":2}");
    fakes_turn();
    answer("13:13:", "{}", BOB);
    answer("13:13:", "{1,2}", ALICE);
    expect(alice, "{\"1\",\"2\"}");
    expect(again, "{\"1\",\"2\"}");
    fakes_asked(0);
}

/* A watch that waits for another thing has nobody who doubts for it. */
static void test_a_lost_set_is_not_given_to_one_that_waits(void **state)
{
    struct table *t = *state;
    struct seen *second = fakes_seen(2);

    open_two();
    (void)fakes_watch(2, "{\"sub\":1}");
    views_unwatch(fakes_seen(0)->watch);
    fakes_seen(0)->watch = NULL;
    change(t, 11, NULL, "9," ALICE); /* never had it */
    touched(11);
    fakes_turn();
    assert_int_equal(second->answers, 0);
    answer("12:12:", "{1}", ALICE);
    expect(second, "{\"1\"}");
}

/* A copy of it with each change would hold everybody up. */
static void test_a_set_that_is_too_large_is_asked_for_with_its_table(void **state)
{
    struct table *t = *state;
    struct seen *alice = fakes_seen(0);
    struct rt_buf text = { .data = NULL };

    open_bob();
    (void)fakes_watch(0, "{\"sub\":1}");
    fakes_turn();
    rt_buf_puts(&text, "v,\\\"v{0");
    for (int i = 1; i < VIEWS_SET_MAX; i++) {
        rt_buf_printf(&text, ",%d", i);
    }
    rt_buf_puts(&text, "}\\\",v" ALICE);
    fakes_answer_texts(1, "10:10:", rt_buf_cstr(&text));
    rt_buf_fini(&text);
    assert_int_equal(alice->answers, 1);
    change(t, 11, "1," ALICE, NULL); /* which it has */
    touched(11);
    assert_int_equal(alice->doubts, 0);
    change(t, 12, "99999," ALICE, NULL);
    touched(12);
    assert_int_equal(alice->doubts, 1);
    fakes_turn();
    answer("13:13:", "{1}", ALICE);
    expect(alice, "{\"1\"}");
    assert_int_equal(alice->doubts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_set_follows_its_table_and_nobody_else_hears_of_it),
        TEST(test_what_the_snapshot_saw_does_not_count_twice),
        TEST(test_what_comes_while_an_answer_is_on_its_way_is_in_it),
        TEST(test_a_new_viewer_of_a_kept_identity_asks_nothing),
        TEST(test_what_cannot_be_followed_is_asked_for_again),
        TEST(test_a_truncate_that_an_answer_may_be_mixed_up_by_is_asked_about),
        TEST(test_an_answer_from_before_a_hole_does_not_count),
        TEST(test_an_identity_whose_set_raises_is_asked_for_with_its_table),
        TEST(test_a_commit_that_stays_invisible_is_never_missed),
        TEST(test_nothing_is_forgotten_while_an_answer_is_on_its_way),
        TEST(test_the_first_answer_counts_when_nothing_can_have_passed_before_it),
        TEST(test_an_answer_that_is_unsure_is_read_again_and_tells_those_who_see_by_it),
        TEST(test_a_lost_set_is_not_given_to_one_that_waits),
        TEST(test_a_set_that_is_too_large_is_asked_for_with_its_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
