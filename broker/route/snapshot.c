/* broker/route/snapshot.c - subscriptions that want the rows first: between a job, which reads them, and the window. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "broker/view/filter_judge.h"
#include "runtime/buf.h"

static const char no_room[] = "too many snapshots are being read; try again later";

struct route_snapshot *snapshot_new(const struct wire_subscribe *subscribe)
{
    struct route_snapshot *snapshot = rt_alloc(sizeof(*snapshot));

    snapshot->page_rows = subscribe->page_rows;
    snapshot->token_len = subscribe->token.len;
    if (snapshot->token_len > 0) {
        snapshot->token = rt_strndup(subscribe->token.data, subscribe->token.len);
    }
    return snapshot;
}

void snapshot_free(struct route_snapshot *snapshot)
{
    if (snapshot != NULL) {
        xid_snapshot_fini(&snapshot->from);
        xid_snapshot_fini(&snapshot->to);
        relation_unref(snapshot->relation);
        free(snapshot->feed.visible);
        free(snapshot->token);
        free(snapshot);
    }
}

static void list_add(struct route_snapshot **list, struct route_snapshot *snapshot)
{
    snapshot->next = *list;
    snapshot->link = list;
    if (snapshot->next != NULL) {
        snapshot->next->link = &snapshot->next;
    }
    *list = snapshot;
}

static void list_remove(struct route_snapshot *snapshot)
{
    *snapshot->link = snapshot->next;
    if (snapshot->next != NULL) {
        snapshot->next->link = snapshot->link;
    }
}

void snapshot_leave(struct sub *sub)
{
    const struct route_config *config = &sub->edge->route->config;
    struct route_snapshot *snapshot = sub->by.resume->snapshot;
    void *job = snapshot->job;

    list_remove(snapshot);
    replay_stop_feed(&snapshot->feed);
    snapshot->job = NULL;
    if (job != NULL) {
        config->events->snapshot_cancel(config->ctx, job);
    }
}

/* Waits for the table's definition: without it no edge could read the rows. */
static void describe(struct sub *sub)
{
    struct route *route = sub->edge->route;

    sub->state = SUB_DESCRIBING;
    sub->by.resume->waiting = 0;
    list_add(&route->describing, sub->by.resume->snapshot);
    group_ask(sub_group(sub));
}

static void announce(struct route_snapshot *snapshot)
{
    struct replay *feed = &snapshot->feed;

    if (feed->announced != snapshot->relation->serial) {
        feed->announced = snapshot->relation->serial;
        group_announce(feed->group, feed->edge, feed->number, snapshot->relation);
    }
}

/* Asks for a job; false when there is none to be had, or none for this token (*out_gone). */
static bool begin(struct sub *sub, struct relation *relation, const char **out_gone)
{
    struct route *route = sub->edge->route;
    const struct route_config *config = &route->config;
    struct route_snapshot *snapshot = sub->by.resume->snapshot;
    const struct identity *identity = sub->identity;
    struct route_group *group = sub_group(sub);
    struct rt_buf condition = { 0 };
    struct view_identity *judged =
        sub->viewer == NULL || sub->viewer->view == NULL ? NULL : sub->viewer->view->identity;
    struct route_snapshot_want want = {
        .schema = group->table->schema,
        .table = group->table->table,
        .role = identity->role,
        .identity = judged == NULL ? NULL : view_identity_policy(judged),
        .access = group->access,
        .relation = relation,
        .page_rows = snapshot->page_rows,
        .token = { snapshot->token == NULL ? "" : snapshot->token, snapshot->token_len },
        .gone = out_gone,
    };

    if (config->events->snapshot == NULL ||
        (identity->claims == NULL && identity->claims_len > 0)) {
        return false;
    }
    if (group->view != NULL && group->view->filter != NULL) {
        filter_program_sql(group->view->filter, "t", &condition);
        want.condition = rt_buf_cstr(&condition);
    }
    snapshot->job = config->events->snapshot(config->ctx, snapshot, &want);
    rt_buf_fini(&condition);
    if (judged != NULL) {
        view_identity_rest(judged);
    }
    if (snapshot->job == NULL) {
        return false;
    }
    snapshot->relation = relation_ref(relation);
    snapshot->feed = (struct replay){
        .edge = sub->edge, .group = group, .number = route->next_group++, .snapshot = snapshot
    };
    sub->state = SUB_SNAPSHOT;
    list_add(&route->snapshots, snapshot);
    return true;
}

void snapshot_place(struct sub *sub)
{
    struct route *route = sub->edge->route;
    struct route_snapshot *snapshot = sub->by.resume->snapshot;
    struct relation *relation =
        relations_of_table(route->config.relations, sub_group(sub)->access->oid);
    const char *gone = NULL;

    if (snapshot->relation != NULL) {
        /* Rows were read by other rights. With its token the client can go on under those of now. */
        sub_gone(sub, WIRE_GONE_SNAPSHOT, "the rights to the table changed during the snapshot");
    } else if (relation == NULL || relation->doubtful) {
        describe(sub);
    } else if (!begin(sub, relation, &gone)) {
        if (gone != NULL) {
            sub_gone(sub, WIRE_GONE_SNAPSHOT, gone);
        } else {
            sub_refuse(sub, WIRE_CODE_SUBSCRIPTION_FAILED, no_room);
        }
    } else {
        announce(snapshot);
        write_accept(sub, snapshot->feed.number, WIRE_ACCEPT_SNAPSHOT, &route->at);
    }
}

bool snapshot_fed(struct route_snapshot *snapshot)
{
    struct sub *sub = snapshot->resume->sub;
    struct route *route = sub->edge->route;
    const struct route_config *config = &route->config;
    void *job = snapshot->job;

    /* Complete up to at.lsn: the next commit that can come begins behind that. */
    if (route->at.lsn + 1 < snapshot->until_lsn) {
        return false;
    }
    replay_stop_feed(&snapshot->feed);
    if (snapshot->has_to) {
        config->events->snapshot_caught_up(config->ctx, job);
        return true;
    }
    snapshot->job = NULL;
    sub_leave(sub);
    sub_arm(sub); /* frees the snapshot */
    config->events->snapshot_live(config->ctx, job);
    return true;
}

void snapshot_more(struct sub *sub, uint32_t parts)
{
    const struct route_config *config = &sub->edge->route->config;

    config->events->snapshot_more(config->ctx, sub->by.resume->snapshot->job, parts);
}

void snapshots_end_all(struct route *route, const char *why)
{
    while (route->snapshots != NULL) {
        sub_gone(route->snapshots->resume->sub, WIRE_GONE_SNAPSHOT, why);
    }
}

void snapshots_tick(struct route *route, rt_usec now)
{
    struct route_snapshot *snapshot = NULL;

    for (snapshot = route->describing; snapshot != NULL; snapshot = snapshot->next) {
        snapshot->resume->sub->audience->table->asked = false;
    }
    snapshot = route->describing;
    while (snapshot != NULL) {
        struct route_snapshot *next = snapshot->next;
        struct sub *sub = snapshot->resume->sub;
        struct resume *resume = snapshot->resume;
        if (resume->waiting == 0) {
            resume->waiting = now;
        }
        if (now - resume->waiting >= ROUTE_DESCRIBE_TIMEOUT) {
            sub_refuse(sub, WIRE_CODE_SUBSCRIPTION_FAILED,
                       "the definition of the table could not be had; try again later");
        } else {
            group_ask(sub_group(sub));
        }
        snapshot = next;
    }
}

/* --- for the job -------------------------------------------------------------------------------------- */

void route_snapshot_rows(struct route_snapshot *handle, const struct wire_tuple *rows,
                         uint32_t count, struct wire_span token, bool last)
{
    struct replay *feed = &handle->feed;
    const struct route_config *config = &feed->edge->route->config;
    struct wire_rows head = {
        .group = feed->number, .last = last, .token = token, .row_count = count
    };

    edge_send(feed->edge);
    announce(handle);
    wire_encode_rows(edge_out(feed->edge), &head, rows);
    edge_send(feed->edge);
    rt_counter_add(config->stats->snapshot_rows, count);
}

bool route_snapshot_catch_up(struct route_snapshot *handle, const struct xid_snapshot *from,
                             const struct xid_snapshot *to, uint64_t until_lsn)
{
    struct replay *feed = &handle->feed;
    struct route *route = feed->edge->route;

    replay_stop_feed(feed); /* of an earlier call */
    feed->open = false;
    if (route_evicted_unseen(route, from)) {
        sub_gone(handle->resume->sub, WIRE_GONE_SNAPSHOT,
                 "changes during the snapshot are not kept any more");
        route->config.events->wake(route->config.ctx);
        return false;
    }
    xid_snapshot_fini(&handle->from);
    xid_snapshot_fini(&handle->to);
    xid_snapshot_copy(&handle->from, from);
    handle->has_to = to != NULL;
    if (to != NULL) {
        xid_snapshot_copy(&handle->to, to);
    }
    handle->until_lsn = until_lsn;
    (void)window_floor(route->config.window, &feed->done);
    replay_start_feed(feed);
    route->config.events->wake(route->config.ctx);
    return true;
}

void route_snapshot_refuse(struct route_snapshot *handle, int code, const char *message)
{
    const struct route_config *config = &handle->feed.edge->route->config;

    handle->job = NULL;
    sub_refuse(handle->resume->sub, code, message);
    config->events->wake(config->ctx);
}

void route_snapshot_gone(struct route_snapshot *handle, const char *message)
{
    const struct route_config *config = &handle->feed.edge->route->config;

    handle->job = NULL;
    sub_gone(handle->resume->sub, WIRE_GONE_SNAPSHOT, message);
    config->events->wake(config->ctx);
}

bool route_evicted_unseen(const struct route *route, const struct xid_snapshot *snapshot)
{
    return window_evicted_unseen(route->config.window, snapshot);
}
