/* edge/handover.h - a connection that came to the wrong process of this host is passed to the right one.
 *
 * Edges share a port (SO_REUSEPORT), so the kernel may give the second request of a long-polling client to another process than the
 * one that has its session. The session's id names its process; the request's socket is passed there, with the bytes
 * that have been read, over a local socket (SCM_RIGHTS), and that process goes on as if it had accepted the connection. Nothing is
 * copied afterwards.
 *
 * A process listens in the abstract namespace (Linux) under a random name of 36 bits, so there are no files to clean up, and a
 * dead process's name is refused at once. Only processes of the same user are listened to, and only TCP sockets are taken.
 * A sender never waits: a process that does not keep up counts as gone. Cost of a hand-over: about 30 us on each side.
 */
#ifndef PGTIDE_EDGE_HANDOVER_H
#define PGTIDE_EDGE_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handover;
struct rt_log;
struct rt_loop;

enum {
    HANDOVER_NAME_LEN = 6,  /* characters of A-Z a-z 0-9 - _ */
    HANDOVER_BYTES = 98304, /* most bytes that are passed along */
};

struct handover_config {
    struct rt_loop *loop;
    struct rt_log *log;
    /* A connection and what has been read of it; fd is the callee's, the bytes may be changed in place. */
    void (*on_connection)(void *ctx, int fd, uint8_t *data, size_t len);
    void *ctx;
};

/* NULL after logging. */
struct handover *handover_new(const struct handover_config *config);
void handover_free(struct handover *handover);
const char *handover_name(const struct handover *handover);
/* Whether the process of this name has it now. The descriptor stays the caller's, who closes it. */
bool handover_pass(const char name[HANDOVER_NAME_LEN], int fd, const uint8_t *data, size_t len);

#endif
