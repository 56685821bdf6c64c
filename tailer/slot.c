/* tailer/slot.c - the states of the replication connection; see slot.h and slot_fsm.h.
 *
 * What must stay true: the connection exists exactly from DIALING to STREAMING, a look-up's result from RESOLVING; each state's entry starts
 * what the state waits for, and its timer bounds the wait; an entry that causes an event queues it
 * (slot_step does not nest).
 */
#include "tailer/slot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/resolve.h"
#include "tailer/catalog.h"
#include "tailer/dsn.h"
#include "tailer/lsn.h"
#include "tailer/slot_errors.h"
#include "tailer/slot_impl.h"

#define FIRST_PAUSE (100 * RT_MSEC)

static void set_reason(struct slot *slot, const char *reason)
{
    size_t len = strcspn(reason, "\n");
    char *copy = rt_strndup(reason, len);

    free(slot->reason);
    slot->reason = copy;
}

void slot_not_ready(struct slot *slot, const char *reason)
{
    set_reason(slot, reason);
    rt_condition_set(slot->ready, false, "%s", slot->reason);
}

void slot_unlock(struct slot *slot)
{
    if (slot->locked) {
        setup_unlock(&slot->config.setup);
        slot->locked = false;
    }
}

static void close_connection(struct slot *slot)
{
    slot_stream_stop(slot);
    rt_resolve_free(slot->lookup);
    slot->lookup = NULL;
    slot->found = NULL;
    rt_io_free(slot->io);
    slot->io = NULL;
    slot->io_fd = -1;
    if (slot->conn != NULL) {
        PQfinish(slot->conn);
        slot->conn = NULL;
    }
    slot_unlock(slot);
}

/* --- dialing ------------------------------------------------------------------------------------- */

static void on_io(void *ctx, int fd, int events);

void slot_watch(struct slot *slot, int events)
{
    int fd = PQsocket(slot->conn);

    if (fd < 0) {
        return;
    }
    /* libpq opens another socket when it tries another address. */
    if (slot->io == NULL || slot->io_fd != fd) {
        rt_io_free(slot->io);
        slot->io = rt_io_new(slot->config.loop, fd, on_io, slot);
        slot->io_fd = fd;
    }
    rt_io_want(slot->io, events);
}

static void poll_dial(struct slot *slot)
{
    /* The old socket may be closed in the call: its watcher must not outlive it. */
    rt_io_free(slot->io);
    slot->io = NULL;
    PostgresPollingStatusType status = PQconnectPoll(slot->conn);

    if (status == PGRES_POLLING_OK) {
        slot_watch(slot, 0);
        slot_step(slot, SLOT_EV_CONNECTED);
    } else if (status == PGRES_POLLING_FAILED) {
        slot_lose(slot, PQerrorMessage(slot->conn), NULL);
    } else {
        slot_watch(slot, status == PGRES_POLLING_READING ? RT_READ : RT_WRITE);
    }
}

/* libpq would write to standard error, past our log. Notices carry nothing we act upon. */
static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static void on_found(void *ctx, const struct rt_resolved *found)
{
    struct slot *slot = ctx;

    if (found->error != NULL) {
        slot_lose(slot, found->error, NULL);
        return;
    }
    slot->found = found;
    catalog_locate(slot->config.setup.catalog, found->hosts, found->addresses);
    slot_step(slot, SLOT_EV_RESOLVED);
}

/* Its timer runs on in DIALING: it bounds both. */
static void enter_resolving(struct slot *slot)
{
    char *name = dsn_name(slot->config.url);

    rt_timer_set(slot->timer, slot->config.timeout, 0);
    if (name == NULL) {
        slot_step(slot, SLOT_EV_RESOLVED);
        return;
    }
    slot->lookup = rt_resolve_new(slot->config.loop, name, on_found, slot);
    free(name);
}

static void enter_dialing(struct slot *slot)
{
    struct dsn dsn;

    if (!dsn_init(&dsn, slot->config.url, DSN_REPLICATION, slot->config.timeout)) {
        slot_lose(slot, "database.url is not a connection string", NULL);
        return;
    }
    if (slot->found != NULL) {
        dsn_locate(&dsn, slot->found->hosts, slot->found->addresses);
    }
    slot->conn = PQconnectStartParams(dsn.keys, dsn.values, 1);
    dsn_fini(&dsn);
    PQsetNoticeProcessor(slot->conn, ignore_notice, NULL);
    if (slot->conn == NULL || PQstatus(slot->conn) == CONNECTION_BAD) {
        slot_lose(slot, slot->conn == NULL ? "out of memory" : PQerrorMessage(slot->conn), NULL);
        return;
    }
    slot_watch(slot, RT_WRITE);
}

/* --- checking ------------------------------------------------------------------------------------ */

static void enter_checking(struct slot *slot)
{
    rt_timer_stop(slot->timer);
    slot->created_lsn = 0;
    setup_look(&slot->config.setup, slot->spoilt, &slot->setup);
    slot->locked = slot->setup.verdict == SETUP_ABSENT || slot->setup.verdict == SETUP_SPOILT;
    switch (slot->setup.verdict) {
    case SETUP_USABLE:
        slot_step(slot, SLOT_EV_USABLE);
        break;
    case SETUP_ABSENT:
        slot_step(slot, SLOT_EV_ABSENT);
        break;
    case SETUP_SPOILT:
        slot_step(slot, SLOT_EV_SPOILT);
        break;
    case SETUP_BUSY:
        slot_not_ready(slot, slot->setup.reason);
        slot_step(slot, SLOT_EV_BUSY);
        break;
    case SETUP_FAILED:
    default:
        slot_lose(slot, slot->setup.reason, NULL);
        break;
    }
}

/* --- streaming ----------------------------------------------------------------------------------- */

static void enter_streaming(struct slot *slot)
{
    uint64_t start = slot->created_lsn != 0 ? slot->created_lsn : slot->setup.confirmed_lsn;
    struct slot_session session = {
        .epoch = slot_epoch_of(slot, slot->setup.incarnation),
        .start_lsn = start,
        .renewed = slot->setup.renewed,
        .reason =
            slot->spoilt_reason != NULL ? slot->spoilt_reason : "the replication slot was gone",
    };
    char lsn[LSN_TEXT_SIZE];

    rt_timer_stop(slot->timer);
    slot->streaming_since = rt_now();
    if (session.renewed) {
        session.old_epoch = slot_epoch_of(slot, slot->setup.old_incarnation);
    }
    if (!slot->config.events->on_streaming(slot->config.ctx, &session)) {
        slot_lose(slot, "cannot serve the slot now (see the line before)", NULL);
        return;
    }
    free(slot->spoilt_reason);
    slot->spoilt_reason = NULL;
    slot->epoch = session.epoch;
    slot->confirmed = start;
    slot->last_pid = PQbackendPID(slot->conn);
    lsn_text(start, lsn);
    set_reason(slot, "streaming");
    rt_condition_set(slot->ready, true, "streaming from %s", lsn);
    rt_log_info(slot->config.log, "slot.streaming", RT_S("slot", slot->config.setup.slot),
                RT_S("lsn", lsn), RT_U("timeline", slot->timeline), RT_U("epoch", session.epoch));
    slot_stream_start(slot);
}

/* --- pauses -------------------------------------------------------------------------------------- */

static void enter_down(struct slot *slot)
{
    rt_usec pause = slot->pause;

    close_connection(slot);
    rt_counter_add(slot->config.reconnects, 1);
    slot->pause = pause * 2 < slot->config.retry_max ? pause * 2 : slot->config.retry_max;
    /* Half of it by chance, so that many clients of one server do not come back together. */
    rt_timer_set(slot->timer, pause / 2 + (rt_usec)(rt_random64() % (uint64_t)(pause / 2 + 1)), 0);
}

static void enter_standby(struct slot *slot)
{
    bool our_own = slot->setup.active_pid != 0 && slot->setup.active_pid == slot->last_pid;

    close_connection(slot);
    slot->pause = FIRST_PAUSE;
    rt_timer_set(slot->timer, SLOT_STANDBY_PERIOD, SLOT_STANDBY_PERIOD);
    rt_log_info(slot->config.log, "slot.standby", RT_S("reason", slot->reason));
    if (!our_own) {
        slot->config.events->on_released(slot->config.ctx);
        slot->epoch = 0;
        slot->last_pid = 0;
    }
}

static void enter_stopped(struct slot *slot)
{
    rt_timer_stop(slot->timer);
    close_connection(slot);
    slot_not_ready(slot, "stopped");
}

static void on_timer(void *ctx)
{
    struct slot *slot = ctx;

    if (slot->state == SLOT_DOWN) {
        slot_step(slot, SLOT_EV_RETRY);
    } else if (slot->state == SLOT_STANDBY) {
        bool is_free = setup_slot_free(&slot->config.setup);
        /* Without an answer, dialing finds out why, and says so. */
        if (is_free || !catalog_connected(slot->config.setup.catalog)) {
            slot_step(slot, SLOT_EV_RETRY);
        }
    } else {
        slot_lose(slot,
                  slot->state == SLOT_RESOLVING
                      ? "no address for the host of database.url within database.connect_timeout"
                      : "PostgreSQL did not answer within database.connect_timeout",
                  NULL);
    }
}

static void on_io(void *ctx, int fd, int events)
{
    struct slot *slot = ctx;

    (void)fd;
    if (slot->state == SLOT_DIALING) {
        poll_dial(slot);
    } else if (slot->state == SLOT_STREAMING) {
        slot_stream_ready(slot, events);
    } else if ((events & RT_READ) != 0) {
        slot_read_answer(slot);
    } else if (PQflush(slot->conn) == 0) {
        slot_watch(slot, RT_READ);
    }
}

/* --- the machine --------------------------------------------------------------------------------- */

static void enter(struct slot *slot)
{
    static void (*const entries[SLOT_STATE_COUNT])(struct slot *) = {
        [SLOT_DOWN] = enter_down,
        [SLOT_RESOLVING] = enter_resolving,
        [SLOT_DIALING] = enter_dialing,
        [SLOT_IDENTIFYING] = slot_enter_identifying,
        [SLOT_CHECKING] = enter_checking,
        [SLOT_DROPPING] = slot_enter_dropping,
        [SLOT_CREATING] = slot_enter_creating,
        [SLOT_STARTING] = slot_enter_starting,
        [SLOT_STREAMING] = enter_streaming,
        [SLOT_STANDBY] = enter_standby,
        [SLOT_STOPPED] = enter_stopped,
    };

    entries[slot->state](slot);
}

static void take_step(struct slot *slot, enum slot_event event)
{
    enum slot_state from = slot->state;
    enum slot_state next = from;

    if (!slot_fsm_next(from, event, &next)) {
        rt_counter_add(slot->config.illegal_events, 1);
        rt_log_error(slot->config.log, "slot.illegal_event", RT_S("state", slot_state_name(from)),
                     RT_S("event", slot_event_name(event)));
        return;
    }
    rt_log_debug(slot->config.log, "slot.step", RT_S("from", slot_state_name(from)),
                 RT_S("to", slot_state_name(next)), RT_S("event", slot_event_name(event)));
    slot->state = next;
    if (from == SLOT_STREAMING) {
        slot->config.events->on_break(slot->config.ctx);
    }
    enter(slot);
}

void slot_step(struct slot *slot, enum slot_event event)
{
    slot->pending = true;
    slot->next = event;
    if (slot->stepping) {
        return;
    }
    slot->stepping = true;
    while (slot->pending) {
        slot->pending = false;
        take_step(slot, slot->next);
    }
    slot->stepping = false;
}

void slot_lose(struct slot *slot, const char *reason, const char *sqlstate)
{
    const struct setup_config *setup = &slot->config.setup;
    struct slot_error error =
        slot_error_classify(sqlstate, reason, setup->publication, setup->policy_publication);
    bool unreachable = slot->state == SLOT_DIALING || slot->state == SLOT_RESOLVING;

    if (slot->state == SLOT_STREAMING && rt_now() - slot->streaming_since > 2 * slot->pause) {
        slot->pause = FIRST_PAUSE;
    }
    slot->spoilt = slot->spoilt || error.kind == SLOT_ERROR_SPOILT;
    slot->policies_failed = slot->policies_failed || error.kind == SLOT_ERROR_POLICIES;
    set_reason(slot, reason);
    rt_condition_set(
        slot->database, !unreachable, "%s%s%s", unreachable ? slot->reason : "reachable",
        unreachable && error.advice[0] != '\0' ? ": " : "", unreachable ? error.advice : "");
    rt_condition_set(slot->ready, false, "%s%s%s", slot->reason,
                     error.advice[0] != '\0' ? ": " : "", error.advice);
    rt_log_warn(slot->config.log, "slot.lost", RT_S("state", slot_state_name(slot->state)),
                RT_S("reason", slot->reason), RT_S("sqlstate", sqlstate),
                RT_S("advice", error.advice));
    slot_step(slot, SLOT_EV_LOST);
}

bool slot_restart(struct slot *slot, const char *reason)
{
    if (slot->state != SLOT_STREAMING) {
        return false;
    }
    rt_log_info(slot->config.log, "slot.restart", RT_S("reason", reason));
    slot->pause = FIRST_PAUSE;
    slot_not_ready(slot, reason);
    slot_step(slot, SLOT_EV_LOST);
    return true;
}

struct slot *slot_new(const struct slot_config *config)
{
    struct slot *slot = rt_alloc(sizeof(*slot));

    slot->config = *config;
    slot->state = SLOT_DOWN;
    slot->io_fd = -1;
    slot->pause = FIRST_PAUSE;
    slot->timer = rt_timer_new(config->loop, on_timer, slot);
    slot->database = rt_condition_new(config->health, "database");
    slot->ready = rt_condition_new(config->health, "slot");
    slot->reason = rt_strdup("starting");
    rt_timer_set(slot->timer, 0, 0);
    return slot;
}

void slot_free(struct slot *slot)
{
    if (slot == NULL) {
        return;
    }
    if (slot->conn != NULL) {
        close_connection(slot);
    }
    rt_resolve_free(slot->lookup);
    rt_timer_free(slot->timer);
    rt_timer_free(slot->again);
    rt_timer_free(slot->status);
    free(slot->reason);
    free(slot->spoilt_reason);
    free(slot->system_id);
    free(slot);
}

void slot_stop(struct slot *slot)
{
    if (slot->state == SLOT_STREAMING) {
        slot_stream_send_status(slot);
    }
    slot_step(slot, SLOT_EV_STOP);
}

enum slot_state slot_state_now(const struct slot *slot)
{
    return slot->state;
}

uint64_t slot_confirmed(const struct slot *slot)
{
    return slot->confirmed;
}

const char *slot_reason(const struct slot *slot)
{
    return slot->reason;
}
