/* runtime/json.h - JSON that somebody else wrote, looked at without a tree.
 *
 * Payloads and metas go into clients' frames as they are, so they must be JSON (RFC 8259: one value, UTF-8, no control characters in
 * strings), at most RT_JSON_DEPTH deep. Claims are looked into for single members. What a number looks like stays as it
 * is, which a tree would not promise. Pure; nothing is allocated; cost linear in the bytes.
 */
#ifndef PGTIDE_RUNTIME_JSON_H
#define PGTIDE_RUNTIME_JSON_H

#include <stdbool.h>

#include "runtime/buf.h"

#define RT_JSON_DEPTH 64u

/* One whole value with blanks around it and nothing else. */
bool rt_json_valid(struct rt_span text);
/* The raw value of a member of an object; of several with one name, the last. False: not an object, or no such member. Names with escapes
 * are not found. `text` is valid. */
bool rt_json_member(struct rt_span text, const char *name, struct rt_span *out);
/* The raw n-th element of an array, counted from 0. `text` is valid. */
bool rt_json_element(struct rt_span text, size_t n, struct rt_span *out);
/* Whether the value is this text: a string without escapes, a number written so, or an array with such an element. */
bool rt_json_is(struct rt_span value, struct rt_span text);

#endif
