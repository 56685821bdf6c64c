/* runtime/seq_rx.c - see the header.
 *
 * Each number of the window is missing, requested or held. A request covers a run of numbers; a frame
 * of that run ends its part of it whichever way it comes, and a frame that came over the live stream
 * in the meantime is a duplicate when the replay brings it. Nothing below depends on the order, or on
 * the peer being honest: a wrong answer costs time-outs, not memory. */
#include "runtime/seq_rx.h"

#include <stdlib.h>
#include <string.h>

enum slot_state { SLOT_MISSING = 0, SLOT_REQUESTED, SLOT_HELD };

static struct seq_rx_slot *slot_of(const struct seq_rx *rx, uint64_t seq)
{
    return &rx->slots[seq % SEQ_RX_WINDOW];
}

static bool in_window(const struct seq_rx *rx, uint64_t seq)
{
    return seq >= rx->next && seq - rx->next < SEQ_RX_WINDOW;
}

static void slot_clear(struct seq_rx *rx, struct seq_rx_slot *slot)
{
    if (slot->state == SLOT_HELD) {
        rx->held -= slot->len;
        free(slot->data);
    }
    *slot = (struct seq_rx_slot){ .state = SLOT_MISSING };
}

/* The part of a request that has not come is missing again. */
static void request_drop(struct seq_rx *rx, struct seq_rx_request *request)
{
    for (uint64_t seq = request->from; seq <= request->to && request->left > 0; seq++) {
        if (in_window(rx, seq) && slot_of(rx, seq)->state == SLOT_REQUESTED) {
            slot_of(rx, seq)->state = SLOT_MISSING;
            rx->scan = seq < rx->scan ? seq : rx->scan;
        }
    }
    *request = (struct seq_rx_request){ 0 };
}

/* Only the frames up to `to` are coming. */
static void request_cut(struct seq_rx *rx, struct seq_rx_request *request, uint64_t to)
{
    for (uint64_t seq = to + 1; seq <= request->to; seq++) {
        if (in_window(rx, seq) && slot_of(rx, seq)->state == SLOT_REQUESTED) {
            slot_of(rx, seq)->state = SLOT_MISSING;
            rx->scan = seq < rx->scan ? seq : rx->scan;
            request->left--;
        }
    }
    request->to = to;
}

static void requests_drop(struct seq_rx *rx)
{
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        request_drop(rx, &rx->requests[i]);
    }
    rx->timeout = SEQ_RX_TIMEOUT;
}

/* A requested frame is here. */
static void request_count(struct seq_rx *rx, uint64_t seq, size_t len, rt_usec now)
{
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        struct seq_rx_request *request = &rx->requests[i];
        if (request->left > 0 && seq >= request->from && seq <= request->to) {
            request->left--;
            if (request->answered) {
                request->bytes -= len < request->bytes ? len : request->bytes;
            }
            rx->timeout = SEQ_RX_TIMEOUT;
            request->deadline = now + rx->timeout;
            return;
        }
    }
}

static size_t requested_bytes(const struct seq_rx *rx)
{
    size_t bytes = 0;
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        bytes += rx->requests[i].left > 0 ? rx->requests[i].bytes : 0;
    }
    return bytes;
}

static bool requested_any(const struct seq_rx *rx)
{
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        if (rx->requests[i].left > 0) {
            return true;
        }
    }
    return false;
}

/* The slot of `next` is already clear. */
static void hand_on(struct seq_rx *rx, struct rt_span frame)
{
    uint64_t seq = rx->next++;
    rx->stats.frames++;
    rx->stats.bytes += frame.len;
    rx->ops->deliver(rx->ctx, seq, frame);
}

static void hold(struct seq_rx *rx, uint64_t seq, struct rt_span frame)
{
    struct seq_rx_slot *slot = slot_of(rx, seq);
    slot->data = rt_realloc(NULL, frame.len + 1, 1); /* an empty frame is a frame, too */
    if (frame.len > 0) {
        memcpy(slot->data, frame.data, frame.len);
    }
    slot->len = frame.len;
    slot->state = SLOT_HELD;
    rx->held += frame.len;
}

/* Frame `seq` exists, and those up to last_whole are not coming by themselves. */
static void note_highest(struct seq_rx *rx, uint64_t seq, uint64_t last_whole)
{
    if (last_whole > rx->highest) {
        rx->stats.gaps++;
    }
    rx->highest = seq > rx->highest ? seq : rx->highest;
}

/* The first run of missing numbers at or after scan; false: none that may be asked for. */
static bool find_missing(struct seq_rx *rx, uint64_t *out_from, uint64_t *out_to)
{
    uint64_t seq = rx->scan > rx->next ? rx->scan : rx->next;
    while (seq <= rx->highest && in_window(rx, seq) && slot_of(rx, seq)->state != SLOT_MISSING) {
        seq++;
    }
    rx->scan = seq;
    if (seq > rx->highest || !in_window(rx, seq)) {
        return false;
    }
    *out_from = seq;
    while (seq <= rx->highest && in_window(rx, seq) && slot_of(rx, seq)->state == SLOT_MISSING &&
           seq - *out_from < SEQ_RX_REQUEST_MAX) {
        *out_to = seq++;
    }
    return true;
}

static struct seq_rx_request *free_request(struct seq_rx *rx)
{
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        if (rx->requests[i].left == 0) {
            return &rx->requests[i];
        }
    }
    return NULL;
}

static void ask(struct seq_rx *rx, struct seq_rx_request *request, uint64_t from, uint64_t to,
                rt_usec now)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        slot_of(rx, seq)->state = SLOT_REQUESTED;
    }
    rx->scan = to + 1;
    *request = (struct seq_rx_request){ .from = from,
                                        .to = to,
                                        .left = to - from + 1,
                                        .bytes = rx->request_bytes,
                                        .deadline = now + rx->timeout };
    /* One that could not be sent is treated like one that was lost. */
    (void)rx->ops->request(rx->ctx, from, to, rx->request_bytes);
}

void seq_rx_init(struct seq_rx *rx, const struct seq_rx_ops *ops, void *ctx, size_t hold_bytes)
{
    size_t room = hold_bytes / 2; /* for replayed frames, of all requests together */
    size_t most = SEQ_RX_REQUESTS * SEQ_RX_REQUEST_BYTES;
    room = room > most ? most : room;
    *rx = (struct seq_rx){ .ops = ops,
                           .ctx = ctx,
                           .live_bytes = hold_bytes - room,
                           .hold_bytes = hold_bytes,
                           .request_bytes = room / SEQ_RX_REQUESTS,
                           .next = 1,
                           .timeout = SEQ_RX_TIMEOUT };
    rx->slots = rt_alloc(SEQ_RX_WINDOW * sizeof(struct seq_rx_slot));
}

void seq_rx_fini(struct seq_rx *rx)
{
    for (size_t i = 0; i < SEQ_RX_WINDOW; i++) {
        slot_clear(rx, &rx->slots[i]);
    }
    free(rx->slots);
    rx->slots = NULL;
}

void seq_rx_start(struct seq_rx *rx, uint64_t next)
{
    for (size_t i = 0; i < SEQ_RX_WINDOW; i++) {
        slot_clear(rx, &rx->slots[i]);
    }
    requests_drop(rx);
    rx->next = next;
    rx->highest = next - 1;
    rx->scan = next;
    rx->open = true;
}

void seq_rx_reopen(struct seq_rx *rx)
{
    requests_drop(rx);
    rx->open = true;
}

void seq_rx_close(struct seq_rx *rx)
{
    rx->open = false;
}

void seq_rx_frame(struct seq_rx *rx, uint64_t seq, struct rt_span frame, bool asked, rt_usec now)
{
    if (!rx->open) {
        return;
    }
    if (seq < rx->next || (in_window(rx, seq) && slot_of(rx, seq)->state == SLOT_HELD)) {
        rx->stats.duplicates++;
        return;
    }
    note_highest(rx, seq, seq - 1);
    if (!in_window(rx, seq)) {
        rx->stats.unheld++;
        return;
    }
    struct seq_rx_slot *slot = slot_of(rx, seq);
    bool requested = slot->state == SLOT_REQUESTED;
    bool direct = seq == rx->next && !rx->paused;
    /* What was asked for has its room already; the live stream must fit in what is left. */
    if (!direct && !(asked && requested) && rx->held + frame.len > rx->live_bytes) {
        rx->stats.unheld++;
        return;
    }
    if (requested) {
        rx->stats.replayed += asked ? 1 : 0;
        request_count(rx, seq, frame.len, now);
    }
    if (direct) {
        slot_clear(rx, slot);
        hand_on(rx, frame);
    } else {
        hold(rx, seq, frame);
    }
}

void seq_rx_exists(struct seq_rx *rx, uint64_t last)
{
    if (rx->open) {
        note_highest(rx, last, last);
    }
}

bool seq_rx_answer(struct seq_rx *rx, const struct seq_rx_answer *answer, rt_usec now)
{
    struct seq_rx_request *request = NULL;
    for (size_t i = 0; i < SEQ_RX_REQUESTS && request == NULL; i++) {
        struct seq_rx_request *candidate = &rx->requests[i];
        if (candidate->left > 0 && !candidate->answered && answer->from == candidate->from) {
            request = candidate;
        }
    }
    if (request == NULL) {
        return true; /* of a request that was given up */
    }
    if (answer->oldest > rx->next && slot_of(rx, rx->next)->state != SLOT_HELD) {
        return false;
    }
    if (answer->last < answer->from) {
        /* We were told of frames that do not exist. */
        request_drop(rx, request);
        rx->highest = answer->last >= rx->next ? answer->last : rx->next - 1;
    } else if (answer->to >= answer->from && answer->to <= request->to) {
        request_cut(rx, request, answer->to);
        request->bytes = answer->bytes;
        request->answered = true;
        request->deadline = now + rx->timeout;
    }
    /* Any other answer is none: the request runs into its time-out. */
    return true;
}

bool seq_rx_drain(struct seq_rx *rx, size_t bytes)
{
    size_t used = 0;

    while (rx->open && !rx->paused && slot_of(rx, rx->next)->state == SLOT_HELD) {
        if (used >= bytes) {
            return true;
        }
        struct seq_rx_slot *slot = slot_of(rx, rx->next);
        uint8_t *data = slot->data;
        size_t len = slot->len;
        *slot = (struct seq_rx_slot){ .state = SLOT_MISSING };
        rx->held -= len;
        used += len + 1; /* empty frames count too */
        hand_on(rx, (struct rt_span){ data, len });
        free(data);
    }
    return false;
}

void seq_rx_pump(struct seq_rx *rx, rt_usec now)
{
    if (!rx->open) {
        return;
    }
    bool late = false;
    for (size_t i = 0; i < SEQ_RX_REQUESTS; i++) {
        if (rx->requests[i].left > 0 && now >= rx->requests[i].deadline) {
            request_drop(rx, &rx->requests[i]);
            rx->stats.rerequests++;
            late = true;
        }
    }
    if (late) {
        rx->timeout = rx->timeout * 2 > SEQ_RX_TIMEOUT_MAX ? SEQ_RX_TIMEOUT_MAX : rx->timeout * 2;
    }
    uint64_t from = 0;
    uint64_t to = 0;
    while (!rx->paused && find_missing(rx, &from, &to)) {
        struct seq_rx_request *request = free_request(rx);
        size_t expected = rx->held + requested_bytes(rx) + rx->request_bytes;
        /* The hole right in front of us is asked for in any case, else nothing would ever move. */
        if (request == NULL ||
            (expected > rx->hold_bytes && (requested_any(rx) || from != rx->next))) {
            return;
        }
        ask(rx, request, from, to, now);
    }
}

void seq_rx_pause(struct seq_rx *rx, bool paused)
{
    rx->paused = paused;
}

bool seq_rx_full(const struct seq_rx *rx)
{
    return rx->open && (rx->paused || rx->held >= rx->live_bytes ||
                        (rx->highest >= rx->next && rx->highest - rx->next >= SEQ_RX_WINDOW - 1));
}

rt_usec seq_rx_deadline(const struct seq_rx *rx)
{
    rt_usec deadline = INT64_MAX;
    for (size_t i = 0; rx->open && i < SEQ_RX_REQUESTS; i++) {
        if (rx->requests[i].left > 0 && rx->requests[i].deadline < deadline) {
            deadline = rx->requests[i].deadline;
        }
    }
    return deadline;
}
