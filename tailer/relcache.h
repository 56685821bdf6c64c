/* tailer/relcache.h - the tables of the stream: which definition a change was written under.
 *
 * pgoutput describes a table (RELATION) before its first change and again after anything about it may
 * have changed. Each description becomes a generation with a number of its own (`rel`), so that a record
 * decoded later still finds the columns it was written with. Generations are made at the first change
 * that needs them, not at the description: a partitioned table's partitions are described too and never used.
 *
 * A generation that has been replaced is kept while a frame that may name it can be had again
 * by a shard that is given its changes, since it may ask for it then (WIRE_NEED); relcache_purge() decides that by frame
 * numbers.
 *
 * A table that policies read (facts_table.read_by_policies) is for every shard. Whether one is, is learned with its definition:
 * pgoutput describes a table again when it has joined or left a publication.
 *
 * Owns everything it returns; a `struct relation *` is valid until the next call of relcache_purge(). Cost of
 * relcache_use() for the table of the change before: two comparisons.
 */
#ifndef PGTIDE_TAILER_RELCACHE_H
#define PGTIDE_TAILER_RELCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/records.h"
#include "tailer/facts.h"
#include "tailer/pgoutput.h"

struct relcache;

/* One generation. `announced` belongs to publish.c: the session of each shard that was last told. */
struct relation {
    uint32_t rel;
    uint32_t oid;
    uint32_t shard;  /* of its channel */
    bool everywhere; /* policies read the table: its changes go to every shard */
    bool replaced;
    uint32_t column_count;
    uint64_t *announced;       /* one per shard */
    uint64_t *fences;          /* of a replaced one: each shard's next frame number when that was
                                  noticed; NULL: not yet */
    uint8_t *identity_columns; /* column_count flags: in the replica identity */
    struct wire_writer record; /* the encoded RELATION record */
    struct relation *next_replaced;
};

enum relcache_result {
    RELCACHE_OK,
    RELCACHE_WAIT,    /* its transaction is not visible in the catalog yet: call again soon */
    RELCACHE_DOWN,    /* the catalog does not answer: call again */
    RELCACHE_UNKNOWN, /* no description of this table came before: the stream is broken */
};

struct relcache_stats {
    uint64_t generations;   /* made */
    uint64_t absent_types;  /* columns given as text since their type is gone */
    uint64_t complex_types; /* columns given as text since their type nests too deep */
    size_t kept;            /* generations in memory, replaced ones included */
};

/* `source` is copied; its ctx must outlive the cache. */
struct relcache *relcache_new(const struct facts_source *source, int64_t shards);
void relcache_free(struct relcache *cache);

/* A description came inside transaction `xid`; its columns are copied. False, and nothing changed, when a
 * name is longer than PostgreSQL allows. The same description again in the transaction that looked it up has no
 * effect: the catalog was read after that transaction's end, so there is nothing new to see (a partitioned
 * table is described again with each of its partitions). */
bool relcache_describe(struct relcache *cache, const struct pgoutput_relation *description,
                       uint32_t xid);
/* The generation in force for a change of table `oid` by transaction `xid`. With `insist` a transaction that is
 * still not visible is not waited for any longer: what the catalog does not show then is given as text. */
enum relcache_result relcache_use(struct relcache *cache, uint32_t oid, uint32_t xid, bool insist,
                                  struct relation **out);
/* Something in the catalog changed that pgoutput does not mark (an enum, a composite type): each table is
 * looked up again at its next change, and told to its shard again. */
void relcache_doubt(struct relcache *cache);
/* A new connection: every table will be described again before its next change. */
void relcache_restart(struct relcache *cache);
/* NULL: never made, or purged. */
const struct relation *relcache_find(const struct relcache *cache, uint32_t rel);

/* The generation in force for table `oid`, if there is one that is not in doubt; else NULL. */
const struct relation *relcache_current(const struct relcache *cache, uint32_t oid);
/* A number for a definition that is not of the stream (tailer/describe.h). */
uint32_t relcache_number(struct relcache *cache);

struct relcache_fence {
    uint64_t next_seq;  /* of the shard's next frame */
    uint64_t first_seq; /* of the oldest one that is kept */
};
/* Frees replaced generations that nobody can ask for any more. One fence per shard; what waits to be framed
 * counts as the shard's next frame. */
void relcache_purge(struct relcache *cache, const struct relcache_fence *fences);
struct relcache_stats relcache_stats(const struct relcache *cache);

#endif
