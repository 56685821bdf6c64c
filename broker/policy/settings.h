/* broker/policy/settings.h - who asks, as PostgreSQL is told it: the settings that policies find the claims of a token in.
 *
 * An entry is NAME, for all claims as JSON, or NAME=CLAIM, for one of them: a text as it is, everything else as JSON, and '' for
 * what is not there (as PostgREST had it in request.jwt.claim.NAME).
 *
 * Claims without a role are given the database role that they are judged under, also when there is no token at all: so do PostgREST
 * and Fluxbase, and policies that say auth.role() = 'anon', or take the setting for JSON, count on it. A role that the token
 * names stays as it is.
 * Pure. O(bytes of the claims).
 */
#ifndef PGTIDE_BROKER_POLICY_SETTINGS_H
#define PGTIDE_BROKER_POLICY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/policy/fold.h"

/* PostgreSQL's rule for names of settings that it does not know: identifiers with points between them. */
bool policy_setting_is_good(const char *entry);

/* One for each entry, in one piece of memory that free() gives back; `claims`, which end with NUL at `len`, must live as long: the
 * values may point there. NULL: the claims are not those of a token (an object, or nothing at all). */
struct policy_setting *policy_settings_make(const char *const *entries, size_t count,
                                            const char *role, const char *claims, size_t len);

#endif
