/* broker/relations.c - relation records by number and by table. */
#include "broker/relations.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"

struct relations {
    struct rt_map *by_rel;
    struct rt_map *by_oid;
    struct relation *last; /* found last: changes come in runs */
    uint64_t next_serial;
};

struct relation *relation_ref(struct relation *relation)
{
    relation->refs++;
    return relation;
}

void relation_unref(struct relation *relation)
{
    if (relation == NULL || --relation->refs > 0) {
        return;
    }
    free(relation->columns);
    free(relation->not_streamed);
    free(relation->bytes);
    free(relation);
}

/* PostgreSQL has no empty names and none with a NUL; ours are C strings. */
static bool copy_name(struct wire_span name, char out[WIRE_NAME_MAX + 1])
{
    if (name.len == 0 || name.len > WIRE_NAME_MAX || memchr(name.data, '\0', name.len) != NULL) {
        return false;
    }
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return true;
}

static enum wire_err read_lists(struct relation *relation, struct wire_relation *head)
{
    relation->columns =
        rt_realloc(NULL, (size_t)head->column_count + 1, sizeof(struct wire_column));
    for (uint32_t i = 0; i < head->column_count; i++) {
        enum wire_err err = wire_next_column(&head->columns, &relation->columns[i]);
        if (err != WIRE_OK) {
            return err;
        }
    }
    relation->column_count = head->column_count;
    relation->not_streamed =
        rt_realloc(NULL, (size_t)head->not_streamed_count + 1, sizeof(struct wire_span));
    for (uint32_t i = 0; i < head->not_streamed_count; i++) {
        relation->not_streamed[i] = wire_read_str(&head->not_streamed, WIRE_NAME_MAX);
    }
    relation->not_streamed_count = head->not_streamed_count;
    return head->not_streamed.err;
}

static enum wire_err decode(struct relation *relation, size_t len)
{
    struct wire_reader in;
    struct wire_relation head;
    enum wire_type type = WIRE_RELATION;

    wire_reader_init(&in, relation->bytes, len);
    enum wire_err err = wire_next_record(&in, &type);
    if (err == WIRE_OK && type != WIRE_RELATION) {
        err = WIRE_ERR_UNKNOWN;
    }
    if (err == WIRE_OK) {
        err = wire_decode_relation(&in, &head);
    }
    if (err != WIRE_OK) {
        return err;
    }
    relation->rel = head.rel;
    relation->oid = head.oid;
    if (!copy_name(head.schema, relation->schema) || !copy_name(head.table, relation->table)) {
        return WIRE_ERR_RANGE;
    }
    return read_lists(relation, &head);
}

static void drop(struct relations *relations, struct relation *old)
{
    if (old == NULL) {
        return;
    }
    if (relations->last == old) {
        relations->last = NULL;
    }
    (void)rt_map_remove_u64(relations->by_rel, old->rel);
    (void)rt_map_remove_u64(relations->by_oid, old->oid);
    relation_unref(old);
}

struct relations *relations_new(void)
{
    struct relations *relations = rt_alloc(sizeof(*relations));

    relations->by_rel = rt_map_new();
    relations->by_oid = rt_map_new();
    relations->next_serial = 1;
    return relations;
}

void relations_free(struct relations *relations)
{
    if (relations == NULL) {
        return;
    }
    relations_clear(relations);
    rt_map_free(relations->by_rel);
    rt_map_free(relations->by_oid);
    free(relations);
}

void relations_clear(struct relations *relations)
{
    struct rt_map_iter iter = rt_map_begin(relations->by_oid);
    struct relation *relation = NULL;

    while ((relation = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        (void)rt_map_remove_u64(relations->by_rel, relation->rel);
        relation_unref(relation);
    }
    relations->last = NULL;
}

void relations_doubt(struct relations *relations)
{
    struct rt_map_iter iter = rt_map_begin(relations->by_oid);
    struct relation *relation = NULL;

    while ((relation = rt_map_next(&iter)) != NULL) {
        relation->doubtful = true;
    }
}

enum wire_err relations_put(struct relations *relations, struct wire_span record,
                            struct relation **out)
{
    struct relation *relation = rt_alloc(sizeof(*relation));

    *out = NULL;
    relation->refs = 1;
    relation->bytes = rt_realloc(NULL, record.len + 1, 1);
    memcpy(relation->bytes, record.data, record.len);
    enum wire_err err = decode(relation, record.len);
    if (err != WIRE_OK) {
        relation_unref(relation);
        return err;
    }
    relation->serial = relations->next_serial++;
    drop(relations, rt_map_get_u64(relations->by_rel, relation->rel));
    drop(relations, rt_map_get_u64(relations->by_oid, relation->oid));
    (void)rt_map_put_u64(relations->by_rel, relation->rel, relation);
    (void)rt_map_put_u64(relations->by_oid, relation->oid, relation);
    *out = relation;
    return WIRE_OK;
}

struct relation *relations_find(struct relations *relations, uint32_t rel)
{
    if (relations->last == NULL || relations->last->rel != rel) {
        relations->last = rt_map_get_u64(relations->by_rel, rel);
    }
    return relations->last;
}

struct relation *relations_of_table(struct relations *relations, uint32_t oid)
{
    return rt_map_get_u64(relations->by_oid, oid);
}
