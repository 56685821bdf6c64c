/* broker/view/views_sets_change.c - changes of membership tables: applied as they pass, and given to whom they concern when their transaction
 * is complete. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

/* --- snapshots that do not count any more ------------------------------------------------------- */

/* In the order of their answers: the first that is not past keeps those behind it, which costs nothing but memory. */
static void settle(struct views *views, uint32_t xid)
{
    struct views_fold *fold = views->young;

    while (xid != 0 && fold != NULL && fold->seen != NULL &&
           xid_snapshot_is_past(&fold->seen->snapshot, xid)) {
        for (uint32_t i = 0; i < fold->rules->kept->count; i++) {
            policy_set_settled(fold->keep->sets[i]);
        }
        views_young_drop(fold);
        fold = views->young;
    }
}

/* --- changes ------------------------------------------------------------------------------------- */

static void apply_to_all(struct views *views, struct policy_sets *sets,
                         const struct policy_kept_test *test, const struct relation *relation,
                         const struct wire_change *change, uint32_t xid)
{
    struct views_versions versions;

    if (change == NULL) {
        policy_sets_truncate(sets, xid);
    } else if (views_versions_read(views, test, relation, change, &versions)) {
        policy_sets_change(sets, xid, versions.new_row, versions.old_row);
    } else {
        policy_sets_spoil(sets);
    }
}

static void spoil_all(struct views *views)
{
    struct rt_map_iter iter = rt_map_begin(views->tests);

    for (struct views_tests *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        for (uint32_t i = 0; i < at->rules->kept->count; i++) {
            policy_sets_spoil(at->sets[i]);
        }
    }
    views_journal_clear(&views->journal);
    views_past_forget(views);
}

/* The oldest record that an answer on its way may need. */
static uint64_t needed(const struct views *views)
{
    uint64_t oldest = views->journal.next;

    for (size_t i = 0; i < VIEWS_FLIGHTS_ALL; i++) {
        const struct views_flight *flight = &views->flights[i];
        if (flight->folds && flight->count > 0 && flight->journal < oldest) {
            oldest = flight->journal;
        }
    }
    return oldest;
}

static void keep_in_mind(struct views *views, struct relation *relation,
                         const struct wire_change *change, uint32_t xid)
{
    if (!views_journal_add(&views->journal, relation, change, xid, needed(views))) {
        views_past_forget(views);
    }
    views_past_probe(views);
}

void views_change(struct views *views, struct relation *relation, const struct wire_change *change,
                  uint32_t xid)
{
    struct rt_map_iter iter = rt_map_begin(views->tests);
    bool applied = false;

    if (relation == NULL) {
        spoil_all(views);
        return;
    }
    settle(views, xid);
    for (struct views_tests *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        const struct policy_kept *kept = at->rules->kept;
        for (uint32_t i = 0; i < kept->count; i++) {
            if (kept->tests[i].table == relation->oid) {
                apply_to_all(views, at->sets[i], &kept->tests[i], relation, change, xid);
                applied = true;
            }
        }
    }
    if (applied) {
        keep_in_mind(views, relation, change, xid);
        rt_counter_add(views->set_changes, 1);
    }
}

/* --- whom it concerns ---------------------------------------------------------------------------- */

static void note_changed(struct views *views)
{
    struct rt_map_iter iter = rt_map_begin(views->tests);

    for (struct views_tests *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        for (uint32_t i = 0; i < at->rules->kept->count; i++) {
            struct policy_values *set = NULL;
            while ((set = policy_sets_changed(at->sets[i])) != NULL) {
                struct views_fold *fold = policy_set_user(set);
                views_link_add(&views->changed, &fold->keep->changed);
            }
        }
    }
}

/* Watches whose view is on its way get it by the constants of that moment. */
void views_note_due(struct views_fold *fold)
{
    struct views_keep *keep = fold->keep;

    for (struct views_link *at = fold->watches, *next = NULL; at != NULL; at = next) {
        const struct view_watch *watch = VIEWS_OWNER(at, struct view_watch, of_fold);
        next = at->next;
        if (watch->wait == NULL && watch->view != NULL) {
            views_link_drop(at);
            views_link_add(&keep->due, at);
        }
    }
    if (keep->due != NULL) {
        views_link_add(&views_of_fold(fold)->due, &keep->has_due);
    }
}

/* The next one that is due, which is its fold's again; NULL: none is left. */
static struct view_watch *take_due(struct views *views)
{
    while (views->due != NULL) {
        struct views_keep *keep = VIEWS_OWNER(views->due, struct views_keep, has_due);
        struct views_link *link = keep->due;
        if (link != NULL) {
            views_link_drop(link);
            views_link_add(&keep->fold->watches, link);
            return VIEWS_OWNER(link, struct view_watch, of_fold);
        }
        views_link_drop(&keep->has_due);
    }
    return NULL;
}

/* What it has was right until now; nothing tells when that ends but that a table is touched. */
static void lose(struct views_fold *fold)
{
    struct views *views = views_of_fold(fold);

    views_sets_drop(fold);
    views_seen_unref(fold->seen);
    fold->seen = NULL;
    views_link_add(&views->loose, &fold->keep->loose);
    rt_counter_add(views->set_losses, 1);
}

/* on_view may unwatch any watch. */
void views_deliver_due(struct views *views)
{
    struct view_watch *watch = NULL;

    while ((watch = take_due(views)) != NULL) {
        if (watch->wait == NULL) {
            views_deliver(watch);
        }
    }
}

static void deliver_changed(struct views *views)
{
    while (views->changed != NULL) {
        struct views_fold *fold = VIEWS_OWNER(views->changed, struct views_keep, changed)->fold;
        views_link_drop(&fold->keep->changed);
        if (!views_sets_current(fold)) {
            lose(fold);
        } else if (views_use_constants(fold, views_sets_constants(fold))) {
            views_note_due(fold);
        }
    }
    views_deliver_due(views);
}

static bool reads(const struct views_fold *fold, const uint32_t *oids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (views_test_of(fold->rules->kept, oids[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Also of those that nobody sees by yet: a watch may wait for its filter alone. */
static void doubt_loose(struct views *views, const uint32_t *oids, uint32_t count, uint32_t xid,
                        uint64_t lsn)
{
    struct view_watch *watch = NULL;

    for (struct views_link *at = views->loose; at != NULL; at = at->next) {
        struct views_fold *fold = VIEWS_OWNER(at, struct views_keep, loose)->fold;
        if (reads(fold, oids, count)) {
            views_refold(fold, xid);
            views_note_due(fold);
        }
    }
    while ((watch = take_due(views)) != NULL) {
        views->config.events->on_doubt(views->config.ctx, watch->user, xid, lsn);
    }
}

void views_touched(struct views *views, const uint32_t *oids, uint32_t count, uint32_t xid,
                   uint64_t lsn)
{
    note_changed(views);
    deliver_changed(views);
    doubt_loose(views, oids, count, xid, lsn);
}
