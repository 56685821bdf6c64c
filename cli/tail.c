/* cli/tail.c - pgtide tail: prints the changes of a table as the server sends them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/frame_scan.h"
#include "cli/settings.h"
#include "cli/socket.h"
#include "cli/token_make.h"
#include "runtime/config.h"

enum { RETRY_FIRST_MS = 500, RETRY_MAX_MS = 10000 };

struct tail {
    const char *channel;
    long wanted; /* changes; 0: no end */
    long printed;
    bool subscribed; /* at least once */
    bool refused;
    bool quiet;
};

static char *channel_of(const char *table)
{
    struct rt_buf name = { 0 };

    if (strchr(table, ':') != NULL) {
        return rt_strdup(table);
    }
    rt_buf_printf(&name, "table:%s%s", strchr(table, '.') == NULL ? "public." : "", table);
    char *channel = rt_strdup(rt_buf_cstr(&name));
    rt_buf_fini(&name);
    return channel;
}

/* One line whatever is in it: line ends can only stand between JSON tokens. */
static bool print_frame(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        putchar(text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
    }
    putchar('\n');
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

static bool on_change(struct tail *tail, const char *text, size_t len)
{
    if (!print_frame(text, len)) {
        return false; /* nobody reads any more */
    }
    tail->printed++;
    return tail->wanted == 0 || tail->printed < tail->wanted;
}

static bool on_error(struct tail *tail, const char *text, size_t len)
{
    char code[64];
    char message[512];

    cli_frame_text(text, len, "code", code, sizeof code);
    cli_frame_text(text, len, "message", message, sizeof message);
    cli_say("%s %s", code, message);
    /* What worked before may work again (a restart, a database that is away); what never did will not. */
    tail->refused = !tail->subscribed;
    return !tail->refused;
}

static bool on_text(void *ctx, const char *text, size_t len)
{
    struct tail *tail = ctx;
    char type[32];

    cli_frame_text(text, len, "type", type, sizeof type);
    if (strcmp(type, "broadcast") == 0 || strcmp(type, "postgres_changes") == 0) {
        return on_change(tail, text, len);
    }
    if (strcmp(type, "error") == 0) {
        return on_error(tail, text, len);
    }
    if (strcmp(type, "ack") == 0) {
        if (!tail->quiet) {
            cli_say(tail->subscribed ? "following %s again; changes in between are not shown"
                                     : "following %s",
                    tail->channel);
        }
        tail->subscribed = true;
    } else if (strcmp(type, "gap") == 0) {
        cli_say("changes are missing here: %s", text);
    }
    return true;
}

static void rest(long milliseconds)
{
    struct timespec left = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static enum cli_status follow(struct tail *tail, const struct cli_socket_config *socket, bool once)
{
    char why[CLI_SOCKET_WHY_SIZE];
    long pause = RETRY_FIRST_MS;

    for (;;) {
        long printed = tail->printed;
        enum cli_socket_end end = cli_socket_run(socket, why);
        if (tail->refused) {
            return CLI_FAILED;
        }
        if (end == CLI_SOCKET_DONE) {
            return tail->wanted > 0 && tail->printed < tail->wanted ? CLI_FAILED : CLI_OK;
        }
        if (end == CLI_SOCKET_BAD_URL) {
            cli_say("%s is no address; write e.g. --url ws://127.0.0.1:8080", socket->url);
            return CLI_USAGE;
        }
        if (once) {
            cli_say("%s: %s", socket->url, why);
            return CLI_FAILED;
        }
        if (tail->printed > printed) {
            pause = RETRY_FIRST_MS;
        }
        cli_say("%s: %s; trying again in %.1f s", socket->url, why, (double)pause / 1000.0);
        rest(pause);
        pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
    }
}

/* NULL in *out_token: without a token, as anonymous. */
static bool choose_token(const struct cli_args *args, const struct rt_config *config,
                         char **out_token)
{
    const char *given = cli_args_value(args, "token");
    bool make = cli_args_flag(args, "role") || cli_args_flag(args, "sub") ||
                cli_args_flag(args, "claim") || cli_args_flag(args, "ttl");

    *out_token = NULL;
    if (given != NULL && make) {
        cli_say("--token and --role, --sub, --claim or --ttl exclude each other");
        return false;
    }
    if (make) {
        *out_token = cli_token_make(args, config);
        return *out_token != NULL;
    }
    if (given == NULL) {
        given = cli_environment("PGTIDE_TOKEN");
    }
    if (given != NULL && given[0] != '\0') {
        *out_token = rt_strdup(given);
    }
    return true;
}

static bool choose_count(const struct cli_args *args, long *out_count)
{
    const char *text = cli_args_value(args, "count");
    char *end = NULL;

    *out_count = 0;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    *out_count = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || *out_count < 1) {
        cli_say("--count %s is not a number of changes; write e.g. --count 10", text);
        return false;
    }
    return true;
}

static char *choose_url(const struct cli_args *args, const struct rt_config *config)
{
    struct rt_buf url = { 0 };
    const char *given = cli_args_value(args, "url");

    if (given == NULL) {
        given = cli_environment("PGTIDE_URL");
    }
    rt_buf_printf(&url, "%s%s", given != NULL && strstr(given, "://") != NULL ? "" : "ws://",
                  given != NULL ? given : config->edge_listen);
    char *text = rt_strdup(rt_buf_cstr(&url));
    rt_buf_fini(&url);
    return text;
}

static char *subscribe_message(const char *channel)
{
    json_t *message = json_pack("{s:s,s:s}", "type", "subscribe", "channel", channel);
    char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;

    if (text == NULL) {
        cli_say("%s is not UTF-8 text", channel);
    }
    json_decref(message);
    return text;
}

static enum cli_status run_tail(const struct cli_args *args)
{
    enum cli_status status = CLI_USAGE;
    struct tail tail = { .quiet = cli_args_flag(args, "quiet") };
    struct cli_socket_config socket = { .on_text = on_text, .ctx = &tail };
    char *channel = channel_of(args->arguments[0]);
    char *greeting = subscribe_message(channel);
    char *token = NULL;
    char *url = NULL;
    struct rt_config *config = greeting != NULL ? cli_settings_load(args) : NULL;

    if (config != NULL && choose_count(args, &tail.wanted) && choose_token(args, config, &token)) {
        url = choose_url(args, config);
        tail.channel = channel;
        socket.url = url;
        socket.token = token;
        socket.greeting = greeting;
        status = follow(&tail, &socket, cli_args_flag(args, "once"));
    }
    free(channel);
    free(greeting);
    free(token);
    free(url);
    rt_config_free(config);
    return status;
}

static const struct cli_option tail_options[] = {
    { "url", "URL", false, "the edge; without it: $PGTIDE_URL, or realtime.listen" },
    { "token", "TOKEN", false, "who you are; without it: $PGTIDE_TOKEN, or nobody (anonymous)" },
    CLI_TOKEN_OPTIONS,
    { "count", "N", false, "stop after N changes" },
    { "once", NULL, false, "stop when the connection ends, instead of connecting again" },
    { "quiet", NULL, false, "say nothing about the connection when all is well" },
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_tail = {
    .name = "tail",
    .arguments = "TABLE",
    .summary = "print the changes of a table as they are committed",
    .about =
        "Connects to an edge as a client does and prints every change as the server sends it, one "
        "JSON\n"
        "object per line. TABLE is users (schema public), schema.users, or a channel with its "
        "kind\n"
        "(table:public.users). With --role, --sub or --claim it signs its own token with JWT_KEY.\n"
        "\n"
        "  pgtide tail orders\n"
        "  pgtide tail --role anon --count 3 messages | jq .payload.record\n"
        "\n"
        "Exit status: 0 after --count changes, 1 when the server refuses, when there is no "
        "connection\n"
        "(--once), or when nobody reads the output any more, 2 for wrong arguments.\n",
    .options = tail_options,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_tail,
};
