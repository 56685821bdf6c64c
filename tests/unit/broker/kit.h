/* tests/unit/broker/kit.h - a route with a fake authority and fake edges: records in, records out as text.
 *
 * What an edge is sent becomes one line per record, in `kit.sent[edge]`:
 *   begin 100 | begin 100 again | group 1 public.t id,a | deliver 1:I new=1,a old=- | accept 7 group 1 100/end
 */
#ifndef PGTIDE_TESTS_BROKER_KIT_H
#define PGTIDE_TESTS_BROKER_KIT_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/relations.h"
#include "broker/route/route.h"
#include "broker/stats.h"
#include "broker/window.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"
#include "tests/unit/broker/kit_print.h"
#include "tests/unit/broker/kit_views.h"

#define KIT_EPOCH 7u

enum { KIT_EDGES = 3, KIT_WATCHES = 16 };

struct kit_watch {
    struct audience *audience;
    char name[256]; /* schema.table/role */
};

struct kit {
    struct rt_metrics *metrics;
    struct stats stats;
    struct relations *relations;
    struct window *window;
    struct route *route;
    struct route_edge *edges[KIT_EDGES];
    struct rt_buf sent[KIT_EDGES];
    unsigned frames[KIT_EDGES];
    struct kit_watch watches[KIT_WATCHES];
    int indexes[KIT_EDGES];
    bool full[KIT_EDGES];          /* no room for replays */
    uint32_t described;            /* oid asked for last; 0: none */
    struct route_snapshot *handle; /* of the job, which is the kit itself */
    bool no_jobs;
    struct rt_buf jobs; /* what the job was told, one line each */
    struct kit_views views;
};

static inline void *kit_on_watch(void *ctx, struct audience *audience, const char *schema,
                                 const char *table, const char *role)
{
    struct kit *kit = ctx;

    for (int i = 0; i < KIT_WATCHES; i++) {
        struct kit_watch *watch = &kit->watches[i];
        if (watch->audience == NULL) {
            watch->audience = audience;
            (void)snprintf(watch->name, sizeof(watch->name), "%s.%s/%s", schema, table, role);
            return watch;
        }
    }
    fail_msg("too many watches");
    return NULL;
}

static inline void kit_on_unwatch(void *ctx, void *handle)
{
    struct kit_watch *watch = handle;

    (void)ctx;
    assert_non_null(watch->audience);
    watch->audience = NULL;
    watch->name[0] = '\0';
}

static inline void kit_on_send(void *ctx, void *user, struct wire_span frame)
{
    struct kit *kit = ctx;
    int edge = *(const int *)user;

    kit->frames[edge]++;
    kit_print(&kit->sent[edge], frame);
}

static inline bool kit_on_room(void *ctx, void *user)
{
    struct kit *kit = ctx;

    return !kit->full[*(const int *)user];
}

static inline void kit_on_wake(void *ctx)
{
    (void)ctx;
}

static inline void kit_on_describe(void *ctx, uint32_t oid)
{
    struct kit *kit = ctx;

    kit->described = oid;
}

static inline void *kit_on_snapshot(void *ctx, struct route_snapshot *handle,
                                    const struct route_snapshot_want *want)
{
    struct kit *kit = ctx;

    if (kit->no_jobs) {
        return NULL;
    }
    kit->handle = handle;
    rt_buf_printf(&kit->jobs, "job %s.%s role %s columns %" PRIu32 " page %" PRIu32 " token %.*s\n",
                  want->schema, want->table, want->role, want->relation->column_count,
                  want->page_rows, (int)want->token.len, want->token.data);
    return kit;
}

static inline void kit_on_more(void *ctx, void *job, uint32_t parts)
{
    struct kit *kit = ctx;

    assert_ptr_equal(job, kit);
    rt_buf_printf(&kit->jobs, "more %" PRIu32 "\n", parts);
}

static inline void kit_on_caught_up(void *ctx, void *job)
{
    struct kit *kit = ctx;

    assert_ptr_equal(job, kit);
    rt_buf_puts(&kit->jobs, "caught up\n");
}

static inline void kit_on_live(void *ctx, void *job)
{
    struct kit *kit = ctx;

    assert_ptr_equal(job, kit);
    kit->handle = NULL;
    rt_buf_puts(&kit->jobs, "live\n");
}

static inline void kit_on_cancel(void *ctx, void *job)
{
    struct kit *kit = ctx;

    assert_ptr_equal(job, kit);
    kit->handle = NULL;
    rt_buf_puts(&kit->jobs, "cancel\n");
}

static inline void *kit_on_view(void *ctx, struct viewer *viewer, const struct view_want *want)
{
    return kit_on_view_watch(&((struct kit *)ctx)->views, viewer, want);
}

static inline void kit_on_view_unwatch(void *ctx, void *handle)
{
    struct kit_viewer *viewer = handle;

    (void)ctx;
    assert_non_null(viewer->viewer);
    viewer->viewer = NULL;
}

static inline void kit_on_view_access(void *ctx, void *watch, struct access *access)
{
    (void)watch;
    (void)access;
    ((struct kit *)ctx)->views.reconsidered++;
}

static inline void kit_on_view_refresh(void *ctx, void *watch, uint32_t xid)
{
    (void)watch;
    ((struct kit *)ctx)->views.refreshed = xid;
}

static inline bool kit_on_view_kept(void *ctx, const void *watch)
{
    (void)watch;
    return ((struct kit *)ctx)->views.kept;
}

static inline void kit_on_interest(void *ctx, uint32_t oid, int by)
{
    (void)oid;
    ((struct kit *)ctx)->views.interest += by;
}

static inline enum ask_state kit_on_ask(void *ctx, struct view *view,
                                        const struct ask_change *change,
                                        struct view_verdict *verdict)
{
    struct kit *kit = ctx;

    (void)view;
    kit->views.asked++;
    if (kit->views.pending_from != 0 && change->lsn >= kit->views.pending_from) {
        return ASK_PENDING;
    }
    verdict->on_new = verdict->on_new == MATCH_ASK ? kit->views.verdict : verdict->on_new;
    verdict->on_old = verdict->on_old == MATCH_ASK ? kit->views.verdict : verdict->on_old;
    return kit->views.answer;
}

static inline void kit_on_ask_forget(void *ctx, const struct view *view, uint64_t lsn,
                                     uint32_t index)
{
    (void)ctx;
    (void)view;
    (void)lsn;
    (void)index;
}

static inline const struct route_events *kit_events(void)
{
    static const struct route_events events = {
        .watch = kit_on_watch,
        .unwatch = kit_on_unwatch,
        .send = kit_on_send,
        .room = kit_on_room,
        .wake = kit_on_wake,
        .describe = kit_on_describe,
        .snapshot = kit_on_snapshot,
        .snapshot_more = kit_on_more,
        .snapshot_caught_up = kit_on_caught_up,
        .snapshot_live = kit_on_live,
        .snapshot_cancel = kit_on_cancel,
        .view_watch = kit_on_view,
        .view_unwatch = kit_on_view_unwatch,
        .view_access = kit_on_view_access,
        .view_refresh = kit_on_view_refresh,
        .view_kept = kit_on_view_kept,
        .interest = kit_on_interest,
        .ask = kit_on_ask,
        .ask_forget = kit_on_ask_forget,
    };

    return &events;
}

static inline struct audience *kit_audience(struct kit *kit, const char *name)
{
    for (int i = 0; i < KIT_WATCHES; i++) {
        if (kit->watches[i].audience != NULL && strcmp(kit->watches[i].name, name) == 0) {
            return kit->watches[i].audience;
        }
    }
    return NULL;
}

static inline void kit_init(struct kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    kit->metrics = rt_metrics_new();
    stats_init(&kit->stats, kit->metrics);
    kit->relations = relations_new();
    kit->window = window_new((size_t)1 << 20, 60 * RT_SEC);
    struct route_config config = { .shard = 0,
                                   .shards = 1,
                                   .relations = kit->relations,
                                   .window = kit->window,
                                   .stats = &kit->stats,
                                   .limits = { .scanned = 100, .ordered = 100 },
                                   .ahead_views = 1,
                                   .events = kit_events(),
                                   .ctx = kit };
    kit->route = route_new(&config);
    for (int i = 0; i < KIT_EDGES; i++) {
        kit->indexes[i] = i;
        kit->edges[i] = route_edge_new(kit->route, &kit->indexes[i]);
    }
}

static inline void kit_fini(struct kit *kit)
{
    route_free(kit->route);
    window_free(kit->window);
    relations_free(kit->relations);
    rt_metrics_free(kit->metrics);
    for (int i = 0; i < KIT_EDGES; i++) {
        rt_buf_fini(&kit->sent[i]);
    }
    rt_buf_fini(&kit->jobs);
    for (int i = 0; i < KIT_WATCHES; i++) {
        assert_null(kit->watches[i].audience); /* every watch is given back */
    }
}

/* What has been sent to an edge since the last look must be exactly this. */
static inline void kit_expect(struct kit *kit, int edge, const char *lines)
{
    route_flush(kit->route);
    assert_string_equal(rt_buf_cstr(&kit->sent[edge]), lines);
    rt_buf_clear(&kit->sent[edge]);
}

/* --- what edges say --- */

static inline const char *kit_message(struct kit *kit, int edge, struct wire_writer *out)
{
    const char *why = route_edge_message(kit->edges[edge],
                                         (struct wire_span){ (const char *)out->data, out->len });

    wire_writer_fini(out);
    return why;
}

static inline void kit_identify(struct kit *kit, int edge, uint64_t id, const char *role)
{
    struct wire_writer out = { 0 };

    wire_encode_identify(&out, &(struct wire_identify){ .identity = id,
                                                        .role = kit_text(role),
                                                        .claims = kit_text("{}") });
    assert_null(kit_message(kit, edge, &out));
}

static inline void kit_subscribe(struct kit *kit, int edge, uint64_t sub, uint64_t identity,
                                 const char *channel)
{
    struct wire_writer out = { 0 };

    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = sub,
                                                          .identity = identity,
                                                          .channel = kit_text(channel),
                                                          .filter = kit_text("") });
    assert_null(kit_message(kit, edge, &out));
}

/* With everything up to (KIT_EPOCH, lsn, index). */
static inline void kit_resume(struct kit *kit, int edge, uint64_t sub, uint64_t identity,
                              const char *channel, uint64_t lsn, uint32_t index)
{
    struct wire_writer out = { 0 };

    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = sub,
                                                          .identity = identity,
                                                          .channel = kit_text(channel),
                                                          .filter = kit_text(""),
                                                          .token = kit_text(""),
                                                          .has_since = true,
                                                          .since = { KIT_EPOCH, lsn, index } });
    assert_null(kit_message(kit, edge, &out));
}

static inline void kit_unsubscribe(struct kit *kit, int edge, uint64_t sub)
{
    struct wire_writer out = { 0 };

    wire_encode_unsubscribe(&out, &(struct wire_unsubscribe){ .sub = sub });
    assert_null(kit_message(kit, edge, &out));
}

/* Space-separated columns; "*": all. A column that starts with + is generated. */
static inline struct access *kit_columns(uint32_t oid, const char *columns)
{
    struct access *access = access_new();
    char copy[256];

    access->oid = oid;
    access->all = columns[0] == '*';
    (void)snprintf(copy, sizeof(copy), "%s", columns);
    char *rest = NULL;
    for (char *name = strtok_r(copy, "* ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        access_add_column(access, name + (name[0] == '+' ? 1 : 0), name[0] == '+');
    }
    access_add_attribute(access, "id", 1, 25);
    access_add_attribute(access, "a", 2, 25);
    access_seal(access);
    return access;
}

static inline void kit_allow(struct kit *kit, const char *who, uint32_t oid, const char *columns)
{
    struct access *access = kit_columns(oid, columns);
    struct audience *audience = kit_audience(kit, who);

    assert_non_null(audience);
    route_access(audience, access);
    access_unref(access);
}

static inline void kit_deny(struct kit *kit, const char *who, int code, const char *message)
{
    struct access *access = access_refuse(code, "%s", message);
    struct audience *audience = kit_audience(kit, who);

    assert_non_null(audience);
    route_access(audience, access);
    access_unref(access);
}

/* A view by its viewer's name; see kit_views.h. */
static inline void kit_show(struct kit *kit, const char *viewer, struct access *access,
                            const char *owner)
{
    struct view *view = kit_view(access, owner);

    route_view(kit_viewer(&kit->views, viewer), view, 0, "");
    view_unref(view);
}

/* Sub `sub` of `edge` sees all rows. */
static inline void kit_watch_all(struct kit *kit, int edge, uint64_t sub)
{
    kit_subscribe(kit, edge, sub, 1, "table:public.t");
}

#include "tests/unit/broker/kit_tailer.h"

#endif
