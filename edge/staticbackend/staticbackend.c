/* edge/staticbackend/staticbackend.c - life of the dialect, and how connections begin and end. */
#include "edge/staticbackend/staticbackend.h"

#include <stdlib.h>
#include <string.h>

#include "edge/http_request.h"
#include "edge/sse/sse.h"
#include "edge/staticbackend/parts.h"
#include "runtime/config.h"
#include "runtime/loop.h"
#include "runtime/process.h"

/* Last-Event-ID; what is no position is no wish to go on. */
static void read_last_event(struct sb_session *session, const struct http_request *request)
{
    struct rt_span id = { NULL, 0 };

    session->has_since = session->form == SB_EVENT &&
                         http_request_header(request, "last-event-id", 0, &id) &&
                         wire_position_parse((const char *)id.data, id.len, &session->since);
}

static void *on_open(void *dialect, struct edge_conn *conn, enum token_err token_err,
                     struct identity *identity)
{
    struct staticbackend *sb = dialect;
    const struct http_request *request = edge_conn_request(conn);
    bool named = false;
    struct sb_tenant *tenant = sb_tenant_of_request(sb, request, &named);

    (void)token_err;
    identity_fini(identity); /* tokens come in messages */
    struct sb_session *session = sb_session_new(sb, conn, tenant != NULL ? tenant : sb->tenants);
    read_last_event(session, request);
    sb_session_say(session, "init", sb_span(session->sid), sb_span(""));
    return session;
}

static void on_text(void *session, struct edge_conn *conn, struct rt_span text)
{
    (void)conn;
    sb_session_text(session, text);
}

static void on_close(void *session, struct edge_conn *conn)
{
    (void)conn;
    sb_session_free(session);
}

/* Where a stream would go on, also if nothing happens for longer than the window: an event that the client's library notes, and
 * of which its users hear nothing. Streams that are equally far share it. */
static void on_heartbeat(void *user, struct edge_conn *conn)
{
    struct sb_session *session = user;
    struct staticbackend *sb = session->sb;
    struct wire_position position;
    char id[WIRE_POSITION_TEXT_SIZE];

    if (session->form != SB_EVENT || session->client == NULL ||
        !sb_session_may_give_id(session, &position)) {
        return;
    }
    if (sb->progress == NULL || sb->progress_at.epoch != position.epoch ||
        wire_position_cmp(&sb->progress_at, &position) != 0) {
        edge_frame_unref(sb->progress);
        wire_position_text(&position, id);
        sb->progress = sse_named_event("position", sb_span(id), sb_span("1"));
        sb->progress_at = position;
    }
    edge_conn_send(conn, sb->progress);
}

static struct edge_frame *frame_too_many(void *dialect)
{
    struct staticbackend *sb = dialect;

    sb_out_message(&sb->out, sb_span(""), "error", sb_span("too many connections"), sb_span(""));
    struct edge_frame *frame = edge_frame_text(sb->out.data, sb->out.len);
    rt_buf_clear(&sb->out);
    return frame;
}

#define DIALECT(label, where)                                                                      \
    {                                                                                              \
        .name = (label), .path = (where), .on_open = on_open, .on_text = on_text,                  \
        .on_close = on_close, .on_heartbeat = on_heartbeat, .frame_too_many = frame_too_many,      \
        .http = &sb_http_side                                                                      \
    }
const struct edge_dialect staticbackend_dialects[STATICBACKEND_PATHS] = {
    DIALECT("staticbackend_ws", "/ws"),
    DIALECT("staticbackend_sse", "/sse/connect"),
    DIALECT("staticbackend_msg", "/sse/msg"),
};

static void make_metrics(struct staticbackend *sb)
{
    struct rt_metrics *metrics = sb->process->metrics;

    sb->messages = rt_counter_new(metrics, "pgtide_edge_client_messages_total",
                                  "dialect=\"staticbackend\"", "Messages received from clients.");
    sb->errors = rt_counter_new(metrics, "pgtide_edge_client_errors_total",
                                "dialect=\"staticbackend\",code=\"error\"",
                                "Error frames sent to clients, by their code.");
    sb->strangers = rt_counter_new(
        metrics, "pgtide_staticbackend_strangers_total", NULL,
        "Messages for a connection with a token, or a key, that is not its own; ignored");
    sb->unjudged = rt_counter_new(metrics, "pgtide_staticbackend_unjudged_total", NULL,
                                  "Deletions of which only the key was in the log, so that "
                                  "nobody's account or owner could be told");
}

struct staticbackend *staticbackend_new(const struct staticbackend_config *config)
{
    struct staticbackend *sb = rt_alloc(sizeof *sb);
    const struct rt_config *options = config->process->config;

    sb->config = options;
    sb->process = config->process;
    sb->hub = config->hub;
    sb->verifier = config->verifier;
    sb->now = config->now != NULL ? config->now : rt_now;
    sb->wall_now = config->wall_now != NULL ? config->wall_now : rt_wall_now;
    sb->names = (struct sb_names){ options->sb_id_column,      options->sb_account_column,
                                   options->sb_owner_column,   options->sb_data_column,
                                   options->sb_account_member, options->sb_owner_member };
    for (size_t i = 0; i < sizeof sb->seed / sizeof sb->seed[0]; i++) {
        sb->seed[i] = rt_random64();
    }
    sb->sessions = rt_map_new();
    list_init(&sb->again);
    sb->later = rt_defer_new(config->process->loop, sb_channels_again, sb);
    make_metrics(sb);
    if (!sb_tenants_read(sb)) {
        staticbackend_free(sb);
        return NULL;
    }
    return sb;
}

void staticbackend_free(struct staticbackend *sb)
{
    if (sb == NULL) {
        return;
    }
    sb_tenants_free(sb);
    rt_map_free(sb->sessions);
    rt_defer_free(sb->later);
    edge_frame_unref(sb->bare_of);
    edge_frame_unref(sb->bare);
    edge_frame_unref(sb->progress);
    rt_buf_fini(&sb->out);
    rt_buf_fini(&sb->text);
    rt_buf_fini(&sb->document);
    free(sb->host);
    free(sb);
}
