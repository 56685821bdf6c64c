/* broker/view/views_impl.h - what the files of views.h share. Not for others.
 *
 *   views.c         watches: what each waits for, its deadline, its view
 *   views_store.c   identities, folds, tables and filters: each thing once, as long as somebody uses it
 *   views_ask.c     the questions: which are sent together, and what becomes of their answers
 *   views_claims.c  claims to settings
 *
 * A fold is the constants of one (rules, identity), a table what the catalog says of its columns, a filter a text that was cast.
 * Each is an item: wanted, asked, answered; watches that wait for it are looked at again when it is answered.
 */
#ifndef PGTIDE_BROKER_VIEW_VIEWS_IMPL_H
#define PGTIDE_BROKER_VIEW_VIEWS_IMPL_H

#include "broker/match/filter_sql.h"
#include "broker/view/view_parts.h"
#include "broker/view/views.h"
#include "broker/xid_snapshot.h"

struct rt_counter;
struct rt_defer;
struct rt_gauge;
struct rt_map;
struct rt_timer;

#define VIEWS_RETRY_FIRST (2 * RT_MSEC)
#define VIEWS_RETRY_MAX   (50 * RT_MSEC)

/* XIDS_MAX: past it the oldest is forgotten (fences.h says why). ERRORS_MAX: of one identity alone, about nothing else. */
enum {
    VIEWS_BATCH = 64,
    VIEWS_BATCH_BYTES = 1 << 20, /* of claims */
    VIEWS_FLIGHTS = 2,           /* of each kind */
    VIEWS_FLIGHTS_ALL = 4,
    VIEWS_XIDS_MAX = 256,
    VIEWS_ERRORS_MAX = 2,
    VIEWS_REASON_MAX = FILTER_ERROR_MAX + 64,
};

/* A place in a list; zeroed: in none. */
struct views_link {
    struct views_link *next;
    struct views_link **at;
    void *owner;
};

void views_link_add(struct views_link **list, struct views_link *link, void *owner);
void views_link_drop(struct views_link *link);

enum views_kind { VIEWS_FOLD, VIEWS_TABLE, VIEWS_FILTER };
enum views_state { VIEWS_IDLE, VIEWS_QUEUED, VIEWS_FLYING };

struct views_item {
    struct views *views;
    enum views_kind kind;
    enum views_state state;
    bool answered; /* what there is, is good */
    bool solo;     /* asked alone: a batch with it failed */
    bool dead;     /* nobody uses it, but it flies */
    unsigned errors;
    char *trouble; /* why it will not be answered; NULL: it may */
    uint32_t users;
    struct views_link *waiting; /* watches, by their `wait` */
    struct views_item *next;    /* in the queue, while QUEUED */
};

/* Interned by hash; equal hashes are chained. */
struct views_identity {
    struct view_identity identity; /* first: it is freed as this */
    struct views *views;
    uint64_t hash;
    struct views_identity *next;
    const char *role;
    struct wire_span claims;
};

/* Of a table; counted, and shared by those that come one after the other. */
struct views_name {
    uint32_t refs;
    const char *schema;
    const char *table;
};

struct views_fold {
    struct views_item item;
    struct policy_rules *rules;
    struct view_identity *identity;
    struct view_constants *constants; /* NULL until answered */
    uint64_t hash[2];                 /* of the text they were read from */
    struct views_seen *seen;
    uint32_t *xids; /* that an answer must see; owned */
    uint32_t xid_count;
    bool again; /* the answer that is under way does not count */
    struct views_name *name;
};

/* The snapshot of an answer, for all folds that it held. */
struct views_seen {
    uint32_t refs;
    struct xid_snapshot snapshot;
};

struct views_table {
    struct views_item item;
    uint32_t oid;
    char *schema;
    char *table;
    struct filter_columns *columns; /* NULL until answered */
    char *text;                     /* what they were read from */
    bool again;                     /* asked for once more while flying */
};

struct views_filter {
    struct views_item item;
    struct views_table *table;
    struct filter_columns *columns; /* what it was cast for; referenced */
    struct filter parsed;           /* taken by the program */
    struct filter_program *program; /* NULL until answered */
    struct rt_buf key;
};

struct view_watch {
    struct views *views;
    void *user;
    struct access *access;
    struct view_identity *identity;
    struct views_fold *fold;     /* NULL without rules */
    struct views_table *table;   /* NULL without a filter, and so the next two */
    struct views_filter *filter; /* NULL until the columns are known */
    char *text;
    size_t text_len;
    enum filter_dialect dialect;
    struct views_name *name;
    struct view *view; /* last given; NULL */
    bool waiting;
    bool late;    /* past its deadline */
    bool recheck; /* whether the filter is allowed, and which one it is */
    rt_usec deadline;
    struct views_link link;    /* in views->watches */
    struct views_link unready; /* in views->unready: waits for something */
    struct views_link look;    /* in views->dirty: to be looked at again */
    struct views_link wait;    /* in an item's list */
};

/* A lease, and what it is being asked. */
struct views_flight {
    struct views *views;
    bool folds; /* else tables and filters, one at a time */
    struct pg_lease *lease;
    struct views_item *items[VIEWS_BATCH];
    uint32_t count;
    struct filter_sql sql; /* of a filter */
    bool has_sql;
};

struct views_queue {
    struct views_item *first;
    struct views_item **last;
};

struct views {
    struct views_config config;
    struct view_seeds seeds;
    struct rt_map *identities; /* by hash */
    struct rt_map *folds;      /* by serials of rules and identity */
    struct rt_map *tables;     /* by name */
    struct rt_map *filters;    /* by table, columns and text */
    uint64_t next_identity;
    struct views_name *name; /* the last one that was used; NULL */
    struct views_link *watches;
    struct views_link *unready;
    struct views_link *dirty;
    struct views_queue fold_queue;
    struct views_queue look_queue;
    struct views_flight flights[VIEWS_FLIGHTS_ALL];
    struct rt_defer *settle;
    struct rt_timer *tick;
    struct rt_timer *retry;
    bool resting; /* `retry` runs */
    rt_usec retry_after;
    struct rt_counter *folded;
    struct rt_counter *cast;
    struct rt_counter *statements;
    struct rt_counter *retries;
    struct rt_counter *refused;
    struct rt_counter *unplanned;
    struct rt_counter *raised;
    struct rt_gauge *identity_count;
};

/* views_claims.c. NULL: the claims cannot be given to PostgreSQL. One piece of memory, refs 1. */
struct views_identity *views_identity_new(const char *role, struct wire_span claims,
                                          const char *const *settings);

/* views_store.c. Each with a use of it (identity: a reference), to be given back. */
struct view_identity *views_intern(struct views *views, const char *role, struct wire_span claims);
void views_let_identities_go(struct views *views); /* those that outlive the views */
struct views_fold *views_use_fold(struct views *views, struct access *access,
                                  struct view_identity *identity, struct views_name *name);
struct views_name *views_name(struct views *views, const char *schema, const char *table);
void views_name_unref(struct views_name *name); /* NULL is fine */
struct views_table *views_use_table(struct views *views, const char *schema, const char *table);
/* Takes what is in `parsed`. */
struct views_filter *views_use_filter(struct views *views, struct views_table *table,
                                      struct filter *parsed);
void views_unuse(struct views_item *item); /* NULL is fine */
/* After it has landed, with nobody using it. */
void views_item_free(struct views_item *item);
void views_fold_want(struct views_fold *fold, uint32_t xid);
/* True: the constants are no older than all that is wanted. Forgets what was seen. */
bool views_fold_sees(struct views_fold *fold, const struct xid_snapshot *snapshot);
/* The constants that PostgreSQL said, under this snapshot; wakes whoever waits for them. */
void views_fold_take(struct views_fold *fold, const struct policy_answer_text *answer,
                     struct views_seen *seen);
void views_seen_unref(struct views_seen *seen); /* NULL is fine */

/* views_ask.c */
void views_ask(struct views_item *item); /* unless it is asked already */
void views_pump(struct views *views);
void views_land_all(struct views *views); /* before the end */

/* views.c: the item is answered, or in trouble: whoever waits for it is looked at again. */
void views_wake(struct views_item *item);
/* Why a filter is refused, as its client reads it. */
void views_filter_reason(const struct filter_error *error, char out[VIEWS_REASON_MAX]);

#endif
