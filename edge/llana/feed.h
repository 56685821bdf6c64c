/* edge/llana/feed.h - keeps the roles (edge/llana/roles.h) as the database has them: a snapshot of Llana's three tables, then their
 * changes, through the same hub as any client's.
 *
 * Why at the edge and not in the broker: Llana's decision needs the user of each socket, so it is the edge's in any case; and the
 * subscriptions of a hub are snapshot, changes and recovery already. Price: each edge has the users and their roles in
 * memory.
 *
 * It starts with the first client that needs it. When the tables cannot be followed (a gap, a refusal) the roles are not known:
 * on_lost() is called once, and the tables are read anew, after RETRY when they were refused. Until all three are there
 * it is not ready, and nobody may read anything.
 */
#ifndef PGTIDE_EDGE_LLANA_FEED_H
#define PGTIDE_EDGE_LLANA_FEED_H

#include <stdbool.h>

#include "edge/hub.h"
#include "edge/llana/roles.h"

struct llana_feed;

struct llana_feed_config {
    const struct rt_process *process;
    struct hub *hub;
    struct llana_roles *roles;
    void (*on_ready)(void *ctx);
    void (*on_lost)(void *ctx);
    void *ctx;
};

struct llana_feed *llana_feed_new(const struct llana_feed_config *config);
void llana_feed_free(struct llana_feed *feed);
/* Does nothing when it has been started. */
void llana_feed_start(struct llana_feed *feed);
bool llana_feed_is_ready(const struct llana_feed *feed);
/* The identity that reads for Llana's clients. */
void llana_reader_identity(const struct rt_process *process, struct identity *out);
/* table:SCHEMA.NAME */
struct rt_span llana_channel(const struct rt_process *process, const char *table,
                             char out[WIRE_CHANNEL_MAX]);

#endif
