/* edge/llana/feed.c - see edge/llana/feed.h. What the hub calls may not call the hub, so what follows from it happens in a timer. */
#include "edge/llana/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/row_json.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/process.h"

enum { PAGE_ROWS = 1000 };
static const rt_usec RETRY = 5 * RT_SEC;

struct source {
    struct llana_feed *feed;
    enum llana_source kind;
    const char *table;
    const char *key; /* the configured one, or "id"; "": the primary key */
    struct hub_sub *sub;
    bool loaded;
    bool broken; /* to be subscribed to anew */
};

struct llana_feed {
    struct llana_feed_config config;
    const struct rt_config *settings;
    struct rt_log *log;
    struct hub_client *client; /* NULL: not started */
    struct source sources[LLANA_SOURCES];
    struct rt_timer *retry;
    struct rt_gauge *ready;
    struct rt_counter *reloads;
};

/* --- rows ---------------------------------------------------------------------------------------------------------- */

static json_t *parse(struct rt_span text)
{
    return text.len > 0 ? json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, NULL)
                        : NULL;
}

/* The name of the first column of the primary key, as JSON text that json_string_value() reads. */
static json_t *primary_key(const struct row_def *def)
{
    for (uint32_t i = 0; i < def->column_count; i++) {
        const struct row_column *column = &def->columns[i];
        if ((column->flags & WIRE_COLUMN_PRIMARY) != 0) {
            return parse((struct rt_span){ def->text.data + column->key_at, column->key_len - 1 });
        }
    }
    return NULL;
}

/* The column that tells a source's rows apart; NULL: the table has none. */
static const char *key_of(const struct source *source, const json_t *primary)
{
    return source->key[0] != '\0' ? source->key : json_string_value(primary);
}

static void put(struct source *source, json_t *row, const json_t *primary)
{
    const char *key = key_of(source, primary);

    if (key != NULL && json_is_object(row)) {
        llana_roles_put(source->feed->config.roles, source->kind, row, key);
    }
}

static void take_out(struct source *source, json_t *row, const json_t *primary)
{
    const char *key = key_of(source, primary);

    if (key != NULL && json_is_object(row)) {
        llana_roles_remove(source->feed->config.roles, source->kind, row, key);
    }
}

/* --- readiness ------------------------------------------------------------------------------------------------------ */

bool llana_feed_is_ready(const struct llana_feed *feed)
{
    for (int i = 0; i < LLANA_SOURCES; i++) {
        if (!feed->sources[i].loaded || feed->sources[i].broken) {
            return false;
        }
    }
    return true;
}

static void lost(struct source *source, rt_usec again)
{
    struct llana_feed *feed = source->feed;
    bool was_ready = llana_feed_is_ready(feed);

    source->loaded = false;
    source->broken = true;
    llana_roles_clear(feed->config.roles, source->kind);
    rt_gauge_set(feed->ready, 0);
    rt_timer_set(feed->retry, again, 0);
    if (was_ready) {
        feed->config.on_lost(feed->config.ctx);
    }
}

/* --- what the hub says ---------------------------------------------------------------------------------------------- */

/* op, length of the old row, old row, new row. It is applied when it is delivered, since only then is it in its place behind the
 * snapshot. */
static struct edge_frame *on_encode(void *dialect, const struct hub_event *event, unsigned form,
                                    struct rt_span text)
{
    struct rt_buf out = { 0 };
    uint8_t op = (uint8_t)event->op;
    uint32_t old_len = (uint32_t)event->old_record.len;
    json_t *primary = event->op != HUB_TRUNCATE ? primary_key(event->columns) : NULL;
    char *name = primary != NULL ? json_dumps(primary, JSON_ENCODE_ANY) : NULL;
    uint32_t name_len = name != NULL ? (uint32_t)strlen(name) : 0;

    (void)dialect;
    (void)text;
    rt_buf_append(&out, &op, 1);
    rt_buf_putc(&out, (char)form);
    rt_buf_append(&out, &old_len, sizeof(old_len));
    rt_buf_append(&out, &name_len, sizeof(name_len));
    rt_buf_append(&out, event->old_record.data, old_len);
    rt_buf_append(&out, name, name_len);
    rt_buf_append(&out, event->record.data, event->record.len);
    struct edge_frame *frame = edge_frame_raw(out.data, out.len);
    free(name);
    json_decref(primary);
    rt_buf_fini(&out);
    return frame;
}

static void apply(struct source *source, uint8_t op, json_t *old, json_t *row,
                  const json_t *primary)
{
    if (op == HUB_TRUNCATE) {
        llana_roles_clear(source->feed->config.roles, source->kind);
        return;
    }
    const char *key = key_of(source, primary);
    bool moved = key != NULL && op == HUB_UPDATE && old != NULL &&
                 !json_equal(json_object_get(old, key), json_object_get(row, key));
    if (op == HUB_DELETE || moved) {
        take_out(source, old, primary);
    }
    if (op != HUB_DELETE) {
        put(source, row, primary);
    }
}

static void on_deliver(void *to, struct edge_frame *frame)
{
    struct llana_feed *feed = to;
    uint8_t op = frame->bytes[0];
    struct source *source = &feed->sources[frame->bytes[1]];
    uint32_t old_len = 0;
    uint32_t name_len = 0;
    const uint8_t *at = frame->bytes + 2 + sizeof(old_len) + sizeof(name_len);

    memcpy(&old_len, frame->bytes + 2, sizeof(old_len));
    memcpy(&name_len, frame->bytes + 2 + sizeof(old_len), sizeof(name_len));
    size_t row_len = frame->len - (size_t)(at - frame->bytes) - old_len - name_len;
    json_t *old = parse((struct rt_span){ at, old_len });
    json_t *primary = parse((struct rt_span){ at + old_len, name_len });
    json_t *row = parse((struct rt_span){ at + old_len + name_len, row_len });
    apply(source, op, old, row, primary);
    json_decref(old);
    json_decref(primary);
    json_decref(row);
}

static void on_accepted(void *session, void *user, const struct hub_accepted *accepted)
{
    (void)session;
    (void)user;
    (void)accepted;
}

static void on_rows(void *session, void *user, const struct hub_page *page)
{
    struct llana_feed *feed = session;
    struct source *source = user;
    json_t *rows = parse(page->rows);
    json_t *primary = primary_key(page->columns);

    for (size_t i = 0; i < json_array_size(rows); i++) {
        put(source, json_array_get(rows, i), primary);
    }
    bool whole = json_array_size(rows) == page->count;
    json_decref(rows);
    json_decref(primary);
    if (!whole) {
        rt_log_warn(feed->log, "llana.roles_unreadable", RT_S("table", source->table));
        lost(source, RETRY);
        return;
    }
    source->loaded = source->loaded || page->last;
    if (page->last && llana_feed_is_ready(feed)) {
        rt_gauge_set(feed->ready, 1);
        rt_log_info(feed->log, "llana.roles_known");
        feed->config.on_ready(feed->config.ctx);
    }
}

static void on_refused(void *session, void *user, enum wire_code code, struct rt_span message)
{
    struct llana_feed *feed = session;
    struct source *source = user;

    (void)code;
    source->sub = NULL;
    rt_log_warn(feed->log, "llana.roles_refused", RT_S("table", source->table),
                RT_SN("reason", (const char *)message.data, message.len),
                RT_S("effect", "no client of Llana's gets any event"),
                RT_S("hint",
                     "enable the table and let llana.database_role select from it; is asked "
                     "again every 5 s"));
    lost(source, RETRY);
}

static void on_gone(void *session, void *user, const struct hub_gone *gone)
{
    struct source *source = user;

    (void)session;
    (void)gone;
    source->sub = NULL;
    lost(source, 0);
}

static void on_gap(void *session, void *user, const struct hub_gap *gap)
{
    struct llana_feed *feed = session;
    struct source *source = user;

    rt_log_warn(feed->log, "llana.roles_gap", RT_S("table", source->table),
                RT_S("reason", gap->reason), RT_S("effect", "the table is read anew"));
    lost(source, 0);
}

static size_t on_waiting(void *session)
{
    (void)session;
    return 0;
}

static void on_nothing(void *session)
{
    (void)session;
}

static void on_stale(void *session, rt_usec age)
{
    const struct llana_feed *feed = session;

    rt_log_warn(feed->log, "llana.roles_stale", RT_I("seconds", age / RT_SEC));
}

static const struct hub_dialect hub_side = {
    .name = "llana roles",
    .encode = on_encode,
    .deliver = on_deliver,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_gone = on_gone,
    .on_gap = on_gap,
    .on_rows = on_rows,
    .waiting = on_waiting,
    .on_overflow = on_nothing,
    .on_stale = on_stale,
    .on_fresh = on_nothing,
    .on_expired = on_nothing,
};

/* --- subscriptions --------------------------------------------------------------------------------------------------- */

void llana_reader_identity(const struct rt_process *process, struct identity *out)
{
    const struct rt_config *config = process->config;
    const char *role = config->llana_database_role;

    *out = (struct identity){ .claims = rt_strdup("") };
    (void)snprintf(out->role, sizeof(out->role), "%s",
                   role[0] != '\0' ? role : config->auth_default_role);
}

struct rt_span llana_channel(const struct rt_process *process, const char *table,
                             char out[WIRE_CHANNEL_MAX])
{
    int len = snprintf(out, WIRE_CHANNEL_MAX, "table:%s.%s", process->config->llana_schema, table);

    return (struct rt_span){ (const uint8_t *)out,
                             len < (int)WIRE_CHANNEL_MAX ? (size_t)len : WIRE_CHANNEL_MAX - 1 };
}

static void subscribe(struct source *source)
{
    struct llana_feed *feed = source->feed;
    char name[WIRE_CHANNEL_MAX];

    if (source->sub != NULL) {
        hub_unsubscribe(source->sub);
        source->sub = NULL;
    }
    source->broken = false;
    source->loaded = false;
    llana_roles_clear(feed->config.roles, source->kind);
    rt_counter_add(feed->reloads, 1);
    enum hub_err err =
        hub_subscribe(feed->client,
                      &(struct hub_want){
                          .channel = llana_channel(feed->config.process, source->table, name),
                          .form = (unsigned)source->kind,
                          .text = { (const uint8_t *)source->table, strlen(source->table) },
                          .events = HUB_EVERY_OP,
                          .user = source,
                          .snapshot = true,
                          .page_rows = PAGE_ROWS,
                      },
                      &source->sub);
    if (err != HUB_OK) {
        source->broken = true;
        rt_timer_set(feed->retry, RETRY, 0);
    }
}

static void on_retry(void *ctx)
{
    struct llana_feed *feed = ctx;

    for (int i = 0; i < LLANA_SOURCES; i++) {
        if (feed->sources[i].broken) {
            subscribe(&feed->sources[i]);
        }
    }
}

void llana_feed_start(struct llana_feed *feed)
{
    struct identity identity;

    if (feed->client != NULL) {
        return;
    }
    llana_reader_identity(feed->config.process, &identity);
    feed->client = hub_join(feed->config.hub, &(struct hub_joining){ .ops = &hub_side,
                                                                     .dialect = feed,
                                                                     .session = feed,
                                                                     .to = feed,
                                                                     .identity = &identity });
    for (int i = 0; i < LLANA_SOURCES; i++) {
        subscribe(&feed->sources[i]);
    }
}

struct llana_feed *llana_feed_new(const struct llana_feed_config *config)
{
    struct llana_feed *feed = rt_alloc(sizeof(*feed));
    const struct rt_config *settings = config->process->config;
    struct rt_metrics *metrics = config->process->metrics;

    feed->config = *config;
    feed->settings = settings;
    feed->log = config->process->log;
    feed->sources[LLANA_RULES] =
        (struct source){ .table = settings->llana_role_table, .key = "id" };
    feed->sources[LLANA_PUBLIC] =
        (struct source){ .table = settings->llana_public_table, .key = "id" };
    const char *users = settings->llana_user_table;
    feed->sources[LLANA_USERS] =
        (struct source){ .table = users[0] != '\0' ? users : settings->llana_auth_user_table,
                         .key = settings->llana_user_identity_column };
    for (int i = 0; i < LLANA_SOURCES; i++) {
        feed->sources[i].feed = feed;
        feed->sources[i].kind = (enum llana_source)i;
    }
    feed->retry = rt_timer_new(config->process->loop, on_retry, feed);
    feed->ready = rt_gauge_new(metrics, "pgtide_edge_llana_roles_known", NULL,
                               "1 while Llana's roles are known here; clients that need them wait "
                               "otherwise. 0 also before the first client");
    feed->reloads = rt_counter_new(metrics, "pgtide_edge_llana_role_reads_total", NULL,
                                   "How often one of Llana's own tables was read whole");
    return feed;
}

void llana_feed_free(struct llana_feed *feed)
{
    if (feed != NULL) {
        hub_leave(feed->client);
        rt_timer_free(feed->retry);
        free(feed);
    }
}
