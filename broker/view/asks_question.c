/* broker/view/asks_question.c - questions: equal ones are one; in queues by what can be one statement, and by age. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/policy/set.h"
#include "broker/view/asks_impl.h"
#include "broker/view/filter_judge.h"

/* --- groups and topics -------------------------------------------------------------------------- */

/* Of rules: these, and the shape of the change. Of filters: the role under which they are asked as well. */
static void write_group_key(const struct question *question, struct rt_buf *out)
{
    uint64_t parts[] = { (uint64_t)(uintptr_t)question->rules,
                         (uint64_t)(uintptr_t)question->change->shape };

    rt_buf_append(out, parts, sizeof(parts));
    if (question->rules == NULL) {
        rt_buf_puts(out, question->view->identity->maker->role);
    }
}

static struct asks_group *group_get(struct asks *asks, const struct question *question)
{
    struct rt_buf key = { .data = NULL };

    write_group_key(question, &key);
    struct asks_group *group = rt_map_get(asks->groups, key.data, key.len);
    if (group != NULL) {
        rt_buf_fini(&key);
        return group;
    }
    group = rt_alloc(sizeof(*group));
    group->key = key;
    group->rules = question->rules == NULL ? NULL : policy_rules_ref(question->rules);
    rt_map_put(asks->groups, group->key.data, group->key.len, group);
    group->prev = asks->last_group;
    *(asks->last_group != NULL ? &asks->last_group->next : &asks->first_group) = group;
    asks->last_group = group;
    return group;
}

static void group_drop(struct asks *asks, struct asks_group *group)
{
    rt_map_remove(asks->groups, group->key.data, group->key.len);
    *(group->prev != NULL ? &group->prev->next : &asks->first_group) = group->next;
    *(group->next != NULL ? &group->next->prev : &asks->last_group) = group->prev;
    policy_rules_unref(group->rules);
    rt_buf_fini(&group->key);
    free(group);
}

struct topic_key {
    uint64_t group;
    uint64_t change;
};

static struct asks_topic *topic_get(struct asks *asks, struct asks_group *group,
                                    struct asks_change *change)
{
    struct topic_key key = { (uint64_t)(uintptr_t)group, (uint64_t)(uintptr_t)change };
    struct asks_topic *topic = rt_map_get(asks->topics, &key, sizeof(key));

    if (topic != NULL) {
        return topic;
    }
    topic = rt_alloc(sizeof(*topic));
    topic->group = group;
    topic->change = change;
    change->refs++;
    rt_map_put(asks->topics, &key, sizeof(key), topic);
    topic->prev = group->last;
    *(group->last != NULL ? &group->last->next : &group->first) = topic;
    group->last = topic;
    return topic;
}

static void topic_drop(struct asks *asks, struct asks_topic *topic)
{
    struct asks_group *group = topic->group;
    struct topic_key key = { (uint64_t)(uintptr_t)group, (uint64_t)(uintptr_t)topic->change };

    rt_map_remove(asks->topics, &key, sizeof(key));
    asks->recent_topic = asks->recent_topic == topic ? NULL : asks->recent_topic;
    *(topic->prev != NULL ? &topic->prev->next : &group->first) = topic->next;
    *(topic->next != NULL ? &topic->next->prev : &group->last) = topic->prev;
    asks_change_unref(asks, topic->change);
    free(topic);
    if (group->first == NULL) {
        group_drop(asks, group);
    }
}

static struct asks_topic *topic_of(struct asks *asks, const struct question *question)
{
    struct asks_topic *recent = asks->recent_topic;
    bool same = recent != NULL && recent->change == question->change && question->rules != NULL &&
                recent->group->rules == question->rules;

    if (!same) {
        recent = topic_get(asks, group_get(asks, question), question->change);
        asks->recent_topic = recent;
    }
    return recent;
}

void question_queue(struct question *question)
{
    struct asks *asks = question->asks;
    struct asks_topic *topic = topic_of(asks, question);

    question->state = QUESTION_QUEUED;
    question->topic = topic;
    question->next = NULL;
    question->prev = topic->last;
    *(topic->last != NULL ? &topic->last->next : &topic->first) = question;
    topic->last = question;
    topic->count++;
    topic->group->queued++;
    rt_defer_schedule(asks->dispatch);
}

void question_take(struct question *question)
{
    struct asks_topic *topic = question->topic;

    *(question->prev != NULL ? &question->prev->next : &topic->first) = question->next;
    *(question->next != NULL ? &question->next->prev : &topic->last) = question->prev;
    question->topic = NULL;
    topic->count--;
    topic->group->queued--;
    if (topic->count == 0) {
        topic_drop(question->asks, topic);
    }
}

/* --- by age ------------------------------------------------------------------------------------- */

static void arm_deadline(struct asks *asks)
{
    if (asks->oldest == NULL) {
        rt_timer_stop(asks->deadline);
        return;
    }
    rt_usec left = asks->oldest->since + asks->config.deadline - rt_now();
    rt_timer_set(asks->deadline, left > 0 ? left : 0, 0);
}

static void age_begin(struct question *question)
{
    struct asks *asks = question->asks;
    bool first = asks->oldest == NULL;

    asks->turn = asks->turn != 0 ? asks->turn : rt_now();
    question->since = asks->turn;
    question->older = asks->newest;
    *(asks->newest != NULL ? &asks->newest->newer : &asks->oldest) = question;
    asks->newest = question;
    rt_gauge_set(asks->metrics.pending, (double)++asks->pending);
    if (first) {
        arm_deadline(asks);
    }
}

static void age_end(struct question *question)
{
    struct asks *asks = question->asks;

    *(question->older != NULL ? &question->older->newer : &asks->oldest) = question->newer;
    *(question->newer != NULL ? &question->newer->older : &asks->newest) = question->older;
    rt_gauge_set(asks->metrics.pending, (double)--asks->pending);
}

static bool is_settled(const struct question *question)
{
    return question->state == QUESTION_ANSWERED || question->state == QUESTION_FAILED;
}

void question_settle(struct question *question, enum question_state state, rt_usec now)
{
    struct asks *asks = question->asks;

    if (question->topic != NULL) {
        question_take(question);
    }
    age_end(question);
    question->state = state;
    asks->news = true;
    rt_histogram_observe(asks->metrics.seconds, (double)(now - question->since) / 1e6);
}

void questions_fail_late(struct asks *asks)
{
    rt_usec now = rt_now();
    uint64_t count = 0;

    while (asks->oldest != NULL && asks->oldest->since + asks->config.deadline <= now) {
        question_settle(asks->oldest, QUESTION_FAILED, now);
        count++;
    }
    if (count > 0) {
        const char *trouble = pg_pool_trouble(asks->config.pool);
        rt_counter_add(asks->metrics.failures[ASK_FAILURE_DEADLINE], count);
        rt_log_warn(asks->config.log, "asks.late", RT_U("questions", count),
                    RT_U("waiting", asks->pending), RT_S("connection", trouble));
    }
    arm_deadline(asks);
}

/* --- questions ---------------------------------------------------------------------------------- */

/* What makes two questions about one change the same: the rules and who asks, or the filter and its role; and the versions. */
static uint64_t hash_of(const struct asks *asks, const struct view *view,
                        const struct policy_rules *rules, uint8_t want)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* the map mixes what comes out */

    if (rules != NULL) {
        return (uint64_t)(uintptr_t)rules * odd + (uint64_t)(uintptr_t)view->identity + want;
    }
    struct wire_span text = filter_program_key(view->filter);
    return rt_seeded_hash(asks->seed, text.data, text.len) + want;
}

static bool is_same(const struct question *question, const struct view *view,
                    const struct policy_rules *rules, uint8_t want)
{
    if (question->want != want || question->rules != rules) {
        return false;
    }
    if (rules != NULL) {
        return question->view->identity == view->identity;
    }
    struct wire_span a = filter_program_key(question->view->filter);
    struct wire_span b = filter_program_key(view->filter);
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0 &&
           strcmp(question->view->identity->maker->role, view->identity->maker->role) == 0;
}

static struct question *find(const struct asks_change *change, uint64_t hash,
                             const struct view *view, const struct policy_rules *rules,
                             uint8_t want)
{
    struct question *question = rt_map_get_u64(change->questions, hash);

    while (question != NULL && !is_same(question, view, rules, want)) {
        question = question->same_hash;
    }
    return question;
}

static void unlist(struct question *question)
{
    struct rt_map *questions = question->change->questions;
    struct question *first = rt_map_remove_u64(questions, question->hash);
    struct question **link = &first;

    while (*link != question) {
        link = &(*link)->same_hash;
    }
    *link = question->same_hash;
    if (first != NULL) {
        rt_map_put_u64(questions, question->hash, first);
    }
}

/* NULL: there are too many. *out_new: it is to be filled in, and queued. */
static struct question *find_or_new(struct asks *asks, struct view *view,
                                    struct asks_change *change, struct policy_rules *rules,
                                    uint8_t want, bool *out_new)
{
    uint64_t hash = hash_of(asks, view, rules, want);
    struct question *question = find(change, hash, view, rules, want);

    *out_new = false;
    if (question != NULL) {
        rt_counter_add(asks->metrics.shared, 1);
        question->refs++;
        return question;
    }
    if (asks->pending >= asks->config.max_pending) {
        return NULL;
    }
    *out_new = true;
    question = rt_alloc(sizeof(*question));
    question->asks = asks;
    question->refs = 1;
    question->want = want;
    question->rules = rules;
    question->view = view_ref(view);
    question->change = change;
    change->refs++;
    question->hash = hash;
    question->same_hash = rt_map_put_u64(change->questions, hash, question);
    age_begin(question);
    return question;
}

struct question *question_of_rules(struct asks *asks, struct view *view, struct asks_change *change,
                                   uint8_t want)
{
    struct policy_rules *rules = view->access->rules;
    bool fresh = false;
    struct question *question = find_or_new(asks, view, change, rules, want, &fresh);

    if (fresh) {
        question->looped = !policy_set_has(rules->program, &view->constants->policy.binding);
        question_queue(question);
    }
    return question;
}

/* Filters are asked under the role, whose rights on functions count; of what is in them nothing depends on more. */
struct question *question_of_filter(struct asks *asks, struct view *view,
                                    struct asks_change *change, uint8_t want)
{
    bool fresh = false;
    struct question *question = find_or_new(asks, view, change, NULL, want, &fresh);

    if (fresh) {
        struct rt_buf sql = { .data = NULL };
        filter_program_sql(view->filter, "t", &sql);
        question->condition = rt_strdup(rt_buf_cstr(&sql));
        rt_buf_fini(&sql);
        question->looped = true;
        question_queue(question);
    }
    return question;
}

/* The same question about another change, if it waits. */
struct question *question_find(const struct question *like, const struct asks_change *change)
{
    struct question *found = find(change, like->hash, like->view, like->rules, like->want);

    return found != NULL && found->state == QUESTION_QUEUED ? found : NULL;
}

static void free_question(struct question *question)
{
    asks_change_unref(question->asks, question->change);
    view_unref(question->view);
    free(question->condition);
    free(question);
}

void question_unref(struct question *question)
{
    if (--question->refs > 0) {
        return;
    }
    unlist(question);
    if (question->topic != NULL) {
        question_take(question);
    }
    if (!is_settled(question)) {
        age_end(question);
    }
    free_question(question);
}
