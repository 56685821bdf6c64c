/* runtime/shard.h - which shard a channel belongs to.
 *
 * A channel ("table:public.users") hashes to one of RT_SLOTS slots, and slots are dealt to the shards
 * in turn. Tailer, broker and edge must agree, so this arithmetic is written once and never changes
 * (tests/unit/runtime/map_test.c pins it). Pure.
 */
#ifndef PGTIDE_RUNTIME_SHARD_H
#define PGTIDE_RUNTIME_SHARD_H

#include <stddef.h>
#include <stdint.h>

enum { RT_SLOTS = 1024 };

/* `shards` is 1 to RT_SLOTS, as the configuration makes sure; less than 1 counts as 1. */
uint32_t rt_shard_of(const char *channel, size_t len, int64_t shards);

#endif
