/* tests/fuzz/fuzz_wire_decode.c - any bytes as a message of records.
 *
 * Of what decodes: every list, tuple and shape can be walked without a failure, holds exactly as
 * many elements as it says, and lies inside the message; every byte that is handed out is read.
 * Of what does not: the error stays, and everything read afterwards is zero.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/proto/any_record.h"

struct message {
    const uint8_t *from;
    const uint8_t *to;
    volatile unsigned sum; /* of the bytes handed out: volatile, so that they are really read */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void touch(struct message *message, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    if (bytes == NULL || (len > 0 && (bytes < message->from || bytes + len > message->to))) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        message->sum += bytes[i];
    }
}

static void touch_span(struct message *message, struct wire_span span)
{
    touch(message, span.data, span.len);
}

static void walk_tuple(struct message *message, struct wire_tuple tuple)
{
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    if (tuple.data == NULL) {
        return;
    }
    touch(message, tuple.data, tuple.len);
    must(wire_tuple_open(tuple, &in, &count) == WIRE_OK && count <= WIRE_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        must(wire_tuple_next(&in, &value) == WIRE_OK);
        must(value.kind == WIRE_VALUE_TEXT || value.len == 0);
        must(value.text != NULL);
        touch(message, value.kind == WIRE_VALUE_TEXT ? value.text : "", value.len);
    }
    must(wire_reader_finish(&in) == WIRE_OK);
}

/* There is one depth from which on a shape passes, below which it is too deep. */
static void walk_shape(struct message *message, struct wire_span shape)
{
    bool passed = false;

    touch_span(message, shape);
    for (unsigned depth = 0; depth <= WIRE_SHAPE_DEPTH; depth++) {
        struct wire_reader in;
        wire_reader_init(&in, shape.data, shape.len);
        struct wire_span raw = wire_read_raw(&in, depth);
        enum wire_err err = wire_reader_finish(&in);
        must(err == WIRE_OK || (err == WIRE_ERR_DEPTH && !passed));
        must(err != WIRE_OK || (raw.data == shape.data && raw.len == shape.len));
        passed = err == WIRE_OK;
    }
    must(passed);
}

static void walk_names(struct message *message, struct wire_reader list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        touch_span(message, wire_read_str(&list, WIRE_NAME_MAX));
    }
    must(wire_reader_finish(&list) == WIRE_OK);
}

static void walk_numbers(struct message *message, struct wire_reader list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        message->sum += wire_read_u32(&list);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
}

static void walk_relation(struct message *message, const struct wire_relation *relation)
{
    struct wire_reader list = relation->columns;
    struct wire_column column;

    touch_span(message, relation->schema);
    touch_span(message, relation->table);
    must(strchr("dnfi", relation->identity) != NULL);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        must(wire_next_column(&list, &column) == WIRE_OK);
        touch_span(message, column.name);
        walk_shape(message, column.shape);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
    walk_names(message, relation->not_streamed, relation->not_streamed_count);
}

static void walk_group(struct message *message, const struct wire_group *group)
{
    struct wire_reader list = group->columns;
    struct wire_group_column column;

    touch_span(message, group->schema);
    touch_span(message, group->table);
    for (uint32_t i = 0; i < group->column_count; i++) {
        must(wire_next_group_column(&list, &column) == WIRE_OK && column.at < WIRE_COLUMNS_MAX);
        touch_span(message, column.name);
        walk_shape(message, column.shape);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
    walk_names(message, group->not_streamed, group->not_streamed_count);
}

static void walk_change(struct message *message, const struct wire_change *change)
{
    must((change->new_row.data == NULL) == (change->op == WIRE_DELETE));
    must((change->old_row.data == NULL) == (change->old_kind == WIRE_OLD_NONE));
    walk_tuple(message, change->new_row);
    walk_tuple(message, change->old_row);
}

static void walk_deliver(struct message *message, const struct wire_deliver *deliver)
{
    struct wire_reader list = deliver->groups;
    struct wire_delivery delivery;

    for (uint32_t i = 0; i < deliver->group_count; i++) {
        must(wire_next_delivery(&list, &delivery) == WIRE_OK);
        must(delivery.op == WIRE_DELETE || deliver->new_row.data != NULL);
        must(delivery.op != WIRE_DELETE || deliver->old_row.data != NULL);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
    must((deliver->old_row.data == NULL) == (deliver->old_kind == WIRE_OLD_NONE));
    walk_tuple(message, deliver->new_row);
    walk_tuple(message, deliver->old_row);
}

static void walk_rows(struct message *message, const struct wire_rows *rows)
{
    struct wire_reader list = rows->rows;
    struct wire_tuple row;

    touch_span(message, rows->token);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        must(wire_next_row(&list, &row) == WIRE_OK && row.data != NULL);
        walk_tuple(message, row);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
}

static void walk_presence(struct message *message, const struct wire_presence *presence)
{
    struct wire_reader list = presence->entries;
    struct wire_present entry;

    for (uint32_t i = 0; i < presence->entry_count; i++) {
        must(wire_next_present(&list, &entry) == WIRE_OK);
        must(entry.meta.data != NULL || !presence->full);
        touch_span(message, entry.key);
        touch(message, entry.meta.data != NULL ? entry.meta.data : "", entry.meta.len);
    }
    must(wire_reader_finish(&list) == WIRE_OK);
}

/* Those of broadcast and presence channels; false: it is none of them. */
static bool walk_channels(struct message *message, const struct any_record *record)
{
    if (record->type == WIRE_CHANNEL) {
        touch_span(message, record->channel.channel);
    } else if (record->type == WIRE_BROADCAST) {
        touch_span(message, record->broadcast.event);
        touch_span(message, record->broadcast.payload);
    } else if (record->type == WIRE_PRESENCE) {
        walk_presence(message, &record->presence);
    } else if (record->type == WIRE_DONE) {
        touch_span(message, record->done.message);
    } else if (record->type == WIRE_TRACK) {
        touch_span(message, record->track.channel);
        touch_span(message, record->track.key);
        touch_span(message, record->track.meta);
    } else if (record->type == WIRE_UNTRACK) {
        touch_span(message, record->untrack.channel);
    } else {
        return false;
    }
    return true;
}

static void walk(struct message *message, const struct any_record *record)
{
    if (walk_channels(message, record)) {
        return;
    }
    switch (record->type) {
    case WIRE_RELATION:
        walk_relation(message, &record->relation);
        break;
    case WIRE_CHANGE:
        walk_change(message, &record->change);
        break;
    case WIRE_TRUNCATE:
        walk_numbers(message, record->truncate.rels, record->truncate.rel_count);
        break;
    case WIRE_MESSAGE:
        touch_span(message, record->message.prefix);
        touch_span(message, record->message.content);
        break;
    case WIRE_GAP:
        touch_span(message, record->gap.reason);
        break;
    case WIRE_GROUP:
        walk_group(message, &record->group);
        break;
    case WIRE_DELIVER:
        walk_deliver(message, &record->deliver);
        break;
    case WIRE_DELIVER_TRUNCATE:
        walk_numbers(message, record->deliver_truncate.groups,
                     record->deliver_truncate.group_count);
        break;
    case WIRE_REFUSE:
        touch_span(message, record->refuse.message);
        break;
    case WIRE_ROWS:
        walk_rows(message, &record->rows);
        break;
    case WIRE_GONE:
        touch_span(message, record->gone.message);
        break;
    case WIRE_IDENTIFY:
        touch_span(message, record->identify.role);
        touch_span(message, record->identify.claims);
        break;
    case WIRE_SUBSCRIBE:
        touch_span(message, record->subscribe.channel);
        touch_span(message, record->subscribe.filter);
        must(record->subscribe.filter_kind <= WIRE_FILTER_QUERY);
        touch_span(message, record->subscribe.token);
        must(!record->subscribe.snapshot || !record->subscribe.has_since);
        break;
    case WIRE_PUBLISH:
        touch_span(message, record->publish.channel);
        touch_span(message, record->publish.event);
        touch_span(message, record->publish.payload);
        break;
    case WIRE_SEAT:
        touch_span(message, record->seat.user);
        must(record->seat.limit > 0);
        break;
    case WIRE_UNSEATED:
    case WIRE_UNSEAT:
    case WIRE_BEGIN:
    case WIRE_END:
    case WIRE_PROGRESS:
    case WIRE_ACCEPT:
    case WIRE_FORGET:
    case WIRE_UNSUBSCRIBE:
    case WIRE_NEED:
    case WIRE_DESCRIBE:
    case WIRE_REPLAY:
    case WIRE_REPLAYED:
    case WIRE_FRESH:
    case WIRE_RIGHTS:
    case WIRE_MORE:
    case WIRE_CHANNEL:
    case WIRE_BROADCAST:
    case WIRE_PRESENCE:
    case WIRE_DONE:
    case WIRE_TRACK:
    case WIRE_UNTRACK:
        break;
    }
}

static void check_failed(struct wire_reader *in, enum wire_err err)
{
    must(in->err == err && wire_reader_finish(in) == err);
    must(wire_read_u64(in) == 0 && wire_read_i64(in) == 0 && !wire_read_bool(in));
    must(wire_read_str(in, SIZE_MAX).len == 0 && wire_read_raw(in, 1).len == 0);
    must(wire_read_array(in, UINT32_MAX) == 0 && !wire_try_nil(in));
    must(in->err == err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct any_record record;
    struct wire_reader in;
    enum wire_err err = WIRE_OK;
    uint8_t *copy = malloc(len > 0 ? len : 1); /* exactly: what reads past the end is seen */

    must(copy != NULL);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    struct message message = { .from = copy, .to = copy + len, .sum = 0 };
    wire_reader_init(&in, copy, len);
    while (err == WIRE_OK) {
        memset(&record, 0xa5, sizeof(record));
        err = any_record_decode(&in, &record);
        if (err == WIRE_OK) {
            walk(&message, &record);
        }
    }
    must(wire_err_text(err)[0] != '\0');
    if (err == WIRE_ERR_END) {
        must(in.at == in.end && wire_reader_finish(&in) == WIRE_OK);
    } else {
        check_failed(&in, err);
    }
    free(copy);
    return 0;
}
