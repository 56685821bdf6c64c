/* broker/policy/sets_parts.h - what sets.c (values) and sets_index.c (which sets a change is for) share. Not for others. */
#ifndef PGTIDE_BROKER_POLICY_SETS_PARTS_H
#define PGTIDE_BROKER_POLICY_SETS_PARTS_H

#include "broker/policy/anchor.h"
#include "broker/policy/sets.h"

/* Changes that are kept while a set loads; more: it is stale. */
#define SETS_PENDING_MAX 65536u

struct rt_map;

/* One value that comes (+1) or goes (-1); 0: all go. */
struct delta {
    uint32_t xid;
    int sign;
    const char *text; /* NULL: a NULL */
    size_t len;
};

/* One that came while the set was loading; `text` is its own. */
struct kept_delta {
    struct delta delta;
    char *text;
};

/* A value as PostgreSQL prints it, and how often it is there. */
struct counted {
    char *text;
    uint32_t len;
    uint32_t count;
};

struct policy_values {
    struct policy_sets *sets;
    const struct policy_binding *constants;
    enum policy_set_state state;
    bool has_snapshot;
    bool unanchored; /* judges every row */
    uint32_t count;  /* of values that are not NULL */
    uint32_t cap;
    struct policy_value *values; /* in the order of `texts`, which they point into */
    struct counted *texts;       /* sorted */
    uint32_t nulls;
    struct policy_list list;
    struct xid_snapshot snapshot;
    uint32_t pending_count;
    struct kept_delta *pending;
    uint64_t stamp; /* of the last row that found it */
    void *user;
    struct policy_values *above; /* whose rows this one decides about; NULL: none */
    struct policy_values *below; /* those that decide about its own, by their `beside` */
    struct policy_values *beside;
    struct policy_values *changed_next; /* in sets->changed */
    struct policy_values **changed_link;
    struct policy_values *next;
    struct policy_values *previous; /* of all */
};

/* Sets with an anchor of this value. */
struct bucket {
    uint32_t count;
    uint32_t cap;
    struct policy_values **sets;
};

struct sets_key;

struct policy_sets {
    const struct policy_program *members;
    uint32_t value;
    struct policy_shape element;
    struct policy_values *all;
    struct policy_values *changed;
    uint32_t unanchored; /* how many */
    uint64_t stamp;
    struct rt_map *buckets;               /* by column and value */
    uint32_t columns[POLICY_ANCHORS_MAX]; /* that have had anchors */
    uint32_t column_count;
    struct sets_key *keys; /* of the row at hand, one per column */
};

void sets_index_add(struct policy_values *set);
void sets_index_remove(struct policy_values *set);

/* sets.c */
void set_judge(struct policy_values *set, uint32_t xid, struct policy_row *row, int sign);
void set_take(struct policy_values *set, const struct delta *delta);

#endif
