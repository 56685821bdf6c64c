/* tests/fuzz/fuzz_snapshot_token.c - tokens of snapshots: what is accepted is what the encoder writes, in bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/snapshot/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size == 0 ? 1 : size);
    struct rt_buf again = { 0 };
    struct token first;
    struct token second;

    if (size > 0) {
        memcpy(text, data, size);
    }
    if (token_decode((struct wire_span){ text, size }, &first)) {
        check(size <= WIRE_TOKEN_MAX && first.key_count <= SQL_KEYS_MAX);
        check(first.done == (first.key_count == 0) && first.snapshot.xmin > 0);
        /* msgpack has several spellings of one number, the encoder one: never longer. */
        check(token_encode(&again, &first) && again.len <= size);
        check(token_decode((struct wire_span){ rt_buf_cstr(&again), again.len }, &second));
        check(second.epoch == first.epoch && second.oid == first.oid);
        check(second.lsn == first.lsn && second.key_print == first.key_print);
        check(strcmp(second.seen, first.seen) == 0 && second.key_count == first.key_count);
        for (uint32_t i = 0; i < first.key_count; i++) {
            check(strcmp(first.keys[i], second.keys[i]) == 0);
        }
        token_fini(&second);
        token_fini(&first);
    } else {
        check(first.seen == NULL && first.key_count == 0);
    }
    rt_buf_fini(&again);
    free(text);
    return 0;
}
