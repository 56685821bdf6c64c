/* pg/pool.c - see pool.h.
 *
 * A slot holds a connection; a lease waits in a list, or holds a slot. `hand_out` runs at the end of a turn of the
 * loop, so that on_ready never comes from inside a call. */
#include "pg/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/buf.h"
#include "runtime/loop.h"

#define TICK        (10 * RT_SEC)
#define IDLE_FOR    (60 * RT_SEC)
#define TROUBLE_MAX 512

struct slot {
    struct pg_pool *pool;
    struct pgconn *conn; /* NULL: the slot is free to be filled */
    struct pg_lease *lease;
    bool up;
    uint64_t session; /* while up */
    bool cleaning;    /* a statement of an earlier lease, or its ROLLBACK, is under way */
    rt_usec idle_since;
};

struct pg_lease {
    struct pg_pool *pool;
    const struct pg_lease_events *events;
    void *ctx;
    struct slot *slot; /* NULL: waiting, or lost */
    bool waiting;
    struct pg_lease *next;
    struct pg_lease **link;
};

struct pg_pool {
    struct pg_pool_config config;
    char *conninfo;
    char *application_name;
    struct slot *slots;
    struct pg_lease *first;
    struct pg_lease **last;
    size_t waiting;
    uint64_t sessions; /* so far */
    char trouble[TROUBLE_MAX];
    struct rt_defer *hand_out;
    struct rt_timer *tick;
};

static void unlink_lease(struct pg_lease *lease)
{
    struct pg_pool *pool = lease->pool;

    *lease->link = lease->next;
    if (lease->next != NULL) {
        lease->next->link = lease->link;
    } else {
        pool->last = lease->link;
    }
    lease->waiting = false;
    pool->waiting--;
}

/* Without a lease: makes the connection usable by the next one. */
static void clean(struct slot *slot)
{
    slot->idle_since = rt_now();
    slot->cleaning = true;
    if (!pgconn_ready(slot->conn)) {
        pgconn_pause(slot->conn, false); /* its end comes by itself */
    } else if (!pgconn_in_transaction(slot->conn)) {
        slot->cleaning = false;
        rt_defer_schedule(slot->pool->hand_out);
    } else {
        (void)pgconn_send(slot->conn, "ROLLBACK", 0, NULL);
    }
}

static void on_up(void *ctx)
{
    struct slot *slot = ctx;

    slot->up = true;
    slot->session = ++slot->pool->sessions;
    slot->pool->trouble[0] = '\0';
    rt_defer_schedule(slot->pool->hand_out);
}

static bool any_up(const struct pg_pool *pool)
{
    for (unsigned i = 0; i < pool->config.connections; i++) {
        if (pool->slots[i].up) {
            return true;
        }
    }
    return false;
}

static void on_down(void *ctx, const char *reason)
{
    struct slot *slot = ctx;
    struct pg_lease *lease = slot->lease;

    slot->up = false;
    slot->cleaning = false;
    slot->lease = NULL;
    slot->idle_since = rt_now();
    if (!any_up(slot->pool)) {
        (void)snprintf(slot->pool->trouble, sizeof(slot->pool->trouble), "%s", reason);
    }
    if (lease != NULL) {
        lease->slot = NULL;
        lease->events->on_lost(lease->ctx, reason);
    }
}

static void on_result(void *ctx, const PGresult *result)
{
    struct slot *slot = ctx;

    if (slot->lease != NULL) {
        slot->lease->events->on_result(slot->lease->ctx, result);
    } else {
        clean(slot);
    }
}

static void on_row(void *ctx, const PGresult *row)
{
    struct slot *slot = ctx;

    if (slot->lease != NULL) {
        slot->lease->events->on_row(slot->lease->ctx, row);
    }
}

static void fill(struct slot *slot)
{
    static const struct pgconn_events events = {
        .on_up = on_up, .on_down = on_down, .on_result = on_result, .on_row = on_row
    };
    const struct pg_pool_config *config = &slot->pool->config;
    struct pgconn_config conn = {
        .loop = config->loop,
        .conninfo = slot->pool->conninfo,
        .application_name = slot->pool->application_name,
        .timeout = config->timeout,
        .statement_timeout = config->statement_timeout,
        .retry_max = config->retry_max,
        .events = &events,
        .ctx = slot,
    };

    slot->idle_since = rt_now();
    slot->conn = pgconn_new(&conn);
}

static bool usable(const struct slot *slot)
{
    return slot->up && slot->lease == NULL && !slot->cleaning;
}

/* How many of those that wait will be served by a connection that is being made. */
static size_t coming(const struct pg_pool *pool)
{
    size_t count = 0;

    for (unsigned i = 0; i < pool->config.connections; i++) {
        count += pool->slots[i].conn != NULL && !pool->slots[i].up;
    }
    return count;
}

static void on_hand_out(void *ctx)
{
    struct pg_pool *pool = ctx;

    for (unsigned i = 0; i < pool->config.connections && pool->first != NULL; i++) {
        struct slot *slot = &pool->slots[i];
        if (usable(slot)) {
            struct pg_lease *lease = pool->first;
            unlink_lease(lease);
            lease->slot = slot;
            slot->lease = lease;
            lease->events->on_ready(lease->ctx);
        }
    }
    for (unsigned i = 0; i < pool->config.connections && pool->waiting > coming(pool); i++) {
        if (pool->slots[i].conn == NULL) {
            fill(&pool->slots[i]);
        }
    }
}

static void on_tick(void *ctx)
{
    struct pg_pool *pool = ctx;
    rt_usec now = rt_now();

    for (unsigned i = 0; i < pool->config.connections; i++) {
        struct slot *slot = &pool->slots[i];
        bool needed = slot->lease != NULL || slot->cleaning || pool->waiting > 0;
        if (slot->conn != NULL && !needed && now - slot->idle_since >= IDLE_FOR) {
            pgconn_free(slot->conn);
            slot->conn = NULL;
            slot->up = false;
        }
    }
}

struct pg_pool *pg_pool_new(const struct pg_pool_config *config)
{
    struct pg_pool *pool = rt_alloc(sizeof(*pool));

    pool->config = *config;
    pool->conninfo = rt_strdup(config->conninfo);
    pool->application_name = rt_strdup(config->application_name);
    pool->slots = rt_alloc(config->connections * sizeof(*pool->slots));
    for (unsigned i = 0; i < config->connections; i++) {
        pool->slots[i].pool = pool;
    }
    pool->last = &pool->first;
    pool->hand_out = rt_defer_new(config->loop, on_hand_out, pool);
    pool->tick = rt_timer_new(config->loop, on_tick, pool);
    rt_timer_set(pool->tick, TICK, TICK);
    return pool;
}

void pg_pool_free(struct pg_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (unsigned i = 0; i < pool->config.connections; i++) {
        pgconn_free(pool->slots[i].conn);
    }
    rt_defer_free(pool->hand_out);
    rt_timer_free(pool->tick);
    free(pool->slots);
    free(pool->conninfo);
    free(pool->application_name);
    free(pool);
}

size_t pg_pool_waiting(const struct pg_pool *pool)
{
    return pool->waiting;
}

const char *pg_pool_trouble(const struct pg_pool *pool)
{
    return pool->trouble[0] == '\0' ? NULL : pool->trouble;
}

struct pg_lease *pg_lease_new(struct pg_pool *pool, const struct pg_lease_events *events, void *ctx)
{
    struct pg_lease *lease = rt_alloc(sizeof(*lease));

    lease->pool = pool;
    lease->events = events;
    lease->ctx = ctx;
    lease->waiting = true;
    lease->link = pool->last;
    *pool->last = lease;
    pool->last = &lease->next;
    pool->waiting++;
    rt_defer_schedule(pool->hand_out);
    return lease;
}

void pg_lease_free(struct pg_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    if (lease->waiting) {
        unlink_lease(lease);
    } else if (lease->slot != NULL) {
        lease->slot->lease = NULL;
        clean(lease->slot);
    }
    free(lease);
}

bool pg_lease_query(struct pg_lease *lease, const struct pgconn_query *query)
{
    return lease->slot != NULL && pgconn_query(lease->slot->conn, query);
}

void pg_lease_pause(struct pg_lease *lease, bool paused)
{
    if (lease->slot != NULL) {
        pgconn_pause(lease->slot->conn, paused);
    }
}

uint64_t pg_lease_session(const struct pg_lease *lease)
{
    return lease->slot != NULL && lease->slot->up ? lease->slot->session : 0;
}
