/* broker/route/session.c - sessions of edges: their messages and identities. */
#include <stdlib.h>
#include <string.h>

#include "broker/channel.h"
#include "broker/route/parts.h"
#include "runtime/buf.h"
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
    rt_roster_remove(edge->identities, &identity->listed);
    edge->claims_bytes -= identity->claims == NULL ? 0 : identity->claims_len;
    add_to_gauge(edge->route->config.stats->identities, -1);
    claims_unref(identity->claims);
    free(identity);
}

/* Claims are for policies, and for snapshots, which are read as this identity. Past the bound it goes without, and is refused
 * both. */
static struct identity *identity_new(struct route_edge *edge, const char *role,
                                     struct wire_span claims)
{
    bool keep = claims.len > 0 && edge->claims_bytes + claims.len <= ROUTE_CLAIMS_MAX;
    size_t role_size = strlen(role) + 1;
    struct identity *identity = rt_alloc(sizeof(*identity) + role_size);

    memcpy(identity->role, role, role_size);
    identity->claims_len = claims.len;
    if (keep) {
        identity->claims = claims_new(claims);
        edge->claims_bytes += claims.len;
    }
    return identity;
}

static bool same_claims(const struct identity *identity, struct wire_span claims)
{
    return identity->claims_len == claims.len &&
           (identity->claims == NULL ||
            memcmp(identity->claims->text, claims.data, claims.len) == 0);
}

/* A role that cannot be a name in PostgreSQL is kept as "", which no role is called. */
static const char *on_identify(struct route_edge *edge, const struct wire_identify *identify)
{
    struct identity *identity = identity_find(edge, identify->identity);
    char role[WIRE_NAME_MAX + 1] = "";

    if (identify->role.len <= WIRE_NAME_MAX && channel_clean_text(identify->role)) {
        memcpy(role, identify->role.data, identify->role.len);
        role[identify->role.len] = '\0';
    }
    if (identity != NULL) {
        /* Its role is what its subscriptions were answered for. */
        if (strcmp(identity->role, role) != 0 || !same_claims(identity, identify->claims)) {
            return "an identity changed its role or its claims";
        }
        return NULL;
    }
    if (rt_roster_count(edge->identities) >= ROUTE_IDENTITIES_MAX) {
        return "too many identities";
    }
    identity = identity_new(edge, role, identify->claims);
    rt_roster_add(edge->identities, &identity->listed, identify->identity);
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
    if (rt_roster_count(edge->subs) >= ROUTE_SUBS_MAX) {
        return "too many subscriptions; try again later";
    }
    if (identity_find(edge, subscribe->identity) == NULL) {
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
    return memchr(subscribe->filter.data, '\0', subscribe->filter.len) != NULL
               ? "a filter has no NUL bytes"
               : NULL;
}

static void on_subscribe(struct route_edge *edge, const struct wire_subscribe *subscribe)
{
    struct sub *old = sub_find(edge, subscribe->sub);
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
    struct identity *identity = identity_find(edge, subscribe->identity);
    struct route_table *table = table_get(edge->route, channel.schema, channel.table);
    struct sub *sub = sub_new(edge, subscribe->sub, identity, audience_get(table, identity->role),
                              resume_new(subscribe));
    if (subscribe->filter.len > 0) {
        sub->filter = rt_strndup(subscribe->filter.data, subscribe->filter.len);
        sub->filter_kind = (uint8_t)subscribe->filter_kind;
    }
    sub_begin(sub);
}

static void on_unsubscribe(struct route_edge *edge, const struct wire_unsubscribe *unsubscribe)
{
    const struct route_config *config = &edge->route->config;

    if (config->guests != NULL &&
        config->guests->unsubscribe(config->ctx, edge->guest, unsubscribe->sub)) {
        return;
    }
    struct sub *sub = sub_find(edge, unsubscribe->sub);

    if (sub != NULL) { /* else it was refused in the meantime */
        sub_free(sub);
    }
}

static void on_forget(struct route_edge *edge, const struct wire_forget *forget)
{
    struct identity *identity = identity_find(edge, forget->identity);
    const struct route_config *config = &edge->route->config;
    if (config->guests != NULL) {
        config->guests->forget(config->ctx, edge->guest, forget->identity);
    }
    if (identity != NULL) {
        identity_free(edge, identity);
    }
}

static void on_more(struct route_edge *edge, const struct wire_more *more)
{
    struct sub *sub = sub_find(edge, more->sub);

    if (sub != NULL && sub->state == SUB_SNAPSHOT) {
        snapshot_more(sub, more->parts);
    }
}

/* --- guests: channels that are not of tables, and seats -------------------------------------------------------------- */

static struct route_speaker speaker_of(const struct route_edge *edge, uint64_t number)
{
    const struct identity *identity = identity_find(edge, number);
    struct route_speaker speaker = { .identity = number, .role = "", .claims = { "", 0 } };

    if (identity != NULL) {
        speaker.role = identity->role;
        speaker.authenticated = identity->claims_len > 0;
        if (identity->claims != NULL) {
            speaker.claims = (struct wire_span){ identity->claims->text, identity->claims_len };
        }
    }
    return speaker;
}

/* An identity that is not known has no rights, and the guest refuses it. */
static const char *guest_record(struct route_edge *edge, enum wire_type type,
                                struct wire_reader *in)
{
    const struct route_config *config = &edge->route->config;
    struct wire_publish publish;
    struct wire_track track;
    struct wire_untrack untrack;
    enum wire_err err = WIRE_OK;

    if (config->guests == NULL) {
        return wire_err_text(WIRE_ERR_UNKNOWN);
    }
    if (type == WIRE_PUBLISH && (err = wire_decode_publish(in, &publish)) == WIRE_OK) {
        struct route_speaker speaker = speaker_of(edge, publish.identity);
        config->guests->publish(config->ctx, edge->guest, &publish, &speaker);
    } else if (type == WIRE_TRACK && (err = wire_decode_track(in, &track)) == WIRE_OK) {
        struct route_speaker speaker = speaker_of(edge, track.identity);
        config->guests->track(config->ctx, edge->guest, &track, &speaker);
    } else if (type == WIRE_UNTRACK && (err = wire_decode_untrack(in, &untrack)) == WIRE_OK) {
        config->guests->untrack(config->ctx, edge->guest, &untrack);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}

static const char *seat_record(struct route_edge *edge, enum wire_type type, struct wire_reader *in)
{
    const struct route_config *config = &edge->route->config;
    struct wire_seat seat;
    struct wire_unseat unseat;
    enum wire_err err = WIRE_ERR_UNKNOWN;

    if (config->guests == NULL) {
        return wire_err_text(err);
    }
    if (type == WIRE_SEAT && (err = wire_decode_seat(in, &seat)) == WIRE_OK) {
        return config->guests->seat(config->ctx, edge->guest, &seat);
    }
    if (type == WIRE_UNSEAT && (err = wire_decode_unseat(in, &unseat)) == WIRE_OK) {
        config->guests->unseat(config->ctx, edge->guest, &unseat);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}

/* False: it is of a table. */
static bool guest_subscribe(struct route_edge *edge, const struct wire_subscribe *subscribe)
{
    const struct route_config *config = &edge->route->config;

    if (config->guests == NULL || !config->guests->owns(subscribe->channel)) {
        return false;
    }
    struct route_speaker speaker = speaker_of(edge, subscribe->identity);
    config->guests->subscribe(config->ctx, edge->guest, subscribe, &speaker);
    return true;
}

/* The reader stands behind the record's number. */
static const char *on_record(struct route_edge *edge, enum wire_type type, struct wire_reader *in)
{
    struct wire_identify identify;
    struct wire_forget forget;
    struct wire_subscribe subscribe;
    struct wire_unsubscribe unsubscribe;
    struct wire_more more;
    enum wire_err err = WIRE_ERR_UNKNOWN;

    if (type == WIRE_PUBLISH || type == WIRE_TRACK || type == WIRE_UNTRACK) {
        return guest_record(edge, type, in);
    }
    if (type == WIRE_SEAT || type == WIRE_UNSEAT) {
        return seat_record(edge, type, in);
    }
    if (type == WIRE_IDENTIFY && (err = wire_decode_identify(in, &identify)) == WIRE_OK) {
        return on_identify(edge, &identify);
    }
    if (type == WIRE_SUBSCRIBE && (err = wire_decode_subscribe(in, &subscribe)) == WIRE_OK) {
        if (!guest_subscribe(edge, &subscribe)) {
            on_subscribe(edge, &subscribe);
        }
    } else if (type == WIRE_UNSUBSCRIBE &&
               (err = wire_decode_unsubscribe(in, &unsubscribe)) == WIRE_OK) {
        on_unsubscribe(edge, &unsubscribe);
    } else if (type == WIRE_FORGET && (err = wire_decode_forget(in, &forget)) == WIRE_OK) {
        on_forget(edge, &forget);
    } else if (type == WIRE_MORE && (err = wire_decode_more(in, &more)) == WIRE_OK) {
        on_more(edge, &more);
    }
    return err == WIRE_OK ? NULL : wire_err_text(err);
}

void edge_drop_all(struct route_edge *edge)
{
    struct rt_roster_iter iter = rt_roster_begin(edge->identities);
    struct rt_listed *at = NULL;

    /* Every subscription belongs to an identity. */
    while ((at = rt_roster_next(&iter)) != NULL) {
        identity_free(edge, (struct identity *)(void *)at);
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
