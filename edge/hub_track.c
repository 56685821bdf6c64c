/* edge/hub_track.c - presences of this edge's clients, as they are said to the shard, and said again after it was lost. */
#include <stdlib.h>
#include <string.h>

#include "edge/hub_room_parts.h"
#include "runtime/clock.h"

static struct hub_tracked *find(const struct hub_room *room, struct rt_span key)
{
    LIST_EACH(at, after, &room->tracks)
    {
        struct hub_tracked *tracked = LIST_ELEMENT(at, struct hub_tracked, in_room);
        if (tracked->key_len == key.len && memcmp(tracked->text, key.data, key.len) == 0) {
            return tracked;
        }
    }
    return NULL;
}

static void send_track(const struct hub_room *room, const struct hub_tracked *tracked)
{
    struct hub_shard *shard = room->pass->topic->shard;

    if (!shard->in_session) {
        return; /* said when there is one */
    }
    hub_identify(shard, room->pass->identity);
    uplink_track(shard->uplink, &(struct wire_track){
                                    .identity = room->pass->identity->number,
                                    .channel = topic_name(room->pass->topic),
                                    .ref = tracked->ref,
                                    .key = { tracked->text, tracked->key_len },
                                    .meta = { tracked->text + tracked->key_len, tracked->meta_len },
                                    .reply = tracked->reply,
                                });
}

enum hub_err hub_track(struct hub_room *room, struct rt_span key, struct rt_span meta, void *reply)
{
    struct hub_shard *shard = room->pass->topic->shard;
    struct hub_tracked *tracked = find(room, key);

    if (!shard->in_session) {
        return HUB_AWAY;
    }
    if (tracked == NULL) {
        if (room->track_count >= HUB_TRACKS_MAX) {
            return HUB_TOO_MANY;
        }
        tracked = rt_alloc(sizeof *tracked);
        tracked->ref = rt_random64();
        list_append(&room->tracks, &tracked->in_room);
        room->track_count++;
    }
    tracked->text = rt_realloc(tracked->text, key.len + meta.len + 1, 1);
    tracked->key_len = key.len;
    tracked->meta_len = meta.len;
    memcpy(tracked->text, key.data, key.len);
    memcpy(tracked->text + key.len, meta.data, meta.len);
    hub_reply_again(room->client->hub, tracked->reply, false);
    tracked->reply = hub_reply_new(room->client, shard, reply);
    hub_reply_again(room->client->hub, tracked->reply, true);
    send_track(room, tracked);
    hub_shard_flush(shard);
    return HUB_OK;
}

static void end_track(struct hub_room *room, struct hub_tracked *tracked)
{
    struct hub_shard *shard = room->pass->topic->shard;

    if (shard->in_session) {
        uplink_untrack(shard->uplink,
                       &(struct wire_untrack){ .channel = topic_name(room->pass->topic),
                                               .ref = tracked->ref });
    }
    hub_reply_again(room->client->hub, tracked->reply, false);
    list_remove(&tracked->in_room);
    room->track_count--;
    free(tracked->text);
    free(tracked);
}

bool hub_untrack(struct hub_room *room, struct rt_span key)
{
    struct hub_tracked *tracked = find(room, key);

    if (tracked == NULL) {
        return false;
    }
    end_track(room, tracked);
    hub_shard_flush(room->pass->topic->shard);
    return true;
}

void hub_tracks_announce(const struct hub_room *room)
{
    LIST_EACH(at, after, &room->tracks)
    {
        send_track(room, LIST_ELEMENT(at, struct hub_tracked, in_room));
    }
}

void hub_tracks_end(struct hub_room *room)
{
    LIST_EACH(at, after, &room->tracks)
    {
        end_track(room, LIST_ELEMENT(at, struct hub_tracked, in_room));
    }
}
