/* broker/route/subs.c - sessions of edges: their identities and subscriptions, and the answers they get. */
#include <stdlib.h>
#include <string.h>

#include "broker/channel.h"
#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/shard.h"

static void add_to_gauge(struct rt_gauge *gauge, double by)
{
    rt_gauge_set(gauge, gauge->value + by);
}

static void write_refuse(struct route_edge *edge, uint64_t sub, int code, const char *message)
{
    struct wire_refuse refuse = { .sub = sub,
                                  .code = (enum wire_code)code,
                                  .message = { message, strlen(message) } };

    wire_encode_refuse(edge_out(edge), &refuse);
    edge_cut(edge);
    rt_counter_add(edge->route->config.stats->refused[code], 1);
}

static void unarmed_add(struct route *route, struct sub *sub)
{
    if (route->unarmed_count == route->unarmed_cap) {
        route->unarmed_cap = route->unarmed_cap == 0 ? 64 : route->unarmed_cap * 2;
        route->unarmed = rt_realloc(route->unarmed, route->unarmed_cap, sizeof(struct unarmed));
    }
    sub->state = SUB_UNARMED;
    sub->at.slot = route->unarmed_count;
    route->unarmed[route->unarmed_count++] = (struct unarmed){ .sub = sub };
}

static void unarmed_remove(struct route *route, const struct sub *sub)
{
    struct unarmed *hole = &route->unarmed[sub->at.slot];

    *hole = route->unarmed[--route->unarmed_count];
    hole->sub->at.slot = sub->at.slot;
}

static void sub_arm(struct sub *sub)
{
    struct route *route = sub->edge->route;
    struct route_group *group = sub->audience->group;
    const struct relation *relation =
        relations_of_table(route->config.relations, group->access->oid);
    struct member *member = group_join(group, sub->edge);

    sub->at.member = member;
    sub->state = SUB_ARMED;
    if (relation != NULL || (member->count == 1 && group->access->generated_count > 0)) {
        member_announce(member, relation);
    }
    struct wire_accept accept = { .sub = sub->id, .group = group->number, .position = route->at };
    wire_encode_accept(edge_out(sub->edge), &accept);
    edge_cut(sub->edge);
}

static void sub_place(struct sub *sub)
{
    struct route *route = sub->edge->route;

    if (route->in_transaction || !route->known) {
        unarmed_add(route, sub);
    } else {
        sub_arm(sub);
    }
}

static void audience_free(struct audience *audience)
{
    struct route_table *table = audience->table;
    const struct route_config *config = &table->route->config;

    config->events->unwatch(config->ctx, audience->watch);
    (void)rt_map_remove(table->audiences, audience->role, strlen(audience->role));
    group_release(audience->group);
    access_unref(audience->access);
    free(audience);
    table_drop_if_unused(table);
}

static struct audience *audience_get(struct route_table *table, const char *role)
{
    const struct route_config *config = &table->route->config;
    struct audience *audience = rt_map_get(table->audiences, role, strlen(role));

    if (audience != NULL) {
        return audience;
    }
    audience = rt_alloc(sizeof(*audience));
    audience->table = table;
    memcpy(audience->role, role, strlen(role));
    (void)rt_map_put(table->audiences, role, strlen(role), audience);
    audience->watch =
        config->events->watch(config->ctx, audience, table->schema, table->table, role);
    return audience;
}

/* Frees the audience, and the table, with the last subscription. */
static void sub_free(struct sub *sub)
{
    struct audience *audience = sub->audience;

    if (sub->state == SUB_ARMED) {
        group_leave(sub->at.member);
    } else if (sub->state == SUB_UNARMED) {
        unarmed_remove(sub->edge->route, sub);
    }
    *sub->audience_link = sub->audience_next;
    if (sub->audience_next != NULL) {
        sub->audience_next->audience_link = sub->audience_link;
    }
    *sub->identity_link = sub->identity_next;
    if (sub->identity_next != NULL) {
        sub->identity_next->identity_link = sub->identity_link;
    }
    (void)rt_map_remove_u64(sub->edge->subs, sub->id);
    add_to_gauge(sub->edge->route->config.stats->subscriptions, -1);
    free(sub);
    if (audience->subs == NULL) {
        audience_free(audience);
    }
}

static void sub_new(struct route_edge *edge, uint64_t id, struct identity *identity,
                    struct audience *audience)
{
    struct sub *sub = rt_alloc(sizeof(*sub));

    sub->id = id;
    sub->edge = edge;
    sub->identity = identity;
    sub->audience = audience;
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
    (void)rt_map_put_u64(edge->subs, id, sub);
    add_to_gauge(edge->route->config.stats->subscriptions, 1);
    if (audience->group != NULL) {
        sub_place(sub);
    }
}

static void drop_subs(struct identity *identity)
{
    struct sub *sub = identity->subs;

    while (sub != NULL) {
        struct sub *next = sub->identity_next;
        sub_free(sub);
        sub = next;
    }
}

static void forget_identity(struct route_edge *edge, struct identity *identity)
{
    drop_subs(identity);
    (void)rt_map_remove_u64(edge->identities, identity->id);
    add_to_gauge(edge->route->config.stats->identities, -1);
    free(identity);
}

/* A role that cannot be a name in PostgreSQL is kept as "", which no role is called. */
static const char *on_identify(struct route_edge *edge, const struct wire_identify *identify)
{
    struct identity *identity = rt_map_get_u64(edge->identities, identify->identity);
    char role[WIRE_NAME_MAX + 1] = "";

    if (identify->role.len <= WIRE_NAME_MAX && channel_clean_text(identify->role)) {
        memcpy(role, identify->role.data, identify->role.len);
        role[identify->role.len] = '\0';
    }
    if (identity != NULL) {
        /* The same identity with newer claims; its role is what its subscriptions were answered for. */
        return strcmp(identity->role, role) == 0 ? NULL : "an identity changed its role";
    }
    if (rt_map_count(edge->identities) >= ROUTE_IDENTITIES_MAX) {
        return "too many identities";
    }
    identity = rt_alloc(sizeof(*identity));
    identity->id = identify->identity;
    memcpy(identity->role, role, sizeof(role));
    (void)rt_map_put_u64(edge->identities, identity->id, identity);
    add_to_gauge(edge->route->config.stats->identities, 1);
    return NULL;
}

/* Why not, with the code in *out_code; NULL when it may be asked for. */
static const char *check_subscribe(const struct route_edge *edge,
                                   const struct wire_subscribe *subscribe,
                                   struct channel *out_channel, int *out_code)
{
    const struct route_config *config = &edge->route->config;
    const char *why = NULL;

    *out_code = WIRE_CODE_SUBSCRIPTION_FAILED;
    if (rt_map_count(edge->subs) >= ROUTE_SUBS_MAX) {
        return "too many subscriptions; try again later";
    }
    if (rt_map_get_u64(edge->identities, subscribe->identity) == NULL) {
        *out_code = WIRE_CODE_UNAUTHORIZED;
        return "the identity of this subscription is not known; connect again";
    }
    if (!channel_parse(subscribe->channel, out_channel, &why)) {
        *out_code = WIRE_CODE_INVALID_CHANNEL;
        return why;
    }
    if (rt_shard_of(subscribe->channel.data, subscribe->channel.len, config->shards) !=
        config->shard) {
        return "this channel belongs to another shard; is \"shards\" the same in every tier?";
    }
    /* Showing everything to somebody who asked for less would be wrong, and refusing is clear. */
    return subscribe->filter.len > 0 ? "filters are not supported" : NULL;
}

static void on_subscribe(struct route_edge *edge, const struct wire_subscribe *subscribe)
{
    struct sub *old = rt_map_get_u64(edge->subs, subscribe->sub);
    struct channel channel = { .schema = { .len = 0 } };
    int code = 0;

    if (old != NULL) {
        /* A refusal cannot name one of the two, so it ends both. */
        sub_refuse(old, WIRE_CODE_SUBSCRIPTION_FAILED,
                   "the number of this subscription was used twice");
        return;
    }
    const char *why = check_subscribe(edge, subscribe, &channel, &code);
    if (why != NULL) {
        write_refuse(edge, subscribe->sub, code, why);
        return;
    }
    struct identity *identity = rt_map_get_u64(edge->identities, subscribe->identity);
    struct route_table *table = table_get(edge->route, channel.schema, channel.table);
    sub_new(edge, subscribe->sub, identity, audience_get(table, identity->role));
}

/* The reader stands behind the record's number. */
static const char *on_record(struct route_edge *edge, enum wire_type type, struct wire_reader *in)
{
    struct wire_identify identify;
    struct wire_forget forget;
    struct wire_subscribe subscribe;
    struct wire_unsubscribe unsubscribe;
    struct wire_publish publish;
    enum wire_err err = WIRE_ERR_UNKNOWN;

    if (type == WIRE_IDENTIFY && (err = wire_decode_identify(in, &identify)) == WIRE_OK) {
        return on_identify(edge, &identify);
    }
    if (type == WIRE_SUBSCRIBE && (err = wire_decode_subscribe(in, &subscribe)) == WIRE_OK) {
        on_subscribe(edge, &subscribe);
    } else if (type == WIRE_UNSUBSCRIBE &&
               (err = wire_decode_unsubscribe(in, &unsubscribe)) == WIRE_OK) {
        struct sub *sub = rt_map_get_u64(edge->subs, unsubscribe.sub);
        if (sub != NULL) { /* else it was refused in the meantime */
            sub_free(sub);
        }
    } else if (type == WIRE_FORGET && (err = wire_decode_forget(in, &forget)) == WIRE_OK) {
        struct identity *identity = rt_map_get_u64(edge->identities, forget.identity);
        if (identity != NULL) {
            forget_identity(edge, identity);
        }
    } else if (type == WIRE_PUBLISH && (err = wire_decode_publish(in, &publish)) == WIRE_OK) {
        rt_counter_add(edge->route->config.stats->ignored, 1);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}

void sub_refuse(struct sub *sub, int code, const char *message)
{
    write_refuse(sub->edge, sub->id, code, message);
    sub_free(sub);
}

void subs_arm_all(struct route *route)
{
    size_t count = route->unarmed_count;

    if (!route->known) {
        return;
    }
    /* Arming takes nobody out of the list, so it is emptied at once. */
    route->unarmed_count = 0;
    for (size_t i = 0; i < count; i++) {
        sub_arm(route->unarmed[i].sub);
    }
}

void edge_drop_all(struct route_edge *edge)
{
    struct rt_map_iter iter = rt_map_begin(edge->identities);
    struct identity *identity = NULL;

    /* Every subscription belongs to an identity. */
    while ((identity = rt_map_next(&iter)) != NULL) {
        drop_subs(identity);
        rt_map_iter_remove(&iter);
        add_to_gauge(edge->route->config.stats->identities, -1);
        free(identity);
    }
}

const char *route_edge_message(struct route_edge *edge, struct wire_span message)
{
    struct wire_reader in;
    enum wire_type type = WIRE_IDENTIFY;
    enum wire_err err = WIRE_OK;

    wire_reader_init(&in, message.data, message.len);
    while ((err = wire_next_record(&in, &type)) == WIRE_OK) {
        const char *why = on_record(edge, type, &in);
        if (why != NULL) {
            return why;
        }
    }
    return err == WIRE_ERR_END ? NULL : wire_err_text(err);
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

void route_access(struct audience *audience, struct access *access)
{
    if (access->code != 0) {
        refuse_all(audience, access->code, access->message);
        return;
    }
    struct route_group *old = audience->group;
    struct route_group *group = group_for(audience->table, access);
    if (group == NULL) {
        refuse_all(audience, WIRE_CODE_SUBSCRIPTION_FAILED,
                   "this table is watched with too many different sets of columns");
        return;
    }
    access_ref(access);
    access_unref(audience->access);
    audience->access = access;
    audience->group = group;
    for (struct sub *sub = audience->subs; sub != NULL; sub = sub->audience_next) {
        if (sub->state == SUB_ASKING) {
            sub_place(sub);
        } else if (sub->state == SUB_ARMED && old != group) {
            group_leave(sub->at.member);
            sub_arm(sub);
        }
    }
    group_release(old);
}

void route_tick(struct route *route, rt_usec now)
{
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
