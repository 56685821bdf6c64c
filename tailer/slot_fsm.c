/* tailer/slot_fsm.c - see slot_fsm.h. */
#include "tailer/slot_fsm.h"

struct slot_edge {
    bool legal;
    enum slot_state next;
};

#define LOST_OR_STOP [SLOT_EV_LOST] = { true, SLOT_DOWN }, [SLOT_EV_STOP] = { true, SLOT_STOPPED }

static const struct slot_edge edges[SLOT_STATE_COUNT][SLOT_EVENT_COUNT] = {
    [SLOT_DOWN] = {
        [SLOT_EV_RETRY] = { true, SLOT_RESOLVING },
        [SLOT_EV_STOP] = { true, SLOT_STOPPED },
    },
    [SLOT_RESOLVING] = {
        [SLOT_EV_RESOLVED] = { true, SLOT_DIALING },
        LOST_OR_STOP,
    },
    [SLOT_DIALING] = {
        [SLOT_EV_CONNECTED] = { true, SLOT_IDENTIFYING },
        LOST_OR_STOP,
    },
    [SLOT_IDENTIFYING] = {
        [SLOT_EV_DONE] = { true, SLOT_CHECKING },
        LOST_OR_STOP,
    },
    [SLOT_CHECKING] = {
        [SLOT_EV_USABLE] = { true, SLOT_STARTING },
        [SLOT_EV_ABSENT] = { true, SLOT_CREATING },
        [SLOT_EV_SPOILT] = { true, SLOT_DROPPING },
        [SLOT_EV_BUSY] = { true, SLOT_STANDBY },
        LOST_OR_STOP,
    },
    [SLOT_DROPPING] = {
        [SLOT_EV_DONE] = { true, SLOT_CREATING },
        [SLOT_EV_BUSY] = { true, SLOT_STANDBY },
        LOST_OR_STOP,
    },
    [SLOT_CREATING] = {
        [SLOT_EV_DONE] = { true, SLOT_STARTING },
        LOST_OR_STOP,
    },
    [SLOT_STARTING] = {
        [SLOT_EV_DONE] = { true, SLOT_STREAMING },
        [SLOT_EV_BUSY] = { true, SLOT_STANDBY },
        LOST_OR_STOP,
    },
    [SLOT_STREAMING] = {
        LOST_OR_STOP,
    },
    [SLOT_STANDBY] = {
        [SLOT_EV_RETRY] = { true, SLOT_RESOLVING },
        [SLOT_EV_STOP] = { true, SLOT_STOPPED },
    },
    [SLOT_STOPPED] = {
        [SLOT_EV_STOP] = { true, SLOT_STOPPED },
    },
};

bool slot_fsm_next(enum slot_state state, enum slot_event event, enum slot_state *out_next)
{
    const struct slot_edge *edge = &edges[state][event];

    if (!edge->legal) {
        return false;
    }
    *out_next = edge->next;
    return true;
}

const char *slot_state_name(enum slot_state state)
{
    static const char *const names[SLOT_STATE_COUNT] = {
        [SLOT_DOWN] = "down",
        [SLOT_DIALING] = "dialing",
        [SLOT_IDENTIFYING] = "identifying",
        [SLOT_CHECKING] = "checking",
        [SLOT_DROPPING] = "dropping",
        [SLOT_CREATING] = "creating",
        [SLOT_STARTING] = "starting",
        [SLOT_STREAMING] = "streaming",
        [SLOT_STANDBY] = "standby",
        [SLOT_STOPPED] = "stopped",
        [SLOT_RESOLVING] = "resolving",
    };
    return names[state];
}

const char *slot_event_name(enum slot_event event)
{
    static const char *const names[SLOT_EVENT_COUNT] = {
        [SLOT_EV_RETRY] = "retry",         [SLOT_EV_RESOLVED] = "resolved",
        [SLOT_EV_CONNECTED] = "connected", [SLOT_EV_DONE] = "done",
        [SLOT_EV_USABLE] = "usable",       [SLOT_EV_ABSENT] = "absent",
        [SLOT_EV_SPOILT] = "spoilt",       [SLOT_EV_BUSY] = "busy",
        [SLOT_EV_LOST] = "lost",           [SLOT_EV_STOP] = "stop",
    };
    return names[event];
}
