/* edge/hub_publish.c - what clients send, and the answers to it. */
#include <stdlib.h>
#include <string.h>

#include "edge/hub_room_parts.h"
#include "runtime/shard.h"

uint64_t hub_reply_new(struct hub_client *client, struct hub_shard *shard, void *user)
{
    struct hub *hub = client->hub;

    if (user == NULL) {
        return 0;
    }
    struct hub_reply *reply = rt_alloc(sizeof *reply);
    reply->number = ++hub->last_number;
    reply->client = client;
    reply->user = user;
    list_append(&client->replies, &reply->in_client);
    list_append(&shard->replies, &reply->in_shard);
    (void)rt_map_put_u64(hub->replies, reply->number, reply);
    return reply->number;
}

void hub_reply_again(struct hub *hub, uint64_t number, bool again)
{
    struct hub_reply *reply = rt_map_get_u64(hub->replies, number);

    if (reply != NULL) {
        reply->again = again;
    }
}

static void reply_free(struct hub_reply *reply)
{
    (void)rt_map_remove_u64(reply->client->hub->replies, reply->number);
    list_remove(&reply->in_client);
    list_remove(&reply->in_shard);
    free(reply);
}

static void answer(struct hub_reply *reply, unsigned code, struct rt_span message,
                   const struct wire_place *place)
{
    struct hub_client *client = reply->client;
    void *user = reply->user;

    reply_free(reply);
    client->ops->on_done(client->session, user, code, message, place);
}

void hub_replies_end(struct hub_client *client)
{
    LIST_EACH(at, after, &client->replies)
    {
        reply_free(LIST_ELEMENT(at, struct hub_reply, in_client));
    }
}

void hub_replies_fail(struct hub_shard *shard)
{
    static const char lost[] = "the server that holds this channel was interrupted; this may not "
                               "have been done";
    const struct wire_place nowhere = { .stamp = 0 };

    LIST_EACH(at, after, &shard->replies)
    {
        struct hub_reply *reply = LIST_ELEMENT(at, struct hub_reply, in_shard);
        if (!reply->again) {
            answer(reply, WIRE_CODE_SUBSCRIPTION_FAILED,
                   (struct rt_span){ (const uint8_t *)lost, sizeof lost - 1 }, &nowhere);
        }
    }
}

const char *hub_shard_done(struct hub_shard *shard, const struct wire_done *done)
{
    struct hub_reply *reply = rt_map_get_u64(shard->hub->replies, done->reply);

    if (reply != NULL) {
        answer(reply, done->code,
               (struct rt_span){ (const uint8_t *)done->message.data, done->message.len },
               &done->place);
    }
    return NULL;
}

enum hub_err hub_publish(struct hub_client *client, const struct hub_publishing *publishing)
{
    struct hub *hub = client->hub;
    struct wire_publish record = {
        .identity = client->identity->number,
        .channel = { (const char *)publishing->channel.data, publishing->channel.len },
        .event = { (const char *)publishing->event.data, publishing->event.len },
        .payload = { (const char *)publishing->payload.data, publishing->payload.len },
        .sender = client->number,
        .to_sender = publishing->to_sender,
    };
    struct hub_shard *shard =
        &hub->shards[rt_shard_of(record.channel.data, record.channel.len, hub->shard_count)];

    if (client->expired) {
        return HUB_EXPIRED;
    }
    if (!shard->in_session) {
        return HUB_AWAY;
    }
    hub_identify(shard, client->identity);
    record.reply = hub_reply_new(client, shard, publishing->reply);
    uplink_publish(shard->uplink, &record);
    hub_shard_flush(shard);
    return HUB_OK;
}
