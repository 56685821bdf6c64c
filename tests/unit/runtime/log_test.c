/* Unit tests of runtime/log.h. Lines go to a memory file; the clock of the limit is the test's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/log.h"

struct fixture {
    struct rt_log *log;
    int fd;
    rt_usec now;
    char text[65536];
};

static rt_usec fixture_now(void *ctx)
{
    const struct fixture *f = ctx;
    return f->now;
}

static int setup_format(void **state, enum rt_log_format format)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture.fd = memfd_create("log", MFD_CLOEXEC);
    fixture.log = rt_log_new("broker-0", RT_LOG_INFO, format);
    rt_log_set_output(fixture.log, fixture.fd);
    rt_log_set_clock(fixture.log, fixture_now, &fixture);
    *state = &fixture;
    return fixture.fd >= 0 ? 0 : -1;
}

static int setup(void **state)
{
    return setup_format(state, RT_LOG_KV);
}

static int setup_json(void **state)
{
    return setup_format(state, RT_LOG_JSON);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rt_log_free(f->log);
    return close(f->fd);
}

/* What was written since the last call. */
static const char *written(struct fixture *f)
{
    ssize_t got = pread(f->fd, f->text, sizeof(f->text) - 1, 0);
    assert_true(got >= 0);
    f->text[got] = '\0';
    assert_int_equal(ftruncate(f->fd, 0), 0);
    (void)lseek(f->fd, 0, SEEK_SET);
    return f->text;
}

/* A line without its time. */
static const char *after_time(const char *line)
{
    const char *space = strchr(line, ' ');
    assert_non_null(space);
    return space + 1;
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n' ? 1 : 0;
    }
    return lines;
}

static void test_a_line_has_time_level_tier_event_and_values(void **state)
{
    struct fixture *f = *state;
    rt_log_info(f->log, "slot.streaming", RT_S("slot", "pgtide"), RT_U("timeline", 3),
                RT_I("delta", -4), RT_R("rate", 0.5), RT_SN("part", "abcdef", 3));

    const char *line = written(f);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[26], 'Z');
    assert_string_equal(
        after_time(line),
        "info broker-0 slot.streaming slot=pgtide timeline=3 delta=-4 rate=0.5 part=abc\n");
}

static void test_an_event_needs_no_values(void **state)
{
    struct fixture *f = *state;
    rt_log_warn(f->log, "link.down");

    assert_string_equal(after_time(written(f)), "warn broker-0 link.down\n");
}

static void test_a_value_cannot_forge_a_line_or_a_field(void **state)
{
    struct fixture *f = *state;
    rt_log_info(f->log, "client.said", RT_S("text", "x\n2026 error admin=1 \"q\" \\ \x1b[2J"),
                RT_S("empty", ""), RT_S("none", NULL));

    assert_string_equal(after_time(written(f)),
                        "info broker-0 client.said text=\"x\\n2026 error admin=1 "
                        "\\\"q\\\" \\\\ \\u001b[2J\" empty=\"\" none=-\n");
}

static void test_bytes_that_are_not_utf8_or_steer_a_terminal_are_replaced(void **state)
{
    struct fixture *f = *state;
    rt_log_info(f->log, "client.said", RT_S("good", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8a"),
                RT_S("bad", "\xff\xc0\xaf\xed\xa0\x80"), RT_S("c1", "\xc2\x9b"),
                RT_S("cut", "\xe2\x82"));

    assert_string_equal(
        after_time(written(f)),
        "info broker-0 client.said good=\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8a\" "
        "bad=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\" "
        "c1=\"\\u009b\" cut=\"\xef\xbf\xbd\xef\xbf\xbd\"\n");
}

static void test_a_long_value_is_cut(void **state)
{
    struct fixture *f = *state;
    char value[4000];
    memset(value, 'a', sizeof(value));
    rt_log_info(f->log, "client.said", RT_SN("text", value, sizeof(value)));

    const char *line = written(f);
    assert_true(strlen(line) < 1200);
    assert_non_null(strstr(line, "aaa...\"\n"));
}

static void test_json_lines_are_json(void **state)
{
    struct fixture *f = *state;
    rt_log_error(f->log, "slot.lost", RT_S("slot", "a\"b\n"), RT_U("n", 7), RT_R("r", (double)NAN),
                 RT_S("none", NULL));

    const char *line = written(f);
    assert_memory_equal(line, "{\"time\":\"2", 10);
    assert_string_equal(strchr(line, ',') + 1,
                        "\"level\":\"error\",\"tier\":\"broker-0\",\"event\":\"slot.lost\","
                        "\"slot\":\"a\\\"b\\n\",\"n\":7,\"r\":\"nan\",\"none\":\"-\"}\n");
}

static void test_lines_below_the_level_are_not_written(void **state)
{
    struct fixture *f = *state;
    rt_log_debug(f->log, "loop.turn");
    assert_string_equal(written(f), "");

    rt_log_set_level(f->log, RT_LOG_DEBUG);
    assert_true(rt_log_enabled(f->log, RT_LOG_DEBUG));
    rt_log_debug(f->log, "loop.turn");
    assert_int_equal(count_lines(written(f)), 1);

    rt_log_set_level(f->log, RT_LOG_ERROR);
    rt_log_warn(f->log, "loop.slow");
    assert_string_equal(written(f), "");
}

static void say_often(struct fixture *f, int times)
{
    for (int i = 0; i < times; i++) {
        rt_log_info(f->log, "client.refused", RT_I("i", i));
    }
}

static void test_twenty_lines_of_an_event_per_second_are_written_and_the_rest_counted(void **state)
{
    struct fixture *f = *state;
    say_often(f, 50);
    assert_int_equal(count_lines(written(f)), 20);

    f->now += RT_SEC - 1;
    say_often(f, 1);
    assert_string_equal(written(f), "");

    f->now += 1;
    say_often(f, 2);
    const char *text = written(f);
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "i=0 suppressed=31\n"));
    assert_non_null(strstr(text, "i=1\n"));
}

static void test_one_noisy_event_does_not_silence_another(void **state)
{
    struct fixture *f = *state;
    say_often(f, 100);
    (void)written(f);

    rt_log_error(f->log, "slot.lost", RT_S("slot", "pgtide"));
    assert_int_equal(count_lines(written(f)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_has_time_level_tier_event_and_values, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_event_needs_no_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_cannot_forge_a_line_or_a_field, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_bytes_that_are_not_utf8_or_steer_a_terminal_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_value_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_lines_are_json, setup_json, teardown),
        cmocka_unit_test_setup_teardown(test_lines_below_the_level_are_not_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_twenty_lines_of_an_event_per_second_are_written_and_the_rest_counted, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_one_noisy_event_does_not_silence_another, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
