/* tailer/relcache.c - see relcache.h.
 *
 * What must stay true: a generation never changes once made, `announced` and the purge's marks aside;
 * an entry's current generation is not on the list of replaced ones; every generation is in `rels`.
 */
#include "tailer/relcache.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/shard.h"
#include "tailer/shapes.h"

/* A table as pgoutput described it last. */
struct entry {
    uint32_t oid;
    uint8_t identity;
    uint32_t column_count;
    struct wire_span schema; /* the spans point into `text` */
    struct wire_span table;
    struct wire_column *columns;
    char *text;
    struct relation *current; /* NULL: not used yet */
    bool stale;               /* current must be looked up again */
    uint32_t xid;             /* of the last look */
};

struct relcache {
    struct facts_source source;
    int64_t shards;
    struct rt_map *entries; /* by oid */
    struct rt_map *rels;    /* by rel */
    struct relation *replaced;
    struct entry *last; /* of the change before */
    uint32_t next_rel;
    struct wire_writer shapes; /* of the table being looked up */
    struct relcache_stats stats;
};

static void entry_free(struct entry *entry)
{
    if (entry != NULL) {
        free(entry->columns);
        free(entry->text);
        free(entry);
    }
}

static void relation_free(struct relation *relation)
{
    free(relation->identity_columns);
    free(relation->announced);
    free(relation->fences);
    wire_writer_fini(&relation->record);
    free(relation);
}

/* Copies `text` behind what is in the entry's text already. */
static struct wire_span keep_text(struct entry *entry, size_t *used, struct wire_span text)
{
    char *at = entry->text + *used;

    memcpy(at, text.data, text.len);
    *used += text.len;
    return (struct wire_span){ at, text.len };
}

/* Bytes of all names, or SIZE_MAX when one is too long or empty. */
static size_t names_bytes(const struct pgoutput_relation *description)
{
    struct pgoutput_cursor columns = description->columns;
    size_t bytes = description->schema.len + description->table.len;
    bool fits = description->schema.len <= WIRE_NAME_MAX && description->table.len <= WIRE_NAME_MAX;

    for (uint32_t i = 0; i < description->column_count; i++) {
        struct pgoutput_column column = pgoutput_next_column(&columns);
        fits = fits && column.name.len <= WIRE_NAME_MAX;
        bytes += column.name.len;
    }
    return fits ? bytes : SIZE_MAX;
}

static void entry_fill(struct entry *entry, const struct pgoutput_relation *description,
                       size_t bytes)
{
    static const struct wire_span pg_catalog = { "pg_catalog", 10 };
    struct pgoutput_cursor columns = description->columns;
    size_t used = 0;

    entry->oid = description->oid;
    entry->identity = description->identity;
    entry->column_count = description->column_count;
    entry->text = rt_alloc(bytes + 1);
    entry->columns = rt_realloc(NULL, description->column_count + 1, sizeof(*entry->columns));
    entry->schema =
        description->schema.len == 0 ? pg_catalog : keep_text(entry, &used, description->schema);
    entry->table = keep_text(entry, &used, description->table);
    for (uint32_t i = 0; i < description->column_count; i++) {
        struct pgoutput_column column = pgoutput_next_column(&columns);
        entry->columns[i] = (struct wire_column){
            .name = keep_text(entry, &used, column.name),
            .type_oid = column.type_oid,
            .typmod = column.typmod,
            .flags = column.key ? (uint32_t)WIRE_COLUMN_IDENTITY : 0,
        };
    }
}

static bool same_text(struct wire_span a, struct wire_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool same_description(const struct entry *a, const struct entry *b)
{
    bool same = a->identity == b->identity && a->column_count == b->column_count &&
                same_text(a->schema, b->schema) && same_text(a->table, b->table);

    for (uint32_t i = 0; i < a->column_count && same; i++) {
        const struct wire_column *left = &a->columns[i];
        const struct wire_column *right = &b->columns[i];
        same = same_text(left->name, right->name) && left->type_oid == right->type_oid &&
               left->typmod == right->typmod &&
               ((left->flags ^ right->flags) & WIRE_COLUMN_IDENTITY) == 0;
    }
    return same;
}

static struct wire_column *column_named(struct entry *entry, const char *name)
{
    struct wire_span wanted = { name, strnlen(name, FACTS_NAME_SIZE) };

    for (uint32_t i = 0; i < entry->column_count; i++) {
        if (same_text(entry->columns[i].name, wanted)) {
            return &entry->columns[i];
        }
    }
    return NULL;
}

/* Sets WIRE_COLUMN_PRIMARY. With the default identity the stream itself says it, as of the change; else
 * the catalog does, as of now, so a column renamed since is not recognised until the next description. */
static void mark_primary(struct entry *entry, const struct facts_table *facts)
{
    for (uint32_t i = 0; i < entry->column_count; i++) {
        uint32_t flags = entry->columns[i].flags & WIRE_COLUMN_IDENTITY;
        bool primary = entry->identity == 'd' && flags != 0;
        entry->columns[i].flags = flags | (primary ? (uint32_t)WIRE_COLUMN_PRIMARY : 0);
    }
    if (entry->identity == 'd') {
        return;
    }
    for (size_t i = 0; i < facts->count; i++) {
        struct wire_column *column = column_named(entry, facts->columns[i].name);
        if (facts->columns[i].primary && column != NULL) {
            column->flags |= WIRE_COLUMN_PRIMARY;
        }
    }
}

/* Sets every column's shape, into cache->shapes. False when the catalog does not answer. */
static bool find_shapes(struct relcache *cache, struct entry *entry)
{
    size_t *ends = rt_realloc(NULL, entry->column_count + 1, sizeof(*ends));
    bool answered = true;

    wire_writer_clear(&cache->shapes);
    for (uint32_t i = 0; i < entry->column_count && answered; i++) {
        struct shapes_report report = { 0 };
        answered =
            shapes_write(&cache->source, entry->columns[i].type_oid, &cache->shapes, &report);
        ends[i] = cache->shapes.len;
        cache->stats.absent_types += report.absent && answered;
        cache->stats.complex_types += report.too_complex;
    }
    /* Only now: the buffer has moved while it grew. */
    for (uint32_t i = 0; i < entry->column_count && answered; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        entry->columns[i].shape =
            (struct wire_span){ (const char *)cache->shapes.data + start, ends[i] - start };
    }
    free(ends);
    return answered;
}

static void encode(struct entry *entry, const struct facts_table *facts, uint32_t rel,
                   struct wire_writer *out)
{
    struct wire_span *hidden = rt_realloc(NULL, facts->count + 1, sizeof(*hidden));
    uint32_t hidden_count = 0;

    for (size_t i = 0; i < facts->count; i++) {
        const char *name = facts->columns[i].name;
        if (facts->columns[i].generated && column_named(entry, name) == NULL) {
            hidden[hidden_count++] = (struct wire_span){ name, strnlen(name, FACTS_NAME_SIZE - 1) };
        }
    }
    wire_writer_clear(out);
    wire_encode_relation(out,
                         &(struct wire_relation){ .rel = rel,
                                                  .oid = entry->oid,
                                                  .schema = entry->schema,
                                                  .table = entry->table,
                                                  .identity = entry->identity,
                                                  .column_count = entry->column_count,
                                                  .not_streamed_count = hidden_count },
                         entry->columns, hidden);
    free(hidden);
}

static uint32_t shard_of(const struct relcache *cache, const struct entry *entry)
{
    struct rt_buf channel = { 0 };

    rt_buf_puts(&channel, "table:");
    rt_buf_append(&channel, entry->schema.data, entry->schema.len);
    rt_buf_putc(&channel, '.');
    rt_buf_append(&channel, entry->table.data, entry->table.len);
    uint32_t shard = rt_shard_of((const char *)channel.data, channel.len, cache->shards);
    rt_buf_fini(&channel);
    return shard;
}

static void replace(struct relcache *cache, struct entry *entry)
{
    if (entry->current != NULL) {
        entry->current->replaced = true;
        entry->current->next_replaced = cache->replaced;
        cache->replaced = entry->current;
        entry->current = NULL;
    }
}

static void make_generation(struct relcache *cache, struct entry *entry,
                            const struct facts_table *facts)
{
    struct relation *relation = rt_alloc(sizeof(*relation));
    uint8_t *identity = rt_alloc(entry->column_count + 1);

    for (uint32_t i = 0; i < entry->column_count; i++) {
        identity[i] = (entry->columns[i].flags & WIRE_COLUMN_IDENTITY) != 0;
    }
    relation->rel = cache->next_rel++;
    relation->oid = entry->oid;
    relation->shard = shard_of(cache, entry);
    relation->everywhere = facts->read_by_policies;
    relation->announced = rt_alloc((size_t)cache->shards * sizeof(*relation->announced));
    relation->column_count = entry->column_count;
    relation->identity_columns = identity;
    encode(entry, facts, relation->rel, &relation->record);
    replace(cache, entry);
    entry->current = relation;
    rt_map_put_u64(cache->rels, relation->rel, relation);
    cache->stats.generations++;
}

/* The same definition keeps its number, but is told again: the description may be the only sign in the
 * stream that privileges changed. */
static void adopt(struct relcache *cache, struct entry *entry, const struct facts_table *facts,
                  uint32_t xid)
{
    struct relation *current = entry->current;
    struct wire_writer again = { 0 };

    entry->stale = false;
    entry->xid = xid;
    if (current == NULL) {
        make_generation(cache, entry, facts);
        return;
    }
    encode(entry, facts, current->rel, &again);
    if (again.len == current->record.len &&
        memcmp(again.data, current->record.data, again.len) == 0 &&
        current->everywhere == facts->read_by_policies) {
        memset(current->announced, 0, (size_t)cache->shards * sizeof(*current->announced));
    } else {
        make_generation(cache, entry, facts);
    }
    wire_writer_fini(&again);
}

static enum relcache_result look_up(struct relcache *cache, struct entry *entry, uint32_t xid,
                                    bool insist)
{
    const struct facts_source *source = &cache->source;
    struct facts_table facts = { 0 };
    enum facts_result seen = source->visible(source->ctx, xid);

    if (seen == FACTS_DOWN) {
        return RELCACHE_DOWN;
    }
    if (seen == FACTS_WAIT && !insist) {
        return RELCACHE_WAIT;
    }
    if (source->table(source->ctx, entry->oid, &facts) == FACTS_DOWN) {
        return RELCACHE_DOWN;
    }
    mark_primary(entry, &facts);
    bool answered = find_shapes(cache, entry);
    if (answered) {
        adopt(cache, entry, &facts, xid);
    }
    facts_table_fini(&facts);
    return answered ? RELCACHE_OK : RELCACHE_DOWN;
}

struct relcache *relcache_new(const struct facts_source *source, int64_t shards)
{
    struct relcache *cache = rt_alloc(sizeof(*cache));

    cache->source = *source;
    cache->shards = shards;
    cache->entries = rt_map_new();
    cache->rels = rt_map_new();
    cache->next_rel = 1;
    return cache;
}

void relcache_free(struct relcache *cache)
{
    if (cache == NULL) {
        return;
    }
    struct rt_map_iter iter = rt_map_begin(cache->entries);
    for (struct entry *entry = rt_map_next(&iter); entry != NULL; entry = rt_map_next(&iter)) {
        entry_free(entry);
    }
    iter = rt_map_begin(cache->rels);
    for (struct relation *rel = rt_map_next(&iter); rel != NULL; rel = rt_map_next(&iter)) {
        relation_free(rel);
    }
    rt_map_free(cache->entries);
    rt_map_free(cache->rels);
    wire_writer_fini(&cache->shapes);
    free(cache);
}

bool relcache_describe(struct relcache *cache, const struct pgoutput_relation *description,
                       uint32_t xid)
{
    size_t bytes = names_bytes(description);
    if (bytes == SIZE_MAX) {
        return false;
    }
    struct entry *entry = rt_alloc(sizeof(*entry));
    entry_fill(entry, description, bytes);
    struct entry *old = rt_map_get_u64(cache->entries, description->oid);
    if (old != NULL && !old->stale && old->xid == xid && same_description(old, entry)) {
        entry_free(entry);
        return true;
    }
    entry->stale = true;
    rt_map_put_u64(cache->entries, entry->oid, entry);
    if (old != NULL) {
        entry->current = old->current;
        entry_free(old);
    }
    cache->last = NULL;
    return true;
}

enum relcache_result relcache_use(struct relcache *cache, uint32_t oid, uint32_t xid, bool insist,
                                  struct relation **out)
{
    struct entry *entry = cache->last;

    if (entry == NULL || entry->oid != oid) {
        entry = rt_map_get_u64(cache->entries, oid);
        if (entry == NULL) {
            return RELCACHE_UNKNOWN;
        }
        cache->last = entry;
    }
    if (entry->stale || entry->current == NULL) {
        enum relcache_result result = look_up(cache, entry, xid, insist);
        if (result != RELCACHE_OK) {
            return result;
        }
    }
    *out = entry->current;
    return RELCACHE_OK;
}

const struct relation *relcache_current(const struct relcache *cache, uint32_t oid)
{
    const struct entry *entry = rt_map_get_u64(cache->entries, oid);

    return entry == NULL || entry->stale ? NULL : entry->current;
}

uint32_t relcache_number(struct relcache *cache)
{
    return cache->next_rel++;
}

void relcache_doubt(struct relcache *cache)
{
    struct rt_map_iter iter = rt_map_begin(cache->entries);

    for (struct entry *entry = rt_map_next(&iter); entry != NULL; entry = rt_map_next(&iter)) {
        entry->stale = true;
    }
}

void relcache_restart(struct relcache *cache)
{
    struct rt_map_iter iter = rt_map_begin(cache->entries);

    for (struct entry *entry = rt_map_next(&iter); entry != NULL; entry = rt_map_next(&iter)) {
        rt_map_iter_remove(&iter);
        replace(cache, entry);
        entry_free(entry);
    }
    cache->last = NULL;
}

const struct relation *relcache_find(const struct relcache *cache, uint32_t rel)
{
    return rt_map_get_u64(cache->rels, rel);
}

static void set_fences(const struct relcache *cache, struct relation *relation,
                       const struct relcache_fence *fences)
{
    relation->fences = rt_alloc((size_t)cache->shards * sizeof(*relation->fences));
    for (int64_t i = 0; i < cache->shards; i++) {
        relation->fences[i] = fences[i].next_seq;
    }
}

/* Whether no shard can have a frame again that names it. */
static bool is_past(const struct relcache *cache, const struct relation *relation,
                    const struct relcache_fence *fences)
{
    for (int64_t i = 0; i < cache->shards; i++) {
        bool given = relation->everywhere || (uint32_t)i == relation->shard;
        if (given && fences[i].first_seq <= relation->fences[i]) {
            return false;
        }
    }
    return true;
}

void relcache_purge(struct relcache *cache, const struct relcache_fence *fences)
{
    struct relation **link = &cache->replaced;

    while (*link != NULL) {
        struct relation *relation = *link;
        if (relation->fences == NULL) {
            set_fences(cache, relation, fences);
        }
        if (is_past(cache, relation, fences)) {
            *link = relation->next_replaced;
            rt_map_remove_u64(cache->rels, relation->rel);
            relation_free(relation);
        } else {
            link = &relation->next_replaced;
        }
    }
}

struct relcache_stats relcache_stats(const struct relcache *cache)
{
    struct relcache_stats stats = cache->stats;

    stats.kept = rt_map_count(cache->rels);
    return stats;
}
