/* edge/uplink.h - the link to one shard: its stream in, our side channel out, in records.
 *
 * Knows rt_sub and the encoding of records; what they mean is the hub's. Records are gathered and sent together
 * by uplink_flush(), or by themselves past 32 KiB. Without a session they wait for the next one; past 16 MiB they are
 * dropped and logged (the shard then keeps subscriptions that nobody has, which costs it only work). A frame is acknowledged when on_frame has returned: clients
 * have it in their queues then, and a slow one is closed, never waited for.
 */
#ifndef PGTIDE_EDGE_UPLINK_H
#define PGTIDE_EDGE_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/token.h"
#include "proto/records.h"
#include "runtime/buf.h"

struct rt_keys;
struct rt_process;
struct uplink;

struct uplink_events {
    void (*on_session)(void *ctx, bool fresh);
    void (*on_frame)(void *ctx, struct rt_span frame);
    void (*on_down)(void *ctx, const char *reason);
};

struct uplink_config {
    const struct rt_process *process;
    const struct rt_keys *keys; /* NULL: no encryption */
    uint64_t peer_id;           /* of this edge, the same for all shards */
    uint32_t shard;
    const struct uplink_events *events;
    void *ctx;
};

struct uplink *uplink_new(const struct uplink_config *config);
void uplink_free(struct uplink *uplink);

/* Gathered; the texts are copied. */
void uplink_identify(struct uplink *uplink, uint64_t number, const struct identity *identity);
void uplink_forget(struct uplink *uplink, uint64_t number);
void uplink_subscribe(struct uplink *uplink, const struct wire_subscribe *record);
void uplink_more(struct uplink *uplink, uint64_t sub, uint32_t parts);
void uplink_unsubscribe(struct uplink *uplink, uint64_t sub);
void uplink_publish(struct uplink *uplink, const struct wire_publish *record);
void uplink_track(struct uplink *uplink, const struct wire_track *record);
void uplink_untrack(struct uplink *uplink, const struct wire_untrack *record);
void uplink_seat(struct uplink *uplink, const struct wire_seat *record);
void uplink_unseat(struct uplink *uplink, uint64_t seat);
/* False: something gathered since the last flush could not be sent although there is a session, and is dropped. */
bool uplink_flush(struct uplink *uplink);

#endif
