/* tailer/setup.h - is the database ready to be read: version, wal_level, publication, slot, and the epoch.
 *
 * The epoch of positions is a 32-bit hash over system identifier, timeline, slot name and incarnation. The
 * incarnation is a random number in pgtide.slot, written *before* the slot is created: whatever fails in
 * between, a new slot never continues an old epoch. Two tailers that start together are kept apart by
 * an advisory lock, held from the look at the slot until it is created.
 *
 * Synchronous, on the catalog's connection.
 */
#ifndef PGTIDE_TAILER_SETUP_H
#define PGTIDE_TAILER_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog;
struct rt_log;

struct setup_config {
    struct catalog *catalog;
    struct rt_log *log;
    const char *slot;
    const char *publication;
    const char *policy_publication;
};

enum setup_verdict {
    SETUP_USABLE,
    SETUP_ABSENT, /* create the slot, then setup_unlock() */
    SETUP_SPOILT, /* drop it first */
    SETUP_BUSY,   /* another process has it, or is creating it */
    SETUP_FAILED, /* reason says what to do */
};

#define SETUP_REASON_SIZE 512
struct setup_state {
    enum setup_verdict verdict;
    int64_t incarnation;
    bool renewed;            /* there was an incarnation before this one */
    int64_t old_incarnation; /* if renewed */
    int active_pid;          /* if busy and known; else 0 */
    uint64_t confirmed_lsn;  /* of a usable slot */
    bool
        has_policies; /* the policies' publication is there, and where to say that it is streamed */
    bool says_policies; /* that it is was said */
    char reason[SETUP_REASON_SIZE];
};

/* Looks, and writes the publication and the incarnation where they are missing. `spoilt`: the slot is known to be
 * unusable, whatever it looks like. */
void setup_look(const struct setup_config *config, bool spoilt, struct setup_state *out);
void setup_unlock(const struct setup_config *config);
/* Whether the policies' publication is there now. */
bool setup_has_policies(const struct setup_config *config);
/* Tells brokers, by pgtide.slot, whether the slot's stream brings what is in the policies' publication; a message in the WAL makes
 * them look. False: it could not be said. */
bool setup_say_policies(const struct setup_config *config, bool streamed);
/* Whether the slot is free, as far as can be seen. */
bool setup_slot_free(const struct setup_config *config);

struct setup_sample {
    uint64_t server_lsn; /* end of the server's flushed WAL */
    uint64_t retained;   /* bytes of WAL kept for the slot */
    int64_t safe_bytes;  /* until the slot may be invalidated; INT64_MAX: no limit */
    char wal_status[16];
};
bool setup_sample(const struct setup_config *config, struct setup_sample *out);

#endif
