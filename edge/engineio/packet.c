/* edge/engineio/packet.c - see edge/engineio/packet.h. */
#include "edge/engineio/packet.h"

#include <inttypes.h>
#include <string.h>

bool eio_packet_read(struct rt_span text, struct eio_packet *out)
{
    if (text.len == 0 || text.data[0] < EIO_OPEN || text.data[0] > EIO_NOOP) {
        return false;
    }
    out->type = (enum eio_type)text.data[0];
    out->text = (struct rt_span){ text.data + 1, text.len - 1 };
    return true;
}

struct eio_body eio_body_of(struct rt_span text)
{
    return (struct eio_body){ .rest = text };
}

bool eio_body_next(struct eio_body *body, struct rt_span *out)
{
    const uint8_t *at = NULL;

    if (body->ended) {
        return false;
    }
    if (body->rest.len > 0) {
        at = memchr(body->rest.data, EIO_SEPARATOR, body->rest.len);
    }
    *out = body->rest;
    if (at == NULL) {
        body->ended = true;
        return true;
    }
    out->len = (size_t)(at - body->rest.data);
    body->rest.data += out->len + 1;
    body->rest.len -= out->len + 1;
    return true;
}

void eio_open_packet(struct rt_buf *out, const struct eio_open *open)
{
    rt_buf_printf(out,
                  "0{\"sid\":\"%s\",\"upgrades\":%s,\"pingInterval\":%" PRId64
                  ",\"pingTimeout\":%" PRId64 ",\"maxPayload\":%" PRId64 "}",
                  open->sid, open->can_upgrade ? "[\"websocket\"]" : "[]", open->ping_interval,
                  open->ping_timeout, open->max_payload);
}
