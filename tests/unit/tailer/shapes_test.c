/* shapes_test.c - from types to shapes: tailer/shapes.h and tailer/builtin_types.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tailer/builtin_types.h"
#include "tailer/shapes.h"
#include "tests/unit/tailer/fakes.h"

enum { INT4 = 23, TEXT = 25, NUMERIC = 1700, USER = 20000 };

struct fixture {
    struct fake_catalog catalog;
    struct wire_writer out;
    struct shapes_report report;
    char hex[512];
};

static int setup(void **state)
{
    *state = rt_alloc(sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    wire_writer_fini(&f->out);
    free(f);
    return 0;
}

static const char *shape(struct fixture *f, uint32_t type)
{
    struct facts_source source = fake_source(&f->catalog);
    struct wire_reader in;

    wire_writer_clear(&f->out);
    assert_true(shapes_write(&source, type, &f->out, &f->report));
    wire_reader_init(&in, f->out.data, f->out.len);
    wire_read_raw(&in, WIRE_SHAPE_DEPTH);
    assert_int_equal(wire_reader_finish(&in), WIRE_OK);
    for (size_t i = 0; i < f->out.len && i < 250; i++) {
        (void)snprintf(f->hex + 2 * i, 3, "%02x", f->out.data[i]);
    }
    return f->hex;
}

static void test_scalars_are_what_to_jsonb_makes_of_them(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(shape(f, INT4), "01");
    assert_string_equal(shape(f, NUMERIC), "01");
    assert_string_equal(shape(f, 16), "02");   /* bool */
    assert_string_equal(shape(f, 1082), "03"); /* date */
    assert_string_equal(shape(f, 1114), "04"); /* timestamp */
    assert_string_equal(shape(f, 1184), "05"); /* timestamptz */
    assert_string_equal(shape(f, 3802), "06"); /* jsonb */
    assert_string_equal(shape(f, 26), "00");   /* oid: a string in JSON */
    assert_string_equal(shape(f, 790), "00");  /* money */
    assert_string_equal(shape(f, 600), "00");  /* point: subscripted, but not an array */
    assert_string_equal(shape(f, 3904), "00"); /* int4range */
    assert_int_equal(f->catalog.questions, 0);
}

static void test_arrays_and_vectors_name_their_elements(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(shape(f, 1007), "9307a12c01");     /* int4[] */
    assert_string_equal(shape(f, 1020), "9307a13b00");     /* box[], separated by ; */
    assert_string_equal(shape(f, 22), "920901");           /* int2vector */
    assert_string_equal(shape(f, 30), "920900");           /* oidvector */
    assert_string_equal(shape(f, 1006), "9307a12c920901"); /* int2vector[] */
    assert_int_equal(f->catalog.questions, 0);
}

static void test_domains_are_their_base_and_enums_text(void **state)
{
    struct fixture *f = *state;
    const struct facts_type types[] = {
        { .kind = 'd', .base = USER + 1 },
        { .kind = 'd', .base = INT4 },
        { .kind = 'e' },
        { .kind = 'b', .is_array = true, .delimiter = ',', .element = USER },
    };
    f->catalog.types = types;
    f->catalog.type_count = 4;

    assert_string_equal(shape(f, USER), "01");
    assert_string_equal(shape(f, USER + 2), "00");
    assert_string_equal(shape(f, USER + 3), "9307a12c01");
}

static void test_composite_types_name_their_attributes_in_order(void **state)
{
    struct fixture *f = *state;
    struct facts_attribute inner[] = { { "x", INT4 }, { "y", TEXT } };
    struct facts_attribute outer[] = { { "p", USER }, { "q", 1007 } };
    const struct facts_type types[] = {
        { .kind = 'c', .attributes = inner, .attribute_count = 2 },
        { .kind = 'c', .attributes = outer, .attribute_count = 2 },
        { .kind = 'c' },
    };
    f->catalog.types = types;
    f->catalog.type_count = 3;

    assert_string_equal(shape(f, USER), "930892a1780192a17900");
    assert_string_equal(shape(f, USER + 1), "930892a170930892a1780192a1790092a1719307a12c01");
    assert_string_equal(shape(f, USER + 2), "9108");
}

static void test_a_type_that_is_gone_is_text_and_reported(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(shape(f, USER), "00");
    assert_true(f->report.absent);
}

static void test_what_nests_too_deep_is_text_and_reported(void **state)
{
    struct fixture *f = *state;
    /* An array of itself, as a catalog that changes between two questions may seem to hold. */
    const struct facts_type types[] = {
        { .kind = 'b', .is_array = true, .delimiter = ',', .element = USER },
        { .kind = 'd', .base = USER + 1 }
    };
    f->catalog.types = types;
    f->catalog.type_count = 2;

    assert_string_equal(shape(f, USER), "00");
    assert_true(f->report.too_complex);
    assert_string_equal(shape(f, USER + 1), "00"); /* a domain of itself */
}

static void test_what_has_too_many_parts_is_text(void **state)
{
    struct fixture *f = *state;
    struct facts_attribute attributes[5][10];
    struct facts_type types[5];
    f->catalog.types = types;
    f->catalog.type_count = 5;

    memset(attributes, 0, sizeof(attributes));
    for (uint32_t i = 0; i < 5; i++) {
        types[i] =
            (struct facts_type){ .kind = 'c', .attributes = attributes[i], .attribute_count = 10 };
        for (uint32_t j = 0; j < 10; j++) {
            attributes[i][j].name[0] = 'a';
            attributes[i][j].type = i == 4 ? (uint32_t)INT4 : USER + i + 1;
        }
    }
    assert_string_equal(shape(f, USER), "00");
    assert_true(f->report.too_complex);
}

static void test_a_silent_catalog_leaves_the_output_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct facts_source source = fake_source(&f->catalog);
    f->catalog.down = true;

    wire_write_u64(&f->out, 5);
    assert_false(shapes_write(&source, USER, &f->out, &f->report));
    assert_int_equal(f->out.len, 1);
}

static void test_the_table_of_types_is_sorted_and_every_array_resolves(void **state)
{
    uint32_t found = 0;

    (void)state;
    for (uint32_t oid = 1; oid < 10000; oid++) {
        const struct builtin_type *type = builtin_type(oid);
        if (type == NULL) {
            continue;
        }
        found++;
        assert_int_equal(type->oid, oid);
        if (type->element != 0) {
            assert_non_null(builtin_type(type->element));
        }
    }
    assert_true(found > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_scalars_are_what_to_jsonb_makes_of_them),
        TEST(test_arrays_and_vectors_name_their_elements),
        TEST(test_domains_are_their_base_and_enums_text),
        TEST(test_composite_types_name_their_attributes_in_order),
        TEST(test_a_type_that_is_gone_is_text_and_reported),
        TEST(test_what_nests_too_deep_is_text_and_reported),
        TEST(test_what_has_too_many_parts_is_text),
        TEST(test_a_silent_catalog_leaves_the_output_as_it_was),
        TEST(test_the_table_of_types_is_sorted_and_every_array_resolves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
