/* proto/reader.h - bounded reads over msgpack that somebody else wrote.
 *
 * Every byte a tier receives from another passes through this cursor. It never allocates and
 * never builds an object tree (five bytes can make the library's reserve 4 GB); lengths are
 * checked against the bytes that are there and against the caller's limit before they are used.
 *
 * Failure is sticky: the first read that does not fit sets `err`; it and every later read return
 * zero values (an empty span is never a null pointer). A decoder reads a record in order and
 * tests once, at the end. The cursor borrows the buffer: spans point into it.
 *
 * Integers are taken in any of msgpack's widths, str and bin for each other; nothing else is
 * converted. A value that breaks several rules fails as TYPE before RANGE before SHORT.
 */
#ifndef PGTIDE_PROTO_READER_H
#define PGTIDE_PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_err {
    WIRE_OK = 0,
    WIRE_ERR_END,      /* the message is over (wire_next_record only) */
    WIRE_ERR_SHORT,    /* the buffer ends inside a value */
    WIRE_ERR_TYPE,     /* another msgpack type than the field has */
    WIRE_ERR_RANGE,    /* a number or length outside the field's limits */
    WIRE_ERR_ARITY,    /* a record with more or fewer fields than this version knows */
    WIRE_ERR_UNKNOWN,  /* a record number this version does not know */
    WIRE_ERR_DEPTH,    /* nested deeper than allowed */
    WIRE_ERR_TRAILING, /* bytes behind the value */
};
const char *wire_err_text(enum wire_err err);

struct wire_span {
    const char *data; /* not terminated */
    size_t len;
};

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    enum wire_err err;
};

/* How deep wire_read_raw() can look, whatever its caller asks for. */
#define WIRE_RAW_DEPTH_MAX 32u

void wire_reader_init(struct wire_reader *in, const void *data, size_t len);
/* For decoders that find a value wrong which was read all right: as if the read had failed. The
 * first cause stays. */
void wire_reader_fail(struct wire_reader *in, enum wire_err err);
uint64_t wire_read_u64(struct wire_reader *in);
uint32_t wire_read_u32(struct wire_reader *in); /* WIRE_ERR_RANGE above 2^32 - 1 */
int64_t wire_read_i64(struct wire_reader *in);
bool wire_read_bool(struct wire_reader *in);
/* str or bin of at most max_len bytes. */
struct wire_span wire_read_str(struct wire_reader *in, size_t max_len);
/* Array header of at most max_count elements. Also fails, with WIRE_ERR_SHORT, when fewer bytes
 * than elements are left: a loop over the count is bounded by the message. */
uint32_t wire_read_array(struct wire_reader *in, uint32_t max_count);
/* Skips one value of any type and returns its raw bytes. Containers nest at most `depth` deep
 * (0: none at all). No recursion; the cost is linear in the number of values, not in their
 * bytes. */
struct wire_span wire_read_raw(struct wire_reader *in, unsigned depth);
/* Whether the next byte starts a nil; consumes it if so. */
bool wire_try_nil(struct wire_reader *in);
/* err, or WIRE_ERR_TRAILING when bytes are left. */
enum wire_err wire_reader_finish(const struct wire_reader *in);

#endif
