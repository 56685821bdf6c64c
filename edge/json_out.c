/* edge/json_out.c - see json_out.h.
 *
 * Strings are copied in runs: a byte is looked up once, and only quotes, backslashes, control characters and
 * bytes from 0x80 on end the plain run.
 */
#include "edge/json_out.h"

#include <stdint.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* What follows the backslash of a short escape; 0: none. */
static char short_escape(uint8_t byte)
{
    switch (byte) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void append_escape(struct rt_buf *out, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    char letter = short_escape(byte);

    if (letter != 0) {
        rt_buf_append(out, (char[]){ '\\', letter }, 2);
    } else {
        rt_buf_append(out, (char[]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] }, 6);
    }
}

/* The first continuation byte is narrower after some leads: no overlong forms, no surrogates, nothing
 * beyond U+10FFFF (Unicode 3.9, table 3-7). */
struct lead {
    uint8_t more;
    uint8_t low;
    uint8_t high;
};
static struct lead lead_of(uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf) {
        return (struct lead){ 1, 0x80, 0xbf };
    }
    if (byte >= 0xe0 && byte <= 0xef) {
        return (struct lead){ 2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf };
    }
    if (byte >= 0xf0 && byte <= 0xf4) {
        return (struct lead){ 3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf };
    }
    return (struct lead){ 0, 0, 0 };
}

/* Length of the sequence at `at`, which is at least 0x80; *valid says whether it is a character. A broken one has
 * the length of what was right of it, at least 1. */
static size_t sequence(const uint8_t *at, const uint8_t *end, bool *valid)
{
    struct lead lead = lead_of(*at);
    size_t len = 1;

    *valid = false;
    if (lead.more == 0) {
        return 1;
    }
    while (len <= lead.more) {
        if (at + len == end || at[len] < lead.low || at[len] > lead.high) {
            return len;
        }
        lead.low = 0x80;
        lead.high = 0xbf;
        len++;
    }
    *valid = true;
    return len;
}

/* Copies one character from 0x80 on, or its replacement. Returns what comes after it. */
static const uint8_t *copy_multibyte(struct rt_buf *out, const uint8_t *at, const uint8_t *end,
                                     size_t *replaced)
{
    bool valid = false;
    size_t len = sequence(at, end, &valid);

    if (valid) {
        rt_buf_append(out, at, len);
    } else {
        rt_buf_append(out, replacement, 3);
        (*replaced)++;
    }
    return at + len;
}

size_t json_out_string(struct rt_buf *out, const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + len;
    size_t replaced = 0;

    rt_buf_putc(out, '"');
    while (at < end) {
        const uint8_t *run = at;
        while (at < end && is_plain(*at)) {
            at++;
        }
        if (at > run) {
            rt_buf_append(out, run, (size_t)(at - run));
        } else if (*at >= 0x80) {
            at = copy_multibyte(out, at, end, &replaced);
        } else {
            append_escape(out, *at++);
        }
    }
    rt_buf_putc(out, '"');
    return replaced;
}

void json_out_key(struct rt_buf *out, const char *name)
{
    rt_buf_putc(out, '"');
    rt_buf_puts(out, name);
    rt_buf_append(out, "\":", 2);
}

size_t json_out_text_member(struct rt_buf *out, const char *name, const char *text, size_t len)
{
    json_out_key(out, name);
    return json_out_string(out, text, len);
}

/* --- checking and compacting ------------------------------------------------------------------------ */

struct compactor {
    const uint8_t *at;
    const uint8_t *end;
    struct rt_buf *out;
    struct rt_buf *stack; /* one byte per open container: '{' or '[' */
    size_t *replaced;
};

static void skip_space(struct compactor *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) {
        in->at++;
    }
}

static bool is_digit(const struct compactor *in)
{
    return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static bool digits(struct compactor *in)
{
    if (!is_digit(in)) {
        return false;
    }
    while (is_digit(in)) {
        in->at++;
    }
    return true;
}

static bool number(struct compactor *in)
{
    const uint8_t *from = in->at;

    if (*in->at == '-') {
        in->at++;
    }
    if (in->at < in->end && *in->at == '0') {
        in->at++;
    } else if (!digits(in)) {
        return false;
    }
    if (in->at < in->end && *in->at == '.') {
        in->at++;
        if (!digits(in)) {
            return false;
        }
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-')) {
            in->at++;
        }
        if (!digits(in)) {
            return false;
        }
    }
    rt_buf_append(in->out, from, (size_t)(in->at - from));
    return true;
}

static bool hex4(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t lower = at[i] | 0x20u;
        if (!((at[i] >= '0' && at[i] <= '9') || (lower >= 'a' && lower <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* At a backslash inside a string, or at a control character, which is refused. */
static bool escape(struct compactor *in)
{
    static const char letters[] = "\"\\/bfnrtu";
    size_t len = 2;

    if (in->end - in->at < 2 || in->at[0] != '\\' ||
        memchr(letters, in->at[1], sizeof letters - 1) == NULL) {
        return false;
    }
    if (in->at[1] == 'u') {
        if (!hex4(in->at + 2, in->end)) {
            return false;
        }
        len = 6;
    }
    rt_buf_append(in->out, in->at, len);
    in->at += len;
    return true;
}

static bool string(struct compactor *in)
{
    rt_buf_putc(in->out, '"');
    in->at++;
    while (in->at < in->end && *in->at != '"') {
        const uint8_t *run = in->at;
        while (in->at < in->end && is_plain(*in->at)) {
            in->at++;
        }
        if (in->at > run) {
            rt_buf_append(in->out, run, (size_t)(in->at - run));
        } else if (*in->at >= 0x80) {
            in->at = copy_multibyte(in->out, in->at, in->end, in->replaced);
        } else if (!escape(in)) {
            return false;
        }
    }
    if (in->at == in->end) {
        return false;
    }
    in->at++;
    rt_buf_putc(in->out, '"');
    return true;
}

static bool word(struct compactor *in, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0) {
        return false;
    }
    rt_buf_append(in->out, text, len);
    in->at += len;
    return true;
}

static bool scalar(struct compactor *in)
{
    switch (*in->at) {
    case '"':
        return string(in);
    case 't':
        return word(in, "true");
    case 'f':
        return word(in, "false");
    case 'n':
        return word(in, "null");
    default:
        return number(in);
    }
}

/* A member's name and its colon, in front of the value. */
static bool name(struct compactor *in)
{
    skip_space(in);
    if (in->at == in->end || *in->at != '"' || !string(in)) {
        return false;
    }
    skip_space(in);
    if (in->at == in->end || *in->at != ':') {
        return false;
    }
    in->at++;
    rt_buf_putc(in->out, ':');
    return true;
}

/* Behind a value: closes what ends here. *more: a comma came, another value follows. */
static bool after_value(struct compactor *in, bool *more)
{
    *more = false;
    while (in->stack->len > 0) {
        uint8_t open = in->stack->data[in->stack->len - 1];
        skip_space(in);
        if (in->at == in->end) {
            return false;
        }
        uint8_t byte = *in->at++;
        rt_buf_putc(in->out, (char)byte);
        if (byte == ',') {
            *more = true;
            return open == '[' || name(in);
        }
        if (byte != (open == '{' ? '}' : ']')) {
            return false;
        }
        in->stack->len--;
    }
    return true;
}

/* Opens containers until a scalar or an empty container. *empty: the container just opened ends at once. */
static bool open_containers(struct compactor *in, bool *empty)
{
    *empty = false;
    for (;;) {
        skip_space(in);
        if (in->at == in->end) {
            return false;
        }
        uint8_t byte = *in->at;
        if (byte != '{' && byte != '[') {
            return true;
        }
        in->at++;
        rt_buf_putc(in->out, (char)byte);
        rt_buf_putc(in->stack, (char)byte);
        skip_space(in);
        if (in->at < in->end && *in->at == (byte == '{' ? '}' : ']')) {
            *empty = true;
            return true;
        }
        if (byte == '{' && !name(in)) {
            return false;
        }
    }
}

static bool compact(struct compactor *in)
{
    bool more = true;

    while (more) {
        bool empty = false;
        if (!open_containers(in, &empty) || (!empty && !scalar(in)) || !after_value(in, &more)) {
            return false;
        }
    }
    skip_space(in);
    return in->at == in->end;
}

bool json_out_compact(struct rt_buf *out, const char *text, size_t len, struct rt_buf *scratch,
                      size_t *replaced)
{
    size_t start = out->len;
    size_t replaced_before = *replaced;
    struct compactor in = {
        .at = (const uint8_t *)text,
        .end = (const uint8_t *)text + len,
        .out = out,
        .stack = scratch,
        .replaced = replaced,
    };

    rt_buf_clear(scratch);
    if (!compact(&in)) {
        out->len = start;
        *replaced = replaced_before;
        return false;
    }
    return true;
}
