/* tests/bench/bench_views_shard.c - the shard of bench_views: its identities, subscriptions, and what its route asks for. */
#include "tests/bench/bench_views.h"

/* --- what the route asks for ------------------------------------------------------------------------- */

static void *on_watch(void *ctx, struct audience *audience, const char *schema, const char *table,
                      const char *role)
{
    struct bench *bench = ctx;

    (void)schema;
    (void)table;
    (void)role;
    bench->audience = audience;
    return bench;
}

static void on_unwatch(void *ctx, void *watch)
{
    (void)ctx;
    (void)watch;
}

static void on_send(void *ctx, void *user, struct wire_span frame)
{
    struct bench *bench = ctx;

    (void)user;
    bench->bytes_out += frame.len;
}

static void on_wake(void *ctx)
{
    (void)ctx; /* no snapshot waits */
}

static void on_describe(void *ctx, uint32_t oid)
{
    (void)ctx;
    (void)oid;
}

static void *on_view_watch(void *ctx, struct viewer *viewer, const struct view_want *want)
{
    struct bench *bench = ctx;

    return views_watch(bench->views, want, viewer);
}

static void on_view_unwatch(void *ctx, void *watch)
{
    (void)ctx;
    views_unwatch(watch);
}

static void on_view_refresh(void *ctx, void *watch, uint32_t xid)
{
    (void)ctx;
    (void)watch;
    (void)xid; /* no transaction touches the other table */
}

static void on_interest(void *ctx, uint32_t oid, int by)
{
    (void)ctx;
    (void)oid;
    (void)by;
}

static void on_ask_forget(void *ctx, const struct view *view, uint64_t lsn, uint32_t index)
{
    (void)ctx;
    (void)view;
    (void)lsn;
    (void)index;
}

static void on_view(void *ctx, void *user, struct view *view, int code, const char *message)
{
    (void)ctx;
    if (view == NULL) {
        (void)fprintf(stderr, "refused: %s\n", message);
        abort();
    }
    route_view(user, view, code, message);
}

static bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    (void)ctx;
    (void)relation;
    (void)xid;
    (void)lsn;
    return false;
}

static void on_epoch(void *ctx, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
}

static void on_malformed(void *ctx, const char *why)
{
    (void)ctx;
    (void)fprintf(stderr, "malformed: %s\n", why);
    abort();
}

/* --- identities ---------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

uint32_t views_pick(struct bench *bench, uint32_t below)
{
    bench->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((mix(bench->random) >> 32) * below >> 32);
}

/* The number is in it, for on_constants(). */
void views_uuid_of(uint32_t number, char out[UUID + 1])
{
    uint64_t a = mix((uint64_t)number + 1);

    (void)snprintf(out, UUID + 1, "%08x-%04x-%04x-%04x-%04x%08x", number,
                   (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff),
                   (unsigned)(a >> 32 & 0xffff), (unsigned)(a >> 48), (unsigned)mix(a));
}

static void on_constants(void *ctx, const char *claims, struct rt_buf *out)
{
    const struct bench *bench = ctx;
    const char *uuid = strchr(claims, ':') + 2;
    uint32_t number = (uint32_t)strtoul(uuid, NULL, 16);

    if (bench->kase->policy == BY_OWNER) {
        rt_buf_printf(out, ",v%.*s", UUID, uuid);
    } else {
        rt_buf_printf(out, ",\"v{%" PRIu32 ",%" PRIu32 "}\"", number / bench->kase->team,
                      OWN_TEAM + number);
    }
}

struct wire_span views_text(const char *literal)
{
    return (struct wire_span){ literal, strlen(literal) };
}

/* --- the shard ----------------------------------------------------------------------------------------- */

static struct access *make_access(const char *tree)
{
    static const char *const names[COLUMNS] = { "id",   "owner", "title", "level", "price",
                                                "mood", "tags",  "flag",  "until", "doc" };
    static const uint32_t types[COLUMNS] = { 23, 2950, 25, 23, 1700, 25, 25, 16, 1184, 25 };
    const char *const table[POLICY_LOADER_COLUMNS] = { "1", "T", "16400", "1", "0", "0", "0", "" };
    const char *const policy[POLICY_LOADER_COLUMNS] = { "1", "P", "p", "1", "1", tree, "", "" };
    struct access *access = access_new();

    if (tree != NULL) {
        struct policy_load *load = policy_load_new(1);
        policy_load_row(load, table);
        policy_load_row(load, policy);
        for (size_t i = 0; kit_fact(i) != NULL; i++) {
            policy_load_fact(load, kit_fact(i));
        }
        if (policy_load_take(load, 0, 1, &access->rules) != POLICY_LOAD_RULES ||
            access->rules->program->leaf_count > 0) {
            abort();
        }
        policy_load_free(load);
    }
    access->oid = OID;
    access->all = true;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        access_add_attribute(access, names[i], i + 1, types[i]);
    }
    access_seal(access);
    return access;
}

void views_start(struct bench *bench, const struct kase *kase, uint32_t subs)
{
    static const struct route_events route_events = { .watch = on_watch,
                                                      .unwatch = on_unwatch,
                                                      .send = on_send,
                                                      .wake = on_wake,
                                                      .describe = on_describe,
                                                      .view_watch = on_view_watch,
                                                      .view_unwatch = on_view_unwatch,
                                                      .view_refresh = on_view_refresh,
                                                      .interest = on_interest,
                                                      .ask_forget = on_ask_forget };
    static const struct upstream_events events = {
        .need = NULL, .fence = on_fence, .new_epoch = on_epoch, .malformed = on_malformed
    };
    static const struct views_events views_events = { .on_view = on_view };
    static const char *const settings[] = { "request.jwt.claims", NULL };
    static const char *const trees[] = { [BY_OWNER] = tree_owner, [BY_TEAM] = tree_member };

    *bench = (struct bench){ .kase = kase, .subs = subs, .lsn = 1000 };
    quick_pool_init(on_constants, bench);
    bench->metrics = rt_metrics_new();
    bench->log = rt_log_new("bench", RT_LOG_ERROR, RT_LOG_KV);
    stats_init(&bench->stats, bench->metrics);
    bench->relations = relations_new();
    bench->window = window_new((size_t)64 << 20, 120 * RT_SEC);
    bench->access = make_access(trees[kase->policy]);
    bench->views = views_new(&(struct views_config){ .log = bench->log,
                                                     .metrics = bench->metrics,
                                                     .settings = settings,
                                                     .deadline = RT_SEC,
                                                     .events = &views_events,
                                                     .ctx = bench });
    bench->route = route_new(&(struct route_config){ .shards = 1,
                                                     .relations = bench->relations,
                                                     .window = bench->window,
                                                     .stats = &bench->stats,
                                                     .limits = { 1000, 1000 },
                                                     .events = &route_events,
                                                     .ctx = bench });
    bench->up = upstream_new(&(struct upstream_config){ .route = bench->route,
                                                        .window = bench->window,
                                                        .relations = bench->relations,
                                                        .stats = &bench->stats,
                                                        .events = &events,
                                                        .ctx = bench });
    for (int i = 0; i < EDGES; i++) {
        bench->edges[i] = route_edge_new(bench->route, NULL);
    }
    route_progress(bench->route, &(struct wire_progress){ .epoch = 1, .lsn = 10 }, 1);
}

void views_stop(struct bench *bench)
{
    upstream_free(bench->up);
    route_free(bench->route);
    views_free(bench->views);
    window_free(bench->window);
    relations_free(bench->relations);
    rt_metrics_free(bench->metrics);
    rt_log_free(bench->log);
    access_unref(bench->access);
}

/* Of this thread: what else runs on the machine counts less than by the clock. */
double views_cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void send_edge(const struct bench *bench, uint32_t number, struct wire_writer *out)
{
    const char *why = route_edge_message(bench->edges[number % EDGES],
                                         (struct wire_span){ (const char *)out->data, out->len });

    if (why != NULL) {
        (void)fprintf(stderr, "%s\n", why);
        abort();
    }
    wire_writer_clear(out);
}

static void identify(const struct bench *bench, uint32_t number, struct wire_writer *out)
{
    char uuid[UUID + 1];
    char claims[128];

    views_uuid_of(number, uuid);
    (void)snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"role\":\"authenticated\"}", uuid);
    wire_encode_identify(out, &(struct wire_identify){ .identity = number + 1,
                                                       .role = views_text("authenticated"),
                                                       .claims = views_text(claims) });
    send_edge(bench, number, out);
}

static void subscribe(struct bench *bench, uint32_t number, struct wire_writer *out)
{
    wire_encode_subscribe(out, &(struct wire_subscribe){ .sub = number + 1,
                                                         .identity = number + 1,
                                                         .channel = views_text("table:public.t"),
                                                         .filter = views_text("") });
    send_edge(bench, number, out);
    if (number == 0) {
        route_access(bench->audience, bench->access);
    }
    if (number % 64 == 63) {
        quick_pool_run();
        route_flush(bench->route);
    }
}

void views_populate(struct bench *bench)
{
    struct wire_writer out = { 0 };
    size_t before = heap();
    double began = views_cpu_ns();

    for (uint32_t i = 0; i < bench->subs; i++) {
        identify(bench, i, &out);
    }
    size_t identified = heap();
    double identities_took = views_cpu_ns() - began;
    began = views_cpu_ns();
    for (uint32_t i = 0; i < bench->subs; i++) {
        subscribe(bench, i, &out);
    }
    quick_pool_run();
    route_flush(bench->route);
    double took = views_cpu_ns() - began;
    if (bench->stats.groups->value != (bench->kase->policy == NONE ? 1 : bench->subs)) {
        (void)fprintf(stderr, "%.0f groups\n", bench->stats.groups->value);
        abort();
    }
    (void)printf("  identity %.0f ns, %.0f bytes; subscription with its view %.0f ns, %.0f bytes\n",
                 identities_took / bench->subs, (double)(identified - before) / bench->subs,
                 took / bench->subs, (double)(heap() - identified) / bench->subs);
    wire_writer_fini(&out);
}

void views_depopulate(struct bench *bench)
{
    struct wire_writer out = { 0 };
    double began = views_cpu_ns();

    for (uint32_t i = 0; i < bench->subs; i++) {
        uint32_t number = (uint32_t)((uint64_t)i * 7919 % bench->subs);
        wire_encode_unsubscribe(&out, &(struct wire_unsubscribe){ .sub = number + 1 });
        send_edge(bench, number, &out);
    }
    (void)printf("  unsubscribe %.0f ns\n", (views_cpu_ns() - began) / bench->subs);
    wire_writer_fini(&out);
}
