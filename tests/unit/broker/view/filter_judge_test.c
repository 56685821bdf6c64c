/* Tests of broker/view/filter_judge: what is decided, what is asked, what a missing column does, who may filter by what. That
 * the decisions are PostgreSQL's is shown by tests/integration/filters.test.mjs. */
#include <string.h>

#include "broker/view/filter_judge.h"
#include "tests/unit/broker/kit.h"

enum { COLUMNS = 7, TYPE_INT = 23, TYPE_TEXT = 25, TYPE_BOOL = 16, TYPE_JSONB = 3802 };

static struct policy_enum_label moods[] = { { 0, 3, "sad" }, { 0, 2, "ok" }, { 0, 5, "happy" } };

struct world {
    struct filter_columns columns;
    struct filter_column column[COLUMNS];
    struct policy_cell cells[COLUMNS + 1];
    struct policy_row row;
    struct filter_program *program;
};

static void add_column(struct world *w, const char *name, uint32_t type, enum policy_kind kind)
{
    struct filter_column *column = &w->column[w->columns.count];

    /* Attribute 2 was dropped once. */
    *column = (struct filter_column){ .name = name,
                                      .attribute = w->columns.count + (w->columns.count > 0) + 1,
                                      .type = type,
                                      .type_name = name,
                                      .shape = { .type = type, .kind = kind },
                                      .deterministic = true,
                                      .fold = FILTER_FOLD_ASCII,
                                      .match = match_type_of(type, true) };
    w->columns.count++;
}

static void make(struct world *w)
{
    *w = (struct world){ .columns = { .refs = 1, .utf8 = true } };
    w->columns.columns = w->column;
    w->row = (struct policy_row){ COLUMNS + 1, w->cells };
    add_column(w, "id", TYPE_INT, POLICY_KIND_INT);
    add_column(w, "t", TYPE_TEXT, POLICY_KIND_TEXT);
    add_column(w, "c", TYPE_TEXT, POLICY_KIND_TEXT);
    add_column(w, "b", TYPE_BOOL, POLICY_KIND_BOOL);
    add_column(w, "m", 20000, POLICY_KIND_ENUM);
    add_column(w, "j", TYPE_JSONB, POLICY_KIND_NONE);
    add_column(w, "own", 20001, POLICY_KIND_NONE);
    w->column[2].bytes = true;
    w->column[2].fold = FILTER_FOLD_C;
    w->column[4].enums = true;
    w->column[4].labels = (struct policy_enum){ 20000, 3, moods };
    w->column[4].shape.labels = &w->column[4].labels;
    policy_row_clear(&w->row);
}

static void set(struct world *w, const char *name, const char *text)
{
    policy_row_set(&w->row, filter_columns_find(&w->columns, name)->attribute,
                   text != NULL ? POLICY_CELL_TEXT : POLICY_CELL_NULL, text,
                   text != NULL ? (uint32_t)strlen(text) : 0);
}

/* PostgreSQL would say the same of these values. */
static void parse(struct world *w, const char *text, struct filter *out)
{
    struct filter_error error;
    struct wire_span texts[FILTER_VALUES_MAX];
    uint32_t oids[FILTER_VALUES_MAX];
    char kept[FILTER_VALUES_MAX][16];

    assert_true(filter_parse(out, FILTER_LIST, kit_text(text), &error));
    for (uint32_t i = 0; i < out->node_count; i++) {
        const struct filter_node *node = &out->nodes[i];
        for (uint32_t v = 0; v < node->value_count; v++) {
            uint32_t at = node->first_value + v;
            (void)snprintf(kept[at], sizeof(kept[at]), "%s", out->values[at].text.data);
            texts[at] = kit_text(kept[at]);
            oids[at] = filter_columns_find(&w->columns, node->column.data)->type;
        }
    }
    filter_cast(out, texts, oids);
}

static enum match_verdict judge(struct world *w, const char *text)
{
    struct filter filter;

    parse(w, text, &filter);
    filter_program_unref(w->program);
    w->program = filter_program_new(&filter, &w->columns);
    assert_non_null(w->program);
    assert_null(filter.nodes);
    return filter_judge(w->program, &w->row);
}

static void end(struct world *w)
{
    filter_program_unref(w->program);
    assert_int_equal(w->columns.refs, 1);
}

static void test_what_is_certain(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    set(&w, "id", "7");
    set(&w, "t", "Abc");
    set(&w, "c", "Abc");
    set(&w, "b", "t");
    set(&w, "m", "ok");
    assert_int_equal(judge(&w, ""), MATCH_YES);
    assert_int_equal(judge(&w, "id=eq.7,t=like.A%,b=is.true,m=gt.sad"), MATCH_YES);
    assert_false(filter_program_asks(w.program));
    assert_int_equal(judge(&w, "id=in.(1,2,7)"), MATCH_YES);
    assert_int_equal(judge(&w, "id=not.in.(1,2,7)"), MATCH_NO);
    assert_int_equal(judge(&w, "or(id=eq.8,and(t=eq.Abc,m=lte.ok))"), MATCH_YES);
    assert_int_equal(judge(&w, "not.or(id=eq.8,m=eq.happy)"), MATCH_YES);
    assert_int_equal(judge(&w, "c=lt.abc"), MATCH_YES);
    assert_int_equal(judge(&w, "t=ilike.aBC"), MATCH_YES);
    assert_int_equal(judge(&w, "t=ilike.b%"), MATCH_NO);
    end(&w);
}

static void test_null_is_no_match(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    set(&w, "id", NULL);
    set(&w, "b", NULL);
    assert_int_equal(judge(&w, "id=eq.7"), MATCH_NO);
    assert_int_equal(judge(&w, "id=not.eq.7"), MATCH_NO);
    assert_int_equal(judge(&w, "id=isdistinct.7"), MATCH_YES);
    assert_int_equal(judge(&w, "id=is.null"), MATCH_YES);
    assert_int_equal(judge(&w, "id=not.is.null"), MATCH_NO);
    assert_int_equal(judge(&w, "b=is.unknown"), MATCH_YES);
    assert_int_equal(judge(&w, "b=is.false"), MATCH_NO);
    set(&w, "j", NULL);
    assert_int_equal(judge(&w, "j=eq.1"), MATCH_NO);
    end(&w);
}

static void test_what_is_asked(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    set(&w, "id", "7");
    set(&w, "t", "abc");
    set(&w, "j", "{}");
    assert_int_equal(judge(&w, "t=gt.abb"), MATCH_ASK);
    assert_true(filter_program_asks(w.program));
    assert_int_equal(judge(&w, "t=match.b"), MATCH_ASK);
    assert_int_equal(judge(&w, "j->a=eq.1"), MATCH_ASK);
    assert_int_equal(judge(&w, "j=eq.1"), MATCH_ASK);
    /* The rest decides: not with an error in sight, unless it is a plain no. */
    assert_int_equal(judge(&w, "id=eq.8,t=match.b"), MATCH_NO);
    assert_int_equal(judge(&w, "or(id=eq.7,t=gt.abb)"), MATCH_YES);
    assert_int_equal(judge(&w, "or(id=eq.7,t=match.b)"), MATCH_ASK);
    set(&w, "t", "\xc3\xa4");
    assert_int_equal(judge(&w, "t=ilike.a%"), MATCH_ASK);
    set(&w, "c", "\xc3\xa4X");
    assert_int_equal(judge(&w, "c=ilike.\xc3\xa4x"), MATCH_YES);
    w.column[1].deterministic = false;
    assert_int_equal(judge(&w, "t=eq.abc"), MATCH_ASK);
    set(&w, "m", "new");
    assert_int_equal(judge(&w, "m=gt.ok"), MATCH_ASK);
    assert_false(filter_program_asks(w.program));
    end(&w);
}

static void test_a_missing_column(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    set(&w, "id", "7");
    assert_int_equal(judge(&w, "t=eq.a"), MATCH_NO);
    assert_int_equal(filter_eval(w.program, &w.row) & OUTCOME_MISSING, OUTCOME_MISSING);
    assert_int_equal(judge(&w, "t=is.null"), MATCH_NO);
    assert_int_equal(judge(&w, "t=not.eq.a"), MATCH_NO);
    assert_int_equal(judge(&w, "t=match.a"), MATCH_NO);
    assert_int_equal(judge(&w, "j->a=is.null"), MATCH_NO);
    assert_int_equal(judge(&w, "id=eq.7,t=eq.a"), MATCH_NO);
    /* Decided without it: then it is not why. */
    assert_int_equal(judge(&w, "id=eq.8,t=eq.a"), MATCH_NO);
    assert_int_equal(filter_eval(w.program, &w.row) & OUTCOME_MISSING, 0);
    assert_int_equal(judge(&w, "or(id=eq.7,t=eq.a)"), MATCH_YES);
    w.row.count = 1; /* a row shorter than the table */
    assert_int_equal(judge(&w, "m=eq.ok"), MATCH_NO);
    end(&w);
}

static void test_values_parsed_by_a_policy(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    set(&w, "id", "7");
    w.cells[0].parsed = true;
    w.cells[0].value = policy_value_parse(POLICY_KIND_INT, "8", 1, NULL);
    assert_int_equal(judge(&w, "id=eq.8"), MATCH_YES); /* as it is */
    w.cells[0].value = policy_value_parse(POLICY_KIND_NONE, "8", 1, NULL);
    assert_int_equal(judge(&w, "id=eq.7"), MATCH_YES); /* read otherwise: of no use here */
    end(&w);
}

static bool place(void *ctx, const char *name, uint16_t *out)
{
    (void)ctx;
    *out = 5;
    return strcmp(name, "id") == 0;
}

static void test_key_sql_and_conditions(void **state)
{
    struct world w;
    struct conditions *conditions = rt_alloc(sizeof(*conditions));
    struct rt_buf sql = { .data = NULL };

    (void)state;
    make(&w);
    (void)judge(&w, "t=eq.a,id=in.(2,1)");
    assert_string_equal(filter_program_key(w.program).data,
                        "\"id\".in.(\"1\",\"2\"),\"t\".eq.\"a\"");
    filter_program_sql(w.program, "\"T\"", &sql);
    assert_string_equal(rt_buf_cstr(&sql),
                        "((((\"T\".\"t\" = 'a') AND (\"T\".\"id\" IN ('2', '1')))) IS TRUE)");
    filter_program_conditions(w.program, place, NULL, conditions);
    assert_int_equal(conditions->count, 1);
    assert_int_equal(conditions->conjunctions[0].anchor_count, 1);
    assert_int_equal(conditions->conjunctions[0].anchors[0].column, 5);
    assert_int_equal(conditions->conjunctions[0].anchors[0].value_count, 2);
    struct filter_program *again = filter_program_ref(w.program);
    filter_program_unref(again);
    (void)judge(&w, "");
    assert_int_equal(filter_program_key(w.program).len, 0);
    free(conditions);
    rt_buf_fini(&sql);
    end(&w);
}

static void expect_allowed(struct world *w, const char *text, const char *refusal)
{
    struct access *access = access_new();
    struct filter_error error;
    struct filter filter;
    char said[FILTER_ERROR_MAX + 32] = "";

    for (uint32_t i = 0; i < w->columns.count; i++) {
        if (strcmp(w->column[i].name, "c") != 0) {
            access_add_column(access, w->column[i].name, strcmp(w->column[i].name, "b") == 0);
        }
    }
    access_seal(access);
    assert_true(filter_parse(&filter, FILTER_LIST, kit_text(text), &error));
    if (!filter_allowed(&filter, access, &w->columns, &error)) {
        filter_error_text(&error, said, sizeof(said));
    }
    assert_string_equal(said, refusal);
    filter_fini(&filter);
    access_unref(access);
}

static void test_what_a_role_may_filter_by(void **state)
{
    struct world w;

    (void)state;
    make(&w);
    expect_allowed(&w, "id=eq.1,or(t=like.a,m=eq.ok),j->a=eq.1,own=is.null", "");
    expect_allowed(&w, "id=eq.1,or(t=eq.x,nope=eq.1)",
                   "character 19: column \"nope\" does not exist, or may not be read");
    expect_allowed(&w, "c=eq.1", "character 1: column \"c\" does not exist, or may not be read");
    expect_allowed(&w, "b=is.true",
                   "character 1: column \"b\" is generated, and not in the stream of changes");
    expect_allowed(&w, "own=eq.1",
                   "character 1: column \"own\" has type own, for which there is no eq here");
    expect_allowed(&w, "m=like.a",
                   "character 1: column \"m\" has type m, for which there is no like here");
    expect_allowed(&w, "t->a=eq.1",
                   "character 1: column \"t\" has type t, for which there is no path here");
}

static void test_a_column_that_is_gone(void **state)
{
    struct world w;
    struct filter filter;

    (void)state;
    make(&w);
    parse(&w, "own=is.null", &filter);
    w.columns.count--;
    assert_null(filter_program_new(&filter, &w.columns));
    assert_non_null(filter.nodes);
    filter_fini(&filter);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_certain),
        cmocka_unit_test(test_null_is_no_match),
        cmocka_unit_test(test_what_is_asked),
        cmocka_unit_test(test_a_missing_column),
        cmocka_unit_test(test_values_parsed_by_a_policy),
        cmocka_unit_test(test_key_sql_and_conditions),
        cmocka_unit_test(test_what_a_role_may_filter_by),
        cmocka_unit_test(test_a_column_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
