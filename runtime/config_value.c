/* runtime/config_value.c - durations, sizes, numbers and switches as texts, and what was probably meant. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/config_internal.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* From large to small, as rt_value_print() tries them. */
static const struct unit time_units[] = {
    { "d", 86400 * RT_SEC },
    { "h", 3600 * RT_SEC },
    { "m", 60 * RT_SEC },
    { "s", RT_SEC },
    { "ms", RT_MSEC },
    { "us", 1 },
    { NULL, 0 },
};
static const struct unit size_units[] = {
    { "GiB", INT64_C(1) << 30 },
    { "MiB", INT64_C(1) << 20 },
    { "KiB", INT64_C(1) << 10 },
    { "", 1 },
    { NULL, 0 },
};
static const struct unit no_units[] = {
    { "", 1 },
    { NULL, 0 },
};

static const struct unit *units_of(enum rt_option_kind kind)
{
    return kind == RT_OPTION_time ? time_units : kind == RT_OPTION_size ? size_units : no_units;
}

/* Reads digits; false without one or past int64. */
static bool read_digits(const char **at, int64_t *out)
{
    int64_t value = 0;
    const char *start = *at;
    for (; isdigit((unsigned char)**at) != 0; (*at)++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, **at - '0', &value)) {
            return false;
        }
    }
    *out = value;
    return *at != start;
}

static const struct unit *read_unit(const char **at, const struct unit *units)
{
    size_t len = 0;
    while (isalpha((unsigned char)(*at)[len]) != 0) {
        len++;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strlen(unit->name) == len && strncmp(unit->name, *at, len) == 0) {
            *at += len;
            return unit;
        }
    }
    return NULL;
}

bool rt_value_parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = { "true", "yes", "on", NULL };
    static const char *const no[] = { "false", "no", "off", NULL };
    for (int i = 0; yes[i] != NULL; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

bool rt_value_parse_number(enum rt_option_kind kind, const char *text, int64_t *out)
{
    const char *at = text;
    bool negative = kind == RT_OPTION_int && *at == '-';
    if (negative) {
        at++;
    }
    if (kind == RT_OPTION_time && strcmp(text, "0") == 0) {
        *out = 0; /* the one duration that needs no unit */
        return true;
    }
    int64_t sum = 0;
    do {
        int64_t part = 0;
        if (!read_digits(&at, &part)) {
            return false;
        }
        const struct unit *unit = read_unit(&at, units_of(kind));
        if (unit == NULL || __builtin_mul_overflow(part, unit->factor, &part) ||
            __builtin_add_overflow(sum, part, &sum)) {
            return false;
        }
    } while (kind == RT_OPTION_time && *at != '\0'); /* 1m30s */
    if (*at != '\0') {
        return false;
    }
    *out = negative ? -sum : sum;
    return true;
}

void rt_value_print(enum rt_option_kind kind, int64_t value, struct rt_buf *out)
{
    if (kind == RT_OPTION_time && value == 0) {
        rt_buf_puts(out, "0");
        return;
    }
    const struct unit *unit = units_of(kind);
    while (unit->factor != 1 && (value == 0 || value % unit->factor != 0)) {
        unit++;
    }
    rt_buf_printf(out, "%" PRId64 "%s", value / unit->factor, unit->name);
}

const char *rt_value_examples(enum rt_option_kind kind)
{
    switch (kind) {
    case RT_OPTION_bool:
        return "true or false";
    case RT_OPTION_int:
        return "a whole number";
    case RT_OPTION_size:
        return "a size: 4096, 64KiB, 1MiB, 1GiB";
    case RT_OPTION_time:
        return "a duration with its unit: 500ms, 30s, 2m, 1h, 2d";
    case RT_OPTION_text:
        break;
    }
    return "a text";
}

const char *rt_option_kind_name(enum rt_option_kind kind)
{
    static const char *const names[] = {
        [RT_OPTION_text] = "text", [RT_OPTION_bool] = "switch",   [RT_OPTION_int] = "number",
        [RT_OPTION_size] = "size", [RT_OPTION_time] = "duration",
    };
    return names[kind];
}

enum { WORD_MAX = 96 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t d = a < b ? a : b;
    return d < c ? d : c;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Levenshtein distance without regard to case; WORD_MAX for words too long to be near anything. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len >= WORD_MAX || b_len >= WORD_MAX) {
        return WORD_MAX;
    }
    size_t row[WORD_MAX];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t swap = same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + swap);
            diagonal = above;
        }
    }
    return row[b_len];
}

struct rt_suggestion rt_suggestion_begin(const char *word, size_t len)
{
    /* A third of the word may differ: more is another word. */
    return (struct rt_suggestion){ .word = word, .len = len, .best = (len + 5) / 3 };
}

void rt_suggestion_offer(struct rt_suggestion *suggestion, const char *candidate)
{
    size_t distance =
        edit_distance(suggestion->word, suggestion->len, candidate, strlen(candidate));
    /* The right key in the wrong group, or without its group, is a frequent mistake of its own. */
    const char *dot = strrchr(candidate, '.');
    if (dot != NULL) {
        size_t leaf = strlen(dot + 1);
        const char *end = suggestion->word + suggestion->len;
        bool ends_with_leaf = suggestion->len >= leaf && memcmp(end - leaf, dot + 1, leaf) == 0 &&
                              (suggestion->len == leaf || end[-(ptrdiff_t)leaf - 1] == '.');
        if (ends_with_leaf && distance > 1) {
            distance = 1;
        }
    }
    if (distance < suggestion->best) {
        suggestion->best = distance;
        (void)snprintf(suggestion->nearest, sizeof(suggestion->nearest), "%s", candidate);
    }
}

void rt_suggestion_text(const struct rt_suggestion *suggestion, char out[160])
{
    out[0] = '\0';
    if (suggestion->nearest[0] != '\0') {
        (void)snprintf(out, 160, "; did you mean %s?", suggestion->nearest);
    }
}
