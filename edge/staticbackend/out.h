/* edge/staticbackend/out.h - the messages of seed 004, server to client. Pure: text into a buffer.
 *
 * Always the five members sid, type, data, channel, token, all texts. `sid` is the receiver's connection, but for chan_out, where it
 * is the sender's, and for database events, which all receivers share, where it is empty. `token` is always empty: the original
 * forwards the sender's.
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_OUT_H
#define PGTIDE_EDGE_STATICBACKEND_OUT_H

#include "runtime/buf.h"

/* Append. `data_json` is a JSON string already. */
void sb_out_message_json(struct rt_buf *out, struct rt_span sid, const char *type,
                         struct rt_span data_json, struct rt_span channel);
void sb_out_message(struct rt_buf *out, struct rt_span sid, const char *type, struct rt_span data,
                    struct rt_span channel);

#endif
