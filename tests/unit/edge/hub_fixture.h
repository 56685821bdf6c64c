/* tests/unit/edge/hub_fixture.h - a hub of two fake shards, and people of a dialect that writes down what it is told.
 *
 * What a person hears comes as one line each:
 *   accepted NAME EPOCH/LSN/INDEX [undefined]     refused NAME CODE TEXT
 *   resumed NAME EPOCH/LSN/INDEX [undefined]      gone NAME REASON TEXT since POSITION of OLDEST to NEWEST
 *   gap NAME EPOCH/LSN to EPOCH/LSN               expired, unseated, stale SECONDS, fresh
 *   commit LSN/INDEX CHANGES                      overflow
 *   rows NAME PAGE [last] JSON 'TOKEN' [columns that are too large]
 *   FORM TEXT OPERATION TABLE [new JSON] [old JSON], then "." for the last of its transaction, else "+"
 */
#ifndef PGTIDE_TESTS_HUB_FIXTURE_H
#define PGTIDE_TESTS_HUB_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/hub.h"
#include "hub_fakes.h"

#define EPOCH 10

/* With at most 4 subscriptions, named 'a' to 'd'. */
struct person {
    struct hub_client *client;
    struct hub_sub *subs[4];
    struct rt_buf heard;
    struct rt_buf shown;
    size_t waiting;                /* bytes in its queue */
    const struct edge_frame *last; /* for asking whether it is shared; not owned */
};

struct user {
    struct person *person;
    char name;
};

struct fixture {
    struct rt_process *process;
    struct hub *hub;
    struct person people[4];
    struct user users[16];
    unsigned user_count;
    struct wire_writer out;
    unsigned encoded;
    uint64_t content;
};

int set_up(void **state);       /* freshness is not watched */
int set_up_fresh(void **state); /* freshness.threshold is 10 s */
int tear_down(void **state);

struct person *join(struct fixture *f, unsigned at, const char *token);
struct person *join_for_transactions(struct fixture *f, unsigned at, const char *token);
void leave(struct person *person);
void set_identity(struct person *person, const char *token);
/* To table:public.t, which the client calls `text`. */
enum hub_err subscribe_as(struct fixture *f, struct person *person, char name, const char *text,
                          unsigned events);
void subscribe(struct fixture *f, struct person *person, char name); /* as "t", every event */
/* The same, beginning as `want` says. */
enum hub_err subscribe_with(struct fixture *f, struct person *person, char name,
                            struct hub_want want);
void subscribe_since(struct fixture *f, struct person *person, char name, uint64_t lsn);
void subscribe_to(struct fixture *f, struct person *person, char name, const char *channel);
const char *heard(struct person *person); /* since the last call */

/* The shard of table:public.t. */
unsigned shard(void);
const char *of_the_other_shard(void); /* a channel */
uint64_t number_in(const char *told); /* of the first subscribe */
/* What it was told since the last call, and the number of the last subscribe in it; 0: none. */
uint64_t announced(const char **out_told);
void send_frame(struct fixture *f); /* what has been written to f->out, as one frame of the shard */
void accept_sub(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn);
void refuse_sub(struct fixture *f, uint64_t sub);
void accept_replay(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn);
void accept_replay_within(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn,
                          uint32_t index);
void gone_sub(struct fixture *f, uint64_t sub,
              enum wire_gone_reason reason); /* 10/15 to 10/90 could be had */
void begin(struct fixture *f, uint64_t lsn, bool continued);
void replay(struct fixture *f, uint32_t group, uint64_t lsn, bool continued); /* begins one */
/* A whole transaction with one insert, replayed to `group`. */
void replayed(struct fixture *f, uint32_t group, uint64_t lsn, const char *id);
void end(struct fixture *f, uint64_t lsn);
void insert(struct fixture *f, uint32_t group, uint32_t index, const char *id);
/* A whole transaction with one insert into `group`. */
void transaction(struct fixture *f, uint32_t group, uint64_t lsn, const char *id);
/* Sessions, and one person's subscription 'a' in force in group 5 from position 20 on. Returns its number. */
uint64_t in_force(struct fixture *f, struct person *person);

/* An insert, the last of its transaction; and one that is followed by more. */
#define ROW(id)  "1 t insert t new {\"id\":" id ",\"name\":\"x\"}.\n"
#define MORE(id) "1 t insert t new {\"id\":" id ",\"name\":\"x\"}+\n"

#endif
