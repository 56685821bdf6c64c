/* edge/llana/connect.c - the checks of a connect packet, in the original's order, and the subscription behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "edge/llana/parts.h"
#include "runtime/config.h"
#include "runtime/process.h"

static const char no_table[] = "No Table Provided In Headers[x-llana-table]";
static const char forbidden[] = "Forbidden";
static const char no_token[] =
    "Missing authorization token. Use either <Bearer> token header or accessToken cookie";
static const char expired[] = "Access token expired";
static const char failed[] = "Authentication Failed";

/* --- out of it ------------------------------------------------------------------------------------------------------ */

static char *copy_of(const char *text)
{
    return text != NULL ? rt_strdup(text) : NULL;
}

static void replace(char **at, char *with)
{
    free(*at);
    *at = with;
}

void llana_part(struct llana_session *session)
{
    hub_leave(session->client);
    session->client = NULL;
    session->handle = NULL;
    replace(&session->table, NULL);
    replace(&session->token, NULL);
    replace(&session->refusal, NULL);
    replace(&session->sub, NULL);
    session->unrestricted = false;
    session->has_since = false;
    session->pid[0] = '\0';
    session->judged = 0;
    session->refuse_due = 0;
    session->again_due = 0;
    session->identity_due = 0;
    session->state = LLANA_APART;
}

void llana_refuse(struct llana_session *session, const char *text)
{
    struct llana *llana = session->llana;
    rt_usec now = rt_now();
    rt_usec delay = llana_slowdown_fail(&llana->slowdown, session->opening.address,
                                        llana->config->llana_failure_delay, now);

    rt_counter_add(llana->outcomes[LLANA_REFUSED], 1);
    replace(&session->refusal, rt_strdup(text));
    session->state = LLANA_REFUSING;
    session->refuse_due = now + delay;
    if (delay == 0 && session->client == NULL) {
        llana_refuse_now(session);
    } else {
        llana_arm(session); /* also: the hub may not be left from inside its own call */
    }
}

void llana_refuse_now(struct llana_session *session)
{
    static const struct rt_span space = { (const uint8_t *)"/", 1 };

    llana_out_refused(&session->llana->text, space, session->refusal);
    llana_send(session);
    llana_part(session);
    session->connect_due = rt_now() + session->llana->config->llana_connect_timeout;
    llana_arm(session);
}

/* --- the subscription ------------------------------------------------------------------------------------------------ */

static void subscribe(struct llana_session *session)
{
    struct llana *llana = session->llana;
    char name[WIRE_CHANNEL_MAX];
    enum hub_err err =
        hub_subscribe(session->client,
                      &(struct hub_want){
                          .channel = llana_channel(llana->process, session->table, name),
                          .form = llana->config->llana_recovery ? 1 : 0,
                          .text = { (const uint8_t *)session->table, strlen(session->table) },
                          .events = HUB_INSERT | HUB_UPDATE | HUB_DELETE,
                          .user = session,
                          .has_since = session->has_since,
                          .since = session->since,
                      },
                      &session->handle);

    if (err != HUB_OK) {
        llana_refuse(session, failed);
    }
}

void llana_subscribe_anew(struct llana_session *session)
{
    session->has_since = false;
    session->pid[0] = '\0';
    session->handle = NULL;
    subscribe(session);
}

static void join(struct llana_session *session, struct identity *identity)
{
    struct llana *llana = session->llana;

    session->state = LLANA_SUBSCRIBING;
    session->connect_due = 0;
    session->identity_due = rt_now() + llana->config->llana_identity_ttl * RT_MSEC;
    session->client = hub_join(llana->hub, &(struct hub_joining){ .ops = &llana_hub_side,
                                                                  .dialect = llana,
                                                                  .session = session,
                                                                  .to = session,
                                                                  .identity = identity });
    subscribe(session);
    llana_arm(session);
}

/* Whether a comma-separated list has this name. */
static bool is_listed(const char *list, const char *name)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        if (len == strlen(name) && memcmp(list, name, len) == 0) {
            return true;
        }
        list += len;
        list += *list == ',' ? 1 : 0;
    }
    return false;
}

/* Llana's own tokens name no role: who shows one reads as llana.database_role, whose policies look at the claims. One that names a role
 * gets what auth.roles makes of it. */
static bool names_role(const struct identity *token)
{
    json_t *claims = json_loadb(token->claims, token->claims_len, 0, NULL);
    const char *role = json_string_value(json_object_get(claims, "role"));
    bool names = role != NULL && role[0] != '\0';

    json_decref(claims);
    return names;
}

/* `token` is who the token says; NULL: there was none. Its claims are moved. */
static void let_in(struct llana_session *session, struct identity *token)
{
    struct llana *llana = session->llana;
    struct identity identity = { .role = "" };
    struct identity reader;

    if (!is_listed(llana->config->llana_rls_tables, session->table)) {
        llana_reader_identity(llana->process, &identity);
    } else if (token != NULL) {
        session->unrestricted = true;
        identity = *token;
        if (!names_role(token)) {
            llana_reader_identity(llana->process, &reader);
            memcpy(identity.role, reader.role, sizeof(identity.role));
            identity_fini(&reader);
        }
        *token = (struct identity){ .role = "" };
        identity.expires =
            0; /* an open socket is not cut when its token expires: llana.identity_ttl_ms */
    } else {
        session->unrestricted = true;
        identity_anonymous(llana->verifier, &identity);
    }
    join(session, &identity);
}

/* --- the checks ------------------------------------------------------------------------------------------------------ */

static const char *text_of(enum token_err err)
{
    return err == TOKEN_EXPIRED ? expired : failed;
}

/* A text or an integer. NULL: neither. */
static char *subject_of(const struct identity *identity)
{
    json_t *claims = json_loadb(identity->claims, identity->claims_len, 0, NULL);
    const json_t *sub = json_object_get(claims, "sub");
    char number[24];
    char *text = NULL;

    if (json_is_string(sub) && json_string_length(sub) > 0) {
        text = rt_strdup(json_string_value(sub));
    } else if (json_is_integer(sub)) {
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(sub));
        text = rt_strdup(number);
    }
    json_decref(claims);
    return text;
}

static void check_token(struct llana_session *session)
{
    struct identity identity = { .role = "" };

    if (session->token == NULL) {
        llana_refuse(session, no_token);
        return;
    }
    enum token_err err = token_verify(session->llana->verifier, session->token,
                                      strlen(session->token), rt_wall_now(), &identity);
    if (err != TOKEN_OK) {
        llana_refuse(session, text_of(err));
        return;
    }
    session->sub = subject_of(&identity);
    if (session->sub == NULL) {
        llana_refuse(session, failed);
    } else {
        let_in(session, &identity);
    }
    identity_fini(&identity);
}

void llana_connect_again(struct llana_session *session)
{
    const struct llana *llana = session->llana;

    session->state = LLANA_APART;
    if (llana_roles_is_public(llana->roles, session->table)) {
        let_in(session, NULL);
    } else {
        check_token(session);
    }
}

static void check(struct llana_session *session)
{
    struct llana *llana = session->llana;

    if (session->table == NULL) {
        llana_refuse(session, no_table);
    } else if (!llana_hosts_allow(llana->config->llana_hosts, session->opening.address)) {
        llana_refuse(session, forbidden);
    } else if (!llana_is_table_name(session->table)) {
        llana_refuse(session, "This is not the name of a table");
    } else if (llana->config->llana_skip_auth) {
        struct identity identity;
        llana_reader_identity(llana->process, &identity);
        session->unrestricted = true;
        join(session, &identity);
    } else if (llana_feed_is_ready(llana->feed)) {
        llana_connect_again(session);
    } else {
        session->state = LLANA_WAITING;
        session->connect_due = rt_now() + llana->config->llana_connect_timeout;
        llana_arm(session);
        llana_feed_start(llana->feed);
    }
}

void llana_connect(struct llana_session *session, void *auth)
{
    struct llana_connect connect;

    llana_connect_read(&session->opening, auth, &connect);
    replace(&session->table, copy_of(connect.table));
    replace(&session->token, copy_of(connect.token));
    session->has_since = connect.has_since && session->llana->config->llana_recovery;
    session->since = connect.since;
    memcpy(session->pid, connect.pid, sizeof(session->pid));
    check(session);
}
