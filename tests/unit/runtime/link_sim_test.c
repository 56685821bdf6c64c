/* The two ends of a link over the network of link_world.h, from thousands of seeds. What must hold is
 * checked in the callbacks there; here is the trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/runtime/link_world.h"

/* PGTIDE_SIM_SEEDS=50000 makes a long run: as many seeds, and more steps of each. */
#define SEEDS      2000UL
#define STEPS      1000
#define LONG_STEPS 4000

struct chaos {
    enum rt_ring_policy policy;
    bool retain;
    uint64_t seeds;
    int steps;
    /* What came of it. */
    uint64_t frames;
    uint64_t lost;
    uint64_t again;
};

static void choose_faults(struct world *w)
{
    bool unordered = world_chance(w, 300);
    w->faults = (struct faults){ .stream_loss = (unsigned)(world_random(w) % 300),
                                 .stream_dup = world_chance(w, 500) ? 50 : 0,
                                 .stream_reorder = unordered ? 100 : 0,
                                 .control_loss =
                                     world_chance(w, 500) ? (unsigned)(world_random(w) % 60) : 0,
                                 .control_dup = world_chance(w, 300) ? 30 : 0,
                                 .control_reorder = unordered ? 30 : 0,
                                 .refuse_send = world_chance(w, 200) ? 10 : 0,
                                 .max_delay_ms = (unsigned)(1 + world_random(w) % 30) };
}

static void disturb(struct world *w)
{
    struct sub *sub = &w->subs[0];
    if (world_chance(w, 2)) {
        choose_faults(w);
    }
    if (world_chance(w, w->partitioned ? 5 : 1)) {
        w->partitioned = !w->partitioned;
        /* A SUB that comes back subscribes anew. */
        sub->subscribed_at = w->partitioned ? INT64_MAX : w->now + 20 * RT_MSEC;
    }
    if (world_chance(w, 1) && world_chance(w, 500)) {
        if (sub->running) {
            world_sub_stop(w, 0);
        } else {
            world_sub_start(w, 0);
        }
    } else if (!sub->running && world_chance(w, 10)) {
        world_sub_start(w, 0);
    }
    if (w->pub_running && world_chance(w, 1) && world_chance(w, 400)) {
        world_pub_stop(w);
    } else if (!w->pub_running && world_chance(w, 10)) {
        world_pub_start(w);
    }
    if (sub->running && sub->paused && world_chance(w, 50)) {
        world_set_paused(sub, false);
    }
}

static void produce(struct world *w)
{
    if (w->pub_running && world_chance(w, 400) &&
        (w->policy == RT_RING_EVICT || rt_stream_pending_bytes(w->stream) < RING_BYTES)) {
        world_publish(w);
        must(w, w->policy == RT_RING_EVICT ||
                    w->stream->ring.bytes <= RING_BYTES + KEEP_BYTES + (size_t)4 * FRAME_BYTES);
    }
    if (world_chance(w, 100)) {
        world_talk(w, &w->subs[0]);
    }
}

static void heal(struct world *w)
{
    struct sub *sub = &w->subs[0];
    w->faults = (struct faults){ .max_delay_ms = 1 };
    w->partitioned = false;
    if (!w->pub_running) {
        world_pub_start(w);
    }
    if (!sub->running) {
        world_sub_start(w, 0);
    }
    if (sub->subscribed_at == INT64_MAX) {
        sub->subscribed_at = w->now;
    }
    for (int i = 0; i < 6000; i++) {
        if (sub->paused) {
            world_set_paused(sub, false);
        }
        world_step(w);
        if (i > 500 && sub->expected == rt_stream_last_seq(w->stream) + 1 &&
            rt_stream_connected(w->stream) && sub->received == w->tx_sent &&
            w->tx_received == sub->sent && sub->rx.state == LINK_RX_UP) {
            return;
        }
    }
}

static void run_seed(struct chaos *chaos, uint64_t seed)
{
    struct world *w = world_new(seed, chaos->policy);
    struct sub *sub = &w->subs[0];
    w->retain = chaos->retain;
    choose_faults(w);
    world_pub_start(w);
    world_sub_start(w, 0);
    for (int i = 0; i < chaos->steps; i++) {
        disturb(w);
        produce(w);
        world_step(w);
    }
    heal(w);
    uint64_t last = rt_stream_last_seq(w->stream);
    must(w, sub->rx.state == LINK_RX_UP && rt_stream_connected(w->stream));
    must(w, sub->expected == last + 1 || (sub->expected == 0 && last == w->acked) ||
                (sub->expected == 0 && last == 0));
    must(w, sub->received == w->tx_sent && w->tx_received == sub->sent);
    chaos->frames += w->frames;
    chaos->lost += w->lost;
    chaos->again += w->again;
    world_free(w);
}

static struct chaos run_chaos(enum rt_ring_policy policy, bool retain)
{
    const char *wanted = getenv("PGTIDE_SIM_SEEDS");
    struct chaos chaos = { .policy = policy, .retain = retain, .seeds = SEEDS, .steps = STEPS };
    if (wanted != NULL) {
        chaos.seeds = strtoull(wanted, NULL, 10);
        chaos.steps = LONG_STEPS;
    }
    for (uint64_t seed = 1; seed <= chaos.seeds; seed++) {
        run_seed(&chaos, seed);
    }
    print_message("%llu frames, %llu again, %llu lost\n", (unsigned long long)chaos.frames,
                  (unsigned long long)chaos.again, (unsigned long long)chaos.lost);
    return chaos;
}

static void test_every_frame_comes_once_in_order_whatever_the_network_does(void **state)
{
    (void)state;
    struct chaos chaos = run_chaos(RT_RING_HOLD, false);

    assert_true(chaos.frames > 100 * chaos.seeds);
    assert_int_equal(chaos.lost, 0);
}

static void test_a_new_subscriber_gets_what_is_kept_whatever_the_network_does(void **state)
{
    (void)state;
    struct chaos chaos = run_chaos(RT_RING_HOLD, true);

    assert_true(chaos.frames > 100 * chaos.seeds);
    assert_true(chaos.again > 5 * chaos.seeds);
    assert_int_equal(chaos.lost, 0);
}

static void test_evicted_frames_are_reported_lost_and_no_others(void **state)
{
    (void)state;
    struct chaos chaos = run_chaos(RT_RING_EVICT, false);

    assert_true(chaos.frames > 50 * chaos.seeds);
    assert_true(chaos.lost > 5 * chaos.seeds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_comes_once_in_order_whatever_the_network_does),
        cmocka_unit_test(test_a_new_subscriber_gets_what_is_kept_whatever_the_network_does),
        cmocka_unit_test(test_evicted_frames_are_reported_lost_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
