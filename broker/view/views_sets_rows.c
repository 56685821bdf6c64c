/* broker/view/views_sets_rows.c - changes of a membership table, as the programs that judge its rows read them. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"

static void make_room(struct views *views, uint32_t width, uint32_t columns)
{
    if (width > views->cell_cap) {
        views->cell_cap = width;
        views->cells[0] = rt_realloc(views->cells[0], width, sizeof(struct policy_cell));
        views->cells[1] = rt_realloc(views->cells[1], width, sizeof(struct policy_cell));
    }
    if (columns > views->number_cap) {
        views->number_cap = columns;
        views->numbers = rt_realloc(views->numbers, columns, sizeof(*views->numbers));
    }
}

static uint32_t number_of(const struct policy_kept_test *test, const struct wire_column *column)
{
    for (uint32_t i = 0; i < test->column_count; i++) {
        const struct policy_kept_column *known = &test->columns[i];
        if (known->type == column->type_oid && strlen(known->name) == column->name.len &&
            memcmp(known->name, column->name.data, column->name.len) == 0) {
            return known->number;
        }
    }
    return 0;
}

/* The numbers of its columns, 0 for those that do not matter. False: one that matters is not there. */
static bool map_columns(struct views *views, const struct policy_kept_test *test,
                        const struct relation *relation)
{
    uint32_t found = 0;

    make_room(views, test->width, relation->column_count);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        views->numbers[i] = number_of(test, &relation->columns[i]);
        found += views->numbers[i] != 0;
    }
    return found == test->column_count;
}

static enum policy_cell_kind cell_kind(enum wire_value_kind kind)
{
    switch (kind) {
    case WIRE_VALUE_NULL:
        return POLICY_CELL_NULL;
    case WIRE_VALUE_TEXT:
        return POLICY_CELL_TEXT;
    case WIRE_VALUE_UNCHANGED:
        return POLICY_CELL_UNCHANGED;
    case WIRE_VALUE_MISSING:
    case WIRE_VALUE_TOO_LARGE:
        break;
    }
    return POLICY_CELL_MISSING;
}

/* `keys`: only of columns of the replica identity. */
static bool fill(const struct views *views, struct policy_row *row, const struct relation *relation,
                 struct wire_tuple tuple, bool keys)
{
    struct wire_reader in;
    struct wire_value value;
    uint32_t count = 0;

    policy_row_clear(row);
    if (wire_tuple_open(tuple, &in, &count) != WIRE_OK || count != relation->column_count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (wire_tuple_next(&in, &value) != WIRE_OK) {
            return false;
        }
        bool wanted = !keys || (relation->columns[i].flags & WIRE_COLUMN_IDENTITY) != 0;
        if (views->numbers[i] != 0 && wanted) {
            policy_row_set(row, views->numbers[i], cell_kind(value.kind), value.text, value.len);
        }
    }
    return true;
}

/* What the new row leaves out because it is the same. */
static void fill_unchanged(struct policy_row *new_row, const struct policy_row *old_row)
{
    for (uint32_t i = 0; i < new_row->count; i++) {
        const struct policy_cell *old = &old_row->cells[i];
        if (new_row->cells[i].kind == POLICY_CELL_UNCHANGED &&
            (old->kind == POLICY_CELL_TEXT || old->kind == POLICY_CELL_NULL)) {
            policy_row_set(new_row, i + 1, (enum policy_cell_kind)old->kind, old->text, old->len);
        }
    }
}

bool views_versions_read(struct views *views, const struct policy_kept_test *test,
                         const struct relation *relation, const struct wire_change *change,
                         struct views_versions *out)
{
    bool has_old = change->op != WIRE_INSERT;
    bool has_new = change->op != WIRE_DELETE;
    bool same_key = has_old && change->old_kind == WIRE_OLD_NONE;

    if (!map_columns(views, test, relation)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        out->rows[i] = (struct policy_row){ test->width, views->cells[i] };
    }
    out->new_row = has_new ? &out->rows[0] : NULL;
    out->old_row = has_old ? &out->rows[1] : NULL;
    if (has_new && !fill(views, out->new_row, relation, change->new_row, false)) {
        return false;
    }
    if (has_old && !fill(views, out->old_row, relation,
                         same_key ? change->new_row : change->old_row, same_key)) {
        return false;
    }
    if (has_new && has_old && change->old_kind == WIRE_OLD_FULL) {
        fill_unchanged(out->new_row, out->old_row);
    }
    return true;
}
