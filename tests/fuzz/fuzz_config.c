/* The configuration file as bytes that nobody checked. What loads, printed, loads again; what does not
 * has at least one error, and each is a line that starts with the file's name or an option's source. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config.h"
#include "runtime/config_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static struct rt_config *load(const uint8_t *data, size_t size, struct rt_buf *errors)
{
    return rt_config_build(
        &(struct rt_config_inputs){ .file_name = "f", .file_text = { data, size } }, errors);
}

static void check_loaded(const struct rt_config *config)
{
    require(config->shards >= 1 && config->shards <= 1024 && config->broker_shard < config->shards);
    require(config->links_lease >= 2 * config->links_heartbeat);
    require(strlen(config->auth_jwt_key) == 0 || strlen(config->auth_jwt_key) >= 32);
    struct rt_buf text = { 0 };
    struct rt_buf errors = { 0 };
    rt_config_print(config, &text);
    struct rt_config *again = load(text.data, text.len, &errors);
    /* A secret is printed as stars, which are too short to be a key. */
    require((again != NULL) == (config->auth_jwt_key[0] == '\0'));
    rt_config_free(again);
    rt_buf_fini(&errors);
    rt_buf_fini(&text);
}

static void check_errors(const struct rt_buf *errors)
{
    require(errors->len > 0 && errors->data[errors->len - 1] == '\n');
    for (size_t i = 0; i < errors->len; i++) {
        require(errors->data[i] == '\n' || (errors->data[i] >= ' ' && errors->data[i] != 0x7f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    require(exact != NULL);
    if (size > 0) {
        memcpy(exact, data, size);
    }
    struct rt_buf errors = { 0 };
    struct rt_config *config = load(exact, size, &errors);
    if (config != NULL) {
        require(errors.len == 0);
        check_loaded(config);
    } else {
        check_errors(&errors);
    }
    rt_config_free(config);
    rt_buf_fini(&errors);
    free(exact);
    return 0;
}
