/* runtime/link_tx.c - what a publisher answers. Callbacks to the owner come last in each handler,
 * because they may free the stream. */
#include "runtime/link_tx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/map.h"

static void send_to(struct link_tx *tx, struct rt_span routing, const struct link_control *message)
{
    rt_buf_clear(&tx->out);
    link_control_encode(message, &tx->out);
    /* Not delivered means that the peer is gone or does not read; it asks again. */
    (void)tx->config.ops->control(tx->config.ops_ctx, routing, rt_buf_span(&tx->out));
}

static void malformed(struct link_tx *tx, const char *what)
{
    tx->stats.malformed++;
    rt_log_warn(tx->config.log, "link.malformed", RT_S("from", "subscriber"), RT_S("what", what));
}

static void refuse(struct link_tx *tx, struct rt_span routing, uint64_t nonce, bool final,
                   const char *reason)
{
    tx->stats.refused++;
    send_to(tx, routing,
            &(struct link_control){ .type = LINK_REFUSE,
                                    .link_version = LINK_VERSION,
                                    .app_version = tx->config.app_version,
                                    .nonce = nonce,
                                    .flag = final,
                                    .body = { (const uint8_t *)reason, strlen(reason) } });
}

static void refuse_hello(struct link_tx *tx, struct rt_span routing,
                         const struct link_control *hello, bool final, const char *reason)
{
    rt_log_warn(tx->config.log, "link.hello_refused",
                RT_SN("stream", (const char *)hello->name.data, hello->name.len),
                RT_U("peer", hello->peer), RT_S("reason", reason));
    refuse(tx, routing, hello->nonce, final, reason);
}

/* Whether the session that the peer talks about is the one we know, with no message missing. */
static bool consistent(const struct rt_stream *stream, const struct link_control *hello)
{
    const struct link_owner *owner = &stream->owner;
    if (owner->broken) {
        return false;
    }
    if (hello->flag && hello->epoch == stream->epoch) {
        return hello->sent == owner->received && hello->seq <= stream->ring.last;
    }
    /* It has not seen our welcome yet. That is fine as long as nothing was said in the session. */
    return owner->sent == 0 && owner->received == 0;
}

/* Where the peer goes on: behind what it has of this epoch, and never at what is gone. */
static uint64_t next_for(const struct rt_stream *stream, const struct link_control *hello)
{
    uint64_t next = stream->ring.first;
    if (hello->epoch == stream->epoch && hello->seq <= stream->ring.last && hello->seq + 1 > next) {
        next = hello->seq + 1;
    }
    return next;
}

static void welcome(struct rt_stream *stream, const struct link_control *hello)
{
    uint64_t next = next_for(stream, hello);
    stream->owner.open = true;
    seq_tx_serve(&stream->ring, next);
    (void)link_stream_control(stream, &(struct link_control){ .type = LINK_WELCOME,
                                                              .epoch = stream->epoch,
                                                              .session = stream->owner.session,
                                                              .nonce = hello->nonce,
                                                              .seq = next,
                                                              .last = stream->ring.last,
                                                              .sent = stream->owner.sent });
    /* What was sent before the peer subscribed it learns of by this; see link_tx_subscribed(). */
    link_stream_heartbeat(stream);
}

static struct link_owner owner_of(struct rt_span routing, const struct link_control *hello)
{
    struct link_owner owner = { .known = true,
                                .peer = hello->peer,
                                .session = hello->session,
                                .nonce = hello->nonce,
                                .routing_len = routing.len };
    memcpy(owner.routing, routing.data, routing.len);
    return owner;
}

static struct rt_stream *ask_owner(struct link_tx *tx, const struct link_control *hello, bool fresh,
                                   char refusal[256])
{
    char name[LINK_NAME_MAX + 1];
    memcpy(name, hello->name.data, hello->name.len);
    name[hello->name.len] = 0;
    snprintf(refusal, 256, "no stream of the name %s here; check the shard numbers and addresses",
             name);
    return tx->config.events->on_hello(tx->config.ctx, name, hello->peer, fresh, refusal);
}

static void accept_fresh(struct link_tx *tx, struct rt_stream *known, struct rt_span routing,
                         const struct link_control *hello, rt_usec now)
{
    struct link_owner old = { .known = false };
    if (known != NULL) {
        old = known->owner;
        known->owner.open = false; /* nothing goes to the old owner out of on_hello */
    }
    char refusal[256];
    struct rt_stream *stream = ask_owner(tx, hello, true, refusal);
    if (stream == NULL) {
        if (rt_map_get(tx->by_name, hello->name.data, hello->name.len) == known && known != NULL) {
            known->owner.open = old.open;
        }
        refuse_hello(tx, routing, hello, false, refusal);
        return;
    }
    if (old.known && old.peer != hello->peer && stream == known) {
        char text[256];
        snprintf(text, sizeof(text),
                 "stream %s was taken over by peer %016" PRIx64
                 "; two processes are configured for it, or this one was restarted elsewhere",
                 stream->name, hello->peer);
        rt_log_warn(tx->config.log, "link.replaced", RT_S("stream", stream->name),
                    RT_U("old_peer", old.peer), RT_U("peer", hello->peer));
        refuse(tx, (struct rt_span){ old.routing, old.routing_len }, old.nonce, true, text);
        link_stream_replaced(stream, old.peer);
    }
    struct link_owner owner = owner_of(routing, hello);
    link_stream_bind(stream, &owner, now);
    tx->stats.sessions++;
    rt_log_info(tx->config.log, "link.session", RT_S("stream", stream->name),
                RT_U("peer", hello->peer), RT_U("session", hello->session),
                RT_U("first", stream->ring.first), RT_U("last", stream->ring.last));
    welcome(stream, hello);
}

static void resume(struct rt_stream *stream, struct rt_span routing,
                   const struct link_control *hello, rt_usec now)
{
    struct link_tx *tx = stream->tx;
    if (!consistent(stream, hello)) {
        send_to(tx, routing,
                &(struct link_control){ .type = LINK_RESET,
                                        .epoch = stream->epoch,
                                        .session = hello->session,
                                        .nonce = hello->nonce });
        return;
    }
    if (!stream->owner.open) {
        char refusal[256];
        struct rt_stream *again = ask_owner(tx, hello, false, refusal);
        if (again != stream) {
            refuse_hello(tx, routing, hello, false, refusal);
            return;
        }
        rt_log_info(tx->config.log, "link.resumed", RT_S("stream", stream->name),
                    RT_U("peer", hello->peer));
    }
    struct link_owner owner = owner_of(routing, hello);
    owner.nonce = hello->nonce > stream->owner.nonce ? hello->nonce : stream->owner.nonce;
    owner.sent = stream->owner.sent;
    owner.received = stream->owner.received;
    link_stream_bind(stream, &owner, now);
    welcome(stream, hello);
}

static void on_hello(struct link_tx *tx, struct rt_span routing, const struct link_control *hello,
                     rt_usec now)
{
    if (hello->link_version != LINK_VERSION || hello->app_version != tx->config.app_version) {
        char text[256];
        snprintf(text, sizeof(text),
                 "publisher has link version %d and record version %" PRIu32
                 ", subscriber has %u and %" PRIu32 "; run the same release on both sides",
                 LINK_VERSION, tx->config.app_version, (unsigned)hello->link_version,
                 hello->app_version);
        refuse_hello(tx, routing, hello, false, text);
        return;
    }
    struct rt_stream *stream = rt_map_get(tx->by_name, hello->name.data, hello->name.len);
    if (stream != NULL && link_stream_was_replaced(stream, hello->peer)) {
        refuse_hello(tx, routing, hello, true,
                     "this process was replaced by a newer one for the same stream");
        return;
    }
    if (stream == NULL || !stream->owner.known || stream->owner.peer != hello->peer ||
        stream->owner.session < hello->session) {
        accept_fresh(tx, stream, routing, hello, now);
    } else if (stream->owner.session == hello->session) {
        resume(stream, routing, hello, now);
    }
    /* A smaller number is a hello that was overtaken. */
}

static void on_ack(struct rt_stream *stream, const struct link_control *ack)
{
    struct link_tx *tx = stream->tx;
    if (ack->seq > stream->ring.last) {
        malformed(tx, "acknowledgement of a frame that was never sent");
        return;
    }
    if (ack->flag) {
        (void)link_stream_control(stream,
                                  &(struct link_control){ .type = LINK_PONG,
                                                          .epoch = stream->epoch,
                                                          .session = stream->owner.session,
                                                          .last = stream->ring.last,
                                                          .sent = stream->owner.sent,
                                                          .received = stream->owner.received });
    }
    uint64_t tag = 0;
    if (seq_tx_ack(&stream->ring, ack->seq, &tag)) {
        link_stream_trim(stream);
        tx->config.events->on_ack(tx->config.ctx, stream, ack->seq, tag);
    }
}

static void on_replay(struct rt_stream *stream, const struct link_control *ask)
{
    struct link_tx *tx = stream->tx;
    size_t max = ask->bytes > LINK_REPLAY_BYTES ? LINK_REPLAY_BYTES : (size_t)ask->bytes;
    struct seq_answer answer =
        seq_tx_answer(&stream->ring, ask->from, ask->to, max, LINK_REPLAY_FRAMES);
    bool sent =
        link_stream_control(stream, &(struct link_control){ .type = LINK_ANSWER,
                                                            .epoch = stream->epoch,
                                                            .session = stream->owner.session,
                                                            .from = ask->from,
                                                            .to = answer.to,
                                                            .bytes = answer.bytes,
                                                            .seq = stream->ring.first,
                                                            .last = stream->ring.last });
    struct rt_span routing = { stream->owner.routing, stream->owner.routing_len };
    /* When the peer's queue is full the rest is asked for again after a time-out. */
    for (uint64_t seq = answer.from; sent && seq <= answer.to; seq++) {
        sent = tx->config.ops->replay(tx->config.ops_ctx, routing, seq_tx_get(&stream->ring, seq));
        stream->stats.replayed += sent ? 1 : 0;
    }
}

static void no_session(struct link_tx *tx, struct rt_span routing,
                       const struct link_control *message)
{
    send_to(tx, routing,
            &(struct link_control){
                .type = LINK_NO_SESSION, .epoch = message->epoch, .session = message->session });
}

/* More was sent to us than came. */
static void lost_message(struct rt_stream *stream, struct rt_span routing,
                         const struct link_control *message)
{
    rt_log_warn(stream->tx->config.log, "link.message_lost", RT_S("stream", stream->name),
                RT_U("received", stream->owner.received));
    stream->owner.open = false;
    stream->owner.broken = true;
    no_session(stream->tx, routing, message);
}

static void on_message(struct rt_stream *stream, struct rt_span routing,
                       const struct link_control *message)
{
    struct link_tx *tx = stream->tx;
    if (message->seq > stream->owner.received + 1) {
        lost_message(stream, routing, message);
    } else if (message->seq == stream->owner.received + 1) {
        stream->owner.received++;
        tx->config.events->on_message(tx->config.ctx, stream, message->body);
    }
}

/* Everything but a hello belongs to a session. */
static void in_session(struct link_tx *tx, struct rt_span routing,
                       const struct link_control *message, rt_usec now)
{
    struct rt_stream *stream = rt_map_get(tx->by_routing, routing.data, routing.len);
    if (stream == NULL || !stream->owner.open || message->epoch != stream->epoch ||
        message->session != stream->owner.session) {
        /* Only what comes regularly is answered, so that a burst is not echoed. */
        if (message->type == LINK_ACK) {
            no_session(tx, routing, message);
        }
        return;
    }
    stream->heard = now;
    if (message->type == LINK_MESSAGE) {
        on_message(stream, routing, message);
    } else if (message->type == LINK_REPLAY) {
        on_replay(stream, message);
    } else if (message->sent > stream->owner.received) {
        lost_message(stream, routing, message);
    } else {
        on_ack(stream, message);
    }
}

void link_tx_init(struct link_tx *tx, const struct link_tx_config *config)
{
    *tx = (struct link_tx){ .config = *config };
    tx->by_name = rt_map_new();
    tx->by_routing = rt_map_new();
}

void link_tx_fini(struct link_tx *tx)
{
    while (tx->streams != NULL) {
        rt_stream_free(tx->streams);
    }
    rt_map_free(tx->by_name);
    rt_map_free(tx->by_routing);
    rt_buf_fini(&tx->out);
}

void link_tx_control(struct link_tx *tx, struct rt_span routing, struct rt_span message,
                     rt_usec now)
{
    struct link_control control;
    if (routing.len == 0 || routing.len > LINK_ROUTING_MAX) {
        malformed(tx, "routing id");
        return;
    }
    if (!link_control_decode(message, &control)) {
        malformed(tx, "side-channel message");
        return;
    }
    switch (control.type) {
    case LINK_HELLO:
        on_hello(tx, routing, &control, now);
        break;
    case LINK_ACK:
    case LINK_REPLAY:
    case LINK_MESSAGE:
        in_session(tx, routing, &control, now);
        break;
    case LINK_WELCOME:
    case LINK_REFUSE:
    case LINK_RESET:
    case LINK_NO_SESSION:
    case LINK_PONG:
    case LINK_ANSWER:
        malformed(tx, "message that only a publisher sends");
        break;
    }
}

void link_tx_subscribed(struct link_tx *tx, struct rt_span topic)
{
    if (topic.len < 2 || topic.data[topic.len - 1] != 0) {
        return; /* somebody's own filter; harmless */
    }
    struct rt_stream *stream = rt_map_get(tx->by_name, topic.data, topic.len - 1);
    if (stream != NULL) {
        link_stream_heartbeat(stream);
    }
}

/* The callback may free any stream, so the walk begins again after each. */
static bool report_one_silent(struct link_tx *tx, rt_usec now)
{
    for (struct rt_stream *stream = tx->streams; stream != NULL; stream = stream->next) {
        if (stream->owner.open && now - stream->heard > tx->config.lease) {
            stream->owner.open = false;
            rt_log_warn(tx->config.log, "link.silent", RT_S("stream", stream->name),
                        RT_U("peer", stream->owner.peer));
            tx->config.events->on_silent(tx->config.ctx, stream);
            return true;
        }
    }
    return false;
}

void link_tx_tick(struct link_tx *tx, rt_usec now)
{
    /* Time in which we did not run is nobody else's silence. */
    rt_usec stopped = now - tx->ticked > 2 * tx->config.heartbeat ? now - tx->ticked : 0;
    tx->ticked = now;
    for (struct rt_stream *stream = tx->streams; stream != NULL; stream = stream->next) {
        if (stream->heard > 0) {
            stream->heard = stream->heard + stopped > now ? now : stream->heard + stopped;
        }
        link_stream_heartbeat(stream);
        link_stream_trim(stream);
    }
    while (report_one_silent(tx, now)) {
    }
}
