/* broker/view/views_sets.c - constants that are sets of membership tests, kept from the stream.
 *
 * A fold whose rules can be kept is asked for `rules->kept->asked`: its sets come with every value as often as it is there, and
 * with the constants that tell which rows count. Changes that the answer's snapshot did not see are read from the journal; from
 * then on each comes once, as it passes. What a view is given is a copy: constants never change.
 *
 * A set that a change cannot be applied to, or that is too large to be copied with each, is lost, and its fold loose: it is asked for anew when one of its tables is touched,
 * as all are whose rules cannot be kept.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

static void add_to_gauge(struct rt_gauge *gauge, double by)
{
    rt_gauge_set(gauge, gauge->value + by);
}

/* --- sets of some rules -------------------------------------------------------------------------- */

void views_sets_use(struct views_fold *fold)
{
    struct rt_map *all = views_of_fold(fold)->tests;
    const struct policy_kept *kept = fold->rules->kept;

    if (kept == NULL || !views_of_fold(fold)->config.keeps) {
        return;
    }
    struct views_tests *tests = rt_map_get_u64(all, fold->rules->serial);
    if (tests == NULL) {
        tests = rt_alloc(sizeof(*tests));
        tests->rules = policy_rules_ref(fold->rules);
        tests->past = VIEWS_PAST_UNKNOWN;
        tests->sets = rt_alloc(kept->count * sizeof(struct policy_sets *));
        for (uint32_t i = 0; i < kept->count; i++) {
            const struct policy_kept_test *test = &kept->tests[i];
            tests->sets[i] = policy_sets_new(test->members, test->value, &test->element);
        }
        rt_map_put_u64(all, fold->rules->serial, tests);
    }
    tests->users++;
    fold->keep = rt_alloc(sizeof(*fold->keep));
    fold->keep->fold = fold;
    fold->keep->tests = tests;
}

/* --- the young: while the answer's snapshot says which changes are in it ------------------------- */

static void young_add(struct views_fold *fold)
{
    struct views *views = views_of_fold(fold);

    fold->keep->young_previous = views->youngest;
    if (views->youngest != NULL) {
        views->youngest->keep->young_next = fold;
    } else {
        views->young = fold;
    }
    views->youngest = fold;
}

void views_young_drop(struct views_fold *fold)
{
    struct views *views = views_of_fold(fold);
    struct views_keep *keep = fold->keep;

    if (fold != views->young && keep->young_previous == NULL) {
        return;
    }
    if (keep->young_previous != NULL) {
        keep->young_previous->keep->young_next = keep->young_next;
    } else {
        views->young = keep->young_next;
    }
    if (keep->young_next != NULL) {
        keep->young_next->keep->young_previous = keep->young_previous;
    } else {
        views->youngest = keep->young_previous;
    }
    keep->young_next = NULL;
    keep->young_previous = NULL;
}

/* --- a fold's sets ------------------------------------------------------------------------------- */

void views_sets_drop(struct views_fold *fold)
{
    struct views *views = views_of_fold(fold);
    struct views_keep *keep = fold->keep;
    uint32_t count = keep->sets == NULL ? 0 : fold->rules->kept->count;

    views_young_drop(fold);
    views_link_drop(&keep->changed);
    for (uint32_t i = 0; i < count; i++) {
        policy_set_free(keep->sets[i]);
    }
    add_to_gauge(views->set_count, -(double)count);
    free(keep->sets);
    keep->sets = NULL;
    view_constants_unref(keep->base);
    keep->base = NULL;
    keep->kept = false;
}

void views_sets_unuse(struct views_fold *fold)
{
    if (fold->keep == NULL) {
        return;
    }
    struct views_tests *tests = fold->keep->tests;
    views_link_drop(&fold->keep->loose);
    views_link_drop(&fold->keep->has_due);
    views_past_unuse(fold);
    views_sets_drop(fold);
    free(fold->keep);
    fold->keep = NULL;
    if (--tests->users == 0) {
        (void)rt_map_remove_u64(views_of_fold(fold)->tests, tests->rules->serial);
        for (uint32_t i = 0; i < tests->rules->kept->count; i++) {
            policy_sets_free(tests->sets[i]);
        }
        free(tests->sets);
        policy_rules_unref(tests->rules);
        free(tests);
    }
}

void views_sets_fini(struct views *views)
{
    rt_map_free(views->tests);
    views_journal_clear(&views->journal);
    free(views->cells[0]);
    free(views->cells[1]);
    free(views->numbers);
}

/* --- an answer ----------------------------------------------------------------------------------- */

const struct policy_kept_test *views_test_of(const struct policy_kept *kept, uint32_t oid)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        if (kept->tests[i].table == oid) {
            return &kept->tests[i];
        }
    }
    return NULL;
}

/* Whether a change came that the answer does not have. */
static bool misses(const struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    const struct views_record *at = views_of_fold(fold)->journal.first;

    for (; at != NULL; at = at->next) {
        if (!xid_snapshot_sees(snapshot, at->xid) &&
            views_test_of(fold->rules->kept, at->relation->oid) != NULL) {
            return true;
        }
    }
    return false;
}

static void apply_record(struct views_fold *fold, uint32_t number,
                         const struct views_record *record)
{
    const struct policy_kept_test *test = &fold->rules->kept->tests[number];
    struct policy_values *set = fold->keep->sets[number];
    struct views_versions versions;

    if (test->table != record->relation->oid) {
        return;
    }
    if (record->truncate) {
        policy_set_truncate(set, record->xid);
    } else if (views_versions_read(views_of_fold(fold), test, record->relation, &record->change,
                                   &versions)) {
        policy_set_change(set, record->xid, versions.new_row, versions.old_row);
    } else {
        policy_set_spoil(set);
    }
}

static void catch_up(struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    const struct views_record *at = views_of_fold(fold)->journal.first;

    for (; at != NULL; at = at->next) {
        if (xid_snapshot_sees(snapshot, at->xid)) {
            continue;
        }
        for (uint32_t i = 0; i < fold->rules->kept->count; i++) {
            apply_record(fold, i, at);
        }
    }
}

static bool rests_on(const struct policy_kept *kept, uint32_t number, uint32_t other)
{
    return kept->tests[other].above == number + 1;
}

/* Of those that are sets themselves, the values right now, each once: a copy, since the index of sets reads them again when this one goes. */
static void use_inner(const struct views_fold *fold, uint32_t number, struct policy_value *values)
{
    const struct policy_kept *kept = fold->rules->kept;
    struct policy_arena *arena = &fold->keep->base->policy.arena;

    for (uint32_t i = number + 1; i < kept->count; i++) {
        const struct policy_list *list =
            rests_on(kept, number, i) ? policy_set_list(fold->keep->sets[i]) : NULL;
        if (list != NULL) {
            values[kept->tests[i].fold - kept->tests[number].first] = views_array(arena, list);
        }
    }
}

/* The constants that tell which rows count. */
static struct policy_binding *constants_of(const struct views_fold *fold, uint32_t number)
{
    const struct policy_kept_test *test = &fold->rules->kept->tests[number];
    struct view_constants *base = fold->keep->base;
    struct policy_arena *arena = &base->policy.arena;
    struct policy_binding *own = policy_arena_alloc(arena, sizeof(*own));
    uint32_t count = test->members->fold_count;

    *own = (struct policy_binding){ .count = count,
                                    .values = base->policy.binding.values + test->first };
    if (test->members->table_count > 0) {
        struct policy_value *values = policy_arena_alloc(arena, count * sizeof(*values));
        memcpy(values, own->values, count * sizeof(*values));
        use_inner(fold, number, values);
        own->values = values;
    }
    return own;
}

/* Those that it rests on have been loaded. */
static bool load_set(struct views_fold *fold, uint32_t number, const struct xid_snapshot *snapshot)
{
    const struct policy_kept *kept = fold->rules->kept;
    struct views_keep *keep = fold->keep;
    const struct policy_binding *all = &keep->base->policy.binding;
    const struct policy_value *value = &all->values[kept->tests[number].fold];
    struct policy_values *set =
        policy_set_new(keep->tests->sets[number], constants_of(fold, number));

    policy_set_own(set, fold);
    keep->sets[number] = set;
    bool good = value->state == VALUE_KNOWN && value->kind == POLICY_KIND_ARRAY &&
                policy_set_load(set, value->text, value->len, snapshot);
    for (uint32_t i = number + 1; i < kept->count; i++) {
        if (rests_on(kept, number, i)) {
            policy_set_rest(set, keep->sets[i]);
        }
    }
    return good;
}

bool views_sets_current(const struct views_fold *fold)
{
    for (uint32_t i = 0; i < fold->rules->kept->count; i++) {
        const struct policy_values *set = fold->keep->sets[i];
        if (policy_set_state(set) != POLICY_SET_CURRENT ||
            policy_set_list(set)->count > VIEWS_SET_MAX) {
            return false;
        }
    }
    return true;
}

static bool load_sets(struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    uint32_t count = fold->rules->kept->count;
    bool good = true;

    fold->keep->sets = rt_alloc(count * sizeof(struct policy_values *));
    add_to_gauge(views_of_fold(fold)->set_count, count);
    for (uint32_t i = count; i > 0; i--) { /* what decides about the rows of another is behind it */
        good = load_set(fold, i - 1, snapshot) && good;
    }
    if (good) {
        catch_up(fold, snapshot);
    }
    return good && views_sets_current(fold);
}

bool views_sets_take(struct views_fold *fold, const struct policy_answer_text *answer,
                     const struct xid_snapshot *snapshot, uint64_t journal)
{
    struct views *views = views_of_fold(fold);

    if (snapshot == NULL || !views_journal_covers(&views->journal, journal, snapshot) ||
        !views_past_take(fold, snapshot)) {
        return false;
    }
    views_sets_drop(fold);
    struct views_keep *keep = fold->keep;
    keep->base = rt_alloc(sizeof(*keep->base));
    keep->base->refs = 1;
    bool good =
        policy_fold_read(&keep->base->policy, fold->rules->kept->asked, answer->text, answer->len);
    keep->kept = good && !keep->base->policy.binding.refused && load_sets(fold, snapshot);
    if (keep->kept) {
        views_link_drop(&keep->loose);
        young_add(fold);
        (void)views_use_constants(fold, views_sets_constants(fold));
        return true;
    }
    keep->base->refs++;
    (void)views_use_constants(fold, keep->base);
    views_sets_drop(fold);
    views_link_add(&views->loose, &keep->loose);
    return !misses(fold, snapshot);
}
