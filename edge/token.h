/* edge/token.h - who a token says its bearer is: JWT verification with libjwt.
 *
 * The algorithm is pinned: the header's alg must be in auth.algorithms (HS256, HS384, HS512) before
 * libjwt sees the token, and is compared again afterwards; `none`, RS and ES names, and a missing alg are refused.
 * exp and nbf, when present, must be JSON integers and hold within auth.leeway; libjwt checks neither
 * (reference: libjwt 1.10.2). Claims are kept as the JSON text of the payload.
 *
 * Cost: about 5 us for a token of 300 bytes. Tokens are never logged.
 */
#ifndef PGTIDE_EDGE_TOKEN_H
#define PGTIDE_EDGE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"

struct rt_config;
struct rt_log;
struct token_verifier;

/* Identity of a connection. */
struct identity {
    char role[64]; /* database role, from the role claim by auth.roles and auth.default_role */
    char *claims;  /* JSON object text, "" without a token; owned */
    size_t claims_len;
    rt_usec expires; /* wall clock; 0: never */
};

enum token_err {
    TOKEN_OK = 0,
    TOKEN_MALFORMED,
    TOKEN_ALGORITHM, /* not accepted */
    TOKEN_SIGNATURE,
    TOKEN_EXPIRED,
    TOKEN_NOT_YET, /* nbf in the future */
    TOKEN_CLAIMS,  /* exp or nbf is not an integer, claims too large, … */
    TOKEN_NO_KEY,  /* the edge has no auth.jwt_key */
};
const char *token_err_text(
    enum token_err err); /* for logs and metrics; clients get "Invalid or expired token" */

/* NULL after logging a configuration that cannot work (key shorter than 32 bytes, unknown algorithm). Without a key every token
 * is refused (TOKEN_NO_KEY) and a warning is logged. `config` outlives it: auth.leeway is looked up there. */
struct token_verifier *token_verifier_new(const struct rt_config *config, struct rt_log *log);
void token_verifier_free(struct token_verifier *verifier);
/* `now` is wall time. On success *out is filled and must be released with identity_fini(). */
enum token_err token_verify(const struct token_verifier *verifier, const char *token, size_t len,
                            rt_usec now, struct identity *out);
/* The same without a look at some times, for issuers whose tokens are used before their nbf, or after their exp. */
enum { TOKEN_ANY_NBF = 1, TOKEN_ANY_EXP = 2 };
enum token_err token_verify_leniently(const struct token_verifier *verifier, const char *token,
                                      size_t len, rt_usec now, unsigned lenient,
                                      struct identity *out);
/* The identity of a connection without a token: auth.anon_role. */
void identity_anonymous(const struct token_verifier *verifier, struct identity *out);
void identity_fini(struct identity *identity);

#endif
