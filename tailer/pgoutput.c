/* tailer/pgoutput.c - see pgoutput.h.
 *
 * What must stay true: only the take_* functions move a cursor, and each compares with what is left
 * first. A failed cursor stands at its end, so that every later read fails as well.
 */
#include "tailer/pgoutput.h"

#include <string.h>

static void fail(struct pgoutput_cursor *in, enum pgoutput_err err)
{
    if (in->err == PGOUTPUT_OK) {
        in->err = err;
    }
    in->at = in->end;
}

static const uint8_t *take(struct pgoutput_cursor *in, size_t len)
{
    if ((size_t)(in->end - in->at) < len) {
        fail(in, PGOUTPUT_ERR_SHORT);
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += len;
    return at;
}

static uint8_t take_u8(struct pgoutput_cursor *in)
{
    const uint8_t *at = take(in, 1);
    return at == NULL ? 0 : at[0];
}

static uint32_t take_u16(struct pgoutput_cursor *in)
{
    const uint8_t *at = take(in, 2);
    return at == NULL ? 0 : (uint32_t)at[0] << 8 | at[1];
}

static uint32_t take_u32(struct pgoutput_cursor *in)
{
    const uint8_t *at = take(in, 4);
    return at == NULL
               ? 0
               : (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t take_u64(struct pgoutput_cursor *in)
{
    uint64_t high = take_u32(in);
    return high << 32 | take_u32(in);
}

/* Times overflow only in forged input; the sum is taken without sign, where that is defined. */
static int64_t take_time(struct pgoutput_cursor *in)
{
    return (int64_t)(take_u64(in) + (uint64_t)PGOUTPUT_EPOCH_USEC);
}

/* A NUL-terminated text; the NUL is consumed and not part of the span. */
static struct wire_span take_text(struct pgoutput_cursor *in)
{
    const uint8_t *start = in->at;
    const uint8_t *nul = in->at == in->end ? NULL : memchr(start, 0, (size_t)(in->end - start));

    if (nul == NULL) {
        fail(in, PGOUTPUT_ERR_SHORT);
        return (struct wire_span){ "", 0 };
    }
    in->at = nul + 1;
    return (struct wire_span){ (const char *)start, (size_t)(nul - start) };
}

/* A length that PostgreSQL writes as a signed number. */
static uint32_t take_length(struct pgoutput_cursor *in)
{
    uint32_t len = take_u32(in);

    if (len > INT32_MAX) {
        fail(in, PGOUTPUT_ERR_RANGE);
        return 0;
    }
    return len;
}

static void take_value(struct pgoutput_cursor *in, struct pgoutput_value *out)
{
    out->kind = take_u8(in);
    out->data = "";
    out->len = 0;
    if (out->kind == PGOUTPUT_TEXT) {
        uint32_t len = take_length(in);
        const uint8_t *data = take(in, len);
        if (data != NULL) {
            out->data = (const char *)data;
            out->len = len;
        }
    } else if (out->kind != PGOUTPUT_NULL && out->kind != PGOUTPUT_UNCHANGED) {
        fail(in, PGOUTPUT_ERR_KIND);
    }
}

/* Returns the number of values; 0 after a failure. */
static uint32_t take_tuple(struct pgoutput_cursor *in, struct pgoutput_value *values)
{
    uint32_t count = take_u16(in);

    if (count > PGOUTPUT_COLUMNS_MAX) {
        fail(in, PGOUTPUT_ERR_RANGE);
    }
    for (uint32_t i = 0; i < count && in->err == PGOUTPUT_OK; i++) {
        take_value(in, &values[i]);
    }
    return in->err == PGOUTPUT_OK ? count : 0;
}

static void take_begin(struct pgoutput_cursor *in, struct pgoutput_begin *out)
{
    out->commit_lsn = take_u64(in);
    out->commit_time = take_time(in);
    out->xid = take_u32(in);
}

static void take_commit(struct pgoutput_cursor *in, struct pgoutput_commit *out)
{
    take_u8(in); /* flags, unused */
    out->commit_lsn = take_u64(in);
    out->end_lsn = take_u64(in);
    take_time(in);
}

static bool is_identity(uint8_t kind)
{
    return kind == 'd' || kind == 'n' || kind == 'f' || kind == 'i';
}

static void take_relation(struct pgoutput_cursor *in, struct pgoutput_relation *out)
{
    out->oid = take_u32(in);
    out->schema = take_text(in);
    out->table = take_text(in);
    out->identity = take_u8(in);
    if (!is_identity(out->identity)) {
        fail(in, PGOUTPUT_ERR_KIND);
    }
    out->column_count = take_u16(in);
    if (out->column_count > PGOUTPUT_COLUMNS_MAX) {
        fail(in, PGOUTPUT_ERR_RANGE);
    }
    out->columns = *in;
    for (uint32_t i = 0; i < out->column_count && in->err == PGOUTPUT_OK; i++) {
        (void)pgoutput_next_column(in);
    }
}

/* Layout: oid, then [K or O, old tuple] for updates and deletes, then N, new tuple for inserts and updates. */
static void take_change(struct pgoutput_cursor *in, enum pgoutput_kind kind,
                        struct pgoutput_rows *rows, struct pgoutput_change *out)
{
    *out = (struct pgoutput_change){ .oid = take_u32(in) };
    uint8_t tuple = take_u8(in);

    if (kind != PGOUTPUT_INSERT && (tuple == 'K' || tuple == 'O')) {
        out->old_kind = tuple;
        out->old_count = take_tuple(in, rows->old_row);
        if (kind == PGOUTPUT_DELETE) {
            return;
        }
        tuple = take_u8(in);
    }
    if (tuple != 'N' || kind == PGOUTPUT_DELETE) {
        fail(in, PGOUTPUT_ERR_KIND);
    }
    out->new_count = take_tuple(in, rows->new_row);
}

static void take_truncate(struct pgoutput_cursor *in, struct pgoutput_truncate *out)
{
    out->count = take_u32(in);
    out->flags = take_u8(in);
    out->oids = *in;
    if (out->count > (size_t)(in->end - in->at) / 4) {
        fail(in, PGOUTPUT_ERR_SHORT);
        return;
    }
    take(in, (size_t)out->count * 4);
}

static void take_message(struct pgoutput_cursor *in, struct pgoutput_logical_message *out)
{
    uint8_t flags = take_u8(in);

    out->transactional = (flags & 1) != 0;
    out->lsn = take_u64(in);
    out->prefix = take_text(in);
    uint32_t len = take_length(in);
    const uint8_t *content = take(in, len);
    out->content = (struct wire_span){ content == NULL ? "" : (const char *)content, len };
}

static void take_body(struct pgoutput_cursor *in, struct pgoutput_rows *rows,
                      struct pgoutput_message *out)
{
    switch (out->kind) {
    case PGOUTPUT_BEGIN:
        take_begin(in, &out->begin);
        break;
    case PGOUTPUT_COMMIT:
        take_commit(in, &out->commit);
        break;
    case PGOUTPUT_ORIGIN:
        take_u64(in);
        take_text(in);
        break;
    case PGOUTPUT_RELATION:
        take_relation(in, &out->relation);
        break;
    case PGOUTPUT_TYPE:
        take_u32(in);
        take_text(in);
        take_text(in);
        break;
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        take_change(in, out->kind, rows, &out->change);
        break;
    case PGOUTPUT_TRUNCATE:
        take_truncate(in, &out->truncate);
        break;
    case PGOUTPUT_MESSAGE:
        take_message(in, &out->message);
        break;
    default:
        fail(in, PGOUTPUT_ERR_KIND);
        break;
    }
}

enum pgoutput_err pgoutput_decode(const uint8_t *data, size_t len, struct pgoutput_rows *rows,
                                  struct pgoutput_message *out)
{
    struct pgoutput_cursor in = { .at = data, .end = data + len, .err = PGOUTPUT_OK };

    out->kind = (enum pgoutput_kind)take_u8(&in);
    if (in.err == PGOUTPUT_OK) {
        take_body(&in, rows, out);
    }
    if (in.err == PGOUTPUT_OK && in.at != in.end) {
        in.err = PGOUTPUT_ERR_TRAILING;
    }
    return in.err;
}

struct pgoutput_column pgoutput_next_column(struct pgoutput_cursor *in)
{
    struct pgoutput_column column = { .key = (take_u8(in) & 1) != 0 };

    column.name = take_text(in);
    column.type_oid = take_u32(in);
    column.typmod = (int32_t)take_u32(in);
    return column;
}

uint32_t pgoutput_next_oid(struct pgoutput_cursor *in)
{
    return take_u32(in);
}

const char *pgoutput_err_text(enum pgoutput_err err)
{
    static const char *const texts[] = {
        [PGOUTPUT_OK] = "ok",
        [PGOUTPUT_ERR_SHORT] = "the message ends inside a field",
        [PGOUTPUT_ERR_TRAILING] = "bytes follow the message's last field",
        [PGOUTPUT_ERR_KIND] = "a message, tuple or value kind of another protocol version",
        [PGOUTPUT_ERR_RANGE] = "a count or length is out of range",
    };
    return texts[err];
}
