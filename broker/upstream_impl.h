/* broker/upstream_impl.h - what upstream.c (frames, waiting) and upstream_records.c (one record after the other) share. */
#ifndef PGTIDE_BROKER_UPSTREAM_IMPL_H
#define PGTIDE_BROKER_UPSTREAM_IMPL_H

#include "broker/upstream.h"
#include "runtime/buf.h"

/* AGAIN: not done, the same record is tried again after the wait. */
enum step { STEP_NEXT, STEP_AGAIN, STEP_BAD };

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
};

/* One record, which begins at `start`; `in` stands behind its number. */
enum step upstream_record(struct upstream *up, enum wire_type type, const uint8_t *start,
                          struct wire_reader *in);
/* A RELATION; `fences`: rights to the table may have changed with it. */
enum step upstream_relation(struct upstream *up, const uint8_t *start, struct wire_reader *in,
                            bool fences);

#endif
