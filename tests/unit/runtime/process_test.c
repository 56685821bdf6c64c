/* Unit tests of runtime/process.h. Each runs rt_process_main() in a child with a small tier and looks at
 * its exit status and its log. The tiers act by the loop's own events, so nothing waits for time. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"

struct fixture {
    int output; /* standard output and error of the child */
    char text[262144];
};

/* A tier that sends its own process the signal it is configured with (database.slot), and drains as
 * told by database.publication. */
struct small_tier {
    struct rt_process *process;
    struct rt_defer *act;
};

/* Gives the configuration file, whose path is in database.url, a new content. */
static void rewrite(const struct rt_config *config, const char *text)
{
    FILE *file = fopen(config->database_url, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        abort();
    }
}

static void act(void *ctx)
{
    struct small_tier *tier = ctx;
    const char *what = tier->process->config->database_slot;
    if (strcmp(what, "term") == 0) {
        (void)raise(SIGTERM);
    } else if (strcmp(what, "hup") == 0) {
        (void)raise(SIGPIPE);
        (void)raise(SIGHUP);
        (void)raise(SIGINT);
    } else if (strcmp(what, "reload") == 0) {
        rewrite(tier->process->config, "log: {level: debug, format: json}\nshards: 7\n");
        (void)raise(SIGHUP); /* goes on in small_reload() */
    } else if (strcmp(what, "spoil") == 0) {
        rewrite(tier->process->config, "log:\n  level: debug\nshards: seven\nshrads: 1\n");
        (void)raise(SIGHUP);
        (void)raise(SIGINT);
    } else if (strcmp(what, "fail") == 0) {
        rt_process_fail(tier->process, "small.failed", "the slot was taken");
    } else {
        rt_loop_stop(tier->process->loop);
    }
}

static void *small_start(struct rt_process *process)
{
    if (strcmp(process->config->database_slot, "refuse") == 0) {
        rt_log_error(process->log, "small.refused", RT_S("reason", "told so"));
        return NULL;
    }
    struct small_tier *tier = rt_alloc(sizeof(*tier));
    tier->process = process;
    tier->act = rt_defer_new(process->loop, act, tier);
    rt_defer_schedule(tier->act);
    return tier;
}

static void small_drain(void *object)
{
    struct small_tier *tier = object;
    struct rt_buf conditions = { 0 };
    rt_health_render(tier->process->health, &conditions);
    rt_log_info(tier->process->log, "small.draining", RT_S("health", rt_buf_cstr(&conditions)));
    rt_buf_fini(&conditions);
    const char *how = tier->process->config->database_publication;
    if (strcmp(how, "stuck") == 0) {
        (void)raise(SIGTERM);
        abort(); /* the second signal must have ended the process before this */
    }
    if (strcmp(how, "never") != 0) {
        rt_loop_stop(tier->process->loop);
    }
}

static void small_reload(void *object)
{
    struct small_tier *tier = object;
    rt_log_debug(tier->process->log, "small.reloaded",
                 RT_I("shards", tier->process->config->shards));
    rt_loop_stop(tier->process->loop);
}

static void small_stop(void *object)
{
    struct small_tier *tier = object;
    rt_log_info(tier->process->log, "small.stopped");
    rt_defer_free(tier->act);
    free(tier);
}

static void small_name(const struct rt_config *config, char *out, int out_size)
{
    (void)snprintf(out, (size_t)out_size, "small-%d", (int)config->broker_shard);
}

static const struct rt_tier small = {
    .name = "small",
    .summary = "Does next to nothing.",
    .instance_name = small_name,
    .start = small_start,
    .drain = small_drain,
    .reload = small_reload,
    .stop = small_stop,
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.output = memfd_create("output", MFD_CLOEXEC);
    *state = &fixture;
    return fixture.output >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    const struct fixture *f = *state;
    return close(f->output);
}

/* Runs the tier with up to six arguments; returns waitpid's status. */
static int run(struct fixture *f, char *a, char *b, char *c, char *d)
{
    char name[] = "pgtide-small";
    char *argv[] = { name, a, b, c, d, NULL };
    int argc = 1;
    while (argv[argc] != NULL) {
        argc++;
    }
    assert_int_equal(ftruncate(f->output, 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)lseek(f->output, 0, SEEK_SET);
        (void)dup2(f->output, STDOUT_FILENO);
        (void)dup2(f->output, STDERR_FILENO);
        _exit(rt_process_main(argc, argv, &small));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t got = pread(f->output, f->text, sizeof(f->text) - 1, 0);
    assert_true(got >= 0);
    f->text[got] = '\0';
    return status;
}

static void assert_exit(const struct fixture *f, int status, int code)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code) {
        fail_msg("expected exit %d, got status %x and: %s", (unsigned)code, (unsigned)status,
                 f->text);
    }
}

static void assert_says(const struct fixture *f, const char *words)
{
    if (strstr(f->text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, f->text);
    }
}

static void test_a_signal_drains_and_ends_with_status_zero(void **state)
{
    struct fixture *f = *state;
    char slot[] = "--set=database.slot=term";

    assert_exit(f, run(f, slot, NULL, NULL, NULL), 0);
    assert_says(f, "info small-0 process.starting version=" PGTIDE_VERSION);
    assert_says(f, "process.draining signal=TERM");
    assert_says(f, "fail process draining after SIGTERM");
    assert_says(f, "small.stopped");
    assert_says(f, "process.ended status=0");
}

static void test_hangup_and_broken_pipes_do_not_end_it(void **state)
{
    struct fixture *f = *state;
    char set[] = "--set";
    char slot[] = "database.slot=hup";

    assert_exit(f, run(f, set, slot, NULL, NULL), 0);
    assert_says(f, "info small-0 config.reloaded option=");
    assert_null(strstr(f->text, "small.reloaded"));
    assert_says(f, "process.draining signal=INT");
}

/* Runs the tier with a configuration file that it changes as `slot` says. */
static void run_with_file(struct fixture *f, const char *what)
{
    int file = memfd_create("pgtide.yml", 0);
    char config[64];
    char path[64];
    char slot[64];
    assert_true(file >= 0);
    (void)snprintf(config, sizeof(config), "--config=/proc/self/fd/%d", file);
    (void)snprintf(path, sizeof(path), "--set=database.url=/proc/self/fd/%d", file);
    (void)snprintf(slot, sizeof(slot), "--set=database.slot=%s", what);
    assert_exit(f, run(f, config, path, slot, NULL), 0);
    (void)close(file);
}

static void test_hangup_reads_the_file_again_and_tells_the_tier(void **state)
{
    struct fixture *f = *state;

    run_with_file(f, "reload");
    assert_says(f, "info small-0 config.reloaded option=log.level,log.format\n");
    assert_says(f, "warn small-0 config.needs_restart option=shards ");
    assert_says(
        f, "\"level\":\"debug\",\"tier\":\"small-0\",\"event\":\"small.reloaded\",\"shards\":1");
}

static void test_a_file_that_is_wrong_changes_nothing(void **state)
{
    struct fixture *f = *state;

    run_with_file(f, "spoil");
    assert_says(f, ":3: shards: \\\"seven\\\" is not a whole number\"");
    assert_says(f, ":4: shrads: unknown key; did you mean shards?\"");
    assert_says(f, "error small-0 config.not_reloaded problem=\"/proc/self/fd/");
    assert_null(strstr(f->text, "small.reloaded"));
    assert_null(strstr(f->text, "config.reloaded"));
}

static void test_a_drain_without_an_end_is_cut_by_its_timeout(void **state)
{
    struct fixture *f = *state;
    char slot[] = "--set=database.slot=term";
    char drain[] = "--set=database.publication=never";
    char timeout[] = "--set=drain_timeout=10ms";

    assert_exit(f, run(f, slot, drain, timeout, NULL), 0);
    assert_says(f, "process.drain_timeout");
    assert_says(f, "small.stopped");
}

static void test_a_second_signal_ends_even_a_stuck_process(void **state)
{
    struct fixture *f = *state;
    char slot[] = "--set=database.slot=term";
    char drain[] = "--set=database.publication=stuck";

    int status = run(f, slot, drain, NULL, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void test_a_failed_start_and_a_later_failure_have_status_one(void **state)
{
    struct fixture *f = *state;
    char refuse[] = "--set=database.slot=refuse";
    char later[] = "--set=database.slot=fail";

    assert_exit(f, run(f, refuse, NULL, NULL, NULL), 1);
    assert_says(f, "process.ended status=1");
    assert_exit(f, run(f, later, NULL, NULL, NULL), 1);
    assert_says(f, "error small-0 small.failed reason=\"the slot was taken\"");
    assert_says(f, "small.stopped");
}

static void test_wrong_arguments_and_configuration_have_status_two(void **state)
{
    struct fixture *f = *state;
    char unknown[] = "--confgi";
    char set[] = "--set";
    char missing_file[] = "--config=/nonexistent/pgtide.yml";
    char wrong[] = "--set=log.levle=info";
    char check[] = "--check-config";

    assert_exit(f, run(f, unknown, NULL, NULL, NULL), 2);
    assert_says(f, "--confgi is not an argument");
    assert_exit(f, run(f, set, NULL, NULL, NULL), 2);
    assert_exit(f, run(f, missing_file, NULL, NULL, NULL), 2);
    assert_says(f, "/nonexistent/pgtide.yml: cannot read the configuration");
    assert_exit(f, run(f, check, wrong, NULL, NULL), 2);
    assert_says(f, "did you mean log.level?");
}

static void test_what_only_prints_starts_nothing(void **state)
{
    struct fixture *f = *state;
    char check[] = "--check-config";
    char print[] = "--print-config";
    char shards[] = "--set=database.slot=printed";
    char help[] = "--help";
    char version[] = "--version";
    char manual[] = "--config-markdown";

    assert_exit(f, run(f, check, NULL, NULL, NULL), 0);
    assert_string_equal(f->text, "the configuration is valid\n");
    assert_exit(f, run(f, print, shards, NULL, NULL), 0);
    assert_says(f, "\n  slot: \"printed\"\n");
    assert_exit(f, run(f, help, NULL, NULL, NULL), 0);
    assert_says(f, "Does next to nothing.");
    assert_says(f, "PGTIDE_REALTIME_HEARTBEAT_INTERVAL");
    assert_exit(f, run(f, version, NULL, NULL, NULL), 0);
    assert_string_equal(f->text, "pgtide-small " PGTIDE_VERSION "\n");
    assert_exit(f, run(f, manual, NULL, NULL, NULL), 0);
    assert_memory_equal(f->text, "## database\n", 12);
    assert_null(strstr(f->text, "process.starting"));
}

#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(test_a_signal_drains_and_ends_with_status_zero),
        PROCESS_TEST(test_hangup_and_broken_pipes_do_not_end_it),
        PROCESS_TEST(test_hangup_reads_the_file_again_and_tells_the_tier),
        PROCESS_TEST(test_a_file_that_is_wrong_changes_nothing),
        PROCESS_TEST(test_a_drain_without_an_end_is_cut_by_its_timeout),
        PROCESS_TEST(test_a_second_signal_ends_even_a_stuck_process),
        PROCESS_TEST(test_a_failed_start_and_a_later_failure_have_status_one),
        PROCESS_TEST(test_wrong_arguments_and_configuration_have_status_two),
        PROCESS_TEST(test_what_only_prints_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
