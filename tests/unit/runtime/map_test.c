/* Unit tests of runtime/map.h and runtime/shard.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/map.h"
#include "runtime/shard.h"

enum { MANY = 5000 };

static int setup(void **state)
{
    *state = rt_map_new();
    return 0;
}

static int teardown(void **state)
{
    rt_map_free(*state);
    return 0;
}

static void test_what_was_put_is_got_by_number(void **state)
{
    struct rt_map *map = *state;
    static int values[MANY];
    for (uint64_t i = 0; i < MANY; i++) {
        assert_null(rt_map_put_u64(map, i * UINT64_C(0x10000), &values[i]));
    }

    assert_int_equal(rt_map_count(map), MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_ptr_equal(rt_map_get_u64(map, i * UINT64_C(0x10000)), &values[i]);
    }
    assert_null(rt_map_get_u64(map, 1));
}

static void test_putting_again_replaces_and_returns_the_old_value(void **state)
{
    struct rt_map *map = *state;
    int first = 0;
    int second = 0;

    assert_null(rt_map_put(map, "k", 1, &first));
    assert_ptr_equal(rt_map_put(map, "k", 1, &second), &first);
    assert_ptr_equal(rt_map_get(map, "k", 1), &second);
    assert_int_equal(rt_map_count(map), 1);
}

static void test_byte_keys_are_copied_and_compared_with_their_length(void **state)
{
    struct rt_map *map = *state;
    int whole = 0;
    int part = 0;
    int empty = 0;
    char key[] = "a\0bc";
    rt_map_put(map, key, 4, &whole);
    rt_map_put(map, key, 2, &part);
    rt_map_put(map, key, 0, &empty);
    memset(key, 'x', sizeof(key));

    assert_ptr_equal(rt_map_get(map, "a\0bc", 4), &whole);
    assert_ptr_equal(rt_map_get(map, "a\0", 2), &part);
    assert_ptr_equal(rt_map_get(map, "", 0), &empty);
    assert_null(rt_map_get(map, "a", 1));
}

static void test_a_number_and_bytes_are_never_the_same_key(void **state)
{
    struct rt_map *map = *state;
    int number = 0;
    int bytes = 0;
    rt_map_put_u64(map, 0, &number);
    rt_map_put(map, "", 0, &bytes);

    assert_ptr_equal(rt_map_get_u64(map, 0), &number);
    assert_ptr_equal(rt_map_get(map, "", 0), &bytes);
}

static void test_removing_returns_the_value_and_leaves_the_others(void **state)
{
    struct rt_map *map = *state;
    static int values[MANY];
    char key[32];
    for (int i = 0; i < MANY; i++) {
        int len = snprintf(key, sizeof(key), "table:public.t%d", i);
        rt_map_put(map, key, (size_t)len, &values[i]);
    }

    for (int i = 0; i < MANY; i += 2) {
        int len = snprintf(key, sizeof(key), "table:public.t%d", i);
        assert_ptr_equal(rt_map_remove(map, key, (size_t)len), &values[i]);
        assert_null(rt_map_remove(map, key, (size_t)len));
    }

    assert_int_equal(rt_map_count(map), MANY / 2);
    for (int i = 0; i < MANY; i++) {
        int len = snprintf(key, sizeof(key), "table:public.t%d", i);
        assert_ptr_equal(rt_map_get(map, key, (size_t)len), i % 2 == 0 ? NULL : &values[i]);
    }
}

/* A map that never compacts its tombstones would end in a probe without an end. */
static void test_a_million_comings_and_goings_need_no_memory_and_end(void **state)
{
    struct rt_map *map = *state;
    int value = 0;
    for (uint64_t i = 0; i < 1000000; i++) {
        rt_map_put_u64(map, i, &value);
        if (i >= 8) {
            assert_ptr_equal(rt_map_remove_u64(map, i - 8), &value);
        }
    }

    assert_int_equal(rt_map_count(map), 8);
}

static void test_iterating_meets_every_value_once_also_while_removing(void **state)
{
    struct rt_map *map = *state;
    static int seen[MANY];
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < MANY; i++) {
        rt_map_put_u64(map, i, &seen[i]);
    }

    struct rt_map_iter iter = rt_map_begin(map);
    for (int *value = rt_map_next(&iter); value != NULL; value = rt_map_next(&iter)) {
        (*value)++;
        if ((value - seen) % 3 == 0) {
            rt_map_iter_remove(&iter);
        }
    }

    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(seen[i], 1);
        assert_ptr_equal(rt_map_get_u64(map, i), i % 3 == 0 ? NULL : &seen[i]);
    }
}

static void test_maps_of_numbers_in_a_row_are_not_slow_to_fill(void **state)
{
    struct rt_map *map = *state;
    int value = 0;
    /* With a bad hash this is quadratic and runs into the test's time limit. */
    for (uint64_t i = 0; i < 300000; i++) {
        rt_map_put_u64(map, i << 32, &value);
    }
    assert_int_equal(rt_map_count(map), 300000);
}

/* Every process of every version must agree: these values may never change. */
static void test_the_stable_hash_never_changes(void **state)
{
    (void)state;
    assert_true(rt_stable_hash("", 0) == UINT64_C(0xefd01f60ba992926));
    assert_true(rt_stable_hash("a", 1) == UINT64_C(0x82a2a958a9bece5b));
    assert_true(rt_stable_hash("table:public.users", 18) == UINT64_C(0x687105c580d10c41));
}

static void test_a_channel_stays_on_its_shard(void **state)
{
    (void)state;
    assert_int_equal(rt_shard_of("table:public.users", 18, 1), 0);
    assert_int_equal(rt_shard_of("table:public.users", 18, 2), 1);
    assert_int_equal(rt_shard_of("table:public.users", 18, 3), 2);
    assert_int_equal(rt_shard_of("table:public.users", 18, 0), 0);
}

static void test_shards_get_about_the_same_number_of_channels(void **state)
{
    (void)state;
    int counts[4] = { 0 };
    char channel[48];
    for (int i = 0; i < 4000; i++) {
        int len = snprintf(channel, sizeof(channel), "table:public.orders_%d", i);
        counts[rt_shard_of(channel, (size_t)len, 4)]++;
    }

    for (int i = 0; i < 4; i++) {
        assert_in_range(counts[i], 850, 1150);
    }
}

/* Whatever its length and where it stands: the same bytes one hash, another one where a single byte differs. */
static void test_a_seeded_hash_is_of_every_byte(void **state)
{
    enum { LONGEST = 41, PLACES = 8 };
    const uint64_t seed[2] = { 7, 11 };
    uint8_t room[PLACES + LONGEST];

    (void)state;
    for (size_t len = 0; len <= LONGEST; len++) {
        for (size_t i = 0; i < len; i++) {
            room[i] = (uint8_t)(i * 7 + len);
        }
        uint64_t hash = rt_seeded_hash(seed, room, len);
        for (size_t i = 0; i < len; i++) {
            room[i] ^= 0x80;
            assert_int_not_equal(rt_seeded_hash(seed, room, len), hash);
            room[i] ^= 0x80;
        }
        for (size_t place = 1; place < PLACES; place++) {
            memmove(room + place, room + place - 1, len);
            assert_int_equal(rt_seeded_hash(seed, room + place, len), hash);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seeded_hash_is_of_every_byte),
        cmocka_unit_test_setup_teardown(test_what_was_put_is_got_by_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_putting_again_replaces_and_returns_the_old_value,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_keys_are_copied_and_compared_with_their_length,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_number_and_bytes_are_never_the_same_key, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_removing_returns_the_value_and_leaves_the_others,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_million_comings_and_goings_need_no_memory_and_end,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_iterating_meets_every_value_once_also_while_removing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_maps_of_numbers_in_a_row_are_not_slow_to_fill, setup,
                                        teardown),
        cmocka_unit_test(test_the_stable_hash_never_changes),
        cmocka_unit_test(test_a_channel_stays_on_its_shard),
        cmocka_unit_test(test_shards_get_about_the_same_number_of_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
