/* edge/hub_group.c - groups of a shard and their audiences.
 *
 * An audience lives as long as it has members; a group, a minute longer than somebody points at it.
 * Members are dense: the last one takes the place of the one that leaves.
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

/* `leaver` is its last member: form and text are the audience's. */
static void audience_free(struct hub_audience *audience, const struct hub_sub *leaver)
{
    struct hub_group *group = audience->group;
    struct rt_span key = audience_key(group, leaver);

    (void)rt_map_remove(group->shard->hub->audiences, key.data, key.len);
    group->audiences[audience->index] = group->audiences[--group->count];
    group->audiences[audience->index]->index = audience->index;
    free(audience->members);
    free(audience);
}

static void count_wanting(struct hub_audience *audience, uint32_t events, bool more)
{
    for (uint32_t bit = HUB_INSERT; bit <= HUB_TRUNCATE; bit <<= 1) {
        if ((events & bit) != 0) {
            audience->wanting[bit] += more ? 1u : UINT32_MAX; /* modulo: minus 1 */
        }
    }
}

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
        free(group->audiences);
        free(group);
        shard->hub->group_count--;
    }
}

void hub_groups_drop(struct hub_shard *shard)
{
    hub_groups_sweep(shard, INT64_MAX);
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
    audience->members[audience->count++] =
        (struct hub_member){ .to = sub->client->to, .sub = sub, .events = sub->events };
    count_wanting(audience, sub->events, true);
}

void hub_audience_leave(struct hub_sub *sub)
{
    struct hub_audience *audience = sub->audience;

    if (audience == NULL) {
        return;
    }
    sub->audience = NULL;
    count_wanting(audience, sub->events, false);
    audience->members[sub->member] = audience->members[--audience->count];
    audience->members[sub->member].sub->member = sub->member;
    if (audience->count == 0) {
        audience_free(audience, sub);
    }
}
