/* tests/unit/edge/hub_fakes.h - a hub without a network: links to shards and connections that only remember.
 *
 * Linked in front of the real ones, it replaces rt_sub_*, edge_conn_* and token_verify(). The functions it replaces
 * have no place for a context, so the world is one static object; fakes_reset() empties it.
 */
#ifndef PGTIDE_TESTS_HUB_FAKES_H
#define PGTIDE_TESTS_HUB_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/conn.h"
#include "proto/records.h"
#include "runtime/buf.h"
#include "runtime/clock.h"
#include "runtime/process.h"

struct rt_config;

#define FAKE_SHARDS 4

/* What one shard was told, one line each: "identify 1 anon", "subscribe 2 1 table:public.t since 10/20/0", "more 2 1", … */
const char *fake_told(unsigned shard); /* since the last call */
uint64_t fake_acked(unsigned shard);
uint64_t fake_sender(unsigned shard); /* of the last publish */
uint64_t fake_reply(unsigned shard);  /* of the last publish or track */
uint64_t fake_ref(unsigned shard);    /* of the last track */
/* Fails the next message although there is a session. */
void fake_fail_next_message(unsigned shard);

void fake_session(unsigned shard, bool fresh);
void fake_down(unsigned shard);
void fake_frame(unsigned shard, struct wire_writer *frame); /* and clears the writer */

struct edge_conn *fake_conn_new(void);
void fake_conn_free(struct edge_conn *conn);
void fake_conn_want_transactions(struct edge_conn *conn); /* before the dialect's on_open */
/* So many bytes wait for it. */
void fake_conn_fill(struct edge_conn *conn, size_t waiting);
/* Texts sent since the last call, one line each. */
const char *fake_sent(struct edge_conn *conn);
/* The frame sent last, for asking whether two clients share it. */
const struct edge_frame *fake_last_frame(const struct edge_conn *conn);
unsigned fake_close_code(const struct edge_conn *conn); /* 0: open */
rt_usec fake_close_delay(const struct edge_conn *conn);
const char *fake_close_reason(const struct edge_conn *conn);
/* The payload of a frame, header taken off. */
struct rt_span fake_payload(const struct edge_frame *frame);

/* Tokens are "ROLE" or "ROLE|CLAIMS" or "ROLE|CLAIMS|EXPIRES in seconds"; "bad" is not accepted. */
struct identity fake_identity(const char *token);

/* Clocks, in microseconds. */
rt_usec fake_now(void);
rt_usec fake_wall_now(void);
void fake_clock_set(rt_usec now);
void fake_clock_add(rt_usec more);

/* A process with everything but a network; `sets` as for rt_config_load. */
struct rt_process *fake_process_new(const char *const *sets);
void fake_process_free(struct rt_process *process);
/* The value of a metric, by its whole name and labels; -1 if there is none. */
double fake_metric(struct rt_process *process, const char *name);

void fakes_reset(void);

/* A group's description: columns "id" (number, key) and "name" (text). */
void fake_write_group(struct wire_writer *out, uint32_t group, const char *table);
/* A tuple of up to 8 texts; NULL is NULL. The bytes live until the next fakes_reset(). */
struct wire_tuple fake_tuple(unsigned count, const char *const *texts);

#endif
