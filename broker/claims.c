/* broker/claims.c - see claims.h. */
#include "broker/claims.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

struct claims *claims_new(struct wire_span text)
{
    struct claims *claims = rt_alloc(sizeof(*claims) + text.len + 1);

    claims->refs = 1;
    claims->len = (uint32_t)text.len;
    if (text.len > 0) {
        memcpy(claims->text, text.data, text.len);
    }
    return claims;
}

struct claims *claims_ref(struct claims *claims)
{
    claims->refs++;
    return claims;
}

void claims_unref(struct claims *claims)
{
    if (claims != NULL && --claims->refs == 0) {
        free(claims);
    }
}
