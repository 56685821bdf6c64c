/* edge/hub_group.c - groups of a shard and their audiences.
 *
 * An audience lives as long as it has members; a group, a minute longer than somebody points at it.
 * Members are dense: the last one takes the place of the one that leaves. Who leaves an audience that holds a frame back
 * loses that frame; hub_sub.c sees to it where it matters.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"

/* Key of an audience in hub.audiences. */
static struct rt_span audience_key(struct hub_group *group, const struct hub_sub *sub)
{
    struct rt_buf *key = &group->shard->hub->key;
    const struct hub_client *client = sub->client;
    const void *owners[] = { group, client->ops, client->dialect };

    rt_buf_clear(key);
    rt_buf_append(key, owners, sizeof owners);
    rt_buf_append(key, &sub->form, sizeof sub->form);
    rt_buf_append(key, &sub->events, sizeof sub->events);
    rt_buf_append(key, sub->text, sub->text_len);
    return rt_buf_span(key);
}

static struct hub_audience *audience_new(struct hub_group *group, const struct hub_sub *sub)
{
    struct hub_audience *audience = rt_alloc(sizeof *audience + sub->text_len);

    audience->group = group;
    audience->ops = sub->client->ops;
    audience->dialect = sub->client->dialect;
    audience->form = sub->form;
    audience->events = sub->events;
    audience->text_len = sub->text_len;
    memcpy(audience->text, sub->text, sub->text_len);
    if (group->count == group->cap) {
        group->cap = group->cap > 0 ? group->cap * 2 : 4;
        group->audiences = rt_realloc(group->audiences, group->cap, sizeof(struct hub_audience *));
    }
    audience->index = group->count;
    group->audiences[group->count++] = audience;
    return audience;
}

/* `leaver` is its last member: form, events and text are the audience's. */
static void audience_free(struct hub_audience *audience, const struct hub_sub *leaver)
{
    struct hub_group *group = audience->group;
    struct rt_span key = audience_key(group, leaver);

    (void)rt_map_remove(group->shard->hub->audiences, key.data, key.len);
    group->audiences[audience->index] = group->audiences[--group->count];
    group->audiences[audience->index]->index = audience->index;
    list_remove(&audience->in_held);
    edge_frame_unref(audience->held);
    free(audience->members);
    free(audience);
}

/* --- groups ------------------------------------------------------------------------------------------------- */

struct hub_group *hub_group_get(struct hub_shard *shard, uint32_t number)
{
    struct hub_group *group = rt_map_get_u64(shard->groups, number);

    if (group == NULL) {
        group = rt_alloc(sizeof *group);
        group->number = number;
        group->shard = shard;
        group->idle_since = shard->hub->now();
        (void)rt_map_put_u64(shard->groups, number, group);
        shard->hub->group_count++;
    }
    return group;
}

void hub_flow_init(struct hub_flow *flow)
{
    *flow = (struct hub_flow){ 0 };
    list_init(&flow->held);
    list_init(&flow->notes);
}

struct hub_flow *hub_group_flow(struct hub_group *group)
{
    return group->replay != NULL ? group->replay : &group->shard->live;
}

bool hub_group_make_replay(struct hub_group *group)
{
    if (group->replay == NULL) {
        if (group->ups > 0) {
            return false;
        }
        group->replay = rt_alloc(sizeof *group->replay);
        hub_flow_init(group->replay);
    }
    return true;
}

void hub_group_describe(struct hub_group *group, struct row_def *def)
{
    row_def_unref(group->def);
    group->def = def;
}

void hub_group_assign(struct hub_up *up, struct hub_group *group)
{
    if (group != NULL) {
        group->ups++;
    }
    if (up->group != NULL && --up->group->ups == 0) {
        up->group->idle_since = up->shard->hub->now();
    }
    up->group = group;
}

void hub_groups_sweep(struct hub_shard *shard, rt_usec before)
{
    struct rt_map_iter iter = rt_map_begin(shard->groups);
    struct hub_group *group = NULL;

    while ((group = rt_map_next(&iter)) != NULL) {
        if (group->ups > 0 || group->idle_since >= before) {
            continue;
        }
        rt_map_iter_remove(&iter);
        row_def_unref(group->def);
        free(group->replay);
        free(group->audiences);
        free(group);
        shard->hub->group_count--;
    }
}

void hub_groups_drop(struct hub_shard *shard)
{
    hub_groups_sweep(shard, INT64_MAX);
}

/* --- audiences ---------------------------------------------------------------------------------------------- */

static void skip_until(struct hub_audience *audience, const struct wire_position *position)
{
    if (!audience->skipping || !hub_position_not_after(position, &audience->skip)) {
        audience->skipping = true;
        audience->skip = *position;
    }
}

void hub_audience_enter(struct hub_group *group, struct hub_sub *sub)
{
    struct hub *hub = group->shard->hub;
    struct rt_span key = audience_key(group, sub);
    struct hub_audience *audience = rt_map_get(hub->audiences, key.data, key.len);

    if (audience == NULL) {
        audience = audience_new(group, sub);
        (void)rt_map_put(hub->audiences, key.data, key.len, audience);
    }
    if (audience->count == audience->cap) {
        audience->cap = audience->cap > 0 ? audience->cap * 2 : 2;
        audience->members = rt_realloc(audience->members, audience->cap, sizeof *audience->members);
    }
    sub->audience = audience;
    sub->member = audience->count;
    audience->members[audience->count++] = (struct hub_member){ .to = sub->client->to, .sub = sub };
    audience->snapshot = audience->snapshot || sub->rows != NULL;
    if (sub->has_after) {
        skip_until(audience, &sub->after);
    }
}

void hub_audience_leave(struct hub_sub *sub)
{
    struct hub_audience *audience = sub->audience;

    if (audience == NULL) {
        return;
    }
    sub->audience = NULL;
    audience->members[sub->member] = audience->members[--audience->count];
    audience->members[sub->member].sub->member = sub->member;
    if (audience->count == 0) {
        audience_free(audience, sub);
    }
}
