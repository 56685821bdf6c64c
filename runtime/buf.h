/* runtime/buf.h - a growable byte buffer, and the allocation functions everything uses.
 *
 * Allocation never returns NULL: every size that a peer can influence is bounded by configuration
 * before it gets here, so running out of memory is a fault of this process or of its host, and ends
 * it with one log line (rt_alloc and its kin).
 *
 * A buffer owns its bytes and keeps its capacity over rt_buf_clear(), so that a hot path allocates
 * only until it has seen its largest batch. Not for several threads. Appending costs amortised O(n).
 */
#ifndef PGTIDE_RUNTIME_BUF_H
#define PGTIDE_RUNTIME_BUF_H

#include <stddef.h>
#include <stdint.h>

struct rt_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* Bytes that somebody else owns. */
struct rt_span {
    const uint8_t *data;
    size_t len;
};

void *rt_alloc(size_t size);      /* zeroed; free() releases it */
void *rt_alloc_line(size_t size); /* the same, at the beginning of a cache line (64 bytes) */
void *rt_realloc(void *ptr, size_t count, size_t size); /* checks count * size; not zeroed */
char *rt_strdup(const char *text);
char *rt_strndup(const char *text, size_t len);

void rt_buf_fini(struct rt_buf *buf);  /* frees; the buffer is empty and usable afterwards */
void rt_buf_clear(struct rt_buf *buf); /* empties, keeps the capacity */
/* Room for `more` bytes behind data + len; the caller writes there and adds to len. */
uint8_t *rt_buf_reserve(struct rt_buf *buf, size_t more);
void rt_buf_append(struct rt_buf *buf, const void *data, size_t len);
void rt_buf_puts(struct rt_buf *buf, const char *text);
void rt_buf_putc(struct rt_buf *buf, char c);
void rt_buf_printf(struct rt_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Terminates with NUL (not counted in len) and returns the text. Valid until the next change. */
const char *rt_buf_cstr(struct rt_buf *buf);

static inline struct rt_span rt_buf_span(const struct rt_buf *buf)
{
    return (struct rt_span){ buf->data, buf->len };
}

#endif
