/* edge/frame_pack.h - compressed frames: which messages, made when, shared by whom.
 *
 * A message is compressed when the first client that has agreed to permessage-deflate is sent it, and that result is sent to
 * all of them; the others get the frame as it is. So compressing costs something per message, not per client. It is left alone when its
 * payload is shorter than edge.compression.threshold, longer than 1 MiB (nobody is served meanwhile: 3 to 10 ms), or not smaller afterwards.
 *
 * All are compressed with a window of 32 KiB. A client that asked for less (server_max_window_bits) gets only payloads compressed that fit
 * into its window as a whole, where no reference can reach further back; everything else goes to it as it is, which every
 * message may (RFC 7692 6).
 */
#ifndef PGTIDE_EDGE_FRAME_PACK_H
#define PGTIDE_EDGE_FRAME_PACK_H

#include "edge/frame.h"
#include "runtime/buf.h"

struct edge_metrics;
struct rt_config;
struct ws_deflater;

struct frame_packer {
    const struct rt_config *config;
    const struct edge_metrics *metrics;
    struct ws_deflater *deflater;
    struct rt_buf out; /* scratch */
};

void frame_packer_init(struct frame_packer *packer, const struct rt_config *config,
                       const struct edge_metrics *metrics);
void frame_packer_fini(struct frame_packer *packer);
/* What to send in the place of `frame` to a client whose window has `window_bits`: itself or its compressed twin, borrowed. */
struct edge_frame *frame_pack(struct frame_packer *packer, struct edge_frame *frame,
                              unsigned window_bits);

#endif
