/* edge/staticbackend/auth.c - who a session is: StaticBackend's own tokens and plain JWTs.
 *
 * StaticBackend's own: claim `token` is "<user id>|<secret>", to be found in sb_tokens (users.c). Its nbf is half an hour in the future when
 * it is fresh, so nbf does not count for it; exp counts unless staticbackend.check_expiry is off. A plain JWT says user and account
 * itself, and both times count; with several public keys it must say which one it is for, since they share the secret.
 *
 * The hub gets staticbackend.role and the claims: a plain JWT's own; for StaticBackend's own sub, userId, accountId and exp. The
 * claim that names the public key is added where it is missing, so that rules for channels (channels.rules) can ask for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/json_out.h"
#include "edge/staticbackend/parts.h"
#include "runtime/config.h"

static const char invalid[] = "invalid token";

/* What a token says. Texts belong to `tree` or point into `rooms`. */
struct claims {
    json_t *tree;
    bool genuine;
    const char *user;
    size_t user_len;
    const char *secret;
    const char *account;
    char rooms[2][24];
};

void sb_auth_secret(const struct staticbackend *sb, struct rt_span token, uint64_t out[2])
{
    out[0] = rt_seeded_hash(&sb->seed[0], token.data, token.len);
    out[1] = rt_seeded_hash(&sb->seed[2], token.data, token.len);
}

/* --- claims ------------------------------------------------------------------------------------------------------- */

/* A text, or a number's digits, as databases have either; NULL: neither, or too long. */
static const char *text_claim(const json_t *tree, const char *name, char room[24])
{
    const json_t *value = json_object_get(tree, name);

    if (json_is_integer(value)) {
        (void)snprintf(room, 24, "%lld", (long long)json_integer_value(value));
        return room;
    }
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) <= 512 ? text : NULL;
}

/* "<user id>|<secret>" */
static bool read_genuine(struct claims *out, const char *token)
{
    const char *bar = strchr(token, '|');

    out->genuine = true;
    out->user = token;
    out->user_len = bar != NULL ? (size_t)(bar - token) : 0;
    out->secret = bar != NULL ? bar + 1 : "";
    return out->user_len > 0 && out->user_len <= 512 && out->secret[0] != '\0';
}

static bool is_for_tenant(const struct sb_tenant *tenant, const json_t *tree)
{
    const struct staticbackend *sb = tenant->sb;
    const json_t *key = json_object_get(tree, sb->config->sb_key_claim);

    if (key == NULL) {
        return sb->tenant_count == 1;
    }
    return json_is_string(key) && strcmp(json_string_value(key), tenant->key) == 0;
}

static bool read_plain(const struct sb_tenant *tenant, struct claims *out)
{
    const struct rt_config *config = tenant->sb->config;

    out->user = text_claim(out->tree, config->sb_user_claim, out->rooms[0]);
    if (out->user == NULL) {
        out->user = text_claim(out->tree, "sub", out->rooms[0]);
    }
    out->account = text_claim(out->tree, config->sb_account_claim, out->rooms[1]);
    if (out->account == NULL) {
        out->account = ""; /* sees what is its own, and what is everybody's */
    }
    out->user_len = out->user != NULL ? strlen(out->user) : 0;
    return out->user_len > 0 && is_for_tenant(tenant, out->tree);
}

static bool read_claims(const struct sb_tenant *tenant, const struct identity *identity,
                        struct claims *out)
{
    *out = (struct claims){ .tree = json_loadb(identity->claims, identity->claims_len, 0, NULL) };
    const json_t *token = json_object_get(out->tree, "token");

    if (json_is_string(token)) {
        return read_genuine(out, json_string_value(token));
    }
    return read_plain(tenant, out);
}

/* Of a token that StaticBackend made, which is checked less; see above. */
static unsigned leniency(const struct staticbackend *sb, enum token_err err)
{
    if (err == TOKEN_NOT_YET) {
        return TOKEN_ANY_NBF | (sb->config->sb_check_expiry ? 0 : TOKEN_ANY_EXP);
    }
    return err == TOKEN_EXPIRED && !sb->config->sb_check_expiry ? TOKEN_ANY_NBF | TOKEN_ANY_EXP : 0;
}

static bool verify(const struct sb_tenant *tenant, struct rt_span token, struct identity *identity,
                   struct claims *claims)
{
    const struct staticbackend *sb = tenant->sb;
    const char *text = (const char *)token.data;
    rt_usec now = sb->wall_now();
    enum token_err err = token_verify(sb->verifier, text, token.len, now, identity);
    unsigned lenient = leniency(sb, err);

    if (lenient != 0) {
        err = token_verify_leniently(sb->verifier, text, token.len, now, lenient, identity);
    }
    *claims = (struct claims){ .tree = NULL };
    if (err == TOKEN_OK && read_claims(tenant, identity, claims) &&
        (lenient == 0 || claims->genuine)) {
        return true;
    }
    if (err == TOKEN_OK) {
        identity_fini(identity);
    }
    json_decref(claims->tree);
    return false;
}

/* --- the session ---------------------------------------------------------------------------------------------------- */

static void replace_claims(struct identity *identity, struct rt_buf *text)
{
    free(identity->claims);
    identity->claims_len = text->len;
    identity->claims = rt_strndup((const char *)text->data, text->len);
    rt_buf_fini(text);
}

/* What StaticBackend's own token does not say itself. Equal for equal users and times. */
static void write_claims(const struct claims *claims, struct identity *identity)
{
    struct rt_buf out = { 0 };

    rt_buf_putc(&out, '{');
    (void)json_out_text_member(&out, "sub", claims->user, claims->user_len);
    rt_buf_putc(&out, ',');
    (void)json_out_text_member(&out, "userId", claims->user, claims->user_len);
    rt_buf_putc(&out, ',');
    (void)json_out_text_member(&out, "accountId", claims->account, strlen(claims->account));
    if (identity->expires != 0) {
        rt_buf_printf(&out, ",\"exp\":%lld", (long long)(identity->expires / RT_SEC));
    }
    rt_buf_putc(&out, '}');
    replace_claims(identity, &out);
}

/* The claims are an object with members: one of them is the user's. */
static void add_key(const struct sb_tenant *tenant, struct identity *identity)
{
    const char *name = tenant->sb->config->sb_key_claim;
    const char *brace = memchr(identity->claims, '{', identity->claims_len);
    struct rt_buf out = { 0 };

    if (brace == NULL) {
        return;
    }
    rt_buf_putc(&out, '{');
    (void)json_out_string(&out, name, strlen(name));
    rt_buf_putc(&out, ':');
    (void)json_out_string(&out, tenant->key, strlen(tenant->key));
    rt_buf_putc(&out, ',');
    rt_buf_append(&out, brace + 1, identity->claims_len - (size_t)(brace + 1 - identity->claims));
    replace_claims(identity, &out);
}

static bool is_same_user(const struct sb_session *session, const struct claims *claims)
{
    return strlen(session->user) == claims->user_len &&
           memcmp(session->user, claims->user, claims->user_len) == 0 &&
           strcmp(session->account, claims->account) == 0;
}

static void become(struct sb_session *session, const struct claims *claims,
                   struct identity *identity)
{
    struct staticbackend *sb = session->sb;

    if (claims->genuine) {
        write_claims(claims, identity);
    }
    if (claims->genuine || json_object_get(claims->tree, sb->config->sb_key_claim) == NULL) {
        add_key(session->tenant, identity);
    }
    (void)snprintf(identity->role, sizeof identity->role, "%s", sb->config->sb_role);
    if (session->client != NULL) {
        hub_set_identity(session->client, identity);
    } else {
        session->client = hub_join(sb->hub, &(struct hub_joining){
                                                .ops = &sb_hub_side,
                                                .dialect = sb,
                                                .session = session,
                                                .to = session,
                                                .identity = identity,
                                                .transactions = session->form == SB_EVENT,
                                            });
        session->user = rt_strndup(claims->user, claims->user_len);
        session->account = rt_strdup(claims->account);
    }
    session->genuine = claims->genuine;
    if (!session->authenticated) {
        session->settles = sb->now() + sb->config->sb_rejoin_time;
    }
    session->authenticated = true;
}

/* On a stream, messages come in requests that anybody can make who has seen the sid. Only the session's own user is answered. */
static void complain(struct sb_session *session, const char *text)
{
    if (session->authenticated && session->form == SB_EVENT) {
        rt_counter_add(session->sb->strangers, 1);
    } else {
        sb_session_error(session, text, sb_span(""));
    }
}

static enum sb_found find_account(struct sb_session *session, struct claims *claims)
{
    struct rt_span user = { (const uint8_t *)claims->user, claims->user_len };

    if (!claims->genuine) {
        return SB_FOUND;
    }
    return sb_users_find(session->tenant->users, user, sb_span(claims->secret), session,
                         &claims->account);
}

/* Takes a verified token to its end. */
static void settle(struct sb_session *session, struct rt_span token, struct claims *claims,
                   struct identity *identity)
{
    struct rt_span none = sb_span("");

    switch (find_account(session, claims)) {
    case SB_LATER:
        free(session->waiting_token);
        session->waiting_token = rt_strndup((const char *)token.data, token.len);
        return;
    case SB_NOT_AVAILABLE:
        complain(session, "the users of this database cannot be read now, try again");
        return;
    case SB_UNKNOWN:
        complain(session, invalid);
        return;
    case SB_FOUND:
    default:
        break;
    }
    if (session->authenticated && !is_same_user(session, claims)) {
        complain(session, "invalid token: the connection is another user's");
        return;
    }
    become(session, claims, identity);
    sb_auth_secret(session->sb, token, session->secret);
    sb_session_say(session, "token", token, none);
}

void sb_auth(struct sb_session *session, struct rt_span token)
{
    struct identity identity = { .role = "" };
    struct claims claims;

    list_remove(&session->in_users);
    if (!verify(session->tenant, token, &identity, &claims)) {
        complain(session, invalid);
        return;
    }
    settle(session, token, &claims, &identity);
    identity_fini(&identity);
    json_decref(claims.tree);
}

void sb_auth_again(struct sb_session *session)
{
    char *token = session->waiting_token;

    session->waiting_token = NULL;
    if (token != NULL && !session->closing) {
        sb_auth(session, sb_span(token));
    }
    free(token);
}

void sb_auth_revoke(struct sb_session *session)
{
    if (!session->closing) {
        sb_session_error(session, invalid, sb_span(""));
        sb_session_close(session, EDGE_CLOSE_POLICY, "the token is not valid any more");
    }
}
