/* edge/token.c - everything is decided before libjwt is asked, and looked at again after it has answered.
 *
 * libjwt 1.10.2 takes the algorithm from the token, checks no claim, and reads a claim of the wrong type as 0.
 * So header and payload are decoded here too, by jansson, which refuses duplicate keys; libjwt verifies the
 * signature and nothing else.
 */
#include "edge/token.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>

#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/log.h"

enum {
    TOKEN_MAX = 8192, /* bytes; larger ones do not fit a request in most proxies either */
    KEY_MIN = 32,     /* bytes; RFC 7518 3.2 asks for the size of the hash */
    ROLE_SIZE = sizeof(((struct identity *)NULL)->role),
};

/* 9999-12-31; a time past it is a unit mistaken (milliseconds), not a wish. */
static const json_int_t TIME_MAX = 253402300799;

struct algorithm {
    const char *name;
    jwt_alg_t id;
};

static const struct algorithm known[] = {
    { "HS256", JWT_ALG_HS256 },
    { "HS384", JWT_ALG_HS384 },
    { "HS512", JWT_ALG_HS512 },
};
enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

struct token_verifier {
    unsigned char *key;
    size_t key_len;
    bool accepted[KNOWN_COUNT];
    const struct rt_config *config; /* auth.leeway may change at any time */
    char *roles;                    /* ",anon,authenticated," */
    char anon_role[ROLE_SIZE];
    char default_role[ROLE_SIZE];
};

/* A token taken apart; the spans point into the caller's text. */
struct parts {
    struct rt_span header;
    struct rt_span payload;
    struct rt_span signature;
};

const char *token_err_text(enum token_err err)
{
    switch (err) {
    case TOKEN_OK:
        return "ok";
    case TOKEN_MALFORMED:
        return "malformed";
    case TOKEN_ALGORITHM:
        return "algorithm";
    case TOKEN_SIGNATURE:
        return "signature";
    case TOKEN_EXPIRED:
        return "expired";
    case TOKEN_NOT_YET:
        return "not_yet";
    case TOKEN_CLAIMS:
        return "claims";
    case TOKEN_NO_KEY:
        return "no_key";
    }
    return "unknown";
}

/* --- taking apart --- */

static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : (c == '_' ? 63 : -1);
}

/* Exactly three parts of base64url characters without padding. The signature may be empty ("none"). */
static bool split(const char *token, size_t len, struct parts *out)
{
    const uint8_t *data = (const uint8_t *)token;
    struct rt_span spans[3] = { { data, 0 }, { NULL, 0 }, { NULL, 0 } };
    size_t part = 0;

    for (size_t i = 0; i < len; i++) {
        if (data[i] != '.') {
            if (digit_of(data[i]) < 0) {
                return false;
            }
            spans[part].len++;
        } else if (++part > 2) {
            return false;
        } else {
            spans[part].data = data + i + 1;
        }
    }
    *out = (struct parts){ spans[0], spans[1], spans[2] };
    return part == 2 && spans[0].len > 0 && spans[1].len > 0;
}

static bool decode(struct rt_span text, struct rt_buf *out)
{
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < text.len; i++) {
        bits = (bits << 6 | (uint32_t)digit_of(text.data[i])) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            rt_buf_putc(out, (char)(bits >> held & 0xff));
        }
    }
    return text.len % 4 != 1; /* six bits are no byte */
}

/* A JSON object, or NULL. */
static json_t *load(struct rt_span text, struct rt_buf *out)
{
    rt_buf_clear(out);
    if (!decode(text, out)) {
        return NULL;
    }
    json_t *json = json_loadb((const char *)out->data, out->len, JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* --- checks --- */

/* TOKEN_OK and the index into known[]. */
static enum token_err pin_algorithm(const struct token_verifier *verifier, struct rt_span header,
                                    size_t *out)
{
    struct rt_buf text = { 0 };
    json_t *json = load(header, &text);
    enum token_err err = json == NULL ? TOKEN_MALFORMED : TOKEN_ALGORITHM;
    const char *name = json_string_value(json_object_get(json, "alg"));

    for (size_t i = 0; name != NULL && i < KNOWN_COUNT; i++) {
        if (verifier->accepted[i] && strcmp(name, known[i].name) == 0) {
            *out = i;
            err = TOKEN_OK;
        }
    }
    if (err == TOKEN_OK && json_object_get(json, "crit") != NULL) {
        err = TOKEN_MALFORMED; /* RFC 7515 4.1.11: extensions we must understand, and do not */
    }
    json_decref(json);
    rt_buf_fini(&text);
    return err;
}

/* The token as libjwt wants it: with a NUL, and modifiable. */
static enum token_err check_signature(const struct token_verifier *verifier, const char *token,
                                      size_t len, size_t algorithm)
{
    char *copy = rt_strndup(token, len);
    jwt_t *jwt = NULL;
    enum token_err err = TOKEN_SIGNATURE;

    if (jwt_decode(&jwt, copy, verifier->key, (int)verifier->key_len) == 0) {
        err = jwt_get_alg(jwt) == known[algorithm].id ? TOKEN_OK : TOKEN_ALGORITHM;
    }
    jwt_free(jwt);
    free(copy);
    return err;
}

/* *out is -1 without the claim. */
static bool time_claim(const json_t *claims, const char *name, json_int_t *out)
{
    const json_t *value = json_object_get(claims, name);

    *out = -1;
    if (value == NULL) {
        return true;
    }
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0 && *out <= TIME_MAX;
}

static bool in_roles(const struct token_verifier *verifier, const char *role)
{
    size_t len = strlen(role);

    for (const char *at = strstr(verifier->roles, role); at != NULL && len > 0;
         at = strstr(at + 1, role)) {
        if (at > verifier->roles && at[-1] == ',' && at[len] == ',') {
            return strchr(role, ',') == NULL;
        }
    }
    return false;
}

static enum token_err take_claims(const struct token_verifier *verifier, const json_t *claims,
                                  rt_usec now, unsigned lenient, struct identity *out)
{
    const json_t *role = json_object_get(claims, "role");
    json_int_t exp = -1;
    json_int_t nbf = -1;

    if (!time_claim(claims, "exp", &exp) || !time_claim(claims, "nbf", &nbf) ||
        (role != NULL && !json_is_string(role))) {
        return TOKEN_CLAIMS;
    }
    if ((lenient & TOKEN_ANY_EXP) != 0) {
        exp = -1;
    }
    if (exp >= 0 && exp * RT_SEC + verifier->config->auth_leeway <= now) {
        return TOKEN_EXPIRED;
    }
    if ((lenient & TOKEN_ANY_NBF) == 0 && nbf >= 0 &&
        nbf * RT_SEC - verifier->config->auth_leeway > now) {
        return TOKEN_NOT_YET;
    }
    const char *name = role != NULL ? json_string_value(role) : "";
    const char *used = name[0] == '\0'            ? verifier->anon_role
                       : in_roles(verifier, name) ? name
                                                  : verifier->default_role;
    (void)snprintf(out->role, sizeof(out->role), "%s", used);
    out->expires = exp >= 0 ? exp * RT_SEC : 0; /* auth.leeway comes on top where time is told */
    return TOKEN_OK;
}

enum token_err token_verify(const struct token_verifier *verifier, const char *token, size_t len,
                            rt_usec now, struct identity *out)
{
    return token_verify_leniently(verifier, token, len, now, 0, out);
}

enum token_err token_verify_leniently(const struct token_verifier *verifier, const char *token,
                                      size_t len, rt_usec now, unsigned lenient,
                                      struct identity *out)
{
    struct parts parts = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
    struct identity identity = { .role = "" };
    struct rt_buf text = { 0 };
    size_t algorithm = 0;

    if (verifier->key_len == 0) {
        return TOKEN_NO_KEY;
    }
    if (len > TOKEN_MAX || !split(token, len, &parts)) {
        return TOKEN_MALFORMED;
    }
    enum token_err err = pin_algorithm(verifier, parts.header, &algorithm);
    if (err == TOKEN_OK) {
        err = check_signature(verifier, token, len, algorithm);
    }
    if (err != TOKEN_OK) {
        return err;
    }
    json_t *claims = load(parts.payload, &text);
    err = claims == NULL ? TOKEN_CLAIMS : take_claims(verifier, claims, now, lenient, &identity);
    json_decref(claims);
    if (err == TOKEN_OK) {
        identity.claims_len = text.len;
        identity.claims = rt_strndup((const char *)text.data, text.len);
        *out = identity;
    }
    rt_buf_fini(&text);
    return err;
}

/* --- configuration --- */

static bool accept_algorithms(struct token_verifier *verifier, const char *list, struct rt_log *log)
{
    bool any = false;

    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ", ");
        size_t found = KNOWN_COUNT;
        for (size_t i = 0; i < KNOWN_COUNT; i++) {
            if (strlen(known[i].name) == len && memcmp(known[i].name, at, len) == 0) {
                found = i;
            }
        }
        if (len > 0 && found == KNOWN_COUNT) {
            rt_log_error(log, "token.unknown_algorithm", RT_SN("name", at, len),
                         RT_S("hint", "auth.algorithms may name HS256, HS384 and HS512"));
            return false;
        }
        if (len > 0) {
            verifier->accepted[found] = true;
            any = true;
        }
        at += len;
        at += strspn(at, ", ");
    }
    if (!any) {
        rt_log_error(log, "token.no_algorithm",
                     RT_S("hint", "name at least one algorithm in auth.algorithms"));
    }
    return any;
}

static char *comma_list(const char *list)
{
    struct rt_buf out = { 0 };

    rt_buf_putc(&out, ',');
    for (const char *at = list; *at != '\0'; at++) {
        if (*at != ' ') {
            rt_buf_putc(&out, *at);
        }
    }
    rt_buf_putc(&out, ',');
    char *text = rt_strdup(rt_buf_cstr(&out));
    rt_buf_fini(&out);
    return text;
}

static bool set_role(char out[ROLE_SIZE], const char *role, const char *option, struct rt_log *log)
{
    size_t len = strlen(role);

    if (len == 0 || len >= ROLE_SIZE) {
        rt_log_error(log, "token.bad_role", RT_S("option", option), RT_S("role", role),
                     RT_S("hint", "a role name has 1 to 63 bytes"));
        return false;
    }
    memcpy(out, role, len + 1);
    return true;
}

static bool set_key(struct token_verifier *verifier, const char *key, struct rt_log *log)
{
    verifier->key_len = strlen(key);
    if (verifier->key_len == 0) {
        rt_log_warn(log, "token.no_key",
                    RT_S("effect", "every token is refused; clients without one are anonymous"),
                    RT_S("hint", "set auth.jwt_key, JWT_KEY or JWT_KEY_FILE"));
        return true;
    }
    if (verifier->key_len < KEY_MIN) {
        rt_log_error(
            log, "token.short_key", RT_U("bytes", verifier->key_len),
            RT_S("hint", "auth.jwt_key needs at least 32 bytes, e.g. openssl rand -hex 32"));
        return false;
    }
    verifier->key = (unsigned char *)rt_strdup(key);
    return true;
}

struct token_verifier *token_verifier_new(const struct rt_config *config, struct rt_log *log)
{
    struct token_verifier *verifier = rt_alloc(sizeof(*verifier));

    verifier->config = config;
    verifier->roles = comma_list(config->auth_roles);
    if (!set_key(verifier, config->auth_jwt_key, log) ||
        !accept_algorithms(verifier, config->auth_algorithms, log) ||
        !set_role(verifier->anon_role, config->auth_anon_role, "auth.anon_role", log) ||
        !set_role(verifier->default_role, config->auth_default_role, "auth.default_role", log)) {
        token_verifier_free(verifier);
        return NULL;
    }
    return verifier;
}

void token_verifier_free(struct token_verifier *verifier)
{
    if (verifier == NULL) {
        return;
    }
    if (verifier->key != NULL) {
        explicit_bzero(verifier->key, verifier->key_len);
    }
    free(verifier->key);
    free(verifier->roles);
    free(verifier);
}

void identity_anonymous(const struct token_verifier *verifier, struct identity *out)
{
    *out = (struct identity){ .claims = rt_strdup("") };
    memcpy(out->role, verifier->anon_role, sizeof(out->role));
}

void identity_fini(struct identity *identity)
{
    free(identity->claims);
    *identity = (struct identity){ .role = "" };
}
