/* edge/llana/events.c - what the hub says to a socket, and whether it may have an event. Nothing here calls the hub. */
#include <string.h>

#include "edge/conn.h"
#include "edge/llana/parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"

/* --- events --------------------------------------------------------------------------------------------------------- */

static struct edge_frame *on_encode(void *dialect, const struct hub_event *event, unsigned form,
                                    struct rt_span text)
{
    struct llana *llana = dialect;
    char table[LLANA_TABLE_MAX + 1];

    memcpy(table, text.data, text.len); /* a table's name: llana_is_table_name() */
    table[text.len] = '\0';
    struct edge_frame *frame =
        llana_out_event(&llana->out, event,
                        &(struct llana_event_settings){ .roles = llana->roles,
                                                        .table = table,
                                                        .soft_delete_column =
                                                            llana->config->llana_soft_delete_column,
                                                        .with_offset = form == 1 });
    if (frame == NULL) {
        rt_counter_add(llana->keyless, 1);
        rt_log_warn(
            llana->process->log, "llana.no_key", RT_S("table", table),
            RT_S("effect", "an event could not be sent"),
            RT_S("hint", "the table needs a primary key that llana.database_role may read"));
    }
    return frame;
}

/* Kept until something about the roles changes. */
static const struct llana_verdict *judge(struct llana_session *session)
{
    const struct llana_roles *roles = session->llana->roles;
    uint64_t generation = llana_roles_generation(roles);

    if (session->judged != generation) {
        session->judged = generation;
        session->verdict = llana_roles_judge(roles, session->table, session->sub);
    }
    return &session->verdict;
}

static bool may_have(struct llana_session *session, const struct edge_frame *frame)
{
    if (session->unrestricted) {
        return true;
    }
    const struct llana_verdict *verdict = judge(session);
    return verdict->access == LLANA_ALL ||
           (verdict->access == LLANA_OWN && llana_frame_has(frame, verdict->column, session->sub));
}

static void on_deliver(void *to, struct edge_frame *frame)
{
    struct llana_session *session = to;

    if (session->state != LLANA_JOINED) {
        return;
    }
    if (may_have(session, frame)) {
        rt_counter_add(session->llana->sent, 1);
        engineio_send(session->conn, frame);
    } else {
        rt_counter_add(session->llana->withheld, 1);
    }
}

/* --- the subscription ------------------------------------------------------------------------------------------------ */

static void make_sid(char out[LLANA_SID_LEN + 1])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t random = 0;

    for (unsigned i = 0; i < LLANA_SID_LEN; i++) {
        random = i % 10 == 0 ? rt_random64() : random >> 6;
        out[i] = letters[random & 63];
    }
    out[LLANA_SID_LEN] = '\0';
}

static void on_accepted(void *user, void *sub, const struct hub_accepted *accepted)
{
    struct llana_session *session = user;
    struct llana *llana = session->llana;
    bool recovered = session->has_since && accepted->resumed && session->pid[0] != '\0';
    struct wire_position began;
    char sid[LLANA_SID_LEN + 1];

    (void)sub;
    if (session->state != LLANA_SUBSCRIBING) {
        return;
    }
    if (accepted->defined && !llana_has_key(accepted->columns)) {
        llana_refuse(session, "The table has no primary key that can be read here");
        return;
    }
    if (!recovered || !llana_pid_read(session->pid, sid, &began)) {
        make_sid(sid);
        llana_pid_make(sid, &accepted->position, session->pid);
    }
    session->state = LLANA_JOINED;
    rt_counter_add(llana->outcomes[recovered ? LLANA_RECOVERED : LLANA_CONNECTED], 1);
    llana_out_connected(&llana->text, sid, llana->config->llana_recovery ? session->pid : NULL);
    llana_send(session);
}

/* A shard has one code for a table that is not there and for a database that does not answer; its text tells them apart. */
static bool is_for_good(enum wire_code code, const char *text)
{
    return code == WIRE_CODE_FORBIDDEN || code == WIRE_CODE_INVALID_CHANNEL ||
           strstr(text, "does not exist") != NULL || strstr(text, "is not a table") != NULL;
}

/* What may pass by itself sends the client away, since it does not come back after a connect error. */
static void on_refused(void *user, void *sub, enum wire_code code, struct rt_span message)
{
    struct llana_session *session = user;
    char text[512];

    (void)sub;
    session->handle = NULL;
    size_t len = message.len < sizeof(text) - 1 ? message.len : sizeof(text) - 1;
    memcpy(text, message.data, len);
    text[len] = '\0';
    rt_log_debug(session->llana->process->log, "llana.refused", RT_S("table", session->table),
                 RT_S("reason", text));
    if (session->state == LLANA_SUBSCRIBING && is_for_good(code, text)) {
        llana_refuse(session, text);
    } else {
        llana_send_away(session, text);
    }
}

static void on_gone(void *user, void *sub, const struct hub_gone *gone)
{
    struct llana_session *session = user;

    (void)sub;
    (void)gone;
    session->handle = NULL;
    if (session->state == LLANA_SUBSCRIBING) {
        session->again_due = rt_now(); /* not from inside the hub's call */
        llana_arm(session);
    } else {
        llana_send_away(session, "what comes next cannot be had");
    }
}

static void on_gap(void *user, void *sub, const struct hub_gap *gap)
{
    (void)sub;
    llana_send_away(user, gap->reason);
}

static void on_rows(void *user, void *sub, const struct hub_page *page)
{
    (void)user;
    (void)sub;
    (void)page;
}

static size_t on_waiting(void *user)
{
    const struct llana_session *session = user;

    return engineio_waiting(session->conn);
}

static void on_overflow(void *user)
{
    llana_send_away(user, "a shard is behind, and too much waits for it");
}

/* Socket.IO has no word for it; the edge's readiness and metrics say it. */
static void on_stale(void *user, rt_usec age)
{
    (void)user;
    (void)age;
}

static void on_fresh(void *user)
{
    (void)user;
}

static void on_expired(void *user)
{
    llana_send_away(user, "the identity has expired");
}

const struct hub_dialect llana_hub_side = {
    .name = "llana",
    .encode = on_encode,
    .deliver = on_deliver,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_gone = on_gone,
    .on_gap = on_gap,
    .on_rows = on_rows,
    .waiting = on_waiting,
    .on_overflow = on_overflow,
    .on_stale = on_stale,
    .on_fresh = on_fresh,
    .on_expired = on_expired,
};
