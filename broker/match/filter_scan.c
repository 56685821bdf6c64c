/* broker/match/filter_scan.c - see filter_scan.h. */
#include "broker/match/filter_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The number of the character at `where`; the text is valid UTF-8. */
uint32_t scan_character(const struct parser *p, const char *where)
{
    uint32_t count = 1;

    for (const char *at = p->text; at < where; at++) {
        count += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return count;
}

bool scan_fail(struct parser *p, const char *where, const char *format, ...)
{
    va_list args;

    p->error->at = scan_character(p, where);
    va_start(args, format);
    (void)vsnprintf(p->error->text, sizeof(p->error->text), format, args);
    va_end(args);
    return false;
}

/* "expected WHAT, found …": what stands at `where`, cut at a character. */
bool scan_expected(struct parser *p, const char *where, const char *what)
{
    size_t len = (size_t)(p->end - where);

    if (len == 0) {
        return scan_fail(p, where, "expected %s, found the end of the filter", what);
    }
    if (len > 24) {
        len = 24;
        while (((unsigned char)where[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    return scan_fail(p, where, "expected %s, found %.*s%s", what, (int)len, where,
                     where + len < p->end ? "…" : "");
}

bool scan_in_group(const struct parser *p)
{
    return p->depth > 0;
}

bool scan_at_char(const struct parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

bool scan_at_word(const struct parser *p, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(p->end - p->at) >= len && memcmp(p->at, word, len) == 0;
}

bool scan_take_word(struct parser *p, const char *word)
{
    if (!scan_at_word(p, word)) {
        return false;
    }
    p->at += strlen(word);
    return true;
}

void scan_skip_spaces(struct parser *p)
{
    while (scan_at_char(p, ' ')) {
        p->at++;
    }
}

/* --- pieces of text --- */

static void scan_put(struct parser *p, char c)
{
    p->out->bytes[p->used++] = c;
}

/* The piece that was put from `from` on. */
static struct wire_span scan_piece(struct parser *p, size_t from)
{
    struct wire_span span = { p->out->bytes + from, p->used - from };

    scan_put(p, '\0');
    return span;
}

struct wire_span scan_copy(struct parser *p, const char *from, const char *to)
{
    size_t begin = p->used;

    for (; from < to; from++) {
        scan_put(p, *from);
    }
    return scan_piece(p, begin);
}

/* At a double quote. */
bool scan_quoted(struct parser *p, struct wire_span *out)
{
    const char *open = p->at++;
    size_t begin = p->used;

    while (p->at < p->end && *p->at != '"') {
        if (*p->at == '\\' && ++p->at == p->end) {
            break;
        }
        scan_put(p, *p->at++);
    }
    if (p->at == p->end) {
        return scan_fail(p, open, "this quote is not closed");
    }
    p->at++;
    *out = scan_piece(p, begin);
    return true;
}

/* Behind a quoted stretch of a bare value, which only keeps separators and parentheses from their meaning. */
static const char *skip_quoted(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end) {
            at++;
        }
    }
    return at < end ? at + 1 : end;
}

/* The end of a bare value: the first of `stops` that is outside of parentheses and quotes. */
const char *scan_bare_end(const char *at, const char *end, const char *stops)
{
    unsigned parens = 0;
    char before = '.';

    while (at < end) {
        char c = *at;
        if (c == '"' && (before == '.' || before == '(' || before == ',')) {
            at = skip_quoted(at, end);
            before = '"';
            continue;
        }
        if (parens == 0 && strchr(stops, c) != NULL) {
            return at;
        }
        if (c == '(') {
            parens++;
        } else if (c == ')' && parens > 0) {
            parens--;
        }
        before = c;
        at++;
    }
    return end;
}
