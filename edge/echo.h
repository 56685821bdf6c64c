/* edge/echo.h - /diagnostics/echo: every message comes back as it was, text or binary. For public conformance suites.
 *
 * A dialect like any other, over the same code for frames, and without anything behind it: no hub, no database, no limit on the rate of
 * messages. Only there when edge.diagnostics.echo is on, which the log warns of. A bad token closes with 1008, none is fine.
 */
#ifndef PGTIDE_EDGE_ECHO_H
#define PGTIDE_EDGE_ECHO_H

#include "edge/dialect.h"

#define EDGE_ECHO_PATH "/diagnostics/echo"

/* Its context is NULL. */
extern const struct edge_dialect edge_echo_dialect;

#endif
