/* tests/bench/quick_pool.h - a loop and a pool without a database: questions of broker/view/views.c for the constants of
 * identities are answered at once, by what the measurement says of each.
 *
 * Stands in for pg/pool.h and for timers and deferred calls of runtime/loop.h: link it instead of those.
 */
#ifndef PGTIDE_BENCH_QUICK_POOL_H
#define PGTIDE_BENCH_QUICK_POOL_H

#include "broker/view/views.h"
#include "runtime/buf.h"

/* Appends the constants of who has these claims, as elements of an array: v<text>, one for each of the program's. */
typedef void quick_constants_fn(void *ctx, const char *claims, struct rt_buf *out);

void quick_pool_init(quick_constants_fn *constants, void *ctx);
/* Until nothing is waited for. */
void quick_pool_run(void);

#endif
