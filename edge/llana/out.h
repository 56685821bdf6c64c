/* edge/llana/out.h - what Llana's clients are sent: packets of Socket.IO 5 in Engine.IO messages. Pure.
 *
 * An event is 42["TABLE",{"type":"INSERT","KEY":"VALUE"},"OFFSET"]: the primary key's first column under its own name, always as
 * text (reference/seed-protocols.md 1.4). The offset, a position, is there when sessions can be recovered.
 *
 * A frame of an event carries, unsent, the values of the columns that "own records" are decided by, so that the frame is made once and
 * each socket's right to it is decided when it is delivered.
 */
#ifndef PGTIDE_EDGE_LLANA_OUT_H
#define PGTIDE_EDGE_LLANA_OUT_H

#include <stdbool.h>

#include "edge/hub.h"
#include "edge/llana/roles.h"
#include "edge/row_json.h"
#include "runtime/buf.h"

/* Scratch of the frames; zero-initialised is ready. */
struct llana_out {
    struct row_values new_row;
    struct row_values old_row;
    struct rt_buf text;
    struct rt_buf extra;
    struct rt_buf name;
};
void llana_out_fini(struct llana_out *out);

struct llana_event_settings {
    const struct llana_roles *roles;
    const char *table;              /* as the client calls it; terminated */
    const char *soft_delete_column; /* "": none */
    bool with_offset;
};
/* NULL: nobody can be told (no primary key, or no value of it). */
struct edge_frame *llana_out_event(struct llana_out *out, const struct hub_event *event,
                                   const struct llana_event_settings *settings);
/* Whether the row of the frame has this value in this column ("": the primary key). */
bool llana_frame_has(const struct edge_frame *frame, const char *column, const char *value);
/* Whether a table has a primary key that the reader sees. */
bool llana_has_key(const struct row_def *def);

/* All append a whole message. `pid` NULL: none. */
void llana_out_connected(struct rt_buf *out, const char *sid, const char *pid);
void llana_out_refused(struct rt_buf *out, struct rt_span space, const char *message);
/* What the original answers to the event "message"; data NULL: it had none. A json_t. */
void llana_out_exception(struct rt_buf *out, const void *data);

#endif
