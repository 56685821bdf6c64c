/* broker/policy/value_text.c - decimal numbers, arrays and patterns, as text. */
#include <string.h>

#include "broker/policy/value.h"

/* --- numerics --------------------------------------------------------------------------------- */

enum rank { RANK_MINUS_INFINITY, RANK_NEGATIVE, RANK_ZERO, RANK_POSITIVE, RANK_INFINITY, RANK_NAN };

struct decimal {
    enum rank rank;
    const char *whole; /* without leading zeros */
    size_t whole_len;
    const char *fraction; /* without trailing zeros */
    size_t fraction_len;
};

static struct decimal read_decimal(const char *text, size_t len)
{
    struct decimal out = { .rank = RANK_POSITIVE };
    const char *end = text + len;
    bool minus = len > 0 && text[0] == '-';

    text += minus;
    if (text < end && *text == 'I') {
        out.rank = minus ? RANK_MINUS_INFINITY : RANK_INFINITY;
        return out;
    }
    if (text < end && *text == 'N') {
        out.rank = RANK_NAN;
        return out;
    }
    const char *point = memchr(text, '.', (size_t)(end - text));
    const char *whole_end = point != NULL ? point : end;
    while (text < whole_end && *text == '0') {
        text++;
    }
    out.whole = text;
    out.whole_len = (size_t)(whole_end - text);
    out.fraction = point != NULL ? point + 1 : end;
    while (end > out.fraction && end[-1] == '0') {
        end--;
    }
    out.fraction_len = (size_t)(end - out.fraction);
    if (out.whole_len + out.fraction_len == 0) {
        out.rank = RANK_ZERO;
    } else if (minus) {
        out.rank = RANK_NEGATIVE;
    }
    return out;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    if (a->whole_len != b->whole_len) {
        return a->whole_len < b->whole_len ? -1 : 1;
    }
    int order = memcmp(a->whole, b->whole, a->whole_len);
    if (order != 0) {
        return order;
    }
    size_t shorter = a->fraction_len < b->fraction_len ? a->fraction_len : b->fraction_len;
    order = memcmp(a->fraction, b->fraction, shorter);
    return order != 0 ? order
                      : (a->fraction_len > b->fraction_len) - (a->fraction_len < b->fraction_len);
}

int policy_numeric_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    struct decimal left = read_decimal(a, a_len);
    struct decimal right = read_decimal(b, b_len);

    if (left.rank != right.rank) {
        return left.rank < right.rank ? -1 : 1;
    }
    if (left.rank == RANK_POSITIVE) {
        return compare_magnitude(&left, &right);
    }
    return left.rank == RANK_NEGATIVE ? compare_magnitude(&right, &left) : 0;
}

bool policy_numeric_valid(const char *text, size_t len)
{
    static const char *const words[] = { "NaN", "Infinity", "-Infinity" };
    size_t at = len > 0 && text[0] == '-' ? 1 : 0;
    size_t numerals = 0;
    bool point = false;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) {
            return true;
        }
    }
    for (; at < len; at++) {
        if (text[at] == '.' && !point && numerals > 0) {
            point = true;
        } else if (text[at] >= '0' && text[at] <= '9') {
            numerals++;
        } else {
            return false;
        }
    }
    return numerals > 0 && text[len - 1] != '.';
}

/* --- arrays ----------------------------------------------------------------------------------- */

void policy_array_open(struct policy_array *array, const char *text, size_t len)
{
    *array = (struct policy_array){ .at = text, .end = text + len };
    if (len > 0 && *text == '[') { /* [2:3]={a,b}: bounds do not matter here */
        const char *equals = memchr(text, '=', len);
        array->at = equals != NULL ? equals + 1 : array->end;
    }
    array->bad = array->at == array->end || *array->at != '{';
}

static bool quoted(struct policy_array *array, char *scratch, const char **out, size_t *out_len)
{
    const char *from = ++array->at;
    size_t written = 0;
    bool escaped = false;

    while (array->at < array->end && *array->at != '"') {
        if (*array->at == '\\') {
            if (!escaped) {
                written = (size_t)(array->at - from);
                memcpy(scratch, from, written);
                escaped = true;
            }
            array->at++;
            if (array->at == array->end) {
                return false;
            }
        }
        if (escaped) {
            scratch[written++] = *array->at;
        }
        array->at++;
    }
    *out = escaped ? scratch : from;
    *out_len = escaped ? written : (size_t)(array->at - from);
    return array->at++ < array->end;
}

static bool plain(struct policy_array *array, const char **out, size_t *out_len, bool *is_null)
{
    const char *from = array->at;

    while (array->at < array->end && strchr(",{}\"\\", *array->at) == NULL) {
        array->at++;
    }
    *out = from;
    *out_len = (size_t)(array->at - from);
    *is_null = *out_len == 4 && memcmp(from, "NULL", 4) == 0;
    return *out_len > 0;
}

/* Every element is followed by , or }; what comes after the last } is nothing. */
bool policy_array_next(struct policy_array *array, char *scratch, const char **out_text,
                       size_t *out_len, bool *is_null)
{
    *is_null = false;
    while (!array->bad && array->at < array->end) {
        switch (*array->at) {
        case '{':
            array->depth++;
            array->at++;
            break;
        case ',':
            array->bad = array->depth == 0;
            array->at++;
            break;
        case '}':
            array->bad = array->depth == 0;
            array->depth--;
            array->at++;
            break;
        case '"':
            array->bad = array->depth == 0 || !quoted(array, scratch, out_text, out_len);
            return !array->bad;
        default:
            array->bad = array->depth == 0 || !plain(array, out_text, out_len, is_null);
            return !array->bad;
        }
    }
    array->bad = array->bad || array->depth != 0;
    return false;
}

/* --- LIKE ------------------------------------------------------------------------------------- */

static const char *next_char(const char *at, const char *end)
{
    do {
        at++;
    } while (at < end && ((unsigned char)*at & 0xc0u) == 0x80u);
    return at;
}

/* The literal character (with its escape) at the pattern: how many bytes of it, 0 for a wildcard. */
static bool literal(const char **pattern, const char *end, char *out)
{
    if (**pattern == '\\' && !POLICY_FAULT(POLICY_FAULT_LIKE_NO_ESCAPE)) {
        if (*pattern + 1 == end) {
            return false;
        }
        (*pattern)++;
    }
    *out = **pattern;
    return true;
}

/* Greedy with one point to return to: the last %. PostgreSQL raises the error of a bad pattern when it gets there,
 * or when it skips wildcards; any pattern with a lone escape at its end is called bad here: see policy_like. */
static bool match(const char *text, const char *end, const char *pattern, const char *pattern_end)
{
    const char *retry_text = NULL;
    const char *retry_pattern = NULL;

    while (text < end || pattern < pattern_end) {
        if (pattern < pattern_end && *pattern == '%') {
            retry_pattern = ++pattern;
            retry_text = text;
            continue;
        }
        if (pattern < pattern_end && *pattern == '_' && text < end) {
            pattern++;
            text = next_char(text, end);
            continue;
        }
        char want = 0;
        const char *at = pattern;
        if (pattern < pattern_end && *pattern != '_' && text < end &&
            literal(&at, pattern_end, &want) && want == *text) {
            pattern = at + 1;
            text++;
            continue;
        }
        if (retry_pattern == NULL || retry_text == end) {
            return false;
        }
        retry_text = next_char(retry_text, end);
        text = retry_text;
        pattern = retry_pattern;
    }
    return true;
}

enum policy_match policy_like(const char *text, size_t len, const char *pattern, size_t pattern_len)
{
    size_t escapes = 0;

    while (escapes < pattern_len && pattern[pattern_len - 1 - escapes] == '\\') {
        escapes++;
    }
    if (escapes % 2 == 1) {
        return POLICY_MATCH_BAD;
    }
    return match(text, text + len, pattern, pattern + pattern_len) ? POLICY_MATCH_YES
                                                                   : POLICY_MATCH_NO;
}
