/* edge/llana/socketio.c - see edge/llana/socketio.h. */
#include "edge/llana/socketio.h"

#include <string.h>

#include <jansson.h>

enum { ACK_DIGITS_MAX = 18 };

static void skip(struct rt_span *text, size_t len)
{
    text->data += len;
    text->len -= len;
}

/* "/name," or nothing. The end of the text ends a name, too. */
static void read_space(struct rt_span *text, struct sio_packet *out)
{
    out->space = (struct rt_span){ (const uint8_t *)"/", 1 };
    if (text->len == 0 || text->data[0] != '/') {
        return;
    }
    const uint8_t *comma = memchr(text->data, ',', text->len);
    out->space = *text;
    if (comma != NULL) {
        out->space.len = (size_t)(comma - text->data);
    }
    skip(text, comma != NULL ? out->space.len + 1 : text->len);
}

static bool read_ack(struct rt_span *text, struct sio_packet *out)
{
    size_t digits = 0;

    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9') {
        digits++;
    }
    out->wants_ack = digits > 0;
    skip(text, digits);
    return digits <= ACK_DIGITS_MAX;
}

static bool fits(const struct sio_packet *packet)
{
    const json_t *json = packet->json;

    switch (packet->type) {
    case SIO_CONNECT:
        return json == NULL || json_is_object(json);
    case SIO_DISCONNECT:
        return json == NULL;
    case SIO_EVENT:
        return json_is_array(json) &&
               (json_is_string(json_array_get(json, 0)) || json_is_number(json_array_get(json, 0)));
    case SIO_ACK:
        return json_is_array(json);
    case SIO_CONNECT_ERROR: /* only servers send it */
    default:
        return false;
    }
}

bool sio_packet_read(struct rt_span text, struct sio_packet *out)
{
    json_error_t error;

    if (text.len == 0 || text.data[0] < SIO_CONNECT || text.data[0] > SIO_CONNECT_ERROR) {
        return false;
    }
    *out = (struct sio_packet){ .type = (enum sio_type)text.data[0] };
    skip(&text, 1);
    read_space(&text, out);
    if (!read_ack(&text, out)) {
        return false;
    }
    if (text.len > 0) {
        /* A NUL in a text would be cut off by whoever takes it for a C string. */
        out->json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
        if (out->json == NULL) {
            return false;
        }
    }
    if (!fits(out)) {
        sio_packet_fini(out);
        return false;
    }
    return true;
}

void sio_packet_fini(struct sio_packet *packet)
{
    json_decref(packet->json);
    packet->json = NULL;
}

bool sio_is_default_space(const struct sio_packet *packet)
{
    return packet->space.len == 1;
}
