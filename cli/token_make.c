/* cli/token_make.c - see token_make.h. */
#include "cli/token_make.h"

#include <stdlib.h>
#include <string.h>

#include <jwt.h>

#include "cli/command.h"
#include "cli/duration.h"
#include "runtime/clock.h"
#include "runtime/config.h"

enum { DEFAULT_TTL_SECONDS = 3600, KEY_MIN_BYTES = 32 };

static bool add_claim(json_t *claims, const char *assignment, struct rt_buf *error)
{
    const char *equals = strchr(assignment, '=');

    if (equals == NULL || equals == assignment) {
        rt_buf_printf(error, "--claim %s is not NAME=VALUE, e.g. --claim org=12", assignment);
        return false;
    }
    char *name = rt_strndup(assignment, (size_t)(equals - assignment));
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (value == NULL) {
        value = json_string(equals + 1);
    }
    bool ok = value != NULL && json_object_set_new(claims, name, value) == 0;
    if (!ok) {
        rt_buf_printf(error, "--claim %s is neither JSON nor UTF-8 text", assignment);
    }
    free(name);
    return ok;
}

static bool add_text(json_t *claims, const char *name, const char *text, struct rt_buf *error)
{
    if (text != NULL && json_object_set_new(claims, name, json_string(text)) != 0) {
        rt_buf_printf(error, "--%s is not UTF-8 text", name);
        return false;
    }
    return true;
}

static bool add_times(json_t *claims, const char *ttl, int64_t now, struct rt_buf *error)
{
    int64_t seconds = DEFAULT_TTL_SECONDS;

    json_object_set_new(claims, "iat", json_integer(now));
    if (ttl != NULL && strcmp(ttl, "never") == 0) {
        return true;
    }
    if (ttl != NULL && !cli_duration_parse(ttl, &seconds)) {
        rt_buf_printf(error, "--ttl %s is not a length of time; write e.g. 15m, 12h, 7d, or never",
                      ttl);
        return false;
    }
    json_object_set_new(claims, "exp", json_integer(now + seconds));
    return true;
}

json_t *cli_token_claims(const struct cli_args *args, int64_t now, struct rt_buf *error)
{
    json_t *claims = json_object();
    const char *role = cli_args_value(args, "role");
    const char *claim = NULL;
    bool ok = add_text(claims, "role", role != NULL ? role : "authenticated", error) &&
              add_text(claims, "sub", cli_args_value(args, "sub"), error) &&
              add_times(claims, cli_args_value(args, "ttl"), now, error);

    for (size_t i = 0; ok && (claim = cli_args_each(args, "claim", i)) != NULL; i++) {
        ok = add_claim(claims, claim, error);
    }
    if (!ok) {
        json_decref(claims);
        return NULL;
    }
    return claims;
}

char *cli_token_sign(const json_t *claims, const char *key, struct rt_buf *error)
{
    char *text = json_dumps(claims, JSON_COMPACT);
    char *token = NULL;
    jwt_t *jwt = NULL;
    size_t key_len = strlen(key);

    if (key_len < KEY_MIN_BYTES) {
        rt_buf_printf(error, "the signing key has %zu bytes; at least %d are needed", key_len,
                      KEY_MIN_BYTES);
        goto out;
    }
    if (text != NULL && jwt_new(&jwt) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)key, (int)key_len) == 0 &&
        jwt_add_grants_json(jwt, text) == 0) {
        token = jwt_encode_str(jwt);
    }
    if (token == NULL) {
        rt_buf_puts(error, "the token cannot be encoded");
    }

out:
    jwt_free(jwt);
    free(text);
    return token;
}

char *cli_token_make(const struct cli_args *args, const struct rt_config *config)
{
    struct rt_buf error = { 0 };
    char *token = NULL;
    json_t *claims = NULL;

    if (config->auth_jwt_key[0] == '\0') {
        rt_buf_puts(&error, "there is no key to sign with; set JWT_KEY (or JWT_KEY_FILE, or "
                            "auth.jwt_key) to what the edges have");
    } else {
        claims = cli_token_claims(args, rt_wall_now() / RT_SEC, &error);
    }
    if (claims != NULL) {
        token = cli_token_sign(claims, config->auth_jwt_key, &error);
    }
    if (token == NULL) {
        cli_say("%s", rt_buf_cstr(&error));
    }
    json_decref(claims);
    rt_buf_fini(&error);
    return token;
}
