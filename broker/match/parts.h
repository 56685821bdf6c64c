/* broker/match/parts.h - what the files of the index share. Inside broker/match/ only.
 *
 * Objects live in pools and are named by number; POOL_NONE is none. A class of 64 bytes is one cache line: a candidate
 * costs that line and those of its constants.
 */
#ifndef PGTIDE_BROKER_MATCH_PARTS_H
#define PGTIDE_BROKER_MATCH_PARTS_H

#include "broker/match/dense.h"
#include "broker/match/index.h"
#include "broker/match/pool.h"
#include "broker/match/postings.h"
#include "broker/match/ranges.h"
#include "runtime/buf.h"

enum probe_kind { PROBE_EQUAL, PROBE_MEMBER, PROBE_NULL, PROBE_AT_LEAST, PROBE_AT_MOST };

/* One look-up that a row makes. */
struct probe {
    enum probe_kind kind;
    uint16_t column;
    struct match_type type;
    const struct match_set *set;
    uint32_t refs; /* postings; 0: not looked up, and free to become another one */
    uint64_t salt; /* tells its hashes from those of other probes */
    struct ranges ranges;
    struct dense members;
};

/* Where a class is filed. */
struct posting {
    uint64_t key;   /* the hash, the member, or the bits of the threshold */
    uint32_t place; /* in the list of the hash or member */
    uint32_t next;  /* of the class */
    uint32_t probe; /* of the table */
};

struct class
{
    uint64_t key[2];
    const struct match_program *program;
    void *constants;
    struct match_table *table;
    uint32_t next_in_bucket;
    uint32_t first_posting;
    uint32_t first_member;
    uint32_t scan_place; /* POOL_NONE: not on the scan list */
    uint32_t stamp;      /* of the last pass that found it */
    uint32_t hit;        /* of the last change that has it among its hits */
};
_Static_assert(sizeof(struct class) == 64, "a class is a cache line");

/* A member. */
struct sub {
    uint64_t user;
    uint32_t class_id; /* POOL_NONE: free */
    uint32_t next;
    uint32_t previous;
};

struct match_table {
    struct match *match;
    struct match_table *next;
    struct match_table *previous;
    struct match_limits limits;
    struct probe probes[MATCH_PROBES_MAX];
    uint32_t probe_count;
    uint32_t *scan;
    uint32_t scan_count;
    uint32_t scan_capacity;
    uint32_t ordered_count; /* postings in ranges */
    uint32_t class_count;
};

struct match {
    uint64_t seeds[2][2];
    struct postings postings;
    struct pool classes;
    struct pool subs;
    struct pool filed;   /* struct posting */
    struct pool buckets; /* uint32_t: classes by key, linear hashing */
    uint32_t bucket_count;
    uint32_t stamp;
    uint64_t next_salt;
    struct match_table *tables;
    struct rt_buf candidates; /* uint32_t */
    struct rt_buf hits;       /* struct match_hit */
    struct rt_buf ahead_sets; /* struct expected_set */
    struct rt_buf ahead;      /* struct expected, then the numbers of classes */
};

static inline struct class *class_at(const struct match *match, uint32_t id)
{
    return pool_at(&match->classes, id);
}

/* --- anchor.c --- */

/* How a view will be filed: the anchor chosen for each conjunction; `scan` when one has none. */
struct plan {
    bool scan;
    uint32_t count;
    const struct match_anchor *anchors[MATCH_POSTINGS_MAX];
};
void anchor_plan(const struct match_table *table, const struct match_view *view, struct plan *out);
/* The probe of an anchor, made if need be: the plan has seen to the room. */
uint32_t anchor_probe(struct match_table *table, const struct match_anchor *anchor);
uint64_t anchor_hash(const struct match *match, const struct probe *probe, struct wire_span value);
bool anchor_is_ordered(const struct match_anchor *anchor);

/* --- class.c --- */

/* The class with this key, or POOL_NONE. */
uint32_t class_find(const struct match *match, const struct match_table *table,
                    const uint64_t key[2]);
uint32_t class_new(struct match_table *table, const struct match_view *view, const uint64_t key[2]);
void class_free(struct match *match, uint32_t id);
void class_file(struct match *match, uint32_t id, const struct plan *plan);

#endif
