/* proto/position.c - positions as text: what clients keep and send back.
 *
 * One position has exactly one text. Parsing refuses every other spelling (capitals, leading zeros,
 * a short LSN), so that texts may be compared for equality.
 */
#include "proto/records.h"

enum { LSN_DIGITS = 16, EPOCH_DIGITS_MAX = 16, INDEX_DIGITS_MAX = 8 };

static const char digits[] = "0123456789abcdef";

static unsigned digits_of(uint64_t value)
{
    unsigned count = 1;

    while (value > 0xf) {
        value >>= 4;
        count++;
    }
    return count;
}

static char *put_hex(char *at, uint64_t value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        at[i - 1] = digits[value & 0xf];
        value >>= 4;
    }
    return at + count;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All of a field. No more than 16 digits reach here, so the value cannot overflow. */
static bool parse_hex(const char *text, size_t len, uint64_t *out_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++) {
        int digit = digit_value(text[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint64_t)digit;
    }
    *out_value = value;
    return len > 0;
}

/* As parse_hex, without leading zeros: "0" is the only text that starts with one. */
static bool parse_short_hex(const char *text, size_t len, size_t max_len, uint64_t *out_value)
{
    if (len == 0 || len > max_len || (text[0] == '0' && len > 1)) {
        return false;
    }
    return parse_hex(text, len, out_value);
}

void wire_position_text(const struct wire_position *position, char out[WIRE_POSITION_TEXT_SIZE])
{
    char *at = put_hex(out, position->epoch, digits_of(position->epoch));

    *at++ = '-';
    at = put_hex(at, position->lsn, LSN_DIGITS);
    *at++ = '-';
    at = put_hex(at, position->index, digits_of(position->index));
    *at = '\0';
}

bool wire_position_parse(const char *text, size_t len, struct wire_position *out)
{
    size_t epoch_len = 0;
    uint64_t epoch = 0;
    uint64_t lsn = 0;
    uint64_t index = 0;

    while (epoch_len < len && epoch_len < EPOCH_DIGITS_MAX && text[epoch_len] != '-') {
        epoch_len++;
    }
    size_t index_at = epoch_len + 1 + LSN_DIGITS + 1;
    if (index_at >= len || text[epoch_len] != '-' || text[index_at - 1] != '-' ||
        !parse_short_hex(text, epoch_len, EPOCH_DIGITS_MAX, &epoch) ||
        !parse_hex(text + epoch_len + 1, LSN_DIGITS, &lsn) ||
        !parse_short_hex(text + index_at, len - index_at, INDEX_DIGITS_MAX, &index)) {
        return false;
    }
    *out = (struct wire_position){ .epoch = epoch, .lsn = lsn, .index = (uint32_t)index };
    return true;
}

int wire_position_cmp(const struct wire_position *a, const struct wire_position *b)
{
    if (a->lsn != b->lsn) {
        return a->lsn < b->lsn ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}
