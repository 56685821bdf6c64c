/* proto/writer.h - msgpack into a growing buffer, with msgpack-c's packer.
 *
 * A zeroed struct is an empty writer. The buffer keeps its capacity over wire_writer_clear() and
 * is freed by wire_writer_fini(), after which the writer is empty again. Encoding cannot fail:
 * out of memory aborts with a message. Callers respect the limits of records.h; the encoder
 * checks them, in every build, since a record that our own decoder refuses is our bug.
 *
 * What is written must not lie in the writer's own buffer: it moves when it grows.
 */
#ifndef PGTIDE_PROTO_WRITER_H
#define PGTIDE_PROTO_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

struct wire_writer {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void wire_writer_fini(struct wire_writer *out);
void wire_writer_clear(struct wire_writer *out);
void wire_write_u64(struct wire_writer *out, uint64_t value);
void wire_write_i64(struct wire_writer *out, int64_t value);
void wire_write_bool(struct wire_writer *out, bool value);
void wire_write_nil(struct wire_writer *out);
void wire_write_str(struct wire_writer *out, const void *data, size_t len);
void wire_write_array(struct wire_writer *out, uint32_t count);
/* An array of two numbers, as wire_write_array() and wire_write_u64() would write it: of lists with thousands of them. */
void wire_write_pair(struct wire_writer *out, uint32_t first, uint32_t second);
void wire_write_raw(struct wire_writer *out, const void *data, size_t len); /* msgpack already */

/* Our own mistakes only, never a peer's bytes: says where and aborts. */
#define wire_check(condition) ((condition) ? (void)0 : wire_check_failed(__func__, #condition))
_Noreturn void wire_check_failed(const char *where, const char *what);

#endif
