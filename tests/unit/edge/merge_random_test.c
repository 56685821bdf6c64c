/* Unit tests of edge/merge.h: random interleavings against the sorted truth. */
#include "merge_fixture.h"

enum { SOURCES = 7, TRANSACTIONS = 12, CHANGES = 6, STEPS_MAX = 2000 };

struct step {
    struct wire_position at;
    bool frame; /* else: advance */
};

struct script {
    struct step steps[STEPS_MAX];
    int count;
    int done;
    struct wire_position mark;
};

struct world {
    struct fixture *f;
    struct script scripts[SOURCES];
    struct merge_source *sources[SOURCES];
    struct rt_buf expected;
    uint64_t random;
};

static unsigned below(struct world *world, unsigned limit)
{
    world->random = world->random * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(world->random >> 33) % limit;
}

static void add_step(struct script *script, struct wire_position at, bool frame)
{
    assert_true(script->count < STEPS_MAX);
    script->steps[script->count++] = (struct step){ at, frame };
}

static void expect_frame(struct world *world, unsigned source, struct wire_position at)
{
    rt_buf_printf(&world->expected, "%ss%u-%d.%d ", at.epoch != EPOCH ? "e" : "", source,
                  (int)at.lsn, (int)at.index);
}

/* A change reaches one source, in up to two frames; other sources hear of it now and then. */
static int script_change(struct world *world, struct wire_position at)
{
    unsigned owner = below(world, SOURCES);
    int frames = 1 + (below(world, 4) == 0 ? 1 : 0);

    for (int i = 0; i < frames; i++) {
        add_step(&world->scripts[owner], at, true);
        expect_frame(world, owner, at);
    }
    for (unsigned source = 0; source < SOURCES; source++) {
        if (below(world, 3) == 0) {
            add_step(&world->scripts[source], at, false);
        }
    }
    return frames;
}

static void script_transactions(struct world *world, uint64_t epoch, uint64_t lsn)
{
    for (int i = 0; i < TRANSACTIONS; i++) {
        struct wire_position at = { epoch, lsn += 1 + below(world, 9), 0 };
        unsigned changes = below(world, CHANGES);
        int frames = 0;
        for (unsigned c = 0; c < changes; c++, at.index += 1 + below(world, 2)) {
            frames += script_change(world, at);
        }
        at.index = UINT32_MAX;
        for (unsigned source = 0; source < SOURCES; source++) {
            if (i == TRANSACTIONS - 1 || below(world, 2) == 0) {
                add_step(&world->scripts[source], at, false);
            }
        }
        if (frames > 0) {
            rt_buf_printf(&world->expected, "%s=%d:%d ", epoch != EPOCH ? "e4" : "", (int)lsn,
                          frames);
        }
    }
}

static void take_step(struct world *world, unsigned source)
{
    struct script *script = &world->scripts[source];
    const struct step *step = &script->steps[script->done++];
    char name[8];

    (void)snprintf(name, sizeof(name), "s%u-", source);
    if (step->frame) {
        assert_true(push_at(world->sources[source], name, step->at));
    } else {
        merge_advance(world->sources[source], &step->at);
    }
    /* What is out is always the beginning of the truth. */
    const struct rt_buf *out = &world->f->out;
    assert_true(out->len <= world->expected.len);
    assert_true(out->len == 0 || memcmp(out->data, world->expected.data, out->len) == 0);
}

static void play(struct fixture *f, uint64_t seed)
{
    struct world *world = rt_alloc(sizeof(*world));
    struct wire_position start = { EPOCH, 0, 0 };

    world->f = f;
    world->random = seed;
    merge_free(f->merge);
    f->merge =
        merge_new(&(struct merge_sink){ .frame = on_frame, .commit = on_commit, .ctx = f }, BUDGET);
    rt_buf_clear(&f->out);
    for (unsigned i = 0; i < SOURCES; i++) {
        world->sources[i] = merge_add(f->merge, &start);
    }
    script_transactions(world, EPOCH, 100);
    script_transactions(world, 4, 50);
    for (unsigned left = SOURCES; left > 0;) {
        unsigned source = below(world, SOURCES);
        unsigned run = 1 + below(world, 5);
        while (run-- > 0 && world->scripts[source].done < world->scripts[source].count) {
            take_step(world, source);
            left -= world->scripts[source].done == world->scripts[source].count ? 1 : 0;
        }
    }
    assert_int_equal(f->out.len, world->expected.len);
    assert_int_equal(merge_waiting_bytes(f->merge), 0);
    rt_buf_fini(&world->expected);
    free(world);
}

static void test_random_interleavings_come_out_sorted(void **state)
{
    struct fixture *f = *state;

    for (uint64_t seed = 1; seed <= 500; seed++) {
        play(f, seed);
    }
}

/* Sources come and go at random places; each brings its own in order, nothing is lost, and commits count everything. */
static void test_sources_that_come_and_go_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct world world = { .f = f, .random = 99 };
    struct merge_source *sources[SOURCES] = { NULL };
    uint64_t at[SOURCES] = { 0 };
    size_t pushed = 0;

    merge_free(f->merge);
    f->merge = merge_new(&(struct merge_sink){ .frame = on_frame, .commit = on_commit, .ctx = f },
                         SIZE_MAX);
    for (int i = 0; i < 20000; i++) {
        unsigned n = below(&world, SOURCES);
        if (sources[n] == NULL) {
            at[n] = 10 + below(&world, 1000);
            sources[n] = add(f, at[n]);
        } else if (below(&world, 50) == 0) {
            merge_remove(sources[n]);
            sources[n] = NULL;
        } else if (below(&world, 2) == 0) {
            at[n] += below(&world, 3) == 0 ? 1 : 0;
            at[n] += 1;
            push(sources[n], "x", at[n], below(&world, 3));
            pushed++;
        } else {
            end(sources[n], at[n]);
        }
    }
    for (unsigned n = 0; n < SOURCES; n++) {
        if (sources[n] != NULL) {
            merge_remove(sources[n]);
        }
    }
    assert_int_equal(merge_waiting_bytes(f->merge), 0);
    size_t frames = 0;
    size_t counted = 0;
    for (const char *token = strtok((char *)f->out.data, " "); token != NULL;
         token = strtok(NULL, " ")) {
        frames += token[0] == 'x' ? 1 : 0;
        counted += token[0] == '=' ? (size_t)strtol(strchr(token, ':') + 1, NULL, 10) : 0;
    }
    assert_int_equal(frames, pushed);
    assert_int_equal(counted, pushed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(test_random_interleavings_come_out_sorted),
        MERGE_TEST(test_sources_that_come_and_go_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
