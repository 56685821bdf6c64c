/* Unit tests of runtime/config.h. Inputs are texts: no file is read but where the file is the subject,
 * and the environment is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/config.h"
#include "runtime/config_internal.h"

/* The result of one load, freed and replaced by the next. */
struct fixture {
    struct rt_config *config;
    struct rt_buf errors;
};

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rt_config_free(f->config);
    rt_buf_fini(&f->errors);
    return 0;
}

static bool load(struct fixture *f, const char *yaml, const char *const *env,
                 const char *const *sets)
{
    rt_config_free(f->config);
    rt_buf_clear(&f->errors);
    f->config = rt_config_build(
        &(struct rt_config_inputs){
            .file_name = yaml != NULL ? "pgtide.yml" : NULL,
            .file_text = { (const uint8_t *)yaml, yaml != NULL ? strlen(yaml) : 0 },
            .env = env,
            .sets = sets },
        &f->errors);
    assert_true((f->config == NULL) == (f->errors.len > 0));
    return f->config != NULL;
}

static void assert_loads(struct fixture *f, const char *yaml)
{
    if (!load(f, yaml, NULL, NULL)) {
        fail_msg("refused:\n%s", rt_buf_cstr(&f->errors));
    }
}

/* All errors, exactly. */
static void assert_refused(struct fixture *f, const char *yaml, const char *errors)
{
    assert_false(load(f, yaml, NULL, NULL));
    assert_string_equal(rt_buf_cstr(&f->errors), errors);
}

/* --- values --- */

static void test_without_sources_every_option_has_its_default(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, NULL);

    assert_int_equal(f->config->shards, 1);
    assert_true(f->config->realtime_enabled);
    assert_int_equal(f->config->realtime_heartbeat_interval, 30 * RT_SEC);
    assert_int_equal(f->config->realtime_client_budget, 8 << 20);
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
                   "pgtide.yml:1: nested too deeply; options are at most two levels deep\n");
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

/* --- sources --- */

static void test_a_stronger_source_wins(void **state)
{
    struct fixture *f = *state;
    const char *yaml = "database: {url: file}\nlog: {level: warn}\nshards: 4\ndrain_timeout: 1s\n";
    const char *const env[] = { "DATABASE_URL=other", "PGTIDE_LOG_LEVEL=error", "PGTIDE_SHARDS=3",
                                "HOME=/root", NULL };
    const char *const sets[] = { "shards=2", "links.broker_publish=ipc:///a{shard}",
                                 "links.broker_control=ipc:///b{shard}", NULL };
    assert_true(load(f, yaml, env, sets));

    assert_string_equal(f->config->database_url, "other");
    assert_string_equal(f->config->log_level, "error");
    assert_int_equal(f->config->shards, 2);
    assert_int_equal(f->config->drain_timeout, RT_SEC);
    assert_string_equal(f->config->broker_publish, "ipc:///a{shard}");
}

static void test_the_pgtide_name_of_a_variable_wins_over_the_other(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = { "PGTIDE_DATABASE_URL=strong", "DATABASE_URL=weak", NULL };
    assert_true(load(f, NULL, env, NULL));

    assert_string_equal(f->config->database_url, "strong");
}

static void test_an_empty_variable_counts_as_unset(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = { "DATABASE_URL=", "PGTIDE_SHARDS=", "PGTIDE_DATABASE_URL_FILE=",
                                NULL };
    assert_true(load(f, "database: {url: file}\n", env, NULL));

    assert_string_equal(f->config->database_url, "file");
}

static void test_unknown_variables_are_refused_with_a_suggestion(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = {
        "PGTIDE_SHARD=2", "PGTIDE_CONFIG=x",    "PGTIDE_URL=http://x",      "PGTIDE_RUN_PID=1",
        "PGTIDEX=1",      "PGTIDE_ZZZZZZZZZZ=", "PGTIDE_LOG_LEVEL_FILES=x", NULL
    };
    assert_false(load(f, NULL, env, NULL));

    assert_string_equal(
        rt_buf_cstr(&f->errors),
        "environment: PGTIDE_SHARD is not an option of pgtide; did you mean PGTIDE_SHARDS?\n"
        "environment: PGTIDE_ZZZZZZZZZZ is not an option of pgtide\n"
        "environment: PGTIDE_LOG_LEVEL_FILES is not an option of pgtide; did you mean "
        "PGTIDE_LOG_LEVEL?\n");
}

static void test_a_wrong_variable_or_set_is_named(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = { "PGTIDE_LINKS_LEASE=forever", NULL };
    const char *const sets[] = { "log.levle=info", "shards", "shards=many", NULL };
    assert_false(load(f, NULL, env, sets));

    assert_string_equal(rt_buf_cstr(&f->errors),
                        "environment variable PGTIDE_LINKS_LEASE: links.lease: \"forever\" is not "
                        "a duration with its unit: "
                        "500ms, 30s, 2m, 1h, 2d\n"
                        "--set: log.levle: unknown option; did you mean log.level?\n"
                        "--set: write it as path=value, e.g. --set log.level=debug\n"
                        "--set: shards: \"many\" is not a whole number\n");
}

/* A file that exists only as a descriptor of this process. */
static int memory_file(const char *content, char *out_path, size_t size)
{
    int fd = memfd_create("config", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    (void)snprintf(out_path, size, "/proc/self/fd/%d", fd);
    return fd;
}

static void test_a_file_variable_gives_the_content_without_its_last_line_break(void **state)
{
    struct fixture *f = *state;
    char path[64];
    int fd = memory_file("0123456789abcdef0123456789abcdef\r\n", path, sizeof(path));
    char variable[96];
    (void)snprintf(variable, sizeof(variable), "JWT_KEY_FILE=%s", path);
    const char *const env[] = { variable, NULL };
    assert_true(load(f, NULL, env, NULL));
    assert_string_equal(f->config->auth_jwt_key, "0123456789abcdef0123456789abcdef");

    const char *const both[] = { variable, "JWT_KEY=0123456789abcdef0123456789abcdef", NULL };
    assert_false(load(f, NULL, both, NULL));
    assert_string_equal(rt_buf_cstr(&f->errors),
                        "environment variable JWT_KEY: auth.jwt_key: JWT_KEY_FILE is set as well; "
                        "unset one of them\n");

    const char *const missing[] = { "JWT_KEY_FILE=/nonexistent/key", NULL };
    assert_false(load(f, NULL, missing, NULL));
    assert_string_equal(rt_buf_cstr(&f->errors),
                        "environment variable JWT_KEY_FILE: auth.jwt_key: cannot read "
                        "/nonexistent/key: No such file or directory\n");
    close(fd);
}

static void test_a_file_is_read_from_its_path_and_a_missing_one_is_an_error(void **state)
{
    struct fixture *f = *state;
    char path[64];
    int fd = memory_file("shards: 2\n", path, sizeof(path));
    f->config = rt_config_load(path, NULL, &f->errors);
    assert_non_null(f->config);
    assert_int_equal(f->config->shards, 2);
    close(fd);

    assert_null(rt_config_load("/nonexistent/pgtide.yml", NULL, &f->errors));
    assert_string_equal(
        rt_buf_cstr(&f->errors),
        "/nonexistent/pgtide.yml: cannot read the configuration: No such file or directory\n");
}

/* --- rules between options --- */

static void test_a_broker_must_be_one_of_the_shards(void **state)
{
    struct fixture *f = *state;
    assert_refused(
        f, "shards: 2\nbroker:\n  shard: 2\n",
        "pgtide.yml:3: broker.shard: 2 is not a shard; with shards: 2 they are 0 to 1\n");
}

static void test_several_shards_need_addresses_that_tell_them_apart(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "shards: 2\nlinks:\n  broker_publish: tcp://10.0.0.1:7403\n",
                   "pgtide.yml:3: links.broker_publish: there are 2 shards, so the address needs "
                   "{shard} in it, e.g. "
                   "tcp://broker-{shard}:7403\n");
    assert_loads(f, "links: {broker_publish: 'tcp://10.0.0.1:7403'}\n");
}

static void test_a_short_key_is_refused_and_never_shown(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = { "JWT_KEY=tooshortsecret", NULL };
    assert_false(load(f, NULL, env, NULL));

    const char *errors = rt_buf_cstr(&f->errors);
    assert_non_null(
        strstr(errors, "environment variable JWT_KEY: auth.jwt_key: is shorter than 32 bytes"));
    assert_null(strstr(errors, "tooshortsecret"));
}

static void test_forms_of_addresses_names_and_words_are_checked(void **state)
{
    struct fixture *f = *state;
    assert_refused(
        f,
        "database: {slot: My-Slot}\nlinks: {tailer_publish: 'localhost:7401', lease: 400ms}\n"
        "auth: {algorithms: 'HS256,none'}\nlog: {level: wran}\nrealtime: {listen: '8080'}\n"
        "admin: {edge_listen: '::1:80'}\n",
        "pgtide.yml:1: database.slot: PostgreSQL allows 1 to 63 of a-z, 0-9 and _ in the name of a "
        "slot\n"
        "pgtide.yml:2: links.tailer_publish: write it as tcp://host:port or ipc:///path\n"
        "pgtide.yml:2: links.lease: must be at least twice links.heartbeat, or every idle peer "
        "would count as gone\n"
        "pgtide.yml:3: auth.algorithms: \"none\" is not one of HS256, HS384, HS512\n"
        "pgtide.yml:4: log.level: \"wran\" is not one of debug, info, warn, error; did you mean "
        "warn?\n"
        "pgtide.yml:5: realtime.listen: write it as address:port, e.g. 127.0.0.1:9100 or "
        "[::1]:9100\n"
        "pgtide.yml:6: admin.edge_listen: write it as address:port, e.g. 127.0.0.1:9100 or "
        "[::1]:9100\n");
    assert_loads(f, "realtime: {listen: '[::1]:8080'}\nadmin: {edge_listen: ':9103', "
                    "broker_listen: '127.0.0.1:910{shard}'}\n");
}

/* --- texts for people --- */

static void test_what_is_printed_loads_again_as_the_same(void **state)
{
    struct fixture *f = *state;
    assert_loads(f, "database: {url: 'host=a password=\"x\\y\"'}\nshards: 3\nrealtime: "
                    "{heartbeat_interval: 1500ms}\n"
                    "links: {tailer_ring: 3MiB}\nauth: {jwt_key: "
                    "0123456789abcdef0123456789abcdef}\ndrain_timeout: 0\n");
    struct rt_buf first = { 0 };
    rt_config_print(f->config, &first);
    const char *text = rt_buf_cstr(&first);
    assert_non_null(strstr(text, "\n  heartbeat_interval: 1500ms\n"));
    assert_non_null(strstr(text, "\n  tailer_ring: 3MiB\n"));
    assert_non_null(strstr(text, "\nshards: 3\n"));
    assert_non_null(strstr(text, "\n  jwt_key: \"********\"\n"));
    assert_null(strstr(text, "0123456789abcdef"));
    assert_null(strstr(text, "password"));

    const char *const env[] = { "JWT_KEY=0123456789abcdef0123456789abcdef", NULL };
    char *again = rt_strdup(text);
    char *secret = strstr(again, "jwt_key: \"********\"");
    memset(secret, '#', strlen("jwt_key: \"********\""));
    assert_true(load(f, again, env, NULL));
    struct rt_buf second = { 0 };
    rt_config_print(f->config, &second);
    assert_string_equal(rt_buf_cstr(&second), text);
    free(again);
    rt_buf_fini(&first);
    rt_buf_fini(&second);
}

static void test_every_option_is_in_the_help_and_in_the_manual(void **state)
{
    (void)state;
    struct rt_buf help = { 0 };
    struct rt_buf manual = { 0 };
    rt_config_help(&help);
    rt_config_markdown(&manual);

    for (size_t i = 0; i < rt_option_count(); i++) {
        char *variable = rt_option_variable(&rt_options[i]);
        assert_non_null(strstr(rt_buf_cstr(&help), rt_options[i].path));
        assert_non_null(strstr(rt_buf_cstr(&help), variable));
        assert_non_null(strstr(rt_buf_cstr(&manual), rt_options[i].path));
        assert_non_null(strstr(rt_buf_cstr(&manual), variable));
        free(variable);
    }
    assert_non_null(strstr(rt_buf_cstr(&manual),
                           "| `realtime.heartbeat_interval` | duration | `30s` | 100ms to 1h | "
                           "`PGTIDE_REALTIME_HEARTBEAT_INTERVAL` | "));
    rt_buf_fini(&help);
    rt_buf_fini(&manual);
}

static void test_every_shard_placeholder_is_replaced(void **state)
{
    (void)state;
    char *address = rt_config_shard_address("ipc:///run/{shard}/s{shard}.pub{shar", 12);
    assert_string_equal(address, "ipc:///run/12/s12.pub{shar");
    free(address);
}

#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_without_sources_every_option_has_its_default),
        CONFIG_TEST(test_the_block_of_the_fluxbase_manual_loads_as_it_stands),
        CONFIG_TEST(test_groups_may_be_written_in_flow_style_or_with_dots),
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
        CONFIG_TEST(test_a_stronger_source_wins),
        CONFIG_TEST(test_the_pgtide_name_of_a_variable_wins_over_the_other),
        CONFIG_TEST(test_an_empty_variable_counts_as_unset),
        CONFIG_TEST(test_unknown_variables_are_refused_with_a_suggestion),
        CONFIG_TEST(test_a_wrong_variable_or_set_is_named),
        CONFIG_TEST(test_a_file_variable_gives_the_content_without_its_last_line_break),
        CONFIG_TEST(test_a_file_is_read_from_its_path_and_a_missing_one_is_an_error),
        CONFIG_TEST(test_a_broker_must_be_one_of_the_shards),
        CONFIG_TEST(test_several_shards_need_addresses_that_tell_them_apart),
        CONFIG_TEST(test_a_short_key_is_refused_and_never_shown),
        CONFIG_TEST(test_forms_of_addresses_names_and_words_are_checked),
        CONFIG_TEST(test_what_is_printed_loads_again_as_the_same),
        CONFIG_TEST(test_every_option_is_in_the_help_and_in_the_manual),
        CONFIG_TEST(test_every_shard_placeholder_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
