/* broker/match/value.c - see value.h. */
#include "broker/match/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_TEXT_MAX = 512 };

/* Type numbers are fixed in PostgreSQL's pg_type.dat. */
static const struct {
    uint32_t oid;
    bool collated;
    struct match_type type;
} types[] = {
    { 16, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },       /* bool */
    { 17, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },       /* bytea */
    { 18, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },       /* "char" */
    { 19, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },       /* name */
    { 20, false, { MATCH_FORM_BYTES, MATCH_ORDER_NUMBER } },     /* int8 */
    { 21, false, { MATCH_FORM_BYTES, MATCH_ORDER_NUMBER } },     /* int2 */
    { 23, false, { MATCH_FORM_BYTES, MATCH_ORDER_NUMBER } },     /* int4 */
    { 25, true, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },        /* text */
    { 26, false, { MATCH_FORM_BYTES, MATCH_ORDER_NUMBER } },     /* oid */
    { 650, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },      /* cidr */
    { 700, false, { MATCH_FORM_DECIMAL, MATCH_ORDER_NUMBER } },  /* float4 */
    { 701, false, { MATCH_FORM_DECIMAL, MATCH_ORDER_NUMBER } },  /* float8 */
    { 774, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },      /* macaddr8 */
    { 829, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },      /* macaddr */
    { 869, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },      /* inet */
    { 1042, true, { MATCH_FORM_TRIMMED, MATCH_ORDER_NONE } },    /* char(n) */
    { 1043, true, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },      /* varchar */
    { 1082, false, { MATCH_FORM_BYTES, MATCH_ORDER_TIME } },     /* date */
    { 1083, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },     /* time */
    { 1114, false, { MATCH_FORM_BYTES, MATCH_ORDER_TIME } },     /* timestamp */
    { 1184, false, { MATCH_FORM_BYTES, MATCH_ORDER_TIME } },     /* timestamptz */
    { 1700, false, { MATCH_FORM_DECIMAL, MATCH_ORDER_NUMBER } }, /* numeric */
    { 2950, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },     /* uuid */
    { 3220, false, { MATCH_FORM_BYTES, MATCH_ORDER_NONE } },     /* pg_lsn */
};

struct match_type match_type_of(uint32_t type_oid, bool deterministic)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].oid == type_oid && (deterministic || !types[i].collated)) {
            return types[i].type;
        }
    }
    return (struct match_type){ MATCH_FORM_NONE, MATCH_ORDER_NONE };
}

/* A float's shortest text is one per value, with or without an exponent; numeric never has one. */
static struct wire_span decimal_bytes(struct wire_span text)
{
    if (text.len == 2 && memcmp(text.data, "-0", 2) == 0) {
        return (struct wire_span){ "0", 1 };
    }
    if (memchr(text.data, '.', text.len) == NULL || memchr(text.data, 'e', text.len) != NULL) {
        return text;
    }
    while (text.data[text.len - 1] == '0') {
        text.len--;
    }
    if (text.data[text.len - 1] == '.') {
        text.len--;
    }
    return text;
}

struct wire_span match_bytes(enum match_form form, struct wire_span text)
{
    if (text.len == 0) {
        return (struct wire_span){ "", 0 };
    }
    if (form == MATCH_FORM_TRIMMED) {
        while (text.len > 0 && text.data[text.len - 1] == ' ') {
            text.len--;
        }
    }
    return form == MATCH_FORM_DECIMAL ? decimal_bytes(text) : text;
}

static bool is_text(struct wire_span text, const char *literal)
{
    return text.len == strlen(literal) && memcmp(text.data, literal, text.len) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* strtod rounds correctly, so it keeps the order. What is cut off a long text is behind the point, or the number
 * is past what a double holds. */
static bool rank_number(struct wire_span text, double *out)
{
    char copy[NUMBER_TEXT_MAX];
    size_t sign = text.len > 0 && text.data[0] == '-' ? 1 : 0;
    size_t whole = sign;
    char *end = NULL;

    if (is_text(text, "NaN") || is_text(text, "Infinity")) {
        *out = HUGE_VAL;
        return true;
    }
    if (is_text(text, "-Infinity")) {
        *out = -HUGE_VAL;
        return true;
    }
    while (whole < text.len && is_digit(text.data[whole])) {
        whole++;
    }
    if (whole == sign) {
        return false;
    }
    if (whole - sign > NUMBER_TEXT_MAX - 100) {
        *out = sign > 0 ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    size_t len = text.len < sizeof(copy) ? text.len : sizeof(copy) - 1;
    memcpy(copy, text.data, len);
    copy[len] = '\0';
    if (strspn(copy + sign, "0123456789.e+-") != len - sign) {
        return false;
    }
    double value = strtod(copy, &end);
    if (*end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

/* Digits from *at on, at most nine of them. */
static bool take_digits(const char **at, const char *end, int64_t *out)
{
    const char *from = *at;
    int64_t value = 0;

    while (*at < end && is_digit(**at) && *at - from < 9) {
        value = value * 10 + (**at - '0');
        (*at)++;
    }
    *out = value;
    return *at > from;
}

static bool take_char(const char **at, const char *end, char c)
{
    if (*at == end || **at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant's algorithm). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* hh:mm[:ss[.ffffff]] in microseconds; also the form of a zone: hh[:mm[:ss]]. */
static bool take_clock(const char **at, const char *end, int64_t *out)
{
    int64_t parts[3] = { 0 };
    int64_t micros = 0;

    if (!take_digits(at, end, &parts[0])) {
        return false;
    }
    for (int i = 1; i < 3 && take_char(at, end, ':'); i++) {
        if (!take_digits(at, end, &parts[i])) {
            return false;
        }
    }
    if (take_char(at, end, '.')) {
        const char *from = *at;
        if (!take_digits(at, end, &micros) || *at - from > 6) {
            return false;
        }
        for (long i = *at - from; i < 6; i++) {
            micros *= 10;
        }
    }
    *out = ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000000 + micros;
    return true;
}

/* 2026-11-21, 2026-11-21 09:49:46.5, the same with +00 or +05:30, any of them with BC. */
static bool rank_time(struct wire_span text, double *out)
{
    const char *at = text.data;
    const char *end = text.data + text.len;
    int64_t date[3] = { 0 };
    int64_t clock = 0;
    int64_t zone = 0;

    if (is_text(text, "infinity") || is_text(text, "-infinity")) {
        *out = text.data[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (!take_digits(&at, end, &date[0]) || !take_char(&at, end, '-') ||
        !take_digits(&at, end, &date[1]) || !take_char(&at, end, '-') ||
        !take_digits(&at, end, &date[2]) || date[1] < 1 || date[1] > 12) {
        return false;
    }
    if (end - at >= 2 && at[0] == ' ' && is_digit(at[1])) {
        at++;
        if (!take_clock(&at, end, &clock)) {
            return false;
        }
        bool east = at < end && *at == '+';
        if ((take_char(&at, end, '+') || take_char(&at, end, '-')) &&
            !take_clock(&at, end, &zone)) {
            return false;
        }
        clock -= east ? zone : -zone;
    }
    bool before_christ = end - at == 3 && memcmp(at, " BC", 3) == 0;
    if (at != end && !before_christ) {
        return false;
    }
    int64_t year = before_christ ? 1 - date[0] : date[0];
    *out = (double)days_of(year, date[1], date[2]) * 86400e6 + (double)clock;
    return true;
}

bool match_rank(enum match_order order, struct wire_span text, double *out)
{
    switch (order) {
    case MATCH_ORDER_NUMBER:
        return rank_number(text, out);
    case MATCH_ORDER_TIME:
        return rank_time(text, out);
    case MATCH_ORDER_NONE:
        break;
    }
    return false;
}
