/* tailer/slot_impl.h - shared by slot.c (states), slot_command.c, slot_policies.c and slot_stream.c (reading); nobody
 * else includes it. */
#ifndef PGTIDE_TAILER_SLOT_IMPL_H
#define PGTIDE_TAILER_SLOT_IMPL_H

#include <libpq-fe.h>

#include "tailer/slot.h"

struct rt_condition;
struct rt_io;
struct rt_resolve;
struct rt_resolved;
struct rt_timer;

struct slot {
    struct slot_config config;
    struct rt_resolve *lookup;       /* from RESOLVING on, if the host is a name */
    const struct rt_resolved *found; /* by it */
    PGconn *conn;
    struct rt_io *io;
    struct rt_timer *timer;  /* of the state: pause, deadline, standby's look */
    struct rt_timer *status; /* confirmations */
    struct rt_timer *again;  /* reading goes on without waiting for the socket */
    struct rt_condition *database;
    struct rt_condition *ready;
    char *reason;
    char *spoilt_reason;
    char *system_id;
    struct setup_state setup;

    rt_usec pause; /* before the next attempt */
    rt_usec streaming_since;
    uint64_t created_lsn;
    uint64_t epoch; /* of the last session; 0: none yet */
    uint64_t received;
    uint64_t confirmed;
    char *held; /* a message that on_message() wants again; PQfreemem() */
    rt_usec window_since;
    rt_usec asked_since; /* the first of a row of questions for a status */

    enum slot_state state;
    enum slot_event next;
    int io_fd;
    int held_len;
    int last_pid; /* of the walsender we had last */
    uint32_t timeline;
    uint64_t server_lsn;     /* end of the WAL when the connection was made */
    uint64_t policies_after; /* confirmed that much, the policies' publication is tried again */
    uint64_t policies_until; /* received that much, it has proven to work; 0: it has */
    uint32_t window_messages;
    uint32_t asked; /* questions in that row */

    bool pending; /* `next` waits to be taken: an entry action caused it */
    bool stepping;
    bool spoilt;          /* the slot is known to fail for ever */
    bool policies;        /* their publication is streamed */
    bool policies_failed; /* it was, and could not be */
    bool locked;          /* set-up holds its lock */
    bool paused;
    bool busy;    /* many messages in the last window */
    bool resting; /* until `again` fires */
};

/* Takes `event` now, or right after the step that is under way. */
void slot_step(struct slot *slot, enum slot_event event);
/* Gives up the connection with a reason that is logged, and tries again later. */
void slot_lose(struct slot *slot, const char *reason, const char *sqlstate);

/* Says why in /readyz. */
void slot_not_ready(struct slot *slot, const char *reason);
void slot_watch(struct slot *slot, int events);
void slot_unlock(struct slot *slot);
uint64_t slot_epoch_of(const struct slot *slot, int64_t incarnation);

void slot_enter_identifying(struct slot *slot);
void slot_enter_dropping(struct slot *slot);
void slot_enter_creating(struct slot *slot);
void slot_enter_starting(struct slot *slot);
void slot_read_answer(struct slot *slot);

/* slot_policies.c: whether the stream that starts brings the policies' publication too. */
bool slot_policies_start(struct slot *slot);

void slot_stream_start(struct slot *slot);
void slot_stream_stop(struct slot *slot);
void slot_stream_ready(struct slot *slot, int events);
void slot_stream_send_status(struct slot *slot);

#endif
