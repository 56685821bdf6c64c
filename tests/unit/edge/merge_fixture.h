/* tests/unit/edge/merge_fixture.h - a merge with two sources, and what comes out of it as text: "a10.0" is a frame named a
 * at (10, 0), "=10:2" the commit of 10 with two frames; with an e in front in another epoch than the first. */
#ifndef PGTIDE_TESTS_UNIT_EDGE_MERGE_FIXTURE_H
#define PGTIDE_TESTS_UNIT_EDGE_MERGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/merge.h"
#include "runtime/buf.h"

enum { BUDGET = 100000, EPOCH = 7 };

struct fixture {
    struct merge *merge;
    struct rt_buf out;
    struct merge_source *a;
    struct merge_source *b;
};

static inline void on_frame(void *ctx, struct edge_frame *frame)
{
    struct fixture *f = ctx;
    rt_buf_append(&f->out, frame->bytes, frame->len);
    rt_buf_putc(&f->out, ' ');
}

static inline void on_commit(void *ctx, const struct wire_position *at, uint64_t count)
{
    struct fixture *f = ctx;
    assert_int_equal(at->index, UINT32_MAX);
    if (at->epoch != EPOCH) {
        rt_buf_printf(&f->out, "e%d", (int)at->epoch);
    }
    rt_buf_printf(&f->out, "=%d:%d ", (int)at->lsn, (int)count);
}

static inline struct wire_position position(uint64_t lsn, uint32_t index)
{
    return (struct wire_position){ EPOCH, lsn, index };
}

static inline struct merge_source *add(struct fixture *f, uint64_t lsn)
{
    struct wire_position from = position(lsn, UINT32_MAX);
    return merge_add(f->merge, &from);
}

static inline int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    f->merge =
        merge_new(&(struct merge_sink){ .frame = on_frame, .commit = on_commit, .ctx = f }, BUDGET);
    f->a = add(f, 1);
    f->b = add(f, 1);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    merge_free(f->merge);
    rt_buf_fini(&f->out);
    free(f);
    return 0;
}

static inline bool push_at(struct merge_source *source, const char *name, struct wire_position at)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s%s%d.%d", at.epoch != EPOCH ? "e" : "", name,
                       (int)at.lsn, (int)at.index);
    struct edge_frame *frame = edge_frame_raw(text, (size_t)len);
    bool kept = merge_push(source, &at, frame);
    edge_frame_unref(frame);
    return kept;
}

static inline void push(struct merge_source *source, const char *name, uint64_t lsn, uint32_t index)
{
    assert_true(push_at(source, name, position(lsn, index)));
}

static inline void note(struct merge_source *source, const char *text)
{
    struct edge_frame *frame = edge_frame_raw(text, strlen(text));
    assert_true(merge_push_note(source, frame));
    edge_frame_unref(frame);
}

static inline void advance(struct merge_source *source, uint64_t lsn, uint32_t index)
{
    struct wire_position to = position(lsn, index);
    merge_advance(source, &to);
}

static inline void end(struct merge_source *source, uint64_t lsn)
{
    advance(source, lsn, UINT32_MAX);
}

/* Everything that came out since the last call. */
static inline void assert_out(struct fixture *f, const char *expected)
{
    assert_string_equal(rt_buf_cstr(&f->out), expected);
    rt_buf_clear(&f->out);
}

#define MERGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
