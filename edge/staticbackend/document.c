/* edge/staticbackend/document.c - see document.h. */
#include "edge/staticbackend/document.h"

#include <string.h>

static struct rt_span sub(struct rt_span text, size_t from, size_t to)
{
    return (struct rt_span){ text.data + from, to - from };
}

/* Behind the string that begins at `at`; the length of the text if it does not end. */
static size_t behind_string(struct rt_span text, size_t at)
{
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.data[i] == '\\') {
            i++;
        } else if (text.data[i] == '"') {
            return i + 1;
        }
    }
    return text.len;
}

/* Behind the value that begins at `at`: at its comma, or at the bracket that closes what it is in. */
static size_t behind_value(struct rt_span text, size_t at)
{
    size_t depth = 0;

    while (at < text.len) {
        switch (text.data[at]) {
        case '"':
            at = behind_string(text, at);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0) {
                return at;
            }
            depth--;
            break;
        case ',':
            if (depth == 0) {
                return at;
            }
            break;
        default:
            break;
        }
        at++;
    }
    return at;
}

bool sb_member_next(struct rt_span *rest, struct rt_span *key, struct rt_span *value)
{
    if (rest->len < 2 || (rest->data[0] != '{' && rest->data[0] != ',') || rest->data[1] != '"') {
        return false;
    }
    size_t colon = behind_string(*rest, 1);
    if (colon >= rest->len || rest->data[colon] != ':') {
        return false;
    }
    size_t end = behind_value(*rest, colon + 1);
    if (end >= rest->len || end == colon + 1) {
        return false;
    }
    *key = sub(*rest, 1, colon);
    *value = sub(*rest, colon + 1, end);
    *rest = sub(*rest, end, rest->len);
    return true;
}

static bool is_key(struct rt_span key, const char *name)
{
    size_t len = strlen(name);

    return key.len == len + 2 && memcmp(key.data + 1, name, len) == 0;
}

/* null is as good as nothing. */
static struct rt_span present(struct rt_span value)
{
    bool null = value.len == 4 && memcmp(value.data, "null", 4) == 0;

    return null ? (struct rt_span){ value.data, 0 } : value;
}

static void take_column(struct rt_span key, struct rt_span value, const struct sb_names *names,
                        struct sb_row *out)
{
    if (is_key(key, names->id)) {
        out->id = present(value);
    } else if (is_key(key, names->account)) {
        out->account_is_column = true;
        out->account = present(value);
    } else if (is_key(key, names->owner)) {
        out->owner_is_column = true;
        out->owner = present(value);
    } else if (is_key(key, names->data) && value.data[0] == '{') {
        out->data = value;
    } else if (!is_key(key, "created")) {
        out->plain = true;
    }
}

static void take_members(const struct sb_names *names, struct sb_row *out)
{
    struct rt_span rest = out->data;
    struct rt_span key;
    struct rt_span value;

    while (sb_member_next(&rest, &key, &value)) {
        if (!out->account_is_column && is_key(key, names->account_member)) {
            out->account = present(value);
        }
        if (!out->owner_is_column && is_key(key, names->owner_member)) {
            out->owner = present(value);
        }
    }
}

void sb_row_read(struct rt_span record, const struct sb_names *names, struct sb_row *out)
{
    struct rt_span rest = record;
    struct rt_span key;
    struct rt_span value;

    *out = (struct sb_row){ .plain = false };
    while (sb_member_next(&rest, &key, &value)) {
        take_column(key, value, names, out);
    }
    if (out->data.len == 0) {
        out->plain = true;
    } else {
        take_members(names, out);
    }
}

bool sb_row_has_account(const struct sb_row *row)
{
    return row->account_is_column || row->data.len > 0;
}

bool sb_row_has_owner(const struct sb_row *row)
{
    return row->owner_is_column || row->data.len > 0;
}

bool sb_value_is(struct rt_span value, struct rt_span quoted)
{
    if (value.len == 0 || quoted.len <= 2) {
        return false;
    }
    if (value.data[0] == '"') {
        return value.len == quoted.len && memcmp(value.data, quoted.data, value.len) == 0;
    }
    bool number = value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9');
    return number && value.len == quoted.len - 2 &&
           memcmp(value.data, quoted.data + 1, value.len) == 0;
}

void sb_document_write(struct rt_buf *out, struct rt_span record, const struct sb_row *row)
{
    struct rt_span rest = row->data;
    struct rt_span key;
    struct rt_span value;

    if (row->plain) {
        rt_buf_append(out, record.data, record.len);
        return;
    }
    rt_buf_puts(out, "{\"id\":");
    if (row->id.len > 0) {
        rt_buf_append(out, row->id.data, row->id.len);
    } else {
        rt_buf_puts(out, "null");
    }
    if (row->account_is_column && row->account.len > 0) {
        rt_buf_puts(out, ",\"accountId\":");
        rt_buf_append(out, row->account.data, row->account.len);
    }
    while (sb_member_next(&rest, &key, &value)) {
        if (is_key(key, "id") || (row->account_is_column && is_key(key, "accountId"))) {
            continue;
        }
        rt_buf_putc(out, ',');
        rt_buf_append(out, key.data, key.len);
        rt_buf_putc(out, ':');
        rt_buf_append(out, value.data, value.len);
    }
    rt_buf_putc(out, '}');
}
