/* tailer/slot_command.c - the commands of the replication connection before it streams; see slot.h.
 *
 * One command is under way at a time; its whole answer is taken before the machine goes on.
 */
#include <stdlib.h>

#include <libpq-fe.h>

#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "tailer/lsn.h"
#include "tailer/slot_errors.h"
#include "tailer/slot_impl.h"

static void command(struct slot *slot, const char *text)
{
    if (PQsendQuery(slot->conn, text) == 0 || PQflush(slot->conn) < 0) {
        slot_lose(slot, PQerrorMessage(slot->conn), NULL);
        return;
    }
    slot_watch(slot, RT_READ | RT_WRITE);
}

void slot_enter_identifying(struct slot *slot)
{
    rt_condition_set(slot->database, true, "connected");
    (void)PQsetnonblocking(slot->conn, 1);
    rt_timer_set(slot->timer, slot->config.timeout, 0);
    command(slot, "IDENTIFY_SYSTEM");
}

void slot_enter_dropping(struct slot *slot)
{
    struct rt_buf text = { 0 };

    rt_log_warn(slot->config.log, "slot.dropping", RT_S("slot", slot->config.setup.slot),
                RT_S("reason", slot->setup.reason));
    free(slot->spoilt_reason);
    slot->spoilt_reason = rt_strdup(slot->setup.reason);
    rt_timer_set(slot->timer, slot->config.timeout, 0);
    rt_buf_printf(&text, "DROP_REPLICATION_SLOT \"%s\"", slot->config.setup.slot);
    command(slot, rt_buf_cstr(&text));
    rt_buf_fini(&text);
}

/* Not bounded in time: PostgreSQL waits for every transaction that is running now. */
void slot_enter_creating(struct slot *slot)
{
    struct rt_buf text = { 0 };

    slot_not_ready(
        slot, "creating the slot: PostgreSQL waits for the transactions that are running to end");
    rt_timer_stop(slot->timer);
    rt_buf_printf(&text, "CREATE_REPLICATION_SLOT \"%s\" LOGICAL pgoutput NOEXPORT_SNAPSHOT",
                  slot->config.setup.slot);
    command(slot, rt_buf_cstr(&text));
    rt_buf_fini(&text);
}

uint64_t slot_epoch_of(const struct slot *slot, int64_t incarnation)
{
    return lsn_epoch(slot->system_id, slot->timeline, slot->config.setup.slot, incarnation);
}

/* An identifier inside a literal: quoted for both. */
static void add_name(struct rt_buf *out, const char *name)
{
    rt_buf_putc(out, '"');
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\'') {
            rt_buf_putc(out, *at);
        }
        rt_buf_putc(out, *at);
    }
    rt_buf_putc(out, '"');
}

void slot_enter_starting(struct slot *slot)
{
    struct rt_buf text = { 0 };
    char lsn[LSN_TEXT_SIZE];
    bool same = slot->epoch == slot_epoch_of(slot, slot->setup.incarnation);

    slot_unlock(slot);
    lsn_text(same ? slot->config.events->resume_lsn(slot->config.ctx) : 0, lsn);
    rt_timer_set(slot->timer, slot->config.timeout, 0);
    rt_buf_printf(&text,
                  "START_REPLICATION SLOT \"%s\" LOGICAL %s (proto_version '1', messages 'true', ",
                  slot->config.setup.slot, lsn);
    rt_buf_puts(&text, "publication_names '");
    add_name(&text, slot->config.setup.publication);
    if (slot_policies_start(slot)) {
        rt_buf_putc(&text, ',');
        add_name(&text, slot->config.setup.policy_publication);
    }
    rt_buf_puts(&text, "')");
    command(slot, rt_buf_cstr(&text));
    rt_buf_fini(&text);
}

static bool keep_identity(struct slot *slot, const PGresult *result)
{
    if (PQntuples(result) != 1 || PQnfields(result) < 3 ||
        !lsn_parse(PQgetvalue(result, 0, 2), &slot->server_lsn)) {
        return false;
    }
    free(slot->system_id);
    slot->system_id = rt_strdup(PQgetvalue(result, 0, 0));
    slot->timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 10);
    return true;
}

static bool keep_created(struct slot *slot, const PGresult *result)
{
    if (PQntuples(result) != 1 || PQnfields(result) < 2 ||
        !lsn_parse(PQgetvalue(result, 0, 1), &slot->created_lsn)) {
        return false;
    }
    slot->spoilt = false;
    rt_log_info(slot->config.log, "slot.created", RT_S("slot", slot->config.setup.slot),
                RT_S("lsn", PQgetvalue(result, 0, 1)));
    return true;
}

static void on_success(struct slot *slot, const PGresult *result)
{
    bool fine = true;

    if (slot->state == SLOT_IDENTIFYING) {
        fine = keep_identity(slot, result);
    } else if (slot->state == SLOT_CREATING) {
        fine = keep_created(slot, result);
    }
    if (fine) {
        slot_step(slot, SLOT_EV_DONE);
    } else {
        slot_lose(slot, "the server's answer to a replication command has another form", NULL);
    }
}

static void on_failure(struct slot *slot, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = text == NULL ? PQerrorMessage(slot->conn) : text;
    struct slot_error error = slot_error_classify(sqlstate, message, slot->config.setup.publication,
                                                  slot->config.setup.policy_publication);

    if (error.kind == SLOT_ERROR_BUSY && slot->state != SLOT_CREATING) {
        slot_not_ready(slot, message);
        slot_step(slot, SLOT_EV_BUSY);
    } else {
        slot_lose(slot, message, sqlstate);
    }
}

/* All of a command's answer, or nothing yet. */
void slot_read_answer(struct slot *slot)
{
    if (PQconsumeInput(slot->conn) == 0) {
        slot_lose(slot, PQerrorMessage(slot->conn), NULL);
        return;
    }
    if (PQisBusy(slot->conn) != 0) {
        slot_watch(slot, RT_READ);
        return;
    }
    PGresult *result = PQgetResult(slot->conn);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COPY_BOTH) {
        /* Short: the end of the answer is behind it already, or the connection is broken. */
        PGresult *rest = PQgetResult(slot->conn);
        PQclear(rest);
    }
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_BOTH) {
        on_success(slot, result);
    } else {
        on_failure(slot, result);
    }
    PQclear(result);
}
