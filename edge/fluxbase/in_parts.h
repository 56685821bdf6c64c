/* edge/fluxbase/in_parts.h - what the readers of client messages share: in.c (types, tables) and in_room.c (broadcast, presence). */
#ifndef PGTIDE_EDGE_FLUXBASE_IN_PARTS_H
#define PGTIDE_EDGE_FLUXBASE_IN_PARTS_H

#include <jansson.h>

#include "edge/fluxbase/in.h"

/* All false, with the refusal filled. */
__attribute__((format(printf, 3, 4))) bool
fluxbase_refuse(struct fluxbase_refusal *refusal, enum wire_code code, const char *format, ...);
bool fluxbase_fails(struct fluxbase_refusal *refusal, const char *text);
/* A member that must be a string if it is there. null counts as absent: SDKs send it for options not set. */
bool fluxbase_optional_text(const json_t *object, const char *name, struct rt_span *out,
                            struct fluxbase_refusal *refusal);

/* Whether the message's channel is one that is not a table's. */
bool fluxbase_is_room(const struct fluxbase_message *message);
/* `raw` is the message's text. */
bool fluxbase_read_broadcast(const json_t *root, struct rt_span raw,
                             struct fluxbase_message *message, struct fluxbase_refusal *refusal);
bool fluxbase_read_presence(const json_t *root, struct rt_span raw,
                            struct fluxbase_message *message, struct fluxbase_refusal *refusal);
/* subscribe, of a channel that is not a table's. */
bool fluxbase_read_room(const json_t *root, struct fluxbase_message *message,
                        struct fluxbase_refusal *refusal);

#endif
