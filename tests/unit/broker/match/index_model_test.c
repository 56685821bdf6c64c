/* The index against judging every subscription: random views come and go, memberships change, rows change. */
#include "tests/unit/broker/match/toy.h"

enum { SUBS_MAX = 3000, TABLES = 2 };

struct one {
    bool in;
    bool seen;
    uint8_t table;
    struct toy_view view;
    struct match_sub sub;
};

struct model {
    struct match *match;
    struct match_table *tables[TABLES];
    struct toy_set set;
    struct one *subs;
    uint32_t count; /* of slots in use */
    long live;
    uint64_t random;
    uint64_t hits;
    uint64_t judged;
    uint64_t could_judge;
    uint64_t refused;
};

static uint32_t pick(struct model *model, uint32_t below)
{
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(model->random >> 33) % below;
}

static void random_condition(struct model *model, struct toy_condition *out)
{
    static const uint8_t ops[TOY_COLUMNS][4] = {
        { TOY_EQUAL, TOY_EQUAL, TOY_EQUAL, TOY_NOT_EQUAL },
        { TOY_EQUAL, TOY_EQUAL, TOY_IS_NULL, TOY_NOT_EQUAL },
        { TOY_EQUAL, TOY_AT_LEAST, TOY_AT_MOST, TOY_IS_NULL },
        { TOY_EQUAL, TOY_AT_LEAST, TOY_AT_MOST, TOY_AT_LEAST },
        { TOY_MEMBER, TOY_MEMBER, TOY_EQUAL, TOY_IS_NULL },
    };

    out->column = (uint8_t)pick(model, TOY_COLUMNS);
    out->op = ops[out->column][pick(model, 4)];
    out->count = out->op == TOY_IS_NULL ? 0 : 1;
    if (out->op == TOY_EQUAL && pick(model, 4) == 0) {
        out->count = (uint8_t)pick(model, 5);
    }
    for (int i = 0; i < out->count; i++) {
        out->values[i] = (int8_t)pick(model, TOY_VALUES);
    }
}

static void random_view(struct model *model, struct toy_view *out)
{
    memset(out, 0, sizeof(*out));
    out->count = (uint8_t)(pick(model, 16) == 0 ? 0 : pick(model, 3) == 0 ? 2 + pick(model, 2) : 1);
    for (int i = 0; i < out->count; i++) {
        struct toy_conjunction *conjunction = &out->conjunctions[i];
        conjunction->count = (uint8_t)(pick(model, 20) == 0 ? 0 : 1 + pick(model, 3));
        conjunction->ask = pick(model, 10) == 0;
        for (int j = 0; j < conjunction->count; j++) {
            random_condition(model, &conjunction->conditions[j]);
        }
    }
}

static void random_row(struct model *model, struct toy_row *out)
{
    for (int i = 0; i < TOY_COLUMNS; i++) {
        uint32_t what = pick(model, 12);
        int value = what == 0 ? TOY_NULL : what == 1 ? TOY_MISSING : (int)pick(model, TOY_VALUES);
        toy_row_set(out, i, value, (int)pick(model, 2));
    }
}

static void add(struct model *model, uint32_t slot)
{
    struct one *one = &model->subs[slot];
    uint32_t other = pick(model, SUBS_MAX);

    one->table = (uint8_t)pick(model, TABLES);
    if (pick(model, 3) == 0 && model->subs[other].in) {
        one->view = model->subs[other].view; /* a class in common, if the table is, too */
    } else {
        random_view(model, &one->view);
    }
    enum match_status status =
        toy_add(model->tables[one->table], &one->view, &model->set, &model->live, slot, &one->sub);
    one->in = status == MATCH_ADDED;
    model->count += one->in;
    model->refused += !one->in;
    if (one->in && model->subs[other].in && model->subs[other].table == one->table &&
        memcmp(&model->subs[other].view, &one->view, sizeof(one->view)) == 0) {
        assert_int_equal(match_class(model->match, model->subs[other].sub),
                         match_class(model->match, one->sub));
    }
}

static void take(struct model *model, uint32_t slot)
{
    assert_true(match_remove(model->match, model->subs[slot].sub));
    assert_false(match_remove(model->match, model->subs[slot].sub));
    model->subs[slot].in = false;
    model->count--;
}

static void change_membership(struct model *model)
{
    uint32_t value = pick(model, TOY_VALUES);
    uint32_t member = pick(model, TOY_VALUES);
    uint32_t *members = model->set.members[value];
    uint32_t *count = &model->set.counts[value];

    for (uint32_t i = 0; i < *count; i++) {
        if (members[i] == member) {
            members[i] = members[--*count];
            return;
        }
    }
    members[(*count)++] = member;
}

static enum match_verdict expected(const struct model *model, const struct one *one,
                                   const struct toy_row *row, bool given)
{
    return given ? toy_judge_view(&one->view, &model->set, row) : MATCH_NO;
}

static void change(struct model *model, uint32_t slots)
{
    struct toy_row rows[2];
    struct match_row given[2];
    bool has[2];
    uint32_t table = pick(model, TABLES);
    uint32_t kind = pick(model, 4);

    for (int i = 0; i < 2; i++) {
        random_row(model, &rows[i]);
        given[i] = toy_match_row(&rows[i]);
        has[i] = kind >= 2 || kind == (uint32_t)i;
    }
    struct match_result result =
        match_change(model->tables[table], has[0] ? &given[0] : NULL, has[1] ? &given[1] : NULL);
    for (uint32_t i = 0; i < result.count; i++) {
        const struct match_hit *hit = &result.hits[i];
        struct match_members members = match_members(model->match, hit->class_id);
        uint64_t slot = 0;
        while (match_members_next(&members, &slot)) {
            struct one *one = &model->subs[slot];
            assert_true(one->in && !one->seen && one->table == table);
            assert_int_equal(hit->on_new, expected(model, one, &rows[0], has[0]));
            assert_int_equal(hit->on_old, expected(model, one, &rows[1], has[1]));
            one->seen = true;
        }
    }
    for (uint32_t i = 0; i < slots; i++) {
        struct one *one = &model->subs[i];
        if (one->in && !one->seen && one->table == table) {
            assert_int_equal(expected(model, one, &rows[0], has[0]), MATCH_NO);
            assert_int_equal(expected(model, one, &rows[1], has[1]), MATCH_NO);
        }
        one->seen = false;
    }
    model->hits += result.count;
    model->judged += result.judged;
    model->could_judge += (uint64_t)model->count / TABLES * ((unsigned)has[0] + (unsigned)has[1]);
}

static void run(uint64_t seed, uint32_t steps, uint32_t slots, struct match_limits limits)
{
    struct model model = { .random = seed, .set = { .set = { toy_members, NULL } } };

    model.match = match_new();
    model.subs = calloc(SUBS_MAX, sizeof(*model.subs));
    for (int i = 0; i < TABLES; i++) {
        model.tables[i] = match_table_new(model.match, limits);
    }
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t slot = pick(&model, slots);
        if (step % 2 == 0) {
            change(&model, slots);
        } else if (pick(&model, 8) == 0) {
            change_membership(&model);
        } else if (model.subs[slot].in) {
            take(&model, slot);
        } else {
            add(&model, slot);
        }
    }
    struct match_stats stats = match_stats(model.match);
    assert_int_equal(stats.subs, model.count);
    assert_int_equal(stats.classes, model.live);
    print_message(
        "%u steps, %u subscriptions: %llu hits, %llu of %llu programs run, %llu refused\n",
        (unsigned)steps, (unsigned)model.count, (unsigned long long)model.hits,
        (unsigned long long)model.judged, (unsigned long long)model.could_judge,
        (unsigned long long)model.refused);
    match_table_free(model.tables[0]);
    for (uint32_t i = 0; i < slots; i++) {
        if (model.subs[i].in && model.subs[i].table == 1) {
            take(&model, i);
        }
    }
    stats = match_stats(model.match);
    assert_true(stats.subs == 0 && stats.classes == 0 && stats.postings == 0 && model.live == 0);
    match_free(model.match);
    free(model.subs);
}

static void test_few_subscriptions_agree(void **state)
{
    (void)state;
    run(1, 900000, 60, (struct match_limits){ 100, 100 });
}

static void test_limits_refuse_and_change_nothing_else(void **state)
{
    (void)state;
    run(2, 100000, 200, (struct match_limits){ 5, 10 });
}

static void test_many_subscriptions_agree(void **state)
{
    (void)state;
    run(3, 12000, SUBS_MAX, (struct match_limits){ 3000, 3000 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_subscriptions_agree),
        cmocka_unit_test(test_limits_refuse_and_change_nothing_else),
        cmocka_unit_test(test_many_subscriptions_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
