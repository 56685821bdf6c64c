/* tests/unit/edge/fluxbase_channel_test.c - the names of channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/fluxbase/channel.h"

static enum fluxbase_channel_kind kind_of(const char *text)
{
    return fluxbase_channel_parse((struct rt_span){ (const uint8_t *)text, strlen(text) }).kind;
}

static void test_channel_grammar(void **state)
{
    char longest[80] = "table:s.";
    struct fluxbase_channel channel;

    (void)state;
    assert_int_equal(kind_of("presence:x"), FLUXBASE_PRESENCE);
    assert_int_equal(kind_of("broadcast:x y"), FLUXBASE_BROADCAST);
    assert_int_equal(kind_of("table:public.Mixed Case"), FLUXBASE_TABLE);
    static const char *const bad[] = { "",          "table:",      "table:t",
                                       "table:.t",  "table:s.",    "table:.",
                                       "a\tb",      "table:s.t\n", "table:s\x7f.t",
                                       "presence:", "broadcast:",  "realtime:admin:x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(kind_of(bad[i]), FLUXBASE_NO_CHANNEL);
    }
    memset(longest + 8, 'x', 63);
    assert_int_equal(kind_of(longest), FLUXBASE_TABLE);
    longest[8 + 63] = 'x';
    assert_int_equal(kind_of(longest), FLUXBASE_NO_CHANNEL);
    channel = fluxbase_channel_parse((struct rt_span){ (const uint8_t *)"table:a.b.c", 11 });
    assert_int_equal(channel.schema.len, 1);
    assert_memory_equal(channel.table.data, "b.c", 3);
    assert_int_equal(channel.table.len, 3);
}

static void check_name(const char *text, const char *wanted)
{
    char out[FLUXBASE_CHANNEL_MAX];
    struct rt_span name =
        fluxbase_room_name((struct rt_span){ (const uint8_t *)text, strlen(text) }, out);

    assert_int_equal(name.len, strlen(wanted));
    assert_memory_equal(name.data, wanted, name.len);
}

static void test_free_names_are_other_names_for_broadcast_channels(void **state)
{
    char longest[300] = "broadcast:";

    (void)state;
    static const char *const free_names[] = { "room-1", "users",      "table",    "Table:s.t",
                                              "a:b",    "realtime:x", "fluxbase:" };
    for (size_t i = 0; i < sizeof free_names / sizeof free_names[0]; i++) {
        assert_int_equal(kind_of(free_names[i]), FLUXBASE_FREE);
    }
    check_name("room-1", "broadcast:room-1");
    check_name("broadcast:room-1", "broadcast:room-1");
    check_name("presence:room-1", "presence:room-1");
    memset(longest + 10, 'x', 245);
    check_name(longest + 10, longest);
    longest[255] = 'x';
    assert_int_equal(kind_of(longest + 10), FLUXBASE_NO_CHANNEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_grammar),
        cmocka_unit_test(test_free_names_are_other_names_for_broadcast_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
