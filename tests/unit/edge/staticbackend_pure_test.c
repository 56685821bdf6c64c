/* What of seed 004 needs no connection: permission suffixes, documents, messages in both directions, ids of connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/staticbackend/document.h"
#include "edge/staticbackend/in.h"
#include "edge/staticbackend/out.h"
#include "edge/staticbackend/permission.h"
#include "edge/staticbackend/sid.h"

static struct rt_span span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, strlen(text) };
}

static void assert_span(struct rt_span got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

/* --- permissions --------------------------------------------------------------------------------------------------- */

static void test_every_suffix_means_its_broadest_reader(void **state)
{
    char name[] = "tasks_000_";

    (void)state;
    for (int digits = 0; digits < 1000; digits++) {
        int account = digits / 10 % 10;
        int everyone = digits % 10;
        enum sb_level expected = everyone >= 4 && everyone <= 7 ? SB_EVERYONE
                                 : account >= 4 && account <= 7 ? SB_ACCOUNT
                                                                : SB_OWNER;
        name[6] = (char)('0' + digits / 100);
        name[7] = (char)('0' + account);
        name[8] = (char)('0' + everyone);
        assert_true(sb_has_suffix(span(name)));
        assert_int_equal(sb_level_of(span(name)), expected);
    }
}

static void test_names_without_a_suffix_are_740(void **state)
{
    static const char *const names[] = { "tasks",       "tasks_760",  "tasks760_",   "_760_tasks",
                                         "tasks_7600_", "tasks_76a_", "tasks_760_x", "",
                                         "60_" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(sb_has_suffix(span(names[i])));
        assert_int_equal(sb_level_of(span(names[i])), SB_ACCOUNT);
    }
    assert_int_equal(sb_level_of(span("pub_news")), SB_EVERYONE);
    assert_int_equal(sb_level_of(span("pub_news_700_")), SB_EVERYONE);
    assert_int_equal(sb_level_of(span("public")), SB_ACCOUNT);
}

static void test_what_is_no_repository(void **state)
{
    char longest[65];

    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_true(sb_is_repository((struct rt_span){ (const uint8_t *)longest, 63 }));
    assert_false(sb_is_repository((struct rt_span){ (const uint8_t *)longest, 64 }));
    assert_false(sb_is_repository(span("")));
    assert_false(sb_is_repository(span("sb_tokens")));
    assert_false(sb_is_repository(span("SB_tokens")));
    assert_false(sb_is_repository(span("a\nb")));
    assert_true(sb_is_repository(span("a.b")));
}

static void test_database_channels(void **state)
{
    struct rt_span repository = { NULL, 0 };

    (void)state;
    assert_true(sb_is_database_channel(span("db-tasks_760_"), &repository));
    assert_span(repository, "tasks_760_");
    assert_true(sb_is_database_channel(span("DB-x"), &repository));
    assert_span(repository, "x");
    assert_true(sb_is_database_channel(span("db-"), &repository));
    assert_int_equal(repository.len, 0);
    assert_false(sb_is_database_channel(span("db"), &repository));
    assert_false(sb_is_database_channel(span("xdb-tasks"), &repository));
}

/* --- documents ------------------------------------------------------------------------------------------------------ */

static const struct sb_names names = { "id",   "account_id", "owner_id",
                                       "data", "accountId",  "ownerId" };

static void check_document(const char *record, const char *expected)
{
    struct sb_row row;
    struct rt_buf out = { 0 };

    sb_row_read(span(record), &names, &row);
    sb_document_write(&out, span(record), &row);
    assert_string_equal(rt_buf_cstr(&out), expected);
    rt_buf_fini(&out);
}

static void test_documents(void **state)
{
    (void)state;
    check_document(
        "{\"id\":\"1\",\"account_id\":\"a\",\"owner_id\":\"o\",\"data\":{\"n\":[1,{\"x\":"
        "\"}\\\"{\"}],\"id\":9,\"accountId\":\"b\"},\"created\":\"now\"}",
        "{\"id\":\"1\",\"accountId\":\"a\",\"n\":[1,{\"x\":\"}\\\"{\"}]}");
    check_document("{\"id\":7,\"data\":{}}", "{\"id\":7}");
    check_document("{\"id\":7,\"data\":{\"accountId\":\"m\"}}", "{\"id\":7,\"accountId\":\"m\"}");
    /* Other columns, or no object: as it is. */
    check_document("{\"id\":7,\"name\":\"n\",\"data\":{\"a\":1}}",
                   "{\"id\":7,\"name\":\"n\",\"data\":{\"a\":1}}");
    check_document("{\"id\":7,\"data\":[1]}", "{\"id\":7,\"data\":[1]}");
}

static void test_whose_a_row_is(void **state)
{
    struct sb_row row;

    (void)state;
    sb_row_read(
        span("{\"id\":1,\"account_id\":\"a\",\"owner_id\":null,\"data\":{\"accountId\":\"x\","
             "\"ownerId\":\"y\"}}"),
        &names, &row);
    assert_true(sb_value_is(row.account, span("\"a\"")));
    assert_false(sb_value_is(row.account, span("\"x\"")));
    assert_int_equal(row.owner.len, 0); /* the column says nobody; the member does not count */
    assert_true(sb_row_has_owner(&row));

    sb_row_read(span("{\"id\":1,\"data\":{\"accountId\":42,\"ownerId\":\"y\\\"\"}}"), &names, &row);
    assert_true(sb_value_is(row.account, span("\"42\"")));
    assert_false(sb_value_is(row.account, span("\"4\"")));
    assert_true(sb_value_is(row.owner, span("\"y\\\"\"")));

    sb_row_read(span("{\"id\":1}"), &names, &row);
    assert_false(sb_row_has_account(&row));
    assert_false(sb_value_is(row.account, span("\"\"")));
}

static void test_nobody_is_nobody(void **state)
{
    (void)state;
    assert_false(sb_value_is(span("\"\""), span("\"\"")));
    assert_false(sb_value_is(span("true"), span("\"true\"")));
    assert_false(sb_value_is(span("null"), span("\"null\"")));
    assert_false(sb_value_is(span("{\"a\":1}"), span("\"{\\\"a\\\":1}\"")));
    assert_true(sb_value_is(span("-1"), span("\"-1\"")));
}

static void test_broken_texts_belong_to_nobody(void **state)
{
    static const char whole[] =
        "{\"id\":\"1\",\"account_id\":\"a\",\"owner_id\":\"o\",\"data\":{\"n\":[\"\\\\\"]}}";

    (void)state;
    for (size_t len = 0; len + 1 < sizeof whole; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        struct sb_row row;
        struct rt_buf out = { 0 };
        assert_non_null(exact);
        memcpy(exact, whole, len);
        sb_row_read((struct rt_span){ exact, len }, &names, &row);
        sb_document_write(&out, (struct rt_span){ exact, len }, &row);
        rt_buf_fini(&out);
        free(exact);
    }
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static void test_messages_of_the_client(void **state)
{
    struct sb_message message;

    (void)state;
    assert_null(
        sb_message_read(span("{\"sid\":\"s\",\"token\":null,\"type\":\"chan_in\",\"data\":\"d\","
                             "\"channel\":\"c\",\"more\":{}}"),
                        &message));
    assert_int_equal(message.type, SB_CHAN_IN);
    assert_span(message.sid, "s");
    assert_span(message.token, "");
    assert_span(message.data, "d");
    assert_span(message.channel, "c");
    sb_message_fini(&message);
    assert_null(sb_message_read(span("{\"type\":\"auth\",\"data\":\"t\"}"), &message));
    assert_int_equal(message.type, SB_AUTH);
    sb_message_fini(&message);
    assert_null(sb_message_read(span("{\"type\":\"presence\"}"), &message));
    assert_int_equal(message.type, SB_OTHER);
    assert_span(message.type_name, "presence");
    sb_message_fini(&message);
}

static void test_what_is_no_message(void **state)
{
    static const char *const texts[] = { "",
                                         "[]",
                                         "1",
                                         "{",
                                         "{\"type\":1}",
                                         "{\"data\":{}}",
                                         "{\"sid\":\"a\",\"sid\":\"b\"}",
                                         "{\"channel\":\"\\u0001\"}",
                                         "{\"type\":\"join\",\"data\":\"a\\nb\"}",
                                         "{\"data\":\"\\u0000\"}",
                                         "{\"data\":\"\\ud800\"}" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sb_message message;
        if (sb_message_read(span(texts[i]), &message) == NULL) {
            fail_msg("accepted: %s", texts[i]);
        }
        sb_message_fini(&message);
    }
}

static void test_five_members_always(void **state)
{
    struct rt_buf out = { 0 };

    (void)state;
    sb_out_message(&out, span("s"), "joined", span("a\"\n"), span(""));
    assert_string_equal(rt_buf_cstr(&out),
                        "{\"sid\":\"s\",\"type\":\"joined\",\"data\":\"a\\\"\\n\","
                        "\"channel\":\"\",\"token\":\"\"}");
    rt_buf_clear(&out);
    sb_out_message_json(&out, span(""), "db_created", span("\"{}\""), span("db-x"));
    assert_string_equal(rt_buf_cstr(&out), "{\"sid\":\"\",\"type\":\"db_created\",\"data\":\"{}\","
                                           "\"channel\":\"db-x\",\"token\":\"\"}");
    rt_buf_fini(&out);
}

/* --- ids ------------------------------------------------------------------------------------------------------------- */

static void test_an_id_names_its_process(void **state)
{
    static const char *const hosts[] = { "AAAAAA", "______", "aZ09-_", "QWERTY" };
    char sid[37];
    char again[37];
    char host[HANDOVER_NAME_LEN];

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        sb_sid_make(hosts[i], sid);
        sb_sid_make(hosts[i], again);
        assert_int_equal(strlen(sid), 36);
        assert_int_equal(sid[14], '8');
        assert_string_not_equal(sid, again);
        assert_true(sb_sid_host(span(sid), host));
        assert_memory_equal(host, hosts[i], HANDOVER_NAME_LEN);
    }
    assert_false(sb_sid_host(span(""), host));
    assert_false(sb_sid_host(span("zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"), host));
    assert_false(sb_sid_host(span("00000000-0"), host));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_suffix_means_its_broadest_reader),
        cmocka_unit_test(test_names_without_a_suffix_are_740),
        cmocka_unit_test(test_what_is_no_repository),
        cmocka_unit_test(test_database_channels),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_whose_a_row_is),
        cmocka_unit_test(test_nobody_is_nobody),
        cmocka_unit_test(test_broken_texts_belong_to_nobody),
        cmocka_unit_test(test_messages_of_the_client),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_five_members_always),
        cmocka_unit_test(test_an_id_names_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
