/* broker/policy/sets.c - see sets.h. Which sets a change is for: sets_index.c. */
#include "broker/policy/sets.h"

#include <stdlib.h>
#include <string.h>

#include "broker/policy/sets_parts.h"

/* --- which changed -------------------------------------------------------------------------------- */

static void enlist(struct policy_values *set)
{
    struct policy_sets *sets = set->sets;

    if (set->changed_link == NULL) {
        set->changed_next = sets->changed;
        set->changed_link = &sets->changed;
        if (set->changed_next != NULL) {
            set->changed_next->changed_link = &set->changed_next;
        }
        sets->changed = set;
    }
}

static void forget(struct policy_values *set)
{
    if (set->changed_link != NULL) {
        *set->changed_link = set->changed_next;
        if (set->changed_next != NULL) {
            set->changed_next->changed_link = set->changed_link;
        }
        set->changed_link = NULL;
    }
}

struct policy_values *policy_sets_changed(struct policy_sets *sets)
{
    struct policy_values *set = sets->changed;

    if (set != NULL) {
        forget(set);
    }
    return set;
}

void policy_set_own(struct policy_values *set, void *user)
{
    set->user = user;
}

void *policy_set_user(const struct policy_values *set)
{
    return set->user;
}

/* --- counted values ------------------------------------------------------------------------------- */

static int compare_text(const struct counted *have, const char *text, size_t len)
{
    size_t shorter = have->len < len ? have->len : len;
    int order = shorter == 0 ? 0 : memcmp(have->text, text, shorter);

    return order != 0 ? order : (have->len > len) - (have->len < len);
}

/* Where the text is, or would be. */
static uint32_t find(const struct policy_values *set, const char *text, size_t len, bool *found)
{
    uint32_t low = 0;
    uint32_t high = set->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_text(&set->texts[middle], text, len) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < set->count && compare_text(&set->texts[low], text, len) == 0;
    return low;
}

/* Room for one more, and for the NULL at the end. */
static void make_room(struct policy_values *set)
{
    if (set->count + 2 > set->cap) {
        set->cap = set->cap == 0 ? 4 : set->cap * 2;
        set->values = rt_realloc(set->values, set->cap, sizeof(*set->values));
        set->texts = rt_realloc(set->texts, set->cap, sizeof(*set->texts));
    }
}

/* The list ends with a NULL if there is one. */
static void close_list(struct policy_values *set)
{
    set->list.count = set->count;
    if (set->nulls > 0) {
        make_room(set);
        set->values[set->list.count++] = policy_value_state(VALUE_NULL);
    }
    set->list.values = set->values;
}

static void insert(struct policy_values *set, uint32_t at, const char *text, size_t len)
{
    const struct policy_shape *element = &set->sets->element;

    make_room(set);
    memmove(&set->values[at + 1], &set->values[at], (set->count - at) * sizeof(*set->values));
    memmove(&set->texts[at + 1], &set->texts[at], (set->count - at) * sizeof(*set->texts));
    set->texts[at] = (struct counted){ rt_strndup(text, len), (uint32_t)len, 1 };
    set->values[at] = policy_value_parse(element->kind, set->texts[at].text, len, element->labels);
    set->count++;
}

static void drop(struct policy_values *set, uint32_t at)
{
    free(set->texts[at].text);
    set->count--;
    memmove(&set->values[at], &set->values[at + 1], (set->count - at) * sizeof(*set->values));
    memmove(&set->texts[at], &set->texts[at + 1], (set->count - at) * sizeof(*set->texts));
}

static void drop_all(struct policy_values *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        free(set->texts[i].text);
    }
    set->count = 0;
    set->nulls = 0;
}

static void free_pending(struct policy_values *set)
{
    for (uint32_t i = 0; i < set->pending_count; i++) {
        free(set->pending[i].text);
    }
    free(set->pending);
    set->pending = NULL;
    set->pending_count = 0;
}

static void end(struct policy_values *set)
{
    set->state = POLICY_SET_STALE;
    enlist(set);
    drop_all(set);
    free_pending(set);
}

/* It has other values: rows of the set above that it has judged would be judged otherwise, and which these are nobody knows. */
static void note(struct policy_values *set)
{
    enlist(set);
    if (set->above != NULL) {
        end(set->above);
    }
}

static void make_stale(struct policy_values *set)
{
    end(set);
    note(set);
}

void policy_set_spoil(struct policy_values *set)
{
    make_stale(set);
}

static void add(struct policy_values *set, const char *text, size_t len)
{
    bool found = false;

    if (text == NULL) {
        if (set->nulls++ == 0) {
            note(set);
        }
        return;
    }
    uint32_t at = find(set, text, len, &found);
    if (found) {
        set->texts[at].count++;
    } else {
        insert(set, at, text, len);
        note(set);
    }
}

/* False: it is not there, so what was thought of the table is wrong. */
static bool take(struct policy_values *set, const char *text, size_t len)
{
    bool found = false;

    if (text == NULL) {
        found = set->nulls > 0;
        set->nulls -= found;
        if (found && set->nulls == 0) {
            note(set);
        }
        return found;
    }
    uint32_t at = find(set, text, len, &found);
    if (found && --set->texts[at].count == 0) {
        drop(set, at);
        note(set);
    }
    return found;
}

/* --- changes -------------------------------------------------------------------------------------- */

static void apply(struct policy_values *set, const struct delta *delta)
{
    bool seen = set->has_snapshot && xid_snapshot_sees(&set->snapshot, delta->xid);

    if (seen || set->state == POLICY_SET_STALE) {
        return;
    }
    if (delta->sign == 0) {
        if (set->has_snapshot) {
            make_stale(set);
            return;
        }
        drop_all(set);
        note(set);
    } else if (delta->sign > 0) {
        add(set, delta->text, delta->len);
    } else if (!take(set, delta->text, delta->len)) {
        make_stale(set);
        return;
    }
    close_list(set);
}

static void keep(struct policy_values *set, const struct delta *delta)
{
    if (set->pending_count == SETS_PENDING_MAX) {
        make_stale(set);
        return;
    }
    /* Doubling at powers of two needs no capacity field. */
    if ((set->pending_count & (set->pending_count - 1)) == 0) {
        set->pending =
            rt_realloc(set->pending, set->pending_count == 0 ? 1 : (size_t)set->pending_count * 2,
                       sizeof(*set->pending));
    }
    struct kept_delta *kept = &set->pending[set->pending_count++];
    *kept = (struct kept_delta){
        .delta = *delta,
        .text = delta->text == NULL ? NULL : rt_strndup(delta->text, delta->len),
    };
    kept->delta.text = kept->text;
}

void set_take(struct policy_values *set, const struct delta *delta)
{
    if (set->state == POLICY_SET_LOADING) {
        keep(set, delta);
    } else {
        apply(set, delta);
    }
}

/* Whether the transaction's changes are in the answer already: then they need not be judged. */
static bool knows(const struct policy_values *set, uint32_t xid)
{
    return set->state == POLICY_SET_STALE ||
           (set->state == POLICY_SET_CURRENT && set->has_snapshot &&
            xid_snapshot_sees(&set->snapshot, xid));
}

void set_judge(struct policy_values *set, uint32_t xid, struct policy_row *row, int sign)
{
    const struct policy_sets *sets = set->sets;

    if (knows(set, xid)) {
        return;
    }
    uint8_t outcomes = policy_eval(sets->members, set->constants, row, 0);
    if ((outcomes & (OUTCOME_TRUE | OUTCOME_ERROR | OUTCOME_MISSING)) == 0) {
        return; /* it does not count, for certain */
    }
    const struct policy_cell *cell =
        sets->value <= row->count ? &row->cells[sets->value - 1] : NULL;
    bool known = cell != NULL && (cell->kind == POLICY_CELL_TEXT || cell->kind == POLICY_CELL_NULL);
    if (outcomes != OUTCOME_TRUE || !known) {
        make_stale(set);
        return;
    }
    bool null = cell->kind == POLICY_CELL_NULL;
    set_take(set, &(struct delta){ .xid = xid,
                                   .sign = sign,
                                   .text = null ? NULL : cell->text,
                                   .len = null ? 0 : cell->len });
}

/* --- life ----------------------------------------------------------------------------------------- */

struct policy_values *policy_set_new(struct policy_sets *sets,
                                     const struct policy_binding *constants)
{
    struct policy_values *set = rt_alloc(sizeof(*set));

    set->sets = sets;
    set->constants = constants;
    set->state = POLICY_SET_LOADING;
    sets_index_add(set);
    return set;
}

void policy_set_rest(struct policy_values *set, struct policy_values *below)
{
    below->above = set;
    below->beside = set->below;
    set->below = below;
    if (below->state != POLICY_SET_CURRENT) {
        end(set);
    }
}

/* From what it rests on, and from what rests on it. */
static void part(struct policy_values *set)
{
    struct policy_values **link = set->above == NULL ? NULL : &set->above->below;

    while (link != NULL && *link != set) {
        link = &(*link)->beside;
    }
    if (link != NULL) {
        *link = set->beside;
    }
    for (struct policy_values *at = set->below; at != NULL; at = at->beside) {
        at->above = NULL;
    }
}

void policy_set_free(struct policy_values *set)
{
    if (set == NULL) {
        return;
    }
    sets_index_remove(set);
    make_stale(set);
    part(set);
    forget(set);
    policy_set_settled(set);
    free(set->values);
    free(set->texts);
    free(set);
}

static bool read_values(struct policy_values *set, const char *text, size_t len)
{
    struct policy_array array;
    char *scratch = rt_alloc(len + 1);
    const char *element = NULL;
    size_t element_len = 0;
    bool is_null = false;

    policy_array_open(&array, text, len);
    while (policy_array_next(&array, scratch, &element, &element_len, &is_null)) {
        add(set, is_null ? NULL : element, element_len);
    }
    free(scratch);
    return !array.bad;
}

bool policy_set_load(struct policy_values *set, const char *array, size_t len,
                     const struct xid_snapshot *snapshot)
{
    if (set->state != POLICY_SET_LOADING || !read_values(set, array, len)) {
        make_stale(set);
        return false;
    }
    xid_snapshot_copy(&set->snapshot, snapshot);
    set->has_snapshot = true;
    set->state = POLICY_SET_CURRENT;
    for (uint32_t i = 0; i < set->pending_count && set->state == POLICY_SET_CURRENT; i++) {
        apply(set, &set->pending[i].delta);
    }
    free_pending(set);
    close_list(set);
    forget(set);
    return set->state == POLICY_SET_CURRENT;
}

void policy_set_settled(struct policy_values *set)
{
    if (set->has_snapshot) {
        xid_snapshot_fini(&set->snapshot);
        set->has_snapshot = false;
    }
}

enum policy_set_state policy_set_state(const struct policy_values *set)
{
    return set->state;
}

const struct policy_list *policy_set_list(const struct policy_values *set)
{
    return set->state == POLICY_SET_CURRENT ? &set->list : NULL;
}
