/* edge/fluxbase/in.h - a client's message on /realtime: JSON text in, one checked request out. Pure.
 *
 * Three ways to subscribe to a table are the same request here (reference: seed 003 and its SDKs):
 *
 *   {"type":"subscribe","channel":"table:public.users"}                           by channel
 *   {"type":"subscribe","channel":any,"config":{"event","schema","table"}}        by config
 *   {"type":"subscribe","schema","table","event"}                                 the older form of it
 *
 * and in each of them `filter`, and `since`, or `snapshot` (or `snapshot_token`) and `page_size`, beside `channel` or in `config`.
 * The text of a filter is not looked at here: the broker reads it, and says what is wrong with it.
 *
 * Broadcast and presence (the SDK's form, and the server's in brackets):
 *
 *   {"type":"broadcast","channel","event"?,"payload","messageId"?,"self"?}
 *   {"type":"presence","channel","event":"track"|"untrack","payload":{"key","state"?}}    (or `event` in the payload)
 *
 * Payloads and states are passed on as they are written.
 *
 * What this release does not serve is refused here. Duplicate members are refused too: two readers may differ in which one
 * counts.
 */
#ifndef PGTIDE_EDGE_FLUXBASE_IN_H
#define PGTIDE_EDGE_FLUXBASE_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/records.h"
#include "runtime/buf.h"

#define FLUXBASE_BATCH_MAX 100u /* messages in one frame */

enum fluxbase_type {
    FLUXBASE_UNKNOWN, /* not read that far */
    FLUXBASE_SUBSCRIBE,
    FLUXBASE_UNSUBSCRIBE,
    FLUXBASE_PING,
    FLUXBASE_HEARTBEAT,
    FLUXBASE_ACCESS_TOKEN,
    FLUXBASE_SEND, /* "broadcast" */
    FLUXBASE_TRACK,
    FLUXBASE_UNTRACK,
};

/* How the changes of a subscription are framed. */
enum fluxbase_form { FLUXBASE_BY_CHANNEL, FLUXBASE_BY_CONFIG, FLUXBASE_BY_ROOM };

struct fluxbase_message {
    enum fluxbase_type type;
    bool free_channels;     /* whether a channel may have a free name (channel.h) */
    struct rt_span channel; /* as the client wrote it; data NULL: not given */
    /* subscribe */
    enum fluxbase_form form;
    struct rt_span schema;
    struct rt_span table;
    unsigned events;       /* mask of enum hub_op */
    struct rt_span filter; /* len 0: none; at most WIRE_FILTER_MAX bytes */
    bool has_since;
    struct wire_position since;
    bool snapshot;
    uint32_t page_size;            /* 0: not given */
    struct rt_span snapshot_token; /* data NULL: not given */
    /* of a broadcast or presence channel (form FLUXBASE_BY_ROOM) */
    struct wire_place place; /* with has_since */
    /* broadcast */
    struct rt_span event;      /* "broadcast" if not given */
    struct rt_span payload;    /* raw JSON */
    struct rt_span message_id; /* data NULL: not given */
    bool not_to_self;
    /* presence */
    struct rt_span key;
    struct rt_span meta; /* raw JSON */
    /* unsubscribe */
    struct rt_span subscription_id; /* data NULL: not given */
    /* access_token */
    struct rt_span token;
};

struct fluxbase_refusal {
    enum wire_code code;
    char text[320];
};

/* What came in one WebSocket frame: one message, or an array of them, all of which are read before anything else happens:
 * so subscriptions that go on together do so at one moment (a connection of whole transactions needs it). */
struct fluxbase_frame {
    struct rt_span text;
    void *tree;
    size_t count; /* of messages */
    bool free_channels;
};
/* `free_channels`: realtime.free_channels. */
bool fluxbase_parse(struct rt_span text, bool free_channels, struct fluxbase_frame *frame,
                    struct fluxbase_refusal *refusal);
void fluxbase_frame_fini(struct fluxbase_frame *frame);

/* Message `number` (from 0), valid as long as the frame. False: *refusal says why; `message` holds what could be read
 * (type, channel). */
bool fluxbase_read(const struct fluxbase_frame *frame, size_t number,
                   struct fluxbase_message *message, struct fluxbase_refusal *refusal);

#endif
