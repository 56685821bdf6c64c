/* broker/channel.h - the names that clients subscribe to.
 *
 *   table:SCHEMA.TABLE    changes of a table. The schema ends at the first dot; the table may contain more.
 *
 * Names are taken as they are in the catalog: case matters, nothing is quoted. Each part is 1 to 63
 * bytes of UTF-8 without control characters. Parsing borrows the text, allocates nothing, and is linear.
 */
#ifndef PGTIDE_BROKER_CHANNEL_H
#define PGTIDE_BROKER_CHANNEL_H

#include <stdbool.h>

#include "proto/records.h"

struct channel {
    struct wire_span schema;
    struct wire_span table;
};

/* UTF-8 without control characters: what can be asked of PostgreSQL as a name. */
bool channel_clean_text(struct wire_span text);
/* False with the reason, for the client, in *out_why (a literal). */
bool channel_parse(struct wire_span text, struct channel *out, const char **out_why);

#endif
