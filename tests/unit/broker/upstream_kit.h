/* tests/unit/broker/upstream_kit.h - a stream of the tailer, record by record, and what upstream asks for. */
#ifndef PGTIDE_TESTS_BROKER_UPSTREAM_KIT_H
#define PGTIDE_TESTS_BROKER_UPSTREAM_KIT_H

#include "broker/upstream.h"
#include "tests/unit/broker/kit.h"

struct fixture {
    struct kit kit;
    struct upstream *up;
    struct wire_writer out; /* the next frame */
    struct rt_buf asked;    /* what upstream asked for */
    bool reloads;           /* the answer to a fence */
};

static inline void on_need(void *ctx, uint32_t rel)
{
    struct fixture *f = ctx;

    rt_buf_printf(&f->asked, "need %" PRIu32 "\n", rel);
}

static inline bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    struct fixture *f = ctx;

    rt_buf_printf(&f->asked, "fence %s xid %" PRIu32 " at %" PRIu64 "\n",
                  relation == NULL ? "all" : relation->table, xid, lsn);
    return f->reloads;
}

static inline void on_epoch(void *ctx, uint64_t epoch)
{
    struct fixture *f = ctx;

    rt_buf_printf(&f->asked, "epoch %" PRIu64 "\n", epoch);
}

static inline void on_malformed(void *ctx, const char *why)
{
    struct fixture *f = ctx;

    assert_non_null(why);
    rt_buf_puts(&f->asked, "malformed\n");
}

static inline void expect_asked(struct fixture *f, const char *lines)
{
    assert_string_equal(rt_buf_cstr(&f->asked), lines);
    rt_buf_clear(&f->asked);
}

static inline bool feed(struct fixture *f)
{
    bool done =
        upstream_frame(f->up, (struct wire_span){ (const char *)f->out.data, f->out.len }, RT_SEC);

    /* Whatever is kept must be a copy. */
    memset(f->out.data, 0xc1, f->out.len);
    wire_writer_clear(&f->out);
    return done;
}

static inline void begin(struct fixture *f, uint64_t lsn)
{
    struct wire_begin record = kit_begin(lsn);

    wire_encode_begin(&f->out, &record);
}

static inline void end(struct fixture *f, uint64_t lsn)
{
    wire_encode_end(&f->out,
                    &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 8, .count = 1 });
}

static inline void insert(struct fixture *f, uint32_t rel, uint32_t index, const char *row)
{
    kit_write_change(&f->out, rel, index, row, NULL);
}

static inline void ddl(struct fixture *f, uint32_t index)
{
    wire_encode_message(&f->out, &(struct wire_message){ .index = index,
                                                         .lsn = 1,
                                                         .transactional = true,
                                                         .prefix = kit_text("pgtide.ddl"),
                                                         .content = kit_text("{}") });
}

/* Edge 0 watches public.t (rel 1: id), at position 100/end. */
static inline int setup(void **state)
{
    static const struct upstream_events events = {
        .need = on_need, .fence = on_fence, .new_epoch = on_epoch, .malformed = on_malformed
    };
    struct fixture *f = rt_alloc(sizeof(*f));

    kit_init(&f->kit);
    struct upstream_config config = { .route = f->kit.route,
                                      .window = f->kit.window,
                                      .relations = f->kit.relations,
                                      .stats = &f->kit.stats,
                                      .events = &events,
                                      .ctx = f };
    f->up = upstream_new(&config);
    begin(f, 100);
    kit_write_relation(&f->out, 1, 10, "t", "id");
    end(f, 100);
    assert_true(feed(f));
    kit_identify(&f->kit, 0, 1, "anon");
    kit_subscribe(&f->kit, 0, 1, 1, "table:public.t");
    kit_allow(&f->kit, "public.t/anon", 10, "*");
    kit_expect(&f->kit, 0, "group 1 public.t id@0\naccept 1 group 1 100/end\n");
    expect_asked(f, "epoch 7\nfence t xid 100 at 100\n");
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    upstream_free(f->up);
    kit_fini(&f->kit);
    wire_writer_fini(&f->out);
    rt_buf_fini(&f->asked);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
