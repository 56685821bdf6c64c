/* tests/unit/tailer/wal_builder.h - pgoutput messages as PostgreSQL writes them, for tests and fuzz seeds. */
#ifndef PGTIDE_TESTS_WAL_BUILDER_H
#define PGTIDE_TESTS_WAL_BUILDER_H

#include <stdint.h>
#include <string.h>

#include "runtime/buf.h"

static inline void wal_number(struct rt_buf *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        rt_buf_putc(out, (char)(value >> (8 * i)));
    }
}

static inline void wal_text(struct rt_buf *out, const char *text)
{
    rt_buf_append(out, text, strlen(text) + 1);
}

static inline struct rt_span wal_begin(struct rt_buf *out, uint64_t commit_lsn, uint32_t xid)
{
    rt_buf_clear(out);
    rt_buf_putc(out, 'B');
    wal_number(out, commit_lsn, 8);
    wal_number(out, 1000000, 8); /* one second into 2000 */
    wal_number(out, xid, 4);
    return rt_buf_span(out);
}

static inline struct rt_span wal_commit(struct rt_buf *out, uint64_t commit_lsn, uint64_t end_lsn)
{
    rt_buf_clear(out);
    rt_buf_putc(out, 'C');
    rt_buf_putc(out, 0);
    wal_number(out, commit_lsn, 8);
    wal_number(out, end_lsn, 8);
    wal_number(out, 1000000, 8);
    return rt_buf_span(out);
}

/* `columns`: one letter per column, upper case for those of the identity; all of type int4. */
static inline struct rt_span wal_relation(struct rt_buf *out, uint32_t oid, const char *table,
                                          char identity, const char *columns)
{
    rt_buf_clear(out);
    rt_buf_putc(out, 'R');
    wal_number(out, oid, 4);
    wal_text(out, "public");
    wal_text(out, table);
    rt_buf_putc(out, identity);
    wal_number(out, strlen(columns), 2);
    for (const char *at = columns; *at != '\0'; at++) {
        char name[2] = { *at, '\0' };
        rt_buf_putc(out, *at >= 'A' && *at <= 'Z' ? '\1' : '\0');
        wal_text(out, name);
        wal_number(out, 23, 4);
        wal_number(out, UINT32_MAX, 4);
    }
    return rt_buf_span(out);
}

/* `values`: separated by '|'; "~" is NULL, "^" unchanged. */
static inline void wal_tuple(struct rt_buf *out, const char *values)
{
    uint16_t count = 1;

    for (const char *at = values; *at != '\0'; at++) {
        count = (uint16_t)(count + (*at == '|'));
    }
    wal_number(out, count, 2);
    for (const char *at = values;;) {
        size_t len = strcspn(at, "|");
        if (len == 1 && *at == '~') {
            rt_buf_putc(out, 'n');
        } else if (len == 1 && *at == '^') {
            rt_buf_putc(out, 'u');
        } else {
            rt_buf_putc(out, 't');
            wal_number(out, len, 4);
            rt_buf_append(out, at, len);
        }
        if (at[len] == '\0') {
            return;
        }
        at += len + 1;
    }
}

/* old_kind 0: no old tuple. new_values NULL: a DELETE has none. */
static inline struct rt_span wal_change(struct rt_buf *out, char op, uint32_t oid, char old_kind,
                                        const char *old_values, const char *new_values)
{
    rt_buf_clear(out);
    rt_buf_putc(out, op);
    wal_number(out, oid, 4);
    if (old_kind != 0) {
        rt_buf_putc(out, old_kind);
        wal_tuple(out, old_values);
    }
    if (new_values != NULL) {
        rt_buf_putc(out, 'N');
        wal_tuple(out, new_values);
    }
    return rt_buf_span(out);
}

static inline struct rt_span wal_insert(struct rt_buf *out, uint32_t oid, const char *values)
{
    return wal_change(out, 'I', oid, 0, NULL, values);
}

static inline struct rt_span wal_truncate(struct rt_buf *out, uint8_t flags, const uint32_t *oids,
                                          uint32_t count)
{
    rt_buf_clear(out);
    rt_buf_putc(out, 'T');
    wal_number(out, count, 4);
    wal_number(out, flags, 1);
    for (uint32_t i = 0; i < count; i++) {
        wal_number(out, oids[i], 4);
    }
    return rt_buf_span(out);
}

static inline struct rt_span wal_message(struct rt_buf *out, uint8_t flags, uint64_t lsn,
                                         const char *prefix, const char *content)
{
    rt_buf_clear(out);
    rt_buf_putc(out, 'M');
    wal_number(out, flags, 1);
    wal_number(out, lsn, 8);
    wal_text(out, prefix);
    wal_number(out, strlen(content), 4);
    rt_buf_append(out, content, strlen(content));
    return rt_buf_span(out);
}

#endif
