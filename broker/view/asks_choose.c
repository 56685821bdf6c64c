/* broker/view/asks_choose.c - which questions go together: some about one change, and the same ones about as many others as fit. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/asks_impl.h"

static enum ask_lane lane_of(const struct question *question)
{
    if (question->condition != NULL) {
        return ASK_LANE_FILTER;
    }
    return question->looped ? ASK_LANE_LOOP : ASK_LANE_SET;
}

size_t question_most(const struct question *question)
{
    static const size_t limits[ASK_LANES] = { [ASK_LANE_SET] = ASKS_SET_QUESTIONS,
                                              [ASK_LANE_LOOP] = ASKS_LOOP_QUESTIONS,
                                              [ASK_LANE_FILTER] = ASKS_FILTER_QUESTIONS };

    return question->limit > 0 ? question->limit : limits[lane_of(question)];
}

/* The settings of one last until the next one's: all must have the same. */
static bool same_settings(const struct question *a, const struct question *b)
{
    const struct policy_identity *left = view_identity_policy(a->view->identity);
    const struct policy_identity *right = view_identity_policy(b->view->identity);
    bool same = left->setting_count == right->setting_count;

    for (size_t i = 0; i < left->setting_count && same; i++) {
        same = left->settings[i].name == right->settings[i].name ||
               strcmp(left->settings[i].name, right->settings[i].name) == 0;
    }
    return same;
}

static bool goes_with(const struct question *first, const struct question *other)
{
    return other->looped == first->looped && other->limit == first->limit &&
           same_settings(first, other);
}

static size_t bytes_of(const struct question *question)
{
    const struct policy_identity *identity = view_identity_policy(question->view->identity);
    size_t bytes = question->condition != NULL ? strlen(question->condition) : 64;

    for (size_t i = 0; i < identity->setting_count && question->condition == NULL; i++) {
        bytes += strlen(identity->settings[i].value);
    }
    return bytes;
}

static uint8_t wanted(struct question *const *questions, size_t count)
{
    uint8_t want = 0;

    for (size_t i = 0; i < count; i++) {
        want |= questions[i]->want;
    }
    return want;
}

/* One more row of questions, about one change; its images. False: they do not fit. */
static bool add_change(struct asks_batch *batch, struct question *const *row)
{
    const struct asks_change *change = row[0]->change;
    uint8_t versions = wanted(row, batch->width);
    size_t count = 0;
    size_t bytes = 0;

    for (int i = 0; i < ASK_VERSIONS; i++) {
        bool one = (versions & 1u << i) != 0;
        count += one;
        bytes += one ? change->lens[i] * 2 : 0; /* see write_judgement() in fallback.c */
    }
    bool fits = batch->image_count + count <= ASKS_IMAGES &&
                (batch->image_count + count) * batch->width <= ASKS_PAIRS &&
                batch->bytes + bytes <= ASKS_BYTES;
    if (!fits && batch->height > 0) {
        return false;
    }
    batch->questions =
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
        rt_realloc(batch->questions, (batch->height + 1) * batch->width, sizeof(*row));
    memcpy((void *)(batch->questions + batch->height * batch->width), row,
           /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
           batch->width * sizeof(*row));
    for (int i = 0; i < ASK_VERSIONS; i++) {
        if ((versions & 1u << i) != 0) {
            batch->images[batch->image_count++] = change->images[i];
        }
    }
    batch->versions[batch->height++] = versions;
    batch->bytes += bytes;
    return true;
}

static void choose_first(struct asks_batch *batch, const struct asks_topic *topic)
{
    struct question *first = topic->first;
    size_t cap = topic->count < question_most(first) ? topic->count : question_most(first);
    struct question **row = rt_alloc(cap * sizeof(struct question *));

    batch->lane = lane_of(first);
    for (struct question *at = first; at != NULL && batch->width < cap; at = at->next) {
        size_t bytes = bytes_of(at);
        if (goes_with(first, at) && (batch->width == 0 || batch->bytes + bytes <= ASKS_BYTES)) {
            row[batch->width++] = at;
            batch->bytes += bytes;
        }
    }
    (void)add_change(batch, row);
    free(row);
}

/* The same questions about another change. */
static bool choose_more(struct asks_batch *batch, const struct asks_topic *topic)
{
    struct question **row = rt_alloc(batch->width * sizeof(struct question *));
    bool good = topic->count >= batch->width;

    for (size_t i = 0; i < batch->width && good; i++) {
        row[i] = question_find(batch->questions[i], topic->change);
        good = row[i] != NULL && goes_with(batch->questions[0], row[i]);
    }
    good = good && add_change(batch, row);
    free(row);
    return good;
}

bool topic_is_due(const struct asks_topic *topic, rt_usec now)
{
    return topic->change->not_before <= now;
}

static bool has_room(const struct asks_batch *batch)
{
    return batch->image_count + ASK_VERSIONS <= ASKS_IMAGES &&
           (batch->height + 1) * batch->width <= question_most(batch->questions[0]) * ASKS_IMAGES &&
           (batch->questions[0]->limit == 0 ||
            (batch->height + 1) * batch->width <= batch->questions[0]->limit);
}

/* The group goes behind the others, for the next connection. */
static void rotate(struct asks *asks, struct asks_group *group)
{
    if (group->next == NULL) {
        return;
    }
    *(group->prev != NULL ? &group->prev->next : &asks->first_group) = group->next;
    group->next->prev = group->prev;
    group->prev = asks->last_group;
    group->next = NULL;
    asks->last_group->next = group;
    asks->last_group = group;
}

static struct asks_topic *first_due(const struct asks *asks, rt_usec now)
{
    for (const struct asks_group *group = asks->first_group; group != NULL; group = group->next) {
        for (struct asks_topic *topic = group->first; topic != NULL; topic = topic->next) {
            if (topic_is_due(topic, now)) {
                return topic;
            }
        }
    }
    return NULL;
}

bool batch_choose(struct asks_batch *batch)
{
    rt_usec now = rt_now();
    struct asks_topic *topic = first_due(batch->asks, now);

    if (topic == NULL) {
        return false;
    }
    rotate(batch->asks, topic->group);
    choose_first(batch, topic);
    for (topic = topic->next; topic != NULL && has_room(batch); topic = topic->next) {
        if (topic_is_due(topic, now)) {
            (void)choose_more(batch, topic);
        }
    }
    for (size_t i = 0; i < batch->width * batch->height; i++) {
        struct question *question = batch->questions[i];
        question->refs++;
        question_take(question);
        question->state = QUESTION_FLYING;
    }
    return true;
}
