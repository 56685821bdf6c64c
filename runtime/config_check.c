/* runtime/config_check.c - rules about the form of a text, and between options. Each message names the
 * source of the value that would have to change. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/config_internal.h"

enum { JWT_KEY_MIN = 32, IDENTIFIER_MAX = 63 };

static void problem(struct rt_config_load *load, const char *path, const char *text)
{
    const struct rt_option *option = rt_option_find(path, strlen(path));
    rt_config_problem(load, rt_config_origin(load, option), path, "%s", text);
}

static void check_word(struct rt_config_load *load, const char *path, const char *value,
                       const char *const *words)
{
    struct rt_suggestion suggestion = rt_suggestion_begin(value, strlen(value));
    struct rt_buf text = { 0 };
    rt_buf_printf(&text, "\"%s\" is not one of", value);
    bool found = false;
    for (int i = 0; words[i] != NULL; i++) {
        found = found || strcmp(words[i], value) == 0;
        rt_suggestion_offer(&suggestion, words[i]);
        rt_buf_printf(&text, "%s %s", i > 0 ? "," : "", words[i]);
    }
    if (!found) {
        char meant[160];
        rt_suggestion_text(&suggestion, meant);
        rt_buf_puts(&text, meant);
        problem(load, path, rt_buf_cstr(&text));
    }
    rt_buf_fini(&text);
}

/* Every item of a comma-separated list, and at least one. */
static void check_words(struct rt_config_load *load, const char *path, const char *list,
                        const char *const *words)
{
    size_t at = 0;
    do {
        size_t len = strcspn(list + at, ",");
        char *item = rt_strndup(list + at, len);
        check_word(load, path, item, words);
        free(item);
        at += len;
    } while (list[at++] == ',');
}

static void check_listen(struct rt_config_load *load, const char *path, const char *value)
{
    char host[RT_HOST_SIZE];
    char port[RT_PORT_SIZE];
    char *address = rt_config_shard_address(value, 0);
    if (!rt_address_split(address, host, port)) {
        problem(load, path, "write it as address:port, e.g. 127.0.0.1:9100 or [::1]:9100");
    }
    free(address);
}

static void check_link(struct rt_config_load *load, const char *path, const char *value)
{
    static const char *const transports[] = { "tcp://", "ipc://", "inproc://" };
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        size_t len = strlen(transports[i]);
        if (strncmp(value, transports[i], len) == 0 && value[len] != '\0') {
            return;
        }
    }
    problem(load, path, "write it as tcp://host:port or ipc:///path");
}

/* Where edges find a shard: with several shards the address must tell them apart. */
static void check_shard_link(struct rt_config_load *load, const char *path, const char *value)
{
    check_link(load, path, value);
    if (load->config->shards > 1 && strstr(value, "{shard}") == NULL) {
        char text[160];
        (void)snprintf(
            text, sizeof(text),
            "there are %" PRId64
            " shards, so the address needs {shard} in it, e.g. tcp://broker-{shard}:7403",
            load->config->shards);
        problem(load, path, text);
    }
}

static void check_links(struct rt_config_load *load)
{
    const struct rt_config *config = load->config;
    const struct {
        const char *path;
        const char *value;
    } binds[] = {
        { "links.tailer_publish_bind", config->tailer_publish_bind },
        { "links.tailer_control_bind", config->tailer_control_bind },
        { "links.broker_publish_bind", config->broker_publish_bind },
        { "links.broker_control_bind", config->broker_control_bind },
    };
    check_link(load, "links.tailer_publish", config->tailer_publish);
    check_link(load, "links.tailer_control", config->tailer_control);
    check_shard_link(load, "links.broker_publish", config->broker_publish);
    check_shard_link(load, "links.broker_control", config->broker_control);
    for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
        if (binds[i].value[0] != '\0') {
            check_link(load, binds[i].path, binds[i].value);
        }
    }
    if (config->links_lease < 2 * config->links_heartbeat) {
        problem(load, "links.lease",
                "must be at least twice links.heartbeat, or every idle peer would count as gone");
    }
}

static void check_database(struct rt_config_load *load)
{
    const struct rt_config *config = load->config;
    const char *slot = config->database_slot;
    size_t len = strlen(slot);
    if (len == 0 || len > IDENTIFIER_MAX ||
        strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") != len) {
        problem(load, "database.slot",
                "PostgreSQL allows 1 to 63 of a-z, 0-9 and _ in the name of a slot");
    }
    len = strlen(config->database_publication);
    if (len == 0 || len > IDENTIFIER_MAX) {
        problem(load, "database.publication", "the name of a publication has 1 to 63 bytes");
    }
    len = strlen(config->database_policy_publication);
    if (len == 0 || len > IDENTIFIER_MAX) {
        problem(load, "database.policy_publication", "the name of a publication has 1 to 63 bytes");
    } else if (strcmp(config->database_policy_publication, config->database_publication) == 0) {
        problem(load, "database.policy_publication",
                "must be another one than database.publication, which clients may watch");
    }
}

static void check_tokens(struct rt_config_load *load)
{
    static const char *const algorithms[] = { "HS256", "HS384", "HS512", NULL };
    const struct rt_config *config = load->config;
    size_t key = strlen(config->auth_jwt_key);
    if (key > 0 && key < JWT_KEY_MIN) {
        problem(load, "auth.jwt_key",
                "is shorter than 32 bytes and could be guessed; make one with: openssl rand "
                "-base64 48");
    }
    check_words(load, "auth.algorithms", config->auth_algorithms, algorithms);
    if (config->auth_anon_role[0] == '\0') {
        problem(load, "auth.anon_role", "must name a database role");
    }
    if (config->auth_default_role[0] == '\0') {
        problem(load, "auth.default_role", "must name a database role");
    }
}

static void check_operation(struct rt_config_load *load)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
    static const char *const formats[] = { "kv", "json", NULL };
    const struct rt_config *config = load->config;
    check_word(load, "log.level", config->log_level, levels);
    check_word(load, "log.format", config->log_format, formats);
    check_listen(load, "realtime.listen", config->edge_listen);
    check_listen(load, "admin.tailer_listen", config->tailer_admin);
    check_listen(load, "admin.broker_listen", config->broker_admin);
    check_listen(load, "admin.edge_listen", config->edge_admin);
}

void rt_config_check(struct rt_config_load *load)
{
    const struct rt_config *config = load->config;
    if (config->broker_shard >= config->shards) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "%" PRId64 " is not a shard; with shards: %" PRId64
                       " they are 0 to %" PRId64,
                       config->broker_shard, config->shards, config->shards - 1);
        problem(load, "broker.shard", text);
    }
    check_database(load);
    check_links(load);
    check_tokens(load);
    check_operation(load);
}
