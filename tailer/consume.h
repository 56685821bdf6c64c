/* tailer/consume.h - from pgoutput's messages to what is published: transactions and positions. What of it a shard
 * was given before, publish knows.
 *
 * A message that cannot be understood, or that does not fit its surroundings (a change outside of a
 * transaction, a value too few), is CONSUME_BAD with a reason: nothing of it was published, and the caller
 * reconnects rather than guess. CONSUME_HOLD has no effect either: the same message is to be given again later.
 */
#ifndef PGTIDE_TAILER_CONSUME_H
#define PGTIDE_TAILER_CONSUME_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "tailer/publish.h"
#include "tailer/relcache.h"

struct rt_counter;

/* Updated by consume.c; registered by instruments.c. */
struct consume_counters {
    struct rt_counter *inserts;
    struct rt_counter *updates;
    struct rt_counter *deletes;
    struct rt_counter *truncates;
    struct rt_counter *messages;
    struct rt_counter *transactions;
    struct rt_counter *bytes; /* of pgoutput messages */
    struct rt_counter *too_large;
};

struct consume_config {
    struct relcache *relcache;
    struct publish *publish;
    const struct consume_counters *counters;
    uint32_t max_value;
};

enum consume_result {
    CONSUME_OK,
    CONSUME_WAIT, /* hold: a table's transaction is not visible in the catalog yet */
    CONSUME_DOWN, /* hold: the catalog does not answer */
    CONSUME_BAD,
};

struct consume;

struct consume *consume_new(const struct consume_config *config);
void consume_free(struct consume *consume);

/* `insist`: see relcache_use(). On CONSUME_BAD *out_reason is a static text. */
enum consume_result consume_message(struct consume *consume, struct rt_span message, bool insist,
                                    const char **out_reason);
/* The server has sent everything up to `wal_end`. Ignored inside a transaction. */
void consume_position(struct consume *consume, uint64_t wal_end, int64_t server_time);
/* The connection is lost; what comes next is a new one, of the same epoch. */
void consume_break(struct consume *consume);

#endif
