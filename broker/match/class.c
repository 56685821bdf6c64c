/* broker/match/class.c - classes: found by key, filed under their anchors, taken out again without a search.
 *
 * Keys are compared by a keyed hash of 128 bits: who does not know the seeds cannot make two meet, and by chance among a
 * million classes two do with probability 2^-89. The table of keys grows by linear hashing, a bucket for a class: it never
 * stops to rebuild.
 */
#include <string.h>

#include "broker/match/parts.h"

/* --- by key --- */

static uint32_t highest_power(uint32_t n)
{
    return UINT32_C(1) << (31 - __builtin_clz(n));
}

static uint32_t *bucket_of(const struct match *match, uint64_t hash)
{
    uint32_t power = highest_power(match->bucket_count);
    uint32_t bucket = (uint32_t)hash & (2 * power - 1);

    return pool_at(&match->buckets, bucket >= match->bucket_count ? bucket - power : bucket);
}

static void grow_buckets(struct match *match)
{
    uint32_t last = pool_take(&match->buckets);
    uint32_t *target = pool_at(&match->buckets, last);
    *target = POOL_NONE;
    match->bucket_count++;
    if (last == 0) {
        return;
    }
    uint32_t *source = pool_at(&match->buckets, last - highest_power(last));
    uint32_t id = *source;
    *source = POOL_NONE;
    while (id != POOL_NONE) {
        struct class *class = class_at(match, id);
        uint32_t next = class->next_in_bucket;
        uint32_t *home = bucket_of(match, class->key[0]);
        class->next_in_bucket = *home;
        *home = id;
        id = next;
    }
}

uint32_t class_find(const struct match *match, const struct match_table *table,
                    const uint64_t key[2])
{
    if (match->bucket_count == 0) {
        return POOL_NONE;
    }
    uint32_t id = *bucket_of(match, key[0]);
    while (id != POOL_NONE) {
        const struct class *class = class_at(match, id);
        if (class->key[0] == key[0] && class->key[1] == key[1] && class->table == table) {
            return id;
        }
        id = class->next_in_bucket;
    }
    return POOL_NONE;
}

uint32_t class_new(struct match_table *table, const struct match_view *view, const uint64_t key[2])
{
    struct match *match = table->match;
    uint32_t id = pool_take(&match->classes);

    if (match->bucket_count < pool_count(&match->classes)) {
        grow_buckets(match);
    }
    uint32_t *bucket = bucket_of(match, key[0]);
    *class_at(match, id) = (struct class){
        .key = { key[0], key[1] },
        .program = view->program,
        .constants = view->constants,
        .table = table,
        .next_in_bucket = *bucket,
        .first_posting = POOL_NONE,
        .first_member = POOL_NONE,
        .scan_place = POOL_NONE,
        .hit = UINT32_MAX,
    };
    *bucket = id;
    table->class_count++;
    return id;
}

/* --- anchors --- */

static bool is_hashed(enum probe_kind kind)
{
    return kind == PROBE_EQUAL || kind == PROBE_NULL;
}

/* Hashes tell probes apart by themselves; members and thresholds do not. */
static struct posting *find_posting(struct match *match, const struct class *class, uint32_t probe,
                                    uint64_t key, bool hashed)
{
    uint32_t id = class->first_posting;

    while (id != POOL_NONE) {
        struct posting *posting = pool_at(&match->filed, id);
        if (posting->key == key && (hashed ? is_hashed(class->table->probes[posting->probe].kind)
                                           : posting->probe == probe)) {
            return posting;
        }
        id = posting->next;
    }
    return NULL;
}

static void add_posting(struct match *match, struct class *class, uint32_t probe, uint64_t key,
                        uint32_t place)
{
    uint32_t id = pool_take(&match->filed);

    *(struct posting *)pool_at(&match->filed, id) = (struct posting){
        .key = key, .place = place, .next = class->first_posting, .probe = probe
    };
    class->first_posting = id;
    class->table->probes[probe].refs++;
}

static void file_hash(struct match *match, uint32_t id, uint32_t probe, uint64_t hash)
{
    struct class *class = class_at(match, id);

    if (find_posting(match, class, probe, hash, true) == NULL) {
        add_posting(match, class, probe, hash, postings_add(&match->postings, hash, id));
    }
}

static void file_member(struct match *match, uint32_t id, uint32_t number, uint32_t member)
{
    struct class *class = class_at(match, id);
    struct probe *probe = &class->table->probes[number];

    if (find_posting(match, class, number, member, false) == NULL) {
        add_posting(match, class, number, member,
                    dense_add(&probe->members, &match->postings, member, id));
    }
}

static void file_ordered(struct match *match, uint32_t id, uint32_t number,
                         const struct match_anchor *anchor)
{
    struct class *class = class_at(match, id);
    struct probe *probe = &class->table->probes[number];
    double rank = 0;
    uint64_t bits = 0;

    (void)match_rank(anchor->type.order, anchor->values[0], &rank);
    memcpy(&bits, &rank, sizeof(bits));
    if (find_posting(match, class, number, bits, false) == NULL) {
        ranges_add(&probe->ranges, rank, id);
        class->table->ordered_count++;
        add_posting(match, class, number, bits, 0);
    }
}

static void file_scan(struct match *match, uint32_t id)
{
    struct class *class = class_at(match, id);
    struct match_table *table = class->table;

    if (table->scan_count == table->scan_capacity) {
        table->scan_capacity = table->scan_capacity == 0 ? 4 : table->scan_capacity * 2;
        table->scan = rt_realloc(table->scan, table->scan_capacity, sizeof(*table->scan));
    }
    class->scan_place = table->scan_count;
    table->scan[table->scan_count++] = id;
}

void class_file(struct match *match, uint32_t id, const struct plan *plan)
{
    struct match_table *table = class_at(match, id)->table;

    if (plan->scan) {
        file_scan(match, id);
        return;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct match_anchor *anchor = plan->anchors[i];
        uint32_t number = anchor_probe(table, anchor);
        const struct probe *probe = &table->probes[number];
        if (anchor_is_ordered(anchor)) {
            file_ordered(match, id, number, anchor);
        } else if (anchor->kind == MATCH_MEMBER) {
            file_member(match, id, number, anchor->member);
        } else if (anchor->kind == MATCH_IS_NULL) {
            file_hash(match, id, number, anchor_hash(match, probe, (struct wire_span){ "", 0 }));
        }
        for (uint32_t j = 0; anchor->kind == MATCH_EQUAL && j < anchor->value_count; j++) {
            struct wire_span value = match_bytes(anchor->type.form, anchor->values[j]);
            file_hash(match, id, number, anchor_hash(match, probe, value));
        }
    }
}

static void unfile(struct match *match, uint32_t id, const struct posting *posting)
{
    struct class *class = class_at(match, id);
    struct probe *probe = &class->table->probes[posting->probe];
    uint32_t moved = POSTINGS_NONE;
    double rank = 0;

    if (is_hashed(probe->kind)) {
        moved = postings_remove(&match->postings, posting->key, posting->place);
    } else if (probe->kind == PROBE_MEMBER) {
        moved =
            dense_remove(&probe->members, &match->postings, (uint32_t)posting->key, posting->place);
    } else {
        memcpy(&rank, &posting->key, sizeof(rank));
        ranges_remove(&probe->ranges, rank, id);
        class->table->ordered_count--;
    }
    if (moved != POSTINGS_NONE) {
        find_posting(match, class_at(match, moved), posting->probe, posting->key,
                     is_hashed(probe->kind))
            ->place = posting->place;
    }
    if (--probe->refs == 0) {
        ranges_fini(&probe->ranges);
        dense_fini(&probe->members);
    }
}

static void unfile_scan(struct match *match, struct class *class)
{
    struct match_table *table = class->table;
    uint32_t last = table->scan[--table->scan_count];

    table->scan[class->scan_place] = last;
    class_at(match, last)->scan_place = class->scan_place;
}

void class_free(struct match *match, uint32_t id)
{
    struct class *class = class_at(match, id);
    uint32_t *link = bucket_of(match, class->key[0]);

    while (*link != id) {
        link = &class_at(match, *link)->next_in_bucket;
    }
    *link = class->next_in_bucket;
    while (class->first_posting != POOL_NONE) {
        uint32_t first = class->first_posting;
        const struct posting *posting = pool_at(&match->filed, first);
        unfile(match, id, posting);
        class->first_posting = posting->next;
        pool_give(&match->filed, first);
    }
    if (class->scan_place != POOL_NONE) {
        unfile_scan(match, class);
    }
    class->program->release(class->program, class->constants);
    class->table->class_count--;
    pool_give(&match->classes, id);
}
