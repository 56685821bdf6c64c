/* tailer/consume.c - see consume.h.
 *
 * What must stay true: everything a message needs is there before its first effect, since CONSUME_HOLD and
 * CONSUME_BAD must not have had one.
 */
#include "tailer/consume.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/metrics.h"
#include "tailer/pgoutput.h"
#include "tailer/tuple.h"

/* A logical message with this prefix says that the catalog changed. */
static const char ddl_prefix[] = "pgtide.ddl";

/* One with this prefix is for a channel: CHANNEL LF EVENT LF PAYLOAD (deploy/sql). */
static const char broadcast_prefix[] = "pgtide.broadcast";

struct consume {
    struct consume_config config;

    bool open; /* between BEGIN and COMMIT */
    struct pgoutput_begin begin;
    uint32_t index; /* of the next change */

    struct wire_writer new_row;
    struct wire_writer old_row;
    struct relation **relations; /* of a TRUNCATE */
    size_t relations_cap;
    struct pgoutput_rows rows;
};

static enum consume_result bad(const char **out_reason, const char *reason)
{
    *out_reason = reason;
    return CONSUME_BAD;
}

static enum consume_result find(struct consume *consume, uint32_t oid, bool insist,
                                struct relation **out, const char **out_reason)
{
    switch (relcache_use(consume->config.relcache, oid, consume->begin.xid, insist, out)) {
    case RELCACHE_OK:
        return CONSUME_OK;
    case RELCACHE_WAIT:
        return CONSUME_WAIT;
    case RELCACHE_DOWN:
        return CONSUME_DOWN;
    case RELCACHE_UNKNOWN:
    default:
        return bad(out_reason, "a change of a table that was not described before");
    }
}

static enum consume_result on_begin(struct consume *consume, const struct pgoutput_begin *begin,
                                    const char **out_reason)
{
    if (consume->open) {
        return bad(out_reason, "a transaction begins inside another");
    }
    consume->open = true;
    consume->begin = *begin;
    consume->index = 0;
    publish_begin(consume->config.publish, &(struct wire_begin){
                                               .commit_lsn = begin->commit_lsn,
                                               .xid = begin->xid,
                                               .commit_time = begin->commit_time,
                                           });
    return CONSUME_OK;
}

static enum consume_result on_commit(struct consume *consume, const struct pgoutput_commit *commit,
                                     const char **out_reason)
{
    if (!consume->open || commit->commit_lsn != consume->begin.commit_lsn) {
        return bad(out_reason, "a commit that does not belong to the transaction that was begun");
    }
    consume->open = false;
    if (publish_end(consume->config.publish, &(struct wire_end){
                                                 .commit_lsn = commit->commit_lsn,
                                                 .end_lsn = commit->end_lsn,
                                                 .count = consume->index,
                                             })) {
        rt_counter_add(consume->config.counters->transactions, 1);
    }
    return CONSUME_OK;
}

static bool fits(const struct pgoutput_change *change, enum pgoutput_kind kind,
                 const struct relation *relation)
{
    bool new_fits = kind == PGOUTPUT_DELETE || change->new_count == relation->column_count;
    bool old_fits = change->old_kind == 0 || change->old_count == relation->column_count;

    return new_fits && old_fits;
}

static void encode_rows(struct consume *consume, const struct pgoutput_change *change,
                        const struct relation *relation, struct wire_change *out)
{
    const struct pgoutput_rows *rows = &consume->rows;
    uint32_t max = consume->config.max_value;
    uint32_t too_large = 0;

    if (change->old_kind == 'O') {
        wire_writer_clear(&consume->old_row);
        too_large += tuple_write(&consume->old_row, rows->old_row, change->old_count, NULL, max);
        out->old_kind = WIRE_OLD_FULL;
    } else if (change->old_kind == 'K') {
        wire_writer_clear(&consume->old_row);
        too_large += tuple_write_key(&consume->old_row, rows->old_row, change->old_count,
                                     relation->identity_columns, max);
        out->old_kind = WIRE_OLD_KEY;
    }
    if (out->old_kind != WIRE_OLD_NONE) {
        out->old_row = (struct wire_tuple){ consume->old_row.data, consume->old_row.len };
    }
    if (out->op != WIRE_DELETE) {
        const struct pgoutput_value *full = change->old_kind == 'O' ? rows->old_row : NULL;
        wire_writer_clear(&consume->new_row);
        too_large += tuple_write(&consume->new_row, rows->new_row, change->new_count, full, max);
        out->new_row = (struct wire_tuple){ consume->new_row.data, consume->new_row.len };
    }
    if (too_large > 0) {
        rt_counter_add(consume->config.counters->too_large, too_large);
    }
}

static enum wire_op op_of(const struct consume *consume, enum pgoutput_kind kind)
{
    const struct consume_counters *counters = consume->config.counters;

    if (kind == PGOUTPUT_INSERT) {
        rt_counter_add(counters->inserts, 1);
        return WIRE_INSERT;
    }
    if (kind == PGOUTPUT_UPDATE) {
        rt_counter_add(counters->updates, 1);
        return WIRE_UPDATE;
    }
    rt_counter_add(counters->deletes, 1);
    return WIRE_DELETE;
}

static enum consume_result on_change(struct consume *consume,
                                     const struct pgoutput_message *message, bool insist,
                                     const char **out_reason)
{
    const struct pgoutput_change *change = &message->change;
    struct relation *relation = NULL;

    if (!consume->open) {
        return bad(out_reason, "a change outside of a transaction");
    }
    enum consume_result result = find(consume, change->oid, insist, &relation, out_reason);
    if (result != CONSUME_OK) {
        return result;
    }
    if (!fits(change, message->kind, relation)) {
        return bad(out_reason, "a row with more or fewer values than its table has columns");
    }
    struct wire_change wire = { .rel = relation->rel, .index = consume->index++ };
    if (publish_wants(consume->config.publish, relation, wire.index)) {
        wire.op = op_of(consume, message->kind);
        encode_rows(consume, change, relation, &wire);
        publish_change(consume->config.publish, relation, &wire);
    }
    return CONSUME_OK;
}

static enum consume_result on_truncate(struct consume *consume, struct pgoutput_truncate *truncate,
                                       bool insist, const char **out_reason)
{
    if (!consume->open) {
        return bad(out_reason, "a truncate outside of a transaction");
    }
    if (truncate->count > consume->relations_cap) {
        consume->relations =
            rt_realloc(consume->relations, truncate->count, sizeof(struct relation *));
        consume->relations_cap = truncate->count;
    }
    for (uint32_t i = 0; i < truncate->count; i++) {
        uint32_t oid = pgoutput_next_oid(&truncate->oids);
        enum consume_result result = find(consume, oid, insist, &consume->relations[i], out_reason);
        if (result != CONSUME_OK) {
            return result;
        }
    }
    if (publish_truncate(
            consume->config.publish, consume->relations, truncate->count, consume->index++,
            truncate->flags & (WIRE_TRUNCATE_CASCADE | WIRE_TRUNCATE_RESTART_IDENTITY))) {
        rt_counter_add(consume->config.counters->truncates, 1);
    }
    return CONSUME_OK;
}

static bool within_limits(struct consume *consume, const struct pgoutput_logical_message *message)
{
    if (message->prefix.len > WIRE_TEXT_MAX || message->content.len > consume->config.max_value) {
        rt_counter_add(consume->config.counters->too_large, 1);
        return false;
    }
    return true;
}

static bool has_prefix(const struct pgoutput_logical_message *message, const char *prefix)
{
    return message->prefix.len == strlen(prefix) &&
           memcmp(message->prefix.data, prefix, message->prefix.len) == 0;
}

/* What is for a channel goes to its shard only. */
static bool publish_it(struct consume *consume, const struct pgoutput_logical_message *message,
                       const struct wire_message *wire)
{
    const char *end = NULL;

    if (message->content.len > 0 && has_prefix(message, broadcast_prefix)) {
        end = memchr(message->content.data, '\n', message->content.len);
    }
    if (end == NULL) {
        return publish_message(consume->config.publish, wire);
    }
    struct wire_span channel = { message->content.data, (size_t)(end - message->content.data) };
    return publish_message_for(consume->config.publish, channel, wire);
}

static enum consume_result on_message(struct consume *consume,
                                      const struct pgoutput_logical_message *message,
                                      const char **out_reason)
{
    struct wire_message wire = {
        .lsn = message->lsn,
        .transactional = message->transactional,
        .prefix = message->prefix,
        .content = message->content,
    };

    if (message->transactional != consume->open) {
        return bad(out_reason, "a logical message on the wrong side of a transaction's border");
    }
    if (has_prefix(message, ddl_prefix)) {
        relcache_doubt(consume->config.relcache);
    }
    if (message->transactional) {
        wire.index = consume->index++;
    }
    if (within_limits(consume, message) && publish_it(consume, message, &wire)) {
        rt_counter_add(consume->config.counters->messages, 1);
    }
    return CONSUME_OK;
}

static enum consume_result dispatch(struct consume *consume, struct pgoutput_message *message,
                                    bool insist, const char **out_reason)
{
    switch (message->kind) {
    case PGOUTPUT_BEGIN:
        return on_begin(consume, &message->begin, out_reason);
    case PGOUTPUT_COMMIT:
        return on_commit(consume, &message->commit, out_reason);
    case PGOUTPUT_RELATION:
        return relcache_describe(consume->config.relcache, &message->relation, consume->begin.xid)
                   ? CONSUME_OK
                   : bad(out_reason, "a name longer than PostgreSQL allows");
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        return on_change(consume, message, insist, out_reason);
    case PGOUTPUT_TRUNCATE:
        return on_truncate(consume, &message->truncate, insist, out_reason);
    case PGOUTPUT_MESSAGE:
        return on_message(consume, &message->message, out_reason);
    case PGOUTPUT_ORIGIN:
    case PGOUTPUT_TYPE:
    default:
        return CONSUME_OK;
    }
}

struct consume *consume_new(const struct consume_config *config)
{
    struct consume *consume = rt_alloc(sizeof(*consume));

    consume->config = *config;
    return consume;
}

void consume_free(struct consume *consume)
{
    if (consume == NULL) {
        return;
    }
    wire_writer_fini(&consume->new_row);
    wire_writer_fini(&consume->old_row);
    free(consume->relations);
    free(consume);
}

enum consume_result consume_message(struct consume *consume, struct rt_span message, bool insist,
                                    const char **out_reason)
{
    struct pgoutput_message decoded;
    enum pgoutput_err err = pgoutput_decode(message.data, message.len, &consume->rows, &decoded);

    if (err != PGOUTPUT_OK) {
        return bad(out_reason, pgoutput_err_text(err));
    }
    enum consume_result result = dispatch(consume, &decoded, insist, out_reason);
    if (result == CONSUME_OK) {
        rt_counter_add(consume->config.counters->bytes, message.len);
    }
    return result;
}

void consume_position(struct consume *consume, uint64_t wal_end, int64_t server_time)
{
    if (!consume->open) {
        publish_position(consume->config.publish, wal_end, server_time);
    }
}

void consume_break(struct consume *consume)
{
    consume->open = false;
    publish_break(consume->config.publish, consume->index);
    relcache_restart(consume->config.relcache);
}
