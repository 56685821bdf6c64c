/* broker/channels/channels.h - broadcast and presence channels of one shard: topics, rooms, and who is in them. No I/O.
 *
 *   topic     of a channel that somebody is in, or whose messages are still kept
 *   member    (topic, edge): how many subscriptions of this edge are in it. A message goes once to each edge with members
 *   present   (edge, ref): somebody in a room, under a key
 *
 * In come the records of edges, with the identity they act for (channels_subscribe … channels_untrack), and messages from SQL, in the stream's
 * order (channels_sql). Out go records, into the writer that `out` gives for an edge; the owner sends them. Rules (rules.h) decide who may join and send.
 *
 * Messages are totally ordered by their place (proto: a position of the stream, and a stamp for those of clients) and kept for a while, bounded
 * by bytes per topic, bytes of all, and time. A subscription may ask to go on behind a place; it waits until the stream is there, and until its edge
 * has room, then gets what it missed and is live from there, without a gap or a duplicate; or it is GONE. What SQL sent can be had again after
 * a restart too, since the tailer sends its window again; what clients sent cannot, and CHANNEL's instance says so.
 *
 * Presence: what has come, changed and gone is told once per tick, one record for each room, so what comes and goes within a tick is not told. An edge
 * whose session ends for good takes its entries with it at the next tick; one that starts over (channels_edge_free with `linger`) has
 * the grace to say them again. For the grace after the start, rooms are not settled: edges that know who was there before keep them.
 *
 * Cost: a message O(edges with members), one encoding; subscribe, unsubscribe, track, untrack O(edges of the topic); a tick O(rooms with changes). Memory
 * is bounded: topics, entries of a room, bytes of metas and messages. One thread.
 */
#ifndef PGTIDE_BROKER_CHANNELS_CHANNELS_H
#define PGTIDE_BROKER_CHANNELS_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/channels/rules.h"
#include "proto/records.h"
#include "runtime/clock.h"

#define CHANNELS_AHEAD_TIMEOUT (30 * RT_SEC) /* for a stream that is not at the place yet */
#define CHANNELS_START_TIMEOUT (10 * RT_SEC) /* for the stream's first word */
#define CHANNELS_SUBS_MAX      1000000u      /* of one edge */

struct channels;
struct channels_edge;
struct rt_metrics;

struct channels_events {
    /* Where records for this edge go; `in_transaction`: as a part of the stream's open one. */
    struct wire_writer *(*out)(void *ctx, void *edge_user, bool in_transaction);
    /* A record is written. */
    void (*written)(void *ctx, void *edge_user);
    /* Whether a replay may be written for this edge now. */
    bool (*room)(void *ctx, void *edge_user);
    /* Up to where the stream has been routed; false: nothing is known yet. And: from where on it can be had. */
    bool (*position)(void *ctx, struct wire_position *out);
    bool (*floor)(void *ctx, struct wire_position *out);
};

struct channels_config {
    uint32_t shard;
    int64_t shards;
    size_t topic_bytes; /* of kept messages */
    size_t replay_bytes;
    rt_usec replay_time;
    uint32_t topics_max;
    uint32_t room_max; /* entries of one room */
    size_t meta_max;   /* bytes of one meta */
    size_t metas_max;  /* bytes of all of them */
    rt_usec grace;
    struct rules *rules; /* owned from now on */
    struct rt_metrics *metrics;
    rt_usec (*now)(void);      /* NULL: rt_now */
    rt_usec (*wall_now)(void); /* NULL: rt_wall_now */
    const struct channels_events *events;
    void *ctx;
};

/* On whose behalf. */
struct channels_who {
    uint64_t identity;
    struct rules_who rights;
};

struct channels *channels_new(const struct channels_config *config);
void channels_free(struct channels *channels); /* and its edges */

struct channels_edge *channels_edge_new(struct channels *channels, void *user);
/* With its subscriptions. `linger`: the same edge starts over; its entries stay for the grace, for whoever says them again. */
void channels_edge_free(struct channels_edge *edge, bool linger);

/* Whether a name is of these channels at all; the others are not for this module. */
bool channels_is_channel(struct wire_span channel);
void channels_subscribe(struct channels_edge *edge, const struct wire_subscribe *subscribe,
                        const struct channels_who *who);
/* False: it is none of these. */
bool channels_unsubscribe(struct channels_edge *edge, uint64_t sub);
void channels_publish(struct channels_edge *edge, const struct wire_publish *publish,
                      const struct channels_who *who);
void channels_track(struct channels_edge *edge, const struct wire_track *track,
                    const struct channels_who *who);
void channels_untrack(struct channels_edge *edge, const struct wire_untrack *untrack);
/* The identity's subscriptions and entries end. */
void channels_forget(struct channels_edge *edge, uint64_t identity);

/* A message that a transaction at this position wrote: CHANNEL LF EVENT LF PAYLOAD. Ignored, and counted, if it is malformed. */
void channels_sql(struct channels *channels, const struct wire_position *at,
                  struct wire_span content);
/* Every channels.presence_tick: what has changed in rooms; who waits; what is too old. */
void channels_tick(struct channels *channels);

#endif
