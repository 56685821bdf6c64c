/* edge/fluxbase/fluxbase.h - the dialect of /realtime (seed 003): sessions and their subscriptions.
 *
 * docs/protocol-fluxbase.md is what a client sees. Decisions that the seed leaves open: malformed messages and unknown
 * types are answered SUBSCRIPTION_FAILED (the seed has five codes, none for them) and the connection stays; a
 * second subscribe of one table channel is refused, while subscriptions by config may repeat, each with its own
 * subscription_id; unsubscribing a channel ends all its subscriptions, one ack each.
 *
 * Every client message but ping, heartbeat and access_token counts against realtime.message_rate_limit: a bucket
 * that holds a minute's worth. A heartbeat is never answered (one SDK answers heartbeats itself).
 */
#ifndef PGTIDE_EDGE_FLUXBASE_FLUXBASE_H
#define PGTIDE_EDGE_FLUXBASE_FLUXBASE_H

#include "edge/dialect.h"
#include "edge/hub.h"

struct fluxbase;
struct rt_process;

struct fluxbase_config {
    const struct rt_process *process;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*now)(void);      /* NULL: rt_now */
    rt_usec (*wall_now)(void); /* NULL: rt_wall_now */
};

/* The `dialect` argument of fluxbase_dialect's functions. Never NULL. */
struct fluxbase *fluxbase_new(const struct fluxbase_config *config);
void fluxbase_free(struct fluxbase *fluxbase); /* after the last on_close */
extern const struct edge_dialect fluxbase_dialect;

#endif
