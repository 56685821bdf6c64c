/* tailer/slot_fsm.h - the states of the replication connection, as a table.
 *
 *   DOWN        waiting to try again
 *   DIALING     connecting
 *   IDENTIFYING IDENTIFY_SYSTEM is under way: which server, which timeline
 *   CHECKING    set-up: versions, publication, slot (synchronous, by SQL)
 *   DROPPING    a slot that cannot be used any more is being dropped
 *   CREATING    a slot is being created; PostgreSQL waits for the transactions that are running
 *   STARTING    START_REPLICATION is under way
 *   STREAMING   changes come
 *   STANDBY     another tailer holds the slot; asking now and then whether it still does
 *   STOPPED     for good
 *   RESOLVING   before DIALING: the host's name is being looked up; last, since the numbers are a metric
 *
 * Pure. A pair that is not in the table is illegal: it is our mistake, and slot.c counts and logs it.
 */
#ifndef PGTIDE_TAILER_SLOT_FSM_H
#define PGTIDE_TAILER_SLOT_FSM_H

#include <stdbool.h>

enum slot_state {
    SLOT_DOWN,
    SLOT_DIALING,
    SLOT_IDENTIFYING,
    SLOT_CHECKING,
    SLOT_DROPPING,
    SLOT_CREATING,
    SLOT_STARTING,
    SLOT_STREAMING,
    SLOT_STANDBY,
    SLOT_STOPPED,
    SLOT_RESOLVING,
    SLOT_STATE_COUNT,
};

enum slot_event {
    SLOT_EV_RETRY,    /* the pause is over, or the slot looks free */
    SLOT_EV_RESOLVED, /* the host's addresses are known, or nothing was to be looked up */
    SLOT_EV_CONNECTED,
    SLOT_EV_DONE,   /* the command under way has succeeded */
    SLOT_EV_USABLE, /* the slot is there */
    SLOT_EV_ABSENT, /* there is no slot */
    SLOT_EV_SPOILT, /* there is one that can never be used again */
    SLOT_EV_BUSY,   /* somebody else has it */
    SLOT_EV_LOST,   /* any failure: the connection is given up */
    SLOT_EV_STOP,
    SLOT_EVENT_COUNT,
};

/* False: illegal, *out_next is not written. */
bool slot_fsm_next(enum slot_state state, enum slot_event event, enum slot_state *out_next);
const char *slot_state_name(enum slot_state state);
const char *slot_event_name(enum slot_event event);

#endif
