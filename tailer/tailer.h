/* tailer/tailer.h - the tier as a whole: PostgreSQL's WAL in, records on the shards' streams out.
 *
 * The connection to PostgreSQL (slot) lives as long as the process; the rest (links, relation cache,
 * publishing state) exists only while this tailer has the slot, so that a standby binds nothing and a
 * tailer that lost its slot to another one serves nothing stale.
 */
#ifndef PGTIDE_TAILER_TAILER_H
#define PGTIDE_TAILER_TAILER_H

struct rt_process;
struct tailer;

/* NULL after logging: the configuration cannot work. An unreachable database is no failure. */
struct tailer *tailer_new(struct rt_process *process);
void tailer_free(struct tailer *tailer);
/* Stops reading, waits a moment for the shards' acknowledgements, confirms them, and stops the loop. */
void tailer_drain(struct tailer *tailer);

#endif
