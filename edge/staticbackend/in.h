/* edge/staticbackend/in.h - a client's message on /ws and /sse/msg: JSON text in, one message out. Pure.
 *
 *   {"sid","token","type","data","channel"}      all texts; what is missing or null is empty (the client leaves out
 *                                                channel, and sends token null); further members are ignored
 *
 * Refused: what is not a JSON object, duplicate members, members of other types, a channel name that is too long or has control
 * characters in it.
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_IN_H
#define PGTIDE_EDGE_STATICBACKEND_IN_H

#include <stdbool.h>

#include "runtime/buf.h"

#define SB_CHANNEL_MAX                                                                             \
    200u /* bytes of a channel's name; the name on the links is longer by the tenant's */

enum sb_type { SB_OTHER, SB_ECHO, SB_AUTH, SB_JOIN, SB_CHAN_IN };

/* Valid until sb_message_fini(). */
struct sb_message {
    enum sb_type type;
    struct rt_span type_name;
    struct rt_span sid;
    struct rt_span token;
    struct rt_span data;
    struct rt_span channel;
    void *tree;
};

/* NULL, or what is wrong with it (static text); then only sid and token may be set. Fini in either case. */
const char *sb_message_read(struct rt_span text, struct sb_message *out);
void sb_message_fini(struct sb_message *message);

#endif
