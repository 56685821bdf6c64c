/* edge/admission.c - see edge/admission.h. */
#include "edge/admission.h"

#include <stdio.h>

enum {
    RETRY_SECONDS = 5,
    RETRY_MS_FROM = 500,
    RETRY_MS_NEAR = 1000,
    RETRY_MS_FAR = 5000,
    RATE_ASSUMED = 1000, /* without a limit: what is a reasonable speed to come back at */
};

bool admission_take(struct admission *admission, int64_t rate, rt_usec now)
{
    if (rate == 0) {
        return true;
    }
    rt_usec from = admission->full_at > now ? admission->full_at : now;
    rt_usec until = from + RT_SEC / rate;
    if (until > now + RT_SEC) {
        return false;
    }
    admission->full_at = until;
    return true;
}

unsigned admission_retry_seconds(uint64_t random)
{
    return 1 + (unsigned)(random % RETRY_SECONDS);
}

unsigned admission_retry_ms(size_t clients, int64_t rate, uint64_t random)
{
    uint64_t needed = (uint64_t)clients * 1000 / (uint64_t)(rate > 0 ? rate : RATE_ASSUMED);
    uint64_t to =
        needed < RETRY_MS_NEAR ? RETRY_MS_NEAR : (needed < RETRY_MS_FAR ? needed : RETRY_MS_FAR);

    return RETRY_MS_FROM + (unsigned)(random % (to - RETRY_MS_FROM + 1));
}

void admission_reason(const char *text, unsigned retry_ms, char out[ADMISSION_REASON_SIZE])
{
    (void)snprintf(out, ADMISSION_REASON_SIZE, "%s; retry_ms=%u", text, retry_ms);
}
