/* tests/unit/broker/kit_tailer.h - the other half of kit.h: what the tailer says to the kit's route. Included by kit.h alone. */
#ifndef PGTIDE_TESTS_BROKER_KIT_TAILER_H
#define PGTIDE_TESTS_BROKER_KIT_TAILER_H

#include "tests/unit/broker/kit.h"

/* Space-separated columns; one that starts with + is generated and not streamed. */
static inline void kit_write_relation(struct wire_writer *out, uint32_t rel, uint32_t oid,
                                      const char *table, const char *columns)
{
    struct wire_column list[8];
    struct wire_span generated[8];
    char copy[256];
    char *rest = NULL;
    struct wire_relation head = { .rel = rel,
                                  .oid = oid,
                                  .schema = kit_text("public"),
                                  .table = kit_text(table),
                                  .identity = 'f' };

    (void)snprintf(copy, sizeof(copy), "%s", columns);
    for (char *name = strtok_r(copy, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
        if (name[0] == '+') {
            generated[head.not_streamed_count++] = kit_text(name + 1);
        } else {
            list[head.column_count++] = (struct wire_column){
                .name = kit_text(name), .type_oid = 25, .typmod = -1, .shape = { "\x00", 1 }
            };
        }
    }
    wire_encode_relation(out, &head, list, generated);
}

static inline struct relation *kit_relation(struct kit *kit, uint32_t rel, uint32_t oid,
                                            const char *table, const char *columns)
{
    struct wire_writer out = { 0 };
    struct relation *relation = NULL;

    kit_write_relation(&out, rel, oid, table, columns);
    assert_int_equal(relations_put(kit->relations,
                                   (struct wire_span){ (const char *)out.data, out.len },
                                   &relation),
                     WIRE_OK);
    wire_writer_fini(&out);
    return relation;
}

static inline void kit_write_row(struct wire_writer *out, const char *values)
{
    uint32_t count = 1;

    for (const char *at = values; *at != '\0'; at++) {
        count += *at == ',' ? 1 : 0;
    }
    wire_write_array(out, count);
    for (const char *at = values; count > 0; count--) {
        size_t len = strcspn(at, ",");
        struct wire_value value = { .kind = WIRE_VALUE_TEXT, .text = at, .len = (uint32_t)len };
        wire_write_value(out, &value);
        at += len + 1;
    }
}

static inline struct wire_begin kit_begin(uint64_t lsn)
{
    return (struct wire_begin){
        .epoch = KIT_EPOCH, .commit_lsn = lsn, .xid = (uint32_t)lsn, .commit_time = 1
    };
}

/* NULL values: no such row. */
static inline void kit_write_change(struct wire_writer *out, uint32_t rel, uint32_t index,
                                    const char *new_row, const char *old_row)
{
    struct wire_writer rows[2] = { { 0 }, { 0 } };
    struct wire_change change = {
        .rel = rel,
        .index = index,
        .op = new_row == NULL   ? WIRE_DELETE
              : old_row == NULL ? WIRE_INSERT
                                : WIRE_UPDATE,
        .old_kind = old_row == NULL ? WIRE_OLD_NONE : WIRE_OLD_FULL,
    };

    if (new_row != NULL) {
        kit_write_row(&rows[0], new_row);
        change.new_row = (struct wire_tuple){ rows[0].data, rows[0].len };
    }
    if (old_row != NULL) {
        kit_write_row(&rows[1], old_row);
        change.old_row = (struct wire_tuple){ rows[1].data, rows[1].len };
    }
    wire_encode_change(out, &change);
    wire_writer_fini(&rows[0]);
    wire_writer_fini(&rows[1]);
}

static inline void kit_start(struct kit *kit, uint64_t lsn)
{
    struct wire_begin begin = kit_begin(lsn);

    window_begin(kit->window, &begin);
    route_begin(kit->route, &begin);
}

static inline void kit_change(struct kit *kit, struct relation *relation, uint32_t index,
                              const char *new_row, const char *old_row)
{
    struct wire_writer out = { 0 };
    struct wire_reader in;
    struct wire_change change;
    enum wire_type type = WIRE_BEGIN;

    kit_write_change(&out, relation->rel, index, new_row, old_row);
    wire_reader_init(&in, out.data, out.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_int_equal(wire_decode_change(&in, &change), WIRE_OK);
    window_add(kit->window, relation, WINDOW_CHANGE, index,
               (struct wire_span){ (const char *)out.data, out.len });
    route_change(kit->route, relation, &change);
    wire_writer_fini(&out);
}

static inline void kit_end(struct kit *kit, uint64_t lsn)
{
    struct wire_end end = { .commit_lsn = lsn, .end_lsn = lsn + 1, .count = 1 };

    window_end(kit->window, &end, RT_SEC);
    route_end(kit->route, &end);
}

#endif
