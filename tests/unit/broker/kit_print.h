/* tests/unit/broker/kit_print.h - what an edge is sent, as text: one line per record. */
#ifndef PGTIDE_TESTS_BROKER_KIT_PRINT_H
#define PGTIDE_TESTS_BROKER_KIT_PRINT_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/records.h"
#include "runtime/buf.h"

static inline struct wire_span kit_text(const char *text)
{
    return (struct wire_span){ text, strlen(text) };
}

static inline void kit_print_position(struct rt_buf *out, const struct wire_position *at)
{
    if (at->index == UINT32_MAX) {
        rt_buf_printf(out, "%" PRIu64 "/end", at->lsn);
    } else {
        rt_buf_printf(out, "%" PRIu64 "/%" PRIu32, at->lsn, at->index);
    }
}

static inline void kit_print_row(struct rt_buf *out, struct wire_tuple row)
{
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    if (row.data == NULL) {
        rt_buf_putc(out, '-');
        return;
    }
    assert_int_equal(wire_tuple_open(row, &in, &count), WIRE_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(wire_tuple_next(&in, &value), WIRE_OK);
        rt_buf_puts(out, i == 0 ? "" : ",");
        if (value.kind == WIRE_VALUE_TEXT) {
            rt_buf_append(out, value.text, value.len);
        } else {
            rt_buf_putc(out, value.kind == WIRE_VALUE_MISSING ? '?' : '0');
        }
    }
}

static inline void kit_print_group(struct rt_buf *out, struct wire_reader *in)
{
    struct wire_group group;
    struct wire_group_column column;

    assert_int_equal(wire_decode_group(in, &group), WIRE_OK);
    rt_buf_printf(out, "group %" PRIu32 " %.*s.%.*s ", group.group, (int)group.schema.len,
                  group.schema.data, (int)group.table.len, group.table.data);
    for (uint32_t i = 0; i < group.column_count; i++) {
        assert_int_equal(wire_next_group_column(&group.columns, &column), WIRE_OK);
        rt_buf_printf(out, "%s%.*s@%" PRIu32, i == 0 ? "" : ",", (int)column.name.len,
                      column.name.data, column.at);
    }
    for (uint32_t i = 0; i < group.not_streamed_count; i++) {
        struct wire_span name = wire_read_str(&group.not_streamed, WIRE_NAME_MAX);
        rt_buf_printf(out, " +%.*s", (int)name.len, name.data);
    }
}

static inline void kit_print_deliver(struct rt_buf *out, struct wire_reader *in)
{
    struct wire_deliver deliver;
    struct wire_delivery to;

    assert_int_equal(wire_decode_deliver(in, &deliver), WIRE_OK);
    rt_buf_printf(out, "deliver %" PRIu32, deliver.index);
    for (uint32_t i = 0; i < deliver.group_count; i++) {
        assert_int_equal(wire_next_delivery(&deliver.groups, &to), WIRE_OK);
        rt_buf_printf(out, " %" PRIu32 "%c", to.group, " IUD"[to.op]);
    }
    rt_buf_puts(out, " new=");
    kit_print_row(out, deliver.new_row);
    rt_buf_puts(out, " old=");
    kit_print_row(out, deliver.old_row);
}

static inline void kit_print_truncate(struct rt_buf *out, struct wire_reader *in)
{
    struct wire_deliver_truncate truncate;

    assert_int_equal(wire_decode_deliver_truncate(in, &truncate), WIRE_OK);
    rt_buf_printf(out, "truncate %" PRIu32, truncate.index);
    for (uint32_t i = 0; i < truncate.group_count; i++) {
        rt_buf_printf(out, " %" PRIu32, wire_read_u32(&truncate.groups));
    }
}

static inline void kit_print_answer(struct rt_buf *out, enum wire_type type, struct wire_reader *in)
{
    struct wire_accept accept;
    struct wire_refuse refuse;

    if (type == WIRE_ACCEPT) {
        assert_int_equal(wire_decode_accept(in, &accept), WIRE_OK);
        static const char *const kinds[] = { "", "replay ", "snapshot " };
        rt_buf_printf(out, "accept %" PRIu64 " %sgroup %" PRIu32 " ", accept.sub,
                      kinds[accept.kind], accept.group);
        kit_print_position(out, &accept.position);
        return;
    }
    assert_int_equal(type, WIRE_REFUSE);
    assert_int_equal(wire_decode_refuse(in, &refuse), WIRE_OK);
    rt_buf_printf(out, "refuse %" PRIu64 " code %d %.*s", refuse.sub, (int)refuse.code,
                  (int)refuse.message.len, refuse.message.data);
}

static inline void kit_print_stream(struct rt_buf *out, enum wire_type type, struct wire_reader *in)
{
    struct wire_begin begin;
    struct wire_end end;
    struct wire_progress progress;
    struct wire_fresh fresh;
    struct wire_rights rights;
    struct wire_gap gap;

    if (type == WIRE_RIGHTS) {
        assert_int_equal(wire_decode_rights(in, &rights), WIRE_OK);
        rt_buf_printf(out, "rights %" PRIu64 " ", rights.sub);
        kit_print_position(out, &rights.position);
    } else if (type == WIRE_FRESH) {
        assert_int_equal(wire_decode_fresh(in, &fresh), WIRE_OK);
        rt_buf_printf(out, "fresh %" PRIu64 " written %" PRId64, fresh.lsn, fresh.written_at);
    } else if (type == WIRE_BEGIN) {
        assert_int_equal(wire_decode_begin(in, &begin), WIRE_OK);
        rt_buf_printf(out, "begin %" PRIu64 "%s", begin.commit_lsn,
                      begin.continued ? " again" : "");
    } else if (type == WIRE_END) {
        assert_int_equal(wire_decode_end(in, &end), WIRE_OK);
        rt_buf_printf(out, "end %" PRIu64, end.commit_lsn);
    } else if (type == WIRE_PROGRESS) {
        assert_int_equal(wire_decode_progress(in, &progress), WIRE_OK);
        rt_buf_printf(out, "progress %" PRIu64, progress.lsn);
    } else {
        assert_int_equal(type, WIRE_GAP);
        assert_int_equal(wire_decode_gap(in, &gap), WIRE_OK);
        rt_buf_puts(out, "gap ");
        kit_print_position(out, &gap.from);
        rt_buf_puts(out, " to ");
        kit_print_position(out, &gap.to);
    }
}

static inline void kit_print_past(struct rt_buf *out, enum wire_type type, struct wire_reader *in)
{
    struct wire_replay replay;
    struct wire_replayed replayed;
    struct wire_rows rows;
    struct wire_gone gone;
    struct wire_tuple row;

    if (type == WIRE_REPLAY) {
        assert_int_equal(wire_decode_replay(in, &replay), WIRE_OK);
        rt_buf_printf(out, "replay %" PRIu32 " %" PRIu64 "%s", replay.group, replay.commit_lsn,
                      replay.continued ? " again" : "");
    } else if (type == WIRE_REPLAYED) {
        assert_int_equal(wire_decode_replayed(in, &replayed), WIRE_OK);
        rt_buf_printf(out, "replayed %" PRIu32 " ", replayed.group);
        kit_print_position(out, &replayed.position);
    } else if (type == WIRE_ROWS) {
        assert_int_equal(wire_decode_rows(in, &rows), WIRE_OK);
        rt_buf_printf(out, "rows %" PRIu32, rows.group);
        for (uint32_t i = 0; i < rows.row_count; i++) {
            assert_int_equal(wire_next_row(&rows.rows, &row), WIRE_OK);
            rt_buf_putc(out, ' ');
            kit_print_row(out, row);
        }
        rt_buf_printf(out, "%s%s%.*s", rows.last ? " last" : "",
                      rows.token.len > 0 ? " token " : "", (int)rows.token.len, rows.token.data);
    } else {
        assert_int_equal(wire_decode_gone(in, &gone), WIRE_OK);
        rt_buf_printf(out, "gone %" PRIu64 " reason %d ", gone.sub, (int)gone.reason);
        kit_print_position(out, &gone.oldest);
        rt_buf_puts(out, " to ");
        kit_print_position(out, &gone.newest);
    }
}

static inline void kit_print(struct rt_buf *out, struct wire_span frame)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    wire_reader_init(&in, frame.data, frame.len);
    while (wire_next_record(&in, &type) == WIRE_OK) {
        if (type == WIRE_GROUP) {
            kit_print_group(out, &in);
        } else if (type == WIRE_DELIVER) {
            kit_print_deliver(out, &in);
        } else if (type == WIRE_DELIVER_TRUNCATE) {
            kit_print_truncate(out, &in);
        } else if (type == WIRE_ACCEPT || type == WIRE_REFUSE) {
            kit_print_answer(out, type, &in);
        } else if (type == WIRE_REPLAY || type == WIRE_REPLAYED || type == WIRE_ROWS ||
                   type == WIRE_GONE) {
            kit_print_past(out, type, &in);
        } else {
            kit_print_stream(out, type, &in);
        }
        rt_buf_putc(out, '\n');
    }
    assert_true(in.at == in.end);
}

#endif
