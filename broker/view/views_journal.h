/* broker/view/views_journal.h - changes of tables that sets are of, kept until no answer can be without them.
 *
 * A commit is in the stream before it is visible, and an answer may have been asked for some changes ago: what its snapshot did not
 * see is read here. The last changes stay in any case, up to VIEWS_JOURNAL_KEPT and VIEWS_JOURNAL_KEPT_BYTES, and what was there when
 * the oldest question that is under way was sent, with all that came since, up to VIEWS_JOURNAL_MAX and VIEWS_JOURNAL_BYTES. Of what is dropped the transaction's number stays
 * until an answer has seen it: one that has not cannot be brought up to date, and does not count. So a commit that stays invisible for minutes
 * (a synchronous standby that does not answer) is never missed.
 *
 * Owns copies. One thread. Cost: a copy of each change; a look at each number for an answer.
 */
#ifndef PGTIDE_BROKER_VIEW_VIEWS_JOURNAL_H
#define PGTIDE_BROKER_VIEW_VIEWS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/relations.h"
#include "broker/xid_snapshot.h"
#include "proto/records.h"

enum {
    VIEWS_JOURNAL_KEPT = 256,
    VIEWS_JOURNAL_KEPT_BYTES = 1 << 20,
    VIEWS_JOURNAL_MAX = 65536,
    VIEWS_JOURNAL_BYTES = 32 << 20,
    VIEWS_JOURNAL_PASSED = 65536,
};

struct views_record {
    struct views_record *next;
    uint64_t number;
    uint32_t xid;
    bool truncate;             /* then there is no change */
    size_t size;               /* of its rows */
    struct relation *relation; /* referenced */
    struct wire_change change;
    uint8_t bytes[]; /* of its rows */
};

/* A transaction that a dropped record was of. */
struct views_passed {
    uint32_t xid;
    uint64_t seen; /* questions sent behind this one's number see it; 0: not known */
};

struct views_journal {
    struct views_record *first;
    struct views_record **last;
    size_t count;
    size_t bytes;
    uint64_t next;  /* number of the record to come */
    uint64_t floor; /* what was asked before this record came lacks something that was lost */
    struct views_passed *passed; /* oldest first */
    size_t passed_count;
    size_t passed_cap;
};

void views_journal_init(struct views_journal *journal);
/* Something was lost. Frees all. */
void views_journal_clear(struct views_journal *journal);
/* The number of the oldest record, to be kept with a question that is sent now. */
uint64_t views_journal_oldest(const struct views_journal *journal);
/* `change` NULL: a truncate. `needed`: the smallest number that is kept with a question under way. False: the number of a
 * transaction that nobody has seen was forgotten. */
bool views_journal_add(struct views_journal *journal, struct relation *relation,
                       const struct wire_change *change, uint32_t xid, uint64_t needed);
/* Whether an answer can be brought up to date: `number` was kept with its question. */
bool views_journal_covers(const struct views_journal *journal, uint64_t number,
                          const struct xid_snapshot *snapshot);
/* An answer came, with this snapshot. Questions are numbered from 1: the last one sent, and the oldest one that is still under way
 * (one more than the last: none). */
void views_journal_seen(struct views_journal *journal, const struct xid_snapshot *snapshot,
                        uint64_t sent, uint64_t oldest);

#endif
