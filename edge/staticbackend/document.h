/* edge/staticbackend/document.h - a row as a document of StaticBackend: whose it is, and what its events carry.
 *
 * StaticBackend's tables are (id, account_id, owner_id, data jsonb, created); a document is the members of `data` with `id` and
 * `accountId`. A table with other columns is sent as it is, all columns. The account and the owner are columns, by names from the
 * configuration; a table without such a column has them as members of its jsonb column. Values are compared as texts, a number by its
 * digits; what is missing or null belongs to nobody.
 *
 * Works on the JSON that the hub makes of a row: one object without white space (edge/row_json.h). Malformed text gives a row that
 * belongs to nobody. Pure. Cost: one pass over the text.
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_DOCUMENT_H
#define PGTIDE_EDGE_STATICBACKEND_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

/* From the configuration; must outlive what is made with it. */
struct sb_names {
    const char *id;
    const char *account;
    const char *owner;
    const char *data;
    const char *account_member; /* in the jsonb column */
    const char *owner_member;
};

/* Spans of JSON values within the record; len 0: missing. */
struct sb_row {
    struct rt_span id;
    struct rt_span account;
    struct rt_span owner;
    struct rt_span data; /* an object */
    bool account_is_column;
    bool owner_is_column;
    bool plain; /* has columns that StaticBackend's tables have not: sent as it is */
};

void sb_row_read(struct rt_span record, const struct sb_names *names, struct sb_row *out);
/* Whether the row says whose it is at all; false: the log had only its key. */
bool sb_row_has_account(const struct sb_row *row);
bool sb_row_has_owner(const struct sb_row *row);
/* Whether a JSON value is this text, which is a JSON string. Never for an empty one. */
bool sb_value_is(struct rt_span value, struct rt_span quoted);
/* Appends the document as JSON. */
void sb_document_write(struct rt_buf *out, struct rt_span record, const struct sb_row *row);

/* The members of a JSON object, one after the other: *rest is the object at first. `key` with its quotes. False at the end, or
 * where the text is not such an object. */
bool sb_member_next(struct rt_span *rest, struct rt_span *key, struct rt_span *value);

#endif
