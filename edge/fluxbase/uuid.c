/* edge/fluxbase/uuid.c - see uuid.h. */
#include "edge/fluxbase/uuid.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/clock.h"

void fluxbase_uuid(char out[FLUXBASE_UUID_SIZE])
{
    uint64_t high = (rt_random64() & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
    uint64_t low = (rt_random64() & (UINT64_MAX >> 2)) | (UINT64_C(1) << 63);

    (void)snprintf(out, FLUXBASE_UUID_SIZE,
                   "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                   high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48,
                   low & UINT64_C(0xffffffffffff));
}
