/* tailer/pgoutput.h - PostgreSQL's logical replication messages (plugin pgoutput, protocol version 1,
 * text values), from bytes to structs.
 *
 * Pure: no allocation, no libpq, no state between messages. A decoded message is valid as a whole; every
 * count and length was compared with the bytes that are there, so a reader of the result tests nothing.
 * Texts and values point into the message and are not terminated.
 *
 * A change's values land in `struct pgoutput_rows`, which the caller owns and uses again for every
 * message; only the first `count` entries of a row are written.
 *
 * Facts: PostgreSQL 15 documentation, 55.9 "Logical Replication Message Formats"; numbers are
 * big-endian, times are microseconds since 2000-01-01 (given here since 1970).
 */
#ifndef PGTIDE_TAILER_PGOUTPUT_H
#define PGTIDE_TAILER_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

#define PGOUTPUT_COLUMNS_MAX 1664u
/* From 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
#define PGOUTPUT_EPOCH_USEC INT64_C(946684800000000)

enum pgoutput_err {
    PGOUTPUT_OK = 0,
    PGOUTPUT_ERR_SHORT,    /* the message ends inside a field */
    PGOUTPUT_ERR_TRAILING, /* bytes behind the last field */
    PGOUTPUT_ERR_KIND,  /* a message, tuple or value kind that protocol 1 in text does not have */
    PGOUTPUT_ERR_RANGE, /* a count or length outside its limits */
};
const char *pgoutput_err_text(enum pgoutput_err err);

enum pgoutput_kind {
    PGOUTPUT_BEGIN = 'B',
    PGOUTPUT_COMMIT = 'C',
    PGOUTPUT_ORIGIN = 'O',
    PGOUTPUT_RELATION = 'R',
    PGOUTPUT_TYPE = 'Y',
    PGOUTPUT_INSERT = 'I',
    PGOUTPUT_UPDATE = 'U',
    PGOUTPUT_DELETE = 'D',
    PGOUTPUT_TRUNCATE = 'T',
    PGOUTPUT_MESSAGE = 'M',
};

/* Sticky failure, as in proto/reader.h: read in order, test once. */
struct pgoutput_cursor {
    const uint8_t *at;
    const uint8_t *end;
    enum pgoutput_err err;
};

struct pgoutput_begin {
    uint64_t commit_lsn;
    int64_t commit_time; /* microseconds since 1970 */
    uint32_t xid;
};

struct pgoutput_commit {
    uint64_t commit_lsn;
    uint64_t end_lsn;
};

struct pgoutput_column {
    struct wire_span name;
    uint32_t type_oid;
    int32_t typmod;
    bool key; /* part of the replica identity; with FULL every column is */
};

struct pgoutput_relation {
    uint32_t oid;
    struct wire_span schema; /* "" means pg_catalog */
    struct wire_span table;
    uint8_t identity; /* 'd', 'n', 'f', 'i' */
    uint32_t column_count;
    struct pgoutput_cursor columns; /* pgoutput_next_column, column_count times */
};

enum pgoutput_value_kind { PGOUTPUT_NULL = 'n', PGOUTPUT_UNCHANGED = 'u', PGOUTPUT_TEXT = 't' };
struct pgoutput_value {
    const char *data;
    uint32_t len;
    uint8_t kind;
};

struct pgoutput_rows {
    struct pgoutput_value new_row[PGOUTPUT_COLUMNS_MAX];
    struct pgoutput_value old_row[PGOUTPUT_COLUMNS_MAX];
};

struct pgoutput_change {
    uint32_t oid;
    uint32_t new_count; /* values in rows->new_row; 0 for DELETE */
    uint32_t old_count; /* values in rows->old_row */
    uint8_t old_kind;   /* 0: no old tuple, 'K': identity columns only, 'O': all columns */
};

struct pgoutput_truncate {
    uint32_t flags; /* 1: CASCADE, 2: RESTART IDENTITY */
    uint32_t count;
    struct pgoutput_cursor oids; /* pgoutput_next_oid, count times */
};

struct pgoutput_logical_message {
    bool transactional;
    uint64_t lsn;
    struct wire_span prefix;
    struct wire_span content;
};

struct pgoutput_message {
    enum pgoutput_kind kind;
    union {
        struct pgoutput_begin begin;
        struct pgoutput_commit commit;
        struct pgoutput_relation relation;
        struct pgoutput_change change; /* INSERT, UPDATE, DELETE */
        struct pgoutput_truncate truncate;
        struct pgoutput_logical_message message;
    };
};

/* On failure *out and *rows are unspecified. ORIGIN and TYPE are checked and carry nothing. Cost: linear
 * in the number of values; their bytes are not touched. */
enum pgoutput_err pgoutput_decode(const uint8_t *data, size_t len, struct pgoutput_rows *rows,
                                  struct pgoutput_message *out);

/* Not more often than the message's count says. */
struct pgoutput_column pgoutput_next_column(struct pgoutput_cursor *in);
uint32_t pgoutput_next_oid(struct pgoutput_cursor *in);

#endif
