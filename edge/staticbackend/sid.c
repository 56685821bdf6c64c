/* edge/staticbackend/sid.c - see sid.h. */
#include "edge/staticbackend/sid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"

enum { DIGITS = 9, TEXT_LEN = 36 };

/* As a handover name writes six bits. */
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void sb_sid_make(const char host[HANDOVER_NAME_LEN], char *out)
{
    uint64_t name = 0;

    for (int i = 0; i < HANDOVER_NAME_LEN; i++) {
        const char *at = strchr(letters, host[i]);
        name = name << 6 | (uint64_t)(at != NULL && *at != '\0' ? at - letters : 0);
    }
    uint64_t first = name << 28 | (rt_random64() & 0x0fffffff);
    uint64_t second = (rt_random64() & (UINT64_MAX >> 2)) | (UINT64_C(1) << 63);
    first = (first & ~UINT64_C(0xf000)) | UINT64_C(0x8000);
    (void)snprintf(out, TEXT_LEN + 1,
                   "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                   first >> 32, first >> 16 & 0xffff, first & 0xffff, second >> 48,
                   second & UINT64_C(0xffffffffffff));
}

static int hex_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

bool sb_sid_host(struct rt_span sid, char out[HANDOVER_NAME_LEN])
{
    uint64_t name = 0;
    int digits = 0;

    for (size_t i = 0; i < TEXT_LEN && sid.len == TEXT_LEN && digits < DIGITS; i++) {
        if (i == 8 && sid.data[i] == '-') {
            continue;
        }
        int value = hex_of(sid.data[i]);
        if (value < 0) {
            return false;
        }
        name = name << 4 | (uint64_t)value;
        digits++;
    }
    for (int i = HANDOVER_NAME_LEN - 1; i >= 0; i--) {
        out[i] = letters[name & 63];
        name >>= 6;
    }
    return digits == DIGITS;
}
