/* edge/frame_pack.c - see edge/frame_pack.h. */
#include "edge/frame_pack.h"

#include "edge/edge_metrics.h"
#include "edge/ws_deflate.h"
#include "runtime/config.h"

enum { PAYLOAD_MAX = 1 << 20 };

void frame_packer_init(struct frame_packer *packer, const struct rt_config *config,
                       const struct edge_metrics *metrics)
{
    *packer = (struct frame_packer){
        .config = config,
        .metrics = metrics,
        .deflater = ws_deflater_new((int)config->edge_compression_level),
    };
}

void frame_packer_fini(struct frame_packer *packer)
{
    ws_deflater_free(packer->deflater);
    rt_buf_fini(&packer->out);
}

static void pack(struct frame_packer *packer, struct edge_frame *frame, struct rt_span payload)
{
    const struct edge_deflate_metrics *metrics = &packer->metrics->deflate;

    if (ws_deflate(packer->deflater, payload, &packer->out)) {
        rt_counter_add(metrics->frames, 1);
        rt_counter_add(metrics->bytes_before, payload.len);
        rt_counter_add(metrics->bytes_after, packer->out.len);
    } else {
        rt_counter_add(metrics->useless, 1);
    }
    edge_frame_set_packed(frame, rt_buf_span(&packer->out));
}

struct edge_frame *frame_pack(struct frame_packer *packer, struct edge_frame *frame,
                              unsigned window_bits)
{
    if (frame->packing == EDGE_FRAME_AS_IS) {
        return frame;
    }
    struct rt_span payload = edge_frame_payload(frame);
    if (payload.len < (size_t)packer->config->edge_compression_threshold ||
        payload.len > PAYLOAD_MAX || (window_bits < 15 && payload.len > (size_t)1 << window_bits)) {
        return frame;
    }
    if (frame->packing == EDGE_FRAME_PLAIN) {
        pack(packer, frame, payload);
    }
    if (frame->packing == EDGE_FRAME_AS_IS) {
        return frame;
    }
    rt_counter_add(packer->metrics->deflate.sent, 1);
    rt_counter_add(packer->metrics->deflate.bytes_saved, frame->len - frame->packed->len);
    return frame->packed;
}
