/* tests/unit/runtime/config_fixture.h - loads a configuration from texts: no file is read, and the environment is the
 * test's own. */
#ifndef PGTIDE_TESTS_UNIT_RUNTIME_CONFIG_FIXTURE_H
#define PGTIDE_TESTS_UNIT_RUNTIME_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/config.h"
#include "runtime/config_internal.h"

/* The result of one load, freed and replaced by the next. */
struct fixture {
    struct rt_config *config;
    struct rt_buf errors;
};

static inline int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    rt_config_free(f->config);
    rt_buf_fini(&f->errors);
    return 0;
}

static inline bool load(struct fixture *f, const char *yaml, const char *const *env,
                        const char *const *sets)
{
    rt_config_free(f->config);
    rt_buf_clear(&f->errors);
    f->config = rt_config_build(
        &(struct rt_config_inputs){
            .file_name = yaml != NULL ? "pgtide.yml" : NULL,
            .file_text = { (const uint8_t *)yaml, yaml != NULL ? strlen(yaml) : 0 },
            .env = env,
            .sets = sets },
        &f->errors);
    assert_true((f->config == NULL) == (f->errors.len > 0));
    return f->config != NULL;
}

static inline void assert_loads(struct fixture *f, const char *yaml)
{
    if (!load(f, yaml, NULL, NULL)) {
        fail_msg("refused:\n%s", rt_buf_cstr(&f->errors));
    }
}

/* All errors, exactly. */
static inline void assert_refused(struct fixture *f, const char *yaml, const char *errors)
{
    assert_false(load(f, yaml, NULL, NULL));
    assert_string_equal(rt_buf_cstr(&f->errors), errors);
}

#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
