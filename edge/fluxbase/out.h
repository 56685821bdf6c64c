/* edge/fluxbase/out.h - the frames of /realtime, server to client. Pure: text into a buffer.
 *
 * Each is the frame of seed 003 or a superset of it that the real SDKs read too; docs/protocol-fluxbase.md shows them.
 * Members that do not apply are absent, never null (gap's `after` included).
 */
#ifndef PGTIDE_EDGE_FLUXBASE_OUT_H
#define PGTIDE_EDGE_FLUXBASE_OUT_H

#include <stdbool.h>

#include "edge/fluxbase/in.h"
#include "edge/hub.h"

/* What a subscription is called in its frames. */
struct fluxbase_names {
    struct rt_span channel; /* the client's text */
    struct rt_span schema;
    struct rt_span table;
    struct rt_span filter; /* len 0: none */
    const char *event;     /* "INSERT", …, "*" */
    const char *id;        /* subscription_id */
};

const char *fluxbase_event_name(unsigned events);
const char *fluxbase_code_name(enum wire_code code);

/* All append. */
void fluxbase_out_subscribed(struct rt_buf *out, const struct fluxbase_names *names,
                             const struct hub_accepted *accepted);
void fluxbase_out_unsubscribed(struct rt_buf *out, const struct fluxbase_names *names);
void fluxbase_out_token_updated(struct rt_buf *out);
/* channel.data NULL: not known. */
void fluxbase_out_error(struct rt_buf *out, enum wire_code code, struct rt_span message,
                        struct rt_span channel);
/* position NULL: not known. */
void fluxbase_out_heartbeat(struct rt_buf *out, const struct wire_position *position);
void fluxbase_out_stale(struct rt_buf *out, int64_t seconds);
/* RESUME_GONE. */
void fluxbase_out_gone(struct rt_buf *out, const struct fluxbase_names *names,
                       const struct hub_gone *gone);
void fluxbase_out_gap(struct rt_buf *out, const struct fluxbase_names *names,
                      const struct hub_gap *gap);
void fluxbase_out_rights(struct rt_buf *out, const struct fluxbase_names *names,
                         const struct wire_position *position);
void fluxbase_out_rows(struct rt_buf *out, const struct fluxbase_names *names,
                       const struct hub_page *page);
void fluxbase_out_commit(struct rt_buf *out, const struct wire_position *at, uint64_t changes);
/* The payload object of a change: the same for every channel and form. Its last member says that it is not the last. */
void fluxbase_out_payload(struct rt_buf *out, const struct hub_event *event);
/* The frame around it. */
void fluxbase_out_change(struct rt_buf *out, enum fluxbase_form form, struct rt_span channel,
                         struct rt_span payload);
/* Of a broadcast or presence channel. */
void fluxbase_out_joined(struct rt_buf *out, struct rt_span channel, const char *id,
                         const struct hub_room_accepted *accepted);
void fluxbase_out_left(struct rt_buf *out, struct rt_span channel, const char *id);
void fluxbase_out_message(struct rt_buf *out, struct rt_span channel,
                          const struct hub_message *message);
void fluxbase_out_presence(struct rt_buf *out, struct rt_span channel,
                           const struct hub_presence *presence);
/* The acknowledgement that the SDK waits for. */
void fluxbase_out_sent(struct rt_buf *out, struct rt_span channel, struct rt_span message_id,
                       const struct wire_place *place);
void fluxbase_out_room_gone(struct rt_buf *out, struct rt_span channel, const char *id,
                            enum wire_gone_reason reason, struct rt_span message);
void fluxbase_out_room_gap(struct rt_buf *out, struct rt_span channel, const char *id,
                           const char *reason);
const char *fluxbase_gone_reason(enum wire_gone_reason reason);
/* Says that it is, in a frame that ends with this text. */
void fluxbase_out_mark_last(uint8_t *text, size_t len);

#endif
