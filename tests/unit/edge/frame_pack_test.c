/* Which frames are compressed, how often, and who shares them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/conn_queue.h"
#include "edge/edge_metrics.h"
#include "edge/frame_pack.h"
#include "edge/ws_deflate.h"
#include "runtime/config.h"

enum { THRESHOLD = 100, WINDOW_15 = 15 };

struct fixture {
    struct rt_config config;
    struct rt_metrics *registry;
    struct edge_metrics metrics;
    struct frame_packer packer;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    f->config.edge_compression_threshold = THRESHOLD;
    f->config.edge_compression_level = 1;
    f->registry = rt_metrics_new();
    edge_metrics_init(&f->metrics, f->registry);
    frame_packer_init(&f->packer, &f->config, &f->metrics);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    frame_packer_fini(&f->packer);
    rt_metrics_free(f->registry);
    free(f);
    return 0;
}

static struct edge_frame *frame_of(size_t len)
{
    uint8_t *text = rt_alloc(len);

    memset(text, 'x', len);
    struct edge_frame *frame = edge_frame_text(text, len);
    free(text);
    return frame;
}

static void test_compressed_once_for_all(void **state)
{
    struct fixture *f = *state;
    struct edge_frame *frame = frame_of(1000);
    struct edge_frame *first = frame_pack(&f->packer, frame, WINDOW_15);
    struct rt_buf plain = { 0 };
    struct ws_inflater *inflater = ws_inflater_new();

    assert_ptr_not_equal(first, frame);
    for (int i = 0; i < 9; i++) {
        assert_ptr_equal(frame_pack(&f->packer, frame, WINDOW_15), first);
    }
    assert_int_equal(first->bytes[0], 0x80 | 0x40 | 1);
    assert_int_equal(ws_inflate(inflater, edge_frame_payload(first), 1000, &plain), WS_INFLATED);
    assert_int_equal(plain.len, 1000);
    assert_int_equal(f->metrics.deflate.frames->value, 1);
    assert_int_equal(f->metrics.deflate.bytes_before->value, 1000);
    assert_int_equal(f->metrics.deflate.bytes_after->value, edge_frame_payload(first).len);
    assert_int_equal(f->metrics.deflate.sent->value, 10);
    assert_int_equal(f->metrics.deflate.bytes_saved->value, 10 * (frame->len - first->len));
    /* A compressed frame is not compressed again. */
    assert_ptr_equal(frame_pack(&f->packer, first, WINDOW_15), first);
    ws_inflater_free(inflater);
    rt_buf_fini(&plain);
    edge_frame_unref(frame);
}

static void test_a_queue_keeps_the_compressed_frame_alone(void **state)
{
    struct fixture *f = *state;
    struct conn_queue queue = { 0 };
    struct edge_frame *frame = frame_of(1000);
    struct edge_frame *packed = frame_pack(&f->packer, frame, WINDOW_15);
    uint32_t len = packed->len;

    conn_queue_push(&queue, edge_frame_ref(packed));
    assert_int_equal(queue.bytes, len);
    edge_frame_unref(frame); /* it goes, its twin stays */
    assert_int_equal(packed->refs, 1);
    assert_int_equal(conn_queue_sent(&queue, len), 1);
}

static void test_what_is_left_as_it_is(void **state)
{
    struct fixture *f = *state;
    uint8_t noise[THRESHOLD];
    uint64_t random = 1;

    for (size_t i = 0; i < sizeof noise; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        noise[i] = (uint8_t)(random >> 56);
    }
    struct edge_frame *frames[] = {
        frame_of(THRESHOLD - 1),
        frame_of((1 << 20) + 1),
        edge_frame_raw("HTTP/1.1 101 Switching Protocols", 32),
        edge_frame_control(9, NULL, 0),
        edge_frame_close(1000, ""),
        edge_frame_text(noise, sizeof noise),
        edge_frame_text(NULL, 0),
    };

    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        assert_ptr_equal(frame_pack(&f->packer, frames[i], WINDOW_15), frames[i]);
        assert_ptr_equal(frame_pack(&f->packer, frames[i], WINDOW_15), frames[i]);
        edge_frame_unref(frames[i]);
    }
    assert_int_equal(f->metrics.deflate.frames->value, 0);
    assert_int_equal(f->metrics.deflate.useless->value, 1); /* tried once */
}

static void test_a_small_window_gets_what_fits_into_it(void **state)
{
    struct fixture *f = *state;
    struct edge_frame *fits = frame_of(512);
    struct edge_frame *larger = frame_of(513);

    struct edge_frame *packed = frame_pack(&f->packer, larger, WINDOW_15);
    assert_ptr_not_equal(packed, larger);
    assert_ptr_equal(frame_pack(&f->packer, larger, 9), larger);
    assert_ptr_not_equal(frame_pack(&f->packer, fits, 9), fits);
    assert_ptr_equal(frame_pack(&f->packer, fits, 8), fits);
    edge_frame_unref(fits);
    edge_frame_unref(larger);
}

static void test_a_binary_frame_stays_binary(void **state)
{
    struct fixture *f = *state;
    uint8_t zeros[1000] = { 0 };
    struct edge_frame *frame = edge_frame_binary(zeros, sizeof zeros);

    assert_int_equal(frame->bytes[0], 0x80 | 2);
    assert_int_equal(frame_pack(&f->packer, frame, WINDOW_15)->bytes[0], 0x80 | 0x40 | 2);
    edge_frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_compressed_once_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_queue_keeps_the_compressed_frame_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_left_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_small_window_gets_what_fits_into_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_binary_frame_stays_binary, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
