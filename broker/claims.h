/* broker/claims.h - the claims of a token, as JSON text: who has an identity and who asks PostgreSQL for it keep them once.
 *
 * Immutable, counted, one piece of memory. One thread.
 */
#ifndef PGTIDE_BROKER_CLAIMS_H
#define PGTIDE_BROKER_CLAIMS_H

#include <stdint.h>

#include "proto/records.h"

struct claims {
    uint32_t refs;
    uint32_t len;
    char text[]; /* ends with NUL, which `len` does not count */
};

/* Copies. With one reference. At most UINT32_MAX bytes, as all texts of records. */
struct claims *claims_new(struct wire_span text);
struct claims *claims_ref(struct claims *claims);
void claims_unref(struct claims *claims); /* NULL is fine */

#endif
