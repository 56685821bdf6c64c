/* broker/shard.h - one shard of the brokers: owns its parts and carries records between them.
 *
 *   tailer ── rt_sub ──▶ upstream ──▶ route ──▶ edges ── rt_pub ──▶ edges' processes
 *                          │            ▲ │
 *                    fence ▼     access │ ▼ watch
 *                          authority ── PostgreSQL
 *
 * A frame of the tailer is acknowledged when all of it has been routed and handed to the rings of the
 * edges. The stream is paused while upstream waits for something, or the edges cannot take more.
 *
 * Made by main.c; one for a process; one thread.
 */
#ifndef PGTIDE_BROKER_SHARD_H
#define PGTIDE_BROKER_SHARD_H

struct rt_process;
struct shard;

/* NULL after logging why not. */
struct shard *shard_new(struct rt_process *process);
/* Reads no more, waits for the edges to acknowledge what they were sent, then stops the loop. What was not read, and what edges
 * were in the middle of, the successor has again: from the tailer, and by the edges' `since`. */
void shard_drain(struct shard *shard);
void shard_free(struct shard *shard);

#endif
