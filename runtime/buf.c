/* runtime/buf.c - growable bytes. data[0..len) is content, cap is what is allocated; cap 0 and data
 * NULL is a valid empty buffer. */
#include "runtime/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 64 };

static _Noreturn void out_of_memory(size_t size)
{
    char line[128];
    int len = snprintf(line, sizeof(line),
                       "fatal: out of memory (%zu bytes asked); give this process more memory or "
                       "lower the rings and budgets in its configuration\n",
                       size);
    if (len > (int)sizeof(line) - 1) {
        len = (int)sizeof(line) - 1;
    }
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written; /* nothing is left to do about a failure */
    abort();
}

void *rt_alloc(size_t size)
{
    void *ptr = calloc(1, size > 0 ? size : 1);
    if (ptr == NULL) {
        out_of_memory(size);
    }
    return ptr;
}

void *rt_alloc_line(size_t size)
{
    const size_t line = 64;
    void *ptr = aligned_alloc(line, (size + line - 1) / line * line);

    if (ptr == NULL) {
        out_of_memory(size);
    }
    return memset(ptr, 0, size);
}

void *rt_realloc(void *ptr, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        out_of_memory(SIZE_MAX);
    }
    void *moved = realloc(ptr, bytes > 0 ? bytes : 1);
    if (moved == NULL) {
        out_of_memory(bytes);
    }
    return moved;
}

char *rt_strdup(const char *text)
{
    return rt_strndup(text, strlen(text));
}

char *rt_strndup(const char *text, size_t len)
{
    size_t bytes = strnlen(text, len);
    char *copy = rt_alloc(bytes + 1);
    memcpy(copy, text, bytes);
    return copy;
}

void rt_buf_fini(struct rt_buf *buf)
{
    free(buf->data);
    *buf = (struct rt_buf){ 0 };
}

void rt_buf_clear(struct rt_buf *buf)
{
    buf->len = 0;
}

uint8_t *rt_buf_reserve(struct rt_buf *buf, size_t more)
{
    size_t need = 0;
    if (__builtin_add_overflow(buf->len, more, &need)) {
        out_of_memory(SIZE_MAX);
    }
    if (buf->data == NULL || need > buf->cap) {
        size_t cap = buf->cap > 0 ? buf->cap : FIRST_CAPACITY;
        while (cap < need) {
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        }
        buf->data = rt_realloc(buf->data, cap, 1);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void rt_buf_append(struct rt_buf *buf, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(rt_buf_reserve(buf, len), data, len);
        buf->len += len;
    }
}

void rt_buf_puts(struct rt_buf *buf, const char *text)
{
    rt_buf_append(buf, text, strlen(text));
}

void rt_buf_putc(struct rt_buf *buf, char c)
{
    *rt_buf_reserve(buf, 1) = (uint8_t)c;
    buf->len++;
}

void rt_buf_printf(struct rt_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need > 0) {
        /* vsnprintf writes a NUL as well, which stays outside len. */
        char *at = (char *)rt_buf_reserve(buf, (size_t)need + 1);
        (void)vsnprintf(at, (size_t)need + 1, format, again);
        buf->len += (size_t)need;
    }
    va_end(again);
}

const char *rt_buf_cstr(struct rt_buf *buf)
{
    *rt_buf_reserve(buf, 1) = 0;
    return (const char *)buf->data;
}
