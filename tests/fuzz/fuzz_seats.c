/* tests/fuzz/fuzz_seats.c - records of edges into the seats of a shard.
 *
 * Input: items, each behind two bytes of length; the first byte of an item says which edge sends it, and whether that one is silent, or starts over. Whatever
 * comes: a user has no more seats than were taken, and edges are told nothing but which seat they have not.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/seats/seats.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { EDGES = 3, SILENT = 4, STARTS_OVER = 8 };

struct edge {
    struct seats_edge *guest;
    struct wire_writer out;
    bool silent;
};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct wire_writer *on_out(void *ctx, void *user)
{
    (void)ctx;
    return &((struct edge *)user)->out;
}

static void on_written(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
}

static bool on_heard(void *ctx, void *user)
{
    (void)ctx;
    return !((struct edge *)user)->silent;
}

/* Whether it was told that it has not got the seat. */
static bool is_told(struct edge *edge, uint64_t seat)
{
    struct wire_reader in;
    struct wire_unseated unseated;
    enum wire_type type = WIRE_BEGIN;

    if (edge->out.len == 0) {
        return false;
    }
    wire_reader_init(&in, (const char *)edge->out.data, edge->out.len);
    must(wire_next_record(&in, &type) == WIRE_OK && type == WIRE_UNSEATED);
    must(wire_decode_unseated(&in, &unseated) == WIRE_OK && unseated.seat == seat);
    must(wire_next_record(&in, &type) == WIRE_ERR_END);
    wire_writer_clear(&edge->out);
    return true;
}

static void take(struct seats *seats, struct edge *edge, const struct wire_seat *seat)
{
    size_t before = seats_of(seats, seat->user);
    const char *why = seats_take(edge->guest, seat);
    bool refused = is_told(edge, seat->seat);

    must(!refused || (why == NULL && !seat->kept && before >= seat->limit));
    must(seats_of(seats, seat->user) == before + (why == NULL && !refused ? 1 : 0));
}

static void records(struct seats *seats, struct edge *edge, const uint8_t *data, size_t len)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;
    struct wire_seat seat;
    struct wire_unseat unseat;

    wire_reader_init(&in, (const char *)data, len);
    while (wire_next_record(&in, &type) == WIRE_OK) {
        if (type == WIRE_SEAT && wire_decode_seat(&in, &seat) == WIRE_OK) {
            take(seats, edge, &seat);
        } else if (type == WIRE_UNSEAT && wire_decode_unseat(&in, &unseat) == WIRE_OK) {
            seats_give_back(edge->guest, &unseat);
            must(edge->out.len == 0);
        } else {
            return;
        }
    }
}

static void item(struct seats *seats, struct edge *edges, const uint8_t *data, size_t len)
{
    struct edge *edge = &edges[data[0] % EDGES];
    uint8_t *copy = malloc(len);

    must(copy != NULL);
    memcpy(copy, data, len);
    edge->silent = (data[0] & SILENT) != 0;
    if ((data[0] & STARTS_OVER) != 0) {
        seats_edge_free(edge->guest);
        edge->guest = seats_edge_new(seats, edge);
    }
    records(seats, edge, copy + 1, len - 1);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct seats_events events = { on_out, on_written, on_heard };
    struct rt_metrics *metrics = rt_metrics_new();
    struct seats *seats =
        seats_new(&(struct seats_config){ .metrics = metrics, .events = &events });
    struct edge edges[EDGES] = { { .guest = NULL } };

    for (int i = 0; i < EDGES; i++) {
        edges[i].guest = seats_edge_new(seats, &edges[i]);
    }
    while (len >= 2) {
        size_t size = (size_t)data[0] * 256 + data[1];
        data += 2;
        len -= 2;
        size = size > len ? len : size;
        if (size > 0) {
            item(seats, edges, data, size);
        }
        data += size;
        len -= size;
    }
    seats_free(seats);
    rt_metrics_free(metrics);
    for (int i = 0; i < EDGES; i++) {
        wire_writer_fini(&edges[i].out);
    }
    return 0;
}
