/* edge/hub_client.c - clients, and who they are. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
#include "edge/merge.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"

/* Role and claims; what they expire at follows from the claims. */
static struct rt_span identity_key(struct hub *hub, const struct identity *identity)
{
    rt_buf_clear(&hub->key);
    rt_buf_append(&hub->key, identity->role, strlen(identity->role) + 1);
    rt_buf_append(&hub->key, identity->claims, identity->claims_len);
    return rt_buf_span(&hub->key);
}

/* Until when it is accepted, in wall time; a new connection with the same token would be until then. */
static rt_usec valid_until(const struct hub *hub, const struct identity *identity)
{
    if (identity->expires == 0) {
        return INT64_MAX;
    }
    return identity->expires + hub->process->config->auth_leeway;
}

/* A reference to the shared one; *identity is empty afterwards. */
static struct hub_identity *identity_get(struct hub *hub, struct identity *identity)
{
    struct rt_span key = identity_key(hub, identity);
    struct hub_identity *known = rt_map_get(hub->identities, key.data, key.len);

    if (known != NULL) {
        identity_fini(identity);
        known->refs++;
        return known;
    }
    known = rt_alloc(sizeof *known);
    known->number = ++hub->last_number;
    known->refs = 1;
    known->identity = *identity;
    *identity = (struct identity){ 0 };
    known->announced = rt_alloc(hub->shard_count / 8 + 1);
    list_init(&known->clients);
    rt_buf_append(&known->key, key.data, key.len);
    (void)rt_map_put(hub->identities, key.data, key.len, known);
    if (valid_until(hub, &known->identity) < hub->next_expiry) {
        hub->next_expiry = valid_until(hub, &known->identity);
    }
    return known;
}

void hub_identity_unref(struct hub *hub, struct hub_identity *identity)
{
    if (--identity->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        if ((identity->announced[i / 8] & (1u << (i % 8))) != 0) {
            uplink_forget(hub->shards[i].uplink, identity->number);
            hub_shard_flush(&hub->shards[i]);
        }
    }
    (void)rt_map_remove(hub->identities, identity->key.data, identity->key.len);
    rt_buf_fini(&identity->key);
    identity_fini(&identity->identity);
    free(identity->announced);
    free(identity);
}

/* --- clients ------------------------------------------------------------------------------------------------ */

static void flush_all(struct hub *hub)
{
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        hub_shard_flush(&hub->shards[i]);
    }
}

static void end_subs(struct hub_client *client)
{
    LIST_EACH(at, after, &client->subs)
    {
        hub_sub_free(LIST_ELEMENT(at, struct hub_sub, in_client));
    }
    hub_rooms_end(client);
    hub_replies_end(client);
    flush_all(client->hub);
}

void hub_client_end(struct hub_client *client)
{
    client->expired = true;
    end_subs(client);
}

struct hub_client *hub_join(struct hub *hub, const struct hub_joining *joining)
{
    struct hub_client *client = rt_alloc(sizeof *client);

    client->hub = hub;
    client->ops = joining->ops;
    client->dialect = joining->dialect;
    client->session = joining->session;
    client->to = joining->to;
    client->identity = identity_get(hub, joining->identity);
    list_init(&client->subs);
    list_init(&client->rooms);
    list_init(&client->replies);
    client->number = ++hub->last_client;
    if (joining->transactions) {
        hub_merge_join(client);
    }
    list_append(&client->identity->clients, &client->in_identity);
    return client;
}

void hub_leave(struct hub_client *client)
{
    if (client == NULL) {
        return;
    }
    end_subs(client);
    hub_seat_give_back(client);
    list_remove(&client->in_identity);
    list_remove(&client->in_stale);
    merge_free(client->merge);
    hub_identity_unref(client->hub, client->identity);
    free(client);
}

size_t hub_client_subs(const struct hub_client *client)
{
    return client->count;
}

void hub_set_identity(struct hub_client *client, struct identity *identity)
{
    struct hub *hub = client->hub;
    struct hub_identity *old = client->identity;

    client->identity = identity_get(hub, identity);
    list_remove(&client->in_identity);
    list_append(&client->identity->clients, &client->in_identity);
    if (client->identity != old) {
        LIST_EACH(at, after, &client->subs)
        {
            hub_sub_renew(LIST_ELEMENT(at, struct hub_sub, in_client));
        }
        hub_rooms_renew(client);
    }
    hub_identity_unref(hub, old);
    flush_all(hub);
}

/* --- expiry ------------------------------------------------------------------------------------------------- */

static void expire_client(struct hub_client *client)
{
    if (!client->expired) {
        hub_client_end(client);
        client->ops->on_expired(client->session);
    }
}

/* Ending subscriptions may free other identities, so those to expire are gathered first. */
void hub_expire(struct hub *hub, rt_usec wall)
{
    size_t count = 0;
    struct hub_identity *identity = NULL;

    if (wall < hub->next_expiry) {
        return;
    }
    hub->next_expiry = INT64_MAX;
    struct hub_identity **due =
        rt_alloc((rt_map_count(hub->identities) + 1) * sizeof(struct hub_identity *));
    struct rt_map_iter iter = rt_map_begin(hub->identities);
    while ((identity = rt_map_next(&iter)) != NULL) {
        rt_usec until = valid_until(hub, &identity->identity);
        if (until <= wall) {
            identity->refs++;
            due[count++] = identity;
        } else if (until < hub->next_expiry) {
            hub->next_expiry = until;
        }
    }
    for (size_t i = 0; i < count; i++) {
        LIST_EACH(at, after, &due[i]->clients)
        {
            expire_client(LIST_ELEMENT(at, struct hub_client, in_identity));
        }
        hub_identity_unref(hub, due[i]);
    }
    free(due);
}
