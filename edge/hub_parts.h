/* edge/hub_parts.h - what the hub's own files share. Nothing outside hub*.c includes it.
 *
 *   hub.c         life, readiness, metrics, the tick
 *   hub_client.c  clients, identities, client subscriptions
 *   hub_up.c      upward subscriptions: announce, accept, refuse, interrupt
 *   hub_group.c   groups and audiences
 *   hub_event.c   records of a shard's stream
 *
 * Who is in which list:
 *   a client       in its identity's `clients`
 *   a sub          in its client's `subs` (heirs are not), in its upward subscription's `subs`, in hub.waiting
 *                  until it is answered, and as a member of one audience while it is in force
 *   an upward sub  in its shard's `ups`, in hub.ups by (identity, channel), in shard.by_number while announced
 */
#ifndef PGTIDE_EDGE_HUB_PARTS_H
#define PGTIDE_EDGE_HUB_PARTS_H

#include "edge/hub.h"
#include "edge/list.h"
#include "edge/row_json.h"
#include "edge/uplink.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

#define HUB_CODES 6 /* enum wire_code, from 1 */

struct hub_metrics {
    struct rt_gauge *subscriptions;
    struct rt_gauge *upward;
    struct rt_gauge *groups;
    struct rt_gauge *identities;
    struct rt_gauge *shards_ready;
    struct rt_counter *deliveries;
    struct rt_counter *repeated;
    struct rt_counter *encoded;
    struct rt_counter *queued;
    struct rt_counter *errors;
    struct rt_counter *gaps;
    struct rt_counter *as_text;
    struct rt_counter *bad_utf8;
    struct rt_counter *refusals[HUB_CODES];
    struct rt_histogram *delay;
};

struct hub_identity {
    uint64_t number;
    uint32_t refs; /* clients and upward subscriptions */
    struct identity identity;
    struct list_node clients;
    struct rt_buf key;  /* in hub.identities */
    uint8_t *announced; /* a bit per shard */
};

struct hub_client {
    struct hub *hub;
    const struct hub_dialect *ops;
    void *dialect;
    void *session;
    void *to;
    struct hub_identity *identity;
    struct list_node in_identity;
    struct list_node subs;
    size_t count;
    bool expired;
};

struct hub_sub {
    struct hub_client *client;
    struct hub_up *up;
    struct hub_audience *audience; /* NULL: not in force at the moment */
    uint32_t member;               /* index in the audience */
    uint32_t events;
    unsigned form;
    bool acked;                 /* the client has heard on_accepted */
    bool interrupted;           /* acked, and out of force until the shard accepts it again */
    struct wire_position after; /* delivered up to here when it was interrupted */
    struct hub_sub
        *heir; /* the same subscription under the client's new identity, not accepted yet */
    struct hub_sub *heir_of;
    void *user;
    rt_usec since; /* when it began to wait */
    struct list_node in_client;
    struct list_node in_up;
    struct list_node in_waiting;
    size_t text_len;
    char text[];
};

struct hub_up {
    uint64_t number; /* on the wire; 0: not announced */
    struct hub_shard *shard;
    struct hub_identity *identity;
    struct hub_group *group;   /* NULL: not accepted */
    struct wire_position from; /* as accepted */
    struct list_node subs;
    struct list_node in_shard;
    size_t channel_len;
    char channel[];
};

struct hub_member {
    void *to;
    struct hub_sub *sub;
    uint32_t events;
};

struct hub_audience {
    struct hub_group *group;
    uint32_t index; /* in group->audiences */
    const struct hub_dialect *ops;
    void *dialect;
    unsigned form;
    struct hub_member *members;
    uint32_t count;
    uint32_t cap;
    uint32_t wanting[HUB_TRUNCATE + 1]; /* members by event bit */
    size_t text_len;
    char text[];
};

struct hub_group {
    uint32_t number;
    struct hub_shard *shard;
    struct row_def *def; /* NULL until described */
    uint32_t ups;        /* upward subscriptions that point here */
    rt_usec idle_since;  /* when the last of them left */
    struct hub_audience **audiences;
    uint32_t count;
    uint32_t cap;
};

struct hub_shard {
    struct hub *hub;
    uint32_t index;
    struct uplink *uplink;
    struct list_node ups;
    struct rt_map *by_number; /* number -> struct hub_up */
    struct rt_map *groups;    /* number -> struct hub_group */
    bool in_session;
    bool restart; /* announce everything again at the next tick */
    bool has_position;
    struct wire_position position; /* everything up to here has been processed */
    bool has_seen;
    struct wire_position
        seen; /* position when the current transaction began: up to here it is a repetition */
    bool in_transaction;
    bool measured; /* the delay of the current transaction is in the histogram */
    struct wire_begin begin;
};

struct hub {
    const struct rt_process *process;
    rt_usec (*now)(void);
    rt_usec (*wall_now)(void);
    struct rt_timer *timer;
    struct rt_condition *ready;
    struct hub_metrics metrics;
    struct hub_shard *shards;
    uint32_t shard_count;
    uint64_t last_number; /* of identities and upward subscriptions */
    struct rt_map *identities;
    struct rt_map *ups;
    struct rt_map *audiences;
    struct list_node waiting; /* subscriptions without an answer, oldest first */
    size_t group_count;
    size_t sub_count;
    rt_usec next_sweep;  /* of idle groups */
    rt_usec next_expiry; /* wall; INT64_MAX: no identity expires */
    struct rt_buf key;   /* scratch */
    struct row_encoder encoder;
    struct row_values new_row;
    struct row_values old_row;
    struct rt_buf record;
    struct rt_buf old_record;
    struct rt_buf unchanged;
    struct rt_buf too_large;
    uint64_t content;
};

/* hub.c */
void hub_update_ready(struct hub *hub, const struct hub_shard *blame, const char *reason);
void hub_count_refusal(struct hub *hub, enum wire_code code);

/* hub_client.c */
void hub_identity_unref(struct hub *hub, struct hub_identity *identity);
/* Ends one for a reason that its client is told; takes heirs and ancestors along. */
void hub_sub_refuse(struct hub_sub *sub, enum wire_code code, struct rt_span message);
/* Its upward subscription is in force: joins the audience, and tells the client what is to be told. */
void hub_sub_arm(struct hub_sub *sub, const struct wire_position *position);
void hub_expire(struct hub *hub, rt_usec wall);

/* hub_up.c */
struct hub_up *hub_up_get(struct hub *hub, struct hub_identity *identity, struct wire_span channel);
void hub_up_attach(struct hub_up *up, struct hub_sub *sub);
void hub_up_drop_if_unused(struct hub_up *up);
void hub_up_accept(struct hub_shard *shard, const struct wire_accept *accept);
void hub_up_refuse(struct hub_shard *shard, const struct wire_refuse *refuse);
/* Takes everything of a shard out of force and announces it again. */
void hub_shard_announce(struct hub_shard *shard);
/* Announces what was asked for while there was no session. */
void hub_shard_resume(struct hub_shard *shard);
void hub_shard_gap(struct hub_shard *shard, const struct wire_gap *gap);
void hub_shard_flush(struct hub_shard *shard);

/* hub_group.c */
struct hub_group *hub_group_get(struct hub_shard *shard, uint32_t number);
void hub_group_describe(struct hub_group *group, struct row_def *def);
/* Points an upward subscription at a group, or at none. */
void hub_group_assign(struct hub_up *up, struct hub_group *group);
/* Frees groups that nobody has pointed at since `before`, or all. The broker describes a group again when it comes back; the
 * grace covers an answer that was under way when the last subscription left. */
void hub_groups_sweep(struct hub_shard *shard, rt_usec before);
void hub_groups_drop(struct hub_shard *shard); /* all; nobody points at any */
void hub_audience_enter(struct hub_group *group, struct hub_sub *sub);
void hub_audience_leave(struct hub_sub *sub);

/* hub_event.c */
void hub_shard_frame(struct hub_shard *shard, struct rt_span frame);

static inline bool hub_position_not_after(const struct wire_position *a,
                                          const struct wire_position *b)
{
    return a->epoch == b->epoch && wire_position_cmp(a, b) <= 0;
}

#endif
