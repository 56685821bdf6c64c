/* edge/carrier.c - see edge/carrier.h. */
#include "edge/carrier.h"

#include <stdlib.h>

#include "edge/addresses.h"
#include "edge/admission.h"
#include "edge/conn_internal.h"
#include "edge/frame.h"
#include "edge/sse/sse.h"
#include "edge/ws_deflate.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/loop.h"
#include "runtime/process.h"

static const rt_usec TICK = 50 * RT_MSEC;

static void on_tick(void *ctx)
{
    struct edge_carrier *carrier = ctx;

    timer_wheel_advance(carrier->wheel, rt_now());
    if (timer_wheel_count(carrier->wheel) == 0) {
        rt_timer_stop(carrier->tick);
        carrier->ticking = false;
    }
}

void edge_carrier_init(struct edge_carrier *carrier, const struct rt_process *process)
{
    *carrier = (struct edge_carrier){
        .loop = process->loop,
        .log = process->log,
        .config = process->config,
        .wheel = timer_wheel_new(rt_now(), TICK),
        .input = rt_alloc(CARRIER_INPUT_BYTES),
        .ping = edge_frame_control(WS_PING, NULL, 0),
        .comment = sse_comment("keep-alive"),
        .addresses = addresses_new(),
    };
    edge_metrics_init(&carrier->metrics, process->metrics);
    frame_packer_init(&carrier->packer, carrier->config, &carrier->metrics);
    carrier->inflater = ws_inflater_new();
    carrier->tick = rt_timer_new(carrier->loop, on_tick, carrier);
    list_init(&carrier->conns);
    list_init(&carrier->dirty);
    carrier->flush = rt_defer_new(carrier->loop, edge_conn_flush_all, carrier);
}

void edge_carrier_fini(struct edge_carrier *carrier)
{
    rt_defer_free(carrier->flush);
    rt_timer_free(carrier->tick);
    timer_wheel_free(carrier->wheel);
    frame_packer_fini(&carrier->packer);
    ws_inflater_free(carrier->inflater);
    edge_frame_unref(carrier->ping);
    edge_frame_unref(carrier->comment);
    addresses_free(carrier->addresses);
    free(carrier->input);
}

void edge_carrier_set_timer(struct edge_carrier *carrier, struct wheel_timer *timer, rt_usec due)
{
    if (!carrier->ticking) {
        timer_wheel_advance(carrier->wheel, rt_now());
        rt_timer_set(carrier->tick, TICK, TICK);
        carrier->ticking = true;
    }
    timer_wheel_set(carrier->wheel, timer, due);
}

unsigned edge_carrier_retry_ms(const struct edge_carrier *carrier)
{
    return admission_retry_ms(carrier->conn_count, carrier->config->realtime_connect_rate,
                              rt_random64());
}

void edge_carrier_cancel_timer(struct edge_carrier *carrier, struct wheel_timer *timer)
{
    timer_wheel_cancel(carrier->wheel, timer);
}
