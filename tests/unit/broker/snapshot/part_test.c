/* Tests of broker/snapshot/part: rows become tuples in the stream's columns, within bounds. */
#include "broker/snapshot/part.h"
#include "tests/unit/broker/snapshot/rows.h"

static const struct rows_column columns[] = { { "id", 23 }, { "hidden", 25 }, { "v", 25 } };

static struct wire_value value_at(struct wire_tuple row, uint32_t at)
{
    struct wire_reader in;
    struct wire_value value = { .kind = WIRE_VALUE_UNCHANGED };
    uint32_t count = 0;

    assert_int_equal(wire_tuple_open(row, &in, &count), WIRE_OK);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i <= at; i++) {
        assert_int_equal(wire_tuple_next(&in, &value), WIRE_OK);
    }
    return value;
}

static void test_rows_are_tuples_of_all_columns(void **state)
{
    const char *cells[] = { "1", NULL, "2", "12345678901", "3", "1234567890" };
    struct sql_table table;
    struct part part = { .count = 0 };
    PGresult *result = rows_result(cells, 3, 2);

    (void)state;
    rows_table(&table, columns, 3, "hidden");
    for (int i = 0; i < 3; i++) {
        part_add(&part, &table, result, i, 10);
    }
    const struct wire_tuple *rows = part_rows(&part);
    assert_int_equal(part.count, 3);
    assert_memory_equal(value_at(rows[1], 0).text, "2", 1);
    assert_int_equal(value_at(rows[0], 1).kind, WIRE_VALUE_MISSING);
    assert_int_equal(value_at(rows[0], 2).kind, WIRE_VALUE_NULL);
    assert_int_equal(value_at(rows[1], 2).kind, WIRE_VALUE_TOO_LARGE);
    assert_int_equal(value_at(rows[2], 2).kind, WIRE_VALUE_TEXT);
    assert_int_equal(value_at(rows[2], 2).len, 10);
    part_clear(&part);
    assert_int_equal(part.count, 0);
    part_fini(&part);
    sql_table_fini(&table);
    PQclear(result);
}

static void test_a_part_is_full_by_rows_or_bytes(void **state)
{
    char *big = calloc(1, PART_BYTES + 1);
    const char *cells[] = { "1", "x", "2", big };
    struct sql_table table;
    struct part part = { .count = 0 };

    (void)state;
    memset(big, 'x', PART_BYTES);
    PGresult *result = rows_result(cells, 2, 2);
    rows_table(&table, columns, 3, "hidden");
    part_add(&part, &table, result, 0, UINT32_MAX);
    assert_false(part_full(&part, 2));
    assert_true(part_full(&part, 1));
    part_add(&part, &table, result, 1, UINT32_MAX);
    assert_true(part_full(&part, 1000));
    part_fini(&part);
    sql_table_fini(&table);
    PQclear(result);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_tuples_of_all_columns),
        cmocka_unit_test(test_a_part_is_full_by_rows_or_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
