/* edge/fluxbase/seat.c - whose connection it is, and what becomes of one too many.
 *
 * The user is the claim `sub`, or `user_id` (seed 003's server issues both, with the same value); a number counts as its digits. Who has neither,
 * with or without a token, is nobody's connection: for those there are the limits of edge and address.
 */
#include <inttypes.h>
#include <stdio.h>

#include "edge/admission.h"
#include "edge/fluxbase/parts.h"
#include "runtime/config.h"
#include "runtime/json.h"

/* As it is written, escapes and all: one issuer writes one user in one way. len 0: none. */
static struct rt_span plain(struct rt_span raw)
{
    static const struct rt_span none = { (const uint8_t *)"", 0 };

    if (raw.len >= 2 && raw.data[0] == '"') {
        raw.data++;
        raw.len -= 2;
    } else if (raw.len == 0 ||
               !((raw.data[0] >= '0' && raw.data[0] <= '9') || raw.data[0] == '-')) {
        return none;
    }
    raw.len = raw.len > WIRE_KEY_MAX ? WIRE_KEY_MAX : raw.len;
    return raw;
}

struct rt_span fluxbase_user_of(const struct identity *identity)
{
    struct rt_span claims = { (const uint8_t *)identity->claims, identity->claims_len };
    struct rt_span user = { (const uint8_t *)"", 0 };
    struct rt_span raw;

    if (claims.len > 0 && rt_json_member(claims, "sub", &raw)) {
        user = plain(raw);
    }
    if (claims.len > 0 && user.len == 0 && rt_json_member(claims, "user_id", &raw)) {
        user = plain(raw);
    }
    return user;
}

/* Closed after a pause, like one with a bad token: an SDK that was let in for a moment would come back at once. */
void fluxbase_refuse_seat(struct fluxbase_session *session)
{
    const struct rt_config *config = session->fluxbase->config;
    char text[100];
    char reason[ADMISSION_REASON_SIZE];

    session->closing = true;
    (void)snprintf(text, sizeof text, "Too many connections: a user may have %" PRId64,
                   config->realtime_max_per_user);
    fluxbase_send_error(session, WIRE_CODE_RATE_LIMITED, fluxbase_span(text),
                        (struct rt_span){ 0 });
    admission_reason("too many connections of this user",
                     admission_retry_ms(1, config->realtime_connect_rate, rt_random64()), reason);
    edge_conn_close_after(session->conn, config->realtime_unauthorized_delay, EDGE_CLOSE_TRY_LATER,
                          reason);
}

void fluxbase_on_unseated(void *user)
{
    struct fluxbase_session *session = user;

    if (!session->closing) {
        fluxbase_refuse_seat(session);
    }
}
