/* broker/snapshot/token.c - see token.h. */
#include "broker/snapshot/token.h"

#include <stdlib.h>
#include <string.h>

#include "proto/reader.h"
#include "proto/writer.h"

enum { VERSION = 1, FIELDS = 8 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t base64_size(size_t bytes)
{
    return (bytes * 4 + 2) / 3;
}

static void write_base64(struct rt_buf *out, const uint8_t *data, size_t len)
{
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        for (have += 8; have >= 6;) {
            have -= 6;
            rt_buf_putc(out, letters[bits >> have & 63]);
        }
    }
    if (have > 0) {
        rt_buf_putc(out, letters[bits << (6 - have) & 63]);
    }
}

/* One text for one sequence of bytes: no padding, no blanks, and the bits left over are 0. */
static bool read_base64(struct rt_buf *out, struct wire_span text)
{
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] == '\0' ? NULL : strchr(letters, text.data[i]);
        if (at == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(at - letters);
        have += 6;
        if (have >= 8) {
            have -= 8;
            rt_buf_putc(out, (char)(bits >> have & 255));
        }
    }
    return have < 6 && (bits & ((1u << have) - 1)) == 0;
}

bool token_encode(struct rt_buf *out, const struct token *token)
{
    struct wire_writer bytes = { 0 };

    wire_write_array(&bytes, FIELDS);
    wire_write_u64(&bytes, VERSION);
    wire_write_u64(&bytes, token->epoch);
    wire_write_u64(&bytes, token->oid);
    wire_write_u64(&bytes, token->key_print);
    wire_write_u64(&bytes, token->lsn);
    wire_write_bool(&bytes, token->done);
    wire_write_str(&bytes, token->seen, strlen(token->seen));
    wire_write_array(&bytes, token->key_count);
    for (uint32_t i = 0; i < token->key_count; i++) {
        wire_write_str(&bytes, token->keys[i], strlen(token->keys[i]));
    }
    bool fits = base64_size(bytes.len) <= WIRE_TOKEN_MAX;
    if (fits) {
        write_base64(out, bytes.data, bytes.len);
    }
    wire_writer_fini(&bytes);
    return fits;
}

/* What becomes a parameter of a statement is a C string. */
static char *read_text(struct wire_reader *in)
{
    struct wire_span text = wire_read_str(in, WIRE_TOKEN_MAX);

    if (memchr(text.data, '\0', text.len) != NULL) {
        wire_reader_fail(in, WIRE_ERR_RANGE);
    }
    return rt_strndup(text.data, in->err == WIRE_OK ? text.len : 0);
}

static bool read_fields(struct wire_reader *in, struct token *out)
{
    if (wire_read_array(in, FIELDS) != FIELDS || wire_read_u64(in) != VERSION) {
        return false;
    }
    out->epoch = wire_read_u64(in);
    out->oid = wire_read_u32(in);
    out->key_print = wire_read_u64(in);
    out->lsn = wire_read_u64(in);
    out->done = wire_read_bool(in);
    out->seen = read_text(in);
    uint32_t count = wire_read_array(in, SQL_KEYS_MAX);
    for (uint32_t i = 0; i < count && in->err == WIRE_OK; i++) {
        out->keys[out->key_count++] = read_text(in);
    }
    return wire_reader_finish(in) == WIRE_OK && out->done == (out->key_count == 0) &&
           xid_snapshot_parse(&out->snapshot, out->seen, strlen(out->seen));
}

bool token_decode(struct wire_span text, struct token *out)
{
    struct rt_buf bytes = { 0 };
    struct wire_reader in;

    *out = (struct token){ 0 };
    bool valid = text.len > 0 && text.len <= WIRE_TOKEN_MAX && read_base64(&bytes, text);
    if (valid) {
        wire_reader_init(&in, bytes.data, bytes.len);
        valid = read_fields(&in, out);
    }
    rt_buf_fini(&bytes);
    if (!valid) {
        token_fini(out);
    }
    return valid;
}

void token_fini(struct token *token)
{
    for (uint32_t i = 0; i < token->key_count; i++) {
        free(token->keys[i]);
    }
    free(token->seen);
    xid_snapshot_fini(&token->snapshot);
    *token = (struct token){ 0 };
}
