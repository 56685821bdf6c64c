/* edge/uplink.c - see uplink.h. */
#include "edge/uplink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/sub.h"

enum { GATHER_BYTES = 32 * 1024, WAIT_BYTES = 16 * 1024 * 1024 };

struct uplink {
    struct rt_sub *sub;
    struct rt_log *log;
    const struct uplink_events *events;
    void *ctx;
    struct wire_writer out; /* gathered */
    bool failed;            /* since the last flush */
    char label[32];
};

static void on_session(void *ctx, uint64_t epoch, bool fresh)
{
    struct uplink *uplink = ctx;

    rt_log_info(uplink->log, "shard.session", RT_S("shard", uplink->label), RT_U("epoch", epoch),
                RT_S("fresh", fresh ? "yes" : "no"));
    uplink->events->on_session(uplink->ctx, fresh);
}

static void on_frame(void *ctx, uint64_t seq, struct rt_span frame)
{
    struct uplink *uplink = ctx;

    uplink->events->on_frame(uplink->ctx, frame);
    rt_sub_ack(uplink->sub, seq);
}

/* on_session(fresh) follows and does what is to be done. */
static void on_lost(void *ctx, uint64_t from, uint64_t to)
{
    struct uplink *uplink = ctx;

    rt_log_warn(uplink->log, "shard.lost", RT_S("shard", uplink->label), RT_U("from", from),
                RT_U("to", to));
}

/* Brokers say everything on the stream, where it has its place among the changes. */
static void on_message(void *ctx, struct rt_span message)
{
    struct uplink *uplink = ctx;

    rt_log_warn(uplink->log, "shard.unexpected_message", RT_S("shard", uplink->label),
                RT_U("bytes", message.len));
}

static void on_down(void *ctx)
{
    struct uplink *uplink = ctx;

    rt_log_warn(uplink->log, "shard.silent", RT_S("shard", uplink->label));
    uplink->events->on_down(uplink->ctx,
                            "it is silent for longer than links.lease; is its broker running?");
}

static void on_refused(void *ctx, const char *reason, bool final)
{
    struct uplink *uplink = ctx;

    rt_log_error(uplink->log, "shard.refused", RT_S("shard", uplink->label), RT_S("reason", reason),
                 RT_S("final", final ? "yes" : "no"));
    uplink->events->on_down(uplink->ctx, reason);
}

static const struct rt_sub_events sub_events = {
    .on_session = on_session,
    .on_frame = on_frame,
    .on_lost = on_lost,
    .on_message = on_message,
    .on_down = on_down,
    .on_refused = on_refused,
};

static void send_gathered(struct uplink *uplink)
{
    if (uplink->out.len == 0) {
        return;
    }
    if (!rt_sub_in_session(uplink->sub)) {
        if (uplink->out.len > WAIT_BYTES) {
            rt_log_warn(uplink->log, "shard.messages_dropped", RT_S("shard", uplink->label),
                        RT_U("bytes", uplink->out.len));
            wire_writer_clear(&uplink->out);
        }
        return;
    }
    if (!rt_sub_message(uplink->sub, (struct rt_span){ uplink->out.data, uplink->out.len })) {
        uplink->failed = true;
    }
    wire_writer_clear(&uplink->out);
}

static void gathered(struct uplink *uplink)
{
    if (uplink->out.len >= GATHER_BYTES) {
        send_gathered(uplink);
    }
}

struct uplink *uplink_new(const struct uplink_config *config)
{
    const struct rt_config *options = config->process->config;
    struct uplink *uplink = rt_alloc(sizeof *uplink);
    char *publish = rt_config_shard_address(options->broker_publish, config->shard);
    char *control = rt_config_shard_address(options->broker_control, config->shard);
    char stream[32];

    uplink->log = config->process->log;
    uplink->events = config->events;
    uplink->ctx = config->ctx;
    (void)snprintf(uplink->label, sizeof uplink->label, "shard-%" PRIu32, config->shard);
    (void)snprintf(stream, sizeof stream, "edge-%016" PRIx64, config->peer_id);
    uplink->sub = rt_sub_new(&(struct rt_sub_config){
        .loop = config->process->loop,
        .log = config->process->log,
        .metrics = config->process->metrics,
        .publish = publish,
        .control = control,
        .stream_name = stream,
        .label = uplink->label,
        .peer_id = config->peer_id,
        .keys = config->keys,
        .app_version = WIRE_VERSION,
        .hold_bytes = (size_t)options->links_edge_ring,
        .heartbeat = options->links_heartbeat,
        .lease = options->links_lease,
        .events = &sub_events,
        .ctx = uplink,
    });
    free(publish);
    free(control);
    return uplink;
}

void uplink_free(struct uplink *uplink)
{
    if (uplink == NULL) {
        return;
    }
    rt_sub_free(uplink->sub);
    wire_writer_fini(&uplink->out);
    free(uplink);
}

void uplink_identify(struct uplink *uplink, uint64_t number, const struct identity *identity)
{
    wire_encode_identify(
        &uplink->out,
        &(struct wire_identify){
            .identity = number,
            .role = { identity->role, strlen(identity->role) },
            .claims = { identity->claims != NULL ? identity->claims : "", identity->claims_len },
            .expires = identity->expires,
        });
    gathered(uplink);
}

void uplink_forget(struct uplink *uplink, uint64_t number)
{
    wire_encode_forget(&uplink->out, &(struct wire_forget){ .identity = number });
    gathered(uplink);
}

void uplink_subscribe(struct uplink *uplink, const struct wire_subscribe *record)
{
    wire_encode_subscribe(&uplink->out, record);
    gathered(uplink);
}

void uplink_more(struct uplink *uplink, uint64_t sub, uint32_t parts)
{
    wire_encode_more(&uplink->out, &(struct wire_more){ .sub = sub, .parts = parts });
    gathered(uplink);
}

void uplink_unsubscribe(struct uplink *uplink, uint64_t sub)
{
    wire_encode_unsubscribe(&uplink->out, &(struct wire_unsubscribe){ .sub = sub });
    gathered(uplink);
}

void uplink_publish(struct uplink *uplink, const struct wire_publish *record)
{
    wire_encode_publish(&uplink->out, record);
    gathered(uplink);
}

void uplink_track(struct uplink *uplink, const struct wire_track *record)
{
    wire_encode_track(&uplink->out, record);
    gathered(uplink);
}

void uplink_untrack(struct uplink *uplink, const struct wire_untrack *record)
{
    wire_encode_untrack(&uplink->out, record);
    gathered(uplink);
}

void uplink_seat(struct uplink *uplink, const struct wire_seat *record)
{
    wire_encode_seat(&uplink->out, record);
    gathered(uplink);
}

void uplink_unseat(struct uplink *uplink, uint64_t seat)
{
    wire_encode_unseat(&uplink->out, &(struct wire_unseat){ .seat = seat });
    gathered(uplink);
}

bool uplink_flush(struct uplink *uplink)
{
    send_gathered(uplink);
    bool sent = !uplink->failed;
    uplink->failed = false;
    return sent;
}
