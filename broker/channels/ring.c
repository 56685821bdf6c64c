/* broker/channels/ring.c - messages that are kept for those who come back. */
#include <stdlib.h>
#include <string.h>

#include "broker/channels/parts.h"
#include "runtime/buf.h"

static size_t size_of(const struct kept *kept)
{
    return sizeof(*kept) + kept->event_len + kept->payload_len;
}

/* Of its topic: the oldest. */
static void forget(struct kept *kept)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
    struct topic *topic = kept->topic;
    struct channels *channels = topic->channels;
    size_t size = size_of(kept);

    topic->floor = kept->place;
    topic->kept_bytes -= size;
    channels->kept_bytes -= size;
    chain_remove(&kept->in_topic);
    chain_remove(&kept->in_all);
    free(kept);
    rt_gauge_set(channels->metrics.kept_bytes, (double)channels->kept_bytes);
}

static struct kept *oldest_of(const struct chain *all)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of the list before */
    return CHAIN_ELEMENT(all->first, struct kept, in_all);
}

void ring_keep(struct topic *topic, const struct wire_place *place, struct wire_span event,
               struct wire_span payload)
{
    struct channels *channels = topic->channels;
    struct kept *kept = rt_alloc(sizeof(*kept) + event.len + payload.len);

    kept->topic = topic;
    kept->place = *place;
    kept->at = channels->config.now();
    kept->event_len = (uint32_t)event.len;
    kept->payload_len = (uint32_t)payload.len;
    memcpy(kept->bytes, event.data, event.len);
    memcpy(kept->bytes + event.len, payload.data, payload.len);
    chain_append(&topic->kept, &kept->in_topic);
    chain_append(&channels->kept, &kept->in_all);
    topic->kept_bytes += size_of(kept);
    channels->kept_bytes += size_of(kept);
    while (topic->kept_bytes > channels->config.topic_bytes &&
           (kept = CHAIN_ELEMENT(topic->kept.first, struct kept, in_topic)) != NULL) {
        forget(kept);
    }
    while (channels->kept_bytes > channels->config.replay_bytes &&
           (kept = oldest_of(&channels->kept)) != NULL) {
        struct topic *other = kept->topic;
        forget(kept);
        if (other != topic) {
            topic_drop_if_unused(other);
        }
    }
    rt_gauge_set(channels->metrics.kept_bytes, (double)channels->kept_bytes);
}

void ring_expire(struct channels *channels, rt_usec now)
{
    struct kept *kept = NULL;

    while ((kept = oldest_of(&channels->kept)) != NULL &&
           now - kept->at >= channels->config.replay_time) {
        struct topic *topic = kept->topic;
        forget(kept);
        topic_drop_if_unused(topic);
    }
}

void ring_drop_all(struct channels *channels)
{
    struct kept *kept = NULL;

    while ((kept = oldest_of(&channels->kept)) != NULL) {
        struct topic *topic = kept->topic;
        forget(kept);
        topic_drop_if_unused(topic);
    }
}
