/* Tests of broker/seats: who is told that there is no seat left, and what counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/seats/seats.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"

enum { EDGES = 3 };

struct edge {
    struct seats_edge *guest;
    struct wire_writer out;
    bool silent;
};

struct fixture {
    struct seats *seats;
    struct rt_metrics *metrics;
    struct edge edges[EDGES];
};

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

static int set_up(void **state)
{
    static const struct seats_events events = { on_out, on_written, on_heard };
    struct fixture *f = rt_alloc(sizeof(*f));

    f->metrics = rt_metrics_new();
    f->seats =
        seats_new(&(struct seats_config){ .metrics = f->metrics, .events = &events, .ctx = f });
    for (int i = 0; i < EDGES; i++) {
        f->edges[i].guest = seats_edge_new(f->seats, &f->edges[i]);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    seats_free(f->seats);
    rt_metrics_free(f->metrics);
    for (int i = 0; i < EDGES; i++) {
        wire_writer_fini(&f->edges[i].out);
    }
    free(f);
    return 0;
}

static struct wire_span text(const char *of)
{
    return (struct wire_span){ of, strlen(of) };
}

static struct wire_seat seat(uint64_t number, const char *user, bool kept)
{
    return (struct wire_seat){ .seat = number, .user = text(user), .limit = 2, .kept = kept };
}

static void take(struct fixture *f, unsigned edge, uint64_t number, const char *user)
{
    struct wire_seat record = seat(number, user, false);

    assert_null(seats_take(f->edges[edge].guest, &record));
}

static void keep(struct fixture *f, unsigned edge, uint64_t number, const char *user)
{
    struct wire_seat record = seat(number, user, true);

    assert_null(seats_take(f->edges[edge].guest, &record));
}

static void give_back(struct fixture *f, unsigned edge, uint64_t number)
{
    seats_give_back(f->edges[edge].guest, &(struct wire_unseat){ .seat = number });
}

/* The seat that the edge was told it has not, since the last call; 0: none. */
static uint64_t unseated(struct fixture *f, unsigned edge)
{
    struct wire_writer *out = &f->edges[edge].out;
    struct wire_unseated record = { .seat = 0 };
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    wire_reader_init(&in, (const char *)out->data, out->len);
    if (out->len > 0) {
        assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
        assert_int_equal(type, WIRE_UNSEATED);
        assert_int_equal(wire_decode_unseated(&in, &record), WIRE_OK);
        assert_int_equal(wire_next_record(&in, &type), WIRE_ERR_END);
    }
    wire_writer_clear(out);
    return record.seat;
}

static size_t of(const struct fixture *f, const char *user)
{
    return seats_of(f->seats, text(user));
}

static void test_the_limit_holds_over_all_edges(void **state)
{
    struct fixture *f = *state;

    take(f, 0, 1, "ann");
    take(f, 1, 1, "ann");
    take(f, 0, 2, "bob");
    assert_int_equal(unseated(f, 0), 0);
    assert_int_equal(unseated(f, 1), 0);
    take(f, 1, 7, "ann");
    assert_int_equal(unseated(f, 1), 7);
    take(f, 2, 9, "ann");
    assert_int_equal(unseated(f, 2), 9);
    assert_int_equal(of(f, "ann"), 2);
    assert_int_equal(of(f, "bob"), 1);
    assert_int_equal(of(f, "cem"), 0);
}

static void test_a_seat_that_is_given_back_can_be_taken(void **state)
{
    struct fixture *f = *state;

    take(f, 0, 1, "ann");
    take(f, 0, 2, "ann");
    give_back(f, 1, 2); /* another edge's number */
    take(f, 1, 3, "ann");
    assert_int_equal(unseated(f, 1), 3);
    give_back(f, 1, 3); /* it was unseated: nothing happens */
    give_back(f, 0, 1);
    take(f, 1, 4, "ann");
    assert_int_equal(unseated(f, 1), 0);
    assert_int_equal(of(f, "ann"), 2);
}

static void test_seats_end_with_their_edge(void **state)
{
    struct fixture *f = *state;

    take(f, 0, 1, "ann");
    take(f, 0, 2, "ann");
    seats_edge_free(f->edges[0].guest);
    f->edges[0].guest = seats_edge_new(f->seats, &f->edges[0]);
    assert_int_equal(of(f, "ann"), 0);
    take(f, 1, 1, "ann");
    take(f, 0, 1, "ann");
    assert_int_equal(unseated(f, 0), 0);
    assert_int_equal(unseated(f, 1), 0);
}

static void test_kept_seats_count_and_are_never_taken_away(void **state)
{
    struct fixture *f = *state;

    take(f, 0, 1, "ann");
    take(f, 0, 2, "ann");
    keep(f, 1, 1, "ann");
    keep(f, 1, 2, "ann");
    assert_int_equal(unseated(f, 1), 0);
    assert_int_equal(of(f, "ann"), 4);
    for (uint64_t number = 1; number <= 2; number++) { /* nobody new until there are fewer than 2 */
        give_back(f, 1, number);
        take(f, 2, number, "ann");
        assert_int_equal(unseated(f, 2), number);
    }
    give_back(f, 0, 1);
    take(f, 2, 3, "ann");
    assert_int_equal(unseated(f, 2), 0);
}

static void test_seats_of_a_silent_edge_do_not_stand_in_the_way(void **state)
{
    struct fixture *f = *state;

    take(f, 0, 1, "ann");
    take(f, 0, 2, "ann");
    f->edges[0].silent = true;
    take(f, 1, 1, "ann");
    take(f, 1, 2, "ann");
    take(f, 1, 3, "ann");
    assert_int_equal(unseated(f, 1), 3);
    assert_int_equal(of(f, "ann"), 4);
    f->edges[0].silent = false; /* it was only slow: what is there stays */
    give_back(f, 1, 1);
    take(f, 1, 4, "ann");
    assert_int_equal(unseated(f, 1), 4);
}

static void test_limits_are_those_of_the_record(void **state)
{
    struct fixture *f = *state;
    struct wire_seat more = seat(3, "ann", false);
    struct wire_seat fewer = seat(4, "bob", false);

    take(f, 0, 1, "ann");
    take(f, 0, 2, "ann");
    more.limit = 3;
    assert_null(seats_take(f->edges[1].guest, &more));
    assert_int_equal(unseated(f, 1), 0);
    take(f, 0, 5, "bob");
    fewer.limit = 1;
    assert_null(seats_take(f->edges[1].guest, &fewer));
    assert_int_equal(unseated(f, 1), 4);
}

static void test_a_number_used_twice_breaks_the_protocol(void **state)
{
    struct fixture *f = *state;
    struct wire_seat again = seat(1, "bob", false);

    take(f, 0, 1, "ann");
    assert_string_equal(seats_take(f->edges[0].guest, &again),
                        "the number of a seat was used twice");
    assert_int_equal(of(f, "bob"), 0);
    assert_int_equal(of(f, "ann"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_limit_holds_over_all_edges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_seat_that_is_given_back_can_be_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_seats_end_with_their_edge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_seats_count_and_are_never_taken_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_seats_of_a_silent_edge_do_not_stand_in_the_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_limits_are_those_of_the_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_number_used_twice_breaks_the_protocol, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
