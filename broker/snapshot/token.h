/* broker/snapshot/token.h - where a snapshot goes on, as text that a client keeps for us. No I/O.
 *
 * A token says which transactions the rows sent so far have seen, and the key of the last of them. It comes back from
 * outside, so every byte is checked; it is not signed, since whatever it says only chooses where the same role reads
 * on, and what of the window it is given again.
 *
 * Bytes: base64url, without padding, of a msgpack array [version, epoch, oid, key print, lsn, done, snapshot, [key…]].
 */
#ifndef PGTIDE_BROKER_SNAPSHOT_TOKEN_H
#define PGTIDE_BROKER_SNAPSHOT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/snapshot/sql.h"
#include "broker/xid_snapshot.h"
#include "proto/records.h"
#include "runtime/buf.h"

struct token {
    uint64_t epoch;               /* of the stream */
    uint32_t oid;                 /* of the table */
    uint64_t key_print;           /* sql_key_print */
    uint64_t lsn;                 /* what `seen` sees was written before */
    bool done;                    /* all rows were sent; there are no keys */
    char *seen;                   /* text of the snapshot */
    struct xid_snapshot snapshot; /* the same, when decoded */
    char *keys[SQL_KEYS_MAX];
    uint32_t key_count;
};

/* Appends it; false, and nothing appended, when it is longer than WIRE_TOKEN_MAX. */
bool token_encode(struct rt_buf *out, const struct token *token);
/* False, with `out` empty, for anything that token_encode does not write. Texts are copied: token_fini. */
bool token_decode(struct wire_span text, struct token *out);
void token_fini(struct token *token);

#endif
