/* proto/writer.c - see writer.h. The only file that includes msgpack-c. */
#include "proto/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack/pack.h>

enum { FIRST_CAPACITY = 512 };

_Noreturn static void out_of_memory(size_t wanted)
{
    (void)fprintf(stderr, "proto: out of memory: %zu bytes for a message\n", wanted);
    abort();
}

static void grow(struct wire_writer *out, size_t more)
{
    size_t cap = out->cap > 0 ? out->cap : FIRST_CAPACITY;

    if (more > SIZE_MAX / 2 - out->len) {
        out_of_memory(more);
    }
    while (cap - out->len < more) {
        cap *= 2;
    }
    uint8_t *data = realloc(out->data, cap);
    if (data == NULL) {
        out_of_memory(cap);
    }
    out->data = data;
    out->cap = cap;
}

/* The packer's callback; its signature is msgpack-c's. */
static inline int append(void *to, const char *data, size_t len)
{
    struct wire_writer *out = to;

    if (len > out->cap - out->len) {
        grow(out, len);
    }
    if (len > 0) {
        memcpy(out->data + out->len, data, len);
        out->len += len;
    }
    return 0;
}

/* A packer is two pointers without a state of its own: made for every value, optimised away. */
static inline msgpack_packer packer(struct wire_writer *out)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, append);
    return pk;
}

void wire_check_failed(const char *where, const char *what)
{
    (void)fprintf(stderr, "proto: %s: a record that its receiver would refuse: %s\n", where, what);
    abort();
}

void wire_writer_fini(struct wire_writer *out)
{
    free(out->data);
    *out = (struct wire_writer){ 0 };
}

void wire_writer_clear(struct wire_writer *out)
{
    out->len = 0;
}

void wire_write_u64(struct wire_writer *out, uint64_t value)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_uint64(&pk, value);
}

void wire_write_i64(struct wire_writer *out, int64_t value)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_int64(&pk, value);
}

void wire_write_bool(struct wire_writer *out, bool value)
{
    msgpack_packer pk = packer(out);

    if (value) {
        msgpack_pack_true(&pk);
    } else {
        msgpack_pack_false(&pk);
    }
}

void wire_write_nil(struct wire_writer *out)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_nil(&pk);
}

void wire_write_str(struct wire_writer *out, const void *data, size_t len)
{
    wire_check(len <= UINT32_MAX);
    msgpack_packer pk = packer(out);

    msgpack_pack_str(&pk, len);
    msgpack_pack_str_body(&pk, data, len);
}

void wire_write_array(struct wire_writer *out, uint32_t count)
{
    msgpack_packer pk = packer(out);

    msgpack_pack_array(&pk, count);
}

/* What msgpack_pack_uint64() writes for the same number: its shortest form. */
static inline uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    enum { UINT8 = 0xcc, UINT16 = 0xcd, UINT32 = 0xce };

    if (value < 0x80) {
        *to++ = (uint8_t)value;
        return to;
    }
    if (value <= UINT8_MAX) {
        *to++ = UINT8;
    } else {
        if (value <= UINT16_MAX) {
            *to++ = UINT16;
        } else {
            *to++ = UINT32;
            *to++ = (uint8_t)(value >> 24);
            *to++ = (uint8_t)(value >> 16);
        }
        *to++ = (uint8_t)(value >> 8);
    }
    *to++ = (uint8_t)value;
    return to;
}

void wire_write_pair(struct wire_writer *out, uint32_t first, uint32_t second)
{
    enum { FIXARRAY_OF_TWO = 0x92, MOST = 1 + 5 + 5 };

    if (out->cap - out->len < MOST) {
        grow(out, MOST);
    }
    uint8_t *to = out->data + out->len;
    *to++ = FIXARRAY_OF_TWO;
    to = put_u32(to, first);
    to = put_u32(to, second);
    out->len = (size_t)(to - out->data);
}

void wire_write_raw(struct wire_writer *out, const void *data, size_t len)
{
    (void)append(out, data, len);
}
