/* broker/seats/seats.c - see seats.h.
 *
 * A user lives while somebody has a seat of theirs. A seat is in its edge's map and in its user's list.
 */
#include "broker/seats/seats.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

struct seat {
    uint64_t number;
    struct seats_edge *edge;
    struct user *user;
    struct seat *next; /* of the user */
    struct seat *prev;
};

struct user {
    struct seat *first;
    uint32_t count;
    size_t len;
    char name[];
};

struct seats {
    struct seats_config config;
    struct rt_map *users;
    struct seats_edge *edges;
    struct rt_gauge *taken;
    struct rt_gauge *people;
    struct rt_counter *granted;
    struct rt_counter *refused;
};

struct seats_edge {
    struct seats *seats;
    void *user;
    struct rt_map *taken; /* number -> struct seat */
    struct seats_edge *next;
    struct seats_edge *prev;
};

static struct user *user_get(struct seats *seats, struct wire_span name)
{
    struct user *user = rt_map_get(seats->users, name.data, name.len);

    if (user == NULL) {
        user = rt_alloc(sizeof(*user) + name.len);
        user->len = name.len;
        if (name.len > 0) {
            memcpy(user->name, name.data, name.len);
        }
        (void)rt_map_put(seats->users, name.data, name.len, user);
        rt_gauge_set(seats->people, (double)rt_map_count(seats->users));
    }
    return user;
}

static void count(struct seats *seats, double by)
{
    rt_gauge_set(seats->taken, seats->taken->value + by);
}

static void seat_add(struct seats_edge *edge, const struct wire_seat *record)
{
    struct seat *seat = rt_alloc(sizeof(*seat));
    struct user *user = user_get(edge->seats, record->user);

    seat->number = record->seat;
    seat->edge = edge;
    seat->user = user;
    seat->next = user->first;
    if (user->first != NULL) {
        user->first->prev = seat;
    }
    user->first = seat;
    user->count++;
    (void)rt_map_put_u64(edge->taken, seat->number, seat);
    count(edge->seats, 1);
}

/* It is in its edge's map no more. */
static void seat_free(struct seat *seat)
{
    struct seats *seats = seat->edge->seats;
    struct user *user = seat->user;

    if (seat->prev != NULL) {
        seat->prev->next = seat->next;
    } else {
        user->first = seat->next;
    }
    if (seat->next != NULL) {
        seat->next->prev = seat->prev;
    }
    free(seat);
    count(seats, -1);
    if (--user->count == 0) {
        (void)rt_map_remove(seats->users, user->name, user->len);
        rt_gauge_set(seats->people, (double)rt_map_count(seats->users));
        free(user);
    }
}

/* Those of edges that say nothing may be of clients that are looking for another edge now. */
static bool is_full(const struct seats *seats, const struct user *user, uint32_t limit)
{
    const struct seats_config *config = &seats->config;
    uint32_t sure = 0;

    if (user == NULL || user->count < limit) {
        return false;
    }
    for (const struct seat *seat = user->first; seat != NULL && sure < limit; seat = seat->next) {
        sure += config->events->heard(config->ctx, seat->edge->user) ? 1 : 0;
    }
    return sure >= limit;
}

static void refuse(struct seats_edge *edge, uint64_t number)
{
    const struct seats_config *config = &edge->seats->config;

    wire_encode_unseated(config->events->out(config->ctx, edge->user),
                         &(struct wire_unseated){ .seat = number });
    config->events->written(config->ctx, edge->user);
    rt_counter_add(edge->seats->refused, 1);
}

const char *seats_take(struct seats_edge *edge, const struct wire_seat *record)
{
    struct seats *seats = edge->seats;
    const struct user *user = rt_map_get(seats->users, record->user.data, record->user.len);

    if (rt_map_get_u64(edge->taken, record->seat) != NULL) {
        return "the number of a seat was used twice";
    }
    if (rt_map_count(edge->taken) >= SEATS_MAX) {
        return "too many seats";
    }
    if (!record->kept && is_full(seats, user, record->limit)) {
        refuse(edge, record->seat);
    } else {
        seat_add(edge, record);
        rt_counter_add(seats->granted, 1);
    }
    return NULL;
}

void seats_give_back(struct seats_edge *edge, const struct wire_unseat *record)
{
    struct seat *seat = rt_map_remove_u64(edge->taken, record->seat);

    if (seat != NULL) {
        seat_free(seat);
    }
}

size_t seats_of(const struct seats *seats, struct wire_span name)
{
    const struct user *user = rt_map_get(seats->users, name.data, name.len);

    return user == NULL ? 0 : user->count;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

struct seats_edge *seats_edge_new(struct seats *seats, void *user)
{
    struct seats_edge *edge = rt_alloc(sizeof(*edge));

    edge->seats = seats;
    edge->user = user;
    edge->taken = rt_map_new();
    edge->next = seats->edges;
    if (seats->edges != NULL) {
        seats->edges->prev = edge;
    }
    seats->edges = edge;
    return edge;
}

void seats_edge_free(struct seats_edge *edge)
{
    if (edge == NULL) {
        return;
    }
    struct rt_map_iter iter = rt_map_begin(edge->taken);
    struct seat *seat = NULL;
    while ((seat = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        seat_free(seat);
    }
    rt_map_free(edge->taken);
    if (edge->prev != NULL) {
        edge->prev->next = edge->next;
    } else {
        edge->seats->edges = edge->next;
    }
    if (edge->next != NULL) {
        edge->next->prev = edge->prev;
    }
    free(edge);
}

struct seats *seats_new(const struct seats_config *config)
{
    struct seats *seats = rt_alloc(sizeof(*seats));

    seats->config = *config;
    seats->users = rt_map_new();
    seats->taken = rt_gauge_new(config->metrics, "pgtide_broker_seats", NULL,
                                "Connections of users whose number is watched here.");
    seats->people = rt_gauge_new(config->metrics, "pgtide_broker_seated_users", NULL,
                                 "Users who have such connections.");
    seats->granted = rt_counter_new(config->metrics, "pgtide_broker_seats_granted_total", NULL,
                                    "Connections of users that were counted, again after the "
                                    "session of an edge or this process began anew.");
    seats->refused = rt_counter_new(config->metrics, "pgtide_broker_seats_refused_total", NULL,
                                    "Connections sent away because their user has "
                                    "realtime.max_connections_per_user on other edges already.");
    return seats;
}

void seats_free(struct seats *seats)
{
    if (seats == NULL) {
        return;
    }
    for (struct seats_edge *edge = seats->edges, *next = NULL; edge != NULL; edge = next) {
        next = edge->next;
        seats_edge_free(edge);
    }
    rt_map_free(seats->users);
    free(seats);
}
