/* edge/llana/socketio.h - packets of Socket.IO 5, the text behind Engine.IO's "4". Pure.
 *
 *   <type>[<namespace>,][<ack id>][<JSON>]          reference/seed-protocols.md 1.1
 *
 * What the type allows behind it is checked as the original's parser does; binary packets are not read.
 */
#ifndef PGTIDE_EDGE_LLANA_SOCKETIO_H
#define PGTIDE_EDGE_LLANA_SOCKETIO_H

#include <stdbool.h>

#include "runtime/buf.h"

enum sio_type {
    SIO_CONNECT = '0',
    SIO_DISCONNECT = '1',
    SIO_EVENT = '2',
    SIO_ACK = '3',
    SIO_CONNECT_ERROR = '4'
};

struct sio_packet {
    enum sio_type type;
    struct rt_span space; /* the namespace as it is written; "/" when it is not */
    bool wants_ack;
    void *json; /* json_t: an object (connect), an array (event, ack), or NULL; sio_packet_fini() */
};

/* False: not a packet, nothing to release. */
bool sio_packet_read(struct rt_span text, struct sio_packet *out);
void sio_packet_fini(struct sio_packet *packet);
bool sio_is_default_space(const struct sio_packet *packet);

#endif
