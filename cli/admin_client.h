/* cli/admin_client.h - GET from the admin port of a tier (runtime/admin.h), and what the answers say.
 *
 * Blocking, with a few seconds of patience; answers up to 8 MiB. The two readers are pure.
 */
#ifndef PGTIDE_CLI_ADMIN_CLIENT_H
#define PGTIDE_CLI_ADMIN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

/* `address` is host:port, [v6]:port or http://host:port. Returns the HTTP status and appends the body;
 * 0 with the reason in `error` when there was no whole answer. */
int cli_admin_get(const char *address, const char *path, struct rt_buf *body, struct rt_buf *error);

/* Takes the next line "ok name reason" or "fail name reason" of a /readyz body. Texts are cut to their
 * buffers. False at the end; lines of another form are skipped. */
struct cli_condition {
    bool met;
    char name[64];
    char reason[256];
};
bool cli_condition_next(const char **body, struct cli_condition *out);

/* The sum over all label sets of a metric in Prometheus' text format; false when it is not there. */
bool cli_metric_sum(const char *exposition, const char *name, double *out_sum);

#endif
