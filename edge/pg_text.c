/* edge/pg_text.c - see pg_text.h. Each reader consumes at least one byte per token. */
#include "edge/pg_text.h"

#include <string.h>
#include <strings.h>

enum { MAX_DIMENSIONS = 6, MAX_EXPONENT = 400 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool at_char(const struct pg_cursor *in, char c)
{
    return in->at < in->end && *in->at == c;
}

static enum pg_token bad(struct pg_cursor *in)
{
    in->at = in->end;
    return PG_BAD;
}

static enum pg_token item(struct pg_cursor *in, const char *from, size_t len)
{
    in->item = from;
    in->item_len = len;
    return PG_ITEM;
}

/* At an opening quote. Undoes backslashes, and doubled quotes where `doubled`; ends behind the closing quote. */
static enum pg_token quoted(struct pg_cursor *in, bool doubled)
{
    const char *run = ++in->at;
    bool escaped = false;

    rt_buf_clear(in->scratch);
    while (in->at < in->end) {
        char c = *in->at;
        bool twice = doubled && c == '"' && in->end - in->at > 1 && in->at[1] == '"';
        if (c == '"' && !twice) {
            break;
        }
        if (twice || c == '\\') {
            if (in->end - in->at < 2) {
                return bad(in);
            }
            rt_buf_append(in->scratch, run, (size_t)(in->at - run));
            run = in->at + 1;
            in->at += 2;
            escaped = true;
        } else {
            in->at++;
        }
    }
    if (in->at == in->end) {
        return bad(in);
    }
    size_t rest = (size_t)(in->at - run);
    in->at++;
    if (!escaped) {
        return item(in, run, rest);
    }
    rt_buf_append(in->scratch, run, rest);
    return item(in, (const char *)in->scratch->data, in->scratch->len);
}

/* --- arrays --------------------------------------------------------------------------------------------- */

/* [2:3][-1:0]= in front of an array whose subscripts do not start at 1. */
static bool skip_dimensions(struct pg_cursor *in)
{
    while (at_char(in, '[')) {
        in->at++;
        while (in->at < in->end &&
               (is_digit(*in->at) || *in->at == ':' || *in->at == '-' || *in->at == '+')) {
            in->at++;
        }
        if (!at_char(in, ']')) {
            return false;
        }
        in->at++;
        if (at_char(in, '=')) {
            in->at++;
            return true;
        }
    }
    return true;
}

void pg_array_open(struct pg_cursor *in, const char *text, size_t len, char delimiter,
                   struct rt_buf *scratch)
{
    *in = (struct pg_cursor){
        .at = text, .end = text + len, .scratch = scratch, .delimiter = delimiter
    };
    if (!skip_dimensions(in) || !at_char(in, '{')) {
        in->at = in->end;
    }
}

static enum pg_token array_open_brace(struct pg_cursor *in)
{
    if (in->depth == MAX_DIMENSIONS || in->may_follow) {
        return bad(in);
    }
    in->at++;
    in->depth++;
    in->started = true;
    return PG_OPEN;
}

static enum pg_token array_unquoted(struct pg_cursor *in)
{
    const char *from = in->at;

    while (in->at < in->end && *in->at != in->delimiter && strchr("{}\"\\", *in->at) == NULL) {
        in->at++;
    }
    size_t len = (size_t)(in->at - from);
    if (len == 0 || in->at == in->end || (*in->at != in->delimiter && *in->at != '}')) {
        return bad(in);
    }
    if (len == 4 && strncasecmp(from, "null", 4) == 0) {
        return PG_NULL;
    }
    return item(in, from, len);
}

enum pg_token pg_array_next(struct pg_cursor *in)
{
    bool after_delimiter = false;

    if (in->at == in->end) {
        return in->started && in->depth == 0 ? PG_END : PG_BAD;
    }
    if (in->started && in->depth == 0) {
        return bad(in);
    }
    if (in->may_follow && *in->at == in->delimiter) {
        in->at++;
        in->may_follow = false;
        after_delimiter = true;
    }
    if (in->at == in->end) {
        return bad(in);
    }
    if (*in->at == '{') {
        return array_open_brace(in);
    }
    if (*in->at == '}') {
        if (after_delimiter || in->depth == 0) {
            return bad(in);
        }
        in->at++;
        in->depth--;
        in->may_follow = true;
        return PG_CLOSE;
    }
    if (in->may_follow || in->depth == 0) {
        return bad(in);
    }
    in->may_follow = true;
    return *in->at == '"' ? quoted(in, false) : array_unquoted(in);
}

/* --- composites and vectors ----------------------------------------------------------------------------- */

void pg_record_open(struct pg_cursor *in, const char *text, size_t len, struct rt_buf *scratch)
{
    *in = (struct pg_cursor){ .at = text, .end = text + len, .scratch = scratch };
}

enum pg_token pg_record_next(struct pg_cursor *in)
{
    enum pg_token token = PG_NULL;

    if (in->at == in->end) {
        return PG_BAD;
    }
    if (*in->at == ')') {
        in->at++;
        return in->started && in->at == in->end ? PG_END : bad(in);
    }
    if (*in->at != (in->started ? ',' : '(')) {
        return bad(in);
    }
    in->started = true;
    in->at++;
    if (at_char(in, '"')) {
        token = quoted(in, true);
    } else {
        const char *from = in->at;
        while (in->at < in->end && strchr(",()\"\\", *in->at) == NULL) {
            in->at++;
        }
        if (in->at > from) {
            token = item(in, from, (size_t)(in->at - from));
        }
    }
    if (token != PG_BAD && !at_char(in, ',') && !at_char(in, ')')) {
        return bad(in);
    }
    return token;
}

void pg_vector_open(struct pg_cursor *in, const char *text, size_t len)
{
    *in = (struct pg_cursor){ .at = text, .end = text + len };
}

enum pg_token pg_vector_next(struct pg_cursor *in)
{
    if (in->at == in->end) {
        return PG_END;
    }
    if (in->started) {
        if (*in->at != ' ') {
            return bad(in);
        }
        in->at++;
    }
    const char *from = in->at;
    while (in->at < in->end && *in->at != ' ') {
        in->at++;
    }
    in->started = true;
    return in->at > from ? item(in, from, (size_t)(in->at - from)) : bad(in);
}

/* --- numbers --------------------------------------------------------------------------------------------- */

struct number {
    bool negative;
    const char *whole; /* digits in front of the point */
    size_t whole_len;
    const char *part; /* and behind it */
    size_t part_len;
    int exponent;
};

static size_t count_digits(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && is_digit(*at)) {
        at++;
    }
    return (size_t)(at - from);
}

static bool parse_exponent(const char *at, const char *end, int *out)
{
    bool negative = at < end && *at == '-';
    int value = 0;

    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    if (at == end) {
        return false;
    }
    for (; at < end; at++) {
        if (!is_digit(*at) || value > MAX_EXPONENT) {
            return false;
        }
        value = value * 10 + (*at - '0');
    }
    *out = negative ? -value : value;
    return value <= MAX_EXPONENT;
}

static bool parse_number(const char *at, const char *end, struct number *out)
{
    *out = (struct number){ .negative = at < end && *at == '-' };
    at += out->negative ? 1 : 0;
    out->whole = at;
    out->whole_len = count_digits(at, end);
    at += out->whole_len;
    if (out->whole_len == 0 || (out->whole_len > 1 && *out->whole == '0')) {
        return false;
    }
    if (at < end && *at == '.') {
        out->part = ++at;
        out->part_len = count_digits(at, end);
        at += out->part_len;
        if (out->part_len == 0) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        return parse_exponent(at + 1, end, &out->exponent);
    }
    return at == end;
}

static bool is_zero(const struct number *number)
{
    for (size_t i = 0; i < number->whole_len; i++) {
        if (number->whole[i] != '0') {
            return false;
        }
    }
    for (size_t i = 0; i < number->part_len; i++) {
        if (number->part[i] != '0') {
            return false;
        }
    }
    return true;
}

/* Digit `i` of whole and part as one text; beyond their end, and before their begin, zeros. */
static char digit(const struct number *number, long i)
{
    size_t at = (size_t)i;

    if (i < 0 || at >= number->whole_len + number->part_len) {
        return '0';
    }
    if (at < number->whole_len) {
        return number->whole[at];
    }
    return number->part[at - number->whole_len];
}

/* numeric_in keeps as many digits behind the point as the text has, less its exponent. */
static void append_expanded(struct rt_buf *out, const struct number *number)
{
    long point = (long)number->whole_len + number->exponent;
    long last = (long)number->part_len - number->exponent;
    long first = 0;

    while (first < point - 1 && digit(number, first) == '0') {
        first++;
    }
    if (point <= 0) {
        rt_buf_putc(out, '0');
    }
    for (long i = first; i < point; i++) {
        rt_buf_putc(out, digit(number, i));
    }
    if (last > 0) {
        rt_buf_putc(out, '.');
    }
    for (long i = 0; i < last; i++) {
        rt_buf_putc(out, digit(number, point + i));
    }
}

bool pg_number(struct rt_buf *out, const char *text, size_t len)
{
    struct number number;

    if (!parse_number(text, text + len, &number)) {
        return false;
    }
    if (number.exponent == 0 && !(number.negative && is_zero(&number))) {
        rt_buf_append(out, text,
                      number.negative + number.whole_len + (number.part_len > 0 ? 1 : 0) +
                          number.part_len);
        return true;
    }
    if (number.negative && !is_zero(&number)) {
        rt_buf_putc(out, '-');
    }
    append_expanded(out, &number);
    return true;
}

bool pg_number_is_special(const char *text, size_t len)
{
    return (len == 3 && memcmp(text, "NaN", 3) == 0) ||
           (len == 8 && memcmp(text, "Infinity", 8) == 0) ||
           (len == 9 && memcmp(text, "-Infinity", 9) == 0);
}

/* --- dates ------------------------------------------------------------------------------------------------ */

static bool is_infinity(const char *text, size_t len)
{
    return (len == 8 && memcmp(text, "infinity", 8) == 0) ||
           (len == 9 && memcmp(text, "-infinity", 9) == 0);
}

/* The length of YYYY-MM-DD, with more digits for later years; 0: none. */
static size_t date_len(const char *text, size_t len)
{
    size_t year = count_digits(text, text + len);
    const char *rest = text + year;

    if (year < 4 || len - year < 6 || rest[0] != '-' || rest[3] != '-') {
        return 0;
    }
    if (count_digits(rest + 1, rest + 3) != 2 || count_digits(rest + 4, rest + 6) != 2) {
        return 0;
    }
    return year + 6;
}

static size_t strip_era(const char *text, size_t len)
{
    return len > 3 && memcmp(text + len - 3, " BC", 3) == 0 ? len - 3 : len;
}

bool pg_is_date(const char *text, size_t len)
{
    size_t plain = strip_era(text, len);

    return is_infinity(text, len) || (plain > 0 && date_len(text, plain) == plain);
}

/* The length of HH:MM:SS[.ffffff]; 0: none. */
static size_t time_len(const char *text, size_t len)
{
    if (len < 8 || text[2] != ':' || text[5] != ':' || count_digits(text, text + 2) != 2 ||
        count_digits(text + 3, text + 5) != 2 || count_digits(text + 6, text + 8) != 2) {
        return 0;
    }
    if (len > 8 && text[8] == '.') {
        size_t fraction = count_digits(text + 9, text + len);
        return fraction > 0 ? 9 + fraction : 0;
    }
    return 8;
}

/* +HH, +HH:MM or +HH:MM:SS, and nothing behind it. */
static bool is_zone(const char *text, size_t len)
{
    if ((len != 3 && len != 6 && len != 9) || (text[0] != '+' && text[0] != '-')) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        bool colon = i % 3 == 0;
        if (colon ? text[i] != ':' : !is_digit(text[i])) {
            return false;
        }
    }
    return true;
}

bool pg_timestamp(struct rt_buf *out, const char *text, size_t len, bool zone)
{
    size_t plain = strip_era(text, len);
    size_t date = date_len(text, plain);

    if (is_infinity(text, len)) {
        rt_buf_append(out, text, len);
        return true;
    }
    if (date == 0 || date == plain || text[date] != ' ') {
        return false;
    }
    size_t time = time_len(text + date + 1, plain - date - 1);
    size_t end = date + 1 + time;
    if (time == 0 || (zone ? !is_zone(text + end, plain - end) : end != plain)) {
        return false;
    }
    rt_buf_append(out, text, date);
    rt_buf_putc(out, 'T');
    rt_buf_append(out, text + date + 1, plain - date - 1);
    if (zone && plain - end == 3) {
        rt_buf_append(out, ":00", 3);
    }
    rt_buf_append(out, text + plain, len - plain);
    return true;
}
