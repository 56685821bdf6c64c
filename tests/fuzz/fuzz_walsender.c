/* fuzz_walsender.c - what a server sends around pgoutput: COPY BOTH messages, LSN texts, snapshot texts. */
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "tailer/copyboth.h"
#include "tailer/lsn.h"
#include "tailer/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_copyboth(const uint8_t *copy, size_t len)
{
    struct copyboth_message message = copyboth_decode(copy, len);

    if (message.kind == COPYBOTH_DATA && message.body.len > 0 &&
        (message.body.data < copy || message.body.data + message.body.len != copy + len)) {
        abort();
    }
}

/* What reads as an LSN is written back as the same LSN. */
static void check_lsn(const char *text)
{
    uint64_t lsn = 0;
    uint64_t again = 0;
    char written[LSN_TEXT_SIZE];

    if (lsn_parse(text, &lsn)) {
        lsn_text(lsn, written);
        if (!lsn_parse(written, &again) || again != lsn) {
            abort();
        }
    } else if (lsn != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = rt_alloc(len + (len == 0));
    char *text = rt_strndup(len == 0 ? "" : (const char *)data, len);

    if (len > 0) {
        memcpy(copy, data, len);
    }
    check_copyboth(copy, len);
    check_lsn(text);
    (void)snapshot_sees(text, len > 0 ? data[0] : 0);
    (void)lsn_slot_name_ok(text);
    free(copy);
    free(text);
    return 0;
}
