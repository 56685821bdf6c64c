/* Unit tests of runtime/config.h: what a file may say, its values and its keys. */
#include "tests/unit/runtime/config_fixture.h"

/* --- values --- */

static void test_without_sources_every_option_has_its_default(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, NULL);

    assert_int_equal(f->config->shards, 1);
    assert_true(f->config->realtime_enabled);
    assert_int_equal(f->config->realtime_heartbeat_interval, 30 * RT_SEC);
    assert_int_equal(f->config->realtime_client_budget, 16 << 20);
    assert_string_equal(f->config->auth_jwt_key, "");
    assert_string_equal(f->config->database_slot, "pgtide");
}

static void test_the_block_of_the_fluxbase_manual_loads_as_it_stands(void **state)
{
    struct fixture *f = *state;
    assert_loads(f,
                 "realtime:\n  enabled: true\n  heartbeat_interval: 30s\n  max_connections: 1000\n"
                 "  read_buffer_size: 1024\n  write_buffer_size: 1024\n");

    assert_int_equal(f->config->realtime_read_buffer_size, 1024);
    assert_int_equal(f->config->realtime_write_buffer_size, 1024);
    assert_int_equal(f->config->realtime_max_connections, 1000);
}

static void test_groups_may_be_written_in_flow_style_or_with_dots(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "realtime: {heartbeat_interval: 45s}\nlog.level: debug\nbroker:\n");

    assert_int_equal(f->config->realtime_heartbeat_interval, 45 * RT_SEC);
    assert_string_equal(f->config->log_level, "debug");
}

static void test_groups_may_hold_groups(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "edge:\n  compression:\n    enabled: false\n    threshold: 2KiB\n"
                    "edge.compression.level: 6\n");

    assert_false(f->config->edge_compression_enabled);
    assert_int_equal(f->config->edge_compression_threshold, 2048);
    assert_int_equal(f->config->edge_compression_level, 6);
}

static void test_durations_have_units(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        rt_usec value;
    } cases[] = { { "500ms", 500 * RT_MSEC }, { "2m", 120 * RT_SEC },
                  { "1h", 3600 * RT_SEC },    { "0", 0 },
                  { "1m30s", 90 * RT_SEC },   { "\"10s\"", 10 * RT_SEC } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char yaml[64];
        (void)snprintf(yaml, sizeof(yaml), "drain_timeout: %s\n", cases[i].text);
        assert_loads(f, yaml);
        assert_int_equal(f->config->drain_timeout, cases[i].value);
    }
    static const char *const wrong[] = {
        "30", "30 s", "s", "-1s", "1.5s", "30S", "1s2", "99999999999999999999s", "9999999999999d"
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char yaml[64];
        char error[256];
        (void)snprintf(yaml, sizeof(yaml), "drain_timeout: %s\n", wrong[i]);
        (void)snprintf(error, sizeof(error),
                       "pgtide.yml:1: drain_timeout: \"%s\" is not a duration with its unit: "
                       "500ms, 30s, 2m, 1h, 2d\n",
                       wrong[i]);
        assert_refused(f, yaml, error);
    }
}

static void test_sizes_may_have_binary_units(void **state)
{
    struct fixture *f = *state;
    assert_loads(f,
                 "links: {tailer_ring: 1GiB, edge_ring: 2097152}\ndatabase: {max_value: 64KiB}\n");
    assert_int_equal(f->config->links_tailer_ring, 1 << 30);
    assert_int_equal(f->config->links_edge_ring, 2 << 20);
    assert_int_equal(f->config->database_max_value, 65536);

    assert_refused(
        f, "links:\n  tailer_ring: 1GB\n",
        "pgtide.yml:2: links.tailer_ring: \"1GB\" is not a size: 4096, 64KiB, 1MiB, 1GiB\n");
}

static void test_values_out_of_range_are_told_the_range(void **state)
{
    struct fixture *f = *state;
    assert_refused(
        f, "realtime:\n  heartbeat_interval: 2h\n  read_buffer_size: 2MiB\nshards: 0\n",
        "pgtide.yml:2: realtime.heartbeat_interval: 2h is out of range; allowed: 100ms to 1h\n"
        "pgtide.yml:3: realtime.read_buffer_size: 2MiB is out of range; allowed: 128 to 1MiB\n"
        "pgtide.yml:4: shards: 0 is out of range; allowed: 1 to 1024\n");
}

static void test_switches_and_numbers_are_strict(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "realtime: {enabled: off, reject_with_401: yes}\n");
    assert_false(f->config->realtime_enabled);
    assert_true(f->config->realtime_reject_with_401);

    assert_refused(f, "realtime: {enabled: 1}\n",
                   "pgtide.yml:1: realtime.enabled: \"1\" is not true or false\n");
    assert_refused(f, "shards: two\n", "pgtide.yml:1: shards: \"two\" is not a whole number\n");
    assert_refused(f, "shards: 2.0\n", "pgtide.yml:1: shards: \"2.0\" is not a whole number\n");
    assert_refused(f, "shards: 99999999999999999999\n",
                   "pgtide.yml:1: shards: \"99999999999999999999\" is not a whole number\n");
}

static void test_a_list_is_a_sequence_or_a_comma_separated_text(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "auth:\n  algorithms: [HS256, HS512]\n  roles:\n    - anon\n    - admin\n");
    assert_string_equal(f->config->auth_algorithms, "HS256,HS512");
    assert_string_equal(f->config->auth_roles, "anon,admin");

    assert_refused(f, "auth:\n  roles: [\"a,b\"]\nshards: [1]\n",
                   "pgtide.yml:2: auth.roles: an item of a list must not be empty or hold a comma\n"
                   "pgtide.yml:3: shards: needs one value, not a list\n");
}

static void test_an_empty_value_is_an_empty_text_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "auth:\n  jwt_key:\n");
    assert_string_equal(f->config->auth_jwt_key, "");

    assert_refused(
        f, "shards:\n",
        "pgtide.yml:1: shards: has no value; give it a whole number, or remove the line\n");
}

/* --- keys --- */

static void test_unknown_keys_are_refused_with_line_and_suggestion(void **state)
{
    struct fixture *f = *state;
    assert_refused(
        f,
        "realtime:\n  enabled: true\n  hartbeat_interval: 30s\nheartbeat_interval: 1s\nrealtme: "
        "{enabled: true}\n"
        "colour: blue\n",
        "pgtide.yml:3: realtime.hartbeat_interval: unknown key; did you mean "
        "realtime.heartbeat_interval?\n"
        "pgtide.yml:4: heartbeat_interval: unknown key; did you mean realtime.heartbeat_interval?\n"
        "pgtide.yml:5: realtme: unknown key; did you mean realtime?\n"
        "pgtide.yml:6: colour: unknown key\n");
}

static void test_a_key_given_twice_is_refused_with_both_lines(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "shards: 1\nlog: {level: info}\nshards: 2\nlog:\n  format: kv\n",
                   "pgtide.yml:3: shards: given twice; the first is in line 1\n"
                   "pgtide.yml:4: log: given twice; the first is in line 2\n");
}

static void test_groups_and_values_are_not_confused(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "realtime: 30s\nshards:\n  count: 2\n",
                   "pgtide.yml:1: realtime: is a group; its keys go below it, indented\n"
                   "pgtide.yml:2: shards: needs a value, not a group of keys\n");
    assert_refused(f, "- shards\n", "pgtide.yml:1: a configuration is a mapping: key: value\n");
    assert_refused(f, "just text\n", "pgtide.yml:1: a configuration is a mapping: key: value\n");
    assert_refused(f, "[a]: 1\n", "pgtide.yml:1: a key must be a plain name\n");
    assert_loads(f, "");
    assert_loads(f, "# nothing but a comment\n---\n");
}

static void test_yaml_that_a_configuration_does_not_need_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char anchors[] =
        ": anchors and aliases (& and *) are not supported; write the value where it is used\n";
    char expected[160];
    (void)snprintf(expected, sizeof(expected), "pgtide.yml:2%s", anchors);
    assert_refused(f, "shards: 1\nlog: &a {level: info}\n", expected);
    assert_refused(f, "shards: 1\nlog: *a\n", expected);
    assert_refused(f, "shards: !!int 1\n",
                   "pgtide.yml:1: tags (!…) are not supported; write the plain value\n");
    assert_refused(
        f, "shards: 1\n---\nshards: 2\n",
        "pgtide.yml:2: a second document (---) starts here; a configuration is one document\n");
    assert_refused(f, "log: [[[[[[[[[[1]]]]]]]]]]\n",
                   "pgtide.yml:1: nested too deeply; options are at most three levels deep\n");
}

static void test_broken_yaml_is_refused_with_its_line(void **state)
{
    struct fixture *f = *state;
    assert_false(load(f, "shards: 1\nlog: {level: info\n", NULL, NULL));
    assert_memory_equal(f->errors.data, "pgtide.yml:3: not valid YAML: ", 30);
    assert_false(load(f, "shards: 1\n\tlog: 1\n", NULL, NULL));
    assert_memory_equal(f->errors.data, "pgtide.yml:2: not valid YAML: ", 30);
    assert_false(load(f, "database: {slot: \"\xff\"}\n", NULL, NULL));
    assert_non_null(strstr(rt_buf_cstr(&f->errors), "not valid YAML"));
}

static void test_values_with_control_characters_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_refused(
        f, "auth: {anon_role: \"a\\0b\"}\nlog.level: \"in\\nfo\"\n",
        "pgtide.yml:1: auth.anon_role: the value has a control character or a line break in it\n"
        "pgtide.yml:2: log.level: the value has a control character or a line break in it\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_without_sources_every_option_has_its_default),
        CONFIG_TEST(test_the_block_of_the_fluxbase_manual_loads_as_it_stands),
        CONFIG_TEST(test_groups_may_be_written_in_flow_style_or_with_dots),
        CONFIG_TEST(test_groups_may_hold_groups),
        CONFIG_TEST(test_durations_have_units),
        CONFIG_TEST(test_sizes_may_have_binary_units),
        CONFIG_TEST(test_values_out_of_range_are_told_the_range),
        CONFIG_TEST(test_switches_and_numbers_are_strict),
        CONFIG_TEST(test_a_list_is_a_sequence_or_a_comma_separated_text),
        CONFIG_TEST(test_an_empty_value_is_an_empty_text_and_nothing_else),
        CONFIG_TEST(test_unknown_keys_are_refused_with_line_and_suggestion),
        CONFIG_TEST(test_a_key_given_twice_is_refused_with_both_lines),
        CONFIG_TEST(test_groups_and_values_are_not_confused),
        CONFIG_TEST(test_yaml_that_a_configuration_does_not_need_is_refused),
        CONFIG_TEST(test_broken_yaml_is_refused_with_its_line),
        CONFIG_TEST(test_values_with_control_characters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
