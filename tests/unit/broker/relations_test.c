/* Tests of broker/relations: numbers, generations, and records that are none. */
#include "broker/relations.h"
#include "tests/unit/broker/kit.h"

static void test_relation_is_found_by_number_and_by_table(void **state)
{
    struct kit *kit = *state;
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a +g");

    assert_ptr_equal(relations_find(kit->relations, 1), t);
    assert_ptr_equal(relations_of_table(kit->relations, 10), t);
    assert_null(relations_find(kit->relations, 2));
    assert_null(relations_of_table(kit->relations, 1));
    assert_string_equal(t->table, "t");
    assert_int_equal(t->column_count, 2);
    assert_memory_equal(t->columns[1].name.data, "a", 1);
    assert_int_equal(t->not_streamed_count, 1);
}

static void test_newer_generation_replaces_the_older(void **state)
{
    struct kit *kit = *state;
    uint64_t serial = kit_relation(kit, 1, 10, "t", "id")->serial;
    (void)relations_find(kit->relations, 1);
    struct relation *next = kit_relation(kit, 2, 10, "t", "id a");

    assert_null(relations_find(kit->relations, 1));
    assert_ptr_equal(relations_of_table(kit->relations, 10), next);
    assert_true(next->serial != serial);
}

static void test_number_used_for_another_table_replaces_the_first(void **state)
{
    struct kit *kit = *state;

    (void)kit_relation(kit, 1, 10, "t", "id");
    struct relation *u = kit_relation(kit, 1, 20, "u", "id");

    assert_ptr_equal(relations_find(kit->relations, 1), u);
    assert_null(relations_of_table(kit->relations, 10));
}

static void test_clear_forgets_all(void **state)
{
    struct kit *kit = *state;

    (void)kit_relation(kit, 1, 10, "t", "id");
    (void)relations_find(kit->relations, 1);
    relations_clear(kit->relations);

    assert_null(relations_find(kit->relations, 1));
    assert_null(relations_of_table(kit->relations, 10));
}

static void test_referenced_generation_outlives_its_entry(void **state)
{
    struct kit *kit = *state;
    struct relation *old = relation_ref(kit_relation(kit, 1, 10, "t", "id"));

    (void)kit_relation(kit, 2, 10, "t", "id a");
    relations_clear(kit->relations);
    assert_int_equal(old->column_count, 1);
    assert_memory_equal(old->columns[0].name.data, "id", 2);
    relation_unref(old);
    relation_unref(NULL);
}

static void test_bad_record_changes_nothing(void **state)
{
    struct kit *kit = *state;
    struct wire_writer out = { 0 };
    struct relation *t = kit_relation(kit, 1, 10, "t", "id");
    struct relation *bad = t;

    kit_write_relation(&out, 1, 10, "t", "id a");
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(
            relations_put(kit->relations, (struct wire_span){ (const char *)out.data, len }, &bad),
            WIRE_OK);
        assert_null(bad);
    }
    wire_writer_clear(&out);
    kit_write_relation(&out, 2, 20, "", "id"); /* a table without a name */
    assert_int_equal(
        relations_put(kit->relations, (struct wire_span){ (const char *)out.data, out.len }, &bad),
        WIRE_ERR_RANGE);
    assert_ptr_equal(relations_find(kit->relations, 1), t);
    wire_writer_fini(&out);
}

static int setup(void **state)
{
    struct kit *kit = rt_alloc(sizeof(*kit));

    kit_init(kit);
    *state = kit;
    return 0;
}

static int teardown(void **state)
{
    struct kit *kit = *state;

    kit_fini(kit);
    free(kit);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_relation_is_found_by_number_and_by_table),
        TEST(test_newer_generation_replaces_the_older),
        TEST(test_number_used_for_another_table_replaces_the_first),
        TEST(test_clear_forgets_all),
        TEST(test_referenced_generation_outlives_its_entry),
        TEST(test_bad_record_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
