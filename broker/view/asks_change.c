/* broker/view/asks_change.c - a change as row images, made once for all that ask about it. */
#include <stdlib.h>
#include <string.h>

#include "broker/policy/fallback.h"
#include "broker/policy/sql.h"
#include "broker/view/asks_impl.h"

/* --- shapes ------------------------------------------------------------------------------------- */

static struct asks_shape *shape_get(struct asks *asks, struct access *access)
{
    struct asks_shape *shape = rt_map_get_u64(asks->shapes, (uint64_t)(uintptr_t)access);
    struct rt_buf text = { .data = NULL };

    if (shape != NULL) {
        shape->refs++;
        return shape;
    }
    shape = rt_alloc(sizeof(*shape));
    shape->refs = 1;
    shape->access = access_ref(access);
    shape->numbers = rt_alloc(((size_t)access->attribute_count + 1) * sizeof(*shape->numbers));
    policy_sql_shape_begin(&text, access->oid);
    for (uint32_t i = 0; i < access->attribute_count; i++) {
        shape->numbers[i] = access->attributes[i].number;
        policy_sql_shape_column(&text, access->attributes[i].number, access->attributes[i].type);
    }
    shape->text = rt_strdup(rt_buf_cstr(&text));
    rt_buf_fini(&text);
    rt_map_put_u64(asks->shapes, (uint64_t)(uintptr_t)access, shape);
    return shape;
}

static void shape_unref(struct asks *asks, struct asks_shape *shape)
{
    if (--shape->refs > 0) {
        return;
    }
    rt_map_remove_u64(asks->shapes, (uint64_t)(uintptr_t)shape->access);
    access_unref(shape->access);
    free(shape->text);
    free(shape->numbers);
    free(shape);
}

/* --- images ------------------------------------------------------------------------------------- */

/* What the record lacks is a NULL here: nobody may be asked who needs it. */
static void write_image(struct asks_change *change, int version, const struct policy_row *row)
{
    const struct access *access = change->shape->access;
    struct rt_buf text = { .data = NULL };

    rt_buf_putc(&text, '(');
    for (uint32_t i = 0; i < access->attribute_count; i++) {
        uint32_t at = access->attributes[i].number - 1;
        uint8_t kind = at < row->count ? row->cells[at].kind : POLICY_CELL_MISSING;
        bool has = kind == POLICY_CELL_TEXT;
        if (!has && kind != POLICY_CELL_NULL) {
            if (change->missing[version] == NULL) {
                change->missing[version] = rt_alloc(access->attribute_count * sizeof(bool));
            }
            change->missing[version][i] = true;
        }
        policy_image_value(&text, i == 0, has ? row->cells[at].text : NULL,
                           has ? row->cells[at].len : 0);
    }
    rt_buf_putc(&text, ')');
    change->lens[version] = text.len;
    change->images[version] = rt_strdup(rt_buf_cstr(&text));
    rt_buf_fini(&text);
}

bool asks_change_has(const struct asks_change *change, int version, const bool *needs,
                     uint32_t count)
{
    const struct access *access = change->shape->access;
    const bool *missing = change->missing[version];

    for (uint32_t i = 0; missing != NULL && i < access->attribute_count; i++) {
        uint32_t at = access->attributes[i].number - 1;
        if (missing[i] && (needs == NULL || (at < count && needs[at]))) {
            return false;
        }
    }
    return true;
}

/* --- changes ------------------------------------------------------------------------------------ */

struct change_key {
    uint64_t shape;
    uint64_t lsn;
    uint64_t index;
};

static struct change_key key_of(const struct asks_shape *shape, uint64_t lsn, uint32_t index)
{
    return (struct change_key){ (uint64_t)(uintptr_t)shape, lsn, index };
}

static struct asks_change *change_new(struct asks *asks, struct asks_shape *shape,
                                      const struct ask_change *from)
{
    struct asks_change *change = rt_alloc(sizeof(*change));
    const struct policy_row *rows[ASK_VERSIONS] = { view_change_new_cells(from->rows),
                                                    view_change_old_cells(from->rows) };
    struct change_key key = key_of(shape, from->lsn, from->index);

    change->shape = shape;
    change->relation = relation_ref(from->relation);
    change->lsn = from->lsn;
    change->index = from->index;
    change->xid = from->xid;
    change->pause = ASKS_RETRY_FIRST;
    change->questions = rt_map_new();
    for (int i = 0; i < ASK_VERSIONS; i++) {
        if (rows[i] != NULL) {
            write_image(change, i, rows[i]);
        }
    }
    rt_map_put(asks->changes, &key, sizeof(key), change);
    return change;
}

struct asks_change *asks_change_get(struct asks *asks, struct view *view,
                                    const struct ask_change *from)
{
    struct asks_change *recent = asks->recent_change;

    if (recent != NULL && recent->lsn == from->lsn && recent->index == from->index &&
        recent->shape->access == view->access) {
        recent->refs++;
        return recent;
    }
    struct asks_shape *shape = shape_get(asks, view->access);
    struct change_key key = key_of(shape, from->lsn, from->index);
    struct asks_change *change = rt_map_get(asks->changes, &key, sizeof(key));

    if (change == NULL) {
        change = change_new(asks, shape, from);
    } else {
        shape_unref(asks, shape);
    }
    change->refs++;
    asks->recent_change = change;
    return change;
}

void asks_change_unref(struct asks *asks, struct asks_change *change)
{
    if (--change->refs > 0) {
        return;
    }
    struct change_key key = key_of(change->shape, change->lsn, change->index);
    rt_map_remove(asks->changes, &key, sizeof(key));
    asks->recent_change = asks->recent_change == change ? NULL : asks->recent_change;
    rt_map_free(change->questions);
    for (int i = 0; i < ASK_VERSIONS; i++) {
        free(change->images[i]);
        free(change->missing[i]);
    }
    relation_unref(change->relation);
    shape_unref(asks, change->shape);
    free(change);
}
