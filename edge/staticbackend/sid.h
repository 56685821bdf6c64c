/* edge/staticbackend/sid.h - ids of connections: a UUID (version 8, RFC 9562) whose first 36 bits name the process of this host
 * that has the connection (edge/handover.h); the rest is random. Pure but for randomness. */
#ifndef PGTIDE_EDGE_STATICBACKEND_SID_H
#define PGTIDE_EDGE_STATICBACKEND_SID_H

#include <stdbool.h>

#include "edge/handover.h"
#include "runtime/buf.h"

/* `out` holds 37 bytes. */
void sb_sid_make(const char host[HANDOVER_NAME_LEN], char *out);
/* Which process has it; false: no such id. */
bool sb_sid_host(struct rt_span sid, char out[HANDOVER_NAME_LEN]);

#endif
