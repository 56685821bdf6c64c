/* tests/fuzz/fuzz_view_change.c - any tuples against any table: rows fit or they do not, and can be judged.
 *
 * The first bytes choose the numbers of the table's columns and the stream's columns; the rest are the two tuples. Numbers
 * that are no more are dropped cells, and no cell is of a column that is not in the tuple.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/view/view_parts.h"
#include "runtime/buf.h"
#include "tests/unit/broker/policy/kit_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { COLUMNS = 6, INT4 = 23, UUID = 2950 };

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const char *const names[COLUMNS] = { "id", "owner", "team", "a", "b", "c" };

static struct policy_rules *make_rules(void)
{
    const char *const table[POLICY_LOADER_COLUMNS] = { "1", "T", "7", "1", "0", "0", "0", "" };
    const char *const policy[POLICY_LOADER_COLUMNS] = {
        "1", "P", "p", "1", "1", tree_owner, "", ""
    };
    struct policy_load *load = policy_load_new(1);
    struct policy_rules *rules = NULL;

    policy_load_row(load, table);
    policy_load_row(load, policy);
    for (size_t i = 0; kit_fact(i) != NULL; i++) {
        policy_load_fact(load, kit_fact(i));
    }
    must(policy_load_take(load, 0, 1, &rules) == POLICY_LOAD_RULES);
    policy_load_free(load);
    return rules;
}

/* Each column's number is up to three more than that of the one before it. */
static struct access *make_access(unsigned gaps)
{
    struct access *access = access_new();
    uint32_t number = 0;

    access->oid = 7;
    access->all = true;
    for (unsigned i = 0; i < COLUMNS; i++) {
        number += 1 + (gaps >> (2 * i) & 3);
        access_add_attribute(access, names[i], number, i == 1 ? UUID : INT4);
    }
    access->rules = make_rules();
    return access;
}

static struct view *make_view(struct access *access)
{
    static const char text[] = "{v,v11111111-1111-1111-1111-111111111111}";
    static const struct view_maker maker = { .role = "" };
    const struct view_seeds seeds = { { 1, 2 }, { 3, 4 } };
    struct view_identity *identity = rt_alloc(sizeof(*identity));
    struct view_constants *constants = rt_alloc(sizeof(*constants));

    *identity = (struct view_identity){ .refs = 1, .maker = &maker };
    constants->refs = 1;
    must(policy_fold_read(&constants->policy, access->rules->program, text, strlen(text)));
    struct view *view = view_make(access, identity, constants, NULL, &seeds);
    view_identity_unref(identity);
    view_constants_unref(constants);
    return view;
}

static void check_cells(const struct access *access, const struct policy_row *cells)
{
    uint32_t at = 0;

    for (uint32_t i = 0; cells != NULL && i < cells->count; i++) {
        bool known = access->attributes[at].number == i + 1;
        at += known;
        must(known != (cells->cells[i].kind == POLICY_CELL_DROPPED));
    }
    must(cells == NULL || at == access->attribute_count);
}

static void judge(const struct view *view, struct view_change *rows, unsigned stream,
                  const uint8_t *data, size_t len)
{
    struct wire_column columns[COLUMNS];
    struct relation relation = { .oid = 7, .serial = 1, .columns = columns };
    struct wire_change change = { .op = WIRE_UPDATE, .old_kind = WIRE_OLD_FULL };
    size_t half = len / 2;

    for (unsigned i = 0; i < COLUMNS; i++) {
        if ((stream >> i & 1) != 0) {
            columns[relation.column_count++] =
                (struct wire_column){ .name = { names[i], strlen(names[i]) },
                                      .type_oid = i == 1 ? UUID : INT4 };
        }
    }
    change.new_row = (struct wire_tuple){ half > 0 ? data : NULL, half };
    change.old_row = (struct wire_tuple){ len > half ? data + half : NULL, len - half };
    bool fits = view_change_set(rows, &relation, view->access, &change, 0);
    must(fits || (view_change_new_row(rows) == NULL && view_change_old_row(rows) == NULL));
    check_cells(view->access, view_change_new_cells(rows));
    check_cells(view->access, view_change_old_cells(rows));
    struct view_verdict verdict = view_judge(view, rows);
    must(verdict.on_new <= MATCH_ASK && verdict.on_old <= MATCH_ASK);
    must(fits || (verdict.on_new == MATCH_NO && verdict.on_old == MATCH_NO));
    /* Read only as far as the view looks. */
    must(!fits || view_change_read(rows, &relation, view->access, &change, view_columns(view)));
    struct view_verdict again = view_judge(view, rows);
    must(!fits || (again.on_new == verdict.on_new && again.on_old == verdict.on_old));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 3) {
        return 0;
    }
    struct access *access = make_access(data[0] | (unsigned)data[1] << 8);
    struct view *view = make_view(access);
    struct view_change *rows = view_change_new();

    judge(view, rows, data[2], data + 3, len - 3);
    judge(view, rows, data[2], data + 3, (len - 3) / 2); /* and once more, over what is there */
    view_change_free(rows);
    view_unref(view);
    access_unref(access);
    return 0;
}
