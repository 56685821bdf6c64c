/* edge/llana/opening.h - who connects, and to what: from the request that opened the session and from the connect packet.
 *
 * Only these two count (reference/seed-protocols.md 1.1, 1.2, 1.9): headers of later polls and of the upgrade do not.
 *
 *   table   auth["x-llana-table"], else header x-llana-table
 *   token   header Authorization: Bearer, else auth.token (raw or "Bearer …"), else the last cookie accessToken
 *
 * Pure. Texts are bounded by the sizes of a head and of a packet.
 */
#ifndef PGTIDE_EDGE_LLANA_OPENING_H
#define PGTIDE_EDGE_LLANA_OPENING_H

#include <stdbool.h>

#include "edge/http_request.h"
#include "proto/records.h"
#include "runtime/buf.h"

/* What is kept of the request; NULL: it had none. */
struct llana_opening {
    char *bearer;
    char *cookie;
    char *table;
    char address[HTTP_PEER_SIZE];
};
void llana_opening_read(const struct http_request *request, bool trust_proxy,
                        struct llana_opening *out);
void llana_opening_fini(struct llana_opening *opening);

enum {
    LLANA_TABLE_MAX = 63,
    LLANA_SID_LEN = 20,
    LLANA_PID_SIZE = LLANA_SID_LEN + 1 + WIRE_POSITION_TEXT_SIZE
};

/* One connect packet. Texts live as long as the opening and the packet. */
struct llana_connect {
    const char *table; /* NULL: none given */
    const char *token; /* NULL: none given */
    bool has_since;    /* it comes back, and says from where */
    struct wire_position since;
    char pid[LLANA_PID_SIZE]; /* "" unless has_since */
};
/* auth: json_t object or NULL. */
void llana_connect_read(const struct llana_opening *opening, void *auth, struct llana_connect *out);

/* A pid is the sid and the position that the client was complete from. */
void llana_pid_make(const char sid[LLANA_SID_LEN + 1], const struct wire_position *position,
                    char out[LLANA_PID_SIZE]);
bool llana_pid_read(const char *pid, char sid[LLANA_SID_LEN + 1], struct wire_position *position);

/* Whether an address is in a list with commas; an empty list has everybody. IPv4 in IPv6 is IPv4. */
bool llana_hosts_allow(const char *hosts, const char *address);
/* 1 to 63 bytes, no control characters. */
bool llana_is_table_name(const char *name);

#endif
