/* broker/channels/rules.h - who may join a broadcast or presence channel, and who may send to it.
 *
 * From configuration (channels.rules), rules separated by `;`:
 *
 *   PREFIX [join=WHO] [send=WHO]
 *
 *   PREFIX   of the whole channel name, "broadcast:" and "presence:" included; the longest that fits decides
 *   WHO      anyone            without a token, too
 *            authenticated     any valid token (the default, also where no rule fits)
 *            role:NAME         the database role of the token
 *            claim:NAME=N      claim NAME of the token is the N-th part of the channel, counted from 0 and separated by `:` (a claim
 *                              that is an array: one of its elements is)
 *            nobody            (from SQL one can send always)
 *
 * The role service_role may do everything. Claims that are not known (a token larger than the broker keeps) satisfy no claim. Judging allocates nothing; it
 * costs the claims' length where a claim is asked for. Immutable.
 */
#ifndef PGTIDE_BROKER_CHANNELS_RULES_H
#define PGTIDE_BROKER_CHANNELS_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/reader.h"

struct rules;

enum rules_act { RULES_JOIN, RULES_SEND };

struct rules_who {
    const char *role;
    bool authenticated;
    struct wire_span claims; /* JSON; "": none, or not known */
};

/* NULL: why not, in `why`. */
struct rules *rules_parse(const char *text, char *why, size_t why_size);
void rules_free(struct rules *rules);
/* False with a sentence for the client, which names the rule, in `why`. */
bool rules_allow(const struct rules *rules, enum rules_act act, struct wire_span channel,
                 const struct rules_who *who, char *why, size_t why_size);

#endif
