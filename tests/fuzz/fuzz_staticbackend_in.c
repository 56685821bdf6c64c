/* tests/fuzz/fuzz_staticbackend_in.c - any text as a client's message on /ws and /sse/msg, as a row, as cookies, as a repository's name, and as a connection id.
 *
 * A message that is accepted has texts in all its members and no channel that could break a name on the links; what is said in
 * answer is one JSON value. A row is read and written back without a step past its end; whom it belongs to is a piece of it. An id names a
 * process or none.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/json_out.h"
#include "edge/staticbackend/document.h"
#include "edge/staticbackend/in.h"
#include "edge/staticbackend/out.h"
#include "edge/staticbackend/parts.h"
#include "edge/staticbackend/permission.h"
#include "edge/staticbackend/sid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void must_be_json(const struct rt_buf *text)
{
    struct rt_buf again = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    must(json_out_compact(&again, (const char *)text->data, text->len, &scratch, &replaced));
    must(replaced == 0 && again.len == text->len);
    rt_buf_fini(&again);
    rt_buf_fini(&scratch);
}

static void check_message(struct rt_span text)
{
    struct sb_message message;
    struct rt_span repository = { NULL, 0 };
    struct rt_buf out = { 0 };
    const char *wrong = sb_message_read(text, &message);

    if (wrong == NULL) {
        must(message.sid.data != NULL && message.token.data != NULL && message.data.data != NULL &&
             message.channel.data != NULL && message.channel.len <= SB_CHANNEL_MAX);
        must(message.type != SB_JOIN || message.data.len <= SB_CHANNEL_MAX);
        must(memchr(message.channel.data, '\n', message.channel.len) == NULL);
        sb_out_message(&out, message.sid, "echo", message.data, message.channel);
        must_be_json(&out);
        if (sb_is_database_channel(message.channel, &repository) && sb_is_repository(repository)) {
            must(sb_level_of(repository) <= SB_EVERYONE);
        }
    }
    rt_buf_fini(&out);
    sb_message_fini(&message);
}

static bool is_within(struct rt_span part, struct rt_span whole)
{
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_row(struct rt_span text)
{
    static const struct sb_names names = { "id",   "account_id", "owner_id",
                                           "data", "accountId",  "ownerId" };
    struct sb_row row;
    struct rt_buf scratch = { 0 };
    struct rt_buf compact = { 0 };
    struct rt_buf out = { 0 };
    size_t replaced = 0;

    sb_row_read(text, &names, &row);
    must(is_within(row.id, text) && is_within(row.account, text) && is_within(row.owner, text) &&
         is_within(row.data, text));
    must(!sb_value_is(row.account, (struct rt_span){ (const uint8_t *)"\"\"", 2 }));
    sb_document_write(&out, text, &row);
    /* Of JSON comes JSON. */
    rt_buf_clear(&out);
    if (json_out_compact(&compact, (const char *)text.data, text.len, &scratch, &replaced) &&
        compact.len > 0 && compact.data[0] == '{') {
        struct rt_span record = rt_buf_span(&compact);
        sb_row_read(record, &names, &row);
        sb_document_write(&out, record, &row);
        must_be_json(&out);
    }
    rt_buf_fini(&scratch);
    rt_buf_fini(&compact);
    rt_buf_fini(&out);
}

static void check_cookies(struct rt_span text)
{
    struct rt_span value;

    if (sb_cookie(text, "pk", &value)) {
        must(is_within(value, text) && memchr(value.data, ';', value.len) == NULL);
    }
}

/* Whatever the digits: who may see more than the owner is named by a name that is a repository's, or by none. */
static void check_name(struct rt_span text)
{
    bool plain = !sb_has_suffix(text) && (text.len < 4 || memcmp(text.data, "pub_", 4) != 0);

    if (sb_is_repository(text) && plain) {
        must(sb_level_of(text) != SB_OWNER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char host[HANDOVER_NAME_LEN];
    uint8_t *exact = malloc(len > 0 ? len : 1);

    must(exact != NULL);
    if (len > 0) {
        memcpy(exact, data, len);
    }
    struct rt_span text = { exact, len };
    check_message(text);
    check_row(text);
    check_cookies(text);
    check_name(text);
    (void)sb_sid_host(text, host);
    free(exact);
    return 0;
}
