/* broker/view/views.c - watches: what each waits for, its deadline, its view. */
#include "broker/view/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "pg/pool.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

#define TICK (100 * RT_MSEC)

static struct views *views_of(const struct view_watch *watch)
{
    return watch->name->views;
}

/* The fold, if it is to be asked for: without rules there is nothing to ask. */
static struct views_fold *asked_for(const struct view_watch *watch)
{
    return watch->fold == NULL || watch->fold->rules == NULL ? NULL : watch->fold;
}

/* --- waiting ------------------------------------------------------------------------------------- */

static void look_again(struct view_watch *watch)
{
    views_link_drop(&watch->wait->item);
    views_link_add(&views_of(watch)->dirty, &watch->wait->look);
    rt_defer_schedule(views_of(watch)->settle);
}

void views_wake(struct views_item *item)
{
    while (item->question != NULL && item->question->waiting != NULL) {
        look_again(VIEWS_OWNER(item->question->waiting, struct views_wait, item)->watch);
    }
}

static void start(struct view_watch *watch)
{
    struct views_wait *wait = watch->wait;

    if (wait == NULL) {
        wait = rt_alloc(sizeof(*wait));
        wait->watch = watch;
        watch->wait = wait;
    }
    wait->late = false;
    wait->deadline = rt_now() + views_of(watch)->config.deadline;
    views_link_add(&views_of(watch)->unready, &wait->unready);
    look_again(watch);
}

static void stop(struct view_watch *watch)
{
    struct views_wait *wait = watch->wait;

    if (wait != NULL) {
        views_link_drop(&wait->unready);
        views_link_drop(&wait->look);
        views_link_drop(&wait->item);
        free(wait);
        watch->wait = NULL;
    }
}

/* --- the end of waiting: the callbacks may end the watch ----------------------------------------- */

static void refuse(struct view_watch *watch, int code, const char *message)
{
    struct views *views = views_of(watch);

    stop(watch);
    view_unref(watch->view);
    watch->view = NULL;
    rt_counter_add(views->refused, 1);
    views->config.events->on_view(views->config.ctx, watch->user, NULL, code, message);
}

static struct views_filter *filter_of(const struct view_watch *watch)
{
    return watch->wish == NULL ? NULL : watch->wish->filter;
}

static void deliver(struct view_watch *watch)
{
    struct views *views = views_of(watch);
    struct view_constants *constants = watch->fold->constants; /* NULL without rules */
    struct filter_program *filter = filter_of(watch) == NULL ? NULL : filter_of(watch)->program;
    const struct view *last = watch->view;

    stop(watch);
    if (last == NULL || last->access != watch->access || last->constants != constants ||
        last->filter != filter) {
        view_unref(watch->view);
        watch->view =
            view_make(watch->access, watch->fold->identity, constants, filter, &views->seeds);
    }
    struct view *view = view_ref(watch->view);
    views->config.events->on_view(views->config.ctx, watch->user, view, 0, NULL);
    view_unref(view);
}

static void refuse_late(struct view_watch *watch)
{
    const char *trouble = pg_pool_trouble(views_of(watch)->config.pool);

    refuse(watch, WIRE_CODE_SUBSCRIPTION_FAILED,
           trouble != NULL ? "database is not reachable; try again later"
                           : "the database did not say in time what this identity may see; try "
                             "again later");
}

/* A SELECT of this identity raises the same error. */
static void refuse_unplanned(struct view_watch *watch)
{
    const char *error = watch->fold->constants->policy.error;
    struct rt_buf text = { .data = NULL };

    rt_buf_printf(&text,
                  "PostgreSQL refuses the table's row-level security policies for this "
                  "identity: %s",
                  error == NULL ? "the broker's log says more" : error);
    refuse(watch, WIRE_CODE_FORBIDDEN, rt_buf_cstr(&text));
    rt_buf_fini(&text);
}

void views_deliver(struct view_watch *watch)
{
    if (asked_for(watch) != NULL && watch->fold->constants->policy.binding.refused) {
        refuse_unplanned(watch);
    } else {
        deliver(watch);
    }
}

/* --- what is there, and what is not -------------------------------------------------------------- */

/* True: there is an answer. False: the watch waits for it, or was refused. */
static bool have(struct view_watch *watch, struct views_item *item)
{
    if (views_trouble(item) != NULL) {
        refuse(watch, WIRE_CODE_SUBSCRIPTION_FAILED, views_trouble(item));
        return false;
    }
    if (!item->answered) {
        views_ask(item);
        views_link_add(&views_question(item)->waiting, &watch->wait->item);
    }
    return item->answered;
}

void views_filter_reason(const struct filter_error *error, char out[VIEWS_REASON_MAX])
{
    size_t len = (size_t)snprintf(out, VIEWS_REASON_MAX, "invalid filter: ");

    filter_error_text(error, out + len, VIEWS_REASON_MAX - len);
}

/* The filter for the columns and the rights of now. False: refused. */
static bool choose_filter(struct view_watch *watch)
{
    struct views_wish *wish = watch->wish;
    struct views_filter *before = wish->filter;
    struct filter parsed;
    struct filter_error error;
    char text[VIEWS_REASON_MAX];
    struct wire_span span = { wish->text, wish->text_len };
    bool good = filter_parse(&parsed, wish->dialect, span, &error);

    if (good && !filter_allowed(&parsed, watch->access, wish->table->columns, &error)) {
        filter_fini(&parsed);
        good = false;
    }
    if (!good) {
        views_filter_reason(&error, text);
        refuse(watch, WIRE_CODE_SUBSCRIPTION_FAILED, text);
        return false;
    }
    wish->recheck = false;
    wish->filter = NULL;
    if (parsed.node_count > 0) {
        wish->filter = views_use_filter(views_of(watch), wish->table, &parsed);
    } else {
        filter_fini(&parsed);
    }
    views_unuse(before == NULL ? NULL : &before->item);
    return true;
}

static bool have_filter(struct view_watch *watch)
{
    const struct views_wish *wish = watch->wish;

    if (wish == NULL) {
        return true;
    }
    if (!have(watch, &wish->table->item)) {
        return false;
    }
    bool stale = wish->filter != NULL && wish->filter->columns != wish->table->columns;
    if ((wish->recheck || stale) && !choose_filter(watch)) {
        return false;
    }
    return wish->filter == NULL || have(watch, &wish->filter->item);
}

static void look(struct view_watch *watch)
{
    struct views_wait *wait = watch->wait;
    struct views_fold *fold = asked_for(watch);

    if (wait == NULL) {
        return; /* it has its answer: then it is not in the list either */
    }
    views_link_drop(&wait->look);
    views_link_drop(&wait->item);
    if (watch->fold == NULL) {
        refuse(watch, WIRE_CODE_FORBIDDEN, "the token's claims cannot be given to PostgreSQL");
        return;
    }
    if (wait->late) {
        refuse_late(watch);
        return;
    }
    if (fold != NULL && !fold->item.answered && views_trouble(&fold->item) == NULL) {
        views_ask(&fold->item); /* together with the filter */
    }
    if (have_filter(watch) && (fold == NULL || have(watch, &fold->item))) {
        views_deliver(watch);
    }
}

static void on_settle(void *ctx)
{
    struct views *views = ctx;

    while (views->dirty != NULL) {
        look(VIEWS_OWNER(views->dirty, struct views_wait, look)->watch);
    }
    views_deliver_due(views);
    views_pump(views);
}

static void on_tick(void *ctx)
{
    struct views *views = ctx;
    rt_usec now = rt_now();

    for (struct views_link *at = views->unready; at != NULL; at = at->next) {
        struct views_wait *wait = VIEWS_OWNER(at, struct views_wait, unready);
        if (wait->deadline <= now) {
            wait->late = true;
            look_again(wait->watch);
        }
    }
    views_past_tick(views, now);
}

static void on_retry(void *ctx)
{
    struct views *views = ctx;

    views->resting = false;
    views_pump(views);
}

/* --- watches ------------------------------------------------------------------------------------- */

/* That of its rights, and of this identity. NULL: there is no such identity. */
static void use_fold(struct view_watch *watch, struct view_identity *identity)
{
    struct views_fold *before = watch->fold;

    watch->fold = NULL;
    views_link_drop(&watch->of_fold);
    if (identity != NULL) {
        watch->fold = views_use_fold(watch->access->rules, identity);
    }
    views_link_add(watch->fold != NULL ? &watch->fold->watches : &views_of(watch)->nobodys,
                   &watch->of_fold);
    views_unuse(before == NULL ? NULL : &before->item);
}

static struct views_wish *wish_new(struct views *views, const struct view_want *want)
{
    struct views_wish *wish = NULL;

    if (want->filter.len > 0) {
        wish = rt_alloc(sizeof(*wish) + want->filter.len + 1);
        memcpy(wish->text, want->filter.data, want->filter.len);
        wish->text_len = want->filter.len;
        wish->dialect = want->dialect;
        wish->table = views_use_table(views, want->schema, want->table);
        wish->recheck = true;
    }
    return wish;
}

static void wish_free(struct views_wish *wish)
{
    if (wish != NULL) {
        views_unuse(wish->filter == NULL ? NULL : &wish->filter->item);
        views_unuse(&wish->table->item);
        free(wish);
    }
}

struct view_watch *views_watch(struct views *views, const struct view_want *want, void *user)
{
    struct view_watch *watch = rt_alloc(sizeof(*watch));

    watch->user = user;
    watch->access = access_ref(want->access);
    struct view_identity *identity = views_intern(views, want);
    watch->name = views_name(views, want->schema, want->table);
    watch->wish = wish_new(views, want);
    use_fold(watch, identity);
    if (identity != NULL) {
        view_identity_unref(identity); /* its fold's */
    }
    start(watch);
    return watch;
}

void views_unwatch(struct view_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    stop(watch);
    views_link_drop(&watch->of_fold);
    views_unuse(watch->fold == NULL ? NULL : &watch->fold->item);
    wish_free(watch->wish);
    view_unref(watch->view);
    access_unref(watch->access);
    views_name_unref(watch->name);
    free(watch);
}

/* What the catalog said of the columns may be out of date as well. */
static void doubt_table(struct views_table *table)
{
    table->item.again = table->item.state == VIEWS_FLYING;
    table->item.answered = false;
    views_ask(&table->item);
}

void views_access(struct view_watch *watch, struct access *access)
{
    struct access *before = watch->access;

    watch->access = access_ref(access);
    access_unref(before);
    use_fold(watch, watch->fold == NULL ? NULL : watch->fold->identity);
    if (views_is_kept(watch)) {
        watch->fold->keep->doubted = true;
    }
    if (watch->wish != NULL) {
        doubt_table(watch->wish->table);
        watch->wish->recheck = true;
    }
    start(watch);
}

void views_refold(struct views_fold *fold, uint32_t xid)
{
    if (xid != 0 && fold->seen != NULL && xid_snapshot_sees(&fold->seen->snapshot, xid)) {
        return;
    }
    if (xid != 0) {
        views_fold_want(fold, xid);
    } else {
        fold->item.again = fold->item.state == VIEWS_FLYING;
    }
    fold->item.answered = false;
    views_ask(&fold->item);
}

void views_refresh(struct view_watch *watch, uint32_t xid)
{
    struct views_fold *fold = asked_for(watch);
    struct views_keep *keep = fold == NULL ? NULL : fold->keep;
    bool good = keep != NULL && keep->kept && !keep->doubted && xid != 0;

    if (fold != NULL && !good) {
        views_refold(fold, xid);
    }
    if (keep != NULL) {
        keep->doubted = false;
    }
    start(watch);
}

bool views_is_kept(const struct view_watch *watch)
{
    return watch->fold != NULL && watch->fold->keep != NULL;
}

/* --- all of them --------------------------------------------------------------------------------- */

struct views *views_new(const struct views_config *config)
{
    struct views *views = rt_alloc(sizeof(*views));

    views->config = *config;
    for (size_t i = 0; i < 2; i++) {
        views->seeds.low[i] = rt_random64();
        views->seeds.high[i] = rt_random64();
    }
    views->identities = rt_roster_new();
    views->roles = rt_map_new();
    views->tables = rt_map_new();
    views->filters = rt_map_new();
    views->tests = rt_map_new();
    views_journal_init(&views->journal);
    views->fold_queue.last = &views->fold_queue.first;
    views->look_queue.last = &views->look_queue.first;
    views->retry_after = VIEWS_RETRY_FIRST;
    for (size_t i = 0; i < VIEWS_FLIGHTS_ALL; i++) {
        views->flights[i] = (struct views_flight){ .views = views, .folds = i < VIEWS_FLIGHTS };
    }
    views->settle = rt_defer_new(config->loop, on_settle, views);
    views->tick = rt_timer_new(config->loop, on_tick, views);
    views->retry = rt_timer_new(config->loop, on_retry, views);
    views_register(views, config->metrics);
    rt_timer_set(views->tick, TICK, TICK);
    return views;
}

/* Each leaves the list by itself. */
static void unwatch_list(struct views_link *first)
{
    while (first != NULL) {
        struct views_link *next = first->next;
        views_unwatch(VIEWS_OWNER(first, struct view_watch, of_fold));
        first = next;
    }
}

/* A fold, and its identity, are gone with the last of its watches: they are held until the next one is known. */
static void unwatch_all(struct views *views)
{
    unwatch_list(views->nobodys);
    struct views_folds all = { .identities = rt_roster_begin(views->identities) };
    struct views_fold *fold = views_folds_next(&all);
    while (fold != NULL) {
        fold->item.users++;
        unwatch_list(fold->watches);
        if (fold->keep != NULL) {
            unwatch_list(fold->keep->due);
        }
        struct views_fold *next = views_folds_next(&all);
        views_unuse(&fold->item);
        fold = next;
    }
}

void views_free(struct views *views)
{
    if (views == NULL) {
        return;
    }
    unwatch_all(views);
    views_land_all(views);
    views_let_identities_go(views);
    views_name_unref(views->name);
    rt_defer_free(views->settle);
    rt_timer_free(views->tick);
    rt_timer_free(views->retry);
    rt_roster_free(views->identities);
    rt_map_free(views->roles);
    rt_map_free(views->tables);
    rt_map_free(views->filters);
    views_sets_fini(views);
    free(views);
}
