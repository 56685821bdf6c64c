/* edge/fluxbase/parts.h - what the files of this dialect share; nobody else includes it.
 *
 *   fluxbase.c      sessions, messages of clients
 *   subscription.c  subscriptions, and what the hub says about them
 *   room.c          broadcast and presence channels
 *   seat.c          whose connection it is
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
    struct list_node sent; /* messages without an answer: room.c */
    bool closing;
    rt_usec paid_until; /* of the message rate: see within_rate() */
};

struct fluxbase_subscription {
    struct fluxbase_session *session;
    struct hub_sub *handle; /* of a table; else */
    struct hub_room *room;
    bool implicit; /* nobody has subscribed; see room.c */
    bool joined;
    struct hub_room_accepted accepted; /* once it has joined */
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
#define fluxbase_bad_token_text "Invalid or expired token"
extern const char fluxbase_bad_token[];
void fluxbase_send_failure(struct fluxbase_session *session, const char *what,
                           struct rt_span channel);

/* subscription.c */
void fluxbase_subscribe(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_unsubscribe(struct fluxbase_session *session, const struct fluxbase_message *message);
struct fluxbase_subscription *fluxbase_subscription_new(struct fluxbase_session *session,
                                                        const struct fluxbase_message *message,
                                                        struct rt_span channel);
void fluxbase_subscription_free(struct fluxbase_subscription *sub);
/* Says why, and frees it. */
void fluxbase_refuse_subscribe(struct fluxbase_subscription *sub, enum hub_err err);
extern const struct hub_dialect fluxbase_hub_side;

/* seat.c */
/* Points into its claims; len 0: nobody's. */
struct rt_span fluxbase_user_of(const struct identity *identity);
/* Says so, and closes. */
void fluxbase_refuse_seat(struct fluxbase_session *session);
void fluxbase_on_unseated(void *user); /* a session */

/* room.c */
void fluxbase_room_subscribe(struct fluxbase_session *session,
                             const struct fluxbase_message *message);
void fluxbase_room_unsubscribe(struct fluxbase_subscription *sub); /* acknowledged, and freed */
void fluxbase_broadcast(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_track(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_untrack(struct fluxbase_session *session, const struct fluxbase_message *message);
void fluxbase_sent_free_all(struct fluxbase_session *session);
struct edge_frame *fluxbase_encode_message(void *dialect, const struct hub_message *message,
                                           unsigned form, struct rt_span text);
struct edge_frame *fluxbase_encode_presence(void *dialect, const struct hub_presence *presence,
                                            unsigned form, struct rt_span text);
void fluxbase_on_room_accepted(void *session, void *user, const struct hub_room_accepted *accepted);
void fluxbase_on_room_refused(void *session, void *user, enum wire_code code,
                              struct rt_span message);
void fluxbase_on_room_gone(void *session, void *user, enum wire_gone_reason reason,
                           struct rt_span message);
void fluxbase_on_room_gap(void *session, void *user, const char *reason);
void fluxbase_on_done(void *user, void *reply, unsigned code, struct rt_span message,
                      const struct wire_place *place);

#endif
