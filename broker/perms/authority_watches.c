/* broker/perms/authority_watches.c - the list of watches, the queue of those to ask about, fences. */
#include <stdlib.h>
#include <string.h>

#include "broker/perms/authority_impl.h"
#include "broker/policy/rules.h"
#include "runtime/buf.h"
#include "runtime/loop.h"

void authority_enqueue(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    watch->state = WATCH_QUEUED;
    watch->next = NULL;
    watch->prev = authority->last;
    if (authority->last != NULL) {
        authority->last->next = watch;
    } else {
        authority->first = watch;
    }
    authority->last = watch;
}

void authority_dequeue(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    if (watch->prev != NULL) {
        watch->prev->next = watch->next;
    } else {
        authority->first = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->prev = watch->prev;
    } else {
        authority->last = watch->prev;
    }
    watch->state = WATCH_SETTLED;
}

void authority_unfence(struct authority_watch *watch)
{
    if (watch->fenced) {
        watch->fenced = false;
        watch->authority->fenced--;
        rt_defer_schedule(watch->authority->settle);
    }
}

static void request(struct authority_watch *watch, bool fenced)
{
    struct authority *authority = watch->authority;

    if (fenced && !watch->fenced) {
        watch->fenced = true;
        authority->fenced++;
    }
    if (fenced || (!watch->answered && watch->state == WATCH_SETTLED)) {
        watch->deadline = rt_now() + AUTHORITY_TIMEOUT;
    }
    watch->errors = 0;
    if (watch->state == WATCH_FLYING) {
        watch->again = true;
    } else if (watch->state == WATCH_SETTLED) {
        authority_enqueue(watch);
    }
}

void authority_request_all(struct authority *authority)
{
    for (size_t i = 0; i < authority->watch_count; i++) {
        request(authority->watches[i], false);
    }
}

static void free_watch(struct authority_watch *watch)
{
    struct authority *authority = watch->authority;

    authority->watches[watch->slot] = authority->watches[--authority->watch_count];
    authority->watches[watch->slot]->slot = watch->slot;
    policy_rules_unref(watch->rules);
    free(watch);
}

bool authority_land(struct authority_watch *watch)
{
    watch->state = WATCH_SETTLED;
    if (watch->dead) {
        free_watch(watch);
        return false;
    }
    return true;
}

struct authority_watch *authority_watch(struct authority *authority, const char *schema,
                                        const char *table, const char *role, void *user)
{
    struct authority_watch *watch = rt_alloc(sizeof(*watch));

    watch->authority = authority;
    watch->user = user;
    strncat(watch->schema, schema, WIRE_NAME_MAX);
    strncat(watch->table, table, WIRE_NAME_MAX);
    strncat(watch->role, role, WIRE_NAME_MAX);
    if (authority->watch_count == authority->watch_cap) {
        authority->watch_cap = authority->watch_cap == 0 ? 64 : authority->watch_cap * 2;
        authority->watches =
            rt_realloc(authority->watches, authority->watch_cap, sizeof(struct authority_watch *));
    }
    watch->slot = authority->watch_count;
    authority->watches[authority->watch_count++] = watch;
    request(watch, false);
    authority_pump(authority);
    return watch;
}

void authority_unwatch(struct authority_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    authority_unfence(watch);
    if (watch->state == WATCH_FLYING) {
        watch->dead = true;
        return;
    }
    if (watch->state == WATCH_QUEUED) {
        authority_dequeue(watch);
    }
    free_watch(watch);
}

bool authority_fence(struct authority *authority, const char *schema, const char *table,
                     uint32_t xid, uint64_t lsn)
{
    bool reload = false;

    fences_add(&authority->fences, xid);
    for (size_t i = 0; i < authority->watch_count; i++) {
        struct authority_watch *watch = authority->watches[i];
        bool meant = table == NULL ||
                     (strcmp(watch->table, table) == 0 && strcmp(watch->schema, schema) == 0);
        bool counts = lsn != 0 && watch->state == WATCH_SETTLED && watch->answered_lsn == lsn;
        if (!meant || counts || watch->dead) {
            continue;
        }
        watch->asked_lsn = lsn;
        request(watch, true);
        reload = true;
    }
    if (reload) {
        rt_counter_add(authority->config.stats->authority_reloads, 1);
        authority->waited_for = true;
        authority_pump(authority);
    }
    return reload;
}

void authority_new_epoch(struct authority *authority)
{
    fences_clear(&authority->fences);
    for (size_t i = 0; i < authority->watch_count; i++) {
        authority->watches[i]->answered_lsn = 0;
        authority->watches[i]->asked_lsn = 0;
    }
}
