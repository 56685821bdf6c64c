/* edge/pg_text.h - reading PostgreSQL's text forms: arrays, composites, numbers, timestamps.
 *
 * Only what PostgreSQL's output functions write is read (array_out, record_out, float8out and their like, with
 * DateStyle ISO); everything else is "bad", never a crash and never a guess. The texts come from another process
 * and are as untrusted as any.
 *
 * Items are slices of the input; one that has escapes is undone into a scratch buffer of the caller, which holds
 * one item at a time.
 */
#ifndef PGTIDE_EDGE_PG_TEXT_H
#define PGTIDE_EDGE_PG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

enum pg_token {
    PG_OPEN,  /* arrays: '{' of a dimension */
    PG_CLOSE, /* arrays: '}' */
    PG_ITEM,
    PG_NULL,
    PG_END,
    PG_BAD,
};

struct pg_cursor {
    const char *at;
    const char *end;
    struct rt_buf *scratch;
    const char *item; /* of the last PG_ITEM; valid until the next token */
    size_t item_len;
    unsigned depth;
    char delimiter;  /* between the elements of an array: ',' but for box */
    bool started;    /* a first token has been read */
    bool may_follow; /* the last token was an item or a close: a delimiter or a close comes next */
};

/* {1,NULL,"a \"b\""}, {{1,2},{3,4}}, [2:3]={…}. At most 6 dimensions, as in PostgreSQL. */
void pg_array_open(struct pg_cursor *in, const char *text, size_t len, char delimiter,
                   struct rt_buf *scratch);
enum pg_token pg_array_next(struct pg_cursor *in);

/* (1,,"a ""b"""): an empty field is PG_NULL. `()` is one PG_NULL, or nothing: the caller knows the fields. */
void pg_record_open(struct pg_cursor *in, const char *text, size_t len, struct rt_buf *scratch);
enum pg_token pg_record_next(struct pg_cursor *in);

/* int2vector, oidvector: items separated by one space. */
void pg_vector_open(struct pg_cursor *in, const char *text, size_t len);
enum pg_token pg_vector_next(struct pg_cursor *in);

/* Appends a number as numeric's output writes it, which is how jsonb holds every number: no exponent, no minus
 * zero. False (nothing appended) if it is none, or is not finite. */
bool pg_number(struct rt_buf *out, const char *text, size_t len);
/* NaN, Infinity, -Infinity. */
bool pg_number_is_special(const char *text, size_t len);
/* Appends an ISO timestamp in XML Schema's form, unquoted: 'T' for the space, +00:00 for +00. BC stays as it is. */
bool pg_timestamp(struct rt_buf *out, const char *text, size_t len, bool zone);
/* Whether it is a date as DateStyle ISO writes it. */
bool pg_is_date(const char *text, size_t len);

#endif
