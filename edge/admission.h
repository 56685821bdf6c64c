/* edge/admission.h - how many handshakes a second an edge takes on, and when those it sends away should come back.
 *
 * After an outage every client comes at once. A handshake costs a parse, a signature and subscriptions at the shards, so
 * all of them at once would cost the clients that are connected their latency. Beyond the rate a client is told
 * to come back, at a time that differs from client to client; telling it costs next to nothing.
 *
 * Pure: time and randomness are the caller's.
 */
#ifndef PGTIDE_EDGE_ADMISSION_H
#define PGTIDE_EDGE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"

/* A bucket of one second's handshakes that fills evenly. All zero: full. */
struct admission {
    rt_usec full_at; /* when it would be full again */
};

/* Takes one; false: none is left. `rate` per second, 0: no limit; it may differ from call to call. */
bool admission_take(struct admission *admission, int64_t rate, rt_usec now);

/* For Retry-After: 1 to 5 seconds. */
unsigned admission_retry_seconds(uint64_t random);
/* For a close reason, in milliseconds: from 500, spread over as long as `clients` need at `rate`, at least to 1000 and at
 * most to 5000. */
unsigned admission_retry_ms(size_t clients, int64_t rate, uint64_t random);
/* "TEXT; retry_ms=N" */
#define ADMISSION_REASON_SIZE 96
void admission_reason(const char *text, unsigned retry_ms, char out[ADMISSION_REASON_SIZE]);

#endif
