/* tests/unit/runtime/link_net.c - see the header. */
#include "tests/unit/runtime/link_net.h"

#include <stdlib.h>
#include <string.h>

static bool is_before(const struct packet *a, const struct packet *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

/* Packets are a binary heap, the next one first. */
static void push_packet(struct world *w, struct packet packet)
{
    size_t at = w->packet_count++;
    while (at > 0 && is_before(&packet, &w->packets[(at - 1) / 2])) {
        w->packets[at] = w->packets[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->packets[at] = packet;
}

struct packet net_pop(struct world *w)
{
    struct packet first = w->packets[0];
    struct packet moved = w->packets[--w->packet_count];
    size_t at = 0;
    for (size_t child = 1; child < w->packet_count; child = 2 * at + 1) {
        if (child + 1 < w->packet_count && is_before(&w->packets[child + 1], &w->packets[child])) {
            child++;
        }
        if (!is_before(&w->packets[child], &moved)) {
            break;
        }
        w->packets[at] = w->packets[child];
        at = child;
    }
    w->packets[at] = moved;
    return first;
}

static void put_packet(struct world *w, enum channel channel, size_t sub, struct rt_span bytes,
                       bool reorder)
{
    if (w->packet_count == PACKETS_MAX) {
        return;
    }
    rt_usec due = w->now + 100 + (rt_usec)(world_random(w) % (w->faults.max_delay_ms * 1000 + 1));
    if (!reorder && due < w->last_due[channel][sub]) {
        due = w->last_due[channel][sub];
    }
    w->last_due[channel][sub] = due > w->last_due[channel][sub] ? due : w->last_due[channel][sub];
    struct packet packet = { .due = due,
                             .order = w->order++,
                             .channel = channel,
                             .life = channel == TO_PUB ? w->pub_life : w->subs[sub].life,
                             .sub = sub,
                             .peer = w->subs[sub].peer,
                             .len = bytes.len };
    packet.data = malloc(bytes.len + 1);
    memcpy(packet.data, bytes.data, bytes.len);
    push_packet(w, packet);
}

static void send_control_packet(struct world *w, enum channel channel, size_t sub,
                                struct rt_span bytes)
{
    if (w->partitioned || world_chance(w, w->faults.control_loss)) {
        return;
    }
    put_packet(w, channel, sub, bytes, world_chance(w, w->faults.control_reorder));
    if (world_chance(w, w->faults.control_dup)) {
        put_packet(w, channel, sub, bytes, world_chance(w, w->faults.control_reorder));
    }
}

static void on_publish(void *ctx, struct seq_frame *frame)
{
    struct world *w = ctx;
    for (size_t i = 0; i < SUBS; i++) {
        struct sub *sub = &w->subs[i];
        if (!sub->running || sub->subscribed_at != 0 || w->partitioned ||
            world_chance(w, w->faults.stream_loss)) {
            continue;
        }
        struct rt_span bytes = { frame->data, frame->len };
        put_packet(w, TO_SUB_STREAM, i, bytes, world_chance(w, w->faults.stream_reorder));
        if (world_chance(w, w->faults.stream_dup)) {
            put_packet(w, TO_SUB_STREAM, i, bytes, world_chance(w, w->faults.stream_reorder));
        }
    }
}

static bool on_send_to_sub(void *ctx, struct rt_span routing, struct rt_span message)
{
    struct world *w = ctx;
    for (size_t i = 0; i < SUBS; i++) {
        if (w->subs[i].running && routing.len == 8 &&
            memcmp(routing.data, &w->subs[i].peer, 8) == 0) {
            if (world_chance(w, w->faults.refuse_send)) {
                return false;
            }
            send_control_packet(w, TO_SUB, i, message);
            return true;
        }
    }
    return false;
}

static bool on_replay(void *ctx, struct rt_span routing, struct seq_frame *frame)
{
    return on_send_to_sub(ctx, routing, (struct rt_span){ frame->data, frame->len });
}

static bool on_send_to_pub(void *ctx, struct rt_span message)
{
    struct sub *sub = ctx;
    if (!sub->world->pub_running || world_chance(sub->world, sub->world->faults.refuse_send)) {
        return false;
    }
    send_control_packet(sub->world, TO_PUB, sub->index, message);
    return true;
}

const struct link_tx_ops net_tx_ops = { on_publish, on_send_to_sub, on_replay };
static void on_reconnect(void *ctx, bool both)
{
    (void)ctx;
    (void)both;
}

const struct link_rx_ops net_rx_ops = { on_send_to_pub, on_reconnect };
