/* broker/route/parts.h - the structures that the files of route/ share. Nobody else includes this.
 *
 * Ownership: the route owns tables and edges, a table its audiences and groups, a group its members, an edge its
 * identities and subscriptions. A table lives while it has audiences, an audience while it has subscriptions,
 * a group while an audience points to it, a member while its count is not 0.
 */
#ifndef PGTIDE_BROKER_ROUTE_PARTS_H
#define PGTIDE_BROKER_ROUTE_PARTS_H

#include "broker/claims.h"
#include "broker/match/index.h"
#include "broker/route/route.h"
#include "broker/view/view.h"
#include "runtime/roster.h"

struct rt_map;

#define ROUTE_LOOKS                                                                                \
    4 /* different accesses of judged groups of a table; with more, some are looked at again and again */
#define ROUTE_NO_GROUP UINT32_MAX /* to edges a replay that never brings anything */

struct member {
    struct route_group *group;
    struct route_edge *edge;
    struct member *next; /* of the group */
    uint32_t count;
    uint32_t number;    /* the group's */
    uint64_t announced; /* serial of the relation in the last GROUP sent; 0: none */
};

/* What a change reads comes first, in one cache line or two: of a million groups, each is a wait. */
struct route_group {
    struct member *members; /* one for each edge */
    struct member
        own; /* the first one: most groups are at one edge. Free while its count is 0; its number (never used twice) is
                        * always there */
    struct access *access;
    struct view *view; /* NULL: all rows; else it is judged, and filed in table->match */
    struct route_table *table;
    struct viewer *viewers;   /* of a judged one */
    struct replay *replays;   /* of this group, those that wait included */
    struct route_group *next; /* of table->judged */
    struct route_group **link;
    struct wire_position
        *blinded_at; /* up to here its part of `missing` is counted; NULL: none is */
    uint32_t users;  /* audiences and viewers that point here */
    struct match_sub filed;
};

/* Subscriptions of one audience whose identity and filter are the same: they see the same rows. None for those that see all rows. */
struct viewer {
    struct rt_listed listed; /* in audience->viewers: half of a hash of the filter and the claims */
    uint64_t other_half;     /* both under seeds that nobody knows */
    struct audience *audience;
    void *watch;
    struct access *access;     /* its view is, or will be, by these rights */
    struct view *view;         /* NULL: none yet */
    struct route_group *group; /* of `view` */
    bool young;                /* made by the answer at hand */
    bool settled;              /* `view` is the answer, and its subscriptions are placed by it */
    bool kept;                 /* in route->kept_viewers, not in route->dependents */
    bool until_end; /* unsettled until the transaction at hand has told what it touches */
    bool due;       /* an answer was asked for and is not here: `view` is of before */
    struct viewer *group_next;
    struct viewer **group_link;
    struct viewer *dependent_next; /* in route->dependents or kept_viewers */
    struct viewer **dependent_link;
    struct sub *subs; /* doubly linked */
};

struct lane {
    struct route_edge *edge;
    struct member **members;
    struct wire_delivery *deliveries; /* one for each member, in the same order */
    uint32_t count;
    bool whole;    /* some group reads every column: rows go through as they are */
    bool *visible; /* else: column by column, whether some group reads it */
};

/* What an access reads of a relation. */
struct look {
    struct access *access; /* NULL: free. Referenced */
    uint64_t serial;       /* of the relation */
    bool whole;            /* all columns */
    bool *visible;         /* else: column by column */
};

struct route_table {
    struct route *route;
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    struct rt_map *audiences; /* by role */
    struct route_group **groups;
    uint32_t group_count;
    struct lane *lanes; /* made for lane_serial; remade when dirty */
    uint32_t lane_count;
    uint64_t lane_serial;
    bool dirty;
    bool asked;                /* for its definition */
    struct match_table *match; /* NULL: never had a judged group */
    struct access
        *attributes;  /* of the newest view: it knows the numbers of the columns. Referenced */
    uint32_t columns; /* the highest number of one that some view has looked at */
    struct look looks[ROUTE_LOOKS];
    uint32_t next_look;         /* to be used again for another access */
    struct route_group *judged; /* doubly linked; by the key of their view: match_find() */
};

struct audience {
    struct route_table *table;
    char role[WIRE_NAME_MAX + 1];
    void *watch;
    struct access *access;     /* NULL: not answered yet */
    struct route_group *group; /* of those who see all rows; NULL unless allowed */
    struct sub *subs;          /* doubly linked */
    struct rt_roster *viewers;
    bool pinned; /* stays without subscriptions for the moment */
};

struct identity {
    struct rt_listed listed; /* in edge->identities, by the number that the edge gave it */
    struct sub *subs;        /* doubly linked */
    struct claims *claims;   /* NULL: none, or no room (then claims_len is not 0) */
    size_t claims_len;
    char role[]; /* ends with NUL */
};

enum sub_state {
    SUB_ASKING,     /* no answer yet; nowhere listed */
    SUB_UNARMED,    /* in route->unarmed */
    SUB_AHEAD,      /* in route->ahead: the stream is not at its `since` yet */
    SUB_REPLAYING,  /* in a replay, or waiting for one to begin */
    SUB_DESCRIBING, /* in route->describing: a snapshot without a definition */
    SUB_SNAPSHOT,   /* in route->snapshots: has a job */
    SUB_ARMED,      /* has a member */
};
struct sub {
    struct rt_listed listed; /* in edge->subs, by the number that the edge gave it */
    struct route_edge *edge;
    struct identity *identity;
    struct audience *audience;
    struct sub *audience_next;
    struct sub **audience_link;
    struct sub *identity_next;
    struct sub **identity_link;
    struct viewer *viewer; /* NULL: sees all rows, or nothing is known yet */
    struct sub *viewer_next;
    struct sub **viewer_link;
    char *filter; /* NULL: none */
    union {
        struct member *member; /* SUB_ARMED */
        struct resume *resume; /* otherwise; NULL: begins with the position of the stream */
    } by;
    uint32_t slot;       /* SUB_UNARMED */
    uint8_t state;       /* enum sub_state */
    uint8_t filter_kind; /* enum filter_dialect */
    bool told;           /* it was accepted once */
    bool changed;        /* it sees another view than what its edge was told last */
};

/* How a subscription begins in the past; until it is live. Owned by it. */
struct resume {
    struct sub *sub;
    struct wire_position since; /* it has everything up to here */
    rt_usec waiting;            /* since the first tick that saw it wait; 0: none yet */
    size_t slot;                /* SUB_AHEAD */
    struct replay *replay;      /* SUB_REPLAYING; then linked in its members */
    struct resume *next;
    struct resume **link;
    struct route_snapshot *snapshot; /* NULL: by `since` */
};

/* What one (edge, group) is told of the past. Freed with its last member. */
struct replay {
    struct route_edge *edge;
    struct route_group *group;
    uint32_t number;           /* as a group; 0: has not begun */
    struct wire_position done; /* told up to here; before it begins, the oldest `since` */
    uint64_t told_lsn;  /* its edge knows that it was told everything of commits up to here */
    uint64_t announced; /* serial of the relation in its last GROUP */
    uint64_t looked_at; /* serial of the relation that `visible` is for */
    bool *visible;
    bool whole;
    struct wire_replay head; /* of the transaction at hand */
    bool open;               /* its REPLAY was sent, its END not */
    bool begun;              /* its REPLAY is in the frame at hand */
    bool running;            /* in route->running */
    bool
        following; /* left the live stream for answers of the database: does not count against others */
    uint64_t asked; /* route->answers + 1 when it last found no answer; 0: it may go on */
    struct resume *members;
    struct replay *group_next;
    struct replay *next; /* waiting; doubly linked */
    struct replay **link;
    struct route_snapshot *
        snapshot; /* NULL, or whose part it is; then it has no members and belongs to no group's list */
};

struct route_snapshot {
    struct resume *resume;
    uint32_t page_rows;
    char *token; /* with token_len; may be NULL when that is 0 */
    size_t token_len;
    void *job;
    struct relation *relation;   /* that the rows are of; referenced */
    struct route_snapshot *next; /* in route->describing or route->snapshots */
    struct route_snapshot **link;
    struct replay feed;
    struct xid_snapshot from;
    struct xid_snapshot to;
    bool has_to;
    uint64_t until_lsn;
};

struct unarmed {
    struct sub *sub;
    rt_usec since;
};

struct route_edge {
    struct route *route;
    void *user;
    void *guest;
    struct rt_roster *identities;
    struct rt_roster *subs;
    struct wire_writer out;
    bool queued; /* listed in route->pending */
    bool begun;  /* BEGIN is in `out` */
    bool open;   /* BEGIN of the transaction at hand was sent, END not: listed in route->open */
    uint64_t open_serial; /* of the transaction whose BEGIN was sent last */
    size_t claims_bytes;
    struct wire_position told; /* it knows that it has everything up to here */
    rt_usec told_at;           /* when it was last sent PROGRESS */
    uint32_t *truncated;       /* groups of the truncate at hand */
    uint32_t truncated_count;
    uint32_t truncated_cap;
    struct member **hits;  /* whose views the change at hand concerns, */
    enum wire_op *hit_ops; /* and what it is to each */
    uint32_t hit_count;
    uint32_t hit_cap;
};

static inline struct identity *identity_find(const struct route_edge *edge, uint64_t number)
{
    return (struct identity *)(void *)rt_roster_find(edge->identities, number);
}

static inline struct sub *sub_find(const struct route_edge *edge, uint64_t number)
{
    return (struct sub *)(void *)rt_roster_find(edge->subs, number);
}

/* A list of edges; each knows by a flag whether it is in. */
struct edge_list {
    struct route_edge **items;
    size_t count;
    size_t cap;
};

struct route {
    struct route_config config;
    uint64_t seeds[2][2];
    struct rt_map *tables;  /* by schema NUL table */
    uint64_t tables_serial; /* changes with the set of tables */
    uint32_t next_group;
    struct edge_list edges;
    struct edge_list pending; /* something to send */
    struct edge_list open;
    struct unarmed *unarmed;
    size_t unarmed_count;
    size_t unarmed_cap;
    struct resume **ahead; /* a heap: the smallest `since` first */
    size_t ahead_count;
    size_t ahead_cap;
    struct replay *waiting; /* replays that have not begun, oldest first */
    struct replay **waiting_end;
    struct replay **running;
    size_t running_count;
    size_t running_cap;
    rt_usec replays_told_at; /* when edges were last told how far replays are */
    size_t replays;          /* running ones that are not of a snapshot */
    int64_t budget;          /* bytes that replays may still read in this turn */
    struct route_snapshot *describing;
    struct route_snapshot *snapshots;
    struct wire_begin begin;
    bool in_transaction;
    uint64_t transaction_serial;   /* changes with the commit position */
    bool known;                    /* `at` says something */
    struct wire_position at;       /* everything up to here has been routed */
    struct wire_position complete; /* likewise, and no transaction goes on behind it */
    int64_t server_time;           /* the database's clock about there */
    struct wire_writer rows;       /* scratch for rows with hidden columns */
    struct match *match;
    struct view_change *judged; /* scratch: the change that is being judged */
    struct read_change {
        const struct relation *relation; /* NULL: it could not be read */
        struct wire_tuple new_row, old_row;
        struct view_change *rows;  /* NULL: never used */
    } read_ahead[ROUTE_AHEAD_MAX]; /* changes that are about to come */
    uint32_t read_count;
    uint32_t read_at;
    struct edge_list hit; /* edges with hits */
    struct route_group **undecided;
    size_t undecided_count;
    size_t undecided_cap;
    struct wire_delivery hit_deliveries[ROUTE_HITS_MAX]; /* scratch: one record for one edge */
    bool hit_visible[WIRE_COLUMNS_MAX];
    struct viewer *dependents; /* whose policies read other tables */
    struct viewer
        *kept_viewers;  /* likewise, but told by who makes the views what changes with them */
    uint64_t kept_wait; /* commit position of the transaction whose end these wait for; 0: none */
    uint32_t last_xid;  /* of the transaction that began last */
    uint64_t answers;   /* times that the database answered */
};

/* table.c */
struct route_table *table_get(struct route *route, struct wire_span schema, struct wire_span table);
struct route_table *table_find(struct route *route, struct relation *relation);
void table_drop_if_unused(struct route_table *table);
/* The lanes for rows of this relation; remade if need be. */
void table_prepare(struct route_table *table, const struct relation *relation);
/* Valid until the next one. */
const struct look *table_look(struct route_table *table, struct access *access,
                              const struct relation *relation);

/* group.c */
struct route_group *group_for(struct route_table *table,
                              struct access *access); /* NULL: too many */
/* The one that is judged by such a view; NULL after saying why. */
struct route_group *group_for_view(struct route_table *table, struct view *view,
                                   const char **out_why);
void group_release(struct route_group *group); /* one user less */
struct member *group_join(struct route_group *group, struct route_edge *edge);
void group_leave(struct member *member);
/* Writes GROUP to the member's edge, once for each relation; relation NULL: what is known without one. */
void member_announce(struct member *member, const struct relation *relation);
/* Likewise for an edge and a number that this group goes by there; always. */
void group_announce(const struct route_group *group, struct route_edge *edge, uint32_t number,
                    const struct relation *relation);
/* The definition has come: GROUP for members that have had none. */
void group_describe(struct route_group *group, const struct relation *relation);

/* Asks for the definition, once for each table; what comes without having been asked for is as good. */
void group_ask(struct route_group *group);

/* subs.c */
/* The resume, if any, becomes the subscription's. */
struct sub *sub_new(struct route_edge *edge, uint64_t id, struct identity *identity,
                    struct audience *audience, struct resume *resume);
/* Finds its place, if its audience has been answered. May end it. */
void sub_begin(struct sub *sub);
/* Whom it gets its changes with; NULL while that is not known. */
struct route_group *sub_group(const struct sub *sub);
/* Nowhere, until it is placed; one that was live then goes on behind `since`, and one that was being replayed from where that was.
 * Its edge is told so at once, by a replay that brings nothing: else it would take what the live stream, or a replay that goes on
 * for others, says and brings for this subscription's. */
void sub_suspend(struct sub *sub, const struct wire_position *since);
struct audience *audience_get(struct route_table *table, const char *role);
/* Puts an answered subscription where it belongs now; may end it. */
void sub_place(struct sub *sub);
/* Makes it live, from here on. */
void sub_arm(struct sub *sub);
/* Takes it out of where it is: SUB_ASKING again, with its resume. */
void sub_leave(struct sub *sub);
/* Frees the audience, and the table, with the last subscription. */
void sub_free(struct sub *sub);
void write_refuse(struct route_edge *edge, uint64_t sub, int code, const char *message);
void sub_refuse(struct sub *sub, int code, const char *message); /* writes REFUSE and frees it */
void subs_arm_all(struct route *route);
void unarmed_add(struct route *route, struct sub *sub);
void write_accept(struct sub *sub, uint32_t group, enum wire_accept_kind kind,
                  const struct wire_position *position);

/* viewer.c */
/* Whether by these rights such a subscription is to be judged. */
bool viewer_is_needed(const struct sub *sub, const struct access *access);
/* Puts it where it belongs; the view may be there already. False: refused, and freed. */
bool viewer_join(struct sub *sub, struct access *access);
void viewer_leave(struct sub *sub); /* frees the viewer with the last one */
/* Other rights: a new view follows. */
void viewer_reconsider(struct viewer *viewer, struct access *access);
/* The same rights, and perhaps other constants. */
void viewer_refresh(struct viewer *viewer);
/* Whoever reads rows goes on with that: PostgreSQL shows them as it sees fit. What the window has for them waits (replay.c), and
 * only another view ends it. */
void viewer_suspend(struct viewer *viewer, const struct wire_position *since);
void viewer_settle(struct viewer *viewer); /* its view is there, and counts. May free the viewer */

/* viewer_touch.c. The transaction at hand was lost: what it touched is not known. */
void viewers_touch_unknown(struct route *route);

/* live.c */
/* The judged groups of a table that see the change at hand. */
/* Counts the views that the change in `rows`, of this position, was kept from. */
void live_count_blinded(struct route *route, const struct view_change *rows,
                        const struct wire_position *at);
void live_judge(struct route_table *table, const struct relation *relation,
                const struct wire_change *change);
/* Takes the subscriptions of a group out of the live stream; they follow behind `since`, as fast as the database answers. */
void group_follow(struct route_group *group, const struct wire_position *since);

/* session.c */
void edge_drop_all(struct route_edge *edge);

/* resume.c */
struct resume *resume_new(const struct wire_subscribe *subscribe); /* NULL: from now on */
/* Of a subscription that was live: it goes on behind `since`. */
struct resume *resume_at(struct sub *sub, const struct wire_position *since);
void resume_free(struct resume *resume); /* NULL is fine */
void resume_place(struct sub *sub);      /* between transactions; may end it */
void sub_gone(struct sub *sub, enum wire_gone_reason reason, const char *message); /* frees it */
void ahead_remove(struct resume *resume);
/* Who waits for a position that the stream has reached; `all`: everybody, to be judged anew. */
void ahead_release(struct route *route, bool all);
void ahead_expire(struct route *route, rt_usec now);

/* replay.c */
/* `since` is in the window and not ahead. At once: without waiting for others, in a transaction too. */
void replay_join(struct resume *resume, bool at_once);
void replay_leave(struct resume *resume);
void replay_start_feed(struct replay *feed);
void replay_stop_feed(struct replay *feed);
/* Between transactions, and whenever there is time: as far as the budget goes. */
void replays_run(struct route *route);
/* Between transactions, one group of replays after the other, as far as a whole budget goes: before views are others again. */
void replays_catch_up(struct route *route);
/* After a gap: who was in the middle of what is gone. */
void replays_end_uncovered(struct route *route);

/* replay_judge.c */
enum judged { JUDGED_SHOWN, JUDGED_HIDDEN, JUDGED_ASKING, JUDGED_FAILED };
/* What an entry is to the group; *out_op with JUDGED_SHOWN. */
enum judged replay_judge(struct replay *replay, const struct window_entry *entry,
                         enum wire_op *out_op);
/* Asks ahead for what comes behind an entry that has no answer yet. */
void replay_ask_ahead(struct replay *replay, struct window_cursor cursor);

/* replay_write.c */
/* GROUP under the replay's number, once for each definition. */
void replay_announce(struct replay *replay, const struct relation *relation);
/* The record of a WINDOW_CHANGE; borrows. */
void replay_read(const struct window_entry *entry, struct wire_change *out);
/* One entry of the window, in a frame of the replay's own. Not before `replay_judge`. */
void replay_write(struct replay *replay, const struct window_entry *entry, enum wire_op op);
/* END of the transaction at hand, unless that never had one. */
void replay_close(struct replay *replay);
/* The end of the last transaction that it has been told all of. */
struct wire_position replay_whole(const struct replay *replay);
/* REPLAYED, if its edge does not know how far it is. */
void replay_tell(struct replay *replay);
/* Sends the frame at hand when it is longer. */
void replay_cut(struct replay *replay, size_t most);

/* snapshot.c */
struct route_snapshot *snapshot_new(const struct wire_subscribe *subscribe);
void snapshot_free(struct route_snapshot *snapshot);
void snapshot_place(struct sub *sub); /* between transactions; may end it */
void snapshot_leave(struct sub *sub); /* cancels its job */
/* The feed has given everything up to the stream's position. True when it has ended. */
bool snapshot_fed(struct route_snapshot *snapshot);
void snapshot_more(struct sub *sub, uint32_t parts);
void snapshots_end_all(struct route *route, const char *why);
void snapshots_tick(struct route *route, rt_usec now);

/* rows.c */
/* Both rows of a change with the columns that are not `visible` taken out, in route->rows. False when they do not fit
 * the relation. */
bool rows_hide(struct route *route, const bool *visible, uint32_t columns,
               struct wire_deliver *head);

/* progress.c */
/* Everything up to here is routed, and outside of transactions also complete. */
void route_reach(struct route *route, const struct wire_position *position);

/* fanout.c */
struct wire_writer *
edge_out(struct route_edge *edge); /* to write records that belong to no transaction */
/* Likewise, of the transaction at hand. */
struct wire_writer *edge_out_begun(struct route_edge *edge);
void edge_cut(struct route_edge *edge);    /* sends the frame when it is large enough */
void edge_send(struct route_edge *edge);   /* sends the frame at hand, if any */
void edge_forget(struct route_edge *edge); /* takes it out of all lists */
void edge_list_add(struct edge_list *list, struct route_edge *edge);

#endif
