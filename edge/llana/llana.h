/* edge/llana/llana.h - the dialect of /socket.io/ (seeds 000 to 002): Socket.IO clients of Llana's, each of one table.
 *
 * docs/protocol-llana.md is what a client sees. A client names a table and shows a token when it connects; afterwards it gets the
 * table's events, as far as its role reads them at that moment. Order of the checks and texts of refusals are the original's
 * (reference/seed-protocols.md 1.2), because clients act on them.
 *
 * Who reads: all clients of a table share one subscription, as llana.database_role, and Llana's roles (edge/llana/roles.h) decide for
 * each socket when an event is delivered. For the tables in llana.rls_tables it is PostgreSQL that decides, by the role and
 * the claims of each token, and Llana's roles have no say.
 *
 * A client hears that it is connected when its subscription is in force. When something is lost (a gap, roles that are not known any
 * more, an identity that is too old) its connection is closed: it comes back by itself, says from where, and gets what it missed or is
 * told that it was not recovered.
 *
 * Cost of an event: one frame for each table, a comparison or two for each socket.
 */
#ifndef PGTIDE_EDGE_LLANA_LLANA_H
#define PGTIDE_EDGE_LLANA_LLANA_H

#include "edge/dialect.h"
#include "edge/hub.h"

struct llana;
struct rt_process;

struct llana_config {
    const struct rt_process *process;
    struct hub *hub;
    const struct token_verifier *verifier;
};

/* Never NULL. */
struct llana *llana_new(const struct llana_config *config);
void llana_free(struct llana *llana); /* after the server, before the hub */
/* What the server is given; the second is the dialect's context. */
struct edge_dialect llana_dialect(void);
void *llana_dialect_ctx(struct llana *llana);

#endif
