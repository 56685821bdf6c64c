/* broker/access.h - what a database role may see of a table: the answer of perms/, the input of route/.
 *
 * An access is immutable once it has been handed out, and counted: who keeps it takes a reference.
 * code 0 means allowed; anything else is the code and the text of the refusal, ready for the client.
 * One thread. Cost: access_reads is O(log columns).
 */
#ifndef PGTIDE_BROKER_ACCESS_H
#define PGTIDE_BROKER_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/records.h"

struct policy_rules;

/* A column as the catalog numbers it; readable or not. */
struct access_attribute {
    char *name;
    uint32_t number;
    uint32_t type;
};

struct access {
    uint32_t refs;
    int code;       /* 0, or an enum wire_code */
    char *message;  /* why not; NULL when allowed */
    uint32_t oid;   /* of the table these facts are about */
    bool all;       /* every column of the table may be read */
    char **columns; /* the readable ones, sorted by strcmp */
    uint32_t column_count;
    char **generated; /* readable generated columns (never in the stream), in table order */
    uint32_t generated_count;
    struct access_attribute *attributes; /* all of the table, by ascending number */
    uint32_t attribute_count;
    uint64_t shape; /* of the attributes: equal where access_same_attributes() */
    /* The row-level security that applies to the role; NULL: none. Referenced. */
    struct policy_rules *rules;
};

/* With one reference. */
struct access *access_new(void);
/* A refusal; the text is formatted and cut at WIRE_TEXT_MAX. */
struct access *access_refuse(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct access *access_ref(struct access *access);
void access_unref(struct access *access); /* NULL is fine */
/* While building: the name is copied. access_seal sorts, once, at the end. */
void access_add_column(struct access *access, const char *name, bool generated);
/* In ascending order of their numbers. */
void access_add_attribute(struct access *access, const char *name, uint32_t number, uint32_t type);
void access_seal(struct access *access);
bool access_reads(const struct access *access, struct wire_span column);
/* Whether both show the same columns of the same table, by the same policies. */
bool access_same_view(const struct access *a, const struct access *b);
/* Whether the table has the same columns in both, readable or not: what was looked up by number still holds. */
bool access_same_attributes(const struct access *a, const struct access *b);

#endif
