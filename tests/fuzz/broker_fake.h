/* tests/fuzz/broker_fake.h - a route whose authority answers at once, for the broker's fuzz targets.
 *
 * Every frame for an edge is decoded again: a broker must not send what its edges refuse, and a delivery
 * stands behind a BEGIN of its own frame.
 */
#ifndef PGTIDE_TESTS_FUZZ_BROKER_FAKE_H
#define PGTIDE_TESTS_FUZZ_BROKER_FAKE_H

#include <stdlib.h>
#include <string.h>

#include "broker/relations.h"
#include "broker/route/route.h"
#include "broker/stats.h"
#include "runtime/buf.h"
#include "runtime/metrics.h"

enum { FAKE_WATCHES = 64 };

struct fake {
    struct rt_metrics *metrics;
    struct stats stats;
    struct relations *relations;
    struct window *window;
    struct route *route;
    struct audience *watches[FAKE_WATCHES];
    size_t watch_count;
    size_t overflow; /* watches beyond the table: never answered */
};

static inline void fake_check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static inline void *fake_on_watch(void *ctx, struct audience *audience, const char *schema,
                                  const char *table, const char *role)
{
    struct fake *fake = ctx;

    fake_check(strlen(schema) <= WIRE_NAME_MAX && strlen(table) <= WIRE_NAME_MAX &&
               strlen(role) <= WIRE_NAME_MAX);
    for (size_t i = 0; i < FAKE_WATCHES; i++) {
        if (fake->watches[i] == NULL) {
            fake->watches[i] = audience;
            fake->watch_count++;
            return &fake->watches[i];
        }
    }
    fake->overflow++;
    return NULL;
}

static inline void fake_on_unwatch(void *ctx, void *handle)
{
    struct fake *fake = ctx;
    struct audience **watch = handle;

    if (watch == NULL) {
        fake->overflow--;
        return;
    }
    fake_check(*watch != NULL);
    *watch = NULL;
    fake->watch_count--;
}

static inline enum wire_err fake_decode(enum wire_type type, struct wire_reader *in)
{
    struct wire_begin begin;
    struct wire_end end;
    struct wire_progress progress;
    struct wire_fresh fresh;
    struct wire_gap gap;
    struct wire_group group;
    struct wire_deliver deliver;
    struct wire_deliver_truncate truncate;
    struct wire_accept accept;
    struct wire_refuse refuse;
    struct wire_replay replay;
    struct wire_rows rows;
    struct wire_gone gone;

    return type == WIRE_BEGIN              ? wire_decode_begin(in, &begin)
           : type == WIRE_END              ? wire_decode_end(in, &end)
           : type == WIRE_PROGRESS         ? wire_decode_progress(in, &progress)
           : type == WIRE_FRESH            ? wire_decode_fresh(in, &fresh)
           : type == WIRE_GAP              ? wire_decode_gap(in, &gap)
           : type == WIRE_GROUP            ? wire_decode_group(in, &group)
           : type == WIRE_DELIVER          ? wire_decode_deliver(in, &deliver)
           : type == WIRE_DELIVER_TRUNCATE ? wire_decode_deliver_truncate(in, &truncate)
           : type == WIRE_ACCEPT           ? wire_decode_accept(in, &accept)
           : type == WIRE_REPLAY           ? wire_decode_replay(in, &replay)
           : type == WIRE_ROWS             ? wire_decode_rows(in, &rows)
           : type == WIRE_GONE             ? wire_decode_gone(in, &gone)
           : type == WIRE_REFUSE           ? wire_decode_refuse(in, &refuse)
                                           : WIRE_ERR_UNKNOWN;
}

static inline void fake_on_send(void *ctx, void *user, struct wire_span frame)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;
    enum wire_err err = WIRE_OK;
    bool begun = false;
    bool live = false;
    bool past = false;

    (void)ctx;
    (void)user;
    wire_reader_init(&in, frame.data, frame.len);
    while ((err = wire_next_record(&in, &type)) == WIRE_OK) {
        bool inside = type == WIRE_DELIVER || type == WIRE_DELIVER_TRUNCATE || type == WIRE_END;
        fake_check(fake_decode(type, &in) == WIRE_OK);
        fake_check(begun || !inside);
        live = live || type == WIRE_BEGIN;
        past = past || type == WIRE_REPLAY;
        fake_check(!live || !past);
        begun = type == WIRE_BEGIN || type == WIRE_REPLAY ||
                (begun && type != WIRE_END && type != WIRE_GAP);
    }
    fake_check(err == WIRE_ERR_END);
}

static inline bool fake_on_room(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
    return true;
}

static inline void fake_on_wake(void *ctx)
{
    (void)ctx;
}

static inline void fake_on_describe(void *ctx, uint32_t oid)
{
    (void)ctx;
    (void)oid;
}

/* A job that takes all credit for rows: one of them for each. */
static inline void *fake_on_snapshot(void *ctx, struct route_snapshot *handle,
                                     const struct route_snapshot_want *want)
{
    (void)ctx;
    fake_check(want->page_rows > 0 && want->page_rows <= WIRE_ROWS_MAX);
    return handle;
}

static inline void fake_on_more(void *ctx, void *job, uint32_t parts)
{
    struct wire_tuple row = { (const uint8_t *)"\x90", 1 };
    struct xid_snapshot seen = { .xmin = 3, .xmax = 3 };

    (void)ctx;
    if (parts == 0) {
        route_snapshot_gone(job, "no more");
    } else if (parts % 2 == 0) {
        route_snapshot_rows(job, &row, 1, (struct wire_span){ "t", 1 }, parts > 2);
    } else if (parts < 8) {
        (void)route_snapshot_catch_up(job, &seen, NULL, parts);
    } else {
        route_snapshot_refuse(job, WIRE_CODE_FORBIDDEN, "no");
    }
}

static inline void fake_on_job(void *ctx, void *job)
{
    (void)ctx;
    fake_check(job != NULL);
}

static inline void fake_init(struct fake *fake)
{
    static const struct route_events events = { .watch = fake_on_watch,
                                                .unwatch = fake_on_unwatch,
                                                .send = fake_on_send,
                                                .room = fake_on_room,
                                                .wake = fake_on_wake,
                                                .describe = fake_on_describe,
                                                .snapshot = fake_on_snapshot,
                                                .snapshot_more = fake_on_more,
                                                .snapshot_caught_up = fake_on_job,
                                                .snapshot_live = fake_on_job,
                                                .snapshot_cancel = fake_on_job };

    memset(fake, 0, sizeof(*fake));
    fake->metrics = rt_metrics_new();
    stats_init(&fake->stats, fake->metrics);
    fake->relations = relations_new();
    fake->window = window_new(65536, RT_SEC);
    struct route_config config = { .shard = 0,
                                   .shards = 1,
                                   .relations = fake->relations,
                                   .window = fake->window,
                                   .stats = &fake->stats,
                                   .events = &events,
                                   .ctx = fake };
    fake->route = route_new(&config);
}

/* Nothing may be left: no subscription, no group, no watch. */
static inline void fake_fini(struct fake *fake)
{
    route_free(fake->route);
    window_free(fake->window);
    relations_free(fake->relations);
    fake_check(fake->watch_count == 0 && fake->overflow == 0);
    fake_check((int)fake->stats.subscriptions->value == 0);
    fake_check((int)fake->stats.identities->value == 0);
    fake_check((int)fake->stats.groups->value == 0);
    fake_check((int)fake->stats.tables->value == 0);
    rt_metrics_free(fake->metrics);
}

/* One insert into public.t (oid 10: id) by a transaction that commits at `lsn` of epoch 1. */
static inline void fake_insert(struct fake *fake, uint64_t lsn)
{
    struct wire_begin begin = { .epoch = 1, .commit_lsn = lsn, .xid = (uint32_t)lsn };
    struct wire_end end = { .commit_lsn = lsn, .end_lsn = lsn + 8, .count = 1 };
    struct wire_change change = { .rel = 1,
                                  .op = WIRE_INSERT,
                                  .new_row = { (const uint8_t *)"\x91\xa1x", 3 } };
    struct wire_column column = { .name = { "id", 2 }, .type_oid = 25, .shape = { "\0", 1 } };
    struct wire_relation head = { .rel = 1,
                                  .oid = 10,
                                  .schema = { "public", 6 },
                                  .table = { "t", 1 },
                                  .identity = 'd',
                                  .column_count = 1 };
    struct wire_writer out = { 0 };
    struct relation *relation = relations_of_table(fake->relations, 10);

    if (relation == NULL) {
        wire_encode_relation(&out, &head, &column, NULL);
        fake_check(relations_put(fake->relations,
                                 (struct wire_span){ (const char *)out.data, out.len },
                                 &relation) == WIRE_OK);
        route_relation(fake->route, relation);
        wire_writer_clear(&out);
    }
    wire_encode_change(&out, &change);
    window_begin(fake->window, &begin);
    route_begin(fake->route, &begin);
    window_add(fake->window, relation, WINDOW_CHANGE, 0,
               (struct wire_span){ (const char *)out.data, out.len });
    route_change(fake->route, relation, &change);
    window_end(fake->window, &end, RT_SEC);
    route_end(fake->route, &end);
    wire_writer_fini(&out);
}

/* Answers every watch; which way, `choice` says. */
static inline void fake_answer(struct fake *fake, uint32_t oid, unsigned choice)
{
    for (size_t i = 0; i < FAKE_WATCHES; i++) {
        struct audience *audience = fake->watches[i];
        if (audience == NULL) {
            continue;
        }
        struct access *access =
            choice == 0 ? access_refuse(WIRE_CODE_FORBIDDEN, "no") : access_new();
        access->oid = oid;
        access->all = choice == 1;
        if (choice >= 2) {
            access_add_column(access, "id", false);
            access_seal(access);
        }
        route_access(audience, access);
        access_unref(access);
    }
}

#endif
