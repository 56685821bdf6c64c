/* runtime/process.c - the life of a tier's process.
 *
 * arguments → configuration → loop, log, metrics, health → signals → admin port → tier →
 * loop → drain → tier freed → everything freed. The admin port answers before the tier starts, so that
 * what a slow start waits for can be read there.
 *
 * The first SIGTERM or SIGINT gives both back to the kernel: a second one ends the process at once,
 * even when it is stuck in a callback.
 */
#include "runtime/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/admin.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/keys.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/reload.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Descriptors a process may need besides its clients, and the least it asks for. More than that is not
 * taken even when it may be had: libwebsockets' cost per close grows with the limit. */
enum { SPARE_FDS = 1024, LEAST_FDS = 65536 };

enum action {
    RUN,
    SHOW_HELP,
    SHOW_VERSION,
    CHECK_CONFIG,
    PRINT_CONFIG,
    PRINT_MARKDOWN,
    WRONG_USAGE
};

struct arguments {
    enum action action;
    const char *file;  /* NULL: PGTIDE_CONFIG, or none */
    const char **sets; /* NULL-terminated; the texts are argv's */
    size_t set_count;
};

struct running {
    struct rt_process process; /* first: the tier holds its address */
    const struct rt_tier *tier;
    void *object; /* NULL: not started */
    struct rt_reload *reload;
    int status;
    struct rt_condition *condition;
    struct rt_timer *drain_timer;
    struct rt_signal *terminate;
    struct rt_signal *interrupt;
    struct rt_signal *hangup;
};

/* --- arguments --- */

static bool is_flag(const char *text, enum action *out)
{
    static const struct {
        const char *flag;
        enum action action;
    } flags[] = {
        { "--help", SHOW_HELP },
        { "-h", SHOW_HELP },
        { "--version", SHOW_VERSION },
        { "--check-config", CHECK_CONFIG },
        { "--print-config", PRINT_CONFIG },
        { "--config-markdown", PRINT_MARKDOWN }, /* not in --help: it makes docs/configuration.md */
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(text, flags[i].flag) == 0) {
            *out = flags[i].action;
            return true;
        }
    }
    return false;
}

/* "--name VALUE" or "--name=VALUE" at argv[*at]; moves *at to its last word. */
static const char *take_value(char **argv, int *at, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(argv[*at], name, len) != 0) {
        return NULL;
    }
    if (argv[*at][len] == '=') {
        return argv[*at] + len + 1;
    }
    const char *next = argv[*at][len] == '\0' ? argv[*at + 1] : NULL; /* argv ends with NULL */
    *at += next != NULL ? 1 : 0;
    return next;
}

static struct arguments parse_arguments(int argc, char **argv)
{
    struct arguments args = { .action = RUN };
    args.sets = rt_alloc(((size_t)argc + 1) * sizeof(char *));
    for (int i = 1; i < argc; i++) {
        enum action action = RUN;
        const char *value = NULL;
        if (is_flag(argv[i], &action)) {
            args.action = action;
        } else if ((value = take_value(argv, &i, "--config")) != NULL) {
            args.file = value;
        } else if ((value = take_value(argv, &i, "--set")) != NULL) {
            args.sets[args.set_count++] = value;
        } else {
            (void)fprintf(stderr,
                          "%s: %s is not an argument, or its value is missing; see %s --help\n",
                          argv[0], argv[i], argv[0]);
            args.action = WRONG_USAGE;
            break;
        }
    }
    return args;
}

static void print_help(const struct rt_tier *tier, struct rt_buf *out)
{
    rt_buf_printf(
        out,
        "pgtide-%s %s\n\n%s\n\nUsage: pgtide-%s [--config FILE] [--set path=value]...\n\n"
        "  --config FILE       read this YAML file (else the one that PGTIDE_CONFIG "
        "names, if any)\n"
        "  --set path=value    one option, stronger than the environment and the file\n"
        "  --check-config      say what is wrong with the configuration, and end\n"
        "  --print-config      print every option in force, secrets hidden, and end\n"
        "  --version, --help\n\n"
        "SIGTERM and SIGINT end it in an orderly way, a second one at once. SIGHUP reads the "
        "configuration\n"
        "again, for the options marked SIGHUP.\n"
        "Exit status: 0 after an orderly end, 1 when it could not start or go on, 2 for "
        "wrong arguments or\n"
        "configuration.\n\nOptions (any variable NAME may be given as NAME_FILE, naming "
        "a file with the value):\n",
        tier->name, PGTIDE_VERSION, tier->summary, tier->name);
    rt_config_help(out);
}

/* Everything but running; prints to standard output. */
static int show(const struct arguments *args, const struct rt_tier *tier,
                const struct rt_config *config)
{
    struct rt_buf out = { 0 };
    switch (args->action) {
    case SHOW_HELP:
        print_help(tier, &out);
        break;
    case SHOW_VERSION:
        rt_buf_printf(&out, "pgtide-%s %s\n", tier->name, PGTIDE_VERSION);
        break;
    case PRINT_MARKDOWN:
        rt_config_markdown(&out);
        break;
    case CHECK_CONFIG:
        rt_buf_puts(&out, "the configuration is valid\n");
        break;
    case PRINT_CONFIG:
        rt_config_print(config, &out);
        break;
    case RUN:
    case WRONG_USAGE:
        break;
    }
    bool written = fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    rt_buf_fini(&out);
    return written ? EXIT_OK : EXIT_FAILED;
}

/* --- the end --- */

static void on_drain_timeout(void *ctx)
{
    struct running *running = ctx;
    rt_log_warn(
        running->process.log, "process.drain_timeout",
        RT_S("hint",
             "not everything was handed over in time; raise drain_timeout if this matters"));
    rt_loop_stop(running->process.loop);
}

static void on_terminate(void *ctx, int signum)
{
    struct running *running = ctx;
    rt_log_info(running->process.log, "process.draining", RT_S("signal", sigabbrev_np(signum)));
    rt_condition_set(running->condition, false, "draining after SIG%s", sigabbrev_np(signum));
    rt_signal_free(running->terminate);
    rt_signal_free(running->interrupt);
    running->terminate = NULL;
    running->interrupt = NULL;
    if (running->tier->drain == NULL || running->process.config->drain_timeout == 0) {
        rt_loop_stop(running->process.loop);
        return;
    }
    rt_timer_set(running->drain_timer, running->process.config->drain_timeout, 0);
    running->tier->drain(running->object);
}

void rt_process_fail(struct rt_process *process, const char *event, const char *reason)
{
    struct running *running = (struct running *)process;
    rt_log_error(process->log, event, RT_S("reason", reason));
    running->status = EXIT_FAILED;
    rt_loop_stop(process->loop);
}

/* --- the start --- */

static void raise_descriptor_limit(const struct rt_config *config, struct rt_log *log)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    rlim_t wanted = (rlim_t)config->realtime_max_connections + SPARE_FDS;
    wanted = wanted > LEAST_FDS ? wanted : LEAST_FDS;
    wanted = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (wanted > limit.rlim_cur) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            rt_log_warn(log, "process.descriptor_limit", RT_U("wanted", wanted),
                        RT_S("hint", "raise the limit of open files of this service"));
        }
    }
}

static enum rt_log_level log_level(const struct rt_config *config)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (int i = RT_LOG_DEBUG; i <= RT_LOG_ERROR; i++) {
        if (strcmp(names[i], config->log_level) == 0) {
            return (enum rt_log_level)i;
        }
    }
    return RT_LOG_INFO; /* rt_config_load() lets only these four pass */
}

static enum rt_log_format log_format(const struct rt_config *config)
{
    return strcmp(config->log_format, "json") == 0 ? RT_LOG_JSON : RT_LOG_KV;
}

static struct rt_log *open_log(const struct rt_config *config, const struct rt_tier *tier)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s", tier->name);
    if (tier->instance_name != NULL) {
        tier->instance_name(config, name, (int)sizeof(name));
    }
    return rt_log_new(name, log_level(config), log_format(config));
}

static struct rt_admin *open_admin(const struct running *running)
{
    const struct rt_config *config = running->process.config;
    char *listen = NULL;
    if (running->tier->admin_listen != NULL) {
        listen = rt_config_shard_address(running->tier->admin_listen(config), config->broker_shard);
    }
    struct rt_admin *admin =
        rt_admin_new(&(struct rt_admin_config){ .listen = listen,
                                                .loop = running->process.loop,
                                                .log = running->process.log,
                                                .metrics = running->process.metrics,
                                                .health = running->process.health });
    free(listen);
    return admin;
}

/* --- SIGHUP --- */

static void on_hangup(void *ctx, int signum)
{
    (void)signum;
    struct running *running = ctx;
    const struct rt_process *process = &running->process;
    if (!rt_reload_run(running->reload)) {
        return;
    }
    rt_log_set_level(process->log, log_level(process->config));
    rt_log_set_format(process->log, log_format(process->config));
    raise_descriptor_limit(process->config, process->log);
    if (running->tier->reload != NULL && running->object != NULL) {
        running->tier->reload(running->object);
    }
}

static void watch_signals(struct running *running)
{
    struct rt_loop *loop = running->process.loop;
    (void)signal(SIGPIPE,
                 SIG_IGN); /* a peer that closed is an error of write(2), not of the process */
    running->terminate = rt_signal_new(loop, SIGTERM, on_terminate, running);
    running->interrupt = rt_signal_new(loop, SIGINT, on_terminate, running);
    running->hangup = rt_signal_new(loop, SIGHUP, on_hangup, running);
}

static int serve(struct running *running)
{
    struct rt_process *process = &running->process;
    process->admin = open_admin(running);
    if (process->admin == NULL) {
        return EXIT_FAILED;
    }
    running->object = running->tier->start(process);
    if (running->object == NULL) {
        return EXIT_FAILED;
    }
    rt_condition_set(running->condition, true, "running");
    rt_loop_run(process->loop);
    running->tier->stop(running->object);
    running->object = NULL;
    return running->status;
}

static int run(struct rt_config *config, const struct arguments *args, const struct rt_tier *tier)
{
    struct running running = { .tier = tier, .status = EXIT_OK };
    struct rt_process *process = &running.process;
    process->config = config;
    process->log = open_log(config, tier);
    process->loop = rt_loop_new();
    process->metrics = rt_metrics_new();
    process->health = rt_health_new();
    running.reload = rt_reload_new(&(struct rt_reload_config){ .live = config,
                                                               .file = args->file,
                                                               .sets = args->sets,
                                                               .log = process->log,
                                                               .metrics = process->metrics });
    running.condition = rt_condition_new(process->health, "process");
    running.drain_timer = rt_timer_new(process->loop, on_drain_timeout, &running);
    rt_log_info(process->log, "process.starting", RT_S("version", PGTIDE_VERSION),
                RT_I("pid", getpid()));
    raise_descriptor_limit(config, process->log);
    watch_signals(&running);

    int status = serve(&running);

    rt_log_info(process->log, "process.ended", RT_I("status", status));
    rt_admin_free(process->admin);
    rt_signal_free(running.hangup);
    rt_signal_free(running.interrupt);
    rt_signal_free(running.terminate);
    rt_timer_free(running.drain_timer);
    rt_reload_free(running.reload);
    rt_zmq_context_close();
    rt_health_free(process->health);
    rt_metrics_free(process->metrics);
    rt_loop_free(process->loop);
    rt_log_free(process->log);
    return status;
}

static int load_and(const struct arguments *args, const struct rt_tier *tier)
{
    struct rt_buf errors = { 0 };
    struct rt_config *config = rt_config_load(args->file, args->sets, &errors);
    int status = EXIT_USAGE;
    if (config == NULL) {
        (void)fprintf(stderr, "pgtide-%s: the configuration cannot be used:\n%s", tier->name,
                      rt_buf_cstr(&errors));
    } else if (args->action == RUN) {
        status = run(config, args, tier);
    } else {
        status = show(args, tier, config);
    }
    rt_config_free(config);
    rt_buf_fini(&errors);
    return status;
}

int rt_process_main(int argc, char **argv, const struct rt_tier *tier)
{
    struct arguments args = parse_arguments(argc, argv);
    int status = EXIT_USAGE;
    if (args.action == RUN || args.action == CHECK_CONFIG || args.action == PRINT_CONFIG) {
        status = load_and(&args, tier);
    } else if (args.action != WRONG_USAGE) {
        status = show(&args, tier, NULL);
    }
    free(args.sets);
    return status;
}
