#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/sql_files.h"
#include "runtime/buf.h"

static void read_source(const char *name, struct rt_buf *out)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/deploy/sql/%s", PGTIDE_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s cannot be read", path);
    }
    for (;;) {
        size_t got = fread(rt_buf_reserve(out, 4096), 1, 4096, file);
        out->len += got;
        if (got == 0) {
            break;
        }
    }
    fclose(file);
}

static void test_every_file_is_embedded_whole_and_as_text(void **state)
{
    (void)state;
    for (const struct sql_file *file = cli_sql_files(); file->name != NULL; file++) {
        struct rt_buf source = { 0 };
        read_source(file->name, &source);
        assert_string_equal(file->text, rt_buf_cstr(&source));
        assert_true(source.len > 0);
        rt_buf_fini(&source);
    }
}

static void test_files_are_applied_in_the_order_of_their_numbers(void **state)
{
    const struct sql_file *files = cli_sql_files();

    (void)state;
    for (size_t i = 1; files[i].name != NULL; i++) {
        assert_true(strcmp(files[i - 1].name, files[i].name) < 0);
    }
}

static int is_sql(const struct dirent *entry)
{
    return strstr(entry->d_name, ".sql") != NULL;
}

static void test_no_file_of_the_folder_is_forgotten(void **state)
{
    const struct sql_file *embedded = cli_sql_files();
    struct dirent **found = NULL;
    int count = scandir(PGTIDE_SOURCE_DIR "/deploy/sql", &found, is_sql, alphasort);

    (void)state;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        assert_non_null(embedded[i].name);
        assert_string_equal(found[i]->d_name, embedded[i].name);
        free(found[i]);
    }
    free(found);
    assert_null(embedded[count].name);
}

/* pgtide init wraps all files in one transaction. */
static void test_no_file_ends_the_transaction(void **state)
{
    (void)state;
    for (const struct sql_file *file = cli_sql_files(); file->name != NULL; file++) {
        assert_null(strstr(file->text, "\ncommit"));
        assert_null(strstr(file->text, "\nrollback"));
        assert_null(strstr(file->text, "concurrently"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_is_embedded_whole_and_as_text),
        cmocka_unit_test(test_files_are_applied_in_the_order_of_their_numbers),
        cmocka_unit_test(test_no_file_of_the_folder_is_forgotten),
        cmocka_unit_test(test_no_file_ends_the_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
