/* Tests of broker/perms/catalog: parameters out, made-up rows of libpq in. */
#include "broker/perms/catalog.h"
#include "broker/policy/sql.h"
#include "tests/unit/broker/kit.h"

enum { FIELDS = 15 };

/* A row as catalog_sql returns it; NULL is NULL. */
struct row {
    const char *fields[FIELDS];
};

static const struct catalog_question question = { "public", "t", "anon" };

static PGresult *make(const struct row *rows, int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[FIELDS];
    char name[] = "c";

    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < FIELDS; i++) {
        columns[i].name = name;
    }
    assert_int_equal(PQsetResultAttrs(result, FIELDS, columns), 1);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < FIELDS; j++) {
            char copy[128];
            const char *field = rows[i].fields[j];
            (void)snprintf(copy, sizeof(copy), "%s", field == NULL ? "" : field);
            assert_int_equal(PQsetvalue(result, i, j, field == NULL ? NULL : copy,
                                        field == NULL ? -1 : (int)strlen(copy)),
                             1);
        }
    }
    return result;
}

#define ROW(n, column, readable, generated)                                                        \
    {                                                                                              \
        {                                                                                          \
            "  ", "f", n, "16400", "16384", "r", "f", "t", "f", "t", column, readable, generated,  \
                "1", "23"                                                                          \
        }                                                                                          \
    }

static struct access *read_one(const struct row *rows, int count)
{
    PGresult *result = make(rows, count);
    int row = 0;
    bool secured = false;
    struct access *access = catalog_read(result, &row, 0, &question, &secured);

    assert_true(row == count || row == 0);
    PQclear(result);
    return access;
}

static void assert_refusal(struct row row, size_t field, const char *value, int code,
                           const char *message)
{
    row.fields[field] = value;
    struct access *access = read_one(&row, 1);

    assert_int_equal(access->code, code);
    assert_string_equal(access->message, message);
    access_unref(access);
}

static void test_readable_columns_are_what_is_granted(void **state)
{
    static const struct row rows[] = { ROW("1", "id", "t", "f"), ROW("1", "secret", "f", "f"),
                                       ROW("1", "g", "t", "t") };
    struct access *access = read_one(rows, 3);

    (void)state;
    assert_int_equal(access->code, 0);
    assert_int_equal(access->oid, 16384);
    assert_false(access->all);
    assert_true(access_reads(access, kit_text("id")));
    assert_true(access_reads(access, kit_text("g")));
    assert_false(access_reads(access, kit_text("secret")));
    assert_int_equal(access->generated_count, 1);
    access_unref(access);
}

static void test_all_columns_granted_is_the_whole_table(void **state)
{
    static const struct row rows[] = { ROW("1", "id", "t", "f"), ROW("1", "a", "t", "f") };
    struct access *access = read_one(rows, 2);

    (void)state;
    assert_true(access->all);
    access_unref(access);
}

static void test_each_reason_to_refuse_has_its_code_and_text(void **state)
{
    static const struct row good = ROW("1", "id", "t", "f");

    (void)state;
    assert_refusal(good, 3, NULL, WIRE_CODE_FORBIDDEN,
                   "role \"anon\" does not exist in the database");
    assert_refusal(good, 4, NULL, WIRE_CODE_SUBSCRIPTION_FAILED, "table public.t does not exist");
    assert_refusal(good, 5, "v", WIRE_CODE_SUBSCRIPTION_FAILED,
                   "public.t is not a table: only tables have changes to watch");
    assert_refusal(
        good, 7, "f", WIRE_CODE_FORBIDDEN,
        "table public.t is not enabled for realtime: run SELECT enable_realtime('public.t')");
    assert_refusal(good, 9, "f", WIRE_CODE_FORBIDDEN,
                   "role \"anon\" has no USAGE on schema public");
    assert_refusal(good, 9, NULL, WIRE_CODE_FORBIDDEN,
                   "role \"anon\" has no USAGE on schema public");
    assert_refusal(good, 11, "f", WIRE_CODE_FORBIDDEN,
                   "role \"anon\" may not SELECT from table public.t");
    assert_refusal(good, 2, "2", WIRE_CODE_SUBSCRIPTION_FAILED,
                   "the database gave no answer about public.t");
}

static void test_row_level_security_is_told_and_columns_are_numbered(void **state)
{
    struct row rows[] = { ROW("1", "id", "t", "f"), ROW("1", "secret", "f", "f") };
    bool secured = false;
    int row = 0;

    (void)state;
    rows[0].fields[8] = "t";
    rows[1].fields[13] = "4";
    rows[1].fields[14] = "25";
    PGresult *result = make(rows, 2);
    struct access *access = catalog_read(result, &row, 0, &question, &secured);
    assert_true(secured);
    assert_int_equal(access->code, 0);
    assert_int_equal(access->attribute_count, 2);
    assert_string_equal(access->attributes[1].name, "secret");
    assert_int_equal(access->attributes[1].number, 4);
    assert_int_equal(access->attributes[1].type, 25);
    access_unref(access);
    PQclear(result);
}

static void test_rows_are_told_apart_by_question(void **state)
{
    static const struct row rows[] = { ROW("1", "id", "t", "f"), ROW("2", "id", "f", "f"),
                                       ROW("3", "id", "t", "f") };
    PGresult *result = make(rows, 3);
    int codes[3];
    int row = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bool secured = true;
        struct access *access = catalog_read(result, &row, i, &question, &secured);
        assert_false(secured);
        codes[i] = access->code;
        access_unref(access);
    }
    assert_int_equal(codes[0], 0);
    assert_int_equal(codes[1], WIRE_CODE_FORBIDDEN);
    assert_int_equal(codes[2], 0);
    PQclear(result);
}

static void test_unseen_transactions_are_noticed(void **state)
{
    struct row row = ROW("1", "id", "t", "f");
    PGresult *seen = make(&row, 1);
    row.fields[0] = " 742 ";
    PGresult *unseen = make(&row, 1);

    (void)state;
    assert_true(catalog_all_seen(seen));
    assert_false(catalog_all_seen(unseen));
    PQclear(seen);
    PQclear(unseen);
}

static void test_names_are_quoted_in_array_literals(void **state)
{
    static const char *const names[] = { "a\"b", "c\\d", "e,f", "" };
    static const uint32_t xids[] = { 1, UINT32_MAX };
    struct rt_buf out = { 0 };

    (void)state;
    policy_sql_text_array(&out, names, 4);
    assert_string_equal(rt_buf_cstr(&out), "{\"a\\\"b\",\"c\\\\d\",\"e,f\",\"\"}");
    rt_buf_clear(&out);
    catalog_xid_array(&out, xids, 2);
    assert_string_equal(rt_buf_cstr(&out), "{1,4294967295}");
    rt_buf_clear(&out);
    policy_sql_text_array(&out, NULL, 0);
    assert_string_equal(rt_buf_cstr(&out), "{}");
    rt_buf_fini(&out);
}

static void test_request_has_a_list_for_each_part_of_the_questions(void **state)
{
    static const struct catalog_question questions[] = { { "s1", "t1", "r1" },
                                                         { "s2", "t2", "r2" } };
    struct fences fences = { .count = 0 };
    struct catalog_request request;

    (void)state;
    fences_add(&fences, 77);
    catalog_request_init(&request, questions, 2, &fences, "pgtide");
    assert_string_equal(request.params[0], "{\"s1\",\"s2\"}");
    assert_string_equal(request.params[1], "{\"t1\",\"t2\"}");
    assert_string_equal(request.params[2], "{\"r1\",\"r2\"}");
    assert_string_equal(request.params[3], "{77}");
    assert_string_equal(request.params[4], "pgtide");
    catalog_request_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable_columns_are_what_is_granted),
        cmocka_unit_test(test_all_columns_granted_is_the_whole_table),
        cmocka_unit_test(test_each_reason_to_refuse_has_its_code_and_text),
        cmocka_unit_test(test_row_level_security_is_told_and_columns_are_numbered),
        cmocka_unit_test(test_rows_are_told_apart_by_question),
        cmocka_unit_test(test_unseen_transactions_are_noticed),
        cmocka_unit_test(test_request_has_a_list_for_each_part_of_the_questions),
        cmocka_unit_test(test_names_are_quoted_in_array_literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
