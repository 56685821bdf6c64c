/* tests/unit/tailer/publish_fixture.h - a publisher of two shards with a table each, over the streams of fakes.h. */
#ifndef PGTIDE_TESTS_TAILER_PUBLISH_FIXTURE_H
#define PGTIDE_TESTS_TAILER_PUBLISH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tailer/fakes.h"

enum { SHARDS = 2, BIG = 20000 };

struct fixture {
    struct fake_sink sink;
    struct publish *publish;
    struct relation relations[SHARDS]; /* one of each shard */
    char *big;
    rt_usec now;
};

static inline int publish_setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    struct publish_sink sink = fake_sink_of(&f->sink);
    const struct wire_column column = { .name = { "A", 1 }, .shape = { "\0", 1 } };

    f->publish = publish_new(&sink, SHARDS, 5, 0);
    f->now = RT_SEC;
    f->big = rt_alloc(BIG + 1);
    memset(f->big, 'x', BIG);
    for (uint32_t i = 0; i < SHARDS; i++) {
        f->relations[i] = (struct relation){ .rel = i + 1, .shard = i, .column_count = 1 };
        f->relations[i].announced = rt_alloc(SHARDS * sizeof(uint64_t));
        wire_encode_relation(&f->relations[i].record,
                             &(struct wire_relation){ .rel = i + 1,
                                                      .schema = { "s", 1 },
                                                      .table = { "t", 1 },
                                                      .identity = 'd',
                                                      .column_count = 1 },
                             &column, NULL);
    }
    *state = f;
    return 0;
}

static inline int publish_teardown(void **state)
{
    struct fixture *f = *state;

    publish_free(f->publish);
    for (uint32_t i = 0; i < SHARDS; i++) {
        wire_writer_fini(&f->relations[i].record);
        free(f->relations[i].announced);
    }
    fake_sink_fini(&f->sink);
    free(f->big);
    free(f);
    return 0;
}

static inline void begin(struct fixture *f, uint64_t lsn)
{
    publish_begin(f->publish, &(struct wire_begin){ .commit_lsn = lsn });
}

static inline void change(struct fixture *f, uint32_t shard, uint32_t index, const char *text)
{
    struct wire_writer row = { 0 };

    wire_write_array(&row, 1);
    wire_write_value(&row, &(struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                                 .text = text,
                                                 .len = (uint32_t)strlen(text) });
    publish_change(f->publish, &f->relations[shard],
                   &(struct wire_change){ .rel = f->relations[shard].rel,
                                          .index = index,
                                          .op = WIRE_INSERT,
                                          .new_row = { row.data, row.len } });
    wire_writer_fini(&row);
}

static inline void end(struct fixture *f, uint64_t lsn, uint32_t count)
{
    publish_end(f->publish,
                &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 5, .count = count });
}

static inline void transaction(struct fixture *f, uint64_t lsn, uint32_t shard)
{
    begin(f, lsn);
    change(f, shard, 0, "x");
    end(f, lsn, 1);
}

static inline const char *sent(struct fixture *f, uint32_t shard)
{
    assert_false(f->sink.broken);
    return fake_sent(&f->sink, shard);
}

#endif
