/* tests/fuzz/fuzz_llana_in.c - any text as a Socket.IO packet of a client of Llana's, and as the request that opens its session.
 *
 * What is read is of a type that clients send, with JSON that fits the type; a position that a client comes back with is one, and its
 * pid reads back as it was written. What is answered is JSON again. Of a request's head come texts within their bounds and without line ends,
 * an address that a list of hosts with it in it has, and what the request says wins over a packet that says nothing.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/http_head.h"
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

static void is_one_line(const char *text)
{
    must(text == NULL || strpbrk(text, "\r\n") == NULL);
}

static void check_opening(const struct http_request *request, bool trust_proxy)
{
    struct llana_opening opening;
    struct llana_connect connect;

    llana_opening_read(request, trust_proxy, &opening);
    is_one_line(opening.bearer);
    is_one_line(opening.cookie);
    is_one_line(opening.table);
    must(memchr(opening.address, '\0', sizeof(opening.address)) != NULL);
    must(trust_proxy || strcmp(opening.address, request->peer) == 0);
    must(strchr(opening.address, ',') != NULL ||
         llana_hosts_allow(opening.address, opening.address));
    llana_connect_read(&opening, NULL, &connect);
    must(connect.table == opening.table && !connect.has_since);
    must(connect.token == (opening.bearer != NULL ? opening.bearer : opening.cookie));
    must(connect.table == NULL || !llana_is_table_name(connect.table) ||
         strlen(connect.table) <= LLANA_TABLE_MAX);
    llana_opening_fini(&opening);
}

/* As the edge does it: a head that is none does not come this far. */
static void check_request(const uint8_t *data, size_t len)
{
    size_t head_len = http_head_length(data, len, 0);
    struct http_head head = { .method = HTTP_OTHER };
    struct http_request request;

    if (head_len == 0 || head_len > HTTP_HEAD_MAX) {
        return;
    }
    uint8_t *copy = malloc(head_len);
    memcpy(copy, data, head_len);
    if (http_head_check(copy, head_len, &head) == NULL) {
        memcpy(copy, data, head_len);
        http_request_read((struct rt_span){ copy, head_len }, &request);
        (void)strcpy(request.peer, "192.0.2.1");
        check_opening(&request, false);
        check_opening(&request, true);
    }
    free(copy);
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
    check_request(data, len);
    return 0;
}
