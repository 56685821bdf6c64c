/* tailer/copyboth.c - see copyboth.h.
 *
 *   w  wal start (8)  wal end (8)  server time (8)  body…
 *   k  wal end (8)  server time (8)  reply now (1)
 *   r  written (8)  flushed (8)  applied (8)  our time (8)  reply wanted (1)
 */
#include "tailer/copyboth.h"

#include <string.h>

#include "tailer/pgoutput.h"

enum { DATA_HEADER = 25, KEEPALIVE_BYTES = 18 };

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        at[i] = (uint8_t)value;
        value >>= 8;
    }
}

static int64_t get_time(const uint8_t *at)
{
    return (int64_t)(get_u64(at) + (uint64_t)PGOUTPUT_EPOCH_USEC);
}

struct copyboth_message copyboth_decode(const uint8_t *data, size_t len)
{
    struct copyboth_message message = { .kind = COPYBOTH_BAD };

    if (len >= DATA_HEADER && data[0] == 'w') {
        message.kind = COPYBOTH_DATA;
        message.wal_start = get_u64(data + 1);
        message.wal_end = get_u64(data + 9);
        message.server_time = get_time(data + 17);
        message.body = (struct rt_span){ data + DATA_HEADER, len - DATA_HEADER };
    } else if (len == KEEPALIVE_BYTES && data[0] == 'k') {
        message.kind = COPYBOTH_KEEPALIVE;
        message.wal_end = get_u64(data + 1);
        message.server_time = get_time(data + 9);
        message.reply_now = data[17] != 0;
    }
    return message;
}

void copyboth_encode_status(uint64_t written, uint64_t flushed, int64_t wall_time,
                            uint8_t out[COPYBOTH_STATUS_BYTES])
{
    memset(out, 0, COPYBOTH_STATUS_BYTES);
    out[0] = 'r';
    put_u64(out + 1, written);
    put_u64(out + 9, flushed);
    put_u64(out + 17, flushed);
    put_u64(out + 25, (uint64_t)(wall_time - PGOUTPUT_EPOCH_USEC));
}
