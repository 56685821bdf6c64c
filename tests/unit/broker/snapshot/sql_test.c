/* Tests of broker/snapshot/sql: statements out, made-up rows of the catalog in. */
#include "broker/snapshot/sql.h"
#include "tests/unit/broker/snapshot/rows.h"

struct fixture {
    struct sql_table table;
    struct rt_buf text;
};

/* Columns of the stream: int4, text, bool. */
static void make(struct fixture *fixture, const char *hidden)
{
    const struct rows_column columns[] = { { "id", 23 }, { "na\"me", 25 }, { "flag", 16 } };

    *fixture = (struct fixture){ .text = { 0 } };
    rows_table(&fixture->table, columns, 3, hidden);
}

static void drop(struct fixture *fixture)
{
    sql_table_fini(&fixture->table);
    rt_buf_fini(&fixture->text);
}

static enum sql_described describe(struct fixture *fixture, const char *const (*cells)[9],
                                   int count)
{
    PGresult *result = rows_result(&cells[0][0], count, 9);
    enum sql_described found = sql_describe_read(&fixture->table, result);

    PQclear(result);
    return found;
}

static const char *page(struct fixture *fixture, bool after)
{
    rt_buf_clear(&fixture->text);
    sql_page(&fixture->text, &fixture->table, after, 500);
    return rt_buf_cstr(&fixture->text);
}

#define ID(key)                                                                                    \
    {                                                                                              \
        "16384", "r", NULL, "id", "23", "t", key, "pg_catalog.>", "pg_catalog.="                   \
    }
#define NAME(key)                                                                                  \
    {                                                                                              \
        "16384", "r", NULL, "na\"me", "25", "t", key, "pg_catalog.>", "pg_catalog.="               \
    }
#define FLAG                                                                                       \
    {                                                                                              \
        "16384", "r", NULL, "flag", "16", "t", NULL, NULL, NULL                                    \
    }

static void test_pages_follow_a_composite_key_in_index_order(void **state)
{
    const char *const cells[][9] = { ID("2"), NAME("1"), FLAG };
    struct fixture fixture;

    (void)state;
    make(&fixture, NULL);
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME);
    assert_string_equal(page(&fixture, false),
                        "SELECT \"id\", \"na\"\"me\", \"flag\" FROM ONLY \"my schema\".\"t\""
                        " ORDER BY \"na\"\"me\", \"id\" LIMIT 500");
    assert_string_equal(page(&fixture, true),
                        "SELECT \"id\", \"na\"\"me\", \"flag\" FROM ONLY \"my schema\".\"t\""
                        " WHERE ROW(\"na\"\"me\", \"id\") OPERATOR(pg_catalog.>) ROW($1, $2)"
                        " ORDER BY \"na\"\"me\", \"id\" LIMIT 500");
    assert_int_equal(fixture.table.keys[0].type, 25);
    assert_int_equal(fixture.table.keys[0].at, 1);
    drop(&fixture);
}

static void test_operators_that_differ_are_written_out(void **state)
{
    const char *const cells[][9] = {
        ID("2"),
        { "16384", "r", NULL, "na\"me", "25", "t", "1", "public.>", "public.=" },
        FLAG,
    };
    struct fixture fixture;

    (void)state;
    make(&fixture, NULL);
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME);
    assert_non_null(strstr(page(&fixture, true),
                           " WHERE (\"na\"\"me\" OPERATOR(public.>) $1 OR \"na\"\"me\""
                           " OPERATOR(public.=) $1 AND (\"id\" OPERATOR(pg_catalog.>) $2)) ORDER"));
    drop(&fixture);
}

static void test_filters_and_partitioned_tables(void **state)
{
    const char *const cells[][9] = {
        { "16384", "p", "(flag)", "id", "23", "t", "1", "pg_catalog.>", "pg_catalog.=" },
        { "16384", "p", "(flag)", "na\"me", "25", "t", NULL, NULL, NULL },
        { "16384", "p", "(flag)", "flag", "16", "t", NULL, NULL, NULL },
    };
    struct fixture fixture;

    (void)state;
    make(&fixture, "na\"me");
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME);
    assert_string_equal(page(&fixture, true),
                        "SELECT \"id\", \"flag\" FROM \"my schema\".\"t\" WHERE ((flag)) AND"
                        " (\"id\" OPERATOR(pg_catalog.>) $1) ORDER BY \"id\" LIMIT 500");
    assert_int_equal(fixture.table.columns[2].at, 1);
    drop(&fixture);
}

static void test_a_clients_filter_is_a_condition_of_every_page(void **state)
{
    const char *const cells[][9] = { ID("1"), NAME(NULL), FLAG };
    struct fixture fixture;

    (void)state;
    make(&fixture, NULL);
    uint64_t without = 0;
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME);
    without = sql_key_print(&fixture.table);
    fixture.table.condition = rt_strdup("((t.\"flag\" IS TRUE) IS TRUE)");
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME); /* asked again: it stays */
    assert_string_equal(page(&fixture, false),
                        "SELECT \"id\", \"na\"\"me\", \"flag\" FROM ONLY \"my schema\".\"t\" AS t"
                        " WHERE ((t.\"flag\" IS TRUE) IS TRUE) ORDER BY \"id\" LIMIT 500");
    fixture.table.filter = rt_strdup("(id > 0)");
    assert_string_equal(page(&fixture, true),
                        "SELECT \"id\", \"na\"\"me\", \"flag\" FROM ONLY \"my schema\".\"t\" AS t"
                        " WHERE ((id > 0)) AND ((t.\"flag\" IS TRUE) IS TRUE) AND"
                        " (\"id\" OPERATOR(pg_catalog.>) $1) ORDER BY \"id\" LIMIT 500");
    rt_buf_clear(&fixture.text);
    sql_declare(&fixture.text, &fixture.table);
    assert_non_null(strstr(rt_buf_cstr(&fixture.text), "AS t WHERE ((id > 0)) AND ((t."));
    /* A token of other rows is of no use. */
    assert_true(sql_key_print(&fixture.table) != without);
    drop(&fixture);
}

static void test_without_a_readable_key_there_is_a_cursor(void **state)
{
    const char *const cells[][9] = { ID("2"), NAME("1"), FLAG };
    struct fixture fixture;

    (void)state;
    make(&fixture, "id");
    assert_int_equal(describe(&fixture, cells, 3), SQL_SAME);
    assert_int_equal(fixture.table.key_count, 0);
    sql_declare(&fixture.text, &fixture.table);
    assert_string_equal(rt_buf_cstr(&fixture.text),
                        "DECLARE pgtide_rows NO SCROLL CURSOR FOR SELECT \"na\"\"me\", \"flag\""
                        " FROM ONLY \"my schema\".\"t\"");
    drop(&fixture);
}

static void test_another_definition_is_noticed(void **state)
{
    const char *const other[][9] = { { "5", "r", NULL, "id", "23", "t", NULL, NULL, NULL } };
    const char *const fewer[][9] = { ID("1"), FLAG };
    const char *const type[][9] = { { "16384", "r", NULL, "id", "20", "t", NULL, NULL, NULL },
                                    NAME("1"),
                                    FLAG };
    const char *const more[][9] = {
        ID("1"), NAME(NULL), FLAG, { "16384", "r", NULL, "new", "25", "t", NULL, NULL, NULL }
    };
    const char *const generated[][9] = {
        ID("1"), NAME(NULL), FLAG, { "16384", "r", NULL, "gen", "25", "f", NULL, NULL, NULL }
    };
    struct fixture fixture;

    (void)state;
    make(&fixture, NULL);
    assert_int_equal(describe(&fixture, other, 0), SQL_DROPPED);
    assert_int_equal(describe(&fixture, other, 1), SQL_DROPPED);
    assert_int_equal(describe(&fixture, fewer, 2), SQL_ALTERED);
    assert_int_equal(describe(&fixture, type, 3), SQL_ALTERED);
    assert_int_equal(describe(&fixture, more, 4), SQL_ALTERED);
    assert_int_equal(describe(&fixture, generated, 4), SQL_SAME);
    drop(&fixture);
}

static void assert_lsn(const char *lsn, uint64_t expected)
{
    const char *cells[13] = { "",     "",  "",     "",         "",  "",    "",
                              "5:5:", lsn, "8192", "16777216", "9", "role" };
    PGresult *result = rows_result(cells, 1, 13);
    uint64_t found = 0;
    uint64_t next = 0;

    assert_string_equal(sql_enter_read(result, &found, &next), "5:5:");
    assert_int_equal(next, 9);
    assert_int_equal(found, expected);
    PQclear(result);
}

static void test_a_position_behind_a_header_is_the_page(void **state)
{
    (void)state;
    assert_lsn("1/16B3748", 0x1016B3748u);
    assert_lsn("1/16B2018", 0x1016B2000u);
    assert_lsn("1/3000028", 0x103000000u);
    assert_lsn("1/16B2028", 0x1016B2028u);
}

static void test_the_print_of_a_key_tells_keys_apart(void **state)
{
    const char *const one[][9] = { ID("1"), NAME("2"), FLAG };
    const char *const two[][9] = { ID("2"), NAME("1"), FLAG };
    struct fixture fixture;

    (void)state;
    make(&fixture, NULL);
    assert_int_equal(describe(&fixture, one, 3), SQL_SAME);
    uint64_t print = sql_key_print(&fixture.table);
    assert_int_equal(describe(&fixture, two, 3), SQL_SAME);
    assert_true(print != sql_key_print(&fixture.table));
    assert_int_equal(describe(&fixture, one, 3), SQL_SAME);
    assert_true(print == sql_key_print(&fixture.table));
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_follow_a_composite_key_in_index_order),
        cmocka_unit_test(test_operators_that_differ_are_written_out),
        cmocka_unit_test(test_filters_and_partitioned_tables),
        cmocka_unit_test(test_a_clients_filter_is_a_condition_of_every_page),
        cmocka_unit_test(test_without_a_readable_key_there_is_a_cursor),
        cmocka_unit_test(test_another_definition_is_noticed),
        cmocka_unit_test(test_a_position_behind_a_header_is_the_page),
        cmocka_unit_test(test_the_print_of_a_key_tells_keys_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
