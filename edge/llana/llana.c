/* edge/llana/llana.c - makes the parts of the dialect. */
#include "edge/llana/llana.h"

#include <stdio.h>
#include <stdlib.h>

#include "edge/llana/parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"

static void on_roles_known(void *ctx)
{
    struct llana *llana = ctx;

    /* Called by the hub, which may not be called from there: the timers go on with it. */
    LIST_EACH(at, after, &llana->sessions)
    {
        struct llana_session *session = LIST_ELEMENT(at, struct llana_session, all);
        if (session->state == LLANA_WAITING) {
            session->again_due = rt_now();
            llana_arm(session);
        }
    }
}

/* What they would have got meanwhile they get when they are back. */
static void on_roles_lost(void *ctx)
{
    struct llana *llana = ctx;

    LIST_EACH(at, after, &llana->sessions)
    {
        struct llana_session *session = LIST_ELEMENT(at, struct llana_session, all);
        if (session->state >= LLANA_SUBSCRIBING && !session->unrestricted) {
            llana_send_away(session, "the roles are being read anew");
        }
    }
}

static void make_metrics(struct llana *llana, struct rt_metrics *metrics)
{
    static const char *const outcomes[LLANA_OUTCOMES] = { "connected", "recovered", "refused" };

    for (int i = 0; i < LLANA_OUTCOMES; i++) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "outcome=\"%s\"", outcomes[i]);
        llana->outcomes[i] = rt_counter_new(metrics, "pgtide_edge_llana_connects_total", labels,
                                            "Connect packets of Llana's clients, by outcome");
    }
    llana->sent =
        rt_counter_new(metrics, "pgtide_edge_llana_events_total", "result=\"sent\"",
                       "Events that reached a socket of Llana's, sent or withheld by role");
    llana->withheld =
        rt_counter_new(metrics, "pgtide_edge_llana_events_total", "result=\"withheld\"",
                       "Events that reached a socket of Llana's, sent or withheld by role");
    llana->keyless =
        rt_counter_new(metrics, "pgtide_edge_llana_keyless_events_total", NULL,
                       "Events that could not be sent: no primary key to name the row");
    llana->messages = rt_counter_new(metrics, "pgtide_edge_client_messages_total",
                                     "dialect=\"llana\"", "Messages received from clients.");
}

static void log_redis(const struct llana *llana)
{
    if (llana->config->llana_redis_host[0] != '\0' || llana->config->llana_redis_port[0] != '\0') {
        rt_log_info(llana->process->log, "llana.redis_not_needed",
                    RT_S("reason", "edges work together through the shards; REDIS_HOST and "
                                   "REDIS_PORT are not used"));
    }
}

struct llana *llana_new(const struct llana_config *config)
{
    struct llana *llana = rt_alloc(sizeof(*llana));

    llana->process = config->process;
    llana->config = config->process->config;
    llana->hub = config->hub;
    llana->verifier = config->verifier;
    list_init(&llana->sessions);
    llana->slowdown.seed[0] = rt_random64();
    llana->slowdown.seed[1] = rt_random64();
    make_metrics(llana, config->process->metrics);
    llana->roles = llana_roles_new(llana->config->llana_user_role_column);
    llana->feed = llana_feed_new(&(struct llana_feed_config){ .process = config->process,
                                                              .hub = config->hub,
                                                              .roles = llana->roles,
                                                              .on_ready = on_roles_known,
                                                              .on_lost = on_roles_lost,
                                                              .ctx = llana });
    llana->engine = engineio_new(&(struct engineio_config){
        .process = config->process, .app = &llana_app, .app_ctx = llana, .name = "llana" });
    log_redis(llana);
    return llana;
}

void llana_free(struct llana *llana)
{
    if (llana == NULL) {
        return;
    }
    engineio_free(llana->engine);
    llana_feed_free(llana->feed);
    llana_roles_free(llana->roles);
    llana_out_fini(&llana->out);
    rt_buf_fini(&llana->text);
    free(llana);
}

struct edge_dialect llana_dialect(void)
{
    struct edge_dialect dialect = { .name = "llana", .path = "/socket.io" };

    engineio_fill_dialect(&dialect);
    return dialect;
}

void *llana_dialect_ctx(struct llana *llana)
{
    return llana->engine;
}
