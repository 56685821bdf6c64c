/* broker/shard_impl.h - the parts of a shard, for the files that carry records between them.
 *
 *   shard.c         makes, drains and frees everything
 *   shard_tailer.c  the tailer's link, upstream, and what they wait for
 *   shard_route.c   what the route asks for, and what it sends
 *   shard_snapshot  the rows of tables, for the route
 *   shard_channels.c  broadcast and presence channels and the seats of users, as guests of the route
 */
#ifndef PGTIDE_BROKER_SHARD_IMPL_H
#define PGTIDE_BROKER_SHARD_IMPL_H

#include "broker/channels/channels.h"
#include "broker/edges.h"
#include "broker/pause.h"
#include "broker/perms/authority.h"
#include "broker/relations.h"
#include "broker/route/route.h"
#include "broker/seats/seats.h"
#include "broker/shard.h"
#include "broker/shard_snapshot.h"
#include "broker/shard_views.h"
#include "broker/stats.h"
#include "broker/upstream.h"
#include "broker/window.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/keys.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/sub.h"

struct shard {
    struct rt_process *process;
    struct stats stats;
    struct rt_keys *keys;
    struct relations *relations;
    struct window *window;
    struct authority *authority;
    struct route *route;
    struct channels *channels;
    struct seats *seats;
    struct rt_timer *channels_tick;
    struct shard_snapshots *snapshots;
    struct shard_views *views;
    struct upstream *upstream;
    struct edges *edges;
    struct rt_sub *sub;
    struct rt_timer *tick;
    struct rt_timer *tell;  /* edges are owed PROGRESS */
    bool telling;           /* it is set */
    struct rt_defer *flush; /* the route may have something to send */
    struct rt_condition *tailer_ready;
    struct rt_condition *database_ready;
    struct rt_condition *edges_ready;
    unsigned ticks;
    struct pause pause;
    uint64_t link_epoch; /* of the tailer's stream; 0: none yet */
    uint64_t unfinished; /* number of the frame that upstream keeps the rest of; 0: none */
    bool draining;
};

/* shard_tailer.c */
bool shard_make_sub(struct shard *shard); /* false after logging */
void shard_make_upstream(struct shard *shard);
void shard_update_pause(struct shard *shard);
void shard_describe(struct shard *shard, uint32_t oid);
/* Goes on where upstream stopped, if it can. */
void shard_go_on(struct shard *shard);

/* shard_channels.c */
bool shard_make_channels(struct shard *shard); /* false after logging */
void shard_make_seats(struct shard *shard);
extern const struct route_guests shard_guests;
void shard_broadcast(void *ctx, const struct wire_position *at, struct wire_span content);

/* shard_route.c */
void shard_make_route(struct shard *shard);
void shard_make_authority(struct shard *shard);
void shard_make_snapshots(struct shard *shard);
bool shard_make_views(struct shard *shard); /* false: the log says why */
/* Lets the route work and sends what it has. */
void shard_flush(struct shard *shard);
void shard_set_window_metrics(struct shard *shard, rt_usec now);

#endif
