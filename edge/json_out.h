/* edge/json_out.h - JSON text, appended to a buffer. No tree, no state: the caller writes punctuation.
 *
 * What is appended is always valid JSON in valid UTF-8, whatever the input: bytes that are not UTF-8 become U+FFFD, one
 * for each maximal broken piece (Unicode 3.9, practice of substitution), and their number is returned so that the
 * caller can count them. Escapes are those of PostgreSQL's escape_json. Cost: linear, one pass.
 */
#ifndef PGTIDE_EDGE_JSON_OUT_H
#define PGTIDE_EDGE_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

/* A string with its quotes. Returns the number of replacements. */
size_t json_out_string(struct rt_buf *out, const char *text, size_t len);
/* `"name":`, for a name from our own sources: ASCII without anything to escape. */
void json_out_key(struct rt_buf *out, const char *name);
/* `"name":"text"` with text escaped. */
size_t json_out_text_member(struct rt_buf *out, const char *name, const char *text, size_t len);
/* Appends one JSON value without the white space outside its strings, and checks it on the way (RFC 8259, any nesting: the
 * stack is a byte per level in `scratch`, which is cleared). False, with `out` as it was, when it is not one JSON value. *replaced
 * is increased by the number of replacements. */
bool json_out_compact(struct rt_buf *out, const char *text, size_t len, struct rt_buf *scratch,
                      size_t *replaced);

#endif
