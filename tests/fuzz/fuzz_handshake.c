/* fuzz_handshake.c - bytes of a stranger where a request head is expected, through our check and through
 * libwebsockets, whose assertions are live in Debian's build: reaching one would end the process.
 *
 * Property: established means that the head asked for it, with version 13, and the answer is one whole 101; texts
 * are terminated; and libwebsockets is ready for the next request.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/handshake.h"
#include "runtime/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char good[] =
    "GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static void require(bool held)
{
    if (!held) {
        abort();
    }
}

static void check(const struct handshake_request *request, const struct http_head *head)
{
    require(memchr(request->path, 0, sizeof(request->path)) != NULL);
    require(request->token_len < sizeof(request->token) &&
            request->token[request->token_len] == '\0');
    if (request->established) {
        require(head->upgrade && request->version_13);
        require(request->response.len > 16 &&
                memcmp(request->response.data, "HTTP/1.1 101 ", 13) == 0);
        require(memcmp(request->response.data + request->response.len - 4, "\r\n\r\n", 4) == 0);
    }
}

/* A context costs milliseconds; it is made once, as in a server. */
static struct handshake *the_handshake(void)
{
    static struct handshake *hs;

    if (hs == NULL) {
        hs = handshake_new(rt_log_new("fuzz", RT_LOG_ERROR, RT_LOG_KV));
        require(hs != NULL);
    }
    return hs;
}

static const struct handshake_request *run(const uint8_t *data, size_t len, struct http_head *head)
{
    const struct handshake_request *request = NULL;
    uint8_t *copy = malloc(len);

    require(copy != NULL);
    memcpy(copy, data, len);
    if (http_head_check(copy, len, head) == NULL && head->method != HTTP_OTHER) {
        require(head->len <= len);
        request = handshake_run(the_handshake(), head, copy);
    }
    free(copy);
    return request;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_head head = { .method = HTTP_OTHER };
    size_t head_len = http_head_length(data, len, 0);

    if (head_len == 0 || head_len > HTTP_HEAD_MAX) {
        return 0;
    }
    const struct handshake_request *request = run(data, head_len, &head);
    if (request != NULL) {
        check(request, &head);
    }
    request = run((const uint8_t *)good, sizeof(good) - 1, &head);
    require(request != NULL && request->established);
    return 0;
}
