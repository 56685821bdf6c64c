/* broker/match/filter_scan.h - the pieces of a filter's text: words, quoted and bare stretches, errors. Inside filter.c only.
 *
 * A parser borrows the text and writes pieces into the filter's own bytes. Every function is linear in what it reads.
 */
#ifndef PGTIDE_BROKER_MATCH_FILTER_SCAN_H
#define PGTIDE_BROKER_MATCH_FILTER_SCAN_H

#include "broker/match/filter.h"

/* What a dialect does at the top level; the same inside groups for all of them. */
struct manners {
    char separator; /* 0: there is one item, and its value is the rest */
    bool star;      /* * is the wildcard of like and ilike, beside % */
};

struct parser {
    const struct manners *manners;
    const char *text;
    const char *at;
    const char *end;
    struct filter *out;
    struct filter_error *error;
    size_t used; /* of out->bytes */
    uint32_t open[FILTER_DEPTH_MAX + 1];
    uint32_t depth; /* groups open, without the root */
};

/* False, always: the reason goes to p->error. */
bool scan_fail(struct parser *p, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected WHAT, found …" */
bool scan_expected(struct parser *p, const char *where, const char *what);
/* The number of the character at `where`, from 1. */
uint32_t scan_character(const struct parser *p, const char *where);

bool scan_in_group(const struct parser *p);
bool scan_at_char(const struct parser *p, char c);
bool scan_at_word(const struct parser *p, const char *word);
bool scan_take_word(struct parser *p, const char *word);
void scan_skip_spaces(struct parser *p);

/* Copies a stretch of the text into the filter's bytes, with a NUL behind it. */
struct wire_span scan_copy(struct parser *p, const char *from, const char *to);
/* At a double quote: reads to its end, undoing escapes. False when it has none. */
bool scan_quoted(struct parser *p, struct wire_span *out);
/* The end of a bare value: the first of `stops` that is outside of parentheses and quotes. */
const char *scan_bare_end(const char *at, const char *end, const char *stops);

#endif
