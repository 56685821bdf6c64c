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
    static const char *const bad[] = {
        "",          "table",      "table:",     "table:t",     "table:.t",
        "table:s.",  "table:.",    "Table:s.t",  "table:s.t\n", "table:s\x7f.t",
        "presence:", "broadcast:", "realtime:x", "users"
    };
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
