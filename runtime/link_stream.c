/* runtime/link_stream.c - one stream of a publisher: its ring, its owner, its life. */
#include <stdlib.h>
#include <string.h>

#include "runtime/link_tx.h"
#include "runtime/log.h"
#include "runtime/map.h"

static struct rt_span owner_routing(const struct rt_stream *stream)
{
    return (struct rt_span){ stream->owner.routing, stream->owner.routing_len };
}

static struct seq_frame *make_frame(struct rt_stream *stream, enum link_kind kind,
                                    struct rt_span payload, uint64_t seq)
{
    uint8_t prefix[LINK_PREFIX_MAX];
    size_t prefix_len =
        link_frame_prefix(stream->name, kind, stream->epoch, (uint32_t)payload.len, prefix);
    link_frame_set_seq(prefix, prefix_len, seq);
    struct seq_frame *frame = seq_frame_new(prefix_len + payload.len);
    memcpy(frame->data, prefix, prefix_len);
    if (payload.len > 0) {
        memcpy(frame->data + prefix_len, payload.data, payload.len);
    }
    return frame;
}

/* A hostile peer may use one routing id for two streams; each stream takes back only its own entry. */
static void unbind(struct rt_stream *stream)
{
    struct rt_map *map = stream->tx->by_routing;
    struct rt_span routing = owner_routing(stream);
    if (stream->owner.known && rt_map_get(map, routing.data, routing.len) == stream) {
        (void)rt_map_remove(map, routing.data, routing.len);
    }
}

struct rt_stream *link_stream_new(struct link_tx *tx, const char *name, void *user)
{
    size_t len = strlen(name);
    if (!link_name_valid(name, len) || rt_map_get(tx->by_name, name, len) != NULL) {
        rt_log_error(tx->config.log, "link.bad_stream", RT_S("stream", name));
        return NULL;
    }
    struct rt_stream *stream = rt_alloc(sizeof(*stream));
    stream->tx = tx;
    stream->user = user;
    /* A stream that is freed and made again starts at 1 again, so it must not look like the old one. */
    stream->epoch = tx->config.epoch + tx->made++;
    memcpy(stream->name, name, len + 1);
    seq_tx_init(&stream->ring);
    stream->next = tx->streams;
    if (tx->streams != NULL) {
        tx->streams->prev = stream;
    }
    tx->streams = stream;
    (void)rt_map_put(tx->by_name, name, len, stream);
    return stream;
}

void link_stream_heartbeat(struct rt_stream *stream)
{
    struct link_tx *tx = stream->tx;
    struct seq_frame *frame =
        make_frame(stream, LINK_HEARTBEAT, (struct rt_span){ NULL, 0 }, stream->ring.last);
    tx->config.ops->publish(tx->config.ops_ctx, frame);
    seq_frame_unref(frame);
}

/* Until the first tick no time is known, and nothing is old. */
void link_stream_trim(struct rt_stream *stream)
{
    const struct link_tx_config *config = &stream->tx->config;
    rt_usec oldest = stream->tx->ticked - config->retain_time;
    seq_tx_trim(&stream->ring, config->retain_bytes, oldest);
}

void link_stream_bind(struct rt_stream *stream, const struct link_owner *owner, rt_usec now)
{
    unbind(stream);
    stream->owner = *owner;
    stream->heard = now;
    (void)rt_map_put(stream->tx->by_routing, owner->routing, owner->routing_len, stream);
}

void link_stream_replaced(struct rt_stream *stream, uint64_t peer)
{
    if (stream->replaced_count == LINK_REPLACED_MAX) {
        memmove(stream->replaced, stream->replaced + 1, sizeof(stream->replaced) - sizeof(peer));
        stream->replaced_count--;
    }
    stream->replaced[stream->replaced_count++] = peer;
}

bool link_stream_was_replaced(const struct rt_stream *stream, uint64_t peer)
{
    for (size_t i = 0; i < stream->replaced_count; i++) {
        if (stream->replaced[i] == peer) {
            return true;
        }
    }
    return false;
}

bool link_stream_control(struct rt_stream *stream, const struct link_control *message)
{
    struct link_tx *tx = stream->tx;
    rt_buf_clear(&tx->out);
    link_control_encode(message, &tx->out);
    return tx->config.ops->control(tx->config.ops_ctx, owner_routing(stream),
                                   rt_buf_span(&tx->out));
}

void rt_stream_free(struct rt_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    struct link_tx *tx = stream->tx;
    unbind(stream);
    (void)rt_map_remove(tx->by_name, stream->name, strlen(stream->name));
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        tx->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    if (stream->extra != NULL) {
        stream->extra_free(stream->extra);
    }
    seq_tx_fini(&stream->ring);
    free(stream);
}

void *rt_stream_user(const struct rt_stream *stream)
{
    return stream->user;
}

const char *rt_stream_name(const struct rt_stream *stream)
{
    return stream->name;
}

uint64_t rt_stream_send(struct rt_stream *stream, struct rt_span frame, uint64_t tag)
{
    struct link_tx *tx = stream->tx;
    if (frame.len > LINK_FRAME_MAX) {
        rt_log_error(tx->config.log, "link.frame_too_large", RT_S("stream", stream->name),
                     RT_U("bytes", frame.len), RT_U("limit", LINK_FRAME_MAX));
        return 0;
    }
    uint64_t seq = stream->ring.last + 1;
    struct seq_frame *sent = make_frame(stream, LINK_DATA, frame, seq);
    sent->tag = tag;
    sent->at = tx->ticked;
    (void)seq_tx_push(&stream->ring, sent);
    stream->stats.frames++;
    stream->stats.bytes += frame.len;
    tx->config.ops->publish(tx->config.ops_ctx, sent);

    if (tx->config.policy == RT_RING_EVICT) {
        uint64_t first = stream->ring.first;
        uint64_t evicted = seq_tx_evict(&stream->ring, tx->config.ring_bytes);
        stream->stats.evicted += evicted;
        if (evicted > 0 && tx->config.events->on_evict != NULL) {
            tx->config.events->on_evict(tx->config.ctx, stream, first, first + evicted - 1);
        }
    }
    return seq;
}

bool rt_stream_message(struct rt_stream *stream, struct rt_span message)
{
    struct link_owner *owner = &stream->owner;
    if (!owner->open) {
        return false;
    }
    struct link_control control = { .type = LINK_MESSAGE,
                                    .epoch = stream->epoch,
                                    .session = owner->session,
                                    .seq = owner->sent + 1,
                                    .body = message };
    if (message.len > LINK_MESSAGE_MAX) {
        rt_log_error(stream->tx->config.log, "link.message_too_large", RT_S("stream", stream->name),
                     RT_U("bytes", message.len), RT_U("limit", LINK_MESSAGE_MAX));
        return false;
    }
    if (!link_stream_control(stream, &control)) {
        /* The connection is gone or clogged. The owner is told that this message was not sent, and
         * must be asked anew, so what follows is another session. */
        owner->open = false;
        owner->broken = true;
        return false;
    }
    owner->sent++;
    return true;
}

bool rt_stream_connected(const struct rt_stream *stream)
{
    return stream->owner.open;
}

size_t rt_stream_pending_bytes(const struct rt_stream *stream)
{
    return stream->ring.pending;
}

uint64_t rt_stream_last_seq(const struct rt_stream *stream)
{
    return stream->ring.last;
}

uint64_t rt_stream_acked_seq(const struct rt_stream *stream)
{
    return stream->ring.done;
}

uint64_t rt_stream_acked_tag(const struct rt_stream *stream)
{
    return stream->ring.done_tag;
}

uint64_t rt_stream_first_seq(const struct rt_stream *stream)
{
    return stream->ring.first;
}

size_t rt_stream_retained_bytes(const struct rt_stream *stream)
{
    return stream->ring.bytes - stream->ring.pending;
}

rt_usec rt_stream_last_heard(const struct rt_stream *stream)
{
    return stream->heard;
}
