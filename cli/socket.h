/* cli/socket.h - one WebSocket connection as a client, from connecting to the end (libwebsockets).
 *
 * Text messages of any size up to 1 GiB are joined and handed on whole. Pings are answered. A server
 * that says nothing for two minutes counts as gone.
 */
#ifndef PGTIDE_CLI_SOCKET_H
#define PGTIDE_CLI_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

struct cli_socket_config {
    const char *url;      /* ws, wss, http or https; without a path: /realtime */
    const char *token;    /* Authorization: Bearer; NULL: none */
    const char *greeting; /* sent once, when the connection is open */
    /* A message; false ends the connection. `text` is NUL-terminated and valid during the call. */
    bool (*on_text)(void *ctx, const char *text, size_t len);
    void *ctx;
};

enum cli_socket_end {
    CLI_SOCKET_BAD_URL,
    CLI_SOCKET_UNREACHABLE, /* never opened */
    CLI_SOCKET_CLOSED,      /* by the server, or lost */
    CLI_SOCKET_DONE,        /* on_text said so */
};

#define CLI_SOCKET_WHY_SIZE 256

/* Blocks until the connection ends; `why` says how, for people. */
enum cli_socket_end cli_socket_run(const struct cli_socket_config *config,
                                   char why[CLI_SOCKET_WHY_SIZE]);

#endif
