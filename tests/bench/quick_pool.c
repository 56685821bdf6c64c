/* tests/bench/quick_pool.c - see quick_pool.h. */
#include "tests/bench/quick_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pool.h"
#include "runtime/loop.h"

enum { LEASES = 8 };

struct pg_lease {
    const struct pg_lease_events *events;
    void *ctx;
    bool ready;
    struct rt_buf answer; /* empty: nothing was asked */
};

struct rt_timer {
    int unused;
};

struct rt_defer {
    rt_defer_fn fn;
    void *ctx;
    bool scheduled;
};

static struct quick_pool {
    quick_constants_fn *constants;
    void *ctx;
    struct pg_lease *leases[LEASES];
    struct rt_defer defer;
} world;

struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx)
{
    (void)loop;
    (void)fn;
    (void)ctx;
    return rt_alloc(sizeof(struct rt_timer));
}

void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period)
{
    (void)timer;
    (void)after;
    (void)period;
}

void rt_timer_stop(struct rt_timer *timer)
{
    (void)timer;
}

void rt_timer_free(struct rt_timer *timer)
{
    free(timer);
}

struct rt_defer *rt_defer_new(struct rt_loop *loop, rt_defer_fn fn, void *ctx)
{
    (void)loop;
    world.defer = (struct rt_defer){ fn, ctx, false };
    return &world.defer;
}

void rt_defer_schedule(struct rt_defer *defer)
{
    defer->scheduled = true;
}

void rt_defer_free(struct rt_defer *defer)
{
    defer->scheduled = false;
}

const char *pg_pool_trouble(const struct pg_pool *pool)
{
    (void)pool;
    return NULL;
}

struct pg_lease *pg_lease_new(struct pg_pool *pool, const struct pg_lease_events *events, void *ctx)
{
    struct pg_lease *lease = rt_alloc(sizeof(*lease));
    size_t at = 0;

    (void)pool;
    *lease = (struct pg_lease){ .events = events, .ctx = ctx };
    while (world.leases[at] != NULL) {
        at++;
    }
    world.leases[at] = lease;
    return lease;
}

void pg_lease_free(struct pg_lease *lease)
{
    for (size_t i = 0; i < LEASES && lease != NULL; i++) {
        world.leases[i] = world.leases[i] == lease ? NULL : world.leases[i];
    }
    if (lease != NULL) {
        rt_buf_fini(&lease->answer);
    }
    free(lease);
}

/* Each fold names its claims once; of the elements, those of the inner arrays are quoted again. */
bool pg_lease_query(struct pg_lease *lease, const struct pgconn_query *query)
{
    static const char begins[] = "{\"sub\"";
    struct rt_buf inner = { .data = NULL };

    rt_buf_clear(&lease->answer);
    rt_buf_puts(&lease->answer, "{5:5:");
    for (const char *at = strstr(query->sql, begins); at != NULL; at = strstr(at + 1, begins)) {
        rt_buf_clear(&inner);
        rt_buf_puts(&inner, "{v");
        world.constants(world.ctx, at, &inner);
        rt_buf_puts(&inner, "}");
        rt_buf_puts(&lease->answer, ",\"");
        for (size_t i = 0; i < inner.len; i++) {
            if (inner.data[i] == '"' || inner.data[i] == '\\') {
                rt_buf_putc(&lease->answer, '\\');
            }
            rt_buf_putc(&lease->answer, (char)inner.data[i]);
        }
        rt_buf_puts(&lease->answer, "\"");
    }
    rt_buf_putc(&lease->answer, '}');
    rt_buf_fini(&inner);
    return true;
}

static void answer(struct pg_lease *lease)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char name[] = "c";
    PGresAttDesc column = { .name = name };
    int len = (int)lease->answer.len;

    (void)rt_buf_cstr(&lease->answer);
    if (PQsetResultAttrs(result, 1, &column) != 1 ||
        PQsetvalue(result, 0, 0, (char *)lease->answer.data, len) != 1) {
        abort();
    }
    rt_buf_clear(&lease->answer);
    lease->events->on_result(lease->ctx, result);
    PQclear(result);
}

void quick_pool_init(quick_constants_fn *constants, void *ctx)
{
    memset(&world, 0, sizeof(world));
    world.constants = constants;
    world.ctx = ctx;
}

void quick_pool_run(void)
{
    for (bool busy = true; busy;) {
        busy = world.defer.scheduled;
        if (busy) {
            world.defer.scheduled = false;
            world.defer.fn(world.defer.ctx);
        }
        for (size_t i = 0; i < LEASES; i++) {
            struct pg_lease *lease = world.leases[i];
            if (lease != NULL && !lease->ready) {
                lease->ready = true;
                lease->events->on_ready(lease->ctx);
                busy = true;
            } else if (lease != NULL && lease->answer.len > 0) {
                answer(lease);
                busy = true;
            }
        }
    }
}
