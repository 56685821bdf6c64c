/* runtime/keys.h - CURVE for the links between tiers, with czmq's certificates and ZAP handler.
 *
 * One key pair for a deployment: every tier has the same certificate file (czmq's zcert format, made
 * by `pgtide keygen FILE`), presents it, and accepts only it. Whoever does not hold the secret part
 * gets nothing, and the attempt is counted and logged. Without a file there is no encryption, and
 * only loopback and ipc addresses may be bound.
 */
#ifndef PGTIDE_RUNTIME_KEYS_H
#define PGTIDE_RUNTIME_KEYS_H

#include <stdbool.h>

struct rt_keys;
struct rt_log;

/* The ZeroMQ context of the process (czmq's, since its ZAP handler lives there). */
void *rt_zmq_context(void);
/* Ends it, after all sockets are closed. */
void rt_zmq_context_close(void);

/* NULL after logging: no such file, no secret part, or readable by others. Starts the ZAP handler. */
struct rt_keys *rt_keys_load(const char *path, struct rt_log *log);
void rt_keys_free(struct rt_keys *keys);
/* Writes a new secret certificate with mode 0600; false when the file exists or cannot be written. */
bool rt_keys_generate(const char *path);
/* Applies to a socket before bind or connect. keys NULL: nothing. */
void rt_keys_serve(const struct rt_keys *keys, void *zmq_socket);
void rt_keys_join(const struct rt_keys *keys, void *zmq_socket);
/* Whether `address` stays on this host: loopback tcp, ipc, inproc. */
bool rt_address_is_local(const char *address);

#endif
