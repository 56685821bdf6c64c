/* tailer/slot_stream.c - reading and confirming while in SLOT_STREAMING; see slot.h.
 *
 * What must stay true: a turn of reading ends with on_turn_end(), also when it ends early; after
 * slot_step() or slot_lose() the connection may be gone, so the reading loop looks at the state after every message.
 *
 * A walsender writes each row to the socket by itself, and a reader that is faster than it wakes up for each of
 * them: most of the cost of a row would be system calls, on both sides. So under load (SLOT_BUSY_MESSAGES within
 * SLOT_BUSY_WINDOW) reading rests SLOT_REST after each turn, while the socket fills. Below that rate it never rests.
 */
#include <stdlib.h>

#include "runtime/log.h"
#include "runtime/loop.h"
#include "tailer/copyboth.h"
#include "tailer/slot_impl.h"

#define SLOT_BUSY_MESSAGES 500u
#define SLOT_BUSY_WINDOW   (10 * RT_MSEC)
#define SLOT_REST          RT_MSEC

/* So many questions for a status within this time: the server is shutting down. It asks otherwise only after half of its
 * wal_sender_timeout without a word from us, and we speak every second. */
#define SLOT_ASKED      8u
#define SLOT_ASKED_TIME (200 * RT_MSEC)

static bool streaming(const struct slot *slot)
{
    return slot->state == SLOT_STREAMING && !slot->pending;
}

static void want(struct slot *slot)
{
    bool resting = slot->paused || slot->held != NULL || slot->resting;
    int flushing = PQflush(slot->conn);

    if (flushing < 0) {
        slot_lose(slot, PQerrorMessage(slot->conn), NULL);
        return;
    }
    rt_io_want(slot->io, (resting ? 0 : RT_READ) | (flushing > 0 ? RT_WRITE : 0));
}

void slot_stream_send_status(struct slot *slot)
{
    uint8_t status[COPYBOTH_STATUS_BYTES];
    uint64_t flushed = slot->config.events->confirmable(slot->config.ctx);
    uint64_t written = slot->received > flushed ? slot->received : flushed;

    copyboth_encode_status(written, flushed, rt_wall_now(), status);
    if (PQputCopyData(slot->conn, (const char *)status, sizeof(status)) < 0) {
        slot_lose(slot, PQerrorMessage(slot->conn), NULL);
        return;
    }
    /* A full socket is told by want(); the status is in libpq's buffer then, which is as good as sent. */
    slot->confirmed = flushed;
    want(slot);
}

/* The bytes stay the slot's: false when they must be kept to be given again. */
static bool give(struct slot *slot, struct rt_span message)
{
    const char *reason = "";

    switch (slot->config.events->on_message(slot->config.ctx, message, &reason)) {
    case SLOT_TAKEN:
        return true;
    case SLOT_HOLD:
        return false;
    case SLOT_REFUSED:
    default:
        slot_lose(slot, reason, NULL);
        return true;
    }
}

static void answer(struct slot *slot)
{
    rt_usec now = rt_now();

    if (now - slot->asked_since > SLOT_ASKED_TIME) {
        slot->asked_since = now;
        slot->asked = 0;
    }
    slot->asked++;
    if (slot->asked >= SLOT_ASKED) {
        slot->asked = 0;
        slot_lose(slot, "PostgreSQL is shutting down", NULL);
    } else {
        slot_stream_send_status(slot);
    }
}

static bool take(struct slot *slot, const char *data, int len)
{
    /* libpq hands out bytes as char; they are the same bytes. */
    struct copyboth_message message = copyboth_decode((const uint8_t *)data, (size_t)len);
    uint64_t reached = message.wal_end > message.wal_start ? message.wal_end : message.wal_start;

    if (message.kind == COPYBOTH_BAD) {
        slot_lose(slot, "the server sent something that is neither WAL data nor a keepalive", NULL);
        return true;
    }
    if (message.kind == COPYBOTH_DATA) {
        if (!give(slot, message.body)) {
            return false;
        }
    } else {
        slot->config.events->on_position(slot->config.ctx, message.wal_end, message.server_time);
    }
    if (reached > slot->received) {
        slot->received = reached;
    }
    if (message.reply_now && streaming(slot)) {
        answer(slot);
    }
    return true;
}

/* The server ended COPY: an error, or an orderly end. */
static void on_copy_end(struct slot *slot)
{
    PGresult *result = PQgetResult(slot->conn);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (text == NULL) {
        text = result != NULL && PQresultStatus(result) != PGRES_FATAL_ERROR
                   ? "the server ended the stream"
                   : PQerrorMessage(slot->conn);
    }
    slot_lose(slot, text, PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
}

static bool reading(const struct slot *slot)
{
    return streaming(slot) && !slot->paused && slot->held == NULL;
}

/* Takes what libpq has complete. Returns its bytes; 0: nothing was complete. */
static size_t drain(struct slot *slot)
{
    size_t taken = 0;

    while (reading(slot)) {
        char *data = NULL;
        int len = PQgetCopyData(slot->conn, &data, 1);
        if (len == 0) {
            break;
        }
        if (len < 0) {
            on_copy_end(slot);
            break;
        }
        taken += (size_t)len;
        slot->window_messages++;
        if (take(slot, data, len)) {
            PQfreemem(data);
        } else {
            slot->held = data;
            slot->held_len = len;
        }
    }
    return taken;
}

static void retry_held(struct slot *slot)
{
    char *data = slot->held;

    slot->held = NULL;
    if (take(slot, data, slot->held_len)) {
        PQfreemem(data);
    } else {
        slot->held = data;
    }
}

static void rest_when_busy(struct slot *slot)
{
    rt_usec now = rt_now();

    if (now - slot->window_since >= SLOT_BUSY_WINDOW) {
        slot->busy = slot->window_messages >= SLOT_BUSY_MESSAGES;
        slot->window_messages = 0;
        slot->window_since = now;
    }
    slot->resting = slot->busy;
    if (slot->resting) {
        rt_timer_set(slot->again, SLOT_REST, 0);
    }
}

static void read_turn(struct slot *slot)
{
    size_t taken = 0;

    slot->resting = false;
    if (slot->held != NULL && !slot->paused) {
        retry_held(slot);
    }
    /* What libpq holds already comes before what the socket holds. */
    taken += drain(slot);
    while (reading(slot) && taken < SLOT_TURN_BYTES) {
        if (PQconsumeInput(slot->conn) == 0) {
            slot_lose(slot, PQerrorMessage(slot->conn), NULL);
            return;
        }
        size_t more = drain(slot);
        taken += more;
        /* Less than libpq asks for at once: the socket is empty, most likely. */
        if (more < 8192) {
            break;
        }
    }
    slot->config.events->on_turn_end(slot->config.ctx);
    if (streaming(slot)) {
        rest_when_busy(slot);
        want(slot);
    }
}

static void on_again(void *ctx)
{
    struct slot *slot = ctx;

    if (streaming(slot)) {
        read_turn(slot);
    }
}

static void on_status_due(void *ctx)
{
    struct slot *slot = ctx;

    if (streaming(slot)) {
        slot_stream_send_status(slot);
    }
}

void slot_stream_start(struct slot *slot)
{
    slot->received = 0;
    slot->asked = 0;
    slot->resting = false;
    slot->busy = false;
    if (slot->again == NULL) {
        slot->again = rt_timer_new(slot->config.loop, on_again, slot);
        slot->status = rt_timer_new(slot->config.loop, on_status_due, slot);
    }
    rt_timer_set(slot->status, SLOT_STATUS_PERIOD, SLOT_STATUS_PERIOD);
    /* Messages may have come together with the answer to START_REPLICATION. */
    rt_timer_set(slot->again, 0, 0);
    want(slot);
}

void slot_stream_stop(struct slot *slot)
{
    if (slot->again != NULL) {
        rt_timer_stop(slot->again);
        rt_timer_stop(slot->status);
    }
    if (slot->held != NULL) {
        PQfreemem(slot->held);
        slot->held = NULL;
    }
}

void slot_stream_ready(struct slot *slot, int events)
{
    if ((events & RT_READ) != 0) {
        read_turn(slot);
    } else if ((events & RT_WRITE) != 0) {
        want(slot);
    }
}

void slot_pause(struct slot *slot, bool paused)
{
    if (slot->paused == paused) {
        return;
    }
    slot->paused = paused;
    if (streaming(slot)) {
        want(slot);
        if (!paused && slot->again != NULL) {
            rt_timer_set(slot->again, 0, 0);
        }
    }
}

void slot_retry(struct slot *slot)
{
    if (slot->held != NULL) {
        rt_timer_set(slot->again, 0, 0);
    }
}
