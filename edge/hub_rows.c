/* edge/hub_rows.c - snapshots: the rows of a table as they are, before its changes.
 *
 * Rows come as parts, each with a token that names the place behind it; between and behind them, as replays, what the rows do not
 * show. Parts come on credit, which a client with much in its queue does not get. An interruption goes on by the last
 * token; the shard then sends the replays since that token again, and not always in the order of positions (what is visible to a
 * snapshot is not a matter of positions), so each change handed on since then is remembered, and left out.
 */
#include <stdlib.h>

#include "edge/hub_parts.h"
#include "runtime/config.h"
#include "runtime/loop.h"
#include "runtime/process.h"

enum { CREDIT = 4, REMEMBERED_MAX = 65536 };
static const rt_usec LOOK_AGAIN = 20 * RT_MSEC;

struct hub_rows {
    struct hub_sub *sub;
    uint32_t page_rows;
    uint32_t credit;     /* parts that the shard may send */
    uint32_t parts;      /* that have come */
    bool progressed;     /* some of them since it was announced */
    bool overflown;      /* more was handed on than is remembered */
    struct rt_buf token; /* where to go on */
    struct rt_map *sent; /* changes since then: commit LSN -> index + 1 of the last one */
    struct list_node in_hungry;
};

struct hub_rows *hub_rows_new(struct hub_sub *sub, const struct hub_want *want)
{
    struct hub_rows *rows = rt_alloc(sizeof *rows);

    rows->sub = sub;
    rows->page_rows = want->page_rows;
    rt_buf_append(&rows->token, want->token.data, want->token.len);
    return rows;
}

static void forget_sent(struct hub_rows *rows)
{
    rt_map_free(rows->sent);
    rows->sent = NULL;
}

void hub_rows_free(struct hub_rows *rows)
{
    if (rows != NULL) {
        list_remove(&rows->in_hungry);
        rt_buf_fini(&rows->token);
        forget_sent(rows);
        free(rows);
    }
}

void hub_rows_request(struct hub_rows *rows, struct wire_subscribe *out)
{
    rows->credit = CREDIT;
    rows->progressed = false;
    list_remove(&rows->in_hungry);
    out->snapshot = true;
    out->page_rows = rows->page_rows;
    out->token = (struct wire_span){ rt_buf_cstr(&rows->token), rows->token.len };
}

bool hub_rows_proven(const struct hub_rows *rows)
{
    return rows->token.len == 0 || rows->parts > 0 || rows->sent != NULL;
}

bool hub_rows_can_go_on(const struct hub_rows *rows)
{
    if (rows->token.len == 0) {
        return rows->parts == 0 && rows->sent == NULL;
    }
    return !rows->overflown;
}

bool hub_rows_progressed(const struct hub_rows *rows)
{
    return rows->progressed;
}

/* --- changes between the rows --------------------------------------------------------------------------------- */

bool hub_rows_have(const struct hub_rows *rows, const struct wire_position *position)
{
    const void *known = rows->sent != NULL ? rt_map_get_u64(rows->sent, position->lsn) : NULL;

    return position->index < (uintptr_t)known;
}

void hub_rows_note(struct hub_rows *rows, const struct wire_position *position)
{
    if (rows->sent == NULL) {
        rows->sent = rt_map_new();
    }
    if (rt_map_count(rows->sent) >= REMEMBERED_MAX) {
        rows->overflown = true;
        return;
    }
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number, never followed */
    (void)rt_map_put_u64(rows->sent, position->lsn, (void *)((uintptr_t)position->index + 1));
}

/* --- parts ------------------------------------------------------------------------------------------------------ */

static enum wire_err write_rows(struct hub *hub, const struct row_def *def, struct wire_rows *part)
{
    row_encoder_begin(&hub->encoder, def);
    rt_buf_clear(&hub->record);
    rt_buf_clear(&hub->too_large);
    rt_buf_putc(&hub->record, '[');
    for (uint32_t i = 0; i < part->row_count; i++) {
        struct wire_tuple tuple;
        enum wire_err err = wire_next_row(&part->rows, &tuple);
        if (err == WIRE_OK) {
            err = row_values_read(&hub->new_row, tuple);
        }
        if (i > 0) {
            rt_buf_putc(&hub->record, ',');
        }
        if (err == WIRE_OK) {
            err = row_json(&hub->encoder, def, &hub->new_row, NULL, 0, &hub->record);
        }
        if (err != WIRE_OK) {
            return err;
        }
    }
    rt_buf_putc(&hub->record, ']');
    row_json_marked(&hub->encoder, def, ROW_MARK_TOO_LARGE, &hub->too_large);
    return WIRE_OK;
}

static bool has_room(const struct hub_client *client)
{
    return hub_client_waiting(client) <
           (size_t)client->hub->process->config->realtime_client_budget / 4;
}

static void give_credit(struct hub_rows *rows)
{
    struct hub_up *up = rows->sub->up;

    if (rows->credit < CREDIT && up->number != 0) {
        uplink_more(up->shard->uplink, up->number, CREDIT - rows->credit);
        rows->credit = CREDIT;
    }
}

void hub_rows_feed(struct hub *hub)
{
    LIST_EACH(at, after, &hub->hungry)
    {
        struct hub_rows *rows = LIST_ELEMENT(at, struct hub_rows, in_hungry);
        if (has_room(rows->sub->client)) {
            list_remove(&rows->in_hungry);
            give_credit(rows);
            hub_shard_flush(rows->sub->up->shard);
        }
    }
    if (!list_is_empty(&hub->hungry)) {
        rt_timer_set(hub->hungry_timer, LOOK_AGAIN, 0);
    }
}

static void feed_or_wait(struct hub_rows *rows)
{
    struct hub *hub = rows->sub->client->hub;

    rows->credit -= rows->credit > 0 ? 1 : 0;
    if (has_room(rows->sub->client)) {
        give_credit(rows);
    } else if (!list_contains_node(&rows->in_hungry)) {
        list_append(&hub->hungry, &rows->in_hungry);
        rt_timer_set(hub->hungry_timer, LOOK_AGAIN, 0);
    }
}

static void hand_on(struct hub_sub *sub, const struct wire_rows *part, const struct row_def *def)
{
    struct hub *hub = sub->client->hub;
    struct hub_rows *rows = sub->rows;

    rows->parts++;
    rows->progressed = true;
    rows->overflown = false;
    forget_sent(rows);
    rt_buf_clear(&rows->token);
    rt_buf_append(&rows->token, part->token.data, part->token.len);
    rt_counter_add(hub->metrics.rows, part->row_count);
    hub_sub_confirm(sub);
    sub->client->ops->on_rows(sub->client->session, sub->user,
                              &(struct hub_page){
                                  .rows = rt_buf_span(&hub->record),
                                  .count = part->row_count,
                                  .columns = def,
                                  .number = rows->parts,
                                  .last = part->last,
                                  .token = rt_buf_span(&rows->token),
                                  .too_large = rt_buf_span(&hub->too_large),
                              });
    if (!part->last) {
        feed_or_wait(rows);
    }
}

const char *hub_shard_rows(struct hub_shard *shard, struct wire_rows *part)
{
    struct hub_group *group = rt_map_get_u64(shard->groups, part->group);
    enum wire_err err = WIRE_OK;

    if (group == NULL || group->count == 0) {
        return NULL; /* unsubscribed meanwhile */
    }
    if (group->replay == NULL || group->def == NULL) {
        return "rows for a group that is live or was never described";
    }
    hub_flow_release(group->replay);
    err = write_rows(shard->hub, group->def, part);
    if (err != WIRE_OK) {
        return wire_err_text(err);
    }
    for (uint32_t i = 0; i < group->count; i++) {
        const struct hub_audience *audience = group->audiences[i];
        for (uint32_t j = 0; j < audience->count; j++) {
            if (audience->members[j].sub->rows != NULL) {
                hand_on(audience->members[j].sub, part, group->def);
            }
        }
    }
    return NULL;
}
