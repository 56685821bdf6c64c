/* broker/perms/fences.h - transactions of the stream that no answer of the database has seen yet.
 *
 * An answer counts only if its snapshot sees all of them. Pure; bounded: past FENCES_MAX the oldest is
 * forgotten, since a thousand commits later it is visible, or else nothing is and nothing is answered.
 */
#ifndef PGTIDE_BROKER_PERMS_FENCES_H
#define PGTIDE_BROKER_PERMS_FENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FENCES_MAX = 1024 };

struct fences {
    uint32_t xids[FENCES_MAX];
    size_t count;
    size_t sent; /* the first so many are in the question under way */
    bool reset;  /* what is in the question does not matter any more */
};

void fences_add(struct fences *fences, uint32_t xid); /* 0, or the one added last: nothing */
/* A question is sent with all of them. */
void fences_ask(struct fences *fences);
/* Its answer saw all, or not (`seen`). True when the answer counts; those it was asked about are forgotten then. */
bool fences_answer(struct fences *fences, bool seen);
/* Another history: none of them may ever become visible. */
void fences_clear(struct fences *fences);

#endif
