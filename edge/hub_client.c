/* edge/hub_client.c - clients, who they are, and what they asked for.
 *
 * A change of identity must lose nothing: a subscription in force stays where it is, and an heir of it waits for
 * the shard's answer under the new identity. The answer has a place in the stream; there the heir's place is
 * taken over, and the handle that the dialect holds stays the same throughout.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hub_parts.h"
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

/* --- client subscriptions ------------------------------------------------------------------------------- */

static struct hub_sub *sub_new(struct hub_client *client, const struct hub_want *want)
{
    struct hub_sub *sub = rt_alloc(sizeof *sub + want->text.len);

    sub->client = client;
    sub->events = want->events;
    sub->form = want->form;
    sub->user = want->user;
    sub->since = client->hub->now();
    sub->text_len = want->text.len;
    memcpy(sub->text, want->text.data, want->text.len);
    return sub;
}

/* Out of every list but the client's. */
static void unlink_sub(struct hub_sub *sub)
{
    struct hub_up *up = sub->up;

    hub_audience_leave(sub);
    list_remove(&sub->in_waiting);
    list_remove(&sub->in_up);
    sub->up = NULL;
    if (up != NULL) {
        hub_up_drop_if_unused(up);
    }
}

static void heir_free(struct hub_sub *heir)
{
    heir->heir_of->heir = NULL;
    unlink_sub(heir);
    free(heir);
}

static void sub_free(struct hub_sub *sub)
{
    struct hub_client *client = sub->client;

    if (sub->heir != NULL) {
        heir_free(sub->heir);
    }
    unlink_sub(sub);
    list_remove(&sub->in_client);
    client->count--;
    client->hub->sub_count--;
    free(sub);
}

/* `sub` takes the place of its heir. */
static void take_over(struct hub_sub *sub, struct hub_sub *heir)
{
    struct hub_up *old = sub->up;

    sub->heir = NULL;
    hub_audience_leave(sub);
    list_remove(&sub->in_up);
    sub->up = heir->up;
    list_append(&sub->up->subs, &sub->in_up);
    list_remove(&heir->in_up);
    list_remove(&heir->in_waiting);
    free(heir);
    hub_up_drop_if_unused(old);
}

static void tell_gap(struct hub_sub *sub, const struct wire_position *position)
{
    struct hub_gap gap = {
        .after = sub->after,
        .position = *position,
        .reason = "the connection to the server that holds this channel was interrupted",
    };

    sub->interrupted = false;
    if (hub_position_not_after(position, &sub->after)) {
        return; /* the shard has gone back to a point before: nothing is missing */
    }
    rt_counter_add(sub->client->hub->metrics.gaps, 1);
    sub->client->ops->on_gap(sub->client->session, sub->user, &gap);
}

void hub_sub_arm(struct hub_sub *sub, const struct wire_position *position)
{
    if (sub->heir_of != NULL) {
        struct hub_sub *heir = sub;
        sub = heir->heir_of;
        take_over(sub, heir);
    }
    struct hub_group *group = sub->up->group;
    if (sub->audience == NULL || sub->audience->group != group) {
        hub_audience_leave(sub);
        hub_audience_enter(group, sub);
    }
    if (!sub->acked) {
        sub->acked = true;
        list_remove(&sub->in_waiting);
        struct hub_accepted accepted = {
            .position = *position,
            .defined = group->def != NULL,
            .columns = group->def,
        };
        sub->client->ops->on_accepted(sub->client->session, sub->user, &accepted);
    } else if (sub->interrupted) {
        tell_gap(sub, position);
    }
}

void hub_sub_refuse(struct hub_sub *sub, enum wire_code code, struct rt_span message)
{
    struct hub_sub *told = sub->heir_of != NULL ? sub->heir_of : sub;
    struct hub_client *client = told->client;
    void *user = told->user;

    sub_free(told); /* with its heir */
    hub_count_refusal(client->hub, code);
    client->ops->on_refused(client->session, user, code, message);
}

static void wait_for_answer(struct hub_sub *sub)
{
    struct hub *hub = sub->client->hub;

    if (sub->up->group == NULL) {
        list_append(&hub->waiting, &sub->in_waiting);
    }
}

static void flush_all(struct hub *hub)
{
    for (uint32_t i = 0; i < hub->shard_count; i++) {
        hub_shard_flush(&hub->shards[i]);
    }
}

enum hub_err hub_subscribe(struct hub_client *client, const struct hub_want *want,
                           struct hub_sub **out_sub)
{
    struct hub *hub = client->hub;

    if (client->expired) {
        return HUB_EXPIRED;
    }
    if (client->count >= (size_t)hub->process->config->realtime_max_subscriptions) {
        return HUB_TOO_MANY;
    }
    struct hub_sub *sub = sub_new(client, want);
    struct wire_span channel = { (const char *)want->channel.data, want->channel.len };
    struct hub_up *up = hub_up_get(hub, client->identity, channel);
    client->count++;
    hub->sub_count++;
    list_append(&client->subs, &sub->in_client);
    *out_sub = sub;
    hub_up_attach(up, sub);
    wait_for_answer(sub);
    hub_shard_flush(up->shard);
    return HUB_OK;
}

void hub_unsubscribe(struct hub_sub *sub)
{
    struct hub_shard *shard = sub->up->shard;
    struct hub *hub = sub->client->hub;
    bool two_shards = sub->heir != NULL;

    sub_free(sub);
    if (two_shards) {
        flush_all(hub);
    } else {
        hub_shard_flush(shard);
    }
}

/* --- clients ------------------------------------------------------------------------------------------------ */

static void end_subs(struct hub_client *client)
{
    LIST_EACH(at, after, &client->subs)
    {
        sub_free(LIST_ELEMENT(at, struct hub_sub, in_client));
    }
    flush_all(client->hub);
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
    list_append(&client->identity->clients, &client->in_identity);
    return client;
}

void hub_leave(struct hub_client *client)
{
    if (client == NULL) {
        return;
    }
    end_subs(client);
    list_remove(&client->in_identity);
    hub_identity_unref(client->hub, client->identity);
    free(client);
}

size_t hub_client_subs(const struct hub_client *client)
{
    return client->count;
}

/* The same subscription, hidden, under the client's present identity. */
static struct hub_sub *heir_new(struct hub_sub *sub)
{
    struct hub_sub *heir =
        sub_new(sub->client, &(struct hub_want){
                                 .form = sub->form,
                                 .text = { (const uint8_t *)sub->text, sub->text_len },
                                 .events = sub->events,
                             });

    heir->acked = true;
    heir->heir_of = sub;
    sub->heir = heir;
    return heir;
}

static void move_to_up(struct hub_sub *sub, struct hub_up *up)
{
    struct hub_up *old = sub->up;

    list_remove(&sub->in_up);
    hub_up_attach(up, sub);
    hub_up_drop_if_unused(old);
}

/* Under the client's new identity. */
static void renew_sub(struct hub_sub *sub)
{
    struct hub_client *client = sub->client;
    struct wire_span channel = { sub->up->channel, sub->up->channel_len };
    struct hub_up *up = hub_up_get(client->hub, client->identity, channel);

    if (sub->heir != NULL) {
        heir_free(sub->heir);
    }
    if (sub->up == up) {
        hub_up_drop_if_unused(up);
    } else if (sub->audience == NULL) { /* nothing to lose yet */
        move_to_up(sub, up);
    } else {
        struct hub_sub *heir = heir_new(sub);
        hub_up_attach(up,
                      heir); /* takes over at once, if that channel is in force for the identity */
        if (sub->heir != NULL) {
            wait_for_answer(heir);
        }
    }
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
            renew_sub(LIST_ELEMENT(at, struct hub_sub, in_client));
        }
    }
    hub_identity_unref(hub, old);
    flush_all(hub);
}

/* --- expiry ------------------------------------------------------------------------------------------------- */

static void expire_client(struct hub_client *client)
{
    if (!client->expired) {
        client->expired = true;
        end_subs(client);
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
