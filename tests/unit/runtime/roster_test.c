/* Tests of runtime/roster: every operation beside a list of what is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/buf.h"
#include "runtime/roster.h"

enum { OBJECTS = 5000, STEPS = 60000, NUMBERS = 3000 };

struct object {
    uint32_t tag;
    bool listed;
    struct rt_listed entry;
};

struct world {
    struct rt_roster *roster;
    struct object *objects;
    size_t count;
    uint64_t random;
};

static struct object *object_of(struct rt_listed *listed)
{
    return listed == NULL
               ? NULL
               : (struct object *)(void *)((char *)listed - offsetof(struct object, entry));
}

static uint32_t pick(struct world *world, uint32_t below)
{
    world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((world->random >> 33) % below);
}

static int set_up(void **state)
{
    struct world *world = rt_alloc(sizeof(*world));

    world->roster = rt_roster_new();
    world->objects = rt_alloc(OBJECTS * sizeof(*world->objects));
    world->random = 1;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    rt_roster_free(world->roster);
    free(world->objects);
    free(world);
    return 0;
}

/* Those with this number, and no others, are found. */
static void check_number(const struct world *world, uint64_t number)
{
    size_t found = 0;
    size_t there = 0;

    for (struct rt_listed *at = rt_roster_find(world->roster, number); at != NULL;
         at = rt_roster_same(at)) {
        assert_int_equal(at->number, number);
        assert_true(object_of(at)->listed);
        found++;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        there += world->objects[i].listed && world->objects[i].entry.number == number;
    }
    assert_int_equal(found, there);
}

static void check_all(const struct world *world)
{
    struct rt_roster_iter iter = rt_roster_begin(world->roster);
    size_t found = 0;

    for (struct rt_listed *at = rt_roster_next(&iter); at != NULL; at = rt_roster_next(&iter)) {
        struct object *object = object_of(at);
        assert_true(object->listed);
        object->tag++;
        found++;
    }
    assert_int_equal(found, world->count);
    assert_int_equal(rt_roster_count(world->roster), world->count);
    for (size_t i = 0; i < OBJECTS; i++) {
        assert_int_equal(world->objects[i].tag, world->objects[i].listed);
        world->objects[i].tag = 0;
    }
}

static void step(struct world *world, uint32_t wanted)
{
    struct object *object = &world->objects[pick(world, OBJECTS)];
    bool add = world->count < wanted;

    if (object->listed && !add) {
        rt_roster_remove(world->roster, &object->entry);
        object->listed = false;
        world->count--;
    } else if (!object->listed && add) {
        rt_roster_add(world->roster, &object->entry, pick(world, NUMBERS));
        object->listed = true;
        world->count++;
    }
}

static void test_what_is_there_is_found_and_nothing_else(void **state)
{
    struct world *world = *state;

    check_number(world, 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(world, i / 10000 % 2 == 0 ? OBJECTS - 100 : 100);
        if (i % 500 == 0) {
            check_number(world, pick(world, NUMBERS));
        }
        if (i % 5000 == 0) {
            check_all(world);
        }
    }
    check_all(world);
}

static void test_what_was_returned_may_go_while_walking(void **state)
{
    struct world *world = *state;

    for (uint64_t i = 0; i < 1000; i++) {
        struct object *object = rt_alloc(sizeof(*object));
        rt_roster_add(world->roster, &object->entry, i % 7 == 0 ? 7 : i << 32);
    }
    struct rt_roster_iter iter = rt_roster_begin(world->roster);
    size_t seen = 0;
    for (struct rt_listed *at = rt_roster_next(&iter); at != NULL; at = rt_roster_next(&iter)) {
        rt_roster_remove(world->roster, at);
        free(object_of(at));
        seen++;
    }
    assert_int_equal(seen, 1000);
    assert_int_equal(rt_roster_count(world->roster), 0);
    assert_null(rt_roster_find(world->roster, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_there_is_found_and_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_returned_may_go_while_walking, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
