/* runtime/log_text.c - key=value and JSON lines. */
#include "runtime/log_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {
    [RT_LOG_DEBUG] = "debug",
    [RT_LOG_INFO] = "info",
    [RT_LOG_WARN] = "warn",
    [RT_LOG_ERROR] = "error",
};

/* The length of the UTF-8 sequence at `at`, or 0 when it is none (RFC 3629: no surrogates, shortest
 * form, up to U+10FFFF). */
static size_t utf8_length(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len == 0 || first > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
               (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : len;
}

/* U+0080 to U+009F are control characters for a terminal. */
static bool is_c1_control(const uint8_t *at, size_t len)
{
    return len == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static void put_escaped_ascii(struct rt_buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        rt_buf_puts(out, "\\\"");
        break;
    case '\\':
        rt_buf_puts(out, "\\\\");
        break;
    case '\n':
        rt_buf_puts(out, "\\n");
        break;
    case '\r':
        rt_buf_puts(out, "\\r");
        break;
    case '\t':
        rt_buf_puts(out, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7f) {
            rt_buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            rt_buf_putc(out, (char)c);
        }
        break;
    }
}

/* Between quotation marks. A byte that is not UTF-8 becomes U+FFFD, since JSON has no way to say it. */
static void put_quoted(struct rt_buf *out, const char *text, size_t len)
{
    size_t shown = len < RT_LOG_VALUE_MAX ? len : RT_LOG_VALUE_MAX;
    const uint8_t *bytes = (const uint8_t *)text;
    rt_buf_putc(out, '"');
    for (size_t i = 0; i < shown;) {
        size_t step = utf8_length(bytes + i, len - i);
        if (step == 0) {
            rt_buf_puts(out, "\xef\xbf\xbd");
            step = 1;
        } else if (step == 1) {
            put_escaped_ascii(out, bytes[i]);
        } else if (is_c1_control(bytes + i, step)) {
            rt_buf_printf(out, "\\u%04x", (unsigned)bytes[i + 1]);
        } else {
            rt_buf_append(out, bytes + i, step);
        }
        i += step;
    }
    if (shown < len) {
        rt_buf_puts(out, "...");
    }
    rt_buf_putc(out, '"');
}

/* Whether a kv value can stand without quotation marks. */
static bool is_plain(const char *text, size_t len)
{
    if (len == 0 || len > RT_LOG_VALUE_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\=", text[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static void put_text(struct rt_buf *out, enum rt_log_format format, const char *text, size_t len)
{
    if (text == NULL) {
        rt_buf_puts(out, format == RT_LOG_JSON ? "\"-\"" : "-");
    } else if (format == RT_LOG_KV && is_plain(text, len)) {
        rt_buf_append(out, text, len);
    } else {
        put_quoted(out, text, len);
    }
}

static void put_real(struct rt_buf *out, enum rt_log_format format, double value)
{
    if (isfinite(value)) {
        rt_buf_printf(out, "%.6g", value);
    } else {
        const char *name = isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
        put_text(out, format, name, strlen(name)); /* JSON has no such numbers: a string there */
    }
}

static void put_value(struct rt_buf *out, enum rt_log_format format, const struct rt_kv *kv)
{
    switch (kv->kind) {
    case RT_KV_TEXT:
        put_text(out, format, kv->text, kv->text != NULL ? strlen(kv->text) : 0);
        break;
    case RT_KV_SPAN:
        put_text(out, format, kv->text, kv->len);
        break;
    case RT_KV_UINT:
        rt_buf_printf(out, "%" PRIu64, kv->u);
        break;
    case RT_KV_INT:
        rt_buf_printf(out, "%" PRId64, kv->i);
        break;
    case RT_KV_REAL:
        put_real(out, format, kv->real);
        break;
    case RT_KV_NONE:
        break;
    }
}

static void write_kv(const struct rt_log_line *line, const char *time, struct rt_buf *out)
{
    rt_buf_printf(out, "%s %s %s %s", time, level_names[line->level], line->tier, line->event);
    for (const struct rt_kv *kv = line->kvs; kv->kind != RT_KV_NONE; kv++) {
        rt_buf_printf(out, " %s=", kv->key);
        put_value(out, RT_LOG_KV, kv);
    }
    if (line->suppressed > 0) {
        rt_buf_printf(out, " suppressed=%" PRIu64, line->suppressed);
    }
}

static void write_json(const struct rt_log_line *line, const char *time, struct rt_buf *out)
{
    rt_buf_printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"tier\":", time,
                  level_names[line->level]);
    put_quoted(out, line->tier, strlen(line->tier));
    rt_buf_puts(out, ",\"event\":");
    put_quoted(out, line->event, strlen(line->event));
    for (const struct rt_kv *kv = line->kvs; kv->kind != RT_KV_NONE; kv++) {
        rt_buf_putc(out, ',');
        put_quoted(out, kv->key, strlen(kv->key));
        rt_buf_putc(out, ':');
        put_value(out, RT_LOG_JSON, kv);
    }
    if (line->suppressed > 0) {
        rt_buf_printf(out, ",\"suppressed\":%" PRIu64, line->suppressed);
    }
    rt_buf_putc(out, '}');
}

void rt_log_line_write(const struct rt_log_line *line, enum rt_log_format format,
                       struct rt_buf *out)
{
    char time[RT_TIME_TEXT_SIZE];
    rt_time_text(line->wall, time);
    if (format == RT_LOG_JSON) {
        write_json(line, time, out);
    } else {
        write_kv(line, time, out);
    }
    rt_buf_putc(out, '\n');
}
