/* tests/unit/proto/any_record_print.c - a record as JSON: see any_record.h.
 *
 * Two records print alike exactly when all of their fields are equal.
 */
#include <inttypes.h>

#include "tests/unit/proto/any_record_fields.h"

static const char *const ops[] = { "", "insert", "update", "delete" };
static const char *const old_kinds[] = { "none", "key", "full" };

static void print_hex(FILE *out, struct wire_span bytes)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)fprintf(out, "%02x", (unsigned char)bytes.data[i]);
    }
    (void)fputc('"', out);
}

static void print_value(FILE *out, const struct wire_value *value)
{
    switch (value->kind) {
    case WIRE_VALUE_NULL:
        (void)fputs("null", out);
        break;
    case WIRE_VALUE_TEXT:
        print_text(out, (struct wire_span){ value->text, value->len });
        break;
    case WIRE_VALUE_MISSING:
        (void)fputs("{\"mark\":\"missing\"}", out);
        break;
    case WIRE_VALUE_UNCHANGED:
        (void)fputs("{\"mark\":\"unchanged\"}", out);
        break;
    case WIRE_VALUE_TOO_LARGE:
        (void)fputs("{\"mark\":\"too_large\"}", out);
        break;
    }
}

static void print_tuple(FILE *out, struct wire_tuple tuple)
{
    struct wire_reader in;
    uint32_t count = 0;
    struct wire_value value;

    if (tuple.data == NULL) {
        (void)fputs("null", out);
        return;
    }
    (void)wire_tuple_open(tuple, &in, &count);
    (void)fputc('[', out);
    for (uint32_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? "," : "", out);
        (void)wire_tuple_next(&in, &value);
        print_value(out, &value);
    }
    (void)fputc(']', out);
}

static void print_names(FILE *out, struct wire_reader list, uint32_t count)
{
    (void)fputc('[', out);
    for (uint32_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? "," : "", out);
        print_text(out, wire_read_str(&list, WIRE_NAME_MAX));
    }
    (void)fputc(']', out);
}

static void print_numbers(FILE *out, struct wire_reader list, uint32_t count)
{
    (void)fputc('[', out);
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(out, "%s%" PRIu32, i > 0 ? "," : "", wire_read_u32(&list));
    }
    (void)fputc(']', out);
}

static void print_row_pair(FILE *out, struct wire_tuple new_row, struct wire_tuple old_row)
{
    print_member(out, "new");
    print_tuple(out, new_row);
    print_member(out, "old");
    print_tuple(out, old_row);
}

static void print_table(FILE *out, struct wire_span schema, struct wire_span table)
{
    print_string(out, "schema", schema);
    print_string(out, "table", table);
}

static void print_relation(FILE *out, const struct wire_relation *relation)
{
    struct wire_reader list = relation->columns;
    struct wire_column column;

    (void)fputs("\"relation\"", out);
    print_number(out, "rel", relation->rel);
    print_number(out, "oid", relation->oid);
    print_table(out, relation->schema, relation->table);
    (void)fprintf(out, ",\"identity\":\"%c\",\"columns\":[", relation->identity);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        (void)wire_next_column(&list, &column);
        (void)fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
        print_text(out, column.name);
        print_number(out, "type", column.type_oid);
        print_number(out, "typmod", column.typmod);
        print_number(out, "flags", column.flags);
        print_member(out, "shape");
        print_hex(out, column.shape);
        (void)fputc('}', out);
    }
    (void)fputs("],\"not_streamed\":", out);
    print_names(out, relation->not_streamed, relation->not_streamed_count);
}

static void print_group(FILE *out, const struct wire_group *group)
{
    struct wire_reader list = group->columns;
    struct wire_group_column column;

    (void)fputs("\"group\"", out);
    print_number(out, "group", group->group);
    print_table(out, group->schema, group->table);
    (void)fputs(",\"columns\":[", out);
    for (uint32_t i = 0; i < group->column_count; i++) {
        (void)wire_next_group_column(&list, &column);
        (void)fprintf(out, "%s{\"at\":%" PRIu32, i > 0 ? "," : "", column.at);
        print_string(out, "name", column.name);
        print_number(out, "flags", column.flags);
        print_member(out, "shape");
        print_hex(out, column.shape);
        (void)fputc('}', out);
    }
    (void)fputs("],\"not_streamed\":", out);
    print_names(out, group->not_streamed, group->not_streamed_count);
}

static void print_begin(FILE *out, const struct wire_begin *begin)
{
    (void)fputs("\"begin\"", out);
    print_u64(out, "epoch", begin->epoch);
    print_u64(out, "commit_lsn", begin->commit_lsn);
    print_number(out, "xid", begin->xid);
    print_number(out, "commit_time", begin->commit_time);
    print_bool(out, "continued", begin->continued);
}

static void print_change(FILE *out, const struct wire_change *change)
{
    (void)fputs("\"change\"", out);
    print_number(out, "rel", change->rel);
    print_number(out, "index", change->index);
    (void)fprintf(out, ",\"op\":\"%s\",\"old_kind\":\"%s\"", ops[change->op],
                  old_kinds[change->old_kind]);
    print_row_pair(out, change->new_row, change->old_row);
}

static void print_truncate(FILE *out, const struct wire_truncate *truncate)
{
    (void)fputs("\"truncate\"", out);
    print_number(out, "index", truncate->index);
    print_number(out, "flags", truncate->flags);
    print_member(out, "rels");
    print_numbers(out, truncate->rels, truncate->rel_count);
}

static void print_message(FILE *out, const struct wire_message *message)
{
    (void)fputs("\"message\"", out);
    print_number(out, "index", message->index);
    print_u64(out, "lsn", message->lsn);
    print_bool(out, "transactional", message->transactional);
    print_string(out, "prefix", message->prefix);
    print_string(out, "content", message->content);
}

static void print_end(FILE *out, const struct wire_end *end)
{
    (void)fputs("\"end\"", out);
    print_u64(out, "commit_lsn", end->commit_lsn);
    print_u64(out, "end_lsn", end->end_lsn);
    print_number(out, "count", end->count);
}

static void print_progress(FILE *out, const struct wire_progress *progress)
{
    (void)fputs("\"progress\"", out);
    print_u64(out, "epoch", progress->epoch);
    print_u64(out, "lsn", progress->lsn);
    print_number(out, "server_time", progress->server_time);
}

static void print_gap(FILE *out, const struct wire_gap *gap)
{
    (void)fputs("\"gap\"", out);
    print_member(out, "from");
    print_position(out, &gap->from);
    print_member(out, "to");
    print_position(out, &gap->to);
    print_string(out, "reason", gap->reason);
}

static void print_deliver(FILE *out, const struct wire_deliver *deliver)
{
    struct wire_reader list = deliver->groups;
    struct wire_delivery delivery;

    (void)fputs("\"deliver\"", out);
    print_number(out, "index", deliver->index);
    (void)fprintf(out, ",\"old_kind\":\"%s\",\"groups\":[", old_kinds[deliver->old_kind]);
    for (uint32_t i = 0; i < deliver->group_count; i++) {
        (void)wire_next_delivery(&list, &delivery);
        (void)fprintf(out, "%s{\"group\":%" PRIu32 ",\"op\":\"%s\"}", i > 0 ? "," : "",
                      delivery.group, ops[delivery.op]);
    }
    (void)fputc(']', out);
    print_row_pair(out, deliver->new_row, deliver->old_row);
}

static void print_deliver_truncate(FILE *out, const struct wire_deliver_truncate *truncate)
{
    (void)fputs("\"deliver_truncate\"", out);
    print_number(out, "index", truncate->index);
    print_number(out, "flags", truncate->flags);
    print_member(out, "groups");
    print_numbers(out, truncate->groups, truncate->group_count);
}

static void print_accept(FILE *out, const struct wire_accept *accept)
{
    (void)fputs("\"accept\"", out);
    print_u64(out, "sub", accept->sub);
    print_number(out, "group", accept->group);
    print_number(out, "kind", accept->kind);
    print_member(out, "position");
    print_position(out, &accept->position);
}

static void print_refuse(FILE *out, const struct wire_refuse *refuse)
{
    (void)fputs("\"refuse\"", out);
    print_u64(out, "sub", refuse->sub);
    print_number(out, "code", refuse->code);
    print_string(out, "message", refuse->message);
}

static void print_replay(FILE *out, const struct wire_replay *replay)
{
    (void)fputs("\"replay\"", out);
    print_number(out, "group", replay->group);
    print_u64(out, "epoch", replay->epoch);
    print_u64(out, "commit_lsn", replay->commit_lsn);
    print_number(out, "xid", replay->xid);
    print_number(out, "commit_time", replay->commit_time);
    print_bool(out, "continued", replay->continued);
}

static void print_rows(FILE *out, const struct wire_rows *rows)
{
    struct wire_reader list = rows->rows;
    struct wire_tuple row;

    (void)fputs("\"rows\"", out);
    print_number(out, "group", rows->group);
    print_bool(out, "last", rows->last);
    print_string(out, "token", rows->token);
    print_member(out, "rows");
    (void)fputc('[', out);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        (void)wire_next_row(&list, &row);
        (void)fputs(i > 0 ? "," : "", out);
        print_tuple(out, row);
    }
    (void)fputc(']', out);
}

static void print_gone(FILE *out, const struct wire_gone *gone)
{
    (void)fputs("\"gone\"", out);
    print_u64(out, "sub", gone->sub);
    print_number(out, "reason", gone->reason);
    print_string(out, "message", gone->message);
    print_member(out, "oldest");
    print_position(out, &gone->oldest);
    print_member(out, "newest");
    print_position(out, &gone->newest);
}

static void print_fresh(FILE *out, const struct wire_fresh *fresh)
{
    (void)fputs("\"fresh\"", out);
    print_u64(out, "epoch", fresh->epoch);
    print_u64(out, "lsn", fresh->lsn);
    print_number(out, "written_at", fresh->written_at);
}

static void print_rights(FILE *out, const struct wire_rights *rights)
{
    (void)fputs("\"rights\"", out);
    print_u64(out, "sub", rights->sub);
    print_member(out, "position");
    print_position(out, &rights->position);
}

static void print_replayed(FILE *out, const struct wire_replayed *replayed)
{
    (void)fputs("\"replayed\"", out);
    print_number(out, "group", replayed->group);
    print_member(out, "position");
    print_position(out, &replayed->position);
}

static void print_identify(FILE *out, const struct wire_identify *identify)
{
    (void)fputs("\"identify\"", out);
    print_u64(out, "identity", identify->identity);
    print_string(out, "role", identify->role);
    print_string(out, "claims", identify->claims);
    print_number(out, "expires", identify->expires);
}

static void print_forget(FILE *out, const struct wire_forget *forget)
{
    (void)fputs("\"forget\"", out);
    print_u64(out, "identity", forget->identity);
}

static void print_subscribe(FILE *out, const struct wire_subscribe *subscribe)
{
    (void)fputs("\"subscribe\"", out);
    print_u64(out, "sub", subscribe->sub);
    print_u64(out, "identity", subscribe->identity);
    print_string(out, "channel", subscribe->channel);
    print_string(out, "filter", subscribe->filter);
    print_number(out, "filter_kind", subscribe->filter_kind);
    print_member(out, "since");
    if (subscribe->has_since) {
        print_position(out, &subscribe->since);
    } else {
        (void)fputs("null", out);
    }
    print_bool(out, "snapshot", subscribe->snapshot);
    print_number(out, "page_rows", subscribe->page_rows);
    print_string(out, "token", subscribe->token);
}

static void print_more(FILE *out, const struct wire_more *more)
{
    (void)fputs("\"more\"", out);
    print_u64(out, "sub", more->sub);
    print_number(out, "parts", more->parts);
}

static void print_unsubscribe(FILE *out, const struct wire_unsubscribe *unsubscribe)
{
    (void)fputs("\"unsubscribe\"", out);
    print_u64(out, "sub", unsubscribe->sub);
}

static void print_publish(FILE *out, const struct wire_publish *publish)
{
    (void)fputs("\"publish\"", out);
    print_u64(out, "identity", publish->identity);
    print_string(out, "channel", publish->channel);
    print_string(out, "event", publish->event);
    print_string(out, "payload", publish->payload);
    print_u64(out, "sender", publish->sender);
    print_bool(out, "to_sender", publish->to_sender);
    print_u64(out, "reply", publish->reply);
}

static void print_need(FILE *out, const struct wire_need *need)
{
    (void)fputs("\"need\"", out);
    print_number(out, "rel", need->rel);
}

static void print_describe(FILE *out, const struct wire_describe *describe)
{
    (void)fputs("\"describe\"", out);
    print_number(out, "oid", describe->oid);
}

void any_record_print(FILE *out, const struct any_record *record)
{
    (void)fputs("{\"record\":", out);
    switch (record->type) {
#define CASE(number, name)                                                                         \
    case number:                                                                                   \
        print_##name(out, &record->name);                                                          \
        break;
        CASE(WIRE_RELATION, relation)
        CASE(WIRE_BEGIN, begin)
        CASE(WIRE_CHANGE, change)
        CASE(WIRE_TRUNCATE, truncate)
        CASE(WIRE_MESSAGE, message)
        CASE(WIRE_END, end)
        CASE(WIRE_PROGRESS, progress)
        CASE(WIRE_GAP, gap)
        CASE(WIRE_GROUP, group)
        CASE(WIRE_DELIVER, deliver)
        CASE(WIRE_DELIVER_TRUNCATE, deliver_truncate)
        CASE(WIRE_ACCEPT, accept)
        CASE(WIRE_REFUSE, refuse)
        CASE(WIRE_REPLAY, replay)
        CASE(WIRE_REPLAYED, replayed)
        CASE(WIRE_ROWS, rows)
        CASE(WIRE_GONE, gone)
        CASE(WIRE_FRESH, fresh)
        CASE(WIRE_RIGHTS, rights)
        CASE(WIRE_MORE, more)
        CASE(WIRE_CHANNEL, channel)
        CASE(WIRE_BROADCAST, broadcast)
        CASE(WIRE_PRESENCE, presence)
        CASE(WIRE_DONE, done)
        CASE(WIRE_TRACK, track)
        CASE(WIRE_UNTRACK, untrack)
        CASE(WIRE_UNSEATED, unseated)
        CASE(WIRE_SEAT, seat)
        CASE(WIRE_UNSEAT, unseat)
        CASE(WIRE_IDENTIFY, identify)
        CASE(WIRE_FORGET, forget)
        CASE(WIRE_SUBSCRIBE, subscribe)
        CASE(WIRE_UNSUBSCRIBE, unsubscribe)
        CASE(WIRE_PUBLISH, publish)
        CASE(WIRE_NEED, need)
        CASE(WIRE_DESCRIBE, describe)
#undef CASE
    }
    (void)fputc('}', out);
}
