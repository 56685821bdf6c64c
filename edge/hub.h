/* edge/hub.h - who of this edge's clients wants what, and how a change reaches each of them.
 *
 * The hub stands between the dialects (below) and the shards (edge/uplink.h, above). Dialects speak to it in
 * neutral operations: join, subscribe, unsubscribe, change of identity, leave. It shares and fans out:
 *
 *   client subscription   what one connection asked for: (channel, filter, form, text, events)
 *   upward subscription   one per (identity, channel, filter), whatever the number of clients behind it
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
 * Rooms (broadcast and presence channels) are below; they have their own calls and callbacks.
 *
 * Callbacks of a dialect must not call the hub, but for hub_sub_send() and hub_room_send(); they send frames and close connections. One thread, no global
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
    const struct row_def *columns;
    uint32_t number; /* of this page of the subscription, from 1 */
    bool last;
    struct rt_span token;     /* where to go on behind it; len 0: cannot be gone on with */
    struct rt_span too_large; /* JSON array of columns left out in some row; len 0: none */
};

/* A message of a broadcast channel. Valid during encode_message() only. */
struct hub_message {
    struct rt_span channel; /* neutral name */
    struct rt_span event;
    struct rt_span payload; /* JSON */
    struct wire_place place;
    bool own; /* this frame is for the client that sent it */
};

struct hub_present {
    struct rt_span key;
    struct rt_span meta; /* JSON */
};
enum hub_presence_kind {
    HUB_PRESENCE_SYNC,  /* this is who is there */
    HUB_PRESENCE_JOIN,  /* a key that was not there has come */
    HUB_PRESENCE_LEAVE, /* nobody is there under this key any more */
};
/* Something in a room. Valid during encode_presence() only. */
struct hub_presence {
    enum hub_presence_kind kind;
    struct rt_span channel;
    struct rt_span key;                /* JOIN, LEAVE */
    const struct hub_present *changed; /* JOIN: who has come under the key; LEAVE: who has gone */
    size_t changed_count;
    const struct hub_present
        *all; /* afterwards; equal keys stand together, in the order of coming */
    size_t all_count;
};

struct hub_room_accepted {
    struct wire_place place; /* complete from here on */
    bool resumed;            /* that is the `since` that was asked for */
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
    /* The subscription is over and its handle invalid. Comes before any commit that lacks it (hub_joining.transactions). */
    void (*on_refused)(void *session, void *sub, enum wire_code code, struct rt_span message);
    /* It cannot go on from where it asked to. Over, too. */
    void (*on_gone)(void *session, void *sub, const struct hub_gone *gone);
    void (*on_gap)(void *session, void *sub, const struct hub_gap *gap);
    /* What the client may see of the table is another from this position on: what it has should be fetched again. NULL: the
     * dialect has no words for it. */
    void (*on_rights)(void *session, void *sub, const struct wire_position *position);
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
    /* Its user has too many connections, on all edges together (hub_seat_take()); its subscriptions are over. Close the client. NULL: the
     * dialect takes no seats. */
    void (*on_unseated)(void *session);

    /* Rooms: broadcast and presence channels. A dialect that has none leaves them NULL. `room` is the user pointer of hub_room_want.
     * The frames are for one audience, as of encode(); the hub owns the reference; NULL: nothing is sent. */
    struct edge_frame *(*encode_message)(void *dialect, const struct hub_message *message,
                                         unsigned form, struct rt_span text);
    struct edge_frame *(*encode_presence)(void *dialect, const struct hub_presence *presence,
                                          unsigned form, struct rt_span text);
    void (*on_room_accepted)(void *session, void *room, const struct hub_room_accepted *accepted);
    /* Over, and the handle invalid. */
    void (*on_room_refused)(void *session, void *room, enum wire_code code, struct rt_span message);
    /* It cannot go on from where it asked to. Over, too. */
    void (*on_room_gone)(void *session, void *room, enum wire_gone_reason reason,
                         struct rt_span message);
    /* Messages may be missing before the next one. */
    void (*on_room_gap)(void *session, void *room, const char *reason);
    /* The answer to a publish or track, once for each that wanted one; code 0: done, and `place` is the message's. */
    void (*on_done)(void *session, void *reply, unsigned code, struct rt_span message,
                    const struct wire_place *place);
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
/* The connection counts as one of `user` (at most WIRE_KEY_MAX bytes), who may have `limit` of them on all edges together; before, it counted as
 * another one's, or none's. It is in force at once, and ended by on_unseated if the shard of the user knows better. False: this edge
 * alone has as many; the client has no seat and is to be closed. No user or no limit (0): it does not count. O(1). */
bool hub_seat_take(struct hub_client *client, struct rt_span user, uint32_t limit);
size_t hub_client_subs(const struct hub_client *client);
/* Up to where the client has everything, on all its subscriptions and rooms: the least of what each has been told. Who goes on
 * `since` there misses nothing. That must hold: a position may be too old, never too new. Of whole transactions, but where a
 * subscription began inside one. By what it is:
 *
 *   live            as far as the shard's stream says: END, PROGRESS; or where it began, if that is behind
 *   in a replay     as far as this says: END, and REPLAYED for what it does not show; or where it began. What the live stream
 *                   says does not count
 *   told to wait    where it stopped: in a replay that brings nothing while its view is asked for, or others are replayed
 *   a snapshot      none before it is live: what comes until then is not in the order of positions
 *   out of force    none: not answered, gone, or interrupted and not accepted yet from where it was
 *   an heir         (under another identity) as it is under the old one, until it is accepted
 *   of another epoch than the others    none until all have it
 *
 * False: none, or there is no subscription. O(subscriptions of the client). Nothing per change; what a shard says for it is one record
 * for each replay, so one for each (edge, group) and not for each client, at most every second. */
bool hub_progress(const struct hub_client *client, struct wire_position *out);
/* Whether all its subscriptions are live: only then no change is behind one that another subscription has been given. O(likewise). */
bool hub_is_live(const struct hub_client *client);

enum hub_err {
    HUB_OK = 0,
    HUB_TOO_MANY, /* realtime.max_subscriptions_per_connection */
    HUB_EXPIRED,  /* the client's token */
    HUB_AWAY,     /* the shard of the channel is not reachable; nothing was sent */
};

struct hub_want {
    struct rt_span channel; /* neutral name, "table:public.users"; at most WIRE_CHANNEL_MAX bytes */
    struct rt_span filter;  /* as the client wrote it; at most WIRE_FILTER_MAX bytes, len 0: none */
    enum wire_filter_kind filter_kind;
    unsigned form;       /* the dialect's: which kind of frame; below 256 */
    struct rt_span text; /* what the client calls it, part of its frames; at most 4096 bytes */
    unsigned events;     /* mask of enum hub_op */
    void *user;          /* the dialect's subscription */
    bool has_since;      /* go on behind this position */
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

/* --- rooms: broadcast:{topic} and presence:{room} ------------------------------------------------------- */

/* A client in a channel that is not a table's. Everybody in a channel gets the same, so a message is encoded once for each audience
 * (dialect, form, text), and once more for its sender. It survives the loss of its shard like a subscription; what clients sent
 * meanwhile may be missing (on_room_gap), what SQL sent is not. */
struct hub_room;

struct hub_room_want {
    struct rt_span
        channel; /* neutral name: "broadcast:chat", "presence:lobby"; at most WIRE_CHANNEL_MAX bytes */
    unsigned form;       /* as of hub_want */
    struct rt_span text; /* at most 4096 bytes */
    void *user;
    bool has_since; /* broadcast: go on behind this place */
    struct wire_place since;
};
/* As of hub_subscribe(); answered with on_room_accepted (which may be called from here), on_room_refused or on_room_gone. A presence room
 * that is not empty then gives its members a SYNC. */
enum hub_err hub_room_join(struct hub_client *client, const struct hub_room_want *want,
                           struct hub_room **out_room);
/* With what is tracked in it. */
void hub_room_leave(struct hub_room *room);

/* As hub_sub_send(). */
void hub_room_send(struct hub_room *room, struct edge_frame *frame);

/* A message to everybody in a channel; the sender need not be there. Answered with on_done(reply), never from here; reply NULL: no
 * answer is wanted. What cannot be sent at all is said by the result. O(1) here; at the broker O(edges with members). */
struct hub_publishing {
    struct rt_span channel;
    struct rt_span event;   /* at most WIRE_TEXT_MAX bytes */
    struct rt_span payload; /* valid JSON, at most WIRE_PAYLOAD_MAX bytes */
    bool to_sender;         /* its own rooms get it, too */
    void *reply;
};
enum hub_err hub_publish(struct hub_client *client, const struct hub_publishing *publishing);
/* The client is in the room under this key, with this meta (JSON, at most WIRE_META_MAX bytes); again with the same key: another meta.
 * HUB_TOO_MANY: HUB_TRACKS_MAX keys already. Kept through interruptions. */
enum hub_err hub_track(struct hub_room *room, struct rt_span key, struct rt_span meta, void *reply);
/* False: it was not tracked. */
bool hub_untrack(struct hub_room *room, struct rt_span key);

#define HUB_TRACKS_MAX 16u /* keys of one client in one room */

/* A place as clients see it: the position, and behind a dot the stamp in lower-case hexadecimal unless that is 0. One place has one
 * text; parsing refuses every other spelling. */
#define HUB_PLACE_TEXT_SIZE (WIRE_POSITION_TEXT_SIZE + 18)
void hub_place_text(const struct wire_place *place, char out[HUB_PLACE_TEXT_SIZE]);
bool hub_place_parse(struct rt_span text, struct wire_place *out);

#endif
