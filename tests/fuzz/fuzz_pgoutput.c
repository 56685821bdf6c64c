/* fuzz_pgoutput.c - a stream of pgoutput messages through decoder, relation cache and publishing.
 *
 * Input: one byte of state (shards, limit, what the catalog says), then messages, each behind its length in two bytes.
 * Length 0xffff is a lost connection. Every frame that comes out is decoded to the last value of the last tuple;
 * a frame that our own decoder refuses is a failure (tests/unit/tailer/fakes.h).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tailer/fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
    struct fake_catalog catalog;
    struct fake_sink sink;
    struct fake_counters counters;
    struct consume_counters counter_set;
    struct relcache *relcache;
    struct publish *publish;
    struct consume *consume;
};

static void start(struct run *run, uint8_t state)
{
    struct facts_source source = fake_source(&run->catalog);
    struct publish_sink sink = fake_sink_of(&run->sink);
    uint32_t shards = 1 + (state & 3);

    run->catalog.primary = (state & 4) != 0 ? "Ab" : NULL;
    run->catalog.generated = (state & 8) != 0 ? "g" : NULL;
    run->catalog.invisible = (state & 16) != 0 ? 1 : 0;
    run->counter_set = fake_counters_of(&run->counters);
    run->relcache = relcache_new(&source, shards);
    run->publish = publish_new(&sink, shards, 5, 0);
    run->consume = consume_new(&(struct consume_config){
        .relcache = run->relcache,
        .publish = run->publish,
        .counters = &run->counter_set,
        .max_value = (state & 32) != 0 ? 4 : 1024,
    });
}

static void stop(struct run *run)
{
    consume_free(run->consume);
    publish_free(run->publish);
    relcache_free(run->relcache);
    fake_sink_fini(&run->sink);
}

/* From an exact heap block, so that a read past the message is found. */
static void give(struct run *run, const uint8_t *data, size_t len)
{
    const char *reason = NULL;
    uint8_t *copy = malloc(len + (len == 0));

    if (copy == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    struct rt_span message = { copy, len };
    enum consume_result result = consume_message(run->consume, message, false, &reason);
    if (result == CONSUME_WAIT) {
        result = consume_message(run->consume, message, true, &reason);
    }
    free(copy);
    if (result == CONSUME_BAD) {
        /* Said why; the tailer would reconnect. */
        if (reason == NULL || reason[0] == '\0') {
            abort();
        }
        consume_break(run->consume);
    }
    relcache_purge(run->relcache, publish_fences(run->publish));
}

static void finish(struct run *run)
{
    publish_turn_end(run->publish, 1);
    publish_turn_end(run->publish, RT_SEC);
    publish_tick(run->publish, 2 * RT_SEC);
    (void)publish_confirmable(run->publish, UINT64_MAX);
    if (run->sink.broken) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct run run = { .catalog = { .primary = NULL } };
    size_t at = 1;

    if (len == 0) {
        return 0;
    }
    start(&run, data[0]);
    while (len - at >= 2) {
        size_t size = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        if (size == 0xffff) {
            consume_break(run.consume);
            continue;
        }
        size = size < len - at ? size : len - at;
        give(&run, data + at, size);
        at += size;
    }
    finish(&run);
    stop(&run);
    return 0;
}
