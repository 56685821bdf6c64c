/* edge/fluxbase/parts.h - what the files of this dialect share; nobody else includes it.
 *
 *   fluxbase.c      sessions, messages of clients
 *   subscription.c  subscriptions, and what the hub says about them
 */
#ifndef PGTIDE_EDGE_FLUXBASE_PARTS_H
#define PGTIDE_EDGE_FLUXBASE_PARTS_H

#include "edge/fluxbase/fluxbase.h"
#include "edge/fluxbase/in.h"
#include "edge/fluxbase/out.h"
#include "edge/fluxbase/uuid.h"
#include "edge/list.h"
#include "runtime/metrics.h"

#define FLUXBASE_CODES 6 /* enum wire_code, from 1 */

struct fluxbase {
    const struct rt_config *config;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*now)(void);
    rt_usec (*wall_now)(void);
    struct rt_counter *messages;
    struct rt_counter *errors[FLUXBASE_CODES];
    struct edge_frame *pong;
    struct edge_frame *heartbeat; /* without a position */
    struct edge_frame
        *progress; /* the last one with a position, for the next client that is there */
    struct wire_position progress_at;
    struct edge_frame *stale; /* the last one that says how stale */
    int64_t stale_seconds;
    struct edge_frame *fresh;
    struct rt_buf out;     /* scratch: one frame */
    struct rt_buf payload; /* of the change with number payload_of, for its further audiences */
    uint64_t payload_of;
};

struct fluxbase_session {
    struct fluxbase *fluxbase;
    struct edge_conn *conn;
    struct hub_client *client; /* NULL: refused, and about to be closed */
    struct list_node subs;
    bool closing;
    rt_usec paid_until; /* of the message rate: see within_rate() */
};

struct fluxbase_subscription {
    struct fluxbase_session *session;
    struct hub_sub *handle;
    struct list_node in_session;
    enum fluxbase_form form;
    struct fluxbase_names names; /* point into `text` and `id` */
    char id[FLUXBASE_UUID_SIZE];
    char text[];
};

/* fluxbase.c */
struct rt_span fluxbase_span(const char *text);
/* The scratch buffer as a frame; and sent. */
struct edge_frame *fluxbase_frame(struct fluxbase *fluxbase);
void fluxbase_send_out(struct fluxbase_session *session);
void fluxbase_send_error(struct fluxbase_session *session, enum wire_code code,
                         struct rt_span message, struct rt_span channel);
extern const char fluxbase_bad_token[];

/* subscription.c */
void fluxbase_subscribe(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_unsubscribe(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_subscription_free(struct fluxbase_subscription *sub);
extern const struct hub_dialect fluxbase_hub_side;

#endif
