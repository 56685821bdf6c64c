/* tests/unit/broker/view/views_fakes.c - see views_fakes.h. */
#include "tests/unit/broker/view/views_fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/view/views_impl.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "tests/unit/broker/policy/kit_facts.h"

enum { LEASES = 8 };

/* --- a loop, a pool and libpq's errors by hand ----------------------------------------------------------- */

struct pg_lease {
    const struct pg_lease_events *events;
    void *ctx;
    bool ready;
    int folds; /* in the statement under way; 0: none */
};

struct rt_timer {
    rt_timer_fn fn;
    void *ctx;
    rt_usec after; /* -1: rests */
    rt_usec period;
};

struct rt_defer {
    rt_defer_fn fn;
    void *ctx;
    bool scheduled;
};

static struct world {
    struct pg_lease *leases[LEASES];
    struct rt_timer *tick;
    struct rt_timer *retry;
    struct rt_defer defer;
    struct rt_metrics *metrics;
    struct rt_log *log;
    struct views *views;
    struct access *access;
    struct seen seen[WATCHES];
    const char *state; /* of the next error */
    const char *trouble;
} world;

char *PQresultErrorField(const PGresult *result, int field)
{
    union {
        const char *from;
        char *to;
    } cast = { field == PG_DIAG_SQLSTATE ? world.state : "it failed" };

    (void)result;
    return cast.to;
}

struct rt_timer *rt_timer_new(struct rt_loop *loop, rt_timer_fn fn, void *ctx)
{
    struct rt_timer *timer = rt_alloc(sizeof(*timer));

    (void)loop;
    *timer = (struct rt_timer){ fn, ctx, -1, 0 };
    if (world.tick == NULL) {
        world.tick = timer;
    } else {
        world.retry = timer;
    }
    return timer;
}

void rt_timer_set(struct rt_timer *timer, rt_usec after, rt_usec period)
{
    timer->after = after;
    timer->period = period;
}

void rt_timer_stop(struct rt_timer *timer)
{
    timer->after = -1;
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
    return world.trouble;
}

struct pg_lease *pg_lease_new(struct pg_pool *pool, const struct pg_lease_events *events, void *ctx)
{
    struct pg_lease *lease = rt_alloc(sizeof(*lease));
    size_t at = 0;

    (void)pool;
    *lease = (struct pg_lease){ events, ctx, false, 0 };
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
    free(lease);
}

bool pg_lease_query(struct pg_lease *lease, const struct pgconn_query *query)
{
    assert_true(query->text);
    for (const char *at = strstr(query->sql, "pgtide_r := '{}'"); at != NULL;
         at = strstr(at + 1, "pgtide_r := '{}'")) {
        lease->folds++;
    }
    return true;
}

/* Runs what is due now; connections are there at once. */
void fakes_turn(void)
{
    for (int i = 0; i < 20; i++) {
        if (world.defer.scheduled) {
            world.defer.scheduled = false;
            world.defer.fn(world.defer.ctx);
        }
        for (size_t j = 0; j < LEASES; j++) {
            if (world.leases[j] != NULL && !world.leases[j]->ready) {
                world.leases[j]->ready = true;
                world.leases[j]->events->on_ready(world.leases[j]->ctx);
            }
        }
    }
}

void fakes_retry(void)
{
    assert_true(world.retry->after >= 0);
    world.retry->after = -1;
    world.retry->fn(world.retry->ctx);
    fakes_turn();
}

/* Every deadline is over: they are of no length. */
void fakes_tick(void)
{
    world.tick->fn(world.tick->ctx);
    fakes_turn();
}

/* The first lease with a statement under way. */
static struct pg_lease *asked(int folds)
{
    struct pg_lease *found = NULL;

    for (size_t i = 0; i < LEASES; i++) {
        if (world.leases[i] != NULL && world.leases[i]->folds > 0) {
            found = found == NULL ? world.leases[i] : found;
        }
    }
    if (folds == 0) {
        assert_null(found);
        return NULL;
    }
    assert_non_null(found);
    assert_int_equal(found->folds, folds);
    return found;
}

void fakes_answer(int folds, const char *snapshot, const char *uid)
{
    char each[128];

    (void)snprintf(each, sizeof(each), "v,v%s", uid);
    fakes_answer_texts(folds, snapshot, each);
}

/* Every fold of the statement answers the same. */
void fakes_answer_texts(int folds, const char *snapshot, const char *each)
{
    struct pg_lease *lease = asked(folds);
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char name[] = "c";
    PGresAttDesc column = { .name = name };
    struct rt_buf text = { .data = NULL };

    rt_buf_printf(&text, "{\"%s\"", snapshot);
    for (int i = 0; i < folds; i++) {
        rt_buf_printf(&text, ",\"{%s}\"", each);
    }
    rt_buf_putc(&text, '}');
    (void)rt_buf_cstr(&text);
    assert_int_equal(PQsetResultAttrs(result, 1, &column), 1);
    assert_int_equal(PQsetvalue(result, 0, 0, (char *)text.data, (int)text.len), 1);
    lease->folds = 0;
    lease->events->on_result(lease->ctx, result);
    PQclear(result);
    rt_buf_fini(&text);
    fakes_turn();
}

void fakes_fail(int folds, const char *state)
{
    struct pg_lease *lease = asked(folds);
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);

    world.state = state;
    lease->folds = 0;
    lease->events->on_result(lease->ctx, result);
    PQclear(result);
    fakes_turn();
}

void fakes_lose(int folds)
{
    struct pg_lease *lease = asked(folds);

    lease->folds = 0;
    lease->events->on_lost(lease->ctx, "it is gone");
    fakes_turn();
}

/* --- watches --------------------------------------------------------------------------------------------- */

static void on_view(void *ctx, void *user, struct view *view, int code, const char *message)
{
    struct seen *seen = user;

    (void)ctx;
    view_unref(seen->view);
    seen->view = view == NULL ? NULL : view_ref(view);
    seen->answers++;
    seen->code = code;
    (void)snprintf(seen->message, sizeof(seen->message), "%s", message == NULL ? "" : message);
    if (seen->unwatch) {
        views_unwatch(seen->watch);
        seen->watch = NULL;
    }
}

static void on_doubt(void *ctx, void *user, uint32_t xid, uint64_t lsn)
{
    struct seen *seen = user;

    (void)ctx;
    (void)lsn;
    seen->doubts++;
    views_refresh(seen->watch, xid);
}

struct access *fakes_access(uint64_t serial)
{
    const char *const table[POLICY_LOADER_COLUMNS] = { "1", "T", "16400", "1", "0", "0", "0", "" };
    const char *const policy[POLICY_LOADER_COLUMNS] = {
        "1", "P", "mine", "1", "1", tree_owner, "(owner = auth.uid())", ""
    };
    struct policy_load *load = policy_load_new(1);
    struct access *access = access_new();

    policy_load_row(load, table);
    policy_load_row(load, policy);
    for (size_t i = 0; kit_fact(i) != NULL; i++) {
        policy_load_fact(load, kit_fact(i));
    }
    assert_int_equal(policy_load_take(load, 0, serial, &access->rules), POLICY_LOAD_RULES);
    policy_load_free(load);
    access->oid = 16400;
    access->all = true;
    access_add_attribute(access, "id", 1, 23);
    access_add_attribute(access, "owner", 2, 2950);
    return access;
}

struct access *fakes_member_access(uint64_t serial)
{
    const char *const table[POLICY_LOADER_COLUMNS] = { "1", "T", "16400", "1", "0", "0", "0", "" };
    const char *const nested[POLICY_LOADER_COLUMNS] = { "1", "T", "16402", "0", "0", "0", "0", "" };
    const char *const policy[POLICY_LOADER_COLUMNS] = { "1", "P",         "teams",        "1",
                                                        "1", tree_member, "(EXISTS ...)", "" };
    struct policy_load *load = policy_load_new(1);
    struct access *access = access_new();
    uint32_t question = 1;
    const char *schema = NULL;
    const char *name = NULL;

    policy_load_row(load, table);
    policy_load_row(load, policy);
    for (size_t i = 0; kit_fact(i) != NULL; i++) {
        policy_load_fact(load, kit_fact(i));
    }
    assert_int_equal(policy_load_nest(load), 1);
    policy_load_nested(load, 0, &question, &schema, &name);
    assert_int_equal(question, 0);
    assert_string_equal(name, "memb");
    policy_load_nested_row(load, nested);
    assert_int_equal(policy_load_take(load, 0, serial, &access->rules), POLICY_LOAD_RULES);
    assert_non_null(access->rules->kept);
    policy_load_free(load);
    access->oid = 16400;
    access->all = true;
    access_add_attribute(access, "team", 4, 23);
    return access;
}

void fakes_use(struct access *access)
{
    access_unref(world.access);
    world.access = access;
}

int fakes_setup(void **state)
{
    static const struct views_events events = { .on_view = on_view, .on_doubt = on_doubt };
    static const char *const settings[] = { "request.jwt.claims", "app.sub=sub", NULL };

    (void)state;
    memset(&world, 0, sizeof(world));
    world.metrics = rt_metrics_new();
    world.log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    world.access = fakes_access(1);
    world.views = views_new(&(struct views_config){ .log = world.log,
                                                    .metrics = world.metrics,
                                                    .settings = settings,
                                                    .deadline = 0,
                                                    .keeps = true,
                                                    .events = &events });
    return 0;
}

int fakes_teardown(void **state)
{
    (void)state;
    views_free(world.views);
    for (size_t i = 0; i < LEASES; i++) {
        assert_null(world.leases[i]);
    }
    for (size_t i = 0; i < WATCHES; i++) {
        view_unref(world.seen[i].view); /* outlives the views */
    }
    access_unref(world.access);
    rt_metrics_free(world.metrics);
    rt_log_free(world.log);
    return 0;
}

struct seen *fakes_watch(size_t number, const char *claims)
{
    struct seen *seen = &world.seen[number];
    struct view_want want = { .schema = "public",
                              .table = "t",
                              .role = "authenticated",
                              .claims = { claims, strlen(claims) },
                              .filter = { "", 0 },
                              .access = world.access };

    seen->watch = views_watch(world.views, &want, seen);
    return seen;
}

void fakes_asked(int folds)
{
    (void)asked(folds);
}

struct views *fakes_views(void)
{
    return world.views;
}

struct seen *fakes_seen(size_t number)
{
    return &world.seen[number];
}

void fakes_patience(rt_usec patience)
{
    world.views->config.patience = patience;
}

void fakes_trouble(const char *why)
{
    world.trouble = why;
}
