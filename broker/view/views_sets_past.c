/* broker/view/views_sets_past.c - answers that may be without a transaction which had passed before anybody listened.
 *
 * A commit can be in the stream some time before it is visible. When a table becomes one that sets are of (a first subscription, a
 * broker that starts, a hole in the stream), the last of its changes may have passed unheard, and the first answers may not see them: such
 * a set would be wrong for good. Whatever had passed by then had its number by then, so it is below the xmax of the first answer, and
 * an answer whose xmin is no lower sees all of it.
 *
 * One that is not as new as that is asked for again for a moment (the configuration's patience). Then it is
 * taken, as unsure, since a transaction can be open for hours; it is asked for once more when some answer is new enough.
 */
#include "broker/view/views_impl.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

static void note_unsure(struct views_fold *fold, bool unsure)
{
    struct views *views = views_of_fold(fold);
    struct views_link *link = &fold->keep->unsure;

    if (unsure == (link->at != NULL)) {
        return;
    }
    rt_gauge_set(views->unsure_count, views->unsure_count->value + (unsure ? 1 : -1));
    if (unsure) {
        views_link_add(&views->unsure, link);
    } else {
        views_link_drop(link);
    }
}

void views_past_unuse(struct views_fold *fold)
{
    note_unsure(fold, false);
}

bool views_past_take(struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    struct views_tests *tests = fold->keep->tests;
    rt_usec now = rt_now();

    if (tests->past == VIEWS_PAST_UNKNOWN) {
        tests->past = snapshot->xmax;
        tests->patient_until = now + views_of_fold(fold)->config.patience;
    }
    if (snapshot->xmin >= tests->past) {
        note_unsure(fold, false);
        return true;
    }
    if (now < tests->patient_until) {
        return false;
    }
    note_unsure(fold, true);
    return true;
}

void views_past_forget(struct views *views)
{
    struct rt_map_iter iter = rt_map_begin(views->tests);

    for (struct views_tests *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        at->past = VIEWS_PAST_UNKNOWN;
    }
}

static void ask_unsure(struct views *views, uint64_t xmin)
{
    for (struct views_link *at = views->unsure; at != NULL; at = at->next) {
        struct views_fold *fold = VIEWS_OWNER(at, struct views_keep, unsure)->fold;
        if (xmin >= fold->keep->tests->past) {
            views_ask(&fold->item); /* once: as long as it is under way, it is not asked again */
        }
    }
}

static uint64_t oldest_question(const struct views *views)
{
    uint64_t oldest = views->sent + 1;

    for (size_t i = 0; i < VIEWS_FLIGHTS_ALL; i++) {
        const struct views_flight *flight = &views->flights[i];
        if (flight->folds && flight->count > 0 && flight->number < oldest) {
            oldest = flight->number;
        }
    }
    return oldest;
}

void views_past_seen(struct views *views, const struct xid_snapshot *snapshot)
{
    views_journal_seen(&views->journal, snapshot, views->sent, oldest_question(views));
    ask_unsure(views, snapshot->xmin);
}

void views_past_tick(struct views *views, rt_usec now)
{
    struct views_fold *fold =
        views->unsure == NULL ? NULL : VIEWS_OWNER(views->unsure, struct views_keep, unsure)->fold;

    if (fold == NULL || views->unsure_at == 0) {
        views->unsure_at = fold == NULL ? 0 : now + VIEWS_PAST_REPEAT;
    } else if (now >= views->unsure_at) {
        views->unsure_at = now + VIEWS_PAST_REPEAT;
        views_ask(&fold->item);
    }
}

static struct views_fold *any_fold(struct views *views)
{
    struct views_folds all = { .identities = rt_roster_begin(views->identities) };
    struct views_fold *fold = views_folds_next(&all);

    while (fold != NULL && fold->keep == NULL) {
        fold = views_folds_next(&all);
    }
    return fold;
}

void views_past_probe(struct views *views)
{
    bool idle = views->fold_queue.first == NULL && oldest_question(views) > views->sent;

    if (views->journal.passed_count >= VIEWS_PASSED_MANY && idle) {
        struct views_fold *fold = any_fold(views);
        if (fold != NULL) {
            views_ask(&fold->item);
        }
    }
}
