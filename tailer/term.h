/* tailer/term.h - what exists while this tailer has the slot: the shards' links, the tables, the publishing
 * state. A standby has none, so it binds nothing; a tailer that lost its slot to another frees it, so it serves
 * nothing stale. Answers the shards' requests for definitions by itself. */
#ifndef PGTIDE_TAILER_TERM_H
#define PGTIDE_TAILER_TERM_H

#include <stdint.h>

#include "tailer/consume.h"
#include "tailer/links.h"
#include "tailer/publish.h"
#include "tailer/relcache.h"
#include "tailer/window.h"

struct catalog;
struct instruments;
struct rt_keys;
struct rt_process;

struct term_config {
    struct rt_process *process;
    const struct rt_keys *keys;
    struct catalog *catalog;
    struct instruments *metrics;
    void (*on_ack)(void *ctx, uint32_t shard);   /* it has acknowledged something */
    void (*on_fresh)(void *ctx, uint32_t shard); /* it begins a session */
    void *ctx;
    uint64_t epoch;
    uint64_t start_lsn; /* everything before is published */
};

struct term {
    struct term_config config;
    struct links *links;
    struct relcache *relcache;
    struct publish *publish;
    struct consume *consume;
    struct window window;
    uint64_t epoch; /* of what is published now */
};

/* Binds. NULL after logging why not. */
struct term *term_new(const struct term_config *config);
void term_free(struct term *term);

#endif
