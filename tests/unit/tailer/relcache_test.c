/* relcache_test.c - generations of tables: tailer/relcache.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tailer/fakes.h"
#include "tests/unit/tailer/wal_builder.h"

enum { USERS = 7 };

struct fixture {
    struct rt_buf buf;
    struct fake_catalog catalog;
    struct relcache *cache;
    struct pgoutput_rows rows;
    struct rt_buf text;
};

static int setup(void **state)
{
    struct fixture *f = rt_alloc(sizeof(*f));
    struct facts_source source = fake_source(&f->catalog);

    f->cache = relcache_new(&source, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    relcache_free(f->cache);
    rt_buf_fini(&f->buf);
    rt_buf_fini(&f->text);
    free(f);
    return 0;
}

static bool describe(struct fixture *f, uint32_t xid, const char *table, char identity,
                     const char *columns)
{
    struct pgoutput_message message;
    struct rt_span bytes = wal_relation(&f->buf, USERS, table, identity, columns);

    assert_int_equal(pgoutput_decode(bytes.data, bytes.len, &f->rows, &message), PGOUTPUT_OK);
    return relcache_describe(f->cache, &message.relation, xid);
}

static struct relation *use(struct fixture *f, uint32_t xid)
{
    struct relation *relation = NULL;

    assert_int_equal(relcache_use(f->cache, USERS, xid, false, &relation), RELCACHE_OK);
    return relation;
}

/* The record in words, see fakes.h. */
static const char *words(struct fixture *f, const struct relation *relation)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;
    bool broken = false;

    rt_buf_clear(&f->text);
    wire_reader_init(&in, relation->record.data, relation->record.len);
    assert_int_equal(wire_next_record(&in, &type), WIRE_OK);
    assert_true(fake_say(&f->text, &in, type, &broken));
    assert_false(broken);
    return rt_buf_cstr(&f->text);
}

static void test_the_default_identity_is_the_primary_key(void **state)
{
    struct fixture *f = *state;

    assert_true(describe(f, 1, "users", 'd', "Ab"));

    assert_string_equal(words(f, use(f, 1)), "R1:users:A3b0 ");
}

static void test_with_full_identity_the_primary_key_comes_from_the_catalog(void **state)
{
    struct fixture *f = *state;
    f->catalog.primary = "B";

    describe(f, 1, "users", 'f', "AB");

    assert_string_equal(words(f, use(f, 1)), "R1:users:A1B3 ");
}

static void test_generated_columns_are_named_unless_they_are_streamed(void **state)
{
    struct fixture *f = *state;
    f->catalog.generated = "gA";

    describe(f, 1, "users", 'd', "Ab");

    assert_string_equal(words(f, use(f, 1)), "R1:users:A3b0-g ");
}

static void test_a_description_that_is_never_used_asks_nothing(void **state)
{
    struct fixture *f = *state;

    describe(f, 1, "users", 'd', "Ab");

    assert_int_equal(f->catalog.questions, 0);
    assert_int_equal(relcache_stats(f->cache).kept, 0);
}

static void test_a_change_of_the_primary_key_alone_makes_a_generation(void **state)
{
    struct fixture *f = *state;

    describe(f, 1, "users", 'f', "AB");
    assert_int_equal(use(f, 1)->rel, 1);
    f->catalog.primary = "A";
    describe(f, 2, "users", 'f', "AB");
    assert_int_equal(use(f, 2)->rel, 2);
}

static void test_the_same_description_in_the_same_transaction_is_not_told_again(void **state)
{
    struct fixture *f = *state;

    describe(f, 1, "users", 'd', "Ab");
    use(f, 1)->announced[0] = 77;
    describe(f, 1, "users", 'd', "Ab");
    assert_int_equal(use(f, 1)->announced[0], 77);
    describe(f, 2, "users", 'd', "Ab");
    assert_int_equal(use(f, 2)->announced[0], 0);
    assert_int_equal(use(f, 2)->rel, 1);
}

static void test_a_replaced_generation_is_found_while_a_frame_that_names_it_is_kept(void **state)
{
    struct fixture *f = *state;
    struct relcache_fence fence = { .next_seq = 10, .first_seq = 9 };

    describe(f, 1, "users", 'd', "Ab");
    use(f, 1);
    describe(f, 2, "users", 'd', "Abc");
    use(f, 2);
    relcache_purge(f->cache, &fence);
    fence = (struct relcache_fence){ .next_seq = 20, .first_seq = 10 };
    relcache_purge(f->cache, &fence);
    assert_non_null(relcache_find(f->cache, 1));
    fence.first_seq = 11;
    relcache_purge(f->cache, &fence);

    assert_null(relcache_find(f->cache, 1));
    assert_non_null(relcache_find(f->cache, 2));
}

static void test_after_a_restart_tables_must_be_described_again(void **state)
{
    struct fixture *f = *state;
    struct relation *relation = NULL;

    describe(f, 1, "users", 'd', "Ab");
    use(f, 1);
    relcache_restart(f->cache);

    assert_int_equal(relcache_use(f->cache, USERS, 1, false, &relation), RELCACHE_UNKNOWN);
    assert_non_null(relcache_find(f->cache, 1));
}

static void test_names_longer_than_postgresql_allows_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[WIRE_NAME_MAX + 2];

    memset(name, 'n', sizeof(name));
    name[WIRE_NAME_MAX + 1] = '\0';
    assert_false(describe(f, 1, name, 'd', "A"));
    name[WIRE_NAME_MAX] = '\0';
    assert_true(describe(f, 1, name, 'd', "A"));
}

static void test_a_doubted_table_is_looked_up_again(void **state)
{
    struct fixture *f = *state;

    describe(f, 1, "users", 'd', "Ab");
    use(f, 1)->announced[0] = 77;
    int before = f->catalog.questions;
    relcache_doubt(f->cache);

    assert_int_equal(use(f, 1)->announced[0], 0);
    assert_true(f->catalog.questions > before);
}

static void test_a_table_that_joins_or_leaves_the_policies_is_another_generation(void **state)
{
    struct fixture *f = *state;

    describe(f, 1, "users", 'd', "Ab");
    assert_false(use(f, 1)->everywhere);
    f->catalog.read_by_policies = USERS;
    relcache_doubt(f->cache);
    assert_int_equal(use(f, 1)->rel, 2);
    assert_true(use(f, 1)->everywhere);
    f->catalog.read_by_policies = 0;
    describe(f, 2, "users", 'd', "Ab");
    assert_int_equal(use(f, 2)->rel, 3);
    assert_false(use(f, 2)->everywhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_the_default_identity_is_the_primary_key),
        TEST(test_with_full_identity_the_primary_key_comes_from_the_catalog),
        TEST(test_generated_columns_are_named_unless_they_are_streamed),
        TEST(test_a_description_that_is_never_used_asks_nothing),
        TEST(test_a_change_of_the_primary_key_alone_makes_a_generation),
        TEST(test_the_same_description_in_the_same_transaction_is_not_told_again),
        TEST(test_a_replaced_generation_is_found_while_a_frame_that_names_it_is_kept),
        TEST(test_after_a_restart_tables_must_be_described_again),
        TEST(test_names_longer_than_postgresql_allows_are_refused),
        TEST(test_a_doubted_table_is_looked_up_again),
        TEST(test_a_table_that_joins_or_leaves_the_policies_is_another_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
