/* broker/route/viewer.c - viewers: an identity and a filter, from the question what they see to the group of the answer.
 *
 * A viewer whose view is on its way is not settled: its subscriptions are nowhere, and those that were live remember how far
 * they came. When the view is there they go on from the window, judged by it, without anybody else having waited.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

bool viewer_is_needed(const struct sub *sub, const struct access *access)
{
    return access->rules != NULL || sub->filter != NULL;
}

/* The claims matter where there are policies; the filter always. */
static void make_key(const struct sub *sub, const struct access *access, uint64_t key[2])
{
    const struct identity *identity = sub->identity;
    const struct route *route = sub->edge->route;
    const char *filter = sub->filter == NULL ? "" : sub->filter;
    bool claims = access->rules != NULL && identity->claims_len > 0;

    for (int i = 0; i < 2; i++) {
        uint64_t parts[] = {
            sub->filter_kind,
            rt_seeded_hash(route->seeds[i], filter, strlen(filter)),
            claims ? rt_seeded_hash(route->seeds[i], identity->claims->text, identity->claims_len)
                   : 0,
            identity->claims_len * claims,
        };
        key[i] = rt_seeded_hash(route->seeds[i], parts, sizeof(parts));
    }
}

static struct viewer *viewer_find(const struct audience *audience, const uint64_t key[2])
{
    struct rt_listed *at = rt_roster_find(audience->viewers, key[0]);

    while (at != NULL && ((struct viewer *)(void *)at)->other_half != key[1]) {
        at = rt_roster_same(at);
    }
    return (struct viewer *)(void *)at;
}

/* --- tables that policies read ------------------------------------------------------------------------ */

static void set_interest(struct viewer *viewer, int by)
{
    const struct route_config *config = &viewer->audience->table->route->config;
    const struct policy_rules *rules = viewer->access->rules;

    for (uint32_t i = 0; rules != NULL && i < rules->program->table_count; i++) {
        config->events->interest(config->ctx, rules->program->tables[i], by);
    }
}

static void depend(struct viewer *viewer)
{
    struct route *route = viewer->audience->table->route;
    const struct route_config *config = &route->config;

    set_interest(viewer, +1);
    if (viewer->access->rules != NULL && viewer->access->rules->program->table_count > 0) {
        viewer->kept = config->events->view_kept != NULL &&
                       config->events->view_kept(config->ctx, viewer->watch);
        struct viewer **list = viewer->kept ? &route->kept_viewers : &route->dependents;
        viewer->dependent_next = *list;
        viewer->dependent_link = list;
        if (viewer->dependent_next != NULL) {
            viewer->dependent_next->dependent_link = &viewer->dependent_next;
        }
        *list = viewer;
        /* Its constants are those before the transaction at hand, which is being read: what it makes of them is said at its end. */
        viewer->until_end =
            viewer->kept && route->in_transaction && route->kept_wait == route->begin.commit_lsn;
    }
}

static void undepend(struct viewer *viewer)
{
    set_interest(viewer, -1);
    if (viewer->dependent_link != NULL) {
        *viewer->dependent_link = viewer->dependent_next;
        if (viewer->dependent_next != NULL) {
            viewer->dependent_next->dependent_link = viewer->dependent_link;
        }
        viewer->dependent_link = NULL;
    }
}

/* --- who is in it ------------------------------------------------------------------------------------- */

static void leave_group(struct viewer *viewer)
{
    struct route_group *group = viewer->group;

    if (group == NULL) {
        return;
    }
    viewer->group = NULL;
    *viewer->group_link = viewer->group_next;
    if (viewer->group_next != NULL) {
        viewer->group_next->group_link = viewer->group_link;
    }
    group_release(group);
}

static void enter_group(struct viewer *viewer, struct route_group *group)
{
    leave_group(viewer); /* after the new one was taken: it may be the same */
    viewer->group = group;
    viewer->group_next = group->viewers;
    viewer->group_link = &group->viewers;
    if (viewer->group_next != NULL) {
        viewer->group_next->group_link = &viewer->group_next;
    }
    group->viewers = viewer;
}

static void viewer_free(struct viewer *viewer)
{
    struct audience *audience = viewer->audience;
    const struct route_config *config = &audience->table->route->config;

    undepend(viewer);
    config->events->view_unwatch(config->ctx, viewer->watch);
    rt_roster_remove(audience->viewers, &viewer->listed);
    leave_group(viewer);
    view_unref(viewer->view);
    access_unref(viewer->access);
    free(viewer);
}

static struct viewer *viewer_new(const struct sub *sub, struct access *access,
                                 const uint64_t key[2])
{
    struct audience *audience = sub->audience;
    struct route_table *table = audience->table;
    const struct route_config *config = &table->route->config;
    const struct identity *identity = sub->identity;
    bool claims = access->rules != NULL && identity->claims_len > 0;
    struct viewer *viewer = rt_alloc(sizeof(*viewer));
    const char *filter = sub->filter == NULL ? "" : sub->filter;
    struct view_want want = {
        .schema = table->schema,
        .table = table->table,
        .role = audience->role,
        .claims = { claims ? identity->claims->text : "", claims ? identity->claims_len : 0 },
        .kept = claims ? identity->claims : NULL,
        .filter = { filter, strlen(filter) },
        .dialect = (enum filter_dialect)sub->filter_kind,
        .access = access,
    };

    viewer->audience = audience;
    viewer->other_half = key[1];
    viewer->access = access_ref(access);
    viewer->young = audience->pinned;
    rt_roster_add(audience->viewers, &viewer->listed, key[0]);
    viewer->due = true;
    viewer->watch = config->events->view_watch(config->ctx, viewer, &want);
    depend(viewer);
    if (viewer->dependent_link != NULL) {
        /* What the stream has passed already, and a session may not see yet. */
        config->events->view_refresh(config->ctx, viewer->watch, table->route->last_xid);
    }
    return viewer;
}

bool viewer_join(struct sub *sub, struct access *access)
{
    struct audience *audience = sub->audience;
    uint64_t key[2];

    if (access->rules != NULL && sub->identity->claims == NULL && sub->identity->claims_len > 0) {
        sub_refuse(sub, WIRE_CODE_SUBSCRIPTION_FAILED,
                   "the server keeps too many claims already; try again later");
        return false;
    }
    make_key(sub, access, key);
    struct viewer *viewer = viewer_find(audience, key);
    if (sub->viewer == NULL || sub->viewer != viewer) {
        if (viewer == NULL) {
            viewer = viewer_new(sub, access, key);
        }
        if (sub->viewer != NULL) { /* claims matter now, or do not any more: it is another one's */
            sub_suspend(sub, &sub->edge->route->at);
            sub->changed = sub->changed || (sub->told && viewer->view != NULL);
        }
        viewer_leave(sub);
        sub->viewer = viewer;
        sub->viewer_next = viewer->subs;
        sub->viewer_link = &viewer->subs;
        if (sub->viewer_next != NULL) {
            sub->viewer_next->viewer_link = &sub->viewer_next;
        }
        viewer->subs = sub;
    }
    return true;
}

void viewer_leave(struct sub *sub)
{
    struct viewer *viewer = sub->viewer;

    if (viewer == NULL) {
        return;
    }
    sub->viewer = NULL;
    *sub->viewer_link = sub->viewer_next;
    if (sub->viewer_next != NULL) {
        sub->viewer_next->viewer_link = sub->viewer_link;
    }
    if (viewer->subs == NULL) {
        viewer_free(viewer);
    }
}

/* --- answers ------------------------------------------------------------------------------------------ */

void viewer_suspend(struct viewer *viewer, const struct wire_position *since)
{
    struct sub *sub = viewer->subs;

    viewer->settled = false;
    while (sub != NULL) {
        struct sub *next = sub->viewer_next;
        if (sub->state != SUB_SNAPSHOT) {
            sub_suspend(sub, since);
        }
        sub = next;
    }
}

static void leave_snapshots(struct viewer *viewer)
{
    for (struct sub *sub = viewer->subs; sub != NULL; sub = sub->viewer_next) {
        if (sub->state == SUB_SNAPSHOT) {
            sub_leave(sub);
        }
    }
}

void viewer_settle(struct viewer *viewer)
{
    struct sub *sub = viewer->subs;
    const struct route_config *config = &viewer->audience->table->route->config;

    viewer->settled = true;
    viewer->until_end = false;
    config->events->wake(config->ctx); /* snapshots may have waited */
    while (sub != NULL) {
        struct sub *next = sub->viewer_next;
        if (sub->state == SUB_ASKING) {
            sub_place(sub);
        }
        sub = next;
    }
}

static void refuse(struct viewer *viewer, int code, const char *message)
{
    struct sub *sub = viewer->subs;

    while (sub != NULL) { /* the viewer is gone with the last one */
        struct sub *next = sub->viewer_next;
        sub_refuse(sub, code, message);
        sub = next;
    }
}

void viewer_reconsider(struct viewer *viewer, struct access *access)
{
    struct route *route = viewer->audience->table->route;
    const struct route_config *config = &route->config;

    viewer_suspend(viewer, &route->at);
    viewer->until_end = false;
    viewer->due = true;
    undepend(viewer);
    access_ref(access);
    access_unref(viewer->access);
    viewer->access = access;
    config->events->view_access(config->ctx, viewer->watch, access);
    depend(viewer);
    if (viewer->dependent_link != NULL) {
        config->events->view_refresh(config->ctx, viewer->watch, route->last_xid);
    }
}

void viewer_refresh(struct viewer *viewer)
{
    struct route *route = viewer->audience->table->route;

    viewer_suspend(viewer, &route->at);
    viewer->due = true;
    route->config.events->view_refresh(route->config.ctx, viewer->watch, 0);
}

static void note_change(struct viewer *viewer, const struct view *view)
{
    const struct view *last = viewer->view;
    bool other = last == NULL || last->rights != view->rights;

    for (struct sub *sub = viewer->subs; sub != NULL; sub = sub->viewer_next) {
        sub->changed = sub->changed || (other && sub->told);
    }
}

/* Those that are live go to the other group at once; what is read of the past begins anew from where it is, when it is placed. */
static void move_all(const struct viewer *viewer)
{
    for (struct sub *sub = viewer->subs; sub != NULL; sub = sub->viewer_next) {
        if (sub->state == SUB_ARMED) {
            sub_leave(sub);
            sub_arm(sub);
        } else {
            sub_suspend(sub, &sub->edge->route->at);
        }
    }
}

/* Its members leave the last one before that may go. */
static void change_group(struct viewer *viewer, struct route_group *group, bool at_once)
{
    struct route_group *last = viewer->group;

    if (last != NULL) {
        last->users++;
    }
    enter_group(viewer, group);
    if (group != last && at_once) {
        move_all(viewer);
    } else if (group != last) {
        leave_snapshots(viewer);
    }
    if (last != NULL) {
        group_release(last);
    }
}

void route_view(struct viewer *viewer, struct view *view, int code, const char *message)
{
    struct route_table *table = viewer->audience->table;
    const char *why = NULL;

    viewer->due = false;
    if (view == NULL) {
        refuse(viewer, code, message);
        return;
    }
    struct route_group *group = group_for_view(table, view, &why);
    if (group == NULL) {
        refuse(viewer, WIRE_CODE_SUBSCRIPTION_FAILED, why);
        return;
    }
    note_change(viewer, view);
    bool at_once = viewer->settled && !table->route->in_transaction;
    if (viewer->settled && !at_once) {
        viewer_suspend(viewer, &table->route->at);
    }
    change_group(viewer, group, at_once);
    view_ref(view);
    view_unref(viewer->view);
    viewer->view = view;
    if (viewer->until_end) {
        return; /* what the transaction at hand touches is not known yet */
    }
    viewer_settle(viewer);
}
