/* edge/fluxbase/rest.h - POST /api/v1/realtime/broadcast: a message to a channel, from a server.
 *
 *   Authorization: Bearer TOKEN of role service_role
 *   {"channel":"broadcast:chat","message":…}            as the original server has it; the event is "broadcast"
 *   {"channel":"broadcast:chat","event":…,"payload":…}  as its WebSocket has it
 *
 * Answered 200 {"success":true,"channel":…,"id":…} when the channel's shard has it, else 400, 401, 403, 405, 411, 413 or 503 with {"success":false,"error":…}. The
 * original says how many recipients there were; nobody here knows that, and it is not said.
 */
#ifndef PGTIDE_EDGE_FLUXBASE_REST_H
#define PGTIDE_EDGE_FLUXBASE_REST_H

#include "edge/dialect.h"
#include "edge/fluxbase/fluxbase.h"

struct fluxbase_rest;

/* The `dialect` argument of fluxbase_rest_dialect's functions. Never NULL. */
struct fluxbase_rest *fluxbase_rest_new(const struct fluxbase_config *config);
/* After the server, before the hub. */
void fluxbase_rest_free(struct fluxbase_rest *rest);
extern const struct edge_dialect fluxbase_rest_dialect;

#endif
