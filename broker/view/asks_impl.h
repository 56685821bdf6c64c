/* broker/view/asks_impl.h - what the parts of the fallback lane share. Nobody else includes this.
 *
 *   asks.c           asks of views: each one or two questions, for its policies and for its filter, and what they come to
 *   asks_change.c    changes as row images
 *   asks_question.c  questions: equal ones are one; queues, deadlines
 *   asks_choose.c    which questions go together
 *   asks_batch.c     questions to statements, answers to questions
 *   asks_kept.c      statements that connections keep from one batch to the next
 *
 * A view's ask holds references to questions, these to their change and to a view. A question is queued in its group (what can be
 * one statement), flying in a batch, or settled.
 */
#ifndef PGTIDE_BROKER_VIEW_ASKS_IMPL_H
#define PGTIDE_BROKER_VIEW_ASKS_IMPL_H

#include "broker/policy/set.h"
#include "broker/view/asks.h"
#include "broker/view/asks_metrics.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"

/* What one text may hold. Statements take about 15 us for an identity in a loop, and under 1 us in a set: some milliseconds
 * each, so that several connections share what a change brings, and none keeps it waiting. */
enum {
    ASKS_LEASES = 4,
    ASKS_LOOP_QUESTIONS = 1024,
    ASKS_SET_QUESTIONS = 4096,
    ASKS_FILTER_QUESTIONS = 32,
    ASKS_IMAGES = 64,
    ASKS_PAIRS = 16384, /* images times identities */
    ASKS_BYTES = 1 << 20,
};
/* What a connection keeps: statements, and bytes of their texts, which take four to five times that of the server's memory; connections
 * that are known; sets that were not kept lately. */
enum {
    ASKS_STATEMENTS = 16,
    ASKS_KEPT_BYTES = 4 << 20,
    ASKS_SESSIONS = 16,
    ASKS_SEEN = 64,
    ASKS_NAME_SIZE = 64,
};
#define ASKS_RETRY_FIRST (2 * RT_MSEC)
#define ASKS_RETRY_MAX   (50 * RT_MSEC)

enum { ASK_NEW = 1, ASK_OLD = 2, ASK_VERSIONS = 2 };

/* Of a table, as one access has it. */
struct asks_shape {
    struct access *access; /* referenced */
    uint32_t refs;
    char *text; /* what PostgreSQL must say of the table: policy_sql_answer() */
    uint32_t *numbers;
};

struct asks_change {
    struct asks_shape *shape;  /* referenced */
    struct relation *relation; /* referenced */
    uint64_t lsn;
    uint32_t index;
    uint32_t xid;
    uint32_t refs;
    char *images[ASK_VERSIONS]; /* NULL: there is no such version */
    size_t lens[ASK_VERSIONS];
    bool *missing[ASK_VERSIONS]; /* by place in access->attributes; NULL: complete */
    rt_usec not_before;          /* its transaction was not visible yet */
    rt_usec pause;
    struct rt_map *questions; /* about it, by their hash */
};

enum question_state { QUESTION_QUEUED, QUESTION_FLYING, QUESTION_ANSWERED, QUESTION_FAILED };

/* Questions about one change in one group. */
struct asks_topic {
    struct asks_group *group;
    struct asks_change *change; /* referenced */
    struct question *first;     /* queued */
    struct question *last;
    size_t count;
    struct asks_topic *next;
    struct asks_topic *prev;
};

/* What can be one statement: rules, or filters of a role. Lives as long as it has topics. */
struct asks_group {
    struct rt_buf key;
    struct policy_rules *rules; /* referenced; NULL: filters */
    struct asks_topic *first;
    struct asks_topic *last;
    size_t queued;
    struct asks_group *next; /* of those with topics */
    struct asks_group *prev;
};

struct question {
    struct asks *asks;
    struct asks_topic *topic;   /* NULL unless queued */
    struct asks_change *change; /* referenced */
    struct view *view;          /* referenced: whose identity, constants or filter */
    char *condition;            /* of a filter */
    uint64_t hash;              /* of what makes it the same as another about the same change */
    struct question *same_hash; /* the next one in change->questions */
    struct policy_rules *rules; /* NULL: of a filter */
    uint32_t refs;              /* of asks, and of the batch */
    enum question_state state;
    uint8_t want;
    uint8_t yes;
    bool looped;    /* the set raised an error */
    uint32_t limit; /* pairs of its statement; 0: as usual */
    rt_usec since;
    struct question *next; /* in its topic */
    struct question *prev;
    struct question *older; /* of all that are not settled, by age */
    struct question *newer;
};

/* A lease, and then what was asked over it. */
struct asks_batch {
    struct asks *asks;
    struct pg_lease *lease;
    struct asks_batch *next;
    struct asks_batch *prev;
    enum ask_lane lane;
    size_t width;                  /* identities, or conditions */
    size_t height;                 /* changes */
    struct question **questions;   /* change by change; referenced */
    uint8_t versions[ASKS_IMAGES]; /* of each change: those that somebody wants */
    const char *images[ASKS_IMAGES];
    size_t image_count;
    size_t bytes;
    uint64_t session; /* of a set, once sent; see asks_kept.c */
    bool tells;       /* its text changes which statements the session has */
};

struct asks {
    struct asks_config config;
    struct asks_metrics metrics;
    struct rt_map *shapes;  /* by access */
    struct rt_map *changes; /* by shape, lsn and index */
    struct rt_map *groups;  /* by key */
    struct rt_map *topics;  /* by group and change */
    struct rt_map *views;   /* struct asked_view, by view */
    /* Used last, or NULL: whoever asks comes change by change. */
    struct asks_change *recent_change;
    struct asks_topic *recent_topic;
    uint64_t seed[2]; /* for texts of filters */
    uint64_t nonce;   /* in names of statements */
    struct asks_group *first_group;
    struct asks_group *last_group;
    struct question *oldest;
    struct question *newest;
    size_t pending;
    struct asks_batch *batches; /* leases, with or without a statement under way */
    uint32_t leases;
    struct asks_session *sessions; /* asks_kept.c */
    uint64_t seen[ASKS_SEEN];
    size_t seen_at;
    uint64_t uses;
    uint64_t statements;
    uint32_t not_there;
    bool news;    /* since on_answers */
    rt_usec turn; /* when this turn's questions began; 0: none yet */
    struct rt_defer *dispatch;
    struct rt_timer *deadline;
    struct rt_timer *retry;
};

/* asks_change.c: with one reference; NULL if the rows do not fit the relation. */
struct asks_change *asks_change_get(struct asks *asks, struct view *view,
                                    const struct ask_change *from);
void asks_change_unref(struct asks *asks, struct asks_change *change);
/* Whether a version has the columns that are needed. `needs` by attribute number - 1; NULL: all columns. */
bool asks_change_has(const struct asks_change *change, int version, const bool *needs,
                     uint32_t count);

/* asks_question.c */
struct question *question_of_rules(struct asks *asks, struct view *view, struct asks_change *change,
                                   uint8_t want);
struct question *question_of_filter(struct asks *asks, struct view *view,
                                    struct asks_change *change, uint8_t want);
void question_unref(struct question *question);
void question_take(struct question *question);  /* from its queue */
void question_queue(struct question *question); /* again */
void question_settle(struct question *question, enum question_state state, rt_usec now);
struct question *question_find(const struct question *like, const struct asks_change *change);
void questions_fail_late(struct asks *asks);

/* asks_choose.c: false when nothing is due. Else the batch's questions are flying. */
bool batch_choose(struct asks_batch *batch);
bool topic_is_due(const struct asks_topic *topic, rt_usec now);
size_t question_most(const struct question *question); /* of its kind in a statement */

/* asks_kept.c: what to tell the session with this set. Valid until kept_end(). */
struct asks_kept {
    struct policy_set_session told;
    struct rt_buf drops;
    char name[ASKS_NAME_SIZE];
    char answer[ASKS_NAME_SIZE];
};
void kept_begin(struct asks_batch *batch, struct asks_kept *out);
void kept_end(struct asks_kept *kept);
void kept_failed(struct asks_batch *batch, const char *sqlstate);
void kept_free(struct asks *asks);

/* asks_batch.c */
void batches_dispatch(struct asks *asks);
void batches_free(struct asks *asks);

#endif
