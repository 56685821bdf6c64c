/* tests/fuzz/fuzz_llana_in.c - any text as a Socket.IO packet of a client of Llana's.
 *
 * What is read is of a type that clients send, with JSON that fits the type; a position that a client comes back with is one, and its
 * pid reads back as it was written. What is answered is JSON again.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/llana/opening.h"
#include "edge/llana/out.h"
#include "edge/llana/socketio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_json(struct rt_buf *text, size_t skip)
{
    json_t *json = json_loadb((const char *)text->data + skip, text->len - skip, 0, NULL);

    must(json != NULL);
    json_decref(json);
    rt_buf_clear(text);
}

static void check_connect(void *auth)
{
    struct llana_opening opening = { 0 };
    struct llana_connect connect;
    struct wire_position position;
    char sid[LLANA_SID_LEN + 1];

    llana_connect_read(&opening, auth, &connect);
    must(connect.has_since == (connect.pid[0] != '\0'));
    if (connect.has_since) {
        char again[LLANA_PID_SIZE];
        must(llana_pid_read(connect.pid, sid, &position));
        llana_pid_make(sid, &position, again);
        must(strcmp(again, connect.pid) == 0);
    }
    must(connect.table == NULL || connect.table[0] != '\0');
}

static void check_packet(const struct sio_packet *packet)
{
    struct rt_buf out = { 0 };

    switch (packet->type) {
    case SIO_CONNECT:
        check_connect(packet->json);
        break;
    case SIO_EVENT:
        llana_out_exception(&out, json_array_get(packet->json, 1));
        check_json(&out, 2);
        break;
    case SIO_DISCONNECT:
        must(packet->json == NULL);
        break;
    case SIO_ACK:
        must(json_is_array((json_t *)packet->json));
        break;
    case SIO_CONNECT_ERROR:
    default:
        abort();
    }
    llana_out_refused(&out, (struct rt_span){ (const uint8_t *)"/", 1 }, "x\"y");
    check_json(&out, 2);
    rt_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sio_packet packet;
    uint8_t *text = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(text, data, len);
    }
    if (sio_packet_read((struct rt_span){ text, len }, &packet)) {
        must(packet.space.len > 0 && packet.space.data[0] == '/');
        check_packet(&packet);
        sio_packet_fini(&packet);
    }
    free(text);
    return 0;
}
