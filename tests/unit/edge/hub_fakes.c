/* tests/unit/edge/hub_fakes.c - see hub_fakes.h. */
#include "hub_fakes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/token.h"
#include "runtime/config.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/sub.h"

#define START      (1000 * RT_SEC)
#define WALL_AHEAD (1700000000 * RT_SEC)

struct rt_sub {
    struct rt_sub_config config;
    bool in_session;
    bool fail_next;
    uint64_t acked;
    uint64_t seq;
    struct rt_buf told;
    struct rt_buf shown;
    uint64_t sender; /* of the last publish */
    uint64_t reply;  /* of the last publish or track */
    uint64_t ref;    /* of the last track */
};

struct edge_conn {
    struct rt_buf sent;
    struct rt_buf shown;
    struct edge_frame *last;
    size_t waiting;
    bool transactions;
    unsigned code;
    rt_usec delay;
    char reason[128];
};

struct world {
    struct rt_sub *links[FAKE_SHARDS];
    rt_usec now;
    struct rt_config *config; /* the process's, to be freed */
    struct wire_writer tuples[64];
    unsigned tuple_count;
};
static struct world world = { .now = START };

/* What is in `from`, which is empty afterwards. */
static const char *show(struct rt_buf *from, struct rt_buf *shown)
{
    rt_buf_clear(shown);
    rt_buf_append(shown, from->data, from->len);
    rt_buf_clear(from);
    return rt_buf_cstr(shown);
}

/* --- links ----------------------------------------------------------------------------------------------- */

struct rt_sub *rt_sub_new(const struct rt_sub_config *config)
{
    struct rt_sub *sub = rt_alloc(sizeof *sub);
    unsigned shard = (unsigned)(config->label[strlen(config->label) - 1] - '0');

    sub->config = *config;
    world.links[shard] = sub;
    return sub;
}

void rt_sub_free(struct rt_sub *sub)
{
    for (unsigned i = 0; i < FAKE_SHARDS; i++) {
        world.links[i] = world.links[i] == sub ? NULL : world.links[i];
    }
    rt_buf_fini(&sub->told);
    rt_buf_fini(&sub->shown);
    free(sub);
}

static void tell_subscribe(struct rt_sub *sub, const struct wire_subscribe *subscribe)
{
    rt_buf_printf(&sub->told, "subscribe %" PRIu64 " %" PRIu64 " %.*s", subscribe->sub,
                  subscribe->identity, (int)subscribe->channel.len, subscribe->channel.data);
    if (subscribe->filter.len > 0 || subscribe->filter_kind != WIRE_FILTER_PLAIN) {
        rt_buf_printf(&sub->told, " filter %d '%.*s'", (int)subscribe->filter_kind,
                      (int)subscribe->filter.len, subscribe->filter.data);
    }
    if (subscribe->has_since) {
        rt_buf_printf(&sub->told, " since %d/%d/%d", (int)subscribe->since.epoch,
                      (int)subscribe->since.lsn, (int)subscribe->since.index);
    }
    if (subscribe->snapshot) {
        rt_buf_printf(&sub->told, " rows %u token '%.*s'", subscribe->page_rows,
                      (int)subscribe->token.len, subscribe->token.data);
    }
    rt_buf_putc(&sub->told, '\n');
}

static void tell_seat(struct rt_sub *sub, enum wire_type type, struct wire_reader *in)
{
    struct wire_seat seat;
    struct wire_unseat unseat;

    if (type == WIRE_SEAT && wire_decode_seat(in, &seat) == WIRE_OK) {
        rt_buf_printf(&sub->told, "seat %" PRIu64 " %.*s %u%s\n", seat.seat, (int)seat.user.len,
                      seat.user.data, seat.limit, seat.kept ? " kept" : "");
    } else if (type == WIRE_UNSEAT && wire_decode_unseat(in, &unseat) == WIRE_OK) {
        rt_buf_printf(&sub->told, "unseat %" PRIu64 "\n", unseat.seat);
    } else {
        rt_buf_puts(&sub->told, "?\n");
    }
}

static void tell(struct rt_sub *sub, enum wire_type type, struct wire_reader *in)
{
    struct wire_identify identify;
    struct wire_forget forget;
    struct wire_subscribe subscribe;
    struct wire_unsubscribe unsubscribe;
    struct wire_more more;
    struct wire_publish publish;
    struct wire_track track;
    struct wire_untrack untrack;

    if (type == WIRE_IDENTIFY && wire_decode_identify(in, &identify) == WIRE_OK) {
        rt_buf_printf(&sub->told, "identify %" PRIu64 " %.*s %.*s\n", identify.identity,
                      (int)identify.role.len, identify.role.data, (int)identify.claims.len,
                      identify.claims.data);
    } else if (type == WIRE_FORGET && wire_decode_forget(in, &forget) == WIRE_OK) {
        rt_buf_printf(&sub->told, "forget %" PRIu64 "\n", forget.identity);
    } else if (type == WIRE_SUBSCRIBE && wire_decode_subscribe(in, &subscribe) == WIRE_OK) {
        tell_subscribe(sub, &subscribe);
    } else if (type == WIRE_UNSUBSCRIBE && wire_decode_unsubscribe(in, &unsubscribe) == WIRE_OK) {
        rt_buf_printf(&sub->told, "unsubscribe %" PRIu64 "\n", unsubscribe.sub);
    } else if (type == WIRE_MORE && wire_decode_more(in, &more) == WIRE_OK) {
        rt_buf_printf(&sub->told, "more %" PRIu64 " %u\n", more.sub, more.parts);
    } else if (type == WIRE_PUBLISH && wire_decode_publish(in, &publish) == WIRE_OK) {
        rt_buf_printf(&sub->told, "publish %.*s %.*s %.*s%s\n", (int)publish.channel.len,
                      publish.channel.data, (int)publish.event.len, publish.event.data,
                      (int)publish.payload.len, publish.payload.data,
                      publish.to_sender ? "" : " not to it");
        sub->sender = publish.sender;
        sub->reply = publish.reply;
    } else if (type == WIRE_TRACK && wire_decode_track(in, &track) == WIRE_OK) {
        rt_buf_printf(&sub->told, "track %.*s %.*s=%.*s\n", (int)track.channel.len,
                      track.channel.data, (int)track.key.len, track.key.data, (int)track.meta.len,
                      track.meta.data);
        sub->reply = track.reply;
        sub->ref = track.ref;
    } else if (type == WIRE_UNTRACK && wire_decode_untrack(in, &untrack) == WIRE_OK) {
        rt_buf_printf(&sub->told, "untrack %.*s%s\n", (int)untrack.channel.len,
                      untrack.channel.data, untrack.ref == sub->ref ? " the last" : "");
    } else {
        tell_seat(sub, type, in);
    }
}

bool rt_sub_message(struct rt_sub *sub, struct rt_span message)
{
    struct wire_reader in;
    enum wire_type type = WIRE_BEGIN;

    if (!sub->in_session || sub->fail_next) {
        sub->fail_next = false;
        return false;
    }
    wire_reader_init(&in, message.data, message.len);
    while (wire_next_record(&in, &type) == WIRE_OK) {
        tell(sub, type, &in);
    }
    return true;
}

void rt_sub_ack(struct rt_sub *sub, uint64_t seq)
{
    sub->acked = seq;
}

bool rt_sub_in_session(const struct rt_sub *sub)
{
    return sub->in_session;
}

const char *fake_told(unsigned shard)
{
    return show(&world.links[shard]->told, &world.links[shard]->shown);
}

uint64_t fake_acked(unsigned shard)
{
    return world.links[shard]->acked;
}

uint64_t fake_sender(unsigned shard)
{
    return world.links[shard]->sender;
}

uint64_t fake_reply(unsigned shard)
{
    return world.links[shard]->reply;
}

uint64_t fake_ref(unsigned shard)
{
    return world.links[shard]->ref;
}

void fake_fail_next_message(unsigned shard)
{
    world.links[shard]->fail_next = true;
}

void fake_session(unsigned shard, bool fresh)
{
    struct rt_sub *sub = world.links[shard];

    sub->in_session = true;
    sub->config.events->on_session(sub->config.ctx, 7, fresh);
}

void fake_down(unsigned shard)
{
    struct rt_sub *sub = world.links[shard];

    sub->in_session = false;
    sub->config.events->on_down(sub->config.ctx);
}

void fake_frame(unsigned shard, struct wire_writer *frame)
{
    struct rt_sub *sub = world.links[shard];
    uint8_t *exact =
        malloc(frame->len > 0 ? frame->len : 1); /* so that a read past the end is seen */

    memcpy(exact, frame->data, frame->len);
    sub->config.events->on_frame(sub->config.ctx, ++sub->seq,
                                 (struct rt_span){ exact, frame->len });
    free(exact);
    wire_writer_clear(frame);
}

/* --- connections ----------------------------------------------------------------------------------------- */

struct rt_span fake_payload(const struct edge_frame *frame)
{
    size_t header = frame->bytes[1] < 126 ? 2 : (frame->bytes[1] == 126 ? 4 : 10);

    return (struct rt_span){ frame->bytes + header, frame->len - header };
}

void edge_conn_send(struct edge_conn *conn, struct edge_frame *frame)
{
    struct rt_span text = fake_payload(frame);

    if (conn->code != 0) {
        return;
    }
    edge_frame_unref(conn->last);
    conn->last = edge_frame_ref(frame);
    rt_buf_append(&conn->sent, text.data, text.len);
    rt_buf_putc(&conn->sent, '\n');
}

void edge_conn_send_text(struct edge_conn *conn, const void *payload, size_t len)
{
    struct edge_frame *frame = edge_frame_text(payload, len);

    edge_conn_send(conn, frame);
    edge_frame_unref(frame);
}

void edge_conn_close_after(struct edge_conn *conn, rt_usec delay, unsigned code, const char *reason)
{
    conn->code = code;
    conn->delay = delay;
    (void)snprintf(conn->reason, sizeof conn->reason, "%s", reason);
}

void edge_conn_close(struct edge_conn *conn, unsigned code, const char *reason)
{
    edge_conn_close_after(conn, 0, code, reason);
}

bool edge_conn_wants_transactions(const struct edge_conn *conn)
{
    return conn->transactions;
}

void fake_conn_want_transactions(struct edge_conn *conn)
{
    conn->transactions = true;
}

size_t edge_conn_waiting_bytes(const struct edge_conn *conn)
{
    return conn->waiting;
}

void fake_conn_fill(struct edge_conn *conn, size_t waiting)
{
    conn->waiting = waiting;
}

struct edge_conn *fake_conn_new(void)
{
    return rt_alloc(sizeof(struct edge_conn));
}

void fake_conn_free(struct edge_conn *conn)
{
    edge_frame_unref(conn->last);
    rt_buf_fini(&conn->sent);
    rt_buf_fini(&conn->shown);
    free(conn);
}

const char *fake_sent(struct edge_conn *conn)
{
    return show(&conn->sent, &conn->shown);
}

const struct edge_frame *fake_last_frame(const struct edge_conn *conn)
{
    return conn->last;
}

unsigned fake_close_code(const struct edge_conn *conn)
{
    return conn->code;
}

rt_usec fake_close_delay(const struct edge_conn *conn)
{
    return conn->delay;
}

const char *fake_close_reason(const struct edge_conn *conn)
{
    return conn->reason;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

struct identity fake_identity(const char *token)
{
    struct identity identity = { 0 };
    const char *claims = strchr(token, '|');
    const char *expires = claims != NULL ? strchr(claims + 1, '|') : NULL;
    size_t role_len = claims != NULL ? (size_t)(claims - token) : strlen(token);

    memcpy(identity.role, token, role_len);
    identity.claims = rt_strdup(claims != NULL ? claims + 1 : "");
    if (expires != NULL) {
        identity.claims[expires - claims - 1] = '\0';
        identity.expires = fake_wall_now() + strtol(expires + 1, NULL, 10) * RT_SEC;
    }
    identity.claims_len = strlen(identity.claims);
    return identity;
}

enum token_err token_verify(const struct token_verifier *verifier, const char *token, size_t len,
                            rt_usec now, struct identity *out)
{
    char *text = rt_strndup(token, len);
    enum token_err err = strcmp(text, "bad") == 0 ? TOKEN_SIGNATURE : TOKEN_OK;

    (void)verifier;
    (void)now;
    if (err == TOKEN_OK) {
        *out = fake_identity(text);
    }
    free(text);
    return err;
}

void identity_fini(struct identity *identity)
{
    free(identity->claims);
    *identity = (struct identity){ 0 };
}

/* --- the process ----------------------------------------------------------------------------------------- */

rt_usec fake_now(void)
{
    return world.now;
}

rt_usec fake_wall_now(void)
{
    return world.now + WALL_AHEAD;
}

void fake_clock_set(rt_usec now)
{
    world.now = now;
}

void fake_clock_add(rt_usec more)
{
    world.now += more;
}

struct rt_process *fake_process_new(const char *const *sets)
{
    struct rt_process *process = rt_alloc(sizeof *process);
    struct rt_buf errors = { 0 };

    world.config = rt_config_load(NULL, sets, &errors);
    process->config = world.config;
    if (world.config == NULL) {
        (void)fprintf(stderr, "%s\n", rt_buf_cstr(&errors));
        abort();
    }
    rt_buf_fini(&errors);
    process->loop = rt_loop_new();
    process->log = rt_log_new("test", RT_LOG_ERROR + 1, RT_LOG_KV);
    process->metrics = rt_metrics_new();
    process->health = rt_health_new();
    return process;
}

void fake_process_free(struct rt_process *process)
{
    rt_health_free(process->health);
    rt_metrics_free(process->metrics);
    rt_log_free(process->log);
    rt_loop_free(process->loop);
    rt_config_free(world.config);
    world.config = NULL;
    free(process);
}

double fake_metric(struct rt_process *process, const char *name)
{
    struct rt_buf text = { 0 };
    struct rt_buf line = { 0 };

    rt_buf_putc(&text, '\n');
    rt_metrics_render(process->metrics, &text);
    rt_buf_printf(&line, "\n%s ", name);
    const char *at = strstr(rt_buf_cstr(&text), rt_buf_cstr(&line));
    double value = at != NULL ? strtod(at + line.len, NULL) : -1.0;
    rt_buf_fini(&text);
    rt_buf_fini(&line);
    return value;
}

/* --- records --------------------------------------------------------------------------------------------- */

void fake_write_group(struct wire_writer *out, uint32_t group, const char *table)
{
    static const char number[] = { WIRE_SHAPE_NUMBER };
    static const char text[] = { WIRE_SHAPE_TEXT };
    struct wire_group_column columns[] = {
        { 0, { "id", 2 }, WIRE_COLUMN_IDENTITY | WIRE_COLUMN_PRIMARY, { number, 1 } },
        { 1, { "name", 4 }, 0, { text, 1 } },
    };

    wire_encode_group(out,
                      &(struct wire_group){
                          .group = group,
                          .schema = { "public", 6 },
                          .table = { table, strlen(table) },
                          .column_count = 2,
                      },
                      columns, NULL);
}

struct wire_tuple fake_tuple(unsigned count, const char *const *texts)
{
    struct wire_writer *out = &world.tuples[world.tuple_count++ % 64];

    wire_writer_clear(out);
    wire_write_array(out, count);
    for (unsigned i = 0; i < count; i++) {
        struct wire_value value = { .kind = WIRE_VALUE_NULL };
        if (texts[i] != NULL) {
            value = (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                         .text = texts[i],
                                         .len = (uint32_t)strlen(texts[i]) };
        }
        wire_write_value(out, &value);
    }
    return (struct wire_tuple){ out->data, out->len };
}

void fakes_reset(void)
{
    for (unsigned i = 0; i < 64; i++) {
        wire_writer_fini(&world.tuples[i]);
    }
    world = (struct world){ .now = START };
}
