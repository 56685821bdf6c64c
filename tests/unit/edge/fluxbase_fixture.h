/* tests/unit/edge/fluxbase_fixture.h - /realtime over a hub with fake shards and connections: two clients, Ann and Bob,
 * whose messages and frames are texts. */
#ifndef PGTIDE_TESTS_FLUXBASE_FIXTURE_H
#define PGTIDE_TESTS_FLUXBASE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/fluxbase/fluxbase.h"
#include "hub_fakes.h"

struct client {
    struct edge_conn *conn;
    void *session;
};

struct fixture {
    struct rt_process *process;
    struct hub *hub;
    struct fluxbase *fluxbase;
    struct client ann;
    struct client bob;
    struct wire_writer out;
    uint32_t index; /* of the next change */
    uint64_t lsn;   /* of its transaction */
};

/* At most 3 subscriptions per connection, any number of messages. */
int set_up(void **state);
/* At most 3 messages per minute; a bad token is closed after 2 s. */
int set_up_limited(void **state);
int tear_down(void **state);

void open_client(struct fixture *f, struct client *client, const char *token); /* "bad" is one */
void open_client_for_transactions(struct fixture *f, struct client *client, const char *token);
void close_client(struct client *client);
/* Sends a text and returns what came back. */
const char *say(struct client *client, const char *text);
/* Sends a text that is answered by this error alone, with these words in it. */
void check_error(struct client *client, const char *text, const char *code, const char *words);

/* The number of the first subscription that the shard was told of since it was asked last; 0: none. */
uint64_t announced(void);
/* The shard accepts it, at LSN 16b3700, into group 5: public.users (id, name). */
void accept_subscription(struct fixture *f, uint64_t sub);
/* Takes the subscription_id out of an acknowledgement, since it is random. */
void take_id(char *text, char out[37]);
/* Subscribes and returns the acknowledgement without its id. */
char *subscribed(struct fixture *f, struct client *client, const char *text, char id[37]);
extern const char by_channel[]; /* the message that subscribes to table:public.users */
void in_force(struct fixture *f, struct client *client); /* that subscription, accepted */
/* A transaction with one change of group 5, from (123, John) to (123, John Doe). */
void change(struct fixture *f, enum wire_op op, bool with_old);

#endif
