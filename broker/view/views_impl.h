/* broker/view/views_impl.h - what the files of views.h share. Not for others.
 *
 *   views.c         watches: what each waits for, its deadline, its view
 *   views_metrics.c what they count
 *   views_store.c   identities, folds, tables and filters: each thing once, as long as somebody uses it
 *   views_item.c    what those are put together from: places in lists, questions, names
 *   views_ask.c     the questions: which are sent together, and what becomes of their answers
 *   views_sets.c    sets of membership tests, kept from the stream: loaded with a fold; _rows, _change: changed with their tables;
 *                   _make: given to views
 *   views_sets_past.c  answers from before anybody listened to those tables
 *   views_journal.c changes of those tables that an answer may not have seen
 *   views_claims.c  claims to settings
 *
 * A fold is the constants of one (rules, identity), a table what the catalog says of its columns, a filter a text that was cast.
 * Each is an item: wanted, asked, answered; watches that wait for it are looked at again when it is answered.
 */
#ifndef PGTIDE_BROKER_VIEW_VIEWS_IMPL_H
#define PGTIDE_BROKER_VIEW_VIEWS_IMPL_H

#include <stddef.h>

#include "broker/claims.h"
#include "broker/match/filter_sql.h"
#include "broker/policy/sets.h"
#include "broker/view/view_parts.h"
#include "broker/view/views.h"
#include "broker/view/views_journal.h"
#include "broker/xid_snapshot.h"
#include "runtime/map.h"
#include "runtime/roster.h"

struct rt_counter;
struct rt_defer;
struct rt_gauge;
struct rt_timer;

#define VIEWS_RETRY_FIRST  (2 * RT_MSEC)
#define VIEWS_RETRY_MAX    (50 * RT_MSEC)
#define VIEWS_PAST_REPEAT  (1 * RT_SEC)
#define VIEWS_PAST_UNKNOWN UINT64_MAX

/* XIDS_MAX: past it the oldest is forgotten (fences.h says why). ERRORS_MAX: of one identity alone, about nothing else. */
enum {
    VIEWS_BATCH = 64,
    VIEWS_BATCH_BYTES = 1 << 20, /* of claims */
    VIEWS_FLIGHTS = 2,           /* of each kind */
    VIEWS_FLIGHTS_ALL = 4,
    VIEWS_XIDS_MAX = 256,
    VIEWS_ERRORS_MAX = 2,
    VIEWS_REASON_MAX = FILTER_ERROR_MAX + 64,
    VIEWS_SET_MAX = 16384,    /* values: about a millisecond of everybody's time for a change */
    VIEWS_PASSED_MANY = 1024, /* transactions that no answer has seen */
};

/* A place in a list; zeroed: in none. */
struct views_link {
    struct views_link *next;
    struct views_link **at;
};

void views_link_add(struct views_link **list, struct views_link *link);
void views_link_drop(struct views_link *link);
/* What a link is the member of. */
#define VIEWS_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

enum views_kind { VIEWS_FOLD, VIEWS_TABLE, VIEWS_FILTER };
enum views_state { VIEWS_IDLE, VIEWS_QUEUED, VIEWS_FLYING };

struct views_item {
    struct views_question
        *question; /* NULL: nobody waits for its answer, and there is no trouble */
    uint32_t users;
    uint8_t kind;  /* enum views_kind */
    uint8_t state; /* enum views_state */
    uint8_t errors;
    bool answered : 1; /* what there is, is good */
    bool solo : 1;     /* asked alone: a batch with it failed */
    bool dead : 1;     /* nobody uses it, but it flies */
    bool again : 1;    /* the answer that is under way does not count */
};

/* Of an item that is being asked: most are not, most of the time. */
struct views_question {
    char *trouble;              /* why it will not be answered; NULL: it may */
    struct views_link *waiting; /* watches, by their `wait->item` */
    struct views_item *next;    /* in the queue, while QUEUED */
    uint32_t *xids;             /* that an answer must see; owned */
    uint32_t xid_count;
};

/* Of identities; counted. Outlives the views with those that do. */
struct views_role {
    struct view_maker maker; /* first: found through it */
    struct views *views;     /* NULL: gone */
    const char *const *settings;
    const char *search_path;
    uint32_t refs;
    char name[];
};

struct views_identity {
    struct view_identity identity; /* first: it is freed as this */
    struct rt_listed listed;       /* in views->identities, by the hash of role and claims */
    struct claims *claims;
    struct views_fold *folds; /* of it, by their `next` */
};

/* Of a table; counted, and shared by those that come one after the other. */
struct views_name {
    struct views *views;
    uint32_t refs;
    const char *schema;
    const char *table;
};

struct views_fold {
    struct views_item item;
    struct views_fold *next;    /* of its identity, until it is forgotten */
    struct policy_rules *rules; /* NULL: it stands for its identity, and nothing is asked */
    struct view_identity *identity;
    struct view_constants *constants; /* NULL until answered */
    struct views_seen *seen;
    struct views_link *watches; /* by their `of_fold`; those in keep->due are not here */
    struct views_keep *keep;    /* NULL: its rules have no sets that can be kept */
};

/* What only a fold needs whose rules have sets that can be kept: as long as it is used. */
struct views_keep {
    struct views_fold *fold;
    struct views_tests *tests;
    struct policy_values **sets; /* one for each test; NULL unless `kept`, or being loaded */
    struct view_constants *base; /* what was read with the sets; their own constants are in it */
    bool kept;                   /* the fold's constants are those of the stream's position */
    bool doubted; /* the rules may mean another thing: kept or not, they are to be read again */
    struct views_link loose;       /* in views->loose: answered, but not kept */
    struct views_link unsure;      /* in views->unsure: answered, perhaps too early */
    struct views_link changed;     /* in views->changed */
    struct views_link *due;        /* watches, by their `of_fold`: its constants changed */
    struct views_link has_due;     /* in views->due */
    struct views_fold *young_next; /* in views->young: its sets' snapshot still counts */
    struct views_fold *young_previous;
};

/* The sets of all identities for some rules. */
struct views_tests {
    uint32_t users;
    uint64_t past; /* transactions before this one may have passed unheard; VIEWS_PAST_UNKNOWN */
    rt_usec patient_until;
    struct policy_rules *rules;
    struct policy_sets **sets; /* one for each test of rules->kept */
};

/* The snapshot of an answer, for all folds that it held. */
struct views_seen {
    uint32_t refs;
    struct xid_snapshot snapshot;
};

struct views_table {
    struct views_item item;
    struct views *views;
    uint32_t oid;
    char *schema;
    char *table;
    struct filter_columns *columns; /* NULL until answered */
    char *text;                     /* what they were read from */
};

struct views_filter {
    struct views_item item;
    struct views_table *table;
    struct filter_columns *columns; /* what it was cast for; referenced */
    struct filter parsed;           /* taken by the program */
    struct filter_program *program; /* NULL until answered */
    struct rt_buf key;
};

/* Of a watch with a filter. */
struct views_wish {
    struct views_table *table;
    struct views_filter *filter; /* NULL until the columns are known */
    enum filter_dialect dialect;
    bool recheck; /* whether the filter is allowed, and which one it is */
    size_t text_len;
    char text[];
};

/* Of a watch that waits for its view: most do not, most of the time. */
struct views_wait {
    struct view_watch *watch;
    rt_usec deadline;
    bool late;                 /* past it */
    struct views_link unready; /* in views->unready */
    struct views_link look;    /* in views->dirty: to be looked at again */
    struct views_link item;    /* in the list of the item that it waits for */
};

struct view_watch {
    void *user;
    struct access *access;
    struct views_fold *fold; /* NULL: the identity cannot be given to PostgreSQL */
    struct views_wish *wish; /* NULL without a filter */
    struct views_name *name;
    struct view *view;         /* last given; NULL */
    struct views_wait *wait;   /* NULL: it has its answer */
    struct views_link of_fold; /* in a list of its fold, or in views->nobodys */
};

/* A lease, and what it is being asked. */
struct views_flight {
    struct views *views;
    bool folds; /* else tables and filters, one at a time */
    struct pg_lease *lease;
    struct views_item *items[VIEWS_BATCH];
    uint32_t count;
    uint64_t journal;      /* the oldest record when it was sent */
    uint64_t number;       /* of the questions about folds */
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
    struct rt_roster *identities;
    struct rt_map *roles;   /* of identities, by name */
    struct rt_map *tables;  /* by name */
    struct rt_map *filters; /* by table, columns and text */
    uint64_t next_identity;
    struct views_name *name;    /* the last one that was used; NULL */
    struct views_link *nobodys; /* watches without a fold, by their `of_fold` */
    struct views_link *unready;
    struct views_link *dirty;
    struct rt_map *tests; /* by serial of the rules */
    uint64_t sent;        /* questions about folds */
    struct views_link *loose;
    struct views_link *unsure;
    rt_usec unsure_at; /* one of those is asked for again; 0: not set */
    struct views_link *changed;
    struct views_link *due;   /* folds whose keep->due says whom they concern */
    struct views_fold *young; /* the oldest */
    struct views_fold *youngest;
    struct views_journal journal;
    struct policy_cell *cells[2]; /* of the change at hand: new, old */
    uint32_t cell_cap;
    uint32_t *numbers; /* of its columns */
    uint32_t number_cap;
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
    struct rt_counter *set_changes;
    struct rt_counter *set_losses;
    struct rt_gauge *set_count;
    struct rt_gauge *unsure_count;
    struct rt_gauge *identity_count;
};

/* views_metrics.c */
void views_register(struct views *views, struct rt_metrics *metrics);

/* views_claims.c. NULL: the claims cannot be given to PostgreSQL. Points to them and to the role. */
struct policy_identity *views_policy_new(const struct views_role *role,
                                         const struct claims *claims);
void views_policy_free(struct policy_identity *policy);

/* views_store.c. Each with a use of it (identity: a reference), to be given back. */
struct view_identity *views_intern(struct views *views, const struct view_want *want);
struct views *views_of_fold(const struct views_fold *fold);
struct views *views_of_item(const struct views_item *item);
void views_let_identities_go(struct views *views); /* those that outlive the views */
/* `rules` may be NULL. */
struct views_fold *views_use_fold(struct policy_rules *rules, struct view_identity *identity);
struct views_name *views_name(struct views *views, const char *schema, const char *table);
const struct views_name *views_fold_name(const struct views_fold *fold); /* of one that is used */
void views_name_unref(struct views_name *name);                          /* NULL is fine */
/* All folds that somebody uses: `identities` from the beginning, `last` NULL. NULL at the end. Nothing is used or unused meanwhile. */
struct views_folds {
    struct rt_roster_iter identities;
    struct views_fold *last;
};
struct views_fold *views_folds_next(struct views_folds *at);
struct views_table *views_use_table(struct views *views, const char *schema, const char *table);
/* Takes what is in `parsed`. */
struct views_filter *views_use_filter(struct views *views, struct views_table *table,
                                      struct filter *parsed);
void views_unuse(struct views_item *item); /* NULL is fine */
static inline const char *views_trouble(const struct views_item *item)
{
    return item->question == NULL ? NULL : item->question->trouble;
}
/* The item's, made if need be. */
struct views_question *views_question(struct views_item *item);
/* Frees it, if nothing is in it: after an answer. */
void views_question_done(struct views_item *item);
void views_question_free(struct views_item *item);
/* After it has landed, with nobody using it. */
void views_item_free(struct views_item *item);
void views_fold_want(struct views_fold *fold, uint32_t xid);
void views_fold_want_nothing(struct views_fold *fold);
/* True: the constants are no older than all that is wanted. Forgets what was seen. */
bool views_fold_sees(struct views_fold *fold, const struct xid_snapshot *snapshot);
/* The constants that PostgreSQL said, under this snapshot; wakes whoever waits for them. */
/* `known`: what it has seen says something. `journal`: of its flight. False: it may be without a change that came meanwhile, and is
 * to be asked for again. */
bool views_fold_take(struct views_fold *fold, const struct policy_answer_text *answer,
                     struct views_seen *seen, bool known, uint64_t journal);
void views_seen_unref(struct views_seen *seen); /* NULL is fine */

/* views_ask.c */
void views_ask(struct views_item *item); /* unless it is asked already */
void views_pump(struct views *views);
void views_land_all(struct views *views); /* before the end */

/* views_sets.c */
void views_sets_use(struct views_fold *fold);
void views_sets_unuse(struct views_fold *fold);
/* False: the answer may be without a change that came meanwhile, and is to be asked for again. `snapshot` NULL: not known. */
bool views_sets_take(struct views_fold *fold, const struct policy_answer_text *answer,
                     const struct xid_snapshot *snapshot, uint64_t journal);
void views_sets_fini(struct views *views);
void views_sets_drop(struct views_fold *fold);
bool views_sets_current(const struct views_fold *fold);
void views_young_drop(struct views_fold *fold); /* that is in views->young, or not */
/* The test that is of this table, the first; NULL: none is. */
const struct policy_kept_test *views_test_of(const struct policy_kept *kept, uint32_t oid);

/* views_sets_change.c: the constants are others: their watches are given another view by views_deliver_due(). */
void views_note_due(struct views_fold *fold);
void views_deliver_due(struct views *views);

/* views_sets_past.c. False: the answer may be too early, and another one is to be waited for. */
bool views_past_take(struct views_fold *fold, const struct xid_snapshot *snapshot);
void views_past_unuse(struct views_fold *fold);
void views_past_forget(struct views *views); /* changes may have passed unheard */
/* An answer came, and all of it was taken. */
void views_past_seen(struct views *views, const struct xid_snapshot *snapshot);
void views_past_tick(struct views *views, rt_usec now);
/* Asks for something when there has been no answer for too many changes. */
void views_past_probe(struct views *views);

/* views_sets_make.c: a constant with these values, copied. */
struct policy_value views_array(struct policy_arena *arena, const struct policy_list *from);
/* Of the policies alone, with the sets of now. One reference. */
struct view_constants *views_sets_constants(const struct views_fold *fold);
/* Takes the reference. False: they say what the last ones did, and those stay. */
bool views_use_constants(struct views_fold *fold, struct view_constants *made);

/* views_sets_rows.c: both versions as a test reads them. False: they cannot be read. Valid until the next. */
struct views_versions {
    struct policy_row rows[2];
    struct policy_row *new_row; /* NULL: there is none */
    struct policy_row *old_row;
};
bool views_versions_read(struct views *views, const struct policy_kept_test *test,
                         const struct relation *relation, const struct wire_change *change,
                         struct views_versions *out);

/* views.c: its view, or why there is none, is given to the watch at once. Everything that it is made of is there. */
void views_deliver(struct view_watch *watch);
/* views.c: is to be asked for again, unless what there is has seen the transaction. */
void views_refold(struct views_fold *fold, uint32_t xid);
/* views.c: the item is answered, or in trouble: whoever waits for it is looked at again. */
void views_wake(struct views_item *item);
/* Why a filter is refused, as its client reads it. */
void views_filter_reason(const struct filter_error *error, char out[VIEWS_REASON_MAX]);

#endif
