/* tests/unit/tailer/fakes.h - a catalog that is a table, and streams that are an array. */
#ifndef PGTIDE_TESTS_TAILER_FAKES_H
#define PGTIDE_TESTS_TAILER_FAKES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/records.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"
#include "tailer/consume.h"
#include "tailer/facts.h"
#include "tailer/publish.h"

/* --- the catalog --------------------------------------------------------------------------------- */

struct fake_catalog {
    const char *primary;       /* letters: columns of every table's primary key */
    const char *generated;     /* and generated columns */
    uint32_t invisible;        /* this transaction is not visible yet */
    uint32_t read_by_policies; /* this table */
    bool down;
    int questions;
    const struct facts_type *types; /* by oid - 20000 */
    uint32_t type_count;
};

static inline enum facts_result fake_visible(void *ctx, uint32_t xid)
{
    struct fake_catalog *fake = ctx;

    fake->questions++;
    if (fake->down) {
        return FACTS_DOWN;
    }
    return xid == fake->invisible ? FACTS_WAIT : FACTS_OK;
}

static inline void fake_add_columns(struct facts_table *out, const char *letters, bool primary)
{
    for (const char *at = letters; at != NULL && *at != '\0'; at++) {
        out->columns[out->count].name[0] = *at;
        out->columns[out->count].primary = primary;
        out->columns[out->count].generated = !primary;
        out->count++;
    }
}

static inline enum facts_result fake_table(void *ctx, uint32_t oid, struct facts_table *out)
{
    struct fake_catalog *fake = ctx;

    if (fake->down) {
        return FACTS_DOWN;
    }
    out->read_by_policies = oid == fake->read_by_policies;
    out->columns = rt_alloc(64 * sizeof(*out->columns));
    fake_add_columns(out, fake->primary, true);
    fake_add_columns(out, fake->generated, false);
    return FACTS_OK;
}

static inline enum facts_result fake_type(void *ctx, uint32_t oid, struct facts_type *out)
{
    struct fake_catalog *fake = ctx;

    fake->questions++;
    if (fake->down) {
        return FACTS_DOWN;
    }
    if (oid < 20000 || oid - 20000 >= fake->type_count) {
        return FACTS_ABSENT;
    }
    *out = fake->types[oid - 20000];
    const struct facts_attribute *from = out->attributes;
    out->attributes = NULL;
    if (out->attribute_count > 0) {
        size_t bytes = out->attribute_count * sizeof(*out->attributes);
        out->attributes = rt_alloc(bytes);
        memcpy(out->attributes, from, bytes);
    }
    return FACTS_OK;
}

static inline struct facts_source fake_source(struct fake_catalog *fake)
{
    return (struct facts_source){
        .visible = fake_visible, .table = fake_table, .type = fake_type, .ctx = fake
    };
}

/* --- the streams --------------------------------------------------------------------------------- */

enum { FAKE_SHARDS = 4 };

struct fake_sink {
    struct rt_buf text[FAKE_SHARDS]; /* what was sent, in words */
    uint64_t sent[FAKE_SHARDS];
    uint64_t acked[FAKE_SHARDS];
    uint64_t tag[FAKE_SHARDS];
    uint64_t acked_tag[FAKE_SHARDS];
    uint64_t kept[FAKE_SHARDS]; /* acknowledged frames that are kept */
    bool broken;                /* a frame could not be decoded */
};

static inline void fake_say_tuple(struct rt_buf *out, struct wire_tuple tuple, bool *broken)
{
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    if (tuple.data == NULL) {
        rt_buf_puts(out, "-");
        return;
    }
    *broken = *broken || wire_tuple_open(tuple, &in, &count) != WIRE_OK;
    for (uint32_t i = 0; i < count && !*broken; i++) {
        static const char *const marks[] = { "~", "", "?", "^", "!" };
        *broken = wire_tuple_next(&in, &value) != WIRE_OK;
        rt_buf_puts(out, i > 0 ? "|" : "");
        rt_buf_puts(out, marks[value.kind]);
        rt_buf_append(out, value.text, value.kind == WIRE_VALUE_TEXT ? value.len : 0);
    }
}

static inline void fake_say_relation(struct rt_buf *out, struct wire_relation *relation,
                                     bool *broken)
{
    rt_buf_printf(out, "R%u:%.*s:", relation->rel, (int)relation->table.len, relation->table.data);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        struct wire_column column;
        *broken = *broken || wire_next_column(&relation->columns, &column) != WIRE_OK;
        if (!*broken) {
            rt_buf_printf(out, "%.*s%u", (int)column.name.len, column.name.data, column.flags);
        }
    }
    for (uint32_t i = 0; i < relation->not_streamed_count && !*broken; i++) {
        struct wire_span name = wire_read_str(&relation->not_streamed, WIRE_NAME_MAX);
        rt_buf_printf(out, "-%.*s", (int)name.len, name.data);
    }
    rt_buf_putc(out, ' ');
}

static inline bool fake_say_change(struct rt_buf *out, struct wire_reader *in, bool *broken)
{
    struct wire_change change;

    if (wire_decode_change(in, &change) != WIRE_OK) {
        return false;
    }
    rt_buf_printf(out, "%c%u.%u(", " IUD"[change.op], change.rel, change.index);
    fake_say_tuple(out, change.old_row, broken);
    rt_buf_puts(out, ">");
    fake_say_tuple(out, change.new_row, broken);
    rt_buf_puts(out, ") ");
    return true;
}

static inline bool fake_say_truncate(struct rt_buf *out, struct wire_reader *in)
{
    struct wire_truncate truncate;

    if (wire_decode_truncate(in, &truncate) != WIRE_OK) {
        return false;
    }
    rt_buf_printf(out, "T.%u", truncate.index);
    for (uint32_t i = 0; i < truncate.rel_count; i++) {
        rt_buf_printf(out, ",%u", wire_read_u32(&truncate.rels));
    }
    rt_buf_putc(out, ' ');
    return true;
}

static inline bool fake_say_message(struct rt_buf *out, struct wire_reader *in)
{
    struct wire_message message;

    if (wire_decode_message(in, &message) != WIRE_OK) {
        return false;
    }
    rt_buf_printf(out, "M.%u:", message.index);
    rt_buf_append(out, message.content.data, message.content.len);
    rt_buf_putc(out, ' ');
    return true;
}

static inline bool fake_say_border(struct rt_buf *out, struct wire_reader *in, enum wire_type type)
{
    struct wire_begin begin;
    struct wire_end end;
    struct wire_progress progress;
    struct wire_gap gap;
    bool fine = false;

    if (type == WIRE_BEGIN && (fine = wire_decode_begin(in, &begin) == WIRE_OK)) {
        rt_buf_printf(out, "%s%u ", begin.continued ? "b" : "B", (unsigned)begin.commit_lsn);
    } else if (type == WIRE_END && (fine = wire_decode_end(in, &end) == WIRE_OK)) {
        rt_buf_printf(out, "E%u ", end.count);
    } else if (type == WIRE_PROGRESS && (fine = wire_decode_progress(in, &progress) == WIRE_OK)) {
        rt_buf_printf(out, "P%u ", (unsigned)progress.lsn);
    } else if (type == WIRE_GAP && (fine = wire_decode_gap(in, &gap) == WIRE_OK)) {
        rt_buf_printf(out, "G%u ", (unsigned)gap.to.epoch);
    }
    return fine;
}

static inline bool fake_say(struct rt_buf *out, struct wire_reader *in, enum wire_type type,
                            bool *broken)
{
    struct wire_relation relation;

    if (type == WIRE_RELATION) {
        if (wire_decode_relation(in, &relation) != WIRE_OK) {
            return false;
        }
        fake_say_relation(out, &relation, broken);
        return true;
    }
    if (type == WIRE_CHANGE) {
        return fake_say_change(out, in, broken);
    }
    if (type == WIRE_TRUNCATE) {
        return fake_say_truncate(out, in);
    }
    if (type == WIRE_MESSAGE) {
        return fake_say_message(out, in);
    }
    return fake_say_border(out, in, type);
}

static inline uint64_t fake_send(void *ctx, uint32_t shard, struct rt_span frame, uint64_t tag)
{
    struct fake_sink *sink = ctx;
    struct rt_buf *out = &sink->text[shard];
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    wire_reader_init(&in, frame.data, frame.len);
    rt_buf_puts(out, "[ ");
    enum wire_err err = wire_next_record(&in, &type);
    while (err == WIRE_OK && !sink->broken) {
        sink->broken = !fake_say(out, &in, type, &sink->broken) || sink->broken;
        err = wire_next_record(&in, &type);
    }
    sink->broken = sink->broken || err != WIRE_ERR_END;
    rt_buf_puts(out, "]");
    sink->tag[shard] = tag;
    return ++sink->sent[shard];
}

static inline uint64_t fake_last_seq(void *ctx, uint32_t shard)
{
    const struct fake_sink *sink = ctx;
    return sink->sent[shard];
}

static inline uint64_t fake_acked_seq(void *ctx, uint32_t shard)
{
    const struct fake_sink *sink = ctx;
    return sink->acked[shard];
}

static inline uint64_t fake_acked_tag(void *ctx, uint32_t shard)
{
    const struct fake_sink *sink = ctx;
    return sink->acked_tag[shard];
}

static inline uint64_t fake_first_seq(void *ctx, uint32_t shard)
{
    const struct fake_sink *sink = ctx;
    return sink->acked[shard] + 1 - sink->kept[shard];
}

static inline struct publish_sink fake_sink_of(struct fake_sink *sink)
{
    return (struct publish_sink){ .send = fake_send,
                                  .last_seq = fake_last_seq,
                                  .acked_seq = fake_acked_seq,
                                  .acked_tag = fake_acked_tag,
                                  .first_seq = fake_first_seq,
                                  .ctx = sink };
}

/* What a shard was sent since the last call; valid until the next one. */
static inline const char *fake_sent(struct fake_sink *sink, uint32_t shard)
{
    static char text[65536];

    (void)snprintf(text, sizeof(text), "%s", rt_buf_cstr(&sink->text[shard]));
    rt_buf_clear(&sink->text[shard]);
    return text;
}

static inline void fake_ack(struct fake_sink *sink, uint32_t shard)
{
    sink->acked[shard] = sink->sent[shard];
    sink->acked_tag[shard] = sink->tag[shard];
}

static inline void fake_sink_fini(struct fake_sink *sink)
{
    for (int i = 0; i < FAKE_SHARDS; i++) {
        rt_buf_fini(&sink->text[i]);
    }
}

/* --- counters ------------------------------------------------------------------------------------ */

struct fake_counters {
    struct rt_counter all[8];
};

static inline struct consume_counters fake_counters_of(struct fake_counters *fake)
{
    return (struct consume_counters){
        .inserts = &fake->all[0],
        .updates = &fake->all[1],
        .deletes = &fake->all[2],
        .truncates = &fake->all[3],
        .messages = &fake->all[4],
        .transactions = &fake->all[5],
        .bytes = &fake->all[6],
        .too_large = &fake->all[7],
    };
}

#endif
