/* broker/xid_snapshot.c - see xid_snapshot.h. */
#include "broker/xid_snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

/* A decimal number that ends at `end` or before another character. */
static bool read_number(const char **at, const char *end, uint64_t *out)
{
    const char *from = *at;
    uint64_t value = 0;

    while (*at < end && **at >= '0' && **at <= '9') {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        (*at)++;
    }
    *out = value;
    return *at > from;
}

static bool skip(const char **at, const char *end, char what)
{
    if (*at == end || **at != what) {
        return false;
    }
    (*at)++;
    return true;
}

static bool read_xip(struct xid_snapshot *out, const char *at, const char *end)
{
    uint64_t before = 0;

    if (at == end) {
        return true;
    }
    out->xip = rt_alloc(XID_SNAPSHOT_XIP_MAX * sizeof(*out->xip));
    do {
        uint64_t xid = 0;
        bool fits = read_number(&at, end, &xid) && xid > before && xid >= out->xmin &&
                    xid < out->xmax && out->xip_count < XID_SNAPSHOT_XIP_MAX;
        if (!fits) {
            return false;
        }
        out->xip[out->xip_count++] = xid;
        before = xid;
    } while (skip(&at, end, ','));
    return at == end;
}

bool xid_snapshot_parse(struct xid_snapshot *out, const char *text, size_t len)
{
    const char *at = text;
    const char *end = text + len;

    *out = (struct xid_snapshot){ 0 };
    bool valid = read_number(&at, end, &out->xmin) && skip(&at, end, ':') &&
                 read_number(&at, end, &out->xmax) && skip(&at, end, ':') &&
                 out->xmin <= out->xmax && out->xmin > 0 && read_xip(out, at, end);
    if (!valid) {
        xid_snapshot_fini(out);
    }
    return valid;
}

void xid_snapshot_fini(struct xid_snapshot *snapshot)
{
    free(snapshot->xip);
    *snapshot = (struct xid_snapshot){ 0 };
}

void xid_snapshot_copy(struct xid_snapshot *out, const struct xid_snapshot *from)
{
    *out = *from;
    if (from->xip_count > 0) {
        out->xip = rt_alloc(from->xip_count * sizeof(*out->xip));
        memcpy(out->xip, from->xip, from->xip_count * sizeof(*out->xip));
    } else {
        out->xip = NULL;
    }
}

/* The 64-bit number of this residue that is nearest to `near`. */
static uint64_t extend(uint32_t xid, uint64_t near)
{
    int32_t distance = (int32_t)(xid - (uint32_t)near);

    return near + (uint64_t)(int64_t)distance;
}

bool xid_snapshot_sees(const struct xid_snapshot *snapshot, uint32_t xid)
{
    uint64_t full = extend(xid, snapshot->xmax);
    uint32_t low = 0;
    uint32_t high = snapshot->xip_count;

    if (full < snapshot->xmin) {
        return true;
    }
    if (full >= snapshot->xmax) {
        return false;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (snapshot->xip[middle] < full) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == snapshot->xip_count || snapshot->xip[low] != full;
}

bool xid_snapshot_is_past(const struct xid_snapshot *snapshot, uint32_t xid)
{
    return extend(xid, snapshot->xmax) >= snapshot->xmax;
}
