/* runtime/seq_rx.h - the receiving end of a numbered series: each frame once, in order, and every hole
 * asked for before anything behind it is handed on.
 *
 * Pure: time comes as an argument, frames leave through `deliver`, requests through `request`. Both may
 * call seq_rx_pause() and seq_rx_close(); neither may free.
 *
 * Frames behind a hole are copied and held. Live ones are held up to hold_bytes less what requests may
 * bring; what does not fit is forgotten and asked for later, so memory stays within hold_bytes and one
 * frame, whatever comes. seq_rx_full() says that reading more of the live stream is of no use now.
 *
 * Per frame: O(1). Window: SEQ_RX_WINDOW numbers from the next one on.
 */
#ifndef PGTIDE_RUNTIME_SEQ_RX_H
#define PGTIDE_RUNTIME_SEQ_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

#define SEQ_RX_WINDOW        4096
#define SEQ_RX_REQUESTS      4
#define SEQ_RX_REQUEST_BYTES ((size_t)1 << 20)
#define SEQ_RX_REQUEST_MAX   1024 /* frames */
#define SEQ_RX_TIMEOUT       (200 * RT_MSEC)
#define SEQ_RX_TIMEOUT_MAX   (2 * RT_SEC)

struct seq_rx_ops {
    void (*deliver)(void *ctx, uint64_t seq, struct rt_span frame);
    /* False: could not be sent; it is tried again after a while. */
    bool (*request)(void *ctx, uint64_t from, uint64_t to, size_t bytes);
};

struct seq_rx_stats {
    uint64_t frames;
    uint64_t bytes;
    uint64_t duplicates;
    uint64_t gaps;     /* times that a hole was found where there was none */
    uint64_t replayed; /* frames that came because they were asked for */
    uint64_t unheld;   /* frames forgotten for want of room */
    uint64_t rerequests;
};

struct seq_rx_answer {
    uint64_t from;
    uint64_t to; /* frames from..to follow; none when to < from */
    size_t bytes;
    uint64_t oldest; /* that can be had */
    uint64_t last;
};

struct seq_rx_slot {
    uint8_t state;
    uint8_t *data; /* held */
    size_t len;
};

struct seq_rx_request {
    uint64_t from;
    uint64_t to;
    uint64_t left; /* frames not here yet; 0: unused */
    size_t bytes;  /* still to come, or the bound as long as it is not answered */
    bool answered;
    rt_usec deadline;
};

struct seq_rx {
    const struct seq_rx_ops *ops;
    void *ctx;
    size_t live_bytes;    /* bound of what is held of the live stream */
    size_t hold_bytes;    /* bound of all */
    size_t request_bytes; /* of one request */
    bool open;            /* in a session: hands on, asks */
    bool paused;
    uint64_t next;
    uint64_t highest; /* the last frame known to exist */
    uint64_t scan;    /* no missing number below it */
    size_t held;
    rt_usec timeout; /* doubles while nothing comes */
    struct seq_rx_request requests[SEQ_RX_REQUESTS];
    struct seq_rx_slot *slots;
    struct seq_rx_stats stats;
};

void seq_rx_init(struct seq_rx *rx, const struct seq_rx_ops *ops, void *ctx, size_t hold_bytes);
void seq_rx_fini(struct seq_rx *rx);
/* A new series, or another place in it: forgets all that is held. */
void seq_rx_start(struct seq_rx *rx, uint64_t next);
/* Goes on where it was; frames held are kept, requests under way are forgotten. */
void seq_rx_reopen(struct seq_rx *rx);
void seq_rx_close(struct seq_rx *rx);
/* A frame of the series. `asked`: it came as a replay. */
void seq_rx_frame(struct seq_rx *rx, uint64_t seq, struct rt_span frame, bool asked, rt_usec now);
/* The publisher has sent frames up to `last`, and they are not on their way any more. */
void seq_rx_exists(struct seq_rx *rx, uint64_t last);
/* The answer to a request. False when frames that we need cannot be had any more. */
bool seq_rx_answer(struct seq_rx *rx, const struct seq_rx_answer *answer, rt_usec now);
/* Hands on what waits in order until that is `bytes` or more; true when more could be. */
bool seq_rx_drain(struct seq_rx *rx, size_t bytes);
/* Asks for what is missing, and again for what did not come. */
void seq_rx_pump(struct seq_rx *rx, rt_usec now);
void seq_rx_pause(struct seq_rx *rx, bool paused);
bool seq_rx_full(const struct seq_rx *rx);
/* When seq_rx_pump() must be called at the latest; INT64_MAX: no need. */
rt_usec seq_rx_deadline(const struct seq_rx *rx);

#endif
