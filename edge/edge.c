/* edge/edge.c - makes the parts in the order of their dependencies, and frees them in the other one: clients leave the
 * dialects, dialects leave the hub, the hub leaves the links. */
#include "edge/edge.h"

#include <stdlib.h>

#include "edge/echo.h"
#include "edge/fluxbase/fluxbase.h"
#include "edge/fluxbase/rest.h"
#include "edge/hub.h"
#include "edge/llana/llana.h"
#include "edge/server.h"
#include "edge/staticbackend/staticbackend.h"
#include "edge/token.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/keys.h"
#include "runtime/log.h"
#include "runtime/loop.h"

struct edge {
    struct rt_process *process;
    struct rt_keys *keys; /* NULL: links are not encrypted */
    struct token_verifier *verifier;
    struct hub *hub;
    struct fluxbase *fluxbase;
    struct fluxbase_rest *fluxbase_rest;
    struct llana *llana;
    struct staticbackend *staticbackend;
    struct edge_server *server;
};

static const char *admin_listen(const struct rt_config *config)
{
    return config->edge_admin;
}

static void edge_stop(void *tier)
{
    struct edge *edge = tier;

    edge_server_free(edge->server);
    if (edge->fluxbase != NULL) {
        fluxbase_free(edge->fluxbase);
    }
    fluxbase_rest_free(edge->fluxbase_rest);
    llana_free(edge->llana);
    staticbackend_free(edge->staticbackend);
    if (edge->hub != NULL) {
        hub_free(edge->hub);
    }
    token_verifier_free(edge->verifier);
    rt_keys_free(edge->keys);
    free(edge);
}

enum { DIALECTS_MAX = 4 + STATICBACKEND_PATHS };

/* The last one, and only when it is asked for. */
static size_t add_echo(const struct edge *edge, struct edge_dialect dialects[DIALECTS_MAX],
                       size_t count)
{
    if (!edge->process->config->edge_diagnostics_echo) {
        return count;
    }
    dialects[count] = edge_echo_dialect;
    rt_log_warn(
        edge->process->log, "edge.diagnostics", RT_S("path", EDGE_ECHO_PATH),
        RT_S("effect",
             "whoever reaches the client port can make this edge send back what they send"),
        RT_S("hint",
             "edge.diagnostics.echo is for tests of conformance; turn it off where clients are"));
    return count + 1;
}

static struct edge_server *make_server(const struct edge *edge)
{
    struct edge_dialect dialects[DIALECTS_MAX] = { fluxbase_dialect, fluxbase_rest_dialect,
                                                   llana_dialect() };
    void *owners[DIALECTS_MAX] = { edge->fluxbase, edge->fluxbase_rest,
                                   llana_dialect_ctx(edge->llana) };
    for (size_t i = 0; i < STATICBACKEND_PATHS; i++) {
        dialects[3 + i] = staticbackend_dialects[i];
        owners[3 + i] = edge->staticbackend;
    }
    size_t count = add_echo(edge, dialects, 3 + STATICBACKEND_PATHS);
    return edge_server_new(&(struct edge_server_config){
        .process = edge->process,
        .verifier = edge->verifier,
        .dialects = dialects,
        .dialect_ctx = owners,
        .dialect_count = count,
    });
}

static bool make_parts(struct edge *edge)
{
    struct rt_process *process = edge->process;
    const struct rt_config *config = process->config;

    if (config->links_key_file[0] != '\0') {
        edge->keys = rt_keys_load(config->links_key_file, process->log);
        if (edge->keys == NULL) {
            return false;
        }
    }
    edge->verifier = token_verifier_new(config, process->log);
    if (edge->verifier == NULL) {
        return false;
    }
    edge->hub = hub_new(&(struct hub_config){ .process = process, .keys = edge->keys });
    const struct fluxbase_config fluxbase = { .process = process,
                                              .hub = edge->hub,
                                              .verifier = edge->verifier };
    edge->fluxbase = fluxbase_new(&fluxbase);
    edge->fluxbase_rest = fluxbase_rest_new(&fluxbase);
    edge->llana = llana_new(
        &(struct llana_config){ .process = process, .hub = edge->hub, .verifier = edge->verifier });
    edge->staticbackend = staticbackend_new(&(struct staticbackend_config){
        .process = process, .hub = edge->hub, .verifier = edge->verifier });
    if (edge->staticbackend == NULL) {
        return false;
    }
    edge->server = make_server(edge);
    return edge->server != NULL;
}

static void *edge_start(struct rt_process *process)
{
    struct edge *edge = rt_alloc(sizeof(*edge));

    edge->process = process;
    if (!make_parts(edge)) {
        edge_stop(edge);
        return NULL;
    }
    return edge;
}

static void on_drained(void *ctx)
{
    struct edge *edge = ctx;

    rt_loop_stop(edge->process->loop);
}

/* Clients are sent away over the first half of the time there is; the rest is for their goodbyes. */
static void edge_drain(void *tier)
{
    struct edge *edge = tier;

    edge_server_drain(edge->server, edge->process->config->drain_timeout / 2, on_drained, edge);
}

static void edge_reload(void *tier)
{
    struct edge *edge = tier;

    edge_server_reload(edge->server);
}

const struct rt_tier edge_tier = {
    .name = "edge",
    .summary = "Serves WebSocket clients: verifies their tokens, subscribes them at the shards, "
               "and sends\n"
               "every committed change that they may see. Any number of edges may share one port.",
    .admin_listen = admin_listen,
    .start = edge_start,
    .drain = edge_drain,
    .reload = edge_reload,
    .stop = edge_stop,
};
