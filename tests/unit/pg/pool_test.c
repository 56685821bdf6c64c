/* Tests of pg/pool: who gets a connection when, and that none is handed on with a transaction open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/loop.h"

/* --- connections and a loop by hand ------------------------------------------------------------------------ */

enum { CONNS = 4 };

struct pgconn {
    struct pgconn_config config;
    bool ready;
    bool in_transaction;
    bool paused;
    char sql[64];
};

struct world {
    struct pgconn *conns[CONNS];
    int made;
    rt_defer_fn hand_out;
    rt_timer_fn tick;
    void *pool;
    rt_usec now;
    bool scheduled;
};
static struct world world;

struct pgconn *pgconn_new(const struct pgconn_config *config)
{
    struct pgconn *conn = rt_alloc(sizeof(*conn));

    conn->config = *config;
    world.conns[world.made++] = conn;
    return conn;
}

void pgconn_free(struct pgconn *conn)
{
    for (int i = 0; i < CONNS; i++) {
        world.conns[i] = world.conns[i] == conn ? NULL : world.conns[i];
    }
    free(conn);
}

bool pgconn_ready(const struct pgconn *conn)
{
    return conn->ready;
}

bool pgconn_in_transaction(const struct pgconn *conn)
{
    return conn->in_transaction;
}

bool pgconn_query(struct pgconn *conn, const struct pgconn_query *query)
{
    (void)snprintf(conn->sql, sizeof(conn->sql), "%s", query->sql);
    conn->ready = false;
    conn->in_transaction = strcmp(query->sql, "ROLLBACK") != 0;
    return true;
}

bool pgconn_send(struct pgconn *conn, const char *sql, int param_count, const char *const *params)
{
    return pgconn_query(
        conn, &(struct pgconn_query){ .sql = sql, .param_count = param_count, .params = params });
}

void pgconn_pause(struct pgconn *conn, bool paused)
{
    conn->paused = paused;
}

struct rt_defer *rt_defer_new(struct rt_loop *loop, rt_defer_fn fn, void *ctx)
{
    (void)loop;
    world.hand_out = fn;
    world.pool = ctx;
    return NULL;
}

void rt_defer_schedule(struct rt_defer *defer)
{
    (void)defer;
    world.scheduled = true;
}

void rt_defer_free(struct rt_defer *defer)
{
    (void)defer;
}

struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx)
{
    (void)loop;
    (void)ctx;
    world.tick = fn;
    return NULL;
}

void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period)
{
    (void)timer;
    (void)after;
    (void)period;
}

void rt_timer_free(struct rt_timer *timer)
{
    (void)timer;
}

rt_usec rt_now(void)
{
    return world.now;
}

static void turn(void)
{
    if (world.scheduled) {
        world.scheduled = false;
        world.hand_out(world.pool);
    }
}

static void up(int i)
{
    world.conns[i]->ready = true;
    world.conns[i]->config.events->on_up(world.conns[i]->config.ctx);
    turn();
}

static void down(int i)
{
    world.conns[i]->ready = false;
    world.conns[i]->in_transaction = false;
    world.conns[i]->config.events->on_down(world.conns[i]->config.ctx, "gone away");
    turn();
}

static void answer(int i)
{
    world.conns[i]->ready = true;
    world.conns[i]->config.events->on_result(world.conns[i]->config.ctx, NULL);
    turn();
}

/* --- users ------------------------------------------------------------------------------------------------- */

struct user {
    struct pg_lease *lease;
    int ready;
    int results;
    int rows;
    int lost;
};

static void on_ready(void *ctx)
{
    ((struct user *)ctx)->ready++;
}

static void on_result(void *ctx, const PGresult *result)
{
    (void)result;
    ((struct user *)ctx)->results++;
}

static void on_row(void *ctx, const PGresult *row)
{
    (void)row;
    ((struct user *)ctx)->rows++;
}

static void on_lost(void *ctx, const char *reason)
{
    assert_string_equal(reason, "gone away");
    ((struct user *)ctx)->lost++;
}

static struct pg_pool *make(unsigned connections)
{
    world = (struct world){ .now = 0 };
    return pg_pool_new(&(struct pg_pool_config){
        .conninfo = "", .application_name = "test", .connections = connections });
}

static void take(struct pg_pool *pool, struct user *user)
{
    static const struct pg_lease_events events = {
        .on_ready = on_ready, .on_result = on_result, .on_row = on_row, .on_lost = on_lost
    };

    *user = (struct user){ .lease = pg_lease_new(pool, &events, user) };
    turn();
}

static void give(struct user *user)
{
    pg_lease_free(user->lease);
    user->lease = NULL;
    turn();
}

static void ask(struct user *user, const char *sql)
{
    assert_true(pg_lease_query(user->lease, &(struct pgconn_query){ .sql = sql }));
}

static void test_connections_are_made_for_those_who_wait(void **state)
{
    struct pg_pool *pool = make(2);
    struct user users[3];

    (void)state;
    turn();
    assert_int_equal(world.made, 0);
    take(pool, &users[0]);
    assert_int_equal(world.made, 1);
    take(pool, &users[1]);
    take(pool, &users[2]);
    assert_int_equal(world.made, 2);
    assert_int_equal(pg_pool_waiting(pool), 3);
    up(0);
    assert_true(users[0].ready == 1 && users[1].ready == 0);
    up(1);
    assert_true(users[1].ready == 1 && users[2].ready == 0);
    give(&users[0]);
    assert_int_equal(users[2].ready, 1);
    assert_int_equal(pg_pool_waiting(pool), 0);
    give(&users[1]);
    give(&users[2]);
    pg_pool_free(pool);
}

static void test_an_open_transaction_is_rolled_back_before_the_next(void **state)
{
    struct pg_pool *pool = make(1);
    struct user first;
    struct user second;

    (void)state;
    take(pool, &first);
    take(pool, &second);
    up(0);
    ask(&first, "BEGIN");
    answer(0);
    assert_int_equal(first.results, 1);
    give(&first);
    assert_string_equal(world.conns[0]->sql, "ROLLBACK");
    assert_int_equal(second.ready, 0);
    answer(0);
    assert_int_equal(second.ready, 1);
    give(&second);
    pg_pool_free(pool);
}

static void test_a_statement_under_way_is_read_to_its_end(void **state)
{
    struct pg_pool *pool = make(1);
    struct user first;
    struct user second;

    (void)state;
    take(pool, &first);
    take(pool, &second);
    up(0);
    ask(&first, "SELECT 1");
    pg_lease_pause(first.lease, true);
    give(&first);
    assert_false(world.conns[0]->paused);
    world.conns[0]->config.events->on_row(world.conns[0]->config.ctx, NULL);
    answer(0);
    assert_string_equal(world.conns[0]->sql, "ROLLBACK");
    answer(0);
    assert_int_equal(second.ready, 1);
    assert_int_equal(second.rows + second.results, 0);
    give(&second);
    pg_pool_free(pool);
}

static void test_a_lost_connection_is_told_and_comes_back(void **state)
{
    struct pg_pool *pool = make(1);
    struct user first;
    struct user second;

    (void)state;
    take(pool, &first);
    assert_null(pg_pool_trouble(pool));
    down(0);
    assert_string_equal(pg_pool_trouble(pool), "gone away");
    assert_int_equal(first.lost, 0);
    up(0);
    assert_null(pg_pool_trouble(pool));
    assert_int_equal(first.ready, 1);
    take(pool, &second);
    down(0);
    assert_int_equal(first.lost, 1);
    assert_false(pg_lease_query(first.lease, &(struct pgconn_query){ .sql = "SELECT 1" }));
    give(&first);
    assert_int_equal(second.ready, 0);
    up(0);
    assert_int_equal(second.ready, 1);
    give(&second);
    pg_pool_free(pool);
}

static void test_one_that_leaves_the_queue_is_passed_over(void **state)
{
    struct pg_pool *pool = make(1);
    struct user users[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        take(pool, &users[i]);
    }
    give(&users[2]);
    give(&users[0]);
    up(0);
    assert_int_equal(users[1].ready, 1);
    give(&users[1]);
    pg_pool_free(pool);
}

static void test_idle_connections_are_closed(void **state)
{
    struct pg_pool *pool = make(2);
    struct user first;
    struct user second;

    (void)state;
    take(pool, &first);
    take(pool, &second);
    up(0);
    up(1);
    give(&second);
    world.now = 59 * RT_SEC;
    world.tick(pool);
    assert_non_null(world.conns[1]);
    world.now = 61 * RT_SEC;
    world.tick(pool);
    assert_null(world.conns[1]);
    assert_non_null(world.conns[0]);
    give(&first);
    pg_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_are_made_for_those_who_wait),
        cmocka_unit_test(test_an_open_transaction_is_rolled_back_before_the_next),
        cmocka_unit_test(test_a_statement_under_way_is_read_to_its_end),
        cmocka_unit_test(test_a_lost_connection_is_told_and_comes_back),
        cmocka_unit_test(test_one_that_leaves_the_queue_is_passed_over),
        cmocka_unit_test(test_idle_connections_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
