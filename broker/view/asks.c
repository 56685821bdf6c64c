/* broker/view/asks.c - what views ask, and what the answers come to.
 *
 * An ask is up to two questions: about the policies, and about the filter. Both must say yes, and neither may raise an error, so
 * their order does not matter, and each is asked once, for whoever needs it. */
#include "broker/view/asks.h"

#include <stdlib.h>

#include "broker/policy/rules.h"
#include "broker/view/asks_impl.h"
#include "broker/view/view_parts.h"

enum { PART_POLICIES, PART_FILTER, PARTS };

/* Of one view about one change. */
struct ask {
    uint64_t lsn;
    uint32_t index;
    uint8_t want; /* versions that are asked about */
    uint8_t no;   /* of these: known without asking */
    uint8_t wants[PARTS];
    struct question *questions[PARTS]; /* NULL: none; referenced */
    struct ask *next;                  /* of the view, in the order of the stream */
};

/* Changes are asked about, and asked for again, in the order of the stream: `found` is where to look first. */
struct asked_view {
    struct view *view; /* referenced */
    struct ask *first;
    struct ask *last;
    struct ask *found;
};

static bool is_of(const struct ask *ask, uint64_t lsn, uint32_t index)
{
    return ask != NULL && ask->lsn == lsn && ask->index == index;
}

static struct ask *find_ask(struct asked_view *asked, uint64_t lsn, uint32_t index)
{
    if (asked == NULL || is_of(asked->found, lsn, index)) {
        return asked == NULL ? NULL : asked->found;
    }
    if (asked->found != NULL && is_of(asked->found->next, lsn, index)) {
        asked->found = asked->found->next;
        return asked->found;
    }
    const struct ask *last = asked->last;
    bool newer = last != NULL && (last->lsn < lsn || (last->lsn == lsn && last->index < index));
    struct ask *at = newer ? NULL : asked->first;
    while (at != NULL && !is_of(at, lsn, index)) {
        at = at->next;
    }
    asked->found = at != NULL ? at : asked->found;
    return at;
}

static struct asked_view *find_asked(const struct asks *asks, const struct view *view)
{
    return rt_map_get_u64(asks->views, (uint64_t)(uintptr_t)view);
}

/* --- what has to be asked ----------------------------------------------------------------------- */

static bool policies_ask(const struct view *view, const struct match_row *row)
{
    const struct policy_rules *rules = view->access->rules;
    struct view_image *image = row->context;

    return rules != NULL &&
           outcome_answer(policy_eval(rules->program, &view->constants->policy.binding,
                                      view_image_row(image, rules), image->now)) == POLICY_ASK;
}

static bool filter_asks(const struct view *view, const struct match_row *row)
{
    return view->filter != NULL &&
           filter_judge(view->filter, view_image_row(row->context, view->access->rules)) ==
               MATCH_ASK;
}

static void find_wants(struct ask *ask, const struct view *view, const struct ask_change *change)
{
    const struct match_row *rows[ASK_VERSIONS] = { view_change_new_row(change->rows),
                                                   view_change_old_row(change->rows) };

    for (int i = 0; i < ASK_VERSIONS; i++) {
        uint8_t bit = (uint8_t)(1u << i);
        if ((ask->want & bit) != 0 && rows[i] == NULL) {
            ask->no |= bit;
        } else if ((ask->want & bit) != 0 && view->filter == NULL) {
            ask->wants[PART_POLICIES] |= bit;
        } else if ((ask->want & bit) != 0) {
            ask->wants[PART_POLICIES] |= policies_ask(view, rows[i]) ? bit : 0;
            ask->wants[PART_FILTER] |= filter_asks(view, rows[i]) ? bit : 0;
        }
    }
}

/* PostgreSQL could not know either. A filter's columns are there: filter_judge() says no without one. */
static void leave_incomplete(struct asks *asks, struct ask *ask, const struct view *view,
                             const struct asks_change *change)
{
    for (int i = 0; i < ASK_VERSIONS; i++) {
        uint8_t bit = (uint8_t)(1u << i);
        if ((ask->wants[PART_POLICIES] & bit) == 0) {
            continue;
        }
        const struct policy_asking *asking = &view->access->rules->program->asking;
        if (!asks_change_has(change, i, asking->whole_row ? NULL : asking->columns,
                             asking->column_count)) {
            rt_counter_add(asks->metrics.incomplete, 1);
            ask->no |= bit;
        }
    }
    for (int part = 0; part < PARTS; part++) {
        ask->wants[part] &= (uint8_t)~ask->no;
    }
}

/* False: there are too many questions. */
static bool put_questions(struct asks *asks, struct ask *ask, struct view *view,
                          const struct ask_change *from)
{
    struct asks_change *change = asks_change_get(asks, view, from);
    bool good = true;

    leave_incomplete(asks, ask, view, change);
    if (ask->wants[PART_POLICIES] != 0) {
        ask->questions[PART_POLICIES] =
            question_of_rules(asks, view, change, ask->wants[PART_POLICIES]);
        good = ask->questions[PART_POLICIES] != NULL;
    }
    if (good && ask->wants[PART_FILTER] != 0) {
        ask->questions[PART_FILTER] =
            question_of_filter(asks, view, change, ask->wants[PART_FILTER]);
        good = ask->questions[PART_FILTER] != NULL;
    }
    asks_change_unref(asks, change);
    return good;
}

static void free_ask(struct ask *ask)
{
    for (int part = 0; part < PARTS; part++) {
        if (ask->questions[part] != NULL) {
            question_unref(ask->questions[part]);
        }
    }
    free(ask);
}

static void keep_ask(struct asks *asks, struct asked_view *asked, struct ask *ask,
                     struct view *view)
{
    if (asked == NULL) {
        asked = rt_alloc(sizeof(*asked));
        asked->view = view_ref(view);
        rt_map_put_u64(asks->views, (uint64_t)(uintptr_t)view, asked);
    }
    *(asked->last != NULL ? &asked->last->next : &asked->first) = ask;
    asked->last = ask;
}

static struct ask *new_ask(struct asks *asks, struct asked_view *asked, struct view *view,
                           const struct ask_change *change, const struct view_verdict *verdict)
{
    struct ask *ask = rt_alloc(sizeof(*ask));

    ask->lsn = change->lsn;
    ask->index = change->index;
    ask->want = (uint8_t)((verdict->on_new == MATCH_ASK ? ASK_NEW : 0) |
                          (verdict->on_old == MATCH_ASK ? ASK_OLD : 0));
    find_wants(ask, view, change);
    if (!put_questions(asks, ask, view, change)) {
        rt_counter_add(asks->metrics.failures[ASK_FAILURE_FULL], 1);
        rt_log_warn(asks->config.log, "asks.too_many", RT_U("pending", asks->pending));
        free_ask(ask);
        return NULL;
    }
    keep_ask(asks, asked, ask, view);
    return ask;
}

/* --- what it came to ---------------------------------------------------------------------------- */

static enum ask_state judge(const struct ask *ask, uint8_t bit, enum match_verdict *out)
{
    enum ask_state state = ASK_ANSWERED;

    *out = (ask->no & bit) != 0 ? MATCH_NO : MATCH_YES;
    for (int part = 0; part < PARTS && *out == MATCH_YES; part++) {
        const struct question *question = ask->questions[part];
        if ((ask->wants[part] & bit) == 0) {
            continue;
        }
        if (question->state == QUESTION_ANSWERED) {
            *out = (question->yes & bit) != 0 ? MATCH_YES : MATCH_NO;
        } else if (state != ASK_FAILED) {
            state = question->state == QUESTION_FAILED ? ASK_FAILED : ASK_PENDING;
        }
    }
    return *out == MATCH_NO ? ASK_ANSWERED : state;
}

enum ask_state asks_get(struct asks *asks, struct view *view, const struct ask_change *change,
                        struct view_verdict *verdict)
{
    enum match_verdict *const out[ASK_VERSIONS] = { &verdict->on_new, &verdict->on_old };
    enum match_verdict decided[ASK_VERSIONS] = { MATCH_NO, MATCH_NO };
    enum ask_state worst = ASK_ANSWERED;

    if (verdict->on_new != MATCH_ASK && verdict->on_old != MATCH_ASK) {
        return ASK_ANSWERED;
    }
    struct asked_view *asked = find_asked(asks, view);
    struct ask *ask = find_ask(asked, change->lsn, change->index);
    if (ask == NULL && (ask = new_ask(asks, asked, view, change, verdict)) == NULL) {
        return ASK_FAILED;
    }
    for (int i = 0; i < ASK_VERSIONS; i++) {
        if (*out[i] == MATCH_ASK) {
            enum ask_state state = judge(ask, (uint8_t)(1u << i), &decided[i]);
            worst = state == ASK_FAILED || worst == ASK_FAILED ? ASK_FAILED
                    : state == ASK_PENDING                     ? ASK_PENDING
                                                               : worst;
        }
    }
    for (int i = 0; i < ASK_VERSIONS && worst == ASK_ANSWERED; i++) {
        *out[i] = *out[i] == MATCH_ASK ? decided[i] : *out[i];
    }
    return worst;
}

/* --- the end of asks ---------------------------------------------------------------------------- */

static void drop_first(struct asked_view *asked)
{
    struct ask *ask = asked->first;

    asked->first = ask->next;
    asked->last = asked->first == NULL ? NULL : asked->last;
    asked->found = asked->found == ask ? asked->first : asked->found;
    free_ask(ask);
}

void asks_forget(struct asks *asks, const struct view *view, uint64_t lsn, uint32_t index)
{
    struct asked_view *asked = find_asked(asks, view);

    while (
        asked != NULL && asked->first != NULL &&
        (asked->first->lsn < lsn || (asked->first->lsn == lsn && asked->first->index <= index))) {
        drop_first(asked);
    }
    if (asked != NULL && asked->first == NULL) {
        rt_map_remove_u64(asks->views, (uint64_t)(uintptr_t)view);
        view_unref(asked->view);
        free(asked);
    }
}

/* --- life --------------------------------------------------------------------------------------- */

static void tell(struct asks *asks)
{
    if (asks->news) {
        asks->news = false;
        asks->config.on_answers(asks->config.ctx);
    }
}

static void on_dispatch(void *ctx)
{
    batches_dispatch(ctx);
}

static void on_deadline(void *ctx)
{
    questions_fail_late(ctx);
    tell(ctx);
}

struct asks *asks_new(const struct asks_config *config)
{
    struct asks *asks = rt_alloc(sizeof(*asks));
    struct rt_map **const maps[] = { &asks->shapes, &asks->changes, &asks->groups, &asks->topics,
                                     &asks->views };

    asks->config = *config;
    asks_metrics_init(&asks->metrics, config->metrics);
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        *maps[i] = rt_map_new();
    }
    asks->seed[0] = rt_random64();
    asks->seed[1] = rt_random64();
    asks->nonce = rt_random64();
    asks->dispatch = rt_defer_new(config->loop, on_dispatch, asks);
    asks->deadline = rt_timer_new(config->loop, on_deadline, asks);
    asks->retry = rt_timer_new(config->loop, on_dispatch, asks);
    return asks;
}

/* Questions and changes go with the last who refers to them: asks, then batches. */
static void free_asks(struct asks *asks)
{
    struct rt_map_iter iter = rt_map_begin(asks->views);

    for (struct asked_view *asked = rt_map_next(&iter); asked != NULL; asked = rt_map_next(&iter)) {
        while (asked->first != NULL) {
            drop_first(asked);
        }
        view_unref(asked->view);
        free(asked);
    }
}

void asks_free(struct asks *asks)
{
    if (asks == NULL) {
        return;
    }
    free_asks(asks);
    batches_free(asks);
    rt_defer_free(asks->dispatch);
    rt_timer_free(asks->deadline);
    rt_timer_free(asks->retry);
    rt_map_free(asks->shapes);
    rt_map_free(asks->changes);
    rt_map_free(asks->groups);
    rt_map_free(asks->topics);
    rt_map_free(asks->views);
    free(asks);
}
