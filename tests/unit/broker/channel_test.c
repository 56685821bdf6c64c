/* Tests of broker/channel: what is a channel, and what a refusal says. */
#include "broker/channel.h"
#include "tests/unit/broker/kit.h"

static void assert_refused(const char *text, size_t len, const char *word)
{
    struct channel channel;
    const char *why = NULL;

    assert_false(channel_parse((struct wire_span){ text, len }, &channel, &why));
    assert_non_null(strstr(why, word));
}

static void assert_parts(const char *text, const char *schema, const char *table)
{
    struct channel channel;
    const char *why = NULL;

    assert_true(channel_parse(kit_text(text), &channel, &why));
    assert_int_equal(channel.schema.len, strlen(schema));
    assert_memory_equal(channel.schema.data, schema, channel.schema.len);
    assert_int_equal(channel.table.len, strlen(table));
    assert_memory_equal(channel.table.data, table, channel.table.len);
}

static void test_table_channel_has_schema_and_table(void **state)
{
    (void)state;
    assert_parts("table:public.users", "public", "users");
    assert_parts("table:S.a.b", "S", "a.b");
    assert_parts("table:sch\xc3\xa4ma.t\xf0\x9f\x98\x80", "sch\xc3\xa4ma", "t\xf0\x9f\x98\x80");
}

static void test_other_kinds_are_refused(void **state)
{
    (void)state;
    assert_refused("presence:room", 13, "table:");
    assert_refused("", 0, "table:");
    assert_refused("TABLE:a.b", 9, "table:");
}

static void test_missing_parts_are_refused(void **state)
{
    (void)state;
    assert_refused("table:", 6, "schema");
    assert_refused("table:users", 11, "schema");
    assert_refused("table:.users", 12, "63");
    assert_refused("table:public.", 13, "63");
}

static void test_names_longer_than_a_name_can_be_are_refused(void **state)
{
    char text[WIRE_CHANNEL_MAX + 64];

    (void)state;
    (void)snprintf(text, sizeof(text), "table:p.");
    memset(text + 8, 'x', sizeof(text) - 8);
    assert_refused(text, 8 + WIRE_NAME_MAX + 1, "63");
    assert_refused(text, WIRE_CHANNEL_MAX + 1, "long");
}

static void test_unclean_text_is_refused(void **state)
{
    static const char *const bad[] = { "table:a.b\x01",
                                       "table:a.b\x7f",
                                       "table:a.\xc0\x80",
                                       "table:a.\xed\xa0\x80",
                                       "table:a.\xf5\x80\x80\x80",
                                       "table:a.\xe0\x80\x80",
                                       "table:a.\xf0\x80\x80\x80",
                                       "table:a.\xf4\x90\x80\x80",
                                       "table:a.\xc3",
                                       "table:a.\x80",
                                       "table:a.\xc2\x85" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(bad[i], strlen(bad[i]), "UTF-8");
    }
    assert_refused("table:a.b\0c", 11, "UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_channel_has_schema_and_table),
        cmocka_unit_test(test_other_kinds_are_refused),
        cmocka_unit_test(test_missing_parts_are_refused),
        cmocka_unit_test(test_names_longer_than_a_name_can_be_are_refused),
        cmocka_unit_test(test_unclean_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
