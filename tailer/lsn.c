/* tailer/lsn.c - see lsn.h. */
#include "tailer/lsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"

bool lsn_slot_name_ok(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

uint64_t lsn_epoch(const char *system_id, uint32_t timeline, const char *slot, int64_t incarnation)
{
    struct rt_buf text = { 0 };

    rt_buf_printf(&text, "%s/%" PRIu32 "/%s/%" PRId64, system_id, timeline, slot, incarnation);
    uint64_t hash = rt_stable_hash(text.data, text.len);
    rt_buf_fini(&text);
    uint64_t epoch = (hash ^ hash >> 32) & UINT32_MAX;
    /* 0 means "none" to some readers. */
    return epoch == 0 ? 1 : epoch;
}

bool lsn_parse(const char *text, uint64_t *out)
{
    char *end = NULL;

    *out = 0;
    unsigned long high = strtoul(text, &end, 16);
    if (end == text || *end != '/' || high > UINT32_MAX) {
        return false;
    }
    const char *rest = end + 1;
    unsigned long low = strtoul(rest, &end, 16);
    if (end == rest || *end != '\0' || low > UINT32_MAX) {
        return false;
    }
    *out = (uint64_t)high << 32 | low;
    return true;
}

void lsn_text(uint64_t lsn, char out[LSN_TEXT_SIZE])
{
    (void)snprintf(out, LSN_TEXT_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32),
                   (uint32_t)lsn);
}
