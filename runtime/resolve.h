/* runtime/resolve.h - looks up a host name without blocking the loop.
 *
 * getaddrinfo(3) has no asynchronous form and may take 10 to 20 s when no name server answers. So each look-up
 * runs in a thread of its own, which ends with it; the result comes back over an eventfd. `fn` is called once,
 * from the loop, never from inside rt_resolve_new(); it may free the look-up.
 *
 * Freeing a look-up that is under way only turns away from it: nothing waits, `fn` is not called, and the thread
 * releases what it uses when getaddrinfo() returns. Who looks up again and again with a time-out of his own
 * has as many threads as fit into the resolver's time-out. The loop may be freed meanwhile.
 *
 * There is no time-out here: the owner has one for the whole of what he wants to do.
 */
#ifndef PGTIDE_RUNTIME_RESOLVE_H
#define PGTIDE_RUNTIME_RESOLVE_H

#include <stdbool.h>

#define RT_RESOLVE_MAX 16 /* addresses; more are left out */

struct rt_loop;
struct rt_resolve;

/* In the order of getaddrinfo(), joined with commas as libpq wants them: addresses, and the name as often. On
 * failure both are NULL, and error says why, with the name. */
struct rt_resolved {
    const char *addresses;
    const char *hosts;
    const char *error;
};

/* `found` is valid as long as the look-up. */
typedef void (*rt_resolve_fn)(void *ctx, const struct rt_resolved *found);
struct rt_resolve *rt_resolve_new(struct rt_loop *loop, const char *name, rt_resolve_fn fn,
                                  void *ctx);
void rt_resolve_free(struct rt_resolve *resolve); /* NULL is fine */

/* Whether `host`, in libpq's sense, is one name: no address, no socket's folder, no list, not empty or NULL. */
bool rt_resolve_needed(const char *host);

#endif
