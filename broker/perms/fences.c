/* broker/perms/fences.c - a short list of transaction numbers, oldest first. */
#include "broker/perms/fences.h"

#include <string.h>

static void forget_first(struct fences *fences, size_t count)
{
    fences->count -= count;
    memmove(fences->xids, fences->xids + count, fences->count * sizeof(fences->xids[0]));
}

void fences_add(struct fences *fences, uint32_t xid)
{
    if (xid == 0 || (fences->count > 0 && fences->xids[fences->count - 1] == xid)) {
        return;
    }
    if (fences->count == FENCES_MAX) {
        forget_first(fences, 1);
        fences->sent -= fences->sent > 0 ? 1 : 0;
    }
    fences->xids[fences->count++] = xid;
}

void fences_ask(struct fences *fences)
{
    fences->sent = fences->count;
    fences->reset = false;
}

bool fences_answer(struct fences *fences, bool seen)
{
    if (!seen && !fences->reset) {
        return false;
    }
    forget_first(fences, fences->sent);
    fences->sent = 0;
    return true;
}

void fences_clear(struct fences *fences)
{
    fences->count = 0;
    fences->sent = 0;
    fences->reset = true;
}
