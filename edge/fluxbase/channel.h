/* edge/fluxbase/channel.h - the channel names of seed 003.
 *
 *   table:{schema}.{table}   split at the first dot; each name 1 to 63 bytes
 *   presence:{room}          at least one character
 *   broadcast:{topic}
 *
 *
 * and, where realtime.free_channels allows it (the SDK takes any text, and its examples are called room-1), a free name: anything that begins
 * with none of the three prefixes, nor with realtime:admin:, which the original keeps for itself. It is another name for broadcast:{name}, which
 * is also what rules, SQL and other clients call it.
 *
 * No control characters anywhere. Names are compared as they are, without quoting or folding. Pure.
 */
#ifndef PGTIDE_EDGE_FLUXBASE_CHANNEL_H
#define PGTIDE_EDGE_FLUXBASE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

enum fluxbase_channel_kind {
    FLUXBASE_NO_CHANNEL,
    FLUXBASE_TABLE,
    FLUXBASE_PRESENCE,
    FLUXBASE_BROADCAST,
    FLUXBASE_FREE,
};

#define FLUXBASE_CHANNEL_MAX 255u /* bytes, of names that clients choose */

struct fluxbase_channel {
    enum fluxbase_channel_kind kind;
    struct rt_span schema; /* slices of the text; FLUXBASE_TABLE only */
    struct rt_span table;
};

/* kind is FLUXBASE_NO_CHANNEL if the text is none of these. */
struct fluxbase_channel fluxbase_channel_parse(struct rt_span text);
/* What a channel that is not a table's is called everywhere but at its client: the text itself, or of a free name broadcast:{name}, in `out`
 * (FLUXBASE_CHANNEL_MAX bytes). */
struct rt_span fluxbase_room_name(struct rt_span text, char *out);
/* Whether a schema or table may be called so: 1 to 63 bytes, no control characters; a schema has no dot, since the channel's
 * name could not tell where it ends. */
bool fluxbase_is_table_name(struct rt_span name);
bool fluxbase_is_schema_name(struct rt_span name);

#endif
