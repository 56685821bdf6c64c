/* broker/match/index.c - tables, subscriptions, members. */
#include "broker/match/index.h"

#include <stdlib.h>
#include <string.h>

#include "broker/match/parts.h"
#include "runtime/clock.h"
#include "runtime/map.h"

struct match *match_new(void)
{
    struct match *match = rt_alloc(sizeof(*match));

    for (int i = 0; i < 4; i++) {
        match->seeds[i / 2][i % 2] = rt_random64();
    }
    postings_init(&match->postings);
    match->classes.size = sizeof(struct class);
    match->subs.size = sizeof(struct sub);
    match->filed.size = sizeof(struct posting);
    match->buckets.size = sizeof(uint32_t);
    return match;
}

void match_free(struct match *match)
{
    if (match == NULL) {
        return;
    }
    for (struct match_table *table = match->tables; table != NULL;) {
        struct match_table *next = table->next;
        match_table_free(table);
        table = next;
    }
    postings_fini(&match->postings);
    pool_fini(&match->classes);
    pool_fini(&match->subs);
    pool_fini(&match->filed);
    pool_fini(&match->buckets);
    rt_buf_fini(&match->candidates);
    rt_buf_fini(&match->hits);
    rt_buf_fini(&match->ahead);
    rt_buf_fini(&match->ahead_sets);
    free(match);
}

struct match_table *match_table_new(struct match *match, struct match_limits limits)
{
    struct match_table *table = rt_alloc(sizeof(*table));

    table->match = match;
    table->limits = limits;
    table->next = match->tables;
    if (table->next != NULL) {
        table->next->previous = table;
    }
    match->tables = table;
    return table;
}

void match_table_set_limits(struct match_table *table, struct match_limits limits)
{
    table->limits = limits;
}

static void unlink_sub(struct match *match, struct sub *sub)
{
    struct class *class = class_at(match, sub->class_id);

    if (sub->previous == POOL_NONE) {
        class->first_member = sub->next;
    } else {
        ((struct sub *)pool_at(&match->subs, sub->previous))->next = sub->next;
    }
    if (sub->next != POOL_NONE) {
        ((struct sub *)pool_at(&match->subs, sub->next))->previous = sub->previous;
    }
}

/* Goes over all subscriptions of the shard, which only a table's end does. */
void match_table_free(struct match_table *table)
{
    struct match *match = table->match;

    for (uint32_t i = 0; i < match->subs.used && table->class_count > 0; i++) {
        const struct sub *sub = pool_at(&match->subs, i);
        if (sub->class_id != POOL_NONE && class_at(match, sub->class_id)->table == table) {
            (void)match_remove(match, (struct match_sub){ i });
        }
    }
    if (table->next != NULL) {
        table->next->previous = table->previous;
    }
    if (table->previous != NULL) {
        table->previous->next = table->next;
    } else {
        match->tables = table->next;
    }
    free(table->scan);
    free(table);
}

static enum match_status check_limits(const struct match_table *table, const struct plan *plan)
{
    uint32_t ordered = table->ordered_count;

    if (plan->scan && table->scan_count >= table->limits.scanned) {
        return MATCH_TOO_MANY_SCANNED;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        if (anchor_is_ordered(plan->anchors[i]) && ++ordered > table->limits.ordered) {
            return MATCH_TOO_MANY_ORDERED;
        }
    }
    return MATCH_ADDED;
}

static void hash_key(const struct match *match, struct wire_span key, uint64_t out[2])
{
    for (int i = 0; i < 2; i++) {
        out[i] = rt_seeded_hash(match->seeds[i], key.data, key.len);
    }
}

bool match_find(const struct match_table *table, struct wire_span key, uint64_t *out_user)
{
    const struct match *match = table->match;
    uint64_t hash[2];

    hash_key(match, key, hash);
    uint32_t id = class_find(match, table, hash);
    if (id == POOL_NONE) {
        return false;
    }
    struct match_members members = match_members(match, id);
    return match_members_next(&members, out_user);
}

enum match_status match_add(struct match_table *table, const struct match_view *view, uint64_t user,
                            struct match_sub *out_sub)
{
    struct match *match = table->match;
    uint64_t key[2];

    hash_key(match, view->key, key);
    uint32_t id = class_find(match, table, key);
    if (id != POOL_NONE) {
        view->program->release(view->program, view->constants);
    } else {
        struct plan plan;
        anchor_plan(table, view, &plan);
        enum match_status status = check_limits(table, &plan);
        if (status != MATCH_ADDED) {
            view->program->release(view->program, view->constants);
            return status;
        }
        id = class_new(table, view, key);
        class_file(match, id, &plan);
    }
    struct class *class = class_at(match, id);
    uint32_t number = pool_take(&match->subs);
    *(struct sub *)pool_at(&match->subs, number) = (struct sub){
        .user = user, .class_id = id, .next = class->first_member, .previous = POOL_NONE
    };
    if (class->first_member != POOL_NONE) {
        ((struct sub *)pool_at(&match->subs, class->first_member))->previous = number;
    }
    class->first_member = number;
    *out_sub = (struct match_sub){ number };
    return MATCH_ADDED;
}

bool match_remove(struct match *match, struct match_sub sub)
{
    if (sub.v >= match->subs.used) {
        return false;
    }
    struct sub *gone = pool_at(&match->subs, sub.v);
    uint32_t id = gone->class_id;
    if (id == POOL_NONE) {
        return false;
    }
    unlink_sub(match, gone);
    gone->class_id = POOL_NONE;
    pool_give(&match->subs, sub.v);
    if (class_at(match, id)->first_member == POOL_NONE) {
        class_free(match, id);
    }
    return true;
}

uint32_t match_class(const struct match *match, struct match_sub sub)
{
    return ((const struct sub *)pool_at(&match->subs, sub.v))->class_id;
}

struct match_members match_members(const struct match *match, uint32_t class_id)
{
    return (struct match_members){ match, class_at(match, class_id)->first_member };
}

bool match_members_next(struct match_members *members, uint64_t *out_user)
{
    if (members->next == POOL_NONE) {
        return false;
    }
    const struct sub *sub = pool_at(&members->match->subs, members->next);
    *out_user = sub->user;
    members->next = sub->next;
    return true;
}

struct match_stats match_stats(const struct match *match)
{
    struct match_stats stats = {
        .subs = pool_count(&match->subs),
        .classes = pool_count(&match->classes),
        .postings = pool_count(&match->filed),
        .bytes = sizeof(*match) + match->postings.bytes + pool_bytes(&match->classes) +
                 pool_bytes(&match->subs) + pool_bytes(&match->filed) +
                 pool_bytes(&match->buckets) + match->candidates.cap + match->hits.cap +
                 match->ahead.cap + match->ahead_sets.cap,
    };

    for (const struct match_table *table = match->tables; table != NULL; table = table->next) {
        stats.bytes += sizeof(*table) + table->scan_capacity * sizeof(*table->scan);
        for (uint32_t i = 0; i < table->probe_count; i++) {
            stats.bytes += table->probes[i].ranges.bytes + table->probes[i].members.bytes;
        }
    }
    return stats;
}

uint32_t match_table_scanned(const struct match_table *table)
{
    return table->scan_count;
}

uint32_t match_table_classes(const struct match_table *table)
{
    return table->class_count;
}
