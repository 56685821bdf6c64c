/* tailer/copyboth.h - what a walsender and its client say inside COPY BOTH: WAL data and keepalives one
 * way, standby status the other.
 *
 * Pure. Facts: PostgreSQL 15 documentation, 55.4 "Streaming Replication Protocol".
 */
#ifndef PGTIDE_TAILER_COPYBOTH_H
#define PGTIDE_TAILER_COPYBOTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"

enum copyboth_kind { COPYBOTH_BAD, COPYBOTH_DATA, COPYBOTH_KEEPALIVE };

struct copyboth_message {
    enum copyboth_kind kind;
    uint64_t wal_start;  /* DATA only */
    uint64_t wal_end;    /* how far the server has decoded and sent */
    int64_t server_time; /* microseconds since 1970 */
    bool reply_now;      /* KEEPALIVE only: the server drops us unless it hears soon */
    struct rt_span body; /* DATA only: one message of the plugin */
};

/* kind is COPYBOTH_BAD for anything else, a shorter message included. */
struct copyboth_message copyboth_decode(const uint8_t *data, size_t len);

/* Positions we report: received, processed downstream (twice: flushed and applied are one to us). */
#define COPYBOTH_STATUS_BYTES 34
void copyboth_encode_status(uint64_t written, uint64_t flushed, int64_t wall_time,
                            uint8_t out[COPYBOTH_STATUS_BYTES]);

#endif
