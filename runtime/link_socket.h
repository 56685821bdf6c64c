/* runtime/link_socket.h - how the ZeroMQ sockets of a link are set up, bound and watched.
 *
 * The options and their reasons are in link_socket.c, in one place for both ends.
 */
#ifndef PGTIDE_RUNTIME_LINK_SOCKET_H
#define PGTIDE_RUNTIME_LINK_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

struct link_monitor;
struct rt_counter;
struct rt_keys;
struct rt_log;
struct rt_loop;

enum link_role { LINK_PUBLISHER, LINK_ROUTER, LINK_SUBSCRIBER, LINK_DEALER };

/* NULL after logging. zmq_close() releases it. */
void *link_socket_new(enum link_role role, const char *address, rt_usec lease, struct rt_log *log);
/* False after logging, when the address cannot be bound, or must not be: not local, no keys, and not allow_insecure. */
bool link_socket_bind(void *socket, const char *address, const struct rt_keys *keys,
                      bool allow_insecure, struct rt_log *log);
bool link_socket_connect(void *socket, const char *address, const struct rt_keys *keys,
                         struct rt_log *log);
/* Drops the connection, if there is one, and makes another with the same keys. Messages under way may be lost. */
void link_socket_reconnect(void *socket, const char *address, struct rt_log *log);

/* Counts and logs peers that fail the handshake: another key, no key, or no ZeroMQ at all. */
struct link_monitor *link_monitor_new(struct rt_loop *loop, void *socket, struct rt_log *log,
                                      struct rt_counter *failures);
void link_monitor_free(struct link_monitor *monitor); /* before its socket is closed */

#endif
