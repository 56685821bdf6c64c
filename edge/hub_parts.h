/* edge/hub_parts.h - what the hub's own files share. Nothing outside hub*.c includes it.
 *
 *   hub.c          life of the hub and of its links, readiness, the tick
 *   hub_metrics.c  what it counts
 *   hub_client.c   clients and identities
 *   hub_sub.c      client subscriptions: made, armed, moved, ended
 *   hub_up.c       upward subscriptions: announce, accept, refuse
 *   hub_resume.c   what an interruption makes of them: since, gone, gaps
 *   hub_rows.c     snapshots
 *   hub_merge.c    clients that want whole transactions
 *   hub_group.c    groups and audiences
 *   hub_stream.c   records of a shard's stream
 *   hub_event.c    one change, as JSON
 *   hub_seat.c     how many connections users have
 *   hub_fresh.c    how far clients are, and how fresh that is
 *   hub_deliver.c  the way of a frame to its members
 *   hub_room_parts.h  rooms: broadcast and presence channels, and their files
 *
 * Who is in which list:
 *   a client       in its identity's `clients`
 *   a sub          in its client's `subs` (heirs are not), in its upward subscription's `subs`, in hub.waiting
 *                  until it is answered, in its shard's `merging` if it is a source, and as a member of one audience
 *                  while it is in force
 *   an upward sub  in its shard's `ups`, in hub.ups by (identity, channel, filter) unless it is a solo, in shard.by_number
 *                  while announced
 *   an audience    in its flow's `held` while it holds a frame back
 *
 * Positions. A *flow* is a sequence of transactions in the order of their commits: a shard's live stream, or one replay
 * that a shard sends for one group. A sub that is in force has everything up to its flow's position, or to its own
 * `after` where that is further (then it leaves out what comes again); out of force, everything up to `after`.
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
    struct rt_counter *rows;
    struct rt_counter *resumed;
    struct rt_counter *gone;
    struct rt_counter *rights;
    struct rt_counter *as_text;
    struct rt_counter *bad_utf8;
    struct rt_gauge *seats;
    struct rt_counter *seats_unasked;
    struct rt_counter *seats_refused;
    struct rt_counter *seats_refused_here;
    struct rt_counter *refusals[HUB_CODES];
    struct rt_histogram *delay;
    struct rt_histogram *fresh_delay;
    struct rt_gauge **fresh_age; /* by shard */
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
    struct list_node rooms;
    struct list_node replies;
    uint64_t number;           /* on the wire, as the sender of messages */
    struct list_node in_stale; /* hub.stale: it was told that something is stale */
    struct merge *merge;       /* whole transactions only; NULL: as they come */
    struct hub_seat *seat;     /* of its user; NULL: it has none */
    size_t count;
    bool expired;
    bool overflown; /* over its budget, and about to be closed */
};

enum hub_gone_why {
    HUB_NOT_GONE,
    HUB_GONE_EPOCH = WIRE_GONE_EPOCH,
    HUB_GONE_TOO_OLD = WIRE_GONE_TOO_OLD,
    HUB_GONE_AHEAD = WIRE_GONE_AHEAD,
    HUB_GONE_SNAPSHOT = WIRE_GONE_SNAPSHOT,
    HUB_GONE_FAULT, /* something behind it could not be read */
};

struct hub_sub {
    struct hub_client *client;
    struct hub_up *up;
    struct hub_audience *audience; /* NULL: not in force at the moment */
    uint32_t member;               /* index in the audience */
    uint32_t events;
    unsigned form;
    bool acked;       /* the client has heard on_accepted */
    bool interrupted; /* acked, and out of force until the shard accepts it again */
    bool asked;       /* with a `since`, not answered yet */
    bool has_after;
    enum hub_gone_why gone;     /* why it cannot go on from `after`: a gap is to be told */
    struct wire_position after; /* the client has everything up to here */
    struct hub_sub
        *heir; /* the same subscription under the client's new identity, not accepted yet */
    struct hub_sub *heir_of;
    struct hub_rows *rows;       /* of a snapshot that is not over */
    struct merge_source *source; /* in its client's merge; NULL: none */
    void *user;
    rt_usec began; /* to wait */
    struct list_node in_client;
    struct list_node in_up;
    struct list_node in_waiting;
    struct list_node in_merging;
    size_t text_len;
    char text[];
};

/* What is subscribed to. Borrowed. */
struct hub_subject {
    struct wire_span channel;
    struct wire_span filter; /* len 0: none */
    enum wire_filter_kind filter_kind;
};

struct hub_up {
    uint64_t number; /* on the wire; 0: not announced */
    struct hub_shard *shard;
    struct hub_identity *identity;
    struct hub_group *group; /* NULL: not accepted */
    enum wire_accept_kind kind;
    bool solo;                 /* for the subs that it has only: they were behind when they asked */
    struct wire_position from; /* as accepted */
    struct list_node subs;
    struct list_node in_shard;
    enum wire_filter_kind filter_kind;
    uint32_t channel_len;
    uint32_t filter_len;
    char text[]; /* the channel, the filter */
};

struct hub_member {
    void *to;
    struct hub_sub *sub;
};

struct hub_audience {
    struct hub_group *group;
    uint32_t index; /* in group->audiences */
    const struct hub_dialect *ops;
    void *dialect;
    unsigned form;
    uint32_t events;
    struct hub_member *members;
    uint32_t count;
    uint32_t cap;
    bool skipping; /* some member has what is at or before `skip` */
    struct wire_position skip;
    bool snapshot; /* some member wants rows */
    bool has_sent;
    struct wire_position sent; /* of the last event, the held one included */
    struct edge_frame *held;   /* the last event, until it is known whether another one follows */
    uint64_t held_order;       /* among what its flow holds */
    struct list_node in_held;
    size_t text_len;
    char text[];
};

struct hub_flow {
    bool has_position;
    bool in_transaction;
    bool measured;                 /* the delay of the current transaction is in the histogram */
    struct wire_position position; /* everything up to here has been handed on, or is held */
    struct wire_position done;     /* as it was when the current transaction began */
    bool has_done;
    uint64_t epoch; /* of the current transaction, or the last one */
    uint64_t commit_lsn;
    int64_t commit_time;
    struct list_node held;  /* audiences */
    struct list_node notes; /* messages of rooms that are held; both in the order of held_order */
    uint64_t order;
};

struct hub_group {
    uint32_t number;
    struct hub_shard *shard;
    struct hub_flow *replay; /* what feeds it; NULL: the shard's live stream */
    struct row_def *def;     /* NULL until described */
    uint32_t ups;            /* upward subscriptions that point here */
    rt_usec idle_since;      /* when the last of them left */
    struct hub_audience **audiences;
    uint32_t count;
    uint32_t cap;
};

struct hub_shard {
    struct hub *hub;
    uint32_t index;
    struct uplink *uplink;
    struct list_node ups;
    struct list_node merging; /* subs */
    struct list_node merging_rooms;
    struct list_node topics;
    struct list_node replies;
    struct list_node users;
    struct rt_map *seats;        /* number -> struct hub_seat */
    struct rt_map *passes;       /* number -> struct hub_pass */
    struct rt_map *topic_groups; /* group -> struct hub_topic */
    struct rt_map *replays;      /* group -> struct hub_pass */
    struct wire_channel channel; /* the last one, without its name: of the ACCEPT that follows */
    struct rt_map *by_number;    /* number -> struct hub_up */
    struct rt_map *groups;       /* number -> struct hub_group */
    bool in_session;
    bool restart; /* announce everything again at the next tick */
    bool lost; /* because a record could not be read or delivered; what comes until then is left */
    bool has_faulted; /* once before, at `faulted` */
    rt_usec faulted;
    bool has_fresh; /* a freshness marker has come */
    bool stale;
    rt_usec fresh_at; /* when the last one came; until then, when the session began */
    struct hub_flow live;
    struct hub_flow *flow; /* of the transaction that the frame at hand is in; NULL: none */
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
    uint64_t last_number; /* of identities, upward subscriptions, passes and replies */
    uint64_t last_client;
    struct rt_map *identities;
    struct rt_map *ups;
    struct rt_map *audiences;
    struct rt_map *topics;         /* by name */
    struct rt_map *passes;         /* by identity and name; solos are not in it */
    struct rt_map *room_audiences; /* by topic, dialect, form and text */
    struct rt_map *replies;        /* by number */
    struct rt_map *users;          /* by name: those with seats */
    struct rt_defer *seats_flush;  /* seats of this turn, in one message */
    size_t seat_count;
    struct list_node room_waiting;
    struct list_node waiting; /* subscriptions without an answer, oldest first */
    struct list_node stale;   /* clients that were told so */
    struct rt_condition *fresh;
    struct list_node hungry; /* snapshots that wait for room in their client's queue */
    struct rt_timer *hungry_timer;
    size_t up_count;
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

/* hub_metrics.c */
void hub_metrics_init(struct hub *hub, struct rt_metrics *metrics);
void hub_metrics_fini(struct hub *hub);
void hub_count_refusal(struct hub *hub, enum wire_code code);

/* hub_client.c */
void hub_identity_unref(struct hub *hub, struct hub_identity *identity);
void hub_expire(struct hub *hub, rt_usec wall);
/* All that it has asked for; it may ask for nothing more. Without callbacks. */
void hub_client_end(struct hub_client *client);

/* hub_seat.c */
/* UNSEATED: why not, or NULL. */
const char *hub_unseated(struct hub_shard *shard, struct wire_reader *in);
void hub_seats_interrupt(struct hub_shard *shard); /* none is announced any more */
void hub_seats_announce(struct hub_shard *shard);  /* those that are not */
void hub_seat_give_back(struct hub_client *client);
void hub_seats_flush(void *ctx); /* the hub */

/* hub_sub.c */
void hub_sub_free(struct hub_sub *sub);
/* Ends one for a reason that its client is told; takes heirs and ancestors along. */
void hub_sub_refuse(struct hub_sub *sub, enum wire_code code, struct rt_span message);
/* The same for one that cannot be resumed. */
void hub_sub_gone(struct hub_sub *sub, const struct wire_gone *gone);
/* Its upward subscription is in force, and complete from `from` on: joins the audience, and tells the client what is to
 * be told. */
void hub_sub_arm(struct hub_sub *sub, const struct wire_position *from);
/* A snapshot that goes on by its client's token has been given something: it is answered now, if it was not. */
void hub_sub_confirm(struct hub_sub *sub);
/* Makes `after` say up to where the client has everything, and that is so even if it leaves its audience now. */
void hub_sub_settle(struct hub_sub *sub);
/* Of one in force: up to where the client has been given everything. */
struct wire_position hub_sub_reached(const struct hub_sub *sub);
/* Out of force, for now; its position is kept. */
void hub_sub_interrupt(struct hub_sub *sub);
/* It cannot go on from where it was: it begins anew, and a gap is to be told. */
void hub_sub_give_up(struct hub_sub *sub, enum hub_gone_why why);
/* Under its client's new identity. */
void hub_sub_renew(struct hub_sub *sub);
/* Its old identity is of no use any more: out of force, waits as its heir did. */
void hub_sub_inherit(struct hub_sub *sub);
void hub_refuse_overdue(struct hub *hub, rt_usec now);

/* hub_up.c */
struct hub_up *hub_up_get(struct hub *hub, struct hub_identity *identity,
                          const struct hub_subject *topic);
struct hub_up *hub_up_solo(struct hub *hub, struct hub_identity *identity,
                           const struct hub_subject *topic);
struct hub_subject hub_up_subject(const struct hub_up *up); /* valid as long as it */
/* Arms the sub, if this one is in force; announces it, if it is not. */
void hub_up_attach(struct hub_up *up, struct hub_sub *sub);
void hub_up_drop_if_unused(struct hub_up *up);
void hub_up_announce(struct hub_up *up);
/* Says to the shard who it is, unless that is said. */
void hub_identify(struct hub_shard *shard, struct hub_identity *identity);
void hub_up_forget_number(struct hub_up *up); /* an answer of the shard finds nobody now */
/* Why not, or NULL. */
const char *hub_up_accept(struct hub_shard *shard, const struct wire_accept *accept);
void hub_up_rights(struct hub_shard *shard, const struct wire_rights *rights);
void hub_up_refuse(struct hub_shard *shard, const struct wire_refuse *refuse);
/* Everything up to here has come for it. */
struct wire_position hub_up_position(const struct hub_up *up);

/* hub_topic.c: rooms; true: the record was for one of them. */
bool hub_pass_accept(struct hub_shard *shard, const struct wire_accept *accept);
bool hub_pass_refuse(struct hub_shard *shard, const struct wire_refuse *refuse);
bool hub_pass_gone(struct hub_shard *shard, const struct wire_gone *gone);
/* CHANNEL, BROADCAST, PRESENCE, DONE: why not, or NULL. */
const char *hub_room_record(struct hub_shard *shard, enum wire_type type, struct wire_reader *in);
void hub_topics_interrupt(
    struct hub_shard *shard); /* before the position of its flow is forgotten */
void hub_topics_announce(struct hub_shard *shard);
void hub_topics_gap(struct hub_shard *shard, const char *reason);
/* hub_room.c */
void hub_rooms_end(struct hub_client *client);   /* all of a client's */
void hub_rooms_renew(struct hub_client *client); /* under its new identity */
void hub_rooms_overdue(struct hub *hub, rt_usec now);
void hub_rooms_advance(struct hub_shard *shard); /* in the merges of their clients */
/* Up to where the client's rooms have everything; false: one is not in force. `any`: whether `out` says something. */
bool hub_rooms_progress(const struct hub_client *client, bool *any, struct wire_position *out);
/* hub_message.c: hands out the held messages that are before `order` */
void hub_notes_release(struct hub_flow *flow, uint64_t order);
/* hub_publish.c */
void hub_replies_end(struct hub_client *client); /* without callbacks */
void hub_replies_fail(struct hub_shard *shard);  /* there will be no answer */
const char *hub_shard_done(struct hub_shard *shard, const struct wire_done *done);
void hub_client_push(struct hub_client *client, struct merge_source *source,
                     const struct wire_position *at, struct edge_frame *frame);
/* Whole transactions only; false: not known. */
bool hub_shard_progress(const struct hub_shard *shard, struct wire_position *out);

/* hub_resume.c */
void hub_up_gone(struct hub_shard *shard, const struct wire_gone *gone);
/* From where its members want to go on; false: from now. */
bool hub_up_since(const struct hub_up *up, struct wire_position *out);
void hub_sub_tell_gap(struct hub_sub *sub, const struct wire_position *position);
/* Takes everything of a shard out of force and announces it again, from where each was. */
void hub_shard_announce(struct hub_shard *shard);
/* Announces what was asked for while there was no session. */
void hub_shard_resume(struct hub_shard *shard);
void hub_shard_gap(struct hub_shard *shard, const struct wire_gap *gap);
void hub_shard_flush(struct hub_shard *shard);

/* hub_group.c */
struct hub_group *hub_group_get(struct hub_shard *shard, uint32_t number);
struct hub_flow *hub_group_flow(struct hub_group *group);
void hub_flow_init(struct hub_flow *flow);
/* It is fed by replays from now on. False: it is live, and somebody points at it. */
bool hub_group_make_replay(struct hub_group *group);
void hub_group_describe(struct hub_group *group, struct row_def *def);
/* Points an upward subscription at a group, or at none. */
void hub_group_assign(struct hub_up *up, struct hub_group *group);
/* Frees groups that nobody has pointed at since `before`, or all. The broker describes a group again when it comes back; the
 * grace covers an answer that was under way when the last subscription left. */
void hub_groups_sweep(struct hub_shard *shard, rt_usec before);
void hub_groups_drop(struct hub_shard *shard); /* all; nobody points at any */
void hub_audience_enter(struct hub_group *group, struct hub_sub *sub);
void hub_audience_leave(struct hub_sub *sub);

/* hub_stream.c */
void hub_shard_frame(struct hub_shard *shard, struct rt_span frame);

/* hub_event.c */
/* One deliver record while it is being handled. */
struct hub_change {
    struct hub *hub;
    const struct wire_deliver *record; /* NULL: truncate */
    bool rows_read;
    enum wire_err rows_err;
    struct hub_event event; /* of `def` and `event.op`, once made */
    const struct row_def *def;
};
/* Fills change->event for a column set and an operation; again only when they differ from the last. */
enum wire_err hub_event_make(struct hub_change *change, const struct row_def *def, enum hub_op op);

/* hub_merge.c */
void hub_merge_join(struct hub_client *client);
/* The sub becomes a source from where it is on, if its client has a merge and it has a position; and is none any more. */
void hub_merge_begin(struct hub_sub *sub);
/* From its `after`, which is another position than before. */
void hub_merge_begin_anew(struct hub_sub *sub);
/* Where a subscription that has no past may begin without breaking the order of commits: at `from` or later. */
struct wire_position hub_merge_start(const struct hub_client *client, struct wire_position from);
void hub_merge_end(struct hub_sub *sub);
void hub_merge_push(struct hub_sub *sub, const struct wire_position *at, struct edge_frame *frame);
/* Behind each frame of a shard. */
void hub_merge_advance(struct hub_shard *shard);
size_t hub_client_waiting(const struct hub_client *client); /* bytes */

/* hub_rows.c */
struct hub_rows *hub_rows_new(struct hub_sub *sub, const struct hub_want *want);
void hub_rows_free(struct hub_rows *rows); /* NULL is fine */
/* What to announce, at the start and after an interruption. */
void hub_rows_request(struct hub_rows *rows, struct wire_subscribe *out);
/* False: nothing has come for the token of its client, which may not be usable. */
bool hub_rows_proven(const struct hub_rows *rows);
bool hub_rows_can_go_on(const struct hub_rows *rows);
bool hub_rows_progressed(const struct hub_rows *rows); /* since it was announced */
/* The client has this change already; and: it has got it now. */
bool hub_rows_have(const struct hub_rows *rows, const struct wire_position *position);
void hub_rows_note(struct hub_rows *rows, const struct wire_position *position);
void hub_rows_feed(struct hub *hub);
const char *hub_shard_rows(struct hub_shard *shard, struct wire_rows *part);

/* hub_fresh.c */
void hub_fresh_tick(struct hub *hub);
void hub_shard_fresh(struct hub_shard *shard, const struct wire_fresh *fresh);
rt_usec hub_fresh_age(const struct hub_shard *shard);

/* hub_deliver.c */
void hub_flow_begin(struct hub_flow *flow, const struct wire_begin *begin);
void hub_flow_end(struct hub_flow *flow);
/* Everything up to there has been handed on. */
void hub_flow_reach(struct hub_flow *flow, const struct wire_position *position);
/* Likewise, also of what was never said; a transaction that began before there has no more. */
void hub_flow_pass(struct hub_flow *flow, const struct wire_position *position);
/* The transaction is broken off: the frames held back go out as they are. */
void hub_flow_release(struct hub_flow *flow);
void hub_audience_release(struct hub_audience *audience);
/* Why not, or NULL. */
const char *hub_deliver_to_group(struct hub_shard *shard, struct hub_change *change,
                                 uint32_t number, enum hub_op op);

static inline bool hub_position_not_after(const struct wire_position *a,
                                          const struct wire_position *b)
{
    return a->epoch == b->epoch && wire_position_cmp(a, b) <= 0;
}

#endif
