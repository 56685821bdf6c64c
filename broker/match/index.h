/* broker/match/index.h - which subscriptions does a changed row concern? At a cost that follows the answer.
 *
 * What a subscription may see is a view: a program (compiled once per template: policies, shape of the filter, columns) and its
 * constants. Views with the same key are one class: judged once, whoever many subscribe. A view is a disjunction of
 * conjunctions; for each, the caller names what every row it admits has in common (anchors): a column equals one of some
 * values, belongs to a membership set, lies on one side of a value, is NULL. The index files the class under the most selective
 * anchor of each conjunction. A changed row looks up the values it has, and the programs of the classes found there decide.
 * So an anchor must be sound (a row that the conjunction admits satisfies it); it need not be exact.
 *
 * A conjunction without a usable anchor puts its class on the table's scan list: judged for every change, and limited. A
 * view without conjunctions admits nothing.
 *
 * The old and the new row are judged; the pair of verdicts is the event as the viewer sees it. MATCH_ASK is carried to the
 * caller, who asks PostgreSQL. What a row does not carry (a key-only old row, an unchanged TOASTed value) cannot be looked
 * up: it finds nothing through that column, and `blind` says so. Values must be filled in first where they are known.
 *
 * One writer, no locks, no I/O. Column numbers are places in the tuple: after ALTER TABLE, build a new table and add
 * the views again. Hashes are keyed, so values chosen by a client do not collide on purpose.
 *
 * Cost: change: one look-up per anchored column and image, one per member of a set, one program per class found. add, remove:
 * O(anchors); with an order anchor, O(log n). Memory: about 160 bytes for a subscription with a class of its own, 24 for one in a
 * class that exists.
 */
#ifndef PGTIDE_BROKER_MATCH_INDEX_H
#define PGTIDE_BROKER_MATCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/match/value.h"
#include "proto/records.h"

#define MATCH_POSTINGS_MAX                                                                         \
    256u /* values of one view, over all its conjunctions; beyond: the scan list */
#define MATCH_PROBES_MAX 64u /* different (column, kind) per table; beyond: the scan list */

struct match;
struct match_table;

enum match_verdict {
    MATCH_NO, /* also whenever something is unknown: fail closed */
    MATCH_YES,
    MATCH_ASK, /* the program cannot tell, PostgreSQL can */
};

/* A version of a row; values in the table's column order. */
struct match_row {
    const struct wire_value *values;
    uint32_t count;
    void *context; /* the program's: the time of evaluation, what it has parsed already */
};

/* What the templates are made of: implemented by the policy engine, or by a test. */
struct match_program {
    enum match_verdict (*judge)(const struct match_program *program, const void *constants,
                                const struct match_row *row);
    /* The class is gone, or match_add() did not need the constants. */
    void (*release)(const struct match_program *program, void *constants);
    /* Asks for the memory that judge() will look at behind `constants`, whose first cache line has come; may be NULL. */
    void (*ahead)(const struct match_program *program, const void *constants);
};

/* A membership relation, kept by somebody else: which members a value has, as numbers given to identities. */
struct match_set {
    /* Valid until the set changes, after further calls as well. */
    const uint32_t *(*members)(const struct match_set *set, struct wire_span value,
                               uint32_t *out_count);
    /* Asks for the memory that members() will look at; may be NULL. */
    void (*ahead)(const struct match_set *set, struct wire_span value);
};

enum match_anchor_kind {
    MATCH_EQUAL,  /* the column is one of `values`; no values: admits nothing */
    MATCH_MEMBER, /* the column's value has `member` in `set` */
    MATCH_IS_NULL,
    MATCH_AT_LEAST, /* the column is values[0] or above it, */
    MATCH_AT_MOST,  /* … or below it */
};

struct match_anchor {
    const struct wire_span *values;
    const struct match_set *set;
    double
        share; /* of the table's rows, that this lets through: 1 / n_distinct and the like; 0: unknown */
    enum match_anchor_kind kind;
    uint32_t value_count;
    uint32_t member;
    struct match_type type; /* of the column, or what match_type_of() says of its operator's type */
    uint16_t column;
};

struct match_conjunction {
    const struct match_anchor *anchors;
    uint32_t anchor_count;
};

struct match_view {
    const struct match_program *program;
    void *constants; /* given away, also when the view is refused */
    struct wire_span
        key; /* equal keys mean equal views of this table: template, constants, filter, columns */
    const struct match_conjunction *conjunctions;
    uint32_t conjunction_count;
};

enum match_status {
    MATCH_ADDED,
    MATCH_TOO_MANY_SCANNED, /* tell the client that no indexed condition was found, and which limit it is */
    MATCH_TOO_MANY_ORDERED,
};

struct match_limits {
    uint32_t scanned; /* classes on a table's scan list */
    uint32_t ordered; /* classes of a table behind MATCH_AT_LEAST and MATCH_AT_MOST */
};

struct match_sub {
    uint32_t v;
};

struct match_hit {
    uint32_t class_id; /* for match_members() */
    uint8_t on_new;    /* enum match_verdict */
    uint8_t on_old;
    const void *constants; /* of the view */
};

struct match_result {
    const struct match_hit
        *hits; /* valid until the next call; classes found by the new row first */
    uint32_t count;
    uint32_t judged; /* programs run */
    uint32_t blind;  /* anchored columns that a row did not carry */
};

enum match_event { MATCH_NOTHING, MATCH_INSERT, MATCH_UPDATE, MATCH_DELETE, MATCH_UNDECIDED };

struct match_stats {
    uint64_t subs;
    uint64_t classes;
    uint64_t postings;
    size_t bytes;
};

struct match *match_new(void);
void match_free(struct match *match); /* with all tables; releases all constants */
struct match_table *match_table_new(struct match *match, struct match_limits limits);
/* Also removes its subscriptions, whose numbers may be used again. */
void match_table_free(struct match_table *table);
void match_table_set_limits(struct match_table *table, struct match_limits limits);

/* `user` is the caller's, for match_members(). *out_sub is written only when it was added. */
enum match_status match_add(struct match_table *table, const struct match_view *view, uint64_t user,
                            struct match_sub *out_sub);
/* Whether a view with this key is there; *out_user is one of its members'. */
bool match_find(const struct match_table *table, struct wire_span key, uint64_t *out_user);
/* False when there is no such subscription. */
bool match_remove(struct match *match, struct match_sub sub);
/* The class of a subscription: equal numbers mean that both are judged as one. */
uint32_t match_class(const struct match *match, struct match_sub sub);

/* Asks for the memory that changes soon to come will need, for all of them at once: with a million classes nearly every
 * look-up is a wait for memory, and the waits of changes decoded together can be one. Only a hint, and worth it for 8 to 32
 * changes at a time. Sets must not change before the changes come. */
struct match_coming {
    const struct match_table *table;
    const struct match_row *rows[2]; /* either may be NULL */
};
void match_ahead(struct match *match, const struct match_coming *changes, uint32_t count);

/* Either row may be NULL: an INSERT has no old one, a DELETE no new one. Programs must not change the index. */
struct match_result match_change(struct match_table *table, const struct match_row *new_row,
                                 const struct match_row *old_row);

static inline enum match_event match_event_of(const struct match_hit *hit)
{
    static const uint8_t events[] = { MATCH_NOTHING, MATCH_DELETE, MATCH_INSERT, MATCH_UPDATE };

    if (hit->on_new == MATCH_ASK || hit->on_old == MATCH_ASK) {
        return MATCH_UNDECIDED;
    }
    return (enum match_event)events[hit->on_new * 2 + hit->on_old];
}

/* The members of a class, in no order. Nothing may be added or removed meanwhile. */
struct match_members {
    const struct match *match;
    uint32_t next;
};
struct match_members match_members(const struct match *match, uint32_t class_id);
bool match_members_next(struct match_members *members, uint64_t *out_user);

struct match_stats match_stats(const struct match *match);
uint32_t match_table_scanned(const struct match_table *table);
uint32_t match_table_classes(const struct match_table *table);

#endif
