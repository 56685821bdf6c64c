/* broker/policy/value.c - text to payload, and comparison. */
#include "broker/policy/value.h"

#include <stdlib.h>
#include <string.h>

enum { FLOAT_TEXT_MAX = 400 };

#define DAY_USEC INT64_C(86400000000)

struct policy_value policy_value_state(uint8_t state)
{
    return (struct policy_value){ .state = state, .text = "" };
}

static bool text_is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static bool read_int(const char *text, size_t len, int64_t *out)
{
    uint64_t value = 0;
    size_t at = len > 0 && text[0] == '-' ? 1 : 0;
    uint64_t limit = at == 1 ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;

    if (at == len || len - at > 19) {
        return false;
    }
    for (; at < len; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text[at] - '0');
    }
    if (value > limit) {
        return false;
    }
    *out = text[0] == '-' ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool read_float(const char *text, size_t len, bool single, double *out)
{
    char copy[FLOAT_TEXT_MAX + 1];
    char *end = copy;

    /* What PostgreSQL prints: digits, a point, an exponent; NaN, Infinity. Not what else strtod reads. */
    if (len == 0 || len > FLOAT_TEXT_MAX) {
        return false;
    }
    bool word = text_is(text, len, "NaN") || text_is(text, len, "Infinity") ||
                text_is(text, len, "-Infinity");
    for (size_t i = 0; i < len && !word; i++) {
        if (text[i] == 0 || strchr("0123456789+-.e", text[i]) == NULL) {
            return false;
        }
    }
    memcpy(copy, text, len);
    copy[len] = 0;
    *out = single ? (double)strtof(copy, &end) : strtod(copy, &end);
    return *end == 0 && end != copy;
}

/* Days since 1970-01-01, proleptic Gregorian (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct cursor {
    const char *at;
    const char *end;
};

static bool digits(struct cursor *in, size_t least, size_t most, int64_t *out)
{
    const char *from = in->at;
    int64_t value = 0;

    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && (size_t)(in->at - from) < most) {
        value = value * 10 + (*in->at - '0');
        in->at++;
    }
    *out = value;
    return (size_t)(in->at - from) >= least;
}

static bool take(struct cursor *in, char what)
{
    if (in->at == in->end || *in->at != what) {
        return false;
    }
    in->at++;
    return true;
}

static bool read_clock(struct cursor *in, int64_t *out)
{
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction = 0;

    if (!digits(in, 2, 2, &hour) || !take(in, ':') || !digits(in, 2, 2, &minute) ||
        !take(in, ':') || !digits(in, 2, 2, &second)) {
        return false;
    }
    if (take(in, '.')) {
        const char *from = in->at;
        if (!digits(in, 1, 6, &fraction)) {
            return false;
        }
        for (ptrdiff_t width = in->at - from; width < 6; width++) {
            fraction *= 10;
        }
    }
    *out = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction;
    return hour <= 24 && minute < 60 && second <= 60;
}

/* 2024-01-31 [12:00:00[.25][+00]] [BC]; infinity and -infinity are the ends of int64. */
static bool read_time(const char *text, size_t len, bool clock, int64_t *out)
{
    struct cursor in = { text, text + len };
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t usec = 0;

    if (text_is(text, len, "infinity") || text_is(text, len, "-infinity")) {
        *out = text[0] == '-' ? INT64_MIN : INT64_MAX;
        if (POLICY_FAULT(POLICY_FAULT_INFINITY_IS_ZERO)) {
            *out = 0;
        }
        return true;
    }
    if (!digits(&in, 4, 7, &year) || !take(&in, '-') || !digits(&in, 2, 2, &month) ||
        !take(&in, '-') || !digits(&in, 2, 2, &day)) {
        return false;
    }
    if (clock) {
        if (!take(&in, ' ') || !read_clock(&in, &usec)) {
            return false;
        }
        if (take(&in, '+')) { /* the session's time zone is UTC */
            int64_t zone = 0;
            if (!digits(&in, 2, 2, &zone) || zone != 0) {
                return false;
            }
        }
    }
    if (in.end - in.at == 3 && memcmp(in.at, " BC", 3) == 0) {
        year = 1 - year;
        in.at = in.end;
    }
    if (in.at != in.end || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    int64_t days = days_from_civil(year, month, day);
    if (!clock) {
        *out = days;
        return true;
    }
    return !__builtin_mul_overflow(days, DAY_USEC, &days) &&
           !__builtin_add_overflow(days, usec, out);
}

static bool read_enum(const struct policy_enum *labels, const char *text, size_t len, int64_t *out)
{
    for (uint32_t i = 0; labels != NULL && i < labels->count; i++) {
        if (labels->labels[i].len == len && memcmp(labels->labels[i].text, text, len) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool read_bool(const char *text, size_t len, int64_t *out)
{
    *out = text_is(text, len, "t") || text_is(text, len, "true");
    return *out == 1 || text_is(text, len, "f") || text_is(text, len, "false");
}

static bool read_payload(struct policy_value *value, const struct policy_enum *labels)
{
    switch ((enum policy_kind)value->kind) {
    case POLICY_KIND_BOOL:
        return read_bool(value->text, value->len, &value->i);
    case POLICY_KIND_INT:
        return read_int(value->text, value->len, &value->i);
    case POLICY_KIND_FLOAT4:
        return read_float(value->text, value->len, true, &value->f);
    case POLICY_KIND_FLOAT8:
        return read_float(value->text, value->len, false, &value->f);
    case POLICY_KIND_NUMERIC:
        return policy_numeric_valid(value->text, value->len);
    case POLICY_KIND_DATE:
        return read_time(value->text, value->len, false, &value->i);
    case POLICY_KIND_STAMP:
        return read_time(value->text, value->len, true, &value->i);
    case POLICY_KIND_ENUM:
        return read_enum(labels, value->text, value->len, &value->i);
    case POLICY_KIND_TEXT:
    case POLICY_KIND_BYTES:
    case POLICY_KIND_CANONICAL:
    case POLICY_KIND_ARRAY: /* element by element, by who looks inside */
        return true;
    case POLICY_KIND_NONE:
        break;
    }
    return false;
}

struct policy_value policy_value_parse(enum policy_kind kind, const char *text, size_t len,
                                       const struct policy_enum *labels)
{
    struct policy_value value = {
        .state = VALUE_KNOWN, .kind = (uint8_t)kind, .len = (uint32_t)len, .text = text
    };

    if (!read_payload(&value, labels)) {
        value.state = VALUE_FREE;
    }
    return value;
}

static int compare_bytes(const struct policy_value *a, const struct policy_value *b)
{
    uint32_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter > 0 ? memcmp(a->text, b->text, shorter) : 0;

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* NaN equals NaN and is the largest; -0 equals 0. */
static int compare_floats(double a, double b)
{
    bool a_nan = a != a;
    bool b_nan = b != b;

    if (a_nan || b_nan) {
        return (int)a_nan - (int)b_nan;
    }
    return (a > b) - (a < b);
}

int policy_value_compare(const struct policy_value *a, const struct policy_value *b)
{
    switch ((enum policy_kind)a->kind) {
    case POLICY_KIND_BOOL:
    case POLICY_KIND_DATE:
    case POLICY_KIND_STAMP:
        return (a->i > b->i) - (a->i < b->i);
    case POLICY_KIND_ENUM:
        if (POLICY_FAULT(POLICY_FAULT_ENUM_BY_LABEL)) {
            return compare_bytes(a, b);
        }
        return (a->i > b->i) - (a->i < b->i);
    case POLICY_KIND_INT:
        if (b->kind == POLICY_KIND_INT) {
            return (a->i > b->i) - (a->i < b->i);
        }
        return policy_numeric_compare(a->text, a->len, b->text, b->len);
    case POLICY_KIND_FLOAT4:
    case POLICY_KIND_FLOAT8:
        return POLICY_FAULT(POLICY_FAULT_FLOAT_AS_TEXT) ? compare_bytes(a, b)
                                                        : compare_floats(a->f, b->f);
    case POLICY_KIND_NUMERIC:
        return POLICY_FAULT(POLICY_FAULT_NUMERIC_AS_TEXT)
                   ? compare_bytes(a, b)
                   : policy_numeric_compare(a->text, a->len, b->text, b->len);
    case POLICY_KIND_TEXT:
    case POLICY_KIND_BYTES:
    case POLICY_KIND_CANONICAL:
    case POLICY_KIND_ARRAY:
    case POLICY_KIND_NONE:
        break;
    }
    return compare_bytes(a, b);
}
