/* edge/edge.c - makes the parts in the order of their dependencies, and frees them in the other one: clients leave the
 * dialects, dialects leave the hub, the hub leaves the links. */
#include "edge/edge.h"

#include <stdlib.h>

#include "edge/fluxbase/fluxbase.h"
#include "edge/hub.h"
#include "edge/server.h"
#include "edge/token.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/keys.h"
#include "runtime/loop.h"

struct edge {
    struct rt_process *process;
    struct rt_keys *keys; /* NULL: links are not encrypted */
    struct token_verifier *verifier;
    struct hub *hub;
    struct fluxbase *fluxbase;
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
    if (edge->hub != NULL) {
        hub_free(edge->hub);
    }
    token_verifier_free(edge->verifier);
    rt_keys_free(edge->keys);
    free(edge);
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
    edge->fluxbase = fluxbase_new(&(struct fluxbase_config){
        .process = process, .hub = edge->hub, .verifier = edge->verifier });
    edge->server = edge_server_new(&(struct edge_server_config){
        .process = process,
        .verifier = edge->verifier,
        .dialects = &fluxbase_dialect,
        .dialect_ctx = (void *[]){ edge->fluxbase },
        .dialect_count = 1,
    });
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
