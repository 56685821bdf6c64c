/* cli/frame_scan.c - see frame_scan.h. */
#include "cli/frame_scan.h"

#include <string.h>

struct scan {
    const char *at;
    const char *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at)) {
        scan->at++;
    }
}

static bool skip_char(struct scan *scan, char c)
{
    skip_space(scan);
    if (scan->at >= scan->end || *scan->at != c) {
        return false;
    }
    scan->at++;
    return true;
}

/* A string with its quotes; *text is what is between them. */
static bool take_string(struct scan *scan, const char **text, size_t *len)
{
    if (!skip_char(scan, '"')) {
        return false;
    }
    *text = scan->at;
    while (scan->at < scan->end && *scan->at != '"') {
        scan->at += *scan->at == '\\' ? 2 : 1;
    }
    if (scan->at >= scan->end) {
        return false;
    }
    *len = (size_t)(scan->at - *text);
    scan->at++;
    return true;
}

/* Anything up to the comma or brace that ends it. */
static bool skip_value(struct scan *scan)
{
    size_t depth = 0;

    while (scan->at < scan->end) {
        const char *text = NULL;
        size_t len = 0;
        char c = *scan->at;
        if (c == '"') {
            if (!take_string(scan, &text, &len)) {
                return false;
            }
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}')) {
            return true;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        scan->at++;
    }
    return false;
}

static void copy(char *out, size_t out_size, const char *text, size_t len)
{
    size_t take = len < out_size ? len : out_size - 1;

    memcpy(out, text, take);
    out[take] = '\0';
}

bool cli_frame_text(const char *frame, size_t len, const char *name, char *out, size_t out_size)
{
    struct scan scan = { frame, frame + len };

    out[0] = '\0';
    if (!skip_char(&scan, '{')) {
        return false;
    }
    do {
        const char *key = NULL;
        size_t key_len = 0;
        if (!take_string(&scan, &key, &key_len) || !skip_char(&scan, ':')) {
            return false;
        }
        skip_space(&scan);
        if (key_len == strlen(name) && memcmp(key, name, key_len) == 0) {
            const char *text = NULL;
            size_t text_len = 0;
            if (!take_string(&scan, &text, &text_len)) {
                return false;
            }
            copy(out, out_size, text, text_len);
            return true;
        }
        if (!skip_value(&scan)) {
            return false;
        }
    } while (skip_char(&scan, ','));
    return false;
}
