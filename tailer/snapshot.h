/* tailer/snapshot.h - whether a transaction is visible to a snapshot, from pg_current_snapshot()'s text.
 *
 * The text is xmin:xmax:xip,xip,… with 64-bit numbers; the stream has the low 32 bits of a transaction's number.
 * A transaction is at most 2^31 away from the present, so those tell. Pure. */
#ifndef PGTIDE_TAILER_SNAPSHOT_H
#define PGTIDE_TAILER_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

/* False as well when the text cannot be read. */
bool snapshot_sees(const char *snapshot, uint32_t xid);

#endif
