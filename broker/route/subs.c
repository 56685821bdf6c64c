/* broker/route/subs.c - subscriptions: where they are, and the answers they get. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

static void add_to_gauge(struct rt_gauge *gauge, double by)
{
    rt_gauge_set(gauge, gauge->value + by);
}

void write_refuse(struct route_edge *edge, uint64_t sub, int code, const char *message)
{
    struct wire_refuse refuse = { .sub = sub,
                                  .code = (enum wire_code)code,
                                  .message = { message, strlen(message) } };

    wire_encode_refuse(edge_out(edge), &refuse);
    edge_cut(edge);
    rt_counter_add(edge->route->config.stats->refused[code], 1);
}

void unarmed_add(struct route *route, struct sub *sub)
{
    if (route->unarmed_count == route->unarmed_cap) {
        route->unarmed_cap = route->unarmed_cap == 0 ? 64 : route->unarmed_cap * 2;
        route->unarmed = rt_realloc(route->unarmed, route->unarmed_cap, sizeof(struct unarmed));
    }
    sub->state = SUB_UNARMED;
    sub->slot = (uint32_t)route->unarmed_count; /* below ROUTE_SUBS_MAX for each edge */
    route->unarmed[route->unarmed_count++] = (struct unarmed){ .sub = sub };
}

static void unarmed_remove(struct route *route, const struct sub *sub)
{
    struct unarmed *hole = &route->unarmed[sub->slot];

    *hole = route->unarmed[--route->unarmed_count];
    hole->sub->slot = sub->slot;
}

void write_accept(struct sub *sub, uint32_t group, enum wire_accept_kind kind,
                  const struct wire_position *position)
{
    struct wire_accept accept = {
        .sub = sub->listed.number, .group = group, .kind = kind, .position = *position
    };

    if (sub->changed) {
        sub->changed = false;
        wire_encode_rights(edge_out(sub->edge), &(struct wire_rights){ .sub = sub->listed.number,
                                                                       .position = *position });
    }
    sub->told = true;
    wire_encode_accept(edge_out(sub->edge), &accept);
    edge_cut(sub->edge);
}

struct route_group *sub_group(const struct sub *sub)
{
    const struct viewer *viewer = sub->viewer;

    if (viewer != NULL) {
        return viewer->settled ? viewer->group : NULL;
    }
    return sub->audience->group;
}

void sub_arm(struct sub *sub)
{
    struct route *route = sub->edge->route;
    struct route_group *group = sub_group(sub);
    const struct relation *relation =
        relations_of_table(route->config.relations, group->access->oid);
    struct member *member = group_join(group, sub->edge);

    resume_free(sub->by.resume);
    sub->by.member = member;
    sub->state = SUB_ARMED;
    if (relation != NULL || (member->count == 1 && group->access->generated_count > 0)) {
        member_announce(member, relation);
    }
    if (relation == NULL) {
        group_ask(group);
    }
    write_accept(sub, member->number, WIRE_ACCEPT_LIVE, &route->at);
}

void sub_place(struct sub *sub)
{
    struct route *route = sub->edge->route;

    if (route->in_transaction || !route->known) {
        unarmed_add(route, sub);
    } else if (sub->by.resume == NULL) {
        sub_arm(sub);
    } else if (sub->by.resume->snapshot != NULL) {
        snapshot_place(sub);
    } else {
        resume_place(sub);
    }
}

void sub_leave(struct sub *sub)
{
    if (sub->state == SUB_ARMED) {
        group_leave(sub->by.member);
        sub->by.resume = NULL;
    } else if (sub->state == SUB_UNARMED) {
        unarmed_remove(sub->edge->route, sub);
    } else if (sub->state == SUB_AHEAD) {
        ahead_remove(sub->by.resume);
    } else if (sub->state == SUB_REPLAYING) {
        replay_leave(sub->by.resume);
    } else if (sub->state != SUB_ASKING) {
        snapshot_leave(sub);
    }
    sub->state = SUB_ASKING;
}

void sub_suspend(struct sub *sub, const struct wire_position *since)
{
    bool live = sub->state == SUB_ARMED;
    bool replayed = sub->state == SUB_REPLAYING && sub->by.resume->replay->running;

    sub_leave(sub);
    if (live) {
        sub->by.resume = resume_at(sub, since);
    }
    if (live || replayed) {
        write_accept(sub, ROUTE_NO_GROUP, WIRE_ACCEPT_REPLAY, &sub->by.resume->since);
    }
}

static void audience_drop_if_unused(struct audience *audience)
{
    struct route_table *table = audience->table;
    const struct route_config *config = &table->route->config;

    if (audience->subs != NULL || audience->pinned) {
        return;
    }

    config->events->unwatch(config->ctx, audience->watch);
    (void)rt_map_remove(table->audiences, audience->role, strlen(audience->role));
    group_release(audience->group);
    rt_roster_free(audience->viewers); /* empty: they live by their subscriptions */
    access_unref(audience->access);
    free(audience);
    table_drop_if_unused(table);
}

struct audience *audience_get(struct route_table *table, const char *role)
{
    const struct route_config *config = &table->route->config;
    struct audience *audience = rt_map_get(table->audiences, role, strlen(role));

    if (audience != NULL) {
        return audience;
    }
    audience = rt_alloc(sizeof(*audience));
    audience->table = table;
    memcpy(audience->role, role, strlen(role));
    audience->viewers = rt_roster_new();
    (void)rt_map_put(table->audiences, role, strlen(role), audience);
    audience->watch =
        config->events->watch(config->ctx, audience, table->schema, table->table, role);
    return audience;
}

void sub_free(struct sub *sub)
{
    struct audience *audience = sub->audience;

    sub_leave(sub);
    viewer_leave(sub);
    resume_free(sub->by.resume);
    *sub->audience_link = sub->audience_next;
    if (sub->audience_next != NULL) {
        sub->audience_next->audience_link = sub->audience_link;
    }
    *sub->identity_link = sub->identity_next;
    if (sub->identity_next != NULL) {
        sub->identity_next->identity_link = sub->identity_link;
    }
    rt_roster_remove(sub->edge->subs, &sub->listed);
    add_to_gauge(sub->edge->route->config.stats->subscriptions, -1);
    free(sub->filter);
    free(sub);
    audience_drop_if_unused(audience);
}

struct sub *sub_new(struct route_edge *edge, uint64_t id, struct identity *identity,
                    struct audience *audience, struct resume *resume)
{
    struct sub *sub = rt_alloc(sizeof(*sub));

    sub->edge = edge;
    sub->identity = identity;
    sub->audience = audience;
    sub->by.resume = resume;
    if (resume != NULL) {
        resume->sub = sub;
    }
    sub->audience_next = audience->subs;
    sub->audience_link = &audience->subs;
    if (sub->audience_next != NULL) {
        sub->audience_next->audience_link = &sub->audience_next;
    }
    audience->subs = sub;
    sub->identity_next = identity->subs;
    sub->identity_link = &identity->subs;
    if (sub->identity_next != NULL) {
        sub->identity_next->identity_link = &sub->identity_next;
    }
    identity->subs = sub;
    rt_roster_add(edge->subs, &sub->listed, id);
    add_to_gauge(edge->route->config.stats->subscriptions, 1);
    return sub;
}

void sub_begin(struct sub *sub)
{
    struct access *access = sub->audience->access;

    if (access == NULL || (viewer_is_needed(sub, access) && !viewer_join(sub, access))) {
        return;
    }
    if (sub_group(sub) != NULL) {
        sub_place(sub);
    }
}

void sub_refuse(struct sub *sub, int code, const char *message)
{
    write_refuse(sub->edge, sub->listed.number, code, message);
    sub_free(sub);
}

void subs_arm_all(struct route *route)
{
    size_t count = route->unarmed_count;

    if (!route->known) {
        return;
    }
    /* Between transactions nobody is put into the list, and one that ends takes out only itself: it is emptied at once. */
    route->unarmed_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct sub *sub = route->unarmed[i].sub;
        sub->state = SUB_ASKING;
        sub_place(sub);
    }
    ahead_release(route, false);
}

static void refuse_all(struct audience *audience, int code, const char *message)
{
    struct sub *sub = audience->subs;

    while (sub != NULL) { /* the audience is gone with the last one */
        struct sub *next = sub->audience_next;
        sub_refuse(sub, code, message);
        sub = next;
    }
}

/* Who was told what it sees hears when that is something else. */
static void note_change(struct sub *sub, bool other)
{
    sub->changed = sub->changed || (other && sub->told);
}

/* Replays and the like begin anew, from where they are; a live one moves at once. */
static void move_to_open_group(struct sub *sub, bool same)
{
    bool live = sub->state == SUB_ARMED;

    note_change(sub, !same || sub->viewer != NULL);
    if (sub->viewer != NULL) {
        sub_suspend(sub, &sub->edge->route->at);
        viewer_leave(sub);
    } else if (!same && live) {
        sub_leave(sub);
        sub_arm(sub);
    } else if (!same) {
        sub_suspend(sub, &sub->edge->route->at);
    }
}

/* Each subscription to where it belongs by these rights. */
static void sort_all(struct audience *audience, struct access *access, bool same_group)
{
    struct sub *sub = audience->subs;

    while (sub != NULL) {
        struct sub *next = sub->audience_next;
        if (!viewer_is_needed(sub, access)) {
            move_to_open_group(sub, same_group);
        } else {
            if (sub->viewer == NULL) {
                note_change(sub, true);
                sub_suspend(sub, &sub->edge->route->at);
            }
            (void)viewer_join(sub, access);
        }
        sub = next;
    }
}

/* Policies that say the same may still mean another thing: functions that they call, memberships of roles. */
static void reconsider_all(struct audience *audience, struct access *access)
{
    struct rt_roster_iter iter = rt_roster_begin(audience->viewers);

    for (struct rt_listed *at = rt_roster_next(&iter); at != NULL; at = rt_roster_next(&iter)) {
        struct viewer *viewer = (struct viewer *)(void *)at;
        if (viewer->access != access) {
            viewer_reconsider(viewer, access);
        } else if (access->rules != NULL && !viewer->young) {
            viewer_refresh(viewer);
        }
        viewer->young = false;
    }
}

/* Whoever is nowhere, and can be somewhere. */
static void place_all(struct audience *audience)
{
    struct sub *sub = audience->subs;

    while (sub != NULL) {
        struct sub *next = sub->audience_next;
        if (sub->state == SUB_ASKING && sub_group(sub) != NULL) {
            sub_place(sub);
        }
        sub = next;
    }
}

void route_access(struct audience *audience, struct access *access)
{
    if (access->code != 0) {
        refuse_all(audience, access->code, access->message);
        return;
    }
    struct route_group *old = audience->group;
    struct route_group *group = NULL;
    bool same = audience->access != NULL && access_same_view(audience->access, access) &&
                access_same_attributes(audience->access, access);
    if (access->rules == NULL) {
        group = group_for(audience->table, access);
        if (group == NULL) {
            refuse_all(audience, WIRE_CODE_SUBSCRIPTION_FAILED,
                       "this table is watched with too many different sets of columns");
            return;
        }
    }
    audience->pinned = true;
    if (!same || access->rules == NULL) {
        access_ref(access);
        access_unref(audience->access);
        audience->access = access;
    }
    audience->group = group;
    sort_all(audience, audience->access, old == group);
    if (!same || access->rules != NULL) {
        reconsider_all(audience, audience->access);
    }
    group_release(old);
    place_all(audience);
    audience->pinned = false;
    audience_drop_if_unused(audience);
}

void route_tick(struct route *route, rt_usec now)
{
    ahead_expire(route, now);
    snapshots_tick(route, now);
    if (route->known) {
        return;
    }
    /* Backwards: a hole is filled from behind. */
    for (size_t i = route->unarmed_count; i > 0; i--) {
        struct unarmed *wait = &route->unarmed[i - 1];
        if (wait->since == 0) {
            wait->since = now;
        }
        if (now - wait->since >= ROUTE_START_TIMEOUT) {
            sub_refuse(wait->sub, WIRE_CODE_SUBSCRIPTION_FAILED,
                       "the database's change stream is not connected; try again later");
        }
    }
}
