/* broker/seats/seats.h - how many connections a user has, over all edges.
 *
 * An edge takes a seat here for each connection of a user, and gives it back when that connection ends. The shard that "user:{name}" hashes to
 * is the only one that knows all seats of a user, and its one thread judges one after the other: of two edges that let the last one in at the
 * same moment, the second is told that it has not (UNSEATED). Nothing is said about a seat that is granted, since the edge has let its client in
 * already.
 *
 * Seats are not kept anywhere else. A shard that starts knows none; edges that were there before take theirs again as `kept`, which count
 * and are not judged, so that nobody is sent away for a restart. Until all of them have said so, a user may come to more than the limit; then nobody
 * new is let in until it is kept again. An edge that dies is noticed after links.lease only; so that its clients can come back on another edge at
 * once, the seats of an edge that has said nothing for a while (`heard`) do not count against a new one.
 *
 * One thread, no I/O. A seat: O(1); one that seems to be too many, O(seats of the user). 350 bytes for a user's only seat, 150 for one of ten.
 */
#ifndef PGTIDE_BROKER_SEATS_SEATS_H
#define PGTIDE_BROKER_SEATS_SEATS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/records.h"

#define SEATS_MAX 1000000u /* of one edge */

struct rt_metrics;
struct seats;
struct seats_edge;

/* `edge_user` is what seats_edge_new() was given. */
struct seats_events {
    /* Where a record for this edge goes; and: it is written. */
    struct wire_writer *(*out)(void *ctx, void *edge_user);
    void (*written)(void *ctx, void *edge_user);
    /* Whether this edge has said something lately. */
    bool (*heard)(void *ctx, void *edge_user);
};

struct seats_config {
    struct rt_metrics *metrics;
    const struct seats_events *events;
    void *ctx;
};

struct seats *seats_new(const struct seats_config *config);
void seats_free(struct seats *seats); /* and its edges */

struct seats_edge *seats_edge_new(struct seats *seats, void *user);
/* With its seats. NULL is fine. */
void seats_edge_free(struct seats_edge *edge);

/* NULL, or why the edge's session cannot go on (a literal): it breaks the protocol. */
const char *seats_take(struct seats_edge *edge, const struct wire_seat *record);
void seats_give_back(struct seats_edge *edge, const struct wire_unseat *record);

/* For tests: how many this user has. */
size_t seats_of(const struct seats *seats, struct wire_span name);

#endif
