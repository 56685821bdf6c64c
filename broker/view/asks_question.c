/* broker/view/asks_question.c - questions: equal ones are one; in queues by what can be one statement, and by age. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/policy/set.h"
#include "broker/view/asks_impl.h"
#include "broker/view/filter_judge.h"

/* --- groups and topics -------------------------------------------------------------------------- */

static struct asks_group *group_get(struct asks *asks, const struct question *question)
{
    struct asks_group *group = rt_map_get(asks->groups, question->group.data, question->group.len);

    if (group != NULL) {
        return group;
    }
    group = rt_alloc(sizeof(*group));
    rt_buf_append(&group->key, question->group.data, question->group.len);
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
    *(topic->prev != NULL ? &topic->prev->next : &group->first) = topic->next;
    *(topic->next != NULL ? &topic->next->prev : &group->last) = topic->prev;
    asks_change_unref(asks, topic->change);
    free(topic);
    if (group->first == NULL) {
        group_drop(asks, group);
    }
}

void question_queue(struct question *question)
{
    struct asks *asks = question->asks;
    struct asks_topic *topic = topic_get(asks, group_get(asks, question), question->change);

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

void question_settle(struct question *question, enum question_state state)
{
    struct asks *asks = question->asks;

    if (question->topic != NULL) {
        question_take(question);
    }
    age_end(question);
    question->state = state;
    asks->news = true;
    rt_histogram_observe(asks->metrics.seconds, (double)(rt_now() - question->since) / 1e6);
}

void questions_fail_late(struct asks *asks)
{
    rt_usec now = rt_now();
    uint64_t count = 0;

    while (asks->oldest != NULL && asks->oldest->since + asks->config.deadline <= now) {
        question_settle(asks->oldest, QUESTION_FAILED);
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

/* What makes two questions about one change the same. */
struct question_key {
    uint64_t change;
    uint64_t rules;
    uint64_t identity; /* of rules */
    uint64_t want;
};

static struct question *find_or_new(struct asks *asks, const void *key, size_t key_len,
                                    struct view *view, struct asks_change *change, uint8_t want)
{
    struct question *question = rt_map_get(asks->questions, key, key_len);

    if (question != NULL) {
        rt_counter_add(asks->metrics.shared, 1);
        question->refs++;
        return question;
    }
    if (asks->pending >= asks->config.max_pending) {
        return NULL;
    }
    question = rt_alloc(sizeof(*question));
    question->asks = asks;
    question->refs = 1;
    question->want = want;
    question->view = view_ref(view);
    question->change = change;
    change->refs++;
    rt_buf_append(&question->key, key, key_len);
    rt_map_put(asks->questions, key, key_len, question);
    age_begin(question);
    return question;
}

static struct question_key key_of(const struct asks_change *change,
                                  const struct policy_rules *rules,
                                  const struct view_identity *identity, uint8_t want)
{
    return (struct question_key){ (uint64_t)(uintptr_t)change, (uint64_t)(uintptr_t)rules,
                                  (uint64_t)(uintptr_t)identity, want };
}

struct question *question_of_rules(struct asks *asks, struct view *view, struct asks_change *change,
                                   uint8_t want)
{
    struct policy_rules *rules = view->access->rules;
    struct question_key key = key_of(change, rules, view->identity, want);
    struct question *question = find_or_new(asks, &key, sizeof(key), view, change, want);

    if (question != NULL && question->group.len == 0) {
        uint64_t group[] = { (uint64_t)(uintptr_t)rules, (uint64_t)(uintptr_t)change->shape };
        rt_buf_append(&question->group, group, sizeof(group));
        question->rules = rules;
        question->looped = !policy_set_has(rules->program, &view->constants->policy.binding);
        question_queue(question);
    }
    return question;
}

/* Filters are asked under the role, whose rights on functions count; of what is in them nothing depends on more. */
struct question *question_of_filter(struct asks *asks, struct view *view,
                                    struct asks_change *change, uint8_t want)
{
    const char *role = view->identity->policy.role;
    struct wire_span text = filter_program_key(view->filter);
    struct question_key head = key_of(change, NULL, NULL, want);
    struct rt_buf key = { .data = NULL };

    rt_buf_append(&key, &head, sizeof(head));
    rt_buf_append(&key, role, strlen(role) + 1);
    rt_buf_append(&key, text.data, text.len);
    struct question *question = find_or_new(asks, key.data, key.len, view, change, want);
    rt_buf_fini(&key);
    if (question != NULL && question->group.len == 0) {
        struct rt_buf sql = { .data = NULL };
        uint64_t group[] = { 0, (uint64_t)(uintptr_t)change->shape };
        rt_buf_append(&question->group, group, sizeof(group));
        rt_buf_append(&question->group, role, strlen(role) + 1);
        filter_program_sql(view->filter, "t", &sql);
        question->condition = rt_strdup(rt_buf_cstr(&sql));
        rt_buf_fini(&sql);
        question->looped = true;
        question_queue(question);
    }
    return question;
}

/* The same question about another change, if it waits. Its key is this one's with another change at its beginning. */
struct question *question_find(struct asks *asks, struct question *like,
                               const struct asks_change *change)
{
    uint64_t *at = (uint64_t *)(void *)like->key.data;
    uint64_t own = *at;

    *at = (uint64_t)(uintptr_t)change;
    struct question *found = rt_map_get(asks->questions, like->key.data, like->key.len);
    *at = own;
    return found != NULL && found->state == QUESTION_QUEUED ? found : NULL;
}

static void free_question(struct question *question)
{
    asks_change_unref(question->asks, question->change);
    view_unref(question->view);
    rt_buf_fini(&question->key);
    rt_buf_fini(&question->group);
    free(question->condition);
    free(question);
}

void question_unref(struct question *question)
{
    struct asks *asks = question->asks;

    if (--question->refs > 0) {
        return;
    }
    rt_map_remove(asks->questions, question->key.data, question->key.len);
    if (question->topic != NULL) {
        question_take(question);
    }
    if (!is_settled(question)) {
        age_end(question);
    }
    free_question(question);
}
