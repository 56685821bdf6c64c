/* edge/fluxbase/channel.h - the channel names of seed 003.
 *
 *   table:{schema}.{table}   split at the first dot; each name 1 to 63 bytes
 *   presence:{room}          at least one character
 *   broadcast:{topic}
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
    FLUXBASE_BROADCAST
};

#define FLUXBASE_CHANNEL_MAX 255u /* bytes, of names that clients choose */

struct fluxbase_channel {
    enum fluxbase_channel_kind kind;
    struct rt_span schema; /* slices of the text; FLUXBASE_TABLE only */
    struct rt_span table;
};

/* kind is FLUXBASE_NO_CHANNEL if the text is none of the three. */
struct fluxbase_channel fluxbase_channel_parse(struct rt_span text);
/* Whether a schema or table may be called so: 1 to 63 bytes, no control characters; a schema has no dot, since the channel's
 * name could not tell where it ends. */
bool fluxbase_is_table_name(struct rt_span name);
bool fluxbase_is_schema_name(struct rt_span name);

#endif
