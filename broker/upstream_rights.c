/* broker/upstream_rights.c - transactions that change rights, known before their first change is routed.
 *
 * Nobody ever sees a row of a transaction without what the same transaction did to the rights: both become visible with its
 * commit. So the BEGIN of such a transaction is a fence. Two things tell of one: the event trigger's "pgtide.rights" message, which is
 * outside of the transaction and so comes before it, however long that is; and a "pgtide.ddl" message behind the BEGIN in the same
 * frame (databases whose functions are older; a stream that begins between the two). The latter stays a fence where it stands.
 *
 * Cost: a search for the prefix in the bytes of a frame; one more pass over the transactions in front of one; a look through the
 * transactions that were told and have not come (normally none) at each BEGIN.
 */
#include <string.h>

#include "broker/upstream_impl.h"

static const uint8_t *find(const uint8_t *at, const uint8_t *end)
{
    return memmem(at, (size_t)(end - at), UPSTREAM_DDL_PREFIX, strlen(UPSTREAM_DDL_PREFIX));
}

void rights_frame(struct upstream *up, const uint8_t *data, size_t len)
{
    up->rights.next = find(data, data + len);
}

bool rights_told(const struct wire_message *message)
{
    return message->prefix.len == strlen(UPSTREAM_DDL_PREFIX) &&
           memcmp(message->prefix.data, UPSTREAM_DDL_PREFIX, message->prefix.len) == 0;
}

/* Behind a record that may stand in a transaction; false: it is none, or cannot be read. */
static bool pass(enum wire_type type, struct wire_reader *in, bool *tells)
{
    struct wire_change change;
    struct wire_truncate truncate;
    struct wire_relation relation;
    struct wire_message message;

    if (type == WIRE_CHANGE) {
        return wire_decode_change(in, &change) == WIRE_OK;
    }
    if (type == WIRE_TRUNCATE) {
        return wire_decode_truncate(in, &truncate) == WIRE_OK;
    }
    if (type == WIRE_RELATION) {
        return wire_decode_relation(in, &relation) == WIRE_OK;
    }
    if (type != WIRE_MESSAGE || wire_decode_message(in, &message) != WIRE_OK) {
        return false;
    }
    *tells = message.transactional && rights_told(&message);
    return true;
}

/* `in` stands behind a BEGIN. */
static bool tells_ahead(struct rights *rights, struct wire_reader in)
{
    enum wire_type type = WIRE_PROGRESS;
    bool tells = false;

    if (rights->next != NULL && rights->next < in.at) {
        rights->next = find(in.at, in.end);
    }
    if (rights->next == NULL) {
        return false;
    }
    while (!tells && wire_next_record(&in, &type) == WIRE_OK && type != WIRE_END &&
           pass(type, &in, &tells)) {
    }
    return tells;
}

void rights_expect(struct upstream *up, struct wire_span content)
{
    struct rights *rights = &up->rights;
    int64_t xid = 0;

    if (!upstream_number(content, &xid) || xid <= 0 || xid > UINT32_MAX) {
        rt_counter_add(up->config.stats->bad_markers, 1);
        return;
    }
    for (uint32_t i = 0; i < rights->count; i++) {
        if (rights->expected[i] == (uint32_t)xid) {
            return;
        }
    }
    if (rights->count == RIGHTS_EXPECTED) { /* what never came was rolled back */
        rights->count--;
        memmove(rights->expected, rights->expected + 1, rights->count * sizeof(*rights->expected));
    }
    rights->expected[rights->count++] = (uint32_t)xid;
}

static bool take_expected(struct rights *rights, uint32_t xid)
{
    for (uint32_t i = 0; i < rights->count; i++) {
        if (rights->expected[i] == xid) {
            rights->count--;
            memmove(rights->expected + i, rights->expected + i + 1,
                    (rights->count - i) * sizeof(*rights->expected));
            return true;
        }
    }
    return false;
}

bool rights_begin(struct upstream *up, const struct wire_begin *begin, const struct wire_reader *in)
{
    struct rights *rights = &up->rights;
    bool fenced = rights->epoch == begin->epoch && rights->lsn == begin->commit_lsn;

    if (fenced || !(take_expected(rights, begin->xid) || tells_ahead(rights, *in))) {
        return false;
    }
    rights->epoch = begin->epoch;
    rights->lsn = begin->commit_lsn;
    return up->config.events->fence(up->config.ctx, NULL, begin->xid, begin->commit_lsn);
}
