/* edge/hub.h - who of this edge's clients wants what, and how a change reaches each of them.
 *
 * The hub stands between the dialects (below) and the shards (edge/uplink.h, above). Dialects speak to it in
 * neutral operations: join, subscribe, unsubscribe, change of identity, leave. It shares and fans out:
 *
 *   client subscription   what one connection asked for: (channel, form, text, events)
 *   upward subscription   one per (identity, channel), whatever the number of clients behind it
 *   group                 the broker's unit: everybody who sees the same of a table
 *   audience              members of a group whose frames are the same bytes: one (dialect, form, text)
 *
 * A change is encoded at most once per (event, audience), and its row once per (event, column set); the frame is
 * shared by all members and forgotten when the event is over.
 *
 * A subscription is answered once: on_accepted when it is armed, or on_refused, or on_gone if it asked for what came after
 * a position and that cannot be had; at the latest after HUB_SUBSCRIBE_TIMEOUT without a reachable shard. In force, it
 * survives the loss of its shard: it is announced again by itself, from where it was, and the client notices nothing; or
 * hears on_gap if that is not possible; or on_refused.
 *
 * A client gets each change of a subscription once, in the order of commits; of a transaction's changes the last one is
 * marked (mark_last).
 *
 * Callbacks of a dialect must not call the hub, but for hub_sub_send(); they send frames and close connections. One thread, no global
 * state. Join, subscribe, unsubscribe: O(1); leave: O(subscriptions of the client); an event: O(members).
 */
#ifndef PGTIDE_EDGE_HUB_H
#define PGTIDE_EDGE_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/frame.h"
#include "edge/token.h"
#include "proto/records.h"
#include "runtime/buf.h"
#include "runtime/clock.h"

struct hub;
struct hub_client;
struct hub_sub;
struct row_def;
struct rt_keys;
struct rt_process;

#define HUB_SUBSCRIBE_TIMEOUT (10 * RT_SEC) /* for a shard that is not reachable */
#define HUB_ANSWER_TIMEOUT    (15 * RT_SEC) /* for a shard that is, and says nothing */
#define HUB_RESUME_TIMEOUT    (40 * RT_SEC) /* for one that may have to get there first */

struct hub_config {
    const struct rt_process *process;
    const struct rt_keys *keys; /* of the links; NULL: no encryption */
    rt_usec (*now)(void);       /* NULL: rt_now */
    rt_usec (*wall_now)(void);  /* NULL: rt_wall_now */
};

/* Connects to every shard. Owns the readiness conditions "shards" and "fresh" and the metrics pgtide_edge_… of subscriptions
 * and events. Never NULL. */
struct hub *hub_new(const struct hub_config *config);
/* After every client has left (the server is freed first). */
void hub_free(struct hub *hub);
/* Once a second: deadlines and token expiry. The hub's own timer calls it; tests do. */
void hub_tick(struct hub *hub);

/* --- what a dialect is told ------------------------------------------------------------------------ */

/* Bits, so that a set of them is an event mask. */
enum hub_op { HUB_INSERT = 1, HUB_UPDATE = 2, HUB_DELETE = 4, HUB_TRUNCATE = 8 };
#define HUB_EVERY_OP 15u

/* One change as the members of a group see it. Valid during encode() only. Texts are UTF-8. */
struct hub_event {
    enum hub_op op;
    struct wire_position position;
    int64_t commit_time; /* microseconds since 1970 */
    struct rt_span schema;
    struct rt_span table;
    struct rt_span record;     /* JSON object; len 0: none (DELETE, TRUNCATE) */
    struct rt_span old_record; /* JSON object; len 0: none (INSERT, TRUNCATE) */
    struct rt_span unchanged;  /* JSON array of column names not in the WAL; len 0: none */
    struct rt_span too_large;  /* JSON array of column names over database.max_value; len 0: none */
    const struct row_def *columns; /* and the tuples, for a dialect that needs single values */
    struct wire_tuple new_row;
    struct wire_tuple old_row;
    uint64_t content; /* equal numbers: equal in every member above; never 0 */
};

struct hub_accepted {
    struct wire_position position; /* complete from here on */
    bool resumed;                  /* that is the `since` that was asked for */
    bool defined;                  /* whether the broker has described the table already */
    const struct row_def *columns; /* NULL unless defined */
};

struct hub_gap {
    struct wire_position after;    /* everything up to here was delivered */
    struct wire_position position; /* complete from here on */
    const char *reason;
};

struct hub_gone {
    enum wire_gone_reason reason;
    struct rt_span message;
    bool has_since;
    struct wire_position since;  /* as it was asked for */
    struct wire_position oldest; /* what could be had, from here */
    struct wire_position newest; /* to here */
};

/* A part of a snapshot. Valid during on_rows() only. */
struct hub_page {
    struct rt_span rows; /* JSON array of objects */
    uint32_t count;      /* of them */
    uint32_t number;     /* of this page of the subscription, from 1 */
    bool last;
    struct rt_span token;     /* where to go on behind it; len 0: cannot be gone on with */
    struct rt_span too_large; /* JSON array of columns left out in some row; len 0: none */
};

/* `dialect` is what the client joined with, `sub` the user pointer of hub_want. */
struct hub_dialect {
    const char *name;
    /* The frame of an event for one audience; the hub owns the reference afterwards. NULL: nothing is sent. */
    struct edge_frame *(*encode)(void *dialect, const struct hub_event *event, unsigned form,
                                 struct rt_span text);
    /* The event of this frame is the last of its transaction for the audience. Changes bytes in place, before anybody has
     * the frame; NULL: frames do not say. */
    void (*mark_last)(struct edge_frame *frame);
    /* Queues a frame for a member; `to` is the joining client's. Takes its own reference. */
    void (*deliver)(void *to, struct edge_frame *frame);
    void (*on_accepted)(void *session, void *sub, const struct hub_accepted *accepted);
    /* The subscription is over and its handle invalid. */
    void (*on_refused)(void *session, void *sub, enum wire_code code, struct rt_span message);
    /* It cannot go on from where it asked to. Over, too. */
    void (*on_gone)(void *session, void *sub, const struct hub_gone *gone);
    void (*on_gap)(void *session, void *sub, const struct hub_gap *gap);
    /* For those that asked for a snapshot, between on_accepted and the live changes. */
    void (*on_rows)(void *session, void *sub, const struct hub_page *page);
    /* Bytes in the client's queue. A client with much there gets no more rows for now. */
    size_t (*waiting)(void *session);
    /* Only with hub_joining.transactions: a whole transaction has been delivered, with so many changes. And: more than the client's
     * budget waits for some shard; close the client. */
    void (*on_commit)(void *session, const struct wire_position *at, uint64_t changes);
    void (*on_overflow)(void *session);
    /* No freshness marker for `age` (over freshness.threshold) from a shard that the client has subscriptions on: what it gets may be
     * old, and silence proves nothing. And: that is over. */
    void (*on_stale)(void *session, rt_usec age);
    void (*on_fresh)(void *session);
    /* The identity's token has expired; its subscriptions deliver nothing from now on. Close the client. */
    void (*on_expired)(void *session);
};

/* --- what a dialect asks for ------------------------------------------------------------------------- */

struct hub_joining {
    const struct hub_dialect *ops; /* outlives the client */
    void *dialect;
    void *session;
    void *to;                  /* first argument of deliver */
    struct identity *identity; /* moved out: empty afterwards */
    bool transactions;         /* whole ones, in the order of commits across all subscriptions */
};
struct hub_client *hub_join(struct hub *hub, const struct hub_joining *joining);
/* Ends all subscriptions, without callbacks. NULL is fine. */
void hub_leave(struct hub_client *client);
/* Swaps the identity. Subscriptions in force go on under the old one until the shard has accepted the new one, at
 * one point of the stream, without a gap; or are refused. Moves *identity out. */
void hub_set_identity(struct hub_client *client, struct identity *identity);
size_t hub_client_subs(const struct hub_client *client);
/* Up to where the client has everything on all its subscriptions: whole transactions only. False while one of them is not
 * answered, interrupted or catching up, or there is none. O(subscriptions of the client). */
bool hub_progress(const struct hub_client *client, struct wire_position *out);

enum hub_err {
    HUB_OK = 0,
    HUB_TOO_MANY, /* realtime.max_subscriptions_per_connection */
    HUB_EXPIRED,  /* the client's token */
};

struct hub_want {
    struct rt_span channel; /* neutral name, "table:public.users"; at most WIRE_CHANNEL_MAX bytes */
    unsigned form;          /* the dialect's: which kind of frame; below 256 */
    struct rt_span text;    /* what the client calls it, part of its frames; at most 4096 bytes */
    unsigned events;        /* mask of enum hub_op */
    void *user;             /* the dialect's subscription */
    bool has_since;         /* go on behind this position */
    struct wire_position since;
    bool snapshot;        /* the rows first; not with a since */
    uint32_t page_rows;   /* at most so many in a page; up to WIRE_ROWS_MAX */
    struct rt_span token; /* of an earlier snapshot's page, to go on behind it; len 0: none */
};
/* *out_sub is valid until hub_unsubscribe(), on_refused, on_gone or hub_leave(). It is set before on_accepted, which may be called from
 * here when the channel is in force already. on_refused and on_gone never are. */
enum hub_err hub_subscribe(struct hub_client *client, const struct hub_want *want,
                           struct hub_sub **out_sub);
void hub_unsubscribe(struct hub_sub *sub);
/* Delivers a frame of the dialect's behind all changes that the subscription has been given; also from on_gap and on_rows. Takes its
 * own reference. */
void hub_sub_send(struct hub_sub *sub, struct edge_frame *frame);

#endif
