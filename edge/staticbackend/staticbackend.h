/* edge/staticbackend/staticbackend.h - the dialect of /ws, /sse/connect and /sse/msg (seed 004), for the real @staticbackend/js.
 *
 * docs/protocol-staticbackend.md is what a client sees. Decisions that the seed leaves open:
 *
 * Tenants. A public key (header SB-PUBLIC-KEY, else query sbpk, else cookie pk) names a schema (staticbackend.keys). Everything is
 * within one: tables, channels, users, the limit of connections. /ws may come without a key, as the client does; it is of the first key then.
 *
 * Sessions. A connection has an id ("sid") that says which process of the host has it, so that a POST which the kernel gave to another
 * one is handed over (edge/handover.h). Ids are seen by others (chan_out), so a POST is acted on only with the session's own token; a
 * session without a user accepts auth and echo, and cannot become another user's afterwards.
 *
 * Permissions are judged here, not at the broker: the suffix is a name that a client writes, its account may be a member of a
 * document, and the broker's row-level security comes first in any case (under staticbackend.role). Once per event and *audience*: the
 * clients of this process that ask for the same repository with the same account (or owner, or everybody). So an event costs one
 * look at its row, and a comparison of texts for each account that listens here; frames are made for those that may see it.
 * Both row versions are judged: a document that leaves a reader's sight is deleted for it, one that enters is created.
 *
 * Resuming. Events of tables carry their position as the id of the stream's event. Streams get whole transactions in the order
 * of commits over all their tables (hub_joining.transactions), so that the last id is all there is to say; while a table is not in
 * force yet, events go without an id. Last-Event-ID makes the joins of the first seconds go on from there.
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_STATICBACKEND_H
#define PGTIDE_EDGE_STATICBACKEND_STATICBACKEND_H

#include "edge/dialect.h"
#include "edge/hub.h"

struct staticbackend;
struct rt_process;

struct staticbackend_config {
    const struct rt_process *process;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*now)(void);      /* NULL: rt_now */
    rt_usec (*wall_now)(void); /* NULL: rt_wall_now */
};

enum { STATICBACKEND_PATHS = 3 };

/* The `dialect` argument of all three. NULL after logging: staticbackend.keys cannot be read. */
struct staticbackend *staticbackend_new(const struct staticbackend_config *config);
void staticbackend_free(struct staticbackend *sb); /* after the last on_close; NULL is fine */
extern const struct edge_dialect staticbackend_dialects[STATICBACKEND_PATHS];

#endif
