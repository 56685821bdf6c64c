/* broker/upstream_impl.h - what upstream.c (frames, waiting), upstream_records.c (one record after the other),
 * upstream_touch.c (which tables a transaction touches) and upstream_rights.c (whether it changes rights) share. */
#ifndef PGTIDE_BROKER_UPSTREAM_IMPL_H
#define PGTIDE_BROKER_UPSTREAM_IMPL_H

#include "broker/upstream.h"
#include "runtime/buf.h"

/* AGAIN: not done, the same record is tried again after the wait. */
enum step { STEP_NEXT, STEP_AGAIN, STEP_BAD };

struct rt_map;

/* upstream_touch.c's. */
struct touch {
    struct rt_map *interests;    /* by OID */
    struct relations *described; /* while looking ahead: those of the frame at hand */
    uint32_t *oids;              /* touched, each once */
    uint32_t count;
    uint32_t cap;
    uint64_t number; /* of the collection in `oids` */
    bool everything; /* something touched is not known: all that is of interest */
    bool open;       /* the transaction at hand is being collected */
    uint64_t epoch;  /* of that */
    uint64_t lsn;
    bool
        handed; /* the changes up to `last` were handed over: they are not again, when they come again */
    struct wire_position last;
};

/* Transactions that were told to change rights and have not come. */
#define RIGHTS_EXPECTED 256u

/* upstream_rights.c's. */
struct rights {
    uint32_t expected[RIGHTS_EXPECTED]; /* their numbers, the oldest first */
    uint32_t count;
    const uint8_t *
        next; /* in the bytes at hand: the next place that may be a message about rights; NULL: none */
    uint64_t epoch; /* of the last transaction that was a fence at its BEGIN */
    uint64_t lsn;
};

/* A change that was decoded ahead. */
struct coming {
    const uint8_t *start;
    const uint8_t *end;
    struct wire_change change;
};

struct upstream {
    struct upstream_config config;
    int waits;
    struct rt_buf rest; /* of the frame that processing stopped in */
    rt_usec now;        /* of the call at hand */
    struct wire_begin begin;
    bool in_transaction;
    bool repeated;  /* the whole transaction at hand was processed before */
    bool processed; /* `last` says something */
    struct wire_position last;
    bool epoch_known;
    uint64_t epoch;
    const char *gap_reason; /* a hole that edges are not told of yet */
    uint32_t needed;
    rt_usec needed_since; /* 0: not asked yet */
    rt_usec needed_at;
    bool give_up; /* on `needed` */
    struct relation **truncated;
    uint32_t truncated_cap;
    struct touch touch;
    struct rights rights;
    struct coming coming[ROUTE_AHEAD_MAX]; /* of the frame at hand, while it is being run */
    uint32_t coming_count;
    uint32_t coming_at;
};

/* One record, which begins at `start`; `in` stands behind its number. */
enum step upstream_record(struct upstream *up, enum wire_type type, const uint8_t *start,
                          struct wire_reader *in);
/* A RELATION; `fences`: rights to the table may have changed with it. */
enum step upstream_relation(struct upstream *up, const uint8_t *start, struct wire_reader *in,
                            bool fences);

void touch_init(struct touch *touch);
void touch_fini(struct touch *touch);
/* A transaction that was not processed before begins, or goes on; `in` stands behind its BEGIN. */
void touch_begin(struct upstream *up, const struct wire_begin *begin, const struct wire_reader *in);
/* A change of it; NULL: a truncate. */
void touch_relation(struct upstream *up, struct relation *relation,
                    const struct wire_change *change, uint32_t index);
/* All of that record has been. */
void touch_handed(struct upstream *up, uint32_t index);
/* One of a table that cannot be known. */
void touch_unknown(struct upstream *up);
void touch_end(struct upstream *up);
/* Anything may have happened up to `lsn`. */
void touch_hole(struct upstream *up, uint64_t lsn);

/* What is run next: `data` stays as it is meanwhile. */
void rights_frame(struct upstream *up, const uint8_t *data, size_t len);
/* A transaction that was not processed before begins, or goes on; `in` stands behind its BEGIN. True: the rights that it leaves
 * are being read, and its BEGIN comes again when they are known. */
bool rights_begin(struct upstream *up, const struct wire_begin *begin,
                  const struct wire_reader *in);
bool rights_told(const struct wire_message *message);
/* A transaction that is still to come changes rights; `content`: its number. */
void rights_expect(struct upstream *up, struct wire_span content);

/* A decimal number, and nothing else. */
bool upstream_number(struct wire_span content, int64_t *out);

#endif
