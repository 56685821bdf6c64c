/* broker/upstream.c - frames, one record after the other, none while something is to be known first. */
#include "broker/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "broker/upstream_impl.h"

static void bad_frame(struct upstream *up, enum wire_err err)
{
    const char *why = err == WIRE_OK ? "a record out of place" : wire_err_text(err);

    up->gap_reason = "a part of the change stream could not be read";
    up->in_transaction = false;
    rt_counter_add(up->config.stats->malformed_tailer, 1);
    up->config.events->malformed(up->config.ctx, why);
}

static const uint8_t *run_records(struct upstream *up, const void *data, size_t len)
{
    struct wire_reader in;
    enum wire_type type = WIRE_PROGRESS;

    wire_reader_init(&in, data, len);
    for (;;) {
        const uint8_t *start = in.at;
        if (up->waits != 0) {
            return start;
        }
        enum wire_err err = wire_next_record(&in, &type);
        if (err == WIRE_ERR_END) {
            return NULL;
        }
        enum step step = err == WIRE_OK ? upstream_record(up, type, start, &in) : STEP_BAD;
        if (step == STEP_BAD) {
            bad_frame(up, err == WIRE_OK ? in.err : err);
            return NULL;
        }
        if (step == STEP_AGAIN) {
            return start;
        }
    }
}

/* Returns where processing stopped, or NULL when all is done. */
static const uint8_t *run(struct upstream *up, const void *data, size_t len)
{
    rights_frame(up, data, len);
    const uint8_t *rest = run_records(up, data, len);

    if (up->coming_count > 0) {
        up->coming_count = 0;
        up->coming_at = 0;
        route_ahead(up->config.route, NULL, 0);
    }
    return rest;
}

struct upstream *upstream_new(const struct upstream_config *config)
{
    struct upstream *up = rt_alloc(sizeof(*up));

    up->config = *config;
    touch_init(&up->touch);
    return up;
}

void upstream_free(struct upstream *up)
{
    if (up == NULL) {
        return;
    }
    rt_buf_fini(&up->rest);
    touch_fini(&up->touch);
    free(up->truncated);
    free(up);
}

void upstream_restart(struct upstream *up)
{
    /* The rest of an old frame comes again. A transaction at hand stays open in the route until its
     * repetition ends it, so that nobody is armed in its middle. */
    rt_buf_clear(&up->rest);
    relations_clear(up->config.relations);
    up->in_transaction = false;
    up->give_up = false;
    up->waits &= ~UPSTREAM_WAIT_RELATION;
}

void upstream_lost(struct upstream *up)
{
    up->gap_reason = "a part of the change stream was lost";
}

bool upstream_frame(struct upstream *up, struct wire_span frame, rt_usec now)
{
    up->now = now;
    const uint8_t *rest = run(up, frame.data, frame.len);
    if (rest == NULL) {
        return true;
    }
    size_t done = (size_t)(rest - (const uint8_t *)frame.data);
    rt_buf_clear(&up->rest);
    rt_buf_append(&up->rest, rest, frame.len - done);
    return false;
}

/* The answer to `need` takes its place in the stream and is a fence there. That to `describe` tells what no change has said
 * yet: it is of no use when one has, and no fence, for the stream will say it again before it uses it. */
static enum step on_answer(struct upstream *up, const uint8_t *start, struct wire_reader *in)
{
    struct wire_reader look = *in;
    struct wire_relation head;

    if (wire_decode_relation(&look, &head) != WIRE_OK) {
        return STEP_BAD;
    }
    if ((up->waits & UPSTREAM_WAIT_RELATION) != 0 && head.rel == up->needed) {
        return upstream_relation(up, start, in, true);
    }
    const struct relation *known = relations_of_table(up->config.relations, head.oid);
    if (known == NULL || known->doubtful) {
        return upstream_relation(up, start, in, false);
    }
    *in = look;
    return STEP_NEXT;
}

void upstream_message(struct upstream *up, struct wire_span message)
{
    struct wire_reader in;
    enum wire_type type = WIRE_PROGRESS;
    enum wire_err err = WIRE_OK;

    wire_reader_init(&in, message.data, message.len);
    for (;;) {
        const uint8_t *start = in.at;
        err = wire_next_record(&in, &type);
        if (err != WIRE_OK) {
            break;
        }
        if (type != WIRE_RELATION || on_answer(up, start, &in) != STEP_NEXT) {
            err = WIRE_ERR_UNKNOWN;
            break;
        }
    }
    if (err != WIRE_ERR_END) {
        rt_counter_add(up->config.stats->malformed_tailer, 1);
        up->config.events->malformed(up->config.ctx, wire_err_text(err));
    }
    if ((up->waits & UPSTREAM_WAIT_RELATION) != 0 &&
        relations_find(up->config.relations, up->needed) != NULL) {
        up->waits &= ~UPSTREAM_WAIT_RELATION;
    }
}

void upstream_settled(struct upstream *up)
{
    up->waits &= ~UPSTREAM_WAIT_AUTHORITY;
}

bool upstream_continue(struct upstream *up, rt_usec now)
{
    up->now = now;
    if (up->waits != 0) {
        return false;
    }
    const uint8_t *rest = run(up, up->rest.data, up->rest.len);
    if (rest == NULL) {
        rt_buf_clear(&up->rest);
        return true;
    }
    size_t left = up->rest.len - (size_t)(rest - up->rest.data);
    memmove(up->rest.data, rest, left);
    up->rest.len = left;
    return false;
}

void upstream_tick(struct upstream *up, rt_usec now)
{
    if ((up->waits & UPSTREAM_WAIT_RELATION) == 0) {
        return;
    }
    if (now - up->needed_since >= UPSTREAM_NEED_TIMEOUT) {
        up->give_up = true;
        up->waits &= ~UPSTREAM_WAIT_RELATION;
    } else if (now - up->needed_at >= UPSTREAM_NEED_REPEAT) {
        up->needed_at = now;
        up->config.events->need(up->config.ctx, up->needed);
    }
}

int upstream_waits(const struct upstream *up)
{
    return up->waits;
}
