/* tailer/dsn.h - database.url and what the tailer adds to it.
 *
 * The settings that decide what values look like as text are pinned here, for both connections, so that no
 * setting of a role, a database or the environment changes what clients see. Settings of the user's own
 * `options` stay in force for everything else.
 */
#ifndef PGTIDE_TAILER_DSN_H
#define PGTIDE_TAILER_DSN_H

#include <stdbool.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

#define DSN_PARAMS_MAX 16

enum dsn_kind { DSN_SQL, DSN_REPLICATION };

/* For PQconnectStartParams and PQconnectdbParams, with expand_dbname. Borrows `url`. */
struct dsn {
    const char *keys[DSN_PARAMS_MAX];
    const char *values[DSN_PARAMS_MAX];
    struct rt_buf options;
    char timeout[16];
};

/* False: the url is not a connection string. libpq's reason is not passed on: it quotes the url, with whatever
 * secret is in it. */
bool dsn_init(struct dsn *dsn, const char *url, enum dsn_kind kind, rt_usec timeout);
/* The host of the url if it is a name to be looked up before connecting (runtime/resolve.h), else NULL. To free(). */
char *dsn_name(const char *url);
/* Where that name is: lists of equal length, borrowed. The name stays the one that TLS verifies. */
void dsn_locate(struct dsn *dsn, const char *hosts, const char *addresses);
void dsn_fini(struct dsn *dsn);

#endif
