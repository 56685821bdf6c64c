/* edge/staticbackend/parts.h - what the files of this dialect share; nobody else includes it.
 *
 *   staticbackend.c  life of the dialect, paths
 *   http.c           requests: public keys, CORS, POST
 *   tenant.c         staticbackend.keys
 *   session.c        connections and their messages
 *   auth.c           tokens
 *   users.c          sb_tokens, for StaticBackend's own tokens
 *   channel.c        joins, and what the hub says about them
 *   event.c          changes and messages as frames
 *   permission.c, document.c, in.c, out.c   pure
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_PARTS_H
#define PGTIDE_EDGE_STATICBACKEND_PARTS_H

#include "edge/list.h"
#include "edge/staticbackend/document.h"
#include "edge/staticbackend/in.h"
#include "edge/staticbackend/out.h"
#include "edge/staticbackend/permission.h"
#include "edge/staticbackend/staticbackend.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

#define SB_SID_LEN 36u
#define SB_KEY_MAX 40u /* bytes of a public key */

struct rt_defer;
struct rt_timer;
struct sb_users;

/* How frames are framed: hub_want.form. */
enum sb_form { SB_TEXT_FRAME, SB_EVENT };

struct sb_tenant {
    struct staticbackend *sb;
    char *key;
    char *schema;
    int64_t limit; /* connections; 0: staticbackend.max_connections */
    size_t connections;
    struct list_node sessions;
    struct sb_users *users;
    struct rt_gauge *gauge;
    struct rt_counter *refused; /* over the limit */
};

struct staticbackend {
    const struct rt_config *config;
    const struct rt_process *process;
    struct hub *hub;
    const struct token_verifier *verifier;
    rt_usec (*now)(void);
    rt_usec (*wall_now)(void);
    struct sb_names names;
    struct sb_tenant *tenants;
    size_t tenant_count;
    struct rt_map *sessions; /* by sid */
    char *host;              /* name of this process, for sids; NULL: not served over HTTP */
    uint64_t seed[4];        /* of the hashes of tokens */
    struct rt_defer *later;  /* what callbacks of the hub must not do */
    struct list_node again;  /* channels to be asked for again */

    struct rt_buf out;  /* scratch: one message */
    struct rt_buf text; /* scratch: a document, a name */

    /* of the event with number `content` */
    uint64_t content;
    struct sb_row old_row;
    struct sb_row new_row;
    struct rt_buf document;     /* as a JSON string; empty: not made yet */
    struct edge_frame *bare_of; /* an event, and the same without its id */
    struct edge_frame *bare;
    struct edge_frame
        *progress; /* the last one with a position, for the next stream that is there */
    struct wire_position progress_at;

    struct rt_counter *messages;
    struct rt_counter *errors;
    struct rt_counter *strangers; /* messages with a token that is not the session's */
    struct rt_counter *unjudged;  /* events of rows without account or owner */
};

struct sb_session {
    struct staticbackend *sb;
    struct edge_conn *conn;
    struct sb_tenant *tenant;
    struct list_node in_tenant;
    struct list_node in_users; /* waits for its user to be looked up */
    struct list_node channels;
    struct hub_client *client; /* NULL: nobody yet */
    char *account;             /* "" without one */
    char *user;
    char *waiting_token;        /* the same */
    uint64_t secret[2];         /* hash of the token */
    uint64_t secret_of_user[2]; /* genuine: hash of what is in sb_tokens */
    enum sb_form form;
    bool authenticated;
    bool closing;
    bool genuine;   /* by StaticBackend's own token */
    bool has_since; /* Last-Event-ID */
    struct wire_position since;
    rt_usec
        settles; /* a stream that goes on gives no ids until then, and its joins go on from `since` */
    rt_usec paid_until;
    char sid[SB_SID_LEN + 1];
};

struct sb_channel {
    struct sb_session *session;
    struct list_node in_session;
    struct list_node in_again;
    struct hub_sub *sub;   /* a database channel */
    struct hub_room *room; /* any other */
    bool is_database;
    bool accepted;
    size_t name_len;
    char name[]; /* as the client wrote it */
};

static inline struct rt_span sb_span(const char *text)
{
    return (struct rt_span){ (const uint8_t *)text, __builtin_strlen(text) };
}

static inline bool sb_same(struct rt_span a, struct rt_span b)
{
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.data, b.data, a.len) == 0);
}

/* tenant.c: false after logging. */
bool sb_tenants_read(struct staticbackend *sb);
void sb_tenants_free(struct staticbackend *sb);
/* NULL: no such key. */
struct sb_tenant *sb_tenant_find(struct staticbackend *sb, struct rt_span key);
bool sb_tenant_is_full(const struct sb_tenant *tenant);

/* session.c */
struct sb_session *sb_session_new(struct staticbackend *sb, struct edge_conn *conn,
                                  struct sb_tenant *tenant);
void sb_session_free(struct sb_session *session);
void sb_session_say(struct sb_session *session, const char *type, struct rt_span data,
                    struct rt_span channel);
void sb_session_error(struct sb_session *session, const char *text, struct rt_span channel);
/* Whether the stream may say how far it is, and how far its subscriptions are. */
bool sb_session_may_give_id(const struct sb_session *session, struct wire_position *out);
void sb_session_close(struct sb_session *session, unsigned code, const char *reason);
void sb_session_message(struct sb_session *session, const struct sb_message *message);
void sb_session_text(struct sb_session *session, struct rt_span text);
/* A frame of the hub's, with its id or without. */
void sb_session_deliver(struct sb_session *session, struct edge_frame *frame);

/* auth.c */
void sb_auth(struct sb_session *session, struct rt_span token);
/* Its users are there now, or cannot be had. */
void sb_auth_again(struct sb_session *session);
void sb_auth_secret(const struct staticbackend *sb, struct rt_span token, uint64_t out[2]);
/* The session's token is no token any more. */
void sb_auth_revoke(struct sb_session *session);

/* users.c */
enum sb_found { SB_FOUND, SB_UNKNOWN, SB_LATER, SB_NOT_AVAILABLE };
struct sb_users *sb_users_new(struct sb_tenant *tenant);
void sb_users_free(struct sb_users *users); /* NULL is fine */
/* SB_LATER: the session is kept, and sb_auth_again() is called. *account is valid until the next turn. */
enum sb_found sb_users_find(struct sb_users *users, struct rt_span user, struct rt_span secret,
                            struct sb_session *session, const char **account);

/* channel.c */
void sb_join(struct sb_session *session, struct rt_span name);
void sb_publish(struct sb_session *session, struct rt_span data, struct rt_span channel);
void sb_channel_free(struct sb_channel *channel); /* only forgets it */
void sb_channels_again(void *ctx);                /* sb->later */
extern const struct hub_dialect sb_hub_side;

/* event.c */
struct edge_frame *sb_encode(void *dialect, const struct hub_event *event, unsigned form,
                             struct rt_span text);
struct edge_frame *sb_encode_message(void *dialect, const struct hub_message *message,
                                     unsigned form, struct rt_span text);
/* What the frames of a database channel are shared by: hub_want.text. */
void sb_audience_text(struct rt_buf *out, struct rt_span channel, enum sb_level level,
                      const char *account, const char *user);

/* http.c */
/* A cookie's value, as it is written. */
bool sb_cookie(struct rt_span cookies, const char *name, struct rt_span *out);
extern const struct edge_http_side sb_http_side;
struct sb_tenant *sb_tenant_of_request(struct staticbackend *sb, const struct http_request *request,
                                       bool *out_named);

#endif
