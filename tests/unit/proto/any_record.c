/* tests/unit/proto/any_record.c - see any_record.h. */
#include "tests/unit/proto/any_record.h"

#include <stdlib.h>

/* Records without nested lists: their encoders take the decoded struct as it is. */
#define FLAT_RECORDS(X)                                                                            \
    X(WIRE_BEGIN, begin)                                                                           \
    X(WIRE_CHANGE, change)                                                                         \
    X(WIRE_MESSAGE, message)                                                                       \
    X(WIRE_END, end)                                                                               \
    X(WIRE_PROGRESS, progress)                                                                     \
    X(WIRE_GAP, gap)                                                                               \
    X(WIRE_ACCEPT, accept)                                                                         \
    X(WIRE_REFUSE, refuse)                                                                         \
    X(WIRE_REPLAY, replay)                                                                         \
    X(WIRE_REPLAYED, replayed)                                                                     \
    X(WIRE_GONE, gone)                                                                             \
    X(WIRE_FRESH, fresh)                                                                           \
    X(WIRE_RIGHTS, rights)                                                                         \
    X(WIRE_UNSEATED, unseated)                                                                     \
    X(WIRE_SEAT, seat)                                                                             \
    X(WIRE_UNSEAT, unseat)                                                                         \
    X(WIRE_IDENTIFY, identify)                                                                     \
    X(WIRE_FORGET, forget)                                                                         \
    X(WIRE_SUBSCRIBE, subscribe)                                                                   \
    X(WIRE_UNSUBSCRIBE, unsubscribe)                                                               \
    X(WIRE_PUBLISH, publish)                                                                       \
    X(WIRE_CHANNEL, channel)                                                                       \
    X(WIRE_BROADCAST, broadcast)                                                                   \
    X(WIRE_DONE, done)                                                                             \
    X(WIRE_TRACK, track)                                                                           \
    X(WIRE_UNTRACK, untrack)                                                                       \
    X(WIRE_MORE, more)                                                                             \
    X(WIRE_NEED, need)                                                                             \
    X(WIRE_DESCRIBE, describe)
#define LIST_RECORDS(X)                                                                            \
    X(WIRE_RELATION, relation)                                                                     \
    X(WIRE_TRUNCATE, truncate)                                                                     \
    X(WIRE_GROUP, group)                                                                           \
    X(WIRE_DELIVER, deliver)                                                                       \
    X(WIRE_PRESENCE, presence)                                                                     \
    X(WIRE_ROWS, rows)                                                                             \
    X(WIRE_DELIVER_TRUNCATE, deliver_truncate)

static void *room_for(uint32_t count, size_t size)
{
    void *room = calloc((size_t)count + 1, size);

    if (room == NULL) {
        abort();
    }
    return room;
}

/* A list that its decoder has passed holds exactly what it said. */
static void must_be_over(const struct wire_reader *list)
{
    if (wire_reader_finish(list) != WIRE_OK) {
        abort();
    }
}

static struct wire_span *names_of(struct wire_reader list, uint32_t count)
{
    struct wire_span *names = room_for(count, sizeof(*names));

    for (uint32_t i = 0; i < count; i++) {
        names[i] = wire_read_str(&list, WIRE_NAME_MAX);
    }
    must_be_over(&list);
    return names;
}

static uint32_t *numbers_of(struct wire_reader list, uint32_t count)
{
    uint32_t *numbers = room_for(count, sizeof(*numbers));

    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = wire_read_u32(&list);
    }
    must_be_over(&list);
    return numbers;
}

static void encode_relation(struct wire_writer *out, const struct wire_relation *relation)
{
    struct wire_reader list = relation->columns;
    struct wire_column *columns = room_for(relation->column_count, sizeof(*columns));
    struct wire_span *names = names_of(relation->not_streamed, relation->not_streamed_count);

    for (uint32_t i = 0; i < relation->column_count; i++) {
        (void)wire_next_column(&list, &columns[i]);
    }
    must_be_over(&list);
    wire_encode_relation(out, relation, columns, names);
    free(names);
    free(columns);
}

static void encode_group(struct wire_writer *out, const struct wire_group *group)
{
    struct wire_reader list = group->columns;
    struct wire_group_column *columns = room_for(group->column_count, sizeof(*columns));
    struct wire_span *names = names_of(group->not_streamed, group->not_streamed_count);

    for (uint32_t i = 0; i < group->column_count; i++) {
        (void)wire_next_group_column(&list, &columns[i]);
    }
    must_be_over(&list);
    wire_encode_group(out, group, columns, names);
    free(names);
    free(columns);
}

static void encode_deliver(struct wire_writer *out, const struct wire_deliver *deliver)
{
    struct wire_reader list = deliver->groups;
    struct wire_delivery *groups = room_for(deliver->group_count, sizeof(*groups));

    for (uint32_t i = 0; i < deliver->group_count; i++) {
        (void)wire_next_delivery(&list, &groups[i]);
    }
    must_be_over(&list);
    wire_encode_deliver(out, deliver, groups);
    free(groups);
}

static void encode_truncate(struct wire_writer *out, const struct wire_truncate *truncate)
{
    uint32_t *rels = numbers_of(truncate->rels, truncate->rel_count);

    wire_encode_truncate(out, truncate->index, truncate->flags, rels, truncate->rel_count);
    free(rels);
}

static void encode_deliver_truncate(struct wire_writer *out,
                                    const struct wire_deliver_truncate *truncate)
{
    uint32_t *groups = numbers_of(truncate->groups, truncate->group_count);

    wire_encode_deliver_truncate(out, truncate->index, truncate->flags, groups,
                                 truncate->group_count);
    free(groups);
}

static void encode_rows(struct wire_writer *out, const struct wire_rows *rows)
{
    struct wire_reader list = rows->rows;
    struct wire_tuple *tuples = room_for(rows->row_count, sizeof(*tuples));

    for (uint32_t i = 0; i < rows->row_count; i++) {
        (void)wire_next_row(&list, &tuples[i]);
    }
    must_be_over(&list);
    wire_encode_rows(out, rows, tuples);
    free(tuples);
}

static void encode_presence(struct wire_writer *out, const struct wire_presence *presence)
{
    struct wire_reader list = presence->entries;
    struct wire_present *entries = room_for(presence->entry_count, sizeof(*entries));

    for (uint32_t i = 0; i < presence->entry_count; i++) {
        (void)wire_next_present(&list, &entries[i]);
    }
    must_be_over(&list);
    wire_encode_presence(out, presence, entries);
    free(entries);
}

enum wire_err any_record_decode(struct wire_reader *in, struct any_record *out)
{
    enum wire_err err = wire_next_record(in, &out->type);

    if (err != WIRE_OK) {
        return err;
    }
    switch (out->type) {
#define CASE(number, name)                                                                         \
    case number:                                                                                   \
        return wire_decode_##name(in, &out->name);
        FLAT_RECORDS(CASE)
        LIST_RECORDS(CASE)
#undef CASE
    default:
        return WIRE_ERR_UNKNOWN;
    }
}

void any_record_encode(struct wire_writer *out, const struct any_record *record)
{
    switch (record->type) {
#define CASE(number, name)                                                                         \
    case number:                                                                                   \
        wire_encode_##name(out, &record->name);                                                    \
        break;
        FLAT_RECORDS(CASE)
#undef CASE
#define CASE(number, name)                                                                         \
    case number:                                                                                   \
        encode_##name(out, &record->name);                                                         \
        break;
        LIST_RECORDS(CASE)
#undef CASE
    default:
        abort();
    }
}
