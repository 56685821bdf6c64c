/* Tests of broker/match/postings and ranges, against arrays that are searched. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "broker/match/postings.h"
#include "broker/match/ranges.h"
#include "tests/unit/broker/kit.h"

enum { IDS = 3000, HASHES = 40, STEPS = 60000 };

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* Hashes that collide at home, wrap around the end of a part and fill one part far more than others. */
static uint64_t hash_of(uint32_t number)
{
    return (uint64_t)(number % 3) + POSTINGS_PARTS * (uint64_t)(number / 3 * 7 % 16);
}

static void test_postings_keep_what_was_added(void **state)
{
    struct postings postings;
    struct {
        bool in;
        uint32_t number;
        uint32_t place;
    } ids[IDS] = { { .in = false } };
    uint32_t counts[HASHES] = { 0 };
    uint64_t random = 1;

    (void)state;
    postings_init(&postings);
    for (int step = 0; step < STEPS; step++) {
        uint32_t id = next_random(&random) % IDS;
        if (!ids[id].in) {
            ids[id].in = true;
            ids[id].number = next_random(&random) % (step % 7 == 0 ? HASHES : 5);
            ids[id].place = postings_add(&postings, hash_of(ids[id].number), id);
            counts[ids[id].number]++;
        } else {
            uint32_t moved = postings_remove(&postings, hash_of(ids[id].number), ids[id].place);
            if (moved != POSTINGS_NONE) {
                assert_int_equal(ids[moved].number, ids[id].number);
                ids[moved].place = ids[id].place;
            }
            ids[id].in = false;
            counts[ids[id].number]--;
        }
        uint32_t look = next_random(&random) % HASHES;
        uint32_t count = 0;
        const uint32_t *found = postings_find(&postings, hash_of(look), &count);
        assert_int_equal(count, counts[look]);
        for (uint32_t i = 0; i < count && i < 20; i++) {
            assert_true(ids[found[i]].in && ids[found[i]].number == look);
            assert_int_equal(ids[found[i]].place, i);
        }
    }
    for (uint32_t id = 0; id < IDS; id++) {
        if (ids[id].in) {
            uint32_t moved = postings_remove(&postings, hash_of(ids[id].number), ids[id].place);
            if (moved != POSTINGS_NONE) {
                ids[moved].place = ids[id].place;
            }
        }
    }
    for (uint32_t i = 0; i < POSTINGS_PARTS; i++) {
        assert_int_equal(postings.parts[i].count, 0);
        assert_true(postings.parts[i].capacity <= 4);
    }
    postings_fini(&postings);
}

static void test_ranges_find_one_side(void **state)
{
    static const double ranks[] = { -HUGE_VAL, -1.5, -0.0, 0, 3, 3.25, 17, HUGE_VAL };
    struct ranges ranges = { .blocks = NULL };
    struct rt_buf found = { .data = NULL };
    struct {
        bool in;
        double threshold;
    } ids[IDS] = { { .in = false } };
    uint64_t random = 2;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        uint32_t id = next_random(&random) % IDS;
        if (!ids[id].in) {
            ids[id].threshold = step % 2 == 0 ? ranks[next_random(&random) % 8]
                                              : (double)(next_random(&random) % 50) / 2 - 5;
            ranges_add(&ranges, ids[id].threshold, id);
        } else {
            ranges_remove(&ranges, ids[id].threshold + 0.25, id);
            ranges_remove(&ranges, ids[id].threshold, id);
        }
        ids[id].in = !ids[id].in;
        if (step % 500 != 0) {
            continue;
        }
        double rank = ranks[next_random(&random) % 8];
        uint32_t expected[2] = { 0 };
        for (uint32_t i = 0; i < IDS; i++) {
            expected[0] += ids[i].in && ids[i].threshold <= rank;
            expected[1] += ids[i].in && ids[i].threshold >= rank;
        }
        for (int side = 0; side < 2; side++) {
            rt_buf_clear(&found);
            (side == 0 ? ranges_up_to : ranges_from)(&ranges, rank, &found);
            assert_int_equal(found.len / sizeof(uint32_t), expected[side]);
            for (size_t i = 0; i < found.len / sizeof(uint32_t); i++) {
                uint32_t one = ((const uint32_t *)(const void *)found.data)[i];
                assert_true(ids[one].in &&
                            (side == 0 ? ids[one].threshold <= rank : ids[one].threshold >= rank));
            }
        }
    }
    rt_buf_fini(&found);
    ranges_fini(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postings_keep_what_was_added),
        cmocka_unit_test(test_ranges_find_one_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
