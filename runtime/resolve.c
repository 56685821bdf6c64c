/* runtime/resolve.c - see resolve.h.
 *
 * What must stay true: a job has two holders, the look-up and the thread, and whoever lets go last frees it, with the
 * eventfd. The thread writes `found` and then `done`; the loop reads `done` and then `found`. The thread
 * touches nothing else: not the loop, not the log.
 */
#include "runtime/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/buf.h"
#include "runtime/loop.h"

struct job {
    atomic_int holders;
    atomic_bool done;
    int fd;
    char *name;
    struct rt_buf addresses;
    struct rt_buf hosts;
    struct rt_buf error;
};

struct rt_resolve {
    struct job *job;
    struct rt_resolved found;
    struct rt_io *io;
    struct rt_defer *failed; /* when no thread could be started */
    rt_resolve_fn fn;
    void *ctx;
};

static void let_go(struct job *job)
{
    if (atomic_fetch_sub(&job->holders, 1) > 1) {
        return;
    }
    rt_buf_fini(&job->addresses);
    rt_buf_fini(&job->hosts);
    rt_buf_fini(&job->error);
    free(job->name);
    if (job->fd >= 0) {
        close(job->fd);
    }
    free(job);
}

/* --- the thread ---------------------------------------------------------------------------------- */

static void set_error(struct job *job, const char *reason)
{
    /* As libpq says it: the texts of tailer/slot_errors.c apply to both. */
    rt_buf_printf(&job->error, "could not translate host name \"%s\" to address: %s", job->name,
                  reason);
}

static void keep(struct job *job, const struct addrinfo *list)
{
    char text[NI_MAXHOST];
    size_t count = 0;

    for (const struct addrinfo *at = list; at != NULL && count < RT_RESOLVE_MAX; at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) !=
            0) {
            continue;
        }
        rt_buf_printf(&job->addresses, "%s%s", count > 0 ? "," : "", text);
        rt_buf_printf(&job->hosts, "%s%s", count > 0 ? "," : "", job->name);
        count++;
    }
    if (count == 0) {
        set_error(job, "no address that can be used");
    }
}

static void *look_up(void *arg)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct job *job = arg;
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(job->name, NULL, &hints, &list);

    if (rc != 0) {
        set_error(job, rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc));
    } else {
        keep(job, list);
        freeaddrinfo(list);
    }
    atomic_store(&job->done, true);
    (void)eventfd_write(job->fd, 1);
    let_go(job);
    return NULL;
}

/* Returns 0 or an errno. The process's signals are for the loop's thread. */
static int start_thread(struct job *job)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&job->holders, 2);
    int error = pthread_create(&thread, &attr, look_up, job);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (error != 0) {
        atomic_store(&job->holders, 1);
    }
    return error;
}

/* --- the loop ------------------------------------------------------------------------------------ */

static void tell(struct rt_resolve *resolve)
{
    struct job *job = resolve->job;
    bool fine = job->error.len == 0;

    resolve->found = (struct rt_resolved){
        .addresses = fine ? rt_buf_cstr(&job->addresses) : NULL,
        .hosts = fine ? rt_buf_cstr(&job->hosts) : NULL,
        .error = fine ? NULL : rt_buf_cstr(&job->error),
    };
    resolve->fn(resolve->ctx, &resolve->found);
}

static void on_done(void *ctx, int fd, int events)
{
    struct rt_resolve *resolve = ctx;

    (void)fd;
    (void)events;
    if (atomic_load(&resolve->job->done)) {
        rt_io_want(resolve->io, 0);
        tell(resolve);
    }
}

static void on_failed(void *ctx)
{
    tell(ctx);
}

struct rt_resolve *rt_resolve_new(struct rt_loop *loop, const char *name, rt_resolve_fn fn,
                                  void *ctx)
{
    struct rt_resolve *resolve = rt_alloc(sizeof(*resolve));
    struct job *job = rt_alloc(sizeof(*job));

    resolve->job = job;
    resolve->fn = fn;
    resolve->ctx = ctx;
    resolve->failed = rt_defer_new(loop, on_failed, resolve);
    atomic_init(&job->holders, 1);
    atomic_init(&job->done, false);
    job->name = rt_strdup(name);
    job->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = job->fd < 0 ? errno : start_thread(job);
    if (error != 0) {
        set_error(job, strerrordesc_np(error));
        rt_defer_schedule(resolve->failed);
        return resolve;
    }
    resolve->io = rt_io_new(loop, job->fd, on_done, resolve);
    rt_io_want(resolve->io, RT_READ);
    return resolve;
}

void rt_resolve_free(struct rt_resolve *resolve)
{
    if (resolve == NULL) {
        return;
    }
    rt_io_free(resolve->io);
    rt_defer_free(resolve->failed);
    let_go(resolve->job);
    free(resolve);
}

bool rt_resolve_needed(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (host == NULL || host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
        strchr(host, ',') != NULL) {
        return false;
    }
    /* An IPv6 address may carry a zone; no name has a colon. */
    return strchr(host, ':') == NULL && inet_pton(AF_INET, host, address) != 1;
}
