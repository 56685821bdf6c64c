/* fuzz_token.c - bytes where a token is expected. The first byte chooses what the rest is: a whole token, or the
 * claims of one that is signed correctly, so that what stands behind the signature is reached too.
 *
 * Property: what is accepted was signed by us, names a configured role, is in force, and its claims are its payload.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>

#include "edge/token.h"
#include "runtime/buf.h"
#include "runtime/config.h"
#include "runtime/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char key[] = "0123456789abcdef0123456789abcdef";
static char algorithms[] = "HS256,HS512";
static char roles[] = "anon,authenticated,service_role";
static char anon_role[] = "anon";
static char default_role[] = "authenticated";

static const rt_usec NOW = 1700000000 * RT_SEC;

static void require(bool held)
{
    if (!held) {
        abort();
    }
}

/* NULL when libjwt would not take the claims. */
static char *sign(const char *claims)
{
    jwt_t *jwt = NULL;
    char *text = NULL;

    require(jwt_new(&jwt) == 0);
    if (jwt_add_grants_json(jwt, claims) == 0) {
        require(jwt_set_alg(jwt, JWT_ALG_HS256, (unsigned char *)key, (int)strlen(key)) == 0);
        text = jwt_encode_str(jwt);
    }
    jwt_free(jwt);
    return text;
}

static void check(const struct identity *identity)
{
    json_t *claims = json_loadb(identity->claims, identity->claims_len, 0, NULL);

    require(json_is_object(claims));
    require(strcmp(identity->role, "anon") == 0 || strcmp(identity->role, "authenticated") == 0 ||
            strcmp(identity->role, "service_role") == 0);
    require(identity->expires == 0 || identity->expires > NOW);
    require((identity->expires != 0) == (json_object_get(claims, "exp") != NULL));
    json_decref(claims);
}

/* In a block of exactly its length, without a NUL. */
static void verify(const struct token_verifier *verifier, struct rt_span token)
{
    struct identity identity = { .role = "" };
    char *exact = malloc(token.len > 0 ? token.len : 1);

    require(exact != NULL);
    memcpy(exact, token.data, token.len);
    if (token_verify(verifier, exact, token.len, NOW, &identity) == TOKEN_OK) {
        check(&identity);
        identity_fini(&identity);
    } else {
        require(identity.claims == NULL);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rt_config config = {
        .auth_jwt_key = key,
        .auth_algorithms = algorithms,
        .auth_roles = roles,
        .auth_anon_role = anon_role,
        .auth_default_role = default_role,
    };

    if (len == 0) {
        return 0;
    }
    struct rt_log *log = rt_log_new("fuzz", RT_LOG_ERROR, RT_LOG_KV);
    struct token_verifier *verifier = token_verifier_new(&config, log);
    require(verifier != NULL);
    if ((data[0] & 1) == 0) {
        verify(verifier, (struct rt_span){ data + 1, len - 1 });
    } else {
        char *claims = rt_strndup((const char *)data + 1, len - 1);
        char *token = sign(claims);
        if (token != NULL) {
            verify(verifier, (struct rt_span){ (const uint8_t *)token, strlen(token) });
        }
        free(token);
        free(claims);
    }
    token_verifier_free(verifier);
    rt_log_free(log);
    return 0;
}
