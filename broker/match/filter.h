/* broker/match/filter.h - the filter of a subscription: text in, a small tree out. Pure.
 *
 *   filter := item { separator item } | nothing, which holds for every row
 *   item   := [not.] (and|or) [=] ( item { , item } )
 *           | column { -> key | ->> key } = [not.] operator . value
 *
 * Inside a group `column.operator.value` is read as well, as PostgREST writes it. Columns and keys may stand in double
 * quotes, where a backslash takes the next character as it is. What separates items at the top, and whether values may be
 * quoted there, is a matter of the dialect (reference: Supabase's filters, Fluxbase's matcher); inside a group it never is.
 *
 * Every byte may come from an attacker. The text is at most FILTER_TEXT_MAX bytes of UTF-8 without control characters;
 * nesting, tests, list elements and steps of a path are bounded. Parsing is linear and does not recurse.
 *
 * A filter owns all of its bytes; nothing points into the text that was parsed. One thread.
 */
#ifndef PGTIDE_BROKER_MATCH_FILTER_H
#define PGTIDE_BROKER_MATCH_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/records.h"
#include "runtime/buf.h"

#define FILTER_TEXT_MAX   WIRE_FILTER_MAX
#define FILTER_DEPTH_MAX  8u   /* groups in groups */
#define FILTER_NODES_MAX  100u /* groups and tests together */
#define FILTER_VALUES_MAX 256u /* of all tests together */
#define FILTER_IN_MAX     100u /* of one list */
#define FILTER_STEPS_MAX  8u   /* of one JSON path */
#define FILTER_ERROR_MAX  256u

/* As on the wire. */
enum filter_dialect {
    FILTER_PLAIN =
        WIRE_FILTER_PLAIN, /* one item; its value is the rest of the text, as it is; * is like's wildcard (Fluxbase) */
    FILTER_LIST = WIRE_FILTER_LIST, /* items between commas; values may be quoted (Supabase) */
    FILTER_QUERY =
        WIRE_FILTER_QUERY, /* items between &, as in a query string whose escapes are undone (PostgREST); * is like's wildcard */
};

/* In the order of their names in filter.c. */
enum filter_op {
    FILTER_EQ,
    FILTER_NEQ,
    FILTER_GT,
    FILTER_GTE,
    FILTER_LT,
    FILTER_LTE,
    FILTER_LIKE,
    FILTER_ILIKE,
    FILTER_MATCH,
    FILTER_IMATCH,
    FILTER_IS_DISTINCT,
    FILTER_IN,
    FILTER_IS, /* only while parsing; a tree has one of the four below */
    FILTER_IS_NULL,
    FILTER_IS_TRUE,
    FILTER_IS_FALSE,
    FILTER_IS_UNKNOWN,
};

enum filter_kind { FILTER_AND, FILTER_OR, FILTER_TEST };

struct filter_step {
    struct wire_span key;
    bool text;  /* ->>, not -> */
    bool index; /* an element of an array: a number without quotes */
};

struct filter_value {
    struct wire_span
        text;          /* as written; once PostgreSQL has cast it, its output text. Ends with NUL */
    uint32_t type_oid; /* 0 until then */
};

/* Nodes stand in preorder: the children of `i` begin at i + 1, the next sibling at nodes[i].end. */
struct filter_node {
    enum filter_kind kind;
    bool negated;
    uint32_t end; /* behind the last node below this one */
    uint32_t at;  /* where it was written: the number of its first character, from 1 */
    /* of a test: */
    enum filter_op op;
    struct wire_span column; /* ends with NUL */
    uint32_t first_step;
    uint32_t step_count;
    uint32_t first_value;
    uint32_t value_count; /* 1; of FILTER_IN 2 or more; of the IS_ ones 0 */
};

struct filter {
    struct filter_node *nodes; /* nodes[0] is an AND of everything */
    uint32_t node_count;       /* 0: holds for every row */
    struct filter_value *values;
    uint32_t value_count;
    struct filter_step *steps;
    uint32_t step_count;
    char *bytes;
    struct rt_buf cast; /* what filter_cast() put in the place of values */
};

struct filter_error {
    uint32_t at; /* character of the filter, from 1; 0: no particular one */
    char text[FILTER_ERROR_MAX];
};

/* False with a reason that a client can be shown, and `out` empty. */
bool filter_parse(struct filter *out, enum filter_dialect dialect, struct wire_span text,
                  struct filter_error *out_error);
void filter_fini(struct filter *filter);

/* Gives values their cast texts: texts[i] and oids[i] for values[i]. Once, before anybody keeps a value's span. */
void filter_cast(struct filter *filter, const struct wire_span *texts, const uint32_t *oids);

/* Appends the text that all filters have that differ only in spelling: order, repetition, quotes, groups of one. Equal
 * texts mean equal filters; the reverse is not promised. After filter_cast() it also forgives 01 for 1. */
void filter_canonical(const struct filter *filter, struct rt_buf *out);

const char *filter_op_name(enum filter_op op);
/* Writes "character 7: …" or, without a character, only the text. */
void filter_error_text(const struct filter_error *error, char *out, size_t size);

#endif
