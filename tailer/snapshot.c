/* tailer/snapshot.c - see snapshot.h. */
#include "tailer/snapshot.h"

#include <errno.h>
#include <stdlib.h>

static bool read_number(const char **at, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(*at, &end, 10);
    bool read = end != *at && errno == 0;
    *at = end;
    return read;
}

bool snapshot_sees(const char *snapshot, uint32_t xid)
{
    const char *at = snapshot;
    uint64_t xmin = 0;
    uint64_t xmax = 0;
    uint64_t running = 0;

    if (!read_number(&at, &xmin) || *at++ != ':' || !read_number(&at, &xmax) || *at++ != ':') {
        return false;
    }
    /* The full number nearest to xmax, before or behind it. */
    uint64_t full = xmax + (uint64_t)(int64_t)(int32_t)(xid - (uint32_t)xmax);
    if (full < xmin) {
        return true;
    }
    if (full >= xmax) {
        return false;
    }
    while (*at != '\0') {
        if (!read_number(&at, &running)) {
            return false;
        }
        if (running == full) {
            return false;
        }
        if (*at == ',') {
            at++;
        }
    }
    return true;
}
