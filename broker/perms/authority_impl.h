/* broker/perms/authority_impl.h - what the files of the authority share. Not for others.
 *
 *   authority.c         asks, in batches, and answers
 *   authority_watches.c the watches: which are to be asked about, and which the stream waits for
 */
#ifndef PGTIDE_BROKER_PERMS_AUTHORITY_IMPL_H
#define PGTIDE_BROKER_PERMS_AUTHORITY_IMPL_H

#include "broker/perms/authority.h"
#include "broker/perms/fences.h"

enum { FINGERPRINT_MAX = 128 };

/* QUEUED: listed in authority->first…last. FLYING: in authority->flight. */
enum watch_state { WATCH_SETTLED, WATCH_QUEUED, WATCH_FLYING };
struct authority_watch {
    struct authority *authority;
    void *user;
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    char role[WIRE_NAME_MAX + 1];
    size_t slot; /* in authority->watches */
    enum watch_state state;
    bool answered;
    bool again;  /* asked once more while flying: that answer does not count */
    bool dead;   /* unwatched while flying */
    bool fenced; /* the stream waits for the answer */
    unsigned errors;
    uint64_t asked_lsn;
    uint64_t answered_lsn; /* the answer sees what committed there */
    rt_usec deadline;
    struct policy_rules *rules; /* of the last answer that had some; referenced */
    struct authority_watch *prev;
    struct authority_watch *next;
};

struct authority {
    struct authority_config config;
    struct pgconn *conn;
    struct inquiry *inquiry;
    struct rt_timer *tick;
    struct rt_timer *retry;
    struct rt_defer *settle;
    bool up;
    bool resting; /* `retry` runs */
    rt_usec retry_after;
    struct authority_watch **watches;
    size_t watch_count;
    size_t watch_cap;
    struct authority_watch *first;
    struct authority_watch *last;
    struct authority_watch *flight[AUTHORITY_BATCH];
    size_t flight_count;
    bool in_flight; /* an inquiry, with or without questions */
    size_t solo;    /* so many questions go one by one: one of their batch failed */
    size_t fenced;
    bool waited_for;
    struct fences fences;
    rt_usec poll_at;
    char fingerprint[FINGERPRINT_MAX];
};

/* authority_watches.c */
void authority_enqueue(struct authority_watch *watch);
void authority_dequeue(struct authority_watch *watch);
void authority_request_all(struct authority *authority);
void authority_unfence(struct authority_watch *watch);
/* Takes the watch out of the flight; false when there is nobody to answer. */
bool authority_land(struct authority_watch *watch);
/* authority.c */
void authority_pump(struct authority *authority);

#endif
