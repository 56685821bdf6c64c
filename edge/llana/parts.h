/* edge/llana/parts.h - what the files of this dialect share; nobody else includes it.
 *
 *   llana.c    the dialect: settings, what it stands on
 *   session.c  sockets and their packets
 *   connect.c  a connect packet, from its checks to its answer
 *   events.c   what the hub says, and who may have an event
 */
#ifndef PGTIDE_EDGE_LLANA_PARTS_H
#define PGTIDE_EDGE_LLANA_PARTS_H

#include "edge/engineio/engineio.h"
#include "edge/list.h"
#include "edge/llana/feed.h"
#include "edge/llana/llana.h"
#include "edge/llana/opening.h"
#include "edge/llana/out.h"
#include "edge/llana/slowdown.h"
#include "edge/llana/socketio.h"
#include "runtime/metrics.h"

enum llana_outcome { LLANA_CONNECTED, LLANA_RECOVERED, LLANA_REFUSED, LLANA_OUTCOMES };

struct llana {
    const struct rt_process *process;
    const struct rt_config *config;
    struct hub *hub;
    const struct token_verifier *verifier;
    struct engineio *engine;
    struct llana_roles *roles;
    struct llana_feed *feed;
    struct list_node sessions;
    struct llana_out out;
    struct rt_buf text; /* scratch */
    struct llana_slowdown slowdown;
    struct rt_counter *outcomes[LLANA_OUTCOMES];
    struct rt_counter *sent;
    struct rt_counter *withheld;
    struct rt_counter *keyless;
    struct rt_counter *messages;
};

enum llana_state {
    LLANA_APART,       /* no namespace */
    LLANA_WAITING,     /* for the roles to be known */
    LLANA_REFUSING,    /* the answer is delayed */
    LLANA_SUBSCRIBING, /* the shard has not answered yet */
    LLANA_JOINED,
};

struct llana_session {
    struct llana *llana;
    struct engineio_conn *conn;
    struct list_node all;
    struct llana_opening opening;
    enum llana_state state;
    /* of the connect packet */
    char *table;
    char *token; /* NULL: none */
    bool has_since;
    struct wire_position since;
    char pid[LLANA_PID_SIZE]; /* the one it comes back with; "": none */
    char *refusal;
    /* who it is */
    char *sub;         /* NULL: nobody in particular */
    bool unrestricted; /* Llana's roles have no say */
    struct hub_client *client;
    struct hub_sub *handle;
    uint64_t judged; /* generation of the verdict; 0: none */
    struct llana_verdict verdict;
    /* monotonic; 0: none */
    rt_usec connect_due;
    rt_usec refuse_due;
    rt_usec again_due; /* subscribe without a position */
    rt_usec identity_due;
    rt_usec paid_until; /* of the message rate */
};

/* session.c */
extern const struct engineio_app llana_app;
void llana_arm(struct llana_session *session);
void llana_send(struct llana_session *session); /* the scratch text */
/* The client is to come back. */
void llana_send_away(struct llana_session *session, const char *reason);

/* connect.c */
void llana_connect(struct llana_session *session, void *auth);
void llana_connect_again(struct llana_session *session); /* the roles are known now */
void llana_refuse_now(struct llana_session *session);
/* Without a position, since that one is gone. */
void llana_subscribe_anew(struct llana_session *session);
/* Back to where it was before its connect packet. */
void llana_part(struct llana_session *session);
/* With the delay of its address. */
void llana_refuse(struct llana_session *session, const char *text);

/* events.c */
extern const struct hub_dialect llana_hub_side;

#endif
