/* edge/hub_merge.c - clients that want whole transactions: their subscriptions are the sources of a merge (edge/merge.h).
 *
 * A source holds the others back from where its subscription is: while it is interrupted or catches up, and from the
 * start when it goes on from a position. What waits counts against the client's budget. A snapshot's changes are not in the order of
 * positions; they pass by the merge, and the source begins with the live stream.
 */
#include "edge/hub_parts.h"
#include "edge/merge.h"
#include "runtime/config.h"
#include "runtime/process.h"

static size_t budget(const struct hub *hub)
{
    return (size_t)hub->process->config->realtime_client_budget;
}

static void put_out(void *ctx, struct edge_frame *frame)
{
    struct hub_client *client = ctx;

    client->ops->deliver(client->to, frame);
}

static void put_commit(void *ctx, const struct wire_position *at, uint64_t count)
{
    struct hub_client *client = ctx;

    client->ops->on_commit(client->session, at, count);
}

void hub_merge_join(struct hub_client *client)
{
    const struct merge_sink sink = { .frame = put_out, .commit = put_commit, .ctx = client };

    client->merge = merge_new(&sink, budget(client->hub));
}

size_t hub_client_waiting(const struct hub_client *client)
{
    size_t held = client->merge != NULL ? merge_waiting_bytes(client->merge) : 0;

    return held + client->ops->waiting(client->session);
}

void hub_merge_begin(struct hub_sub *sub)
{
    struct hub_client *client = sub->client;

    if (client->merge != NULL && sub->source == NULL && sub->heir_of == NULL && sub->has_after) {
        sub->source = merge_add(client->merge, &sub->after);
        list_append(&sub->up->shard->merging, &sub->in_merging);
    }
}

void hub_merge_end(struct hub_sub *sub)
{
    if (sub->source != NULL) {
        list_remove(&sub->in_merging);
        merge_remove(sub->source);
        sub->source = NULL;
    }
}

struct wire_position hub_merge_start(const struct hub_client *client, struct wire_position from)
{
    struct wire_position out;

    if (client->merge != NULL && merge_out(client->merge, &out) && out.epoch == from.epoch &&
        wire_position_cmp(&from, &out) < 0) {
        return out;
    }
    return from;
}

void hub_merge_begin_anew(struct hub_sub *sub)
{
    struct merge_source *old = sub->source;

    if (old != NULL) {
        list_remove(&sub->in_merging);
        sub->source = NULL;
        hub_merge_begin(sub); /* first, so that the others do not go on to behind it */
        merge_remove(old);
    }
}

/* The client is sent away: what it misses now, it can have again. */
static void overflow(struct hub_client *client)
{
    if (!client->overflown) {
        client->overflown = true;
        client->ops->on_overflow(client->session);
    }
}

static void check(struct hub_client *client)
{
    if (hub_client_waiting(client) > budget(client->hub)) {
        overflow(client);
    }
}

void hub_merge_push(struct hub_sub *sub, const struct wire_position *at, struct edge_frame *frame)
{
    if (!sub->client->overflown) {
        (void)merge_push(sub->source, at, frame);
        check(sub->client);
    }
}

void hub_client_push(struct hub_client *client, struct merge_source *source,
                     const struct wire_position *at, struct edge_frame *frame)
{
    if (source == NULL) {
        client->ops->deliver(client->to, frame);
    } else if (!client->overflown) {
        (void)(at != NULL ? merge_push(source, at, frame) : merge_push_note(source, frame));
        check(client);
    }
}

void hub_sub_send(struct hub_sub *sub, struct edge_frame *frame)
{
    hub_client_push(sub->client, sub->source, NULL, frame);
}

void hub_merge_advance(struct hub_shard *shard)
{
    LIST_EACH(at, after, &shard->merging)
    {
        const struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_merging);
        if (sub->audience != NULL) {
            struct wire_position position = hub_sub_reached(sub);
            merge_advance(sub->source, &position);
        }
    }
    hub_rooms_advance(shard);
}
