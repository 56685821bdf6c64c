/* broker/route/session.c - sessions of edges: their messages and identities. */
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

static void drop_subs(struct identity *identity)
{
    struct sub *sub = identity->subs;

    while (sub != NULL) {
        struct sub *next = sub->identity_next;
        sub_free(sub);
        sub = next;
    }
}

static void identity_free(struct route_edge *edge, struct identity *identity)
{
    drop_subs(identity);
    edge->claims_bytes -= identity->claims == NULL ? 0 : identity->claims_len;
    add_to_gauge(edge->route->config.stats->identities, -1);
    free(identity->claims);
    free(identity);
}

/* For snapshots, which are read as this identity. Past the bound the identity goes without, and is refused snapshots. */
static void keep_claims(struct route_edge *edge, struct identity *identity, struct wire_span claims)
{
    edge->claims_bytes -= identity->claims == NULL ? 0 : identity->claims_len;
    free(identity->claims);
    identity->claims = NULL;
    identity->claims_len = claims.len;
    if (claims.len > 0 && edge->claims_bytes + claims.len <= ROUTE_CLAIMS_MAX) {
        identity->claims = rt_strndup(claims.data, claims.len);
        edge->claims_bytes += claims.len;
    }
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
        /* Its role is what its subscriptions were answered for. */
        if (strcmp(identity->role, role) != 0) {
            return "an identity changed its role";
        }
        keep_claims(edge, identity, identify->claims);
        return NULL;
    }
    if (rt_map_count(edge->identities) >= ROUTE_IDENTITIES_MAX) {
        return "too many identities";
    }
    identity = rt_alloc(sizeof(*identity));
    identity->id = identify->identity;
    memcpy(identity->role, role, sizeof(role));
    keep_claims(edge, identity, identify->claims);
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
    sub_new(edge, subscribe->sub, identity, audience_get(table, identity->role),
            resume_new(subscribe));
}

static void on_unsubscribe(struct route_edge *edge, const struct wire_unsubscribe *unsubscribe)
{
    struct sub *sub = rt_map_get_u64(edge->subs, unsubscribe->sub);

    if (sub != NULL) { /* else it was refused in the meantime */
        sub_free(sub);
    }
}

static void on_forget(struct route_edge *edge, const struct wire_forget *forget)
{
    struct identity *identity = rt_map_remove_u64(edge->identities, forget->identity);

    if (identity != NULL) {
        identity_free(edge, identity);
    }
}

static void on_more(struct route_edge *edge, const struct wire_more *more)
{
    struct sub *sub = rt_map_get_u64(edge->subs, more->sub);

    if (sub != NULL && sub->state == SUB_SNAPSHOT) {
        snapshot_more(sub, more->parts);
    }
}

/* The reader stands behind the record's number. */
static const char *on_record(struct route_edge *edge, enum wire_type type, struct wire_reader *in)
{
    struct wire_identify identify;
    struct wire_forget forget;
    struct wire_subscribe subscribe;
    struct wire_unsubscribe unsubscribe;
    struct wire_publish publish;
    struct wire_more more;
    enum wire_err err = WIRE_ERR_UNKNOWN;

    if (type == WIRE_IDENTIFY && (err = wire_decode_identify(in, &identify)) == WIRE_OK) {
        return on_identify(edge, &identify);
    }
    if (type == WIRE_SUBSCRIBE && (err = wire_decode_subscribe(in, &subscribe)) == WIRE_OK) {
        on_subscribe(edge, &subscribe);
    } else if (type == WIRE_UNSUBSCRIBE &&
               (err = wire_decode_unsubscribe(in, &unsubscribe)) == WIRE_OK) {
        on_unsubscribe(edge, &unsubscribe);
    } else if (type == WIRE_FORGET && (err = wire_decode_forget(in, &forget)) == WIRE_OK) {
        on_forget(edge, &forget);
    } else if (type == WIRE_MORE && (err = wire_decode_more(in, &more)) == WIRE_OK) {
        on_more(edge, &more);
    } else if (type == WIRE_PUBLISH && (err = wire_decode_publish(in, &publish)) == WIRE_OK) {
        rt_counter_add(edge->route->config.stats->ignored, 1);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}

void edge_drop_all(struct route_edge *edge)
{
    struct rt_map_iter iter = rt_map_begin(edge->identities);
    struct identity *identity = NULL;

    /* Every subscription belongs to an identity. */
    while ((identity = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        identity_free(edge, identity);
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
