/* broker/policy/datum_text.c - the bytes of single values, as text. */
#include <inttypes.h>
#include <string.h>

#include "broker/policy/datum_parts.h"

enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_CHAR = 18,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_MACADDR8 = 774,
    TYPE_MACADDR = 829,
    TYPE_INET = 869,
    TYPE_VARCHAR = 1043,
    TYPE_DATE = 1082,
    TYPE_TIME = 1083,
    TYPE_TIMESTAMP = 1114,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_NUMERIC = 1700,
    TYPE_UUID = 2950,
    NAME_SIZE = 64,
    EPOCH_DAYS = 10957, /* 2000-01-01 in days since 1970 */
};

#define SECOND_USEC INT64_C(1000000)
#define DAY_USEC    (INT64_C(86400) * SECOND_USEC)

int datum_type_size(uint32_t type)
{
    switch (type) {
    case TYPE_BOOL:
    case TYPE_CHAR:
        return 1;
    case TYPE_INT2:
        return 2;
    case TYPE_INT4:
    case TYPE_OID:
    case TYPE_FLOAT4:
    case TYPE_DATE:
        return 4;
    case TYPE_INT8:
    case TYPE_FLOAT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_MACADDR8:
        return 8;
    case TYPE_MACADDR:
        return 6;
    case TYPE_UUID:
        return 16;
    case TYPE_NAME:
        return NAME_SIZE;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BYTEA:
    case TYPE_NUMERIC:
    case TYPE_JSON:
    case TYPE_INET:
        return 0;
    default:
        return -1;
    }
}

size_t datum_type_align(uint32_t type)
{
    int size = datum_type_size(type);

    switch (type) {
    case TYPE_UUID:
    case TYPE_NAME:
        return 1;
    case TYPE_MACADDR:
    case TYPE_MACADDR8:
        return 4;
    default:
        return size == 0 ? 4 : (size_t)size;
    }
}

/* --- single forms ----------------------------------------------------------------------------- */

static void write_hex(struct rt_buf *out, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        rt_buf_printf(out, "%02x", at[i]);
    }
}

static void write_mac(struct rt_buf *out, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        rt_buf_printf(out, i > 0 ? ":%02x" : "%02x", at[i]);
    }
}

static void write_uuid(struct rt_buf *out, const uint8_t *at)
{
    static const uint8_t groups[] = { 4, 2, 2, 2, 6 };

    for (size_t i = 0; i < sizeof(groups); i++) {
        if (i > 0) {
            rt_buf_putc(out, '-');
        }
        write_hex(out, at, groups[i]);
        at += groups[i];
    }
}

static bool write_float(struct rt_buf *out, const uint8_t *at, size_t size)
{
    uint64_t bits = datum_little(at, size);
    uint32_t half = (uint32_t)bits;
    double value = 0;
    float single = 0;

    if (size == 4) {
        memcpy(&single, &half, sizeof(single));
        value = (double)single;
    } else {
        memcpy(&value, &bits, sizeof(value));
    }
    if (value != value) {
        rt_buf_puts(out, "NaN");
    } else if (value - value != 0) {
        rt_buf_puts(out, value > 0 ? "Infinity" : "-Infinity");
    } else {
        rt_buf_printf(out, "%.*g", size == 4 ? 9 : 17, value);
    }
    return true;
}

/* The inverse of days_from_civil in value.c, from the same source. */
static bool write_date(struct rt_buf *out, int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;

    year += era * 400 + (month <= 2);
    rt_buf_printf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year > 0 ? year : 1 - year, month,
                  of_year - (153 * shifted + 2) / 5 + 1);
    return year > 0; /* else BC comes at the end */
}

static void write_clock(struct rt_buf *out, int64_t usec)
{
    int64_t seconds = usec / SECOND_USEC;
    int fraction = (int)(usec % SECOND_USEC);

    rt_buf_printf(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60,
                  seconds % 60);
    if (fraction != 0) {
        rt_buf_printf(out, ".%06d", fraction);
        while (out->data[out->len - 1] == '0') {
            out->len--;
        }
    }
}

static void write_days(struct rt_buf *out, int64_t days)
{
    if (days == INT32_MAX || days == INT32_MIN) {
        rt_buf_puts(out, days > 0 ? "infinity" : "-infinity");
    } else if (!write_date(out, days + EPOCH_DAYS)) {
        rt_buf_puts(out, " BC");
    }
}

static void write_stamp(struct rt_buf *out, int64_t usec, bool zone)
{
    if (usec == INT64_MAX || usec == INT64_MIN) {
        rt_buf_puts(out, usec > 0 ? "infinity" : "-infinity");
        return;
    }
    int64_t days = usec / DAY_USEC - (usec % DAY_USEC < 0);
    bool common_era = write_date(out, days + EPOCH_DAYS);
    rt_buf_putc(out, ' ');
    write_clock(out, usec - days * DAY_USEC);
    rt_buf_puts(out, zone ? "+00" : "");
    rt_buf_puts(out, common_era ? "" : " BC");
}

static bool write_numeric(struct rt_buf *out, const uint8_t *at, size_t size)
{
    if (size < 2) {
        return false;
    }
    unsigned head = (unsigned)datum_little(at, 2);
    if ((head & 0xc000u) == 0xc000u) {
        unsigned kind = head & 0xf000u;
        rt_buf_puts(out, kind == 0xd000u ? "Infinity" : kind == 0xf000u ? "-Infinity" : "NaN");
        return kind != 0xe000u;
    }
    bool is_short = (head & 0xc000u) == 0x8000u;
    if (!is_short && size < 4) {
        return false;
    }
    bool minus = is_short ? (head & 0x2000u) != 0 : (head & 0xc000u) == 0x4000u;
    int scale = (int)(is_short ? (head & 0x1f80u) >> 7 : head & 0x3fffu);
    int weight = is_short ? (int)(head & 0x3fu) - ((head & 0x40u) != 0 ? 64 : 0)
                          : (int)datum_signed(at + 2, 2);
    size_t skip = is_short ? 2 : 4;
    int count = (int)((size - skip) / 2);

    rt_buf_puts(out, minus ? "-" : "");
    if (weight < 0) {
        rt_buf_putc(out, '0');
    }
    for (int i = 0; i <= weight; i++) {
        int digit = i < count ? (int)datum_little(at + skip + 2 * (size_t)i, 2) : 0;
        rt_buf_printf(out, i == 0 ? "%d" : "%04d", digit);
    }
    if (scale > 0) {
        rt_buf_putc(out, '.');
        size_t end = out->len + (size_t)scale;
        for (int i = weight + 1; out->len < end; i++) {
            int digit = i >= 0 && i < count ? (int)datum_little(at + skip + 2 * (size_t)i, 2) : 0;
            rt_buf_printf(out, "%04d", digit);
        }
        out->len = end;
    }
    return true;
}

/* Version 4 only; version 6 has many spellings. */
static bool write_inet(struct rt_buf *out, const uint8_t *at, size_t size)
{
    if (size != 6 || at[0] != 2 || at[1] > 32) {
        return false;
    }
    rt_buf_printf(out, "%u.%u.%u.%u", at[2], at[3], at[4], at[5]);
    if (at[1] != 32) {
        rt_buf_printf(out, "/%u", at[1]);
    }
    return true;
}

bool datum_write_value(struct rt_buf *out, uint32_t type, const uint8_t *at, size_t size)
{
    switch (type) {
    case TYPE_BOOL:
        rt_buf_putc(out, at[0] != 0 ? 't' : 'f');
        return true;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        rt_buf_printf(out, "%" PRId64, datum_signed(at, size));
        return true;
    case TYPE_OID:
        rt_buf_printf(out, "%" PRIu64, datum_little(at, size));
        return true;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return write_float(out, at, size);
    case TYPE_NUMERIC:
        return write_numeric(out, at, size);
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_JSON:
        rt_buf_append(out, at, size);
        return true;
    case TYPE_NAME:
        rt_buf_append(out, at, strnlen((const char *)at, size));
        return true;
    case TYPE_CHAR:
        rt_buf_append(out, at, at[0] != 0 ? 1 : 0);
        return at[0] < 128;
    case TYPE_BYTEA:
        rt_buf_puts(out, "\\x");
        write_hex(out, at, size);
        return true;
    case TYPE_UUID:
        write_uuid(out, at);
        return true;
    case TYPE_MACADDR:
    case TYPE_MACADDR8:
        write_mac(out, at, size);
        return true;
    case TYPE_INET:
        return write_inet(out, at, size);
    case TYPE_DATE:
        write_days(out, datum_signed(at, size));
        return true;
    case TYPE_TIME:
        write_clock(out, datum_signed(at, size));
        return true;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        write_stamp(out, datum_signed(at, size), type == TYPE_TIMESTAMPTZ);
        return true;
    default:
        return false;
    }
}
