/* cli/status.c - pgtide status: asks every tier's admin port how it is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "runtime/config.h"

enum { MAX_TIERS = 1100, MAX_EDGES = 64 };

struct tier {
    char name[32];
    char *address;
    int http_status; /* of /readyz; 0: not reached */
    struct rt_buf ready;
    struct rt_buf metrics;
    struct rt_buf error;
};

struct tiers {
    struct tier *list;
    size_t count;
};

/* What the table shows of /metrics, in this order, where a tier has it. */
struct figure {
    const char *metric;
    const char *label;
};
static const struct figure figures[] = {
    { "pgtide_tailer_changes_total", "changes" },
    { "pgtide_tailer_lag_bytes", "lag bytes" },
    { "pgtide_broker_changes_total", "changes" },
    { "pgtide_broker_subscriptions", "subscriptions" },
    { "pgtide_broker_deliveries_total", "deliveries" },
    { "pgtide_edge_connections", "clients" },
    { "pgtide_edge_subscriptions", "subscriptions" },
    { "pgtide_edge_frames_sent_total", "frames sent" },
};

static void add_tier(struct tiers *tiers, const char *name, const char *address)
{
    if (tiers->count >= MAX_TIERS) {
        return;
    }
    struct tier *tier = &tiers->list[tiers->count++];
    snprintf(tier->name, sizeof tier->name, "%s", name);
    tier->address = rt_strdup(address);
}

/* As deploy/up writes them into run.env: TAILER_ADMIN, BROKER_0_ADMIN, …; without gaps from 0 on. */
static bool add_from_environment(struct tiers *tiers)
{
    static const char *const kinds[] = { "broker", "edge" };
    static const char *const prefixes[] = { "BROKER", "EDGE" };
    const char *tailer = cli_environment("TAILER_ADMIN");

    if (tailer == NULL) {
        return false;
    }
    add_tier(tiers, "tailer", tailer);
    for (size_t kind = 0; kind < 2; kind++) {
        for (int number = 0; number < MAX_EDGES; number++) {
            char variable[64];
            char name[32];
            snprintf(variable, sizeof variable, "%s_%d_ADMIN", prefixes[kind], number);
            snprintf(name, sizeof name, "%s-%d", kinds[kind], number);
            const char *address = cli_environment(variable);
            if (address == NULL) {
                break;
            }
            add_tier(tiers, name, address);
        }
    }
    return true;
}

static void add_from_config(struct tiers *tiers, const struct rt_config *config)
{
    add_tier(tiers, "tailer", config->tailer_admin);
    for (int64_t shard = 0; shard < config->shards; shard++) {
        char name[32];
        char *address = rt_config_shard_address(config->broker_admin, shard);
        snprintf(name, sizeof name, "broker-%lld", (long long)shard);
        add_tier(tiers, name, address);
        free(address);
    }
    add_tier(tiers, "edge", config->edge_admin);
}

/* ADDRESS or NAME=ADDRESS */
static void add_from_arguments(struct tiers *tiers, const struct cli_args *args)
{
    for (size_t i = 0; i < args->argument_count; i++) {
        const char *text = args->arguments[i];
        const char *equals = strchr(text, '=');
        char name[32];

        if (equals == NULL) {
            add_tier(tiers, "", text); /* named by name_by_kind() */
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        add_tier(tiers, name, equals + 1);
    }
}

/* A tier that was named by its address only: its metrics tell what it is. */
static void name_by_kind(struct tier *tier)
{
    static const char *const kinds[] = { "tailer", "broker", "edge" };
    const char *metrics = rt_buf_cstr(&tier->metrics);

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && tier->name[0] == '\0'; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "\npgtide_%s_", kinds[i]);
        if (strstr(metrics, prefix) != NULL) {
            snprintf(tier->name, sizeof tier->name, "%s", kinds[i]);
        }
    }
    if (tier->name[0] == '\0') {
        snprintf(tier->name, sizeof tier->name, "?");
    }
}

static void ask(struct tier *tier)
{
    struct rt_buf ignored = { 0 };

    tier->http_status = cli_admin_get(tier->address, "/readyz", &tier->ready, &tier->error);
    if (tier->http_status != 0) {
        cli_admin_get(tier->address, "/metrics", &tier->metrics, &ignored);
    }
    rt_buf_fini(&ignored);
    name_by_kind(tier);
}

static bool is_ready(const struct tier *tier)
{
    return tier->http_status == 200;
}

/* The conditions that fail; or, when all hold, the figures. */
static void describe(struct tier *tier, struct rt_buf *out)
{
    struct cli_condition condition;
    const char *body = rt_buf_cstr(&tier->ready);
    const char *metrics = rt_buf_cstr(&tier->metrics);
    double value = 0;

    if (tier->http_status == 0) {
        rt_buf_printf(out, "not reached: %s", rt_buf_cstr(&tier->error));
        return;
    }
    while (cli_condition_next(&body, &condition)) {
        if (!condition.met) {
            rt_buf_printf(out, "%s%s: %s", out->len > 0 ? "; " : "", condition.name,
                          condition.reason);
        }
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0] && is_ready(tier); i++) {
        if (cli_metric_sum(metrics, figures[i].metric, &value)) {
            rt_buf_printf(out, "%s%s %.0f", out->len > 0 ? ", " : "", figures[i].label, value);
        }
    }
    if (cli_metric_sum(metrics, "process_resident_memory_bytes", &value)) {
        rt_buf_printf(out, "%smemory %.1f MiB", out->len > 0 ? ", " : "", value / 1048576.0);
    }
}

static void print_table(struct tiers *tiers)
{
    struct rt_buf line = { 0 };

    printf("%-12s %-22s %-6s %s\n", "TIER", "ADMIN PORT", "READY", "");
    for (size_t i = 0; i < tiers->count; i++) {
        struct tier *tier = &tiers->list[i];
        rt_buf_clear(&line);
        describe(tier, &line);
        printf("%-12s %-22s %-6s %s\n", tier->name, tier->address, is_ready(tier) ? "yes" : "NO",
               rt_buf_cstr(&line));
    }
    rt_buf_fini(&line);
}

static json_t *tier_json(struct tier *tier)
{
    struct cli_condition condition;
    const char *body = rt_buf_cstr(&tier->ready);
    const char *metrics = rt_buf_cstr(&tier->metrics);
    json_t *conditions = json_array();
    json_t *values = json_object();
    double value = 0;

    while (cli_condition_next(&body, &condition)) {
        json_array_append_new(conditions, json_pack("{s:s,s:b,s:s}", "name", condition.name, "met",
                                                    condition.met, "reason", condition.reason));
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (cli_metric_sum(metrics, figures[i].metric, &value) && isfinite(value)) {
            json_object_set_new(values, figures[i].metric, json_real(value));
        }
    }
    if (cli_metric_sum(metrics, "process_resident_memory_bytes", &value)) {
        json_object_set_new(values, "process_resident_memory_bytes", json_real(value));
    }
    return json_pack("{s:s,s:s,s:b,s:b,s:o,s:o}", "name", tier->name, "address", tier->address,
                     "reached", tier->http_status != 0, "ready", is_ready(tier), "conditions",
                     conditions, "metrics", values);
}

static void print_json(struct tiers *tiers)
{
    json_t *all = json_array();

    for (size_t i = 0; i < tiers->count; i++) {
        json_array_append_new(all, tier_json(&tiers->list[i]));
    }
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    printf("%s\n", text != NULL ? text : "[]");
    free(text);
    json_decref(all);
}

static void free_tiers(struct tiers *tiers)
{
    for (size_t i = 0; i < tiers->count; i++) {
        struct tier *tier = &tiers->list[i];
        free(tier->address);
        rt_buf_fini(&tier->ready);
        rt_buf_fini(&tier->metrics);
        rt_buf_fini(&tier->error);
    }
    free(tiers->list);
}

static bool collect(const struct cli_args *args, struct tiers *tiers)
{
    bool named = cli_args_flag(args, "config") || cli_args_flag(args, "set");

    if (args->argument_count > 0) {
        add_from_arguments(tiers, args);
        return true;
    }
    if (!named && add_from_environment(tiers)) {
        return true;
    }
    struct rt_config *config = cli_settings_load(args);
    if (config != NULL) {
        add_from_config(tiers, config);
    }
    rt_config_free(config);
    return config != NULL;
}

static enum cli_status run_status(const struct cli_args *args)
{
    struct tiers tiers = { .list = rt_alloc(MAX_TIERS * sizeof(struct tier)) };
    enum cli_status status = CLI_USAGE;

    if (collect(args, &tiers)) {
        status = CLI_OK;
        for (size_t i = 0; i < tiers.count; i++) {
            ask(&tiers.list[i]);
            status = is_ready(&tiers.list[i]) ? status : CLI_FAILED;
        }
        if (cli_args_flag(args, "json")) {
            print_json(&tiers);
        } else if (!cli_args_flag(args, "quiet")) {
            print_table(&tiers);
        }
    }
    free_tiers(&tiers);
    return status;
}

static const struct cli_option status_options[] = {
    { "json", NULL, false, "an array of objects instead of a table" },
    { "quiet", NULL, false, "no output; the exit status says it" },
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_status = {
    .name = "status",
    .arguments = "[[NAME=]HOST:PORT…]",
    .summary = "say which tiers are ready, and what they lack",
    .about = "Asks the admin port of every tier. Which ones: the arguments; else the variables of "
             "run.env\n"
             "that deploy/up writes (TAILER_ADMIN, BROKER_0_ADMIN, EDGE_0_ADMIN, …); else the "
             "addresses\n"
             "under admin: in the configuration.\n"
             "\n"
             "  . .pgtide/run.env && pgtide status\n"
             "  pgtide status --quiet 127.0.0.1:9101 && echo ready\n"
             "\n"
             "Exit status: 0 when all are ready, 1 when one is not.\n",
    .options = status_options,
    .max_arguments = CLI_MAX_GIVEN,
    .run = run_status,
};
