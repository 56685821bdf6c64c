/* Tests of broker/upstream_rights, and of fences where they stand: nothing is routed by rights that its transaction changes. */
#include "broker/upstream_impl.h"
#include "tests/unit/broker/upstream_kit.h"

static void test_nothing_behind_a_fence_is_routed_before_rights_are_known(void **state)
{
    struct fixture *f = *state;

    f->reloads = true;
    begin(f, 200);
    insert(f, 1, 0, "1");
    ddl(f, 1);
    insert(f, 1, 2, "2");
    end(f, 200);
    assert_false(feed(f));
    assert_false(upstream_continue(f->up, RT_SEC));
    expect_asked(f, "fence all xid 200 at 200\n");
    kit_expect(&f->kit, 0, "");

    kit_deny(&f->kit, "public.t/anon", WIRE_CODE_FORBIDDEN, "gone");
    upstream_settled(f->up);
    f->reloads = false; /* what counts is not asked for again */
    assert_true(upstream_continue(f->up, RT_SEC));
    expect_asked(f, "fence all xid 200 at 200\n");
    kit_expect(&f->kit, 0, "refuse 1 code 2 gone\n");
}

/* It has more than one frame: what was routed before its message came was routed. */
static void test_a_message_in_a_later_frame_is_a_fence_where_that_begins(void **state)
{
    struct fixture *f = *state;

    f->reloads = true;
    begin(f, 200);
    insert(f, 1, 0, "1");
    assert_true(feed(f));
    kit_expect(&f->kit, 0, "begin 200\ndeliver 0 1I new=1 old=-\n");

    struct wire_begin again = kit_begin(200);
    again.continued = true;
    wire_encode_begin(&f->out, &again);
    insert(f, 1, 1, "2");
    ddl(f, 2);
    end(f, 200);
    assert_false(feed(f));
    kit_expect(&f->kit, 0, "");
    kit_deny(&f->kit, "public.t/anon", WIRE_CODE_FORBIDDEN, "gone");
    upstream_settled(f->up);
    f->reloads = false;
    assert_true(upstream_continue(f->up, RT_SEC));
    kit_expect(&f->kit, 0, "refuse 1 code 2 gone\nbegin 200 again\nend 200\n");
}

/* The bytes of the prefix in a row, in the next transaction, and in the one after that. */
static void test_only_a_message_of_the_transaction_itself_is_a_fence_at_its_begin(void **state)
{
    struct fixture *f = *state;

    f->reloads = true;
    begin(f, 200);
    insert(f, 1, 0, "pgtide.ddl");
    end(f, 200);
    begin(f, 300);
    insert(f, 1, 0, "3");
    end(f, 300);
    begin(f, 400);
    insert(f, 1, 0, "4");
    ddl(f, 1);
    end(f, 400);
    assert_false(feed(f));
    expect_asked(f, "fence all xid 400 at 400\n");
    kit_expect(&f->kit, 0,
               "begin 200\ndeliver 0 1I new=pgtide.ddl old=-\nend 200\nbegin 300\ndeliver 0 1I "
               "new=3 old=-\nend 300\n");
    upstream_settled(f->up);
    f->reloads = false;
    assert_true(upstream_continue(f->up, RT_SEC));
    expect_asked(f, "fence all xid 400 at 400\n");
    kit_expect(&f->kit, 0, "begin 400\ndeliver 0 1I new=4 old=-\nend 400\n");
}

static void told_ahead(struct fixture *f, const char *xid)
{
    wire_encode_message(&f->out, &(struct wire_message){ .lsn = 1,
                                                         .prefix = kit_text("pgtide.rights"),
                                                         .content = kit_text(xid) });
}

/* 200 was told of: all of it waits, though its message is in a frame that has not come. */
static void test_a_transaction_that_was_told_of_is_a_fence_at_its_begin(void **state)
{
    struct fixture *f = *state;

    f->reloads = true;
    told_ahead(f, "200");
    told_ahead(f, "200");
    begin(f, 150);
    insert(f, 1, 0, "0");
    end(f, 150);
    begin(f, 200);
    insert(f, 1, 0, "1");
    assert_false(feed(f));
    expect_asked(f, "fence all xid 200 at 200\n");
    kit_expect(&f->kit, 0, "begin 150\ndeliver 0 1I new=0 old=-\nend 150\n");
    kit_deny(&f->kit, "public.t/anon", WIRE_CODE_FORBIDDEN, "gone");
    upstream_settled(f->up);
    f->reloads = false;
    assert_true(upstream_continue(f->up, RT_SEC));
    kit_expect(&f->kit, 0, "refuse 1 code 2 gone\n");
    expect_asked(f, "");
}

/* Those that never come are forgotten, the oldest first; nonsense is counted. */
static void test_what_is_told_of_is_bounded(void **state)
{
    struct fixture *f = *state;
    char xid[16];

    for (unsigned i = 1000; i < 1000 + RIGHTS_EXPECTED; i++) {
        (void)snprintf(xid, sizeof(xid), "%u", i);
        told_ahead(f, xid);
    }
    told_ahead(f, "200");
    assert_int_equal(f->kit.stats.bad_markers->value, 0);
    told_ahead(f, "");
    told_ahead(f, "0");
    told_ahead(f, "4294967296");
    told_ahead(f, "1 ");
    for (uint64_t lsn = 200; lsn < 202; lsn++) {
        begin(f, lsn);
        insert(f, 1, 0, "1");
        end(f, lsn);
    }
    assert_true(feed(f));
    expect_asked(f, "fence all xid 200 at 200\n");
    assert_int_equal(f->kit.stats.bad_markers->value, 4);
    assert_int_equal(f->up->rights.count, RIGHTS_EXPECTED - 1);
    assert_int_equal(f->up->rights.expected[0], 1001);
}

static void test_each_new_definition_is_a_fence(void **state)
{
    struct fixture *f = *state;

    f->reloads = true;
    begin(f, 200);
    kit_write_relation(&f->out, 2, 10, "t", "id a");
    insert(f, 2, 0, "1,a");
    end(f, 200);
    assert_false(feed(f));
    assert_int_equal(upstream_waits(f->up), UPSTREAM_WAIT_AUTHORITY);

    upstream_settled(f->up);
    assert_true(upstream_continue(f->up, RT_SEC));
    kit_expect(&f->kit, 0,
               "group 1 public.t id@0,a@1\nbegin 200\ndeliver 0 1I new=1,a old=-\nend 200\n");
}

static void test_other_messages_are_not_fences_but_count_an_index(void **state)
{
    struct fixture *f = *state;
    struct wire_message message = { .index = 0,
                                    .transactional = true,
                                    .prefix = kit_text("pgtide.ddl2"),
                                    .content = kit_text("") };

    begin(f, 200);
    wire_encode_message(&f->out, &message);
    end(f, 200);
    message.transactional = false;
    wire_encode_message(&f->out, &message);

    assert_true(feed(f));
    expect_asked(f, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_behind_a_fence_is_routed_before_rights_are_known),
        TEST(test_a_message_in_a_later_frame_is_a_fence_where_that_begins),
        TEST(test_only_a_message_of_the_transaction_itself_is_a_fence_at_its_begin),
        TEST(test_a_transaction_that_was_told_of_is_a_fence_at_its_begin),
        TEST(test_what_is_told_of_is_bounded),
        TEST(test_each_new_definition_is_a_fence),
        TEST(test_other_messages_are_not_fences_but_count_an_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
