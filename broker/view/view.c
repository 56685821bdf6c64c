/* broker/view/view.c - counted views, and the verdict of one on a row. */
#include "broker/view/view.h"

#include <stdlib.h>

#include "broker/view/view_parts.h"

void view_identity_unref(struct view_identity *identity)
{
    if (--identity->refs > 0) {
        return;
    }
    view_identity_rest(identity);
    if (identity->maker->on_last != NULL) {
        identity->maker->on_last(identity);
    }
    free(identity);
}

const struct policy_identity *view_identity_policy(struct view_identity *identity)
{
    if (identity->policy == NULL) {
        identity->policy = identity->maker->policy(identity);
    }
    return identity->policy;
}

void view_identity_rest(struct view_identity *identity)
{
    if (identity->maker->forget != NULL && identity->policy != NULL) {
        identity->maker->forget(identity->policy);
        identity->policy = NULL;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): once */
void view_constants_unref(struct view_constants *constants)
{
    if (constants != NULL && --constants->refs == 0) {
        struct view_constants *base = constants->based ? constants->base[0] : NULL;
        policy_constants_fini(&constants->policy);
        free(constants);
        view_constants_unref(base); /* has none itself */
    }
}

struct view *view_ref(struct view *view)
{
    view->refs++;
    return view;
}

void view_unref(struct view *view)
{
    if (view == NULL || --view->refs > 0) {
        return;
    }
    access_unref(view->access);
    view_identity_unref(view->identity);
    view_constants_unref(view->constants);
    filter_program_unref(view->filter);
    free(view);
}

/* --- judging ----------------------------------------------------------------------------------- */

/* A system column cannot be asked about: an image of a row has none. */
static enum match_verdict verdict_of(uint8_t set, bool never)
{
    switch (outcome_answer(set)) {
    case POLICY_DELIVER:
        return MATCH_YES;
    case POLICY_ASK:
        return never ? MATCH_NO : MATCH_ASK;
    case POLICY_DENY:
        break;
    }
    return MATCH_NO;
}

/* The filter only narrows: where the policies say no, it is not looked at. */
static enum match_verdict judge(const struct view *view, struct view_image *image)
{
    const struct policy_rules *rules = view->access->rules;
    struct policy_row *row = view_image_row(image, rules);
    enum match_verdict seen = MATCH_YES;
    enum match_verdict wanted = MATCH_YES;
    uint8_t last = OUTCOME_TRUE; /* the set that decided */

    if (rules != NULL) {
        last = policy_eval(rules->program, &view->constants->policy.binding, row, image->now);
        seen = verdict_of(last, rules->program->never);
    }
    if (view->filter != NULL && seen != MATCH_NO) {
        last = filter_eval(view->filter, row);
        wanted = verdict_of(last, false);
    }
    if (seen == MATCH_NO || wanted == MATCH_NO) {
        if ((last & OUTCOME_MISSING) != 0) {
            view_image_blinded(image, view);
        }
        return MATCH_NO;
    }
    return seen == MATCH_YES && wanted == MATCH_YES ? MATCH_YES : MATCH_ASK;
}

static enum match_verdict program_judge(const struct match_program *program, const void *constants,
                                        const struct match_row *row)
{
    const struct view *view = constants;

    (void)program;
    return view->every_row ? MATCH_YES : judge(view, row->context);
}

static void program_release(const struct match_program *program, void *constants)
{
    (void)program;
    view_unref(constants);
}

/* The constants, with what they keep in one piece with themselves, and what a hit is for. */
static void program_ahead(const struct match_program *program, const void *constants)
{
    enum { LINE = 64 };
    const struct view *view = constants;
    const char *behind = (const char *)view->constants;

    (void)program;
    __builtin_prefetch(behind);
    __builtin_prefetch(behind + LINE);
    __builtin_prefetch(behind + (size_t)2 * LINE);
    __builtin_prefetch(view->user);
    __builtin_prefetch((const char *)view->user + LINE);
}

const struct match_program view_program = { .judge = program_judge,
                                            .ahead = program_ahead,
                                            .release = program_release };

uint32_t view_columns(const struct view *view)
{
    if (view->program != &view_program) {
        return UINT32_MAX; /* who knows */
    }
    const struct policy_rules *rules = view->access->rules;
    uint32_t policies = rules == NULL ? 0 : rules->program->column_count;
    uint32_t filter = view->filter == NULL ? 0 : filter_program_highest(view->filter);

    return policies > filter ? policies : filter;
}

static enum match_verdict judge_version(const struct view *view, const struct match_row *row)
{
    return row == NULL ? MATCH_NO : view->program->judge(view->program, view, row);
}

struct view_verdict view_judge(const struct view *view, const struct view_change *rows)
{
    return (struct view_verdict){ judge_version(view, view_change_new_row(rows)),
                                  judge_version(view, view_change_old_row(rows)) };
}
