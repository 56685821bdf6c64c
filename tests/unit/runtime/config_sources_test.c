/* Unit tests of runtime/config.h: which source wins, rules between options, texts for people. No file is read but where
 * the file is the subject. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/runtime/config_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
