/* edge/staticbackend/users.c - who has which of StaticBackend's own tokens: a copy of sb_tokens, kept current from the WAL.
 *
 * StaticBackend's JWT says "<user id>|<secret>"; the account is in the table. An edge has no connection to the database, so the
 * dialect is a client of its own hub: it subscribes to the table with a snapshot, under staticbackend.users_role, when the first
 * such token comes, and stays. A row that is changed or deleted takes the sessions of its user along: a revoked token is
 * revoked at that commit.
 *
 * Of a row only id, account_id and a keyed hash of token are kept, so the role needs no other column. Memory: about 150 bytes per
 * user. The sessions of a tenant are walked when a user's row changes, which is rare.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/staticbackend/parts.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/process.h"

static const rt_usec RETRY = 5 * RT_SEC;
enum { PAGE_ROWS = 1000 };

enum users_state { USERS_RESTING, USERS_LOADING, USERS_READY, USERS_FAILED };

struct user {
    uint64_t secret[2];
    char account[];
};

struct sb_users {
    struct sb_tenant *tenant;
    struct hub_client *client;
    struct hub_sub *sub;
    struct rt_map *rows; /* user id -> struct user */
    struct list_node waiting;
    struct rt_defer *later; /* what callbacks of the hub must not do */
    bool again;             /* begin anew */
    enum users_state state;
    rt_usec failed_at;
};

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* A text, or a number's digits; NULL: neither. `room` holds a number. */
static const char *text_of(const json_t *value, char room[24])
{
    if (json_is_integer(value)) {
        (void)snprintf(room, 24, "%lld", (long long)json_integer_value(value));
        return room;
    }
    return json_string_value(value);
}

static void forget(struct sb_users *users, const char *id)
{
    free(rt_map_remove(users->rows, id, strlen(id)));
}

static void forget_all(struct sb_users *users)
{
    struct rt_map_iter iter = rt_map_begin(users->rows);
    void *row = NULL;

    while ((row = rt_map_next(&iter)) != NULL) {
        rt_map_iter_remove(&iter);
        free(row);
    }
}

/* What has no id, account or token can sign nobody in. */
static void keep(struct sb_users *users, const json_t *row)
{
    char rooms[2][24];
    const char *id = text_of(json_object_get(row, "id"), rooms[0]);
    const char *account = text_of(json_object_get(row, "account_id"), rooms[1]);
    const char *token = json_string_value(json_object_get(row, "token"));

    if (id == NULL || id[0] == '\0') {
        return;
    }
    forget(users, id);
    if (account == NULL || token == NULL || token[0] == '\0') {
        return;
    }
    struct user *user = rt_alloc(sizeof *user + strlen(account) + 1);
    sb_auth_secret(users->tenant->sb, sb_span(token), user->secret);
    memcpy(user->account, account, strlen(account) + 1);
    (void)rt_map_put(users->rows, id, strlen(id), user);
}

static json_t *load(struct rt_span text)
{
    return json_loadb((const char *)text.data, text.len, 0, NULL);
}

/* Whether a session's token is still its user's, in the same account. */
static bool is_current(const struct sb_users *users, const struct sb_session *session)
{
    const struct user *user = rt_map_get(users->rows, session->user, strlen(session->user));

    return user != NULL && strcmp(user->account, session->account) == 0 &&
           memcmp(user->secret, session->secret_of_user, sizeof user->secret) == 0;
}

/* id NULL: of all users. */
static void check_sessions(struct sb_users *users, const char *id)
{
    LIST_EACH(at, after, &users->tenant->sessions)
    {
        struct sb_session *session = LIST_ELEMENT(at, struct sb_session, in_tenant);
        if (session->authenticated && session->genuine &&
            (id == NULL || strcmp(session->user, id) == 0) && !is_current(users, session)) {
            sb_auth_revoke(session);
        }
    }
}

static void on_change(struct sb_users *users, const struct hub_event *event)
{
    json_t *old_row = load(event->old_record);
    json_t *new_row = load(event->record);
    char room[24];
    const char *id = text_of(json_object_get(old_row, "id"), room);

    if (id != NULL) {
        forget(users, id);
    }
    if (event->op != HUB_DELETE) {
        keep(users, new_row);
    }
    if (id != NULL) {
        check_sessions(users, id);
    }
    json_decref(old_row);
    json_decref(new_row);
}

/* --- what the hub says -------------------------------------------------------------------------------------------- */

static void begin_anew(struct sb_users *users)
{
    users->again = true;
    rt_defer_schedule(users->later);
}

static struct edge_frame *encode(void *dialect, const struct hub_event *event, unsigned form,
                                 struct rt_span text)
{
    (void)form;
    (void)text;
    on_change(dialect, event);
    return NULL;
}

static void deliver(void *to, struct edge_frame *frame)
{
    (void)to;
    (void)frame;
}

static void on_accepted(void *session, void *sub, const struct hub_accepted *accepted)
{
    (void)session;
    (void)sub;
    (void)accepted;
}

static void settle(struct sb_users *users, enum users_state state)
{
    users->state = state;
    rt_defer_schedule(users->later);
}

static void on_refused(void *session, void *sub, enum wire_code code, struct rt_span message)
{
    struct sb_users *users = session;
    struct staticbackend *sb = users->tenant->sb;

    (void)sub;
    (void)code;
    users->sub = NULL;
    users->failed_at = sb->now();
    rt_log_warn(sb->process->log, "staticbackend.no_users", RT_S("schema", users->tenant->schema),
                RT_S("table", sb->config->sb_users_table),
                RT_SN("reason", (const char *)message.data, message.len),
                RT_S("effect", "StaticBackend's own tokens are refused"),
                RT_S("hint", "enable_realtime() for the table, and grant select (id, account_id, "
                             "token) on it to staticbackend.users_role"));
    settle(users, USERS_FAILED);
}

static void on_gone(void *session, void *sub, const struct hub_gone *gone)
{
    struct sb_users *users = session;

    (void)sub;
    (void)gone;
    users->sub = NULL;
    begin_anew(users);
}

/* Something is missing: what is known may be wrong. */
static void on_gap(void *session, void *sub, const struct hub_gap *gap)
{
    (void)sub;
    (void)gap;
    begin_anew(session);
}

static void on_rows(void *session, void *sub, const struct hub_page *page)
{
    struct sb_users *users = session;
    json_t *rows = load(page->rows);
    size_t index = 0;
    json_t *row = NULL;

    (void)sub;
    json_array_foreach(rows, index, row)
    {
        keep(users, row);
    }
    json_decref(rows);
    if (page->last) {
        settle(users, USERS_READY);
    }
}

static size_t waiting(void *session)
{
    (void)session;
    return 0;
}

static void on_overflow(void *session)
{
    begin_anew(session);
}

static void on_stale(void *session, rt_usec age)
{
    (void)session;
    (void)age;
}

static void nothing(void *session)
{
    (void)session;
}

static const struct hub_dialect hub_side = {
    .name = "staticbackend_users",
    .encode = encode,
    .deliver = deliver,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_gone = on_gone,
    .on_gap = on_gap,
    .on_rows = on_rows,
    .waiting = waiting,
    .on_overflow = on_overflow,
    .on_stale = on_stale,
    .on_fresh = nothing,
    .on_expired = nothing,
};

/* --- loading ------------------------------------------------------------------------------------------------------ */

static void subscribe(struct sb_users *users)
{
    const struct rt_config *config = users->tenant->sb->config;
    struct rt_buf channel = { 0 };

    if (users->client == NULL) {
        struct identity identity = { .claims = rt_strdup("") };
        (void)snprintf(identity.role, sizeof identity.role, "%s", config->sb_users_role);
        users->client = hub_join(
            users->tenant->sb->hub,
            &(struct hub_joining){
                .ops = &hub_side, .dialect = users, .session = users, .identity = &identity });
    }
    users->state = USERS_LOADING;
    rt_buf_printf(&channel, "table:%s.%s", users->tenant->schema, config->sb_users_table);
    enum hub_err err = hub_subscribe(users->client,
                                     &(struct hub_want){
                                         .channel = rt_buf_span(&channel),
                                         .text = sb_span(""),
                                         .events = HUB_INSERT | HUB_UPDATE | HUB_DELETE,
                                         .snapshot = true,
                                         .page_rows = PAGE_ROWS,
                                     },
                                     &users->sub);
    if (err != HUB_OK) {
        users->sub = NULL;
        users->failed_at = users->tenant->sb->now();
        settle(users, USERS_FAILED);
    }
    rt_buf_fini(&channel);
}

static void on_later(void *ctx)
{
    struct sb_users *users = ctx;
    struct list_node *node = NULL;

    if (users->again) {
        users->again = false;
        if (users->sub != NULL) {
            hub_unsubscribe(users->sub);
            users->sub = NULL;
        }
        forget_all(users);
        subscribe(users);
        return;
    }
    if (users->state == USERS_READY) {
        check_sessions(users, NULL); /* what happened while they were read anew */
    }
    while (users->state != USERS_LOADING && (node = list_pop(&users->waiting)) != NULL) {
        sb_auth_again(LIST_ELEMENT(node, struct sb_session, in_users));
    }
}

struct sb_users *sb_users_new(struct sb_tenant *tenant)
{
    struct sb_users *users = rt_alloc(sizeof *users);

    users->tenant = tenant;
    users->rows = rt_map_new();
    list_init(&users->waiting);
    users->later = rt_defer_new(tenant->sb->process->loop, on_later, users);
    return users;
}

void sb_users_free(struct sb_users *users)
{
    if (users != NULL) {
        hub_leave(users->client);
        forget_all(users);
        rt_map_free(users->rows);
        rt_defer_free(users->later);
        free(users);
    }
}

enum sb_found sb_users_find(struct sb_users *users, struct rt_span user, struct rt_span secret,
                            struct sb_session *session, const char **account)
{
    struct staticbackend *sb = users->tenant->sb;
    uint64_t hash[2];

    if (sb->config->sb_users_table[0] == '\0') {
        return SB_UNKNOWN;
    }
    if (users->state == USERS_FAILED && sb->now() - users->failed_at < RETRY) {
        return SB_NOT_AVAILABLE;
    }
    if (users->state == USERS_RESTING || users->state == USERS_FAILED) {
        subscribe(users);
    }
    if (users->state != USERS_READY) {
        list_remove(&session->in_users);
        list_append(&users->waiting, &session->in_users);
        return SB_LATER;
    }
    const struct user *row = rt_map_get(users->rows, user.data, user.len);
    sb_auth_secret(sb, secret, hash);
    if (row == NULL || memcmp(hash, row->secret, sizeof hash) != 0) {
        return SB_UNKNOWN;
    }
    *account = row->account;
    memcpy(session->secret_of_user, hash, sizeof hash);
    return SB_FOUND;
}
