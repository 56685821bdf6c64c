/* runtime/link_header.c - one table says which fields each side-channel message has; the encoder and
 * the decoder both follow it, so they cannot disagree. */
#include "runtime/link_header.h"

#include <string.h>

#define MAGIC_0 'p'
#define MAGIC_1 's'

enum field {
    F_END = 0,
    F_LINK_VERSION,
    F_APP_VERSION,
    F_PEER,
    F_NONCE,
    F_NAME,
    F_EPOCH,
    F_SESSION,
    F_SEQ,
    F_FROM,
    F_TO,
    F_LAST,
    F_BYTES,
    F_SENT,
    F_RECEIVED,
    F_FLAG,
    F_TEXT, /* body of at most LINK_TEXT_MAX, to the end of the message */
    F_BODY, /* body of at most LINK_MESSAGE_MAX, to the end of the message */
};

#define FIELDS_MAX 13

static const uint8_t layouts[][FIELDS_MAX] = {
    [LINK_HELLO] = { F_LINK_VERSION, F_APP_VERSION, F_PEER, F_NONCE, F_NAME, F_EPOCH, F_SESSION,
                     F_SEQ, F_SENT, F_RECEIVED, F_FLAG },
    [LINK_ACK] = { F_EPOCH, F_SESSION, F_SEQ, F_SENT, F_RECEIVED, F_FLAG },
    [LINK_REPLAY] = { F_EPOCH, F_SESSION, F_FROM, F_TO, F_BYTES },
    [LINK_MESSAGE] = { F_EPOCH, F_SESSION, F_SEQ, F_BODY },
    [LINK_WELCOME] = { F_EPOCH, F_SESSION, F_NONCE, F_SEQ, F_LAST, F_SENT },
    [LINK_REFUSE] = { F_LINK_VERSION, F_APP_VERSION, F_NONCE, F_FLAG, F_TEXT },
    [LINK_RESET] = { F_EPOCH, F_SESSION, F_NONCE },
    [LINK_NO_SESSION] = { F_EPOCH, F_SESSION },
    [LINK_PONG] = { F_EPOCH, F_SESSION, F_LAST, F_SENT, F_RECEIVED },
    [LINK_ANSWER] = { F_EPOCH, F_SESSION, F_FROM, F_TO, F_BYTES, F_SEQ, F_LAST },
};

/* Where the 64-bit fields live. */
static const size_t offsets[] = {
    [F_PEER] = offsetof(struct link_control, peer),
    [F_NONCE] = offsetof(struct link_control, nonce),
    [F_EPOCH] = offsetof(struct link_control, epoch),
    [F_SESSION] = offsetof(struct link_control, session),
    [F_SEQ] = offsetof(struct link_control, seq),
    [F_FROM] = offsetof(struct link_control, from),
    [F_TO] = offsetof(struct link_control, to),
    [F_LAST] = offsetof(struct link_control, last),
    [F_BYTES] = offsetof(struct link_control, bytes),
    [F_SENT] = offsetof(struct link_control, sent),
    [F_RECEIVED] = offsetof(struct link_control, received),
};

struct cursor {
    const uint8_t *at;
    size_t left;
    bool bad; /* sticky: every later read gives zero */
};

static void put(uint8_t *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        out[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
}

static uint64_t get(const uint8_t *in, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | in[i];
    }
    return value;
}

static uint64_t take(struct cursor *in, size_t width)
{
    if (in->bad || in->left < width) {
        in->bad = true;
        return 0;
    }
    uint64_t value = get(in->at, width);
    in->at += width;
    in->left -= width;
    return value;
}

static struct rt_span take_span(struct cursor *in, size_t len)
{
    if (in->bad || in->left < len) {
        in->bad = true;
        return (struct rt_span){ NULL, 0 };
    }
    struct rt_span span = { in->at, len };
    in->at += len;
    in->left -= len;
    return span;
}

static void append(struct rt_buf *out, uint64_t value, size_t width)
{
    put(rt_buf_reserve(out, width), value, width);
    out->len += width;
}

static void encode_field(const struct link_control *in, enum field field, struct rt_buf *out)
{
    if (field == F_LINK_VERSION) {
        append(out, in->link_version, 2);
    } else if (field == F_APP_VERSION) {
        append(out, in->app_version, 4);
    } else if (field == F_NAME) {
        append(out, in->name.len, 1);
        rt_buf_append(out, in->name.data, in->name.len);
    } else if (field == F_FLAG) {
        append(out, in->flag ? 1 : 0, 1);
    } else if (field == F_TEXT || field == F_BODY) {
        rt_buf_append(out, in->body.data, in->body.len);
    } else {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)in + offsets[field], sizeof(value));
        append(out, value, 8);
    }
}

static void decode_name(struct cursor *in, struct link_control *out)
{
    out->name = take_span(in, (size_t)take(in, 1));
    if (!in->bad && !link_name_valid((const char *)out->name.data, out->name.len)) {
        in->bad = true;
    }
}

static void decode_flag(struct cursor *in, struct link_control *out)
{
    uint64_t value = take(in, 1);
    out->flag = value == 1;
    if (value > 1) {
        in->bad = true;
    }
}

static void decode_body(struct cursor *in, size_t max, struct link_control *out)
{
    if (in->left > max) {
        in->bad = true;
    }
    out->body = take_span(in, in->left);
}

static void decode_field(struct cursor *in, enum field field, struct link_control *out)
{
    if (field == F_LINK_VERSION) {
        out->link_version = (uint16_t)take(in, 2);
    } else if (field == F_APP_VERSION) {
        out->app_version = (uint32_t)take(in, 4);
    } else if (field == F_NAME) {
        decode_name(in, out);
    } else if (field == F_FLAG) {
        decode_flag(in, out);
    } else if (field == F_TEXT) {
        decode_body(in, LINK_TEXT_MAX, out);
    } else if (field == F_BODY) {
        decode_body(in, LINK_MESSAGE_MAX, out);
    } else {
        uint64_t value = take(in, 8);
        memcpy((uint8_t *)out + offsets[field], &value, sizeof(value));
    }
}

bool link_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > LINK_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-')) {
            return false;
        }
    }
    return true;
}

size_t link_frame_prefix(const char *name, enum link_kind kind, uint64_t epoch,
                         uint32_t payload_len, uint8_t out[LINK_PREFIX_MAX])
{
    size_t name_len = strnlen(name, LINK_NAME_MAX);
    memcpy(out, name, name_len);
    out[name_len] = 0;

    uint8_t *header = out + name_len + 1;
    header[0] = MAGIC_0;
    header[1] = MAGIC_1;
    header[2] = LINK_VERSION;
    header[3] = (uint8_t)kind;
    put(header + 4, payload_len, 4);
    put(header + 8, epoch, 8);
    put(header + 16, 0, 8);
    return name_len + 1 + LINK_HEADER_SIZE;
}

void link_frame_set_seq(uint8_t *frame, size_t prefix_len, uint64_t seq)
{
    put(frame + prefix_len - 8, seq, 8);
}

bool link_frame_decode(struct rt_span in, struct link_frame *out)
{
    size_t scan = in.len < LINK_NAME_MAX + 1 ? in.len : LINK_NAME_MAX + 1;
    const uint8_t *nul = scan > 0 ? memchr(in.data, 0, scan) : NULL;
    if (nul == NULL) {
        return false;
    }
    size_t name_len = (size_t)(nul - in.data);
    if (!link_name_valid((const char *)in.data, name_len) ||
        in.len < name_len + 1 + LINK_HEADER_SIZE) {
        return false;
    }
    const uint8_t *header = nul + 1;
    size_t payload_len = in.len - name_len - 1 - LINK_HEADER_SIZE;
    if (header[0] != MAGIC_0 || header[1] != MAGIC_1 || header[2] != LINK_VERSION ||
        payload_len > LINK_FRAME_MAX || get(header + 4, 4) != payload_len) {
        return false;
    }
    uint64_t seq = get(header + 16, 8);
    bool data = header[3] == LINK_DATA && seq > 0;
    bool heartbeat = header[3] == LINK_HEARTBEAT && payload_len == 0;
    /* The last number of all is left out, so that seq + 1 never wraps. */
    if ((!data && !heartbeat) || seq == UINT64_MAX) {
        return false;
    }
    *out = (struct link_frame){ .name = { in.data, name_len },
                                .kind = data ? LINK_DATA : LINK_HEARTBEAT,
                                .epoch = get(header + 8, 8),
                                .seq = seq,
                                .payload = { header + LINK_HEADER_SIZE, payload_len } };
    return true;
}

void link_control_encode(const struct link_control *in, struct rt_buf *out)
{
    append(out, in->type, 1);
    for (size_t i = 0; i < FIELDS_MAX && layouts[in->type][i] != F_END; i++) {
        encode_field(in, layouts[in->type][i], out);
    }
}

bool link_control_decode(struct rt_span in, struct link_control *out)
{
    struct cursor cursor = { in.data, in.len, false };
    uint64_t type = take(&cursor, 1);
    if (type < LINK_HELLO || type > LINK_ANSWER) {
        return false;
    }
    struct link_control control = { .type = (enum link_type)type };
    for (size_t i = 0; i < FIELDS_MAX && layouts[type][i] != F_END; i++) {
        decode_field(&cursor, layouts[type][i], &control);
        if (type == LINK_HELLO && layouts[type][i] == F_NAME && !cursor.bad &&
            control.link_version != LINK_VERSION) {
            *out = control;
            return true;
        }
    }
    if (cursor.bad || cursor.left != 0 || control.seq == UINT64_MAX || control.last == UINT64_MAX ||
        control.to == UINT64_MAX) {
        return false;
    }
    *out = control;
    return true;
}
