/* tests/unit/broker/xid_snapshot_test.c - what a snapshot sees, also around the wrap of 32-bit numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/xid_snapshot.h"

static struct xid_snapshot parsed(const char *text)
{
    struct xid_snapshot snapshot;

    assert_true(xid_snapshot_parse(&snapshot, text, strlen(text)));
    return snapshot;
}

static void test_a_snapshot_sees_what_was_over(void **state)
{
    struct xid_snapshot snapshot = parsed("740:750:742,747");

    (void)state;
    assert_true(xid_snapshot_sees(&snapshot, 3));
    assert_true(xid_snapshot_sees(&snapshot, 739));
    assert_true(xid_snapshot_sees(&snapshot, 740));
    assert_false(xid_snapshot_sees(&snapshot, 742));
    assert_true(xid_snapshot_sees(&snapshot, 743));
    assert_false(xid_snapshot_sees(&snapshot, 747));
    assert_true(xid_snapshot_sees(&snapshot, 749));
    assert_false(xid_snapshot_sees(&snapshot, 750));
    assert_false(xid_snapshot_sees(&snapshot, 100000));
    xid_snapshot_fini(&snapshot);
}

static void test_numbers_wrap(void **state)
{
    struct xid_snapshot young = parsed("4294967290:4294967300:4294967295");
    struct xid_snapshot old = parsed("12884901880:12884901890:");

    (void)state;
    assert_true(xid_snapshot_sees(&young, 4294967294u));
    assert_false(xid_snapshot_sees(&young, 4294967295u));
    assert_true(xid_snapshot_sees(&young, 3));  /* 4294967299 */
    assert_false(xid_snapshot_sees(&young, 4)); /* 4294967300 */
    assert_true(xid_snapshot_sees(&old, 4294967295u));
    assert_true(xid_snapshot_sees(&old, 1));
    assert_false(xid_snapshot_sees(&old, 2));
    xid_snapshot_fini(&young);
    xid_snapshot_fini(&old);
}

static void test_a_copy_stands_alone(void **state)
{
    struct xid_snapshot snapshot = parsed("5:9:5,7");
    struct xid_snapshot copy;

    (void)state;
    xid_snapshot_copy(&copy, &snapshot);
    xid_snapshot_fini(&snapshot);
    assert_false(xid_snapshot_sees(&copy, 7));
    assert_true(xid_snapshot_sees(&copy, 8));
    xid_snapshot_fini(&copy);
}

static void test_other_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",        ":",      "1",     "1:",     "1:2",
        "2:1:",    "0:1:",   "1:2:3", "1:9:3,", "1:9:3,3",
        "1:9:5,3", "1:9:,3", "a:9:",  "1:9:3 ", "1:18446744073709551616:",
        "-1:2:",   "5:9:4",  "5:9:9",
    };
    struct xid_snapshot snapshot;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(xid_snapshot_parse(&snapshot, texts[i], strlen(texts[i])));
        assert_null(snapshot.xip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_sees_what_was_over),
        cmocka_unit_test(test_numbers_wrap),
        cmocka_unit_test(test_a_copy_stands_alone),
        cmocka_unit_test(test_other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
