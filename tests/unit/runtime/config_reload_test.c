/* Unit tests of runtime/config_reload.c: what a reload changes, what it only names, and what stays valid. */
#include "config_fixture.h"

struct result {
    struct rt_config_changes changes;
    struct rt_buf errors;
    bool valid;
};

static struct result reload(struct fixture *f, const char *yaml)
{
    struct result result = { .valid = false };
    struct rt_config *fresh = rt_config_build(
        &(struct rt_config_inputs){ .file_name = "pgtide.yml",
                                    .file_text = { (const uint8_t *)yaml, strlen(yaml) } },
        &result.errors);

    result.valid =
        fresh != NULL && rt_config_apply(f->config, fresh, &result.changes, &result.errors);
    return result;
}

static void drop(struct result *result)
{
    rt_buf_fini(&result->changes.reloaded);
    rt_buf_fini(&result->changes.needs_restart);
    rt_buf_fini(&result->errors);
}

static void assert_reloads(struct fixture *f, const char *yaml, const char *reloaded,
                           const char *needs_restart)
{
    struct result result = reload(f, yaml);

    assert_true(result.valid);
    assert_string_equal(rt_buf_cstr(&result.changes.reloaded), reloaded);
    assert_string_equal(rt_buf_cstr(&result.changes.needs_restart), needs_restart);
    assert_string_equal(rt_buf_cstr(&result.errors), "");
    drop(&result);
}

static void test_values_of_every_kind_change_in_place(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "realtime: {max_connections: 5, client_budget: 1MiB}");
    assert_reloads(f,
                   "realtime: {max_connections: 6, client_budget: 2MiB, heartbeat_interval: 7s, "
                   "enabled: false}\nlog: {level: debug}",
                   "realtime.enabled,realtime.heartbeat_interval,realtime.max_connections,"
                   "realtime.client_budget,log.level",
                   "");
    assert_int_equal(f->config->realtime_max_connections, 6);
    assert_int_equal(f->config->realtime_client_budget, 2 << 20);
    assert_int_equal(f->config->realtime_heartbeat_interval, 7 * RT_SEC);
    assert_false(f->config->realtime_enabled);
    assert_string_equal(f->config->log_level, "debug");
    /* Removed lines: the defaults again. */
    assert_reloads(f, "realtime: {max_connections: 6, client_budget: 2MiB}",
                   "realtime.enabled,realtime.heartbeat_interval,log.level", "");
    assert_true(f->config->realtime_enabled);
    assert_reloads(f, "realtime: {max_connections: 6, client_budget: 2MiB}", "", "");
}

static void test_other_options_are_named_and_stay(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "shards: 1");
    const char *slot = f->config->database_slot;
    assert_reloads(f,
                   "shards: 2\nlinks: {broker_publish: \"ipc:///tmp/{shard}.x\"}\n"
                   "database: {slot: other}\nlog: {format: json}",
                   "log.format", "database.slot,shards,links.broker_publish");
    assert_int_equal(f->config->shards, 1);
    assert_ptr_equal(f->config->database_slot, slot);
    assert_string_equal(slot, "pgtide");
    /* Named again each time, until somebody restarts or takes it back. */
    assert_reloads(f, "shards: 2\nlog: {format: json}", "", "shards");
    assert_reloads(f, "log: {format: json}", "", "");
}

static void test_a_mistake_changes_nothing(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "realtime: {max_connections: 5}");
    struct result result = reload(f, "realtime:\n  max_connections: 6\n  client_budget: 1\n");
    assert_false(result.valid);
    assert_string_equal(rt_buf_cstr(&result.errors),
                        "pgtide.yml:3: realtime.client_budget: 1 is out of range; allowed: 64KiB "
                        "to 16GiB\n");
    assert_int_equal(result.changes.reloaded.len, 0);
    assert_int_equal(f->config->realtime_max_connections, 5);
    drop(&result);
}

/* No rule joins two options of different kinds today, so the old half is broken by hand. */
static void test_the_mixture_of_old_and_new_is_checked(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "realtime: {max_connections: 5}");
    f->config->links_lease = 1;
    struct result result = reload(f, "realtime: {max_connections: 6}");
    assert_false(result.valid);
    assert_non_null(strstr(rt_buf_cstr(&result.errors),
                           "together with what only a restart would change: links.lease: "));
    assert_int_equal(f->config->realtime_max_connections, 5);
    assert_int_equal(f->config->links_lease, 1);
    drop(&result);
}

static void test_old_texts_stay_valid_and_are_kept_once(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "log: {level: info}");
    const char *first = f->config->log_level;
    assert_reloads(f, "log: {level: warn}", "log.level", "");
    const char *second = f->config->log_level;
    assert_string_equal(first, "info");
    for (int i = 0; i < 1000; i++) {
        assert_reloads(f, "log: {level: info}", "log.level", "");
        assert_ptr_equal(f->config->log_level, first);
        assert_reloads(f, "log: {level: warn}", "log.level", "");
        assert_ptr_equal(f->config->log_level, second);
    }
    assert_int_equal(f->config->retired_count, 1);
}

static void test_the_number_of_old_texts_is_bounded(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, "log: {level: info}");
    f->config->retired = rt_realloc(NULL, 256, sizeof(char *));
    for (; f->config->retired_count < 256; f->config->retired_count++) {
        f->config->retired[f->config->retired_count] = rt_strdup("other");
    }
    assert_reloads(f, "log: {level: warn}\nauth: {leeway: 1s}", "auth.leeway", "log.level");
    assert_string_equal(f->config->log_level, "info");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_values_of_every_kind_change_in_place),
        CONFIG_TEST(test_other_options_are_named_and_stay),
        CONFIG_TEST(test_a_mistake_changes_nothing),
        CONFIG_TEST(test_the_mixture_of_old_and_new_is_checked),
        CONFIG_TEST(test_old_texts_stay_valid_and_are_kept_once),
        CONFIG_TEST(test_the_number_of_old_texts_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
