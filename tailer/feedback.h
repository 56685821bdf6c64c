/* tailer/feedback.h - what may be confirmed to PostgreSQL.
 *
 * PostgreSQL throws WAL away behind the confirmed ("flushed") position, and never sends it again. So a
 * position is confirmed only when every shard has processed everything up to it:
 *
 *   - a shard that has acknowledged all its frames, and for which nothing waits to be framed, holds
 *     nothing back: for it everything published is done;
 *   - any other shard is done up to the tag of its last acknowledged frame. A frame's tag is the end of the last
 *     transaction that is complete with that frame, so part of a transaction never counts;
 *   - one that was left behind stays where it was; one that was given up does not count any more.
 *
 * Nor is anything confirmed that the window still holds (tailer/window.h). The result never goes backwards: PostgreSQL
 * forgets, it does not take back. Pure.
 */
#ifndef PGTIDE_TAILER_FEEDBACK_H
#define PGTIDE_TAILER_FEEDBACK_H

#include <stddef.h>
#include <stdint.h>

/* `done`: up to where each shard is done. `window`: where the window begins. `before`: the last result, 0 at first. */
uint64_t feedback_flushed(const uint64_t *done, size_t count, uint64_t window, uint64_t before);

#endif
