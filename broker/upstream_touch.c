/* broker/upstream_touch.c - which tables of interest a transaction touches, known before its first change is routed.
 *
 * A transaction that ends in the frame it begins in is read ahead, record by record, with the decoders that read it again
 * right after, and once more if it touches one, to hand its changes over. For another one, or one with a relation that is not known yet, what it touches is collected while it passes. What
 * cannot be known, because a part is lost, touches everything.
 */
#include <stdlib.h>

#include "broker/upstream_impl.h"
#include "runtime/map.h"

struct interest {
    uint32_t oid;
    uint64_t count;
    uint64_t noted; /* in the collection with this number */
};

void touch_init(struct touch *touch)
{
    touch->interests = rt_map_new();
    touch->described = relations_new();
}

void touch_fini(struct touch *touch)
{
    struct rt_map_iter iter = rt_map_begin(touch->interests);

    for (struct interest *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        free(at);
    }
    rt_map_free(touch->interests);
    relations_free(touch->described);
    free(touch->oids);
}

void upstream_interest(struct upstream *up, uint32_t oid, int change)
{
    struct rt_map *interests = up->touch.interests;
    struct interest *interest = rt_map_get_u64(interests, oid);

    if (interest == NULL && change > 0) {
        interest = rt_alloc(sizeof(*interest));
        interest->oid = oid;
        rt_map_put_u64(interests, oid, interest);
    }
    if (interest == NULL) {
        return;
    }
    interest->count += (uint64_t)(int64_t)change;
    if (interest->count == 0) {
        rt_map_remove_u64(interests, oid);
        free(interest);
    }
}

/* --- handing over -------------------------------------------------------------------------------- */

static void hand(struct upstream *up, struct relation *relation, const struct wire_change *change,
                 uint32_t xid)
{
    if (up->config.events->touching != NULL) {
        up->config.events->touching(up->config.ctx, relation, change, xid);
    }
}

/* Whether this record was handed over when it came before. */
static bool was_handed(const struct touch *touch, uint64_t lsn, uint32_t index)
{
    struct wire_position at = { touch->last.epoch, lsn, index };

    return touch->handed && wire_position_cmp(&at, &touch->last) <= 0;
}

static void hand_one(struct upstream *up, const struct wire_begin *begin, struct relation *relation,
                     const struct wire_change *change, uint32_t index)
{
    if (rt_map_get_u64(up->touch.interests, relation->oid) != NULL &&
        !was_handed(&up->touch, begin->commit_lsn, index)) {
        hand(up, relation, change, begin->xid);
    }
}

static void handed(struct touch *touch, const struct wire_begin *begin, uint32_t index)
{
    if (!was_handed(touch, begin->commit_lsn, index)) {
        touch->handed = true;
        touch->last = (struct wire_position){ begin->epoch, begin->commit_lsn, index };
    }
}

/* --- the collection ------------------------------------------------------------------------------ */

static void restart(struct touch *touch)
{
    touch->count = 0;
    touch->number++;
    touch->everything = false;
}

static void add(struct touch *touch, struct interest *interest)
{
    if (interest->noted == touch->number) {
        return;
    }
    interest->noted = touch->number;
    if (touch->count == touch->cap) {
        touch->cap = touch->cap == 0 ? 8 : touch->cap * 2;
        touch->oids = rt_realloc(touch->oids, touch->cap, sizeof(*touch->oids));
    }
    touch->oids[touch->count++] = interest->oid;
}

static void note(struct touch *touch, uint32_t oid)
{
    struct interest *interest = rt_map_get_u64(touch->interests, oid);

    if (interest != NULL) {
        add(touch, interest);
    }
}

static void add_everything(struct touch *touch)
{
    struct rt_map_iter iter = rt_map_begin(touch->interests);

    for (struct interest *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        add(touch, at);
    }
}

static void tell(struct upstream *up, bool whole, uint32_t xid, uint64_t lsn)
{
    struct touch *touch = &up->touch;

    if (touch->everything) {
        add_everything(touch);
        hand(up, NULL, NULL, xid);
        touch->handed = false;
    }
    up->config.events->touches(up->config.ctx, touch->oids, touch->count, whole, xid, lsn);
}

/* --- looking ahead ------------------------------------------------------------------------------- */

/* A relation is described before its first use, so most likely in the same frame. */
static bool look_at_relation(struct touch *touch, const uint8_t *start, struct wire_reader *in)
{
    struct wire_relation head;
    struct relation *relation = NULL;

    if (wire_decode_relation(in, &head) != WIRE_OK) {
        return false;
    }
    struct wire_span record = { (const char *)start, (size_t)(in->at - start) };
    return relations_put(touch->described, record, &relation) == WIRE_OK;
}

static struct relation *find(struct upstream *up, uint32_t rel)
{
    struct relation *described = relations_find(up->touch.described, rel);

    return described != NULL ? described : relations_find(up->config.relations, rel);
}

/* False: the relation is not known. */
static bool look_at_rel(struct upstream *up, uint32_t rel)
{
    const struct relation *relation = find(up, rel);

    if (relation != NULL) {
        note(&up->touch, relation->oid);
    }
    return relation != NULL;
}

static bool look_at_change(struct upstream *up, struct wire_reader *in)
{
    struct wire_change change;

    return wire_decode_change(in, &change) == WIRE_OK && look_at_rel(up, change.rel);
}

static bool look_at_truncate(struct upstream *up, struct wire_reader *in)
{
    struct wire_truncate truncate;
    bool known = wire_decode_truncate(in, &truncate) == WIRE_OK;

    for (uint32_t i = 0; known && i < truncate.rel_count; i++) {
        known = look_at_rel(up, wire_read_u32(&truncate.rels));
    }
    return known;
}

static bool look_at_record(struct upstream *up, enum wire_type type, const uint8_t *start,
                           struct wire_reader *in)
{
    struct wire_message message;

    if (type == WIRE_CHANGE) {
        return look_at_change(up, in);
    }
    if (type == WIRE_TRUNCATE) {
        return look_at_truncate(up, in);
    }
    if (type == WIRE_RELATION) {
        return look_at_relation(&up->touch, start, in);
    }
    /* Anything else has no place in a transaction. */
    return type == WIRE_MESSAGE && wire_decode_message(in, &message) == WIRE_OK;
}

/* From behind BEGIN on. Whether END came, and everything before it was known. */
static bool look_ahead(struct upstream *up, struct wire_reader in)
{
    enum wire_type type = WIRE_PROGRESS;
    const uint8_t *start = in.at;
    bool known = true;

    while (known && wire_next_record(&in, &type) == WIRE_OK && type != WIRE_END) {
        known = look_at_record(up, type, start, &in);
        start = in.at;
    }
    return known && in.err == WIRE_OK && type == WIRE_END;
}

static void hand_change(struct upstream *up, const struct wire_begin *begin, struct wire_reader *in)
{
    struct wire_change change;

    (void)wire_decode_change(in, &change);
    hand_one(up, begin, find(up, change.rel), &change, change.index);
    handed(&up->touch, begin, change.index);
}

static void hand_truncate(struct upstream *up, const struct wire_begin *begin,
                          struct wire_reader *in)
{
    struct wire_truncate truncate;

    (void)wire_decode_truncate(in, &truncate);
    for (uint32_t i = 0; i < truncate.rel_count; i++) {
        hand_one(up, begin, find(up, wire_read_u32(&truncate.rels)), NULL, truncate.index);
    }
    handed(&up->touch, begin, truncate.index);
}

/* Once more, after look_ahead() has read all of it. A relation that is described twice in it counts as its last. */
static void hand_all(struct upstream *up, const struct wire_begin *begin, struct wire_reader in)
{
    struct wire_message message;
    struct wire_relation head;
    enum wire_type type = WIRE_PROGRESS;

    while (wire_next_record(&in, &type) == WIRE_OK && type != WIRE_END) {
        if (type == WIRE_CHANGE) {
            hand_change(up, begin, &in);
        } else if (type == WIRE_TRUNCATE) {
            hand_truncate(up, begin, &in);
        } else if (type == WIRE_RELATION) {
            (void)wire_decode_relation(&in, &head);
        } else {
            (void)wire_decode_message(&in, &message);
        }
    }
}

/* --- the stream ---------------------------------------------------------------------------------- */

static bool is_same(const struct upstream *up, const struct wire_begin *begin)
{
    return up->touch.open && up->touch.epoch == begin->epoch && up->touch.lsn == begin->commit_lsn;
}

void touch_begin(struct upstream *up, const struct wire_begin *begin, const struct wire_reader *in)
{
    struct touch *touch = &up->touch;
    bool same = is_same(up, begin);

    if (rt_map_count(touch->interests) == 0 || (same && begin->continued)) {
        touch->open = same && begin->continued;
        return;
    }
    if (!same) {
        restart(touch);
        touch->everything = begin->continued; /* its beginning was never looked at */
    }
    bool whole = !begin->continued && look_ahead(up, *in);
    if (whole && touch->count > 0) {
        hand_all(up, begin, *in);
    }
    relations_clear(touch->described);
    touch->open = !whole;
    touch->epoch = begin->epoch;
    touch->lsn = begin->commit_lsn;
    if (!whole || same || touch->count > 0) {
        tell(up, whole, begin->xid, begin->commit_lsn);
    }
}

void touch_relation(struct upstream *up, struct relation *relation,
                    const struct wire_change *change, uint32_t index)
{
    if (up->touch.open) {
        note(&up->touch, relation->oid);
        hand_one(up, &up->begin, relation, change, index);
    }
}

void touch_handed(struct upstream *up, uint32_t index)
{
    if (up->touch.open) {
        handed(&up->touch, &up->begin, index);
    }
}

void touch_unknown(struct upstream *up)
{
    up->touch.everything = up->touch.everything || up->touch.open;
}

void touch_end(struct upstream *up)
{
    if (up->touch.open) {
        up->touch.open = false;
        tell(up, true, up->begin.xid, up->begin.commit_lsn);
    }
}

void touch_hole(struct upstream *up, uint64_t lsn)
{
    up->touch.open = false;
    up->touch.handed = false;
    if (rt_map_count(up->touch.interests) > 0) {
        restart(&up->touch);
        up->touch.everything = true;
        tell(up, true, 0, lsn);
    }
}
