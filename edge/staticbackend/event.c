/* edge/staticbackend/event.c - changes and messages as frames: who of an audience may see a row, and what it is told.
 *
 * hub_want.text of a database channel is what its frames depend on: the channel's name, a NUL, the level, and as a JSON string whose
 * documents they are: "db-tasks_760_\0a\"acc-1\"".
 */
#include <string.h>

#include "edge/json_out.h"
#include "edge/sse/sse.h"
#include "edge/staticbackend/parts.h"
#include "runtime/log.h"
#include "runtime/process.h"

struct audience {
    struct rt_span channel;
    char level; /* o, a, e: owner, account, everyone */
    struct rt_span whose;
};

void sb_audience_text(struct rt_buf *out, struct rt_span channel, enum sb_level level,
                      const char *account, const char *user)
{
    static const char letters[] = { [SB_OWNER] = 'o', [SB_ACCOUNT] = 'a', [SB_EVERYONE] = 'e' };

    rt_buf_append(out, channel.data, channel.len);
    rt_buf_putc(out, '\0');
    rt_buf_putc(out, letters[level]);
    if (level != SB_EVERYONE) {
        const char *whose = level == SB_OWNER ? user : account;
        (void)json_out_string(out, whose, strlen(whose));
    }
}

static struct audience audience_of(struct rt_span text)
{
    const uint8_t *nul = memchr(text.data, '\0', text.len);
    size_t len = (size_t)(nul - text.data);

    return (struct audience){ { text.data, len },
                              (char)text.data[len + 1],
                              { text.data + len + 2, text.len - len - 2 } };
}

/* --- who may see what -------------------------------------------------------------------------------------------- */

static bool is_known(const struct audience *audience, const struct sb_row *row)
{
    return audience->level == 'e' ||
           (audience->level == 'a' ? sb_row_has_account(row) : sb_row_has_owner(row));
}

static bool may_see(const struct audience *audience, const struct sb_row *row)
{
    return audience->level == 'e' ||
           sb_value_is(audience->level == 'a' ? row->account : row->owner, audience->whose);
}

static const char *type_for(const struct staticbackend *sb, const struct audience *audience,
                            enum hub_op op)
{
    bool new_seen = op != HUB_DELETE && may_see(audience, &sb->new_row);
    bool old_seen = op != HUB_INSERT && may_see(audience, &sb->old_row);

    if (op == HUB_UPDATE && !is_known(audience, &sb->old_row)) {
        old_seen =
            new_seen; /* the log has its key only: as far as one can tell, it was seen before */
    }
    if (new_seen) {
        return old_seen ? "db_updated" : "db_created";
    }
    return old_seen ? "db_deleted" : NULL;
}

/* A deletion of which only the key is in the log cannot be judged. Once per event, not per audience. */
static void report_unjudged(struct staticbackend *sb, const struct hub_event *event)
{
    if (event->op == HUB_DELETE && !sb_row_has_account(&sb->old_row) &&
        !sb_row_has_owner(&sb->old_row)) {
        rt_counter_add(sb->unjudged, 1);
        rt_log_warn(sb->process->log, "staticbackend.unjudged",
                    RT_SN("schema", (const char *)event->schema.data, event->schema.len),
                    RT_SN("table", (const char *)event->table.data, event->table.len),
                    RT_S("effect", "a deletion reached only those who may see every document"),
                    RT_S("hint",
                         "enable_realtime() sets REPLICA IDENTITY FULL; does the table have "
                         "an account or owner column that staticbackend.role may read?"));
    }
}

static void look_at(struct staticbackend *sb, const struct hub_event *event)
{
    if (sb->content == event->content) {
        return;
    }
    sb->content = event->content;
    sb_row_read(event->old_record, &sb->names, &sb->old_row);
    sb_row_read(event->record, &sb->names, &sb->new_row);
    rt_buf_clear(&sb->document);
    report_unjudged(sb, event);
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

/* The scratch buffer as a frame. */
static struct edge_frame *frame_of(struct staticbackend *sb, unsigned form,
                                   const struct wire_position *position)
{
    char id[WIRE_POSITION_TEXT_SIZE] = "";
    struct edge_frame *frame = NULL;

    if (form == SB_EVENT) {
        if (position != NULL) {
            wire_position_text(position, id);
        }
        frame = sse_event(sb_span(id), rt_buf_span(&sb->out));
    } else {
        frame = edge_frame_text(sb->out.data, sb->out.len);
    }
    rt_buf_clear(&sb->out);
    return frame;
}

static struct rt_span document_of(struct staticbackend *sb, const struct hub_event *event)
{
    if (sb->document.len == 0) {
        rt_buf_clear(&sb->text);
        sb_document_write(&sb->text, event->record, &sb->new_row);
        (void)json_out_string(&sb->document, (const char *)sb->text.data, sb->text.len);
    }
    return rt_buf_span(&sb->document);
}

static struct rt_span id_text(const struct sb_row *row)
{
    return row->id.len > 0 ? row->id : sb_span("null");
}

struct edge_frame *sb_encode(void *dialect, const struct hub_event *event, unsigned form,
                             struct rt_span text)
{
    struct staticbackend *sb = dialect;
    struct audience audience = audience_of(text);
    struct rt_span nobody = sb_span("");

    look_at(sb, event);
    const char *type = type_for(sb, &audience, event->op);
    if (type == NULL) {
        return NULL;
    }
    if (strcmp(type, "db_deleted") == 0) {
        sb_out_message(&sb->out, nobody, type, id_text(&sb->old_row), audience.channel);
    } else if (event->unchanged.len > 0 || event->too_large.len > 0) {
        rt_buf_clear(&sb->text);
        rt_buf_puts(&sb->text, "a document has changed, but is too large or not whole in the log; "
                               "read it again: ");
        struct rt_span id = id_text(&sb->new_row);
        rt_buf_append(&sb->text, id.data, id.len);
        sb_out_message(&sb->out, nobody, "error", rt_buf_span(&sb->text), audience.channel);
    } else {
        sb_out_message_json(&sb->out, nobody, type, document_of(sb, event), audience.channel);
    }
    return frame_of(sb, form, &event->position);
}

/* --- messages of channels ------------------------------------------------------------------------------------------- */

/* A client's data travels as a JSON string, its sender as the event. What SQL sends may be any JSON, from nobody. */
struct edge_frame *sb_encode_message(void *dialect, const struct hub_message *message,
                                     unsigned form, struct rt_span text)
{
    struct staticbackend *sb = dialect;
    struct rt_span payload = message->payload;
    struct rt_span sid = message->event.len == SB_SID_LEN ? message->event : sb_span("");

    if (payload.len > 0 && payload.data[0] == '"') {
        sb_out_message_json(&sb->out, sid, "chan_out", payload, text);
    } else {
        sb_out_message(&sb->out, sid, "chan_out", payload, text);
    }
    return frame_of(sb, form, NULL);
}
