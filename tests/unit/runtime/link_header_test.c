#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/link_header.h"

static size_t frame_of(uint8_t *out, const char *name, enum link_kind kind, const char *payload)
{
    size_t len = strlen(payload);
    size_t prefix = link_frame_prefix(name, kind, 0x1122334455667788ULL, (uint32_t)len, out);
    link_frame_set_seq(out, prefix, 9);
    for (size_t i = 0; i < len; i++) {
        out[prefix + i] = (uint8_t)payload[i];
    }
    return prefix + len;
}

static bool decodes(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len + (len == 0));
    memcpy(exact, bytes, len);
    struct link_frame frame;
    bool ok = link_frame_decode((struct rt_span){ exact, len }, &frame);
    free(exact);
    return ok;
}

static struct link_control sample(enum link_type type)
{
    return (struct link_control){ .type = type,
                                  .link_version = LINK_VERSION,
                                  .app_version = 3,
                                  .peer = UINT64_MAX,
                                  .nonce = 4,
                                  .name = { (const uint8_t *)"shard-0", 7 },
                                  .epoch = 5,
                                  .session = 6,
                                  .seq = 7,
                                  .from = 8,
                                  .to = 9,
                                  .last = 10,
                                  .bytes = 11,
                                  .sent = 12,
                                  .received = 13,
                                  .flag = true,
                                  .body = { (const uint8_t *)"text", 4 } };
}

static void test_frame_header_is_as_the_header_file_draws_it(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t len = frame_of(bytes, "s-1", LINK_DATA, "xy");

    const uint8_t expected[] = { 's', '-', '1',  0,    'p',  's',  1,    1,    0,    0,
                                 0,   2,   0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                                 0,   0,   0,    0,    0,    0,    0,    9,    'x',  'y' };
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(bytes, expected, len);
}

static void test_frame_comes_back_as_it_was_written(void **state)
{
    (void)state;
    uint8_t bytes[128];
    struct link_frame frame;
    size_t len = frame_of(bytes, "shard-0", LINK_DATA, "payload");

    assert_true(link_frame_decode((struct rt_span){ bytes, len }, &frame));

    assert_int_equal(frame.name.len, 7);
    assert_int_equal(frame.kind, LINK_DATA);
    assert_int_equal(frame.epoch, 0x1122334455667788ULL);
    assert_int_equal(frame.seq, 9);
    assert_int_equal(frame.payload.len, 7);
    assert_memory_equal(frame.payload.data, "payload", 7);
}

static void test_frame_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t len = frame_of(bytes, "shard-0", LINK_DATA, "payload");

    for (size_t cut = 0; cut < len; cut++) {
        assert_false(decodes(bytes, cut));
    }
    assert_true(decodes(bytes, len));
}

static void test_frame_with_a_wrong_header_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[128];
    const struct {
        size_t at;
        uint8_t value;
    } wrong[] = { { 0, 'S' }, { 0, 0 },  { 8, 'x' }, { 9, 'x' },
                  { 10, 2 },  { 11, 0 }, { 11, 3 },  { 11, LINK_HEARTBEAT },
                  { 15, 8 },  { 31, 0 } };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t len = frame_of(bytes, "shard-0", LINK_DATA, "payload");
        bytes[wrong[i].at] = wrong[i].value;
        assert_false(decodes(bytes, len));
    }
}

static void test_last_number_of_all_is_refused_so_that_none_wraps(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t len = frame_of(bytes, "s", LINK_DATA, "");

    link_frame_set_seq(bytes, len, UINT64_MAX);

    assert_false(decodes(bytes, len));
}

static void test_stream_names_have_a_small_alphabet(void **state)
{
    (void)state;
    char longest[LINK_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));

    assert_true(link_name_valid("edge-0123456789abcdef.x", 23));
    assert_true(link_name_valid(longest, LINK_NAME_MAX));
    assert_false(link_name_valid(longest, LINK_NAME_MAX + 1));
    assert_false(link_name_valid("", 0));
    assert_false(link_name_valid("A", 1));
    assert_false(link_name_valid("a b", 3));
    assert_false(link_name_valid("a\0b", 3));
}

static void test_every_message_comes_back_as_it_was_written(void **state)
{
    (void)state;
    for (int type = LINK_HELLO; type <= LINK_ANSWER; type++) {
        struct rt_buf first = { 0 };
        struct rt_buf second = { 0 };
        struct link_control in = sample((enum link_type)type);
        struct link_control out;
        link_control_encode(&in, &first);

        assert_true(first.len <= LINK_CONTROL_MAX + in.body.len);
        assert_true(link_control_decode(rt_buf_span(&first), &out));
        link_control_encode(&out, &second);

        assert_int_equal(out.type, type);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
        rt_buf_fini(&first);
        rt_buf_fini(&second);
    }
}

static void test_message_that_is_cut_or_too_long_is_refused(void **state)
{
    (void)state;
    for (int type = LINK_HELLO; type <= LINK_ANSWER; type++) {
        struct rt_buf bytes = { 0 };
        struct link_control in = sample((enum link_type)type);
        struct link_control out;
        in.body.len = 0;
        link_control_encode(&in, &bytes);

        for (size_t cut = 0; cut < bytes.len; cut++) {
            uint8_t *exact = malloc(cut + (cut == 0));
            memcpy(exact, bytes.data, cut);
            assert_false(link_control_decode((struct rt_span){ exact, cut }, &out));
            free(exact);
        }
        rt_buf_putc(&bytes, 0);
        bool has_body = type == LINK_MESSAGE || type == LINK_REFUSE;
        assert_int_equal(link_control_decode(rt_buf_span(&bytes), &out), has_body);
        rt_buf_fini(&bytes);
    }
}

static void test_bodies_have_their_limits(void **state)
{
    (void)state;
    struct rt_buf bytes = { 0 };
    struct link_control out;
    struct link_control in = sample(LINK_REFUSE);
    uint8_t text[LINK_TEXT_MAX + 1] = { 0 };

    in.body = (struct rt_span){ text, LINK_TEXT_MAX };
    link_control_encode(&in, &bytes);
    assert_true(link_control_decode(rt_buf_span(&bytes), &out));
    rt_buf_putc(&bytes, 'x');
    assert_false(link_control_decode(rt_buf_span(&bytes), &out));
    rt_buf_fini(&bytes);
}

static void test_hello_of_another_version_is_understood_up_to_its_name(void **state)
{
    (void)state;
    struct rt_buf bytes = { 0 };
    struct link_control out;
    struct link_control in = sample(LINK_HELLO);
    in.link_version = LINK_VERSION + 1;
    link_control_encode(&in, &bytes);
    rt_buf_puts(&bytes, "what the future adds");

    assert_true(link_control_decode(rt_buf_span(&bytes), &out));

    assert_int_equal(out.link_version, LINK_VERSION + 1);
    assert_int_equal(out.app_version, 3);
    assert_int_equal(out.nonce, 4);
    assert_memory_equal(out.name.data, "shard-0", 7);
    rt_buf_fini(&bytes);
}

static void test_unknown_types_and_flags_are_refused(void **state)
{
    (void)state;
    struct rt_buf bytes = { 0 };
    struct link_control out;
    struct link_control in = sample(LINK_ACK);
    link_control_encode(&in, &bytes);

    bytes.data[bytes.len - 1] = 2;
    assert_false(link_control_decode(rt_buf_span(&bytes), &out));
    bytes.data[bytes.len - 1] = 1;
    bytes.data[0] = 0;
    assert_false(link_control_decode(rt_buf_span(&bytes), &out));
    bytes.data[0] = LINK_ANSWER + 1;
    assert_false(link_control_decode(rt_buf_span(&bytes), &out));
    rt_buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_header_is_as_the_header_file_draws_it),
        cmocka_unit_test(test_frame_comes_back_as_it_was_written),
        cmocka_unit_test(test_frame_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(test_frame_with_a_wrong_header_is_refused),
        cmocka_unit_test(test_last_number_of_all_is_refused_so_that_none_wraps),
        cmocka_unit_test(test_stream_names_have_a_small_alphabet),
        cmocka_unit_test(test_every_message_comes_back_as_it_was_written),
        cmocka_unit_test(test_message_that_is_cut_or_too_long_is_refused),
        cmocka_unit_test(test_bodies_have_their_limits),
        cmocka_unit_test(test_hello_of_another_version_is_understood_up_to_its_name),
        cmocka_unit_test(test_unknown_types_and_flags_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
