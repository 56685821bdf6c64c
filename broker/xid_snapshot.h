/* broker/xid_snapshot.h - which transactions a snapshot of PostgreSQL sees. Pure.
 *
 * The text of pg_current_snapshot(): xmin:xmax:xip_list (PostgreSQL manual 9.27.5, "Transaction ID and Snapshot Information").
 * It has 64-bit transaction numbers, the stream 32-bit ones: the latter are taken as the one of their residue that is nearest
 * to xmax, which holds as long as both are less than 2^31 transactions apart (PostgreSQL guarantees it for what is not frozen).
 *
 * What a snapshot sees has nothing to do with LSNs: a commit can be in the WAL, and decoded, long before it becomes
 * visible (a synchronous standby that does not answer).
 */
#ifndef PGTIDE_BROKER_XID_SNAPSHOT_H
#define PGTIDE_BROKER_XID_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XID_SNAPSHOT_XIP_MAX 1024u

struct xid_snapshot {
    uint64_t xmin; /* everything below is over */
    uint64_t xmax; /* everything from here on had not begun */
    uint32_t xip_count;
    uint64_t *xip; /* in between, still in progress; ascending; owned */
};

/* False when it is not such a text, or has more than XID_SNAPSHOT_XIP_MAX running transactions; then `out` is empty. */
bool xid_snapshot_parse(struct xid_snapshot *out, const char *text, size_t len);
void xid_snapshot_fini(struct xid_snapshot *snapshot);
void xid_snapshot_copy(struct xid_snapshot *out, const struct xid_snapshot *from);
/* Whether a committed transaction is visible. O(log xip). */
bool xid_snapshot_sees(const struct xid_snapshot *snapshot, uint32_t xid);
/* Whether this transaction began after the snapshot was taken: what the snapshot sees was committed before it, so a stream in the
 * order of commits that has come to this one has passed all of that. O(1). */
bool xid_snapshot_is_past(const struct xid_snapshot *snapshot, uint32_t xid);

#endif
