/* broker/view/view_change.c - tuples to values and cells by attribute number. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/view_parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

/* Relations whose columns are known by number; beyond, all are forgotten. */
enum { MAPS_MAX = 4096 };

/* Of one generation of a table. */
struct map {
    struct access *access; /* referenced: whose attributes these numbers are */
    bool fits;
    uint32_t highest;  /* attribute number */
    uint32_t *numbers; /* by place in the tuple */
    /* Those that the stream does not carry: dropped, or generated, or left out by the publication. */
    struct gap {
        uint32_t number;
        bool dropped;
    } * gaps;
    uint32_t gap_count;
};

struct view_change {
    struct view_image images[2];
    struct rt_map *maps; /* by serial of the relation */
    struct map *last;    /* that was used, of last_serial; NULL: none */
    uint64_t last_serial;
    uint32_t columns; /* that were asked for */
    const struct view **blinded;
    uint32_t blinded_count;
    uint32_t blinded_cap;
};

enum { IMAGE_NEW, IMAGE_OLD };

/* --- columns to numbers -------------------------------------------------------------------------- */

static bool is_named(const struct access_attribute *attribute, const struct wire_column *column)
{
    return strlen(attribute->name) == column->name.len &&
           memcmp(attribute->name, column->name.data, column->name.len) == 0;
}

static void add_gap(struct map *map, uint32_t number, bool dropped)
{
    map->gaps = rt_realloc(map->gaps, (size_t)map->gap_count + 1, sizeof(*map->gaps));
    map->gaps[map->gap_count++] = (struct gap){ number, dropped };
}

static void fill_gaps(struct map *map, const struct relation *relation)
{
    const struct access *access = map->access;
    uint32_t place = 0;
    uint32_t at = 0;

    map->gap_count = 0;
    for (uint32_t number = 1; number <= map->highest; number++) {
        bool known = access->attributes[at].number == number;
        if (place < relation->column_count && map->numbers[place] == number) {
            place++;
        } else {
            add_gap(map, number, !known);
        }
        at += known;
    }
}

/* The stream's columns stand in the order of their numbers. One that is not found there under its name with its type means
 * that the catalog and the stream speak of different moments (a column renamed, or two that swapped names). */
static void fill_map(struct map *map, const struct relation *relation)
{
    const struct access *access = map->access;
    uint32_t at = 0;

    map->fits = relation->oid == access->oid && access->attribute_count > 0;
    map->highest =
        access->attribute_count == 0 ? 0 : access->attributes[access->attribute_count - 1].number;
    map->fits = map->fits && map->highest <= UINT16_MAX;
    for (uint32_t i = 0; i < relation->column_count && map->fits; i++) {
        const struct wire_column *column = &relation->columns[i];
        while (at < access->attribute_count && !is_named(&access->attributes[at], column)) {
            at++;
        }
        map->fits = at < access->attribute_count && access->attributes[at].type == column->type_oid;
        map->numbers[i] = map->fits ? access->attributes[at++].number : 0;
    }
    if (map->fits) {
        fill_gaps(map, relation);
    }
}

static bool same_attributes(const struct access *a, const struct access *b)
{
    if (a->oid != b->oid || a->attribute_count != b->attribute_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->attribute_count; i++) {
        const struct access_attribute *left = &a->attributes[i];
        const struct access_attribute *right = &b->attributes[i];
        if (left->number != right->number || left->type != right->type ||
            strcmp(left->name, right->name) != 0) {
            return false;
        }
    }
    return true;
}

static void free_map(struct map *map)
{
    access_unref(map->access);
    free(map->numbers);
    free(map->gaps);
    free(map);
}

static void free_maps(struct view_change *rows)
{
    struct rt_map_iter iter = rt_map_begin(rows->maps);

    for (struct map *map = rt_map_next(&iter); map != NULL; map = rt_map_next(&iter)) {
        free_map(map);
    }
    rt_map_free(rows->maps);
}

static struct map *get_map(struct view_change *rows, const struct relation *relation,
                           struct access *access)
{
    struct map *map = rt_map_get_u64(rows->maps, relation->serial);

    if (map != NULL && map->access == access) {
        return map;
    }
    if (map != NULL && same_attributes(map->access, access)) {
        access_unref(map->access);
        map->access = access_ref(access);
        return map;
    }
    if (map == NULL) {
        if (rt_map_count(rows->maps) == MAPS_MAX) {
            free_maps(rows);
            rows->maps = rt_map_new();
        }
        map = rt_alloc(sizeof(*map));
        map->numbers = rt_alloc(((size_t)relation->column_count + 1) * sizeof(*map->numbers));
        rt_map_put_u64(rows->maps, relation->serial, map);
    }
    access_unref(map->access);
    map->access = access_ref(access);
    fill_map(map, relation);
    return map;
}

/* Changes of one table follow one another. */
static const struct map *find_map(struct view_change *rows, const struct relation *relation,
                                  struct access *access)
{
    if (rows->last == NULL || rows->last_serial != relation->serial ||
        rows->last->access != access) {
        rows->last = get_map(rows, relation, access);
        rows->last_serial = relation->serial;
    }
    return rows->last;
}

/* --- images -------------------------------------------------------------------------------------- */

struct view_change *view_change_new(void)
{
    struct view_change *rows = rt_alloc(sizeof(*rows));

    rows->maps = rt_map_new();
    rows->images[IMAGE_NEW].change = rows;
    rows->images[IMAGE_OLD].change = rows;
    return rows;
}

void view_change_free(struct view_change *change)
{
    if (change == NULL) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct view_image *image = &change->images[i];
        free(image->values);
        free(image->cells.cells);
        for (size_t j = 0; j < VIEW_READINGS_MAX; j++) {
            free(image->readings[j].row.cells);
        }
    }
    free_maps(change);
    free(change->blinded);
    free(change);
}

static void make_room(struct view_image *image, uint32_t count)
{
    if (count > image->cap) {
        image->cap = count;
        image->values = rt_realloc(image->values, count, sizeof(*image->values));
        image->cells.cells = rt_realloc(image->cells.cells, count, sizeof(*image->cells.cells));
        for (size_t i = 0; i < VIEW_READINGS_MAX; i++) {
            struct policy_row *row = &image->readings[i].row;
            row->cells = rt_realloc(row->cells, count, sizeof(*row->cells));
        }
    }
}

static void set_cell(struct policy_cell *cell, const struct wire_value *value)
{
    static const uint8_t kinds[] = { [WIRE_VALUE_NULL] = POLICY_CELL_NULL,
                                     [WIRE_VALUE_TEXT] = POLICY_CELL_TEXT,
                                     [WIRE_VALUE_UNCHANGED] = POLICY_CELL_UNCHANGED,
                                     [WIRE_VALUE_MISSING] = POLICY_CELL_MISSING,
                                     [WIRE_VALUE_TOO_LARGE] = POLICY_CELL_MISSING };

    cell->text = value->text;
    cell->len = value->len;
    cell->kind = kinds[value->kind];
    cell->parsed = false;
}

/* What the tuple does not carry; the rest follows. */
static void clear_image(struct view_image *image, const struct map *map, uint32_t columns)
{
    static const struct wire_value missing = { WIRE_VALUE_MISSING, 0, "" };

    make_room(image, columns);
    image->cells.count = columns;
    for (uint32_t i = 0; i < map->gap_count && map->gaps[i].number <= columns; i++) {
        struct policy_cell *cell = &image->cells.cells[map->gaps[i].number - 1];
        image->values[map->gaps[i].number - 1] = missing;
        set_cell(cell, &missing);
        cell->kind = map->gaps[i].dropped ? POLICY_CELL_DROPPED : cell->kind;
    }
    image->serial = 0;
    image->next = 0;
    image->leaves_out = false;
}

/* Up to attribute number `columns`. */
static bool fill_image(struct view_image *image, const struct map *map,
                       const struct relation *relation, struct wire_tuple tuple, uint32_t columns)
{
    struct wire_reader in;
    uint32_t count = 0;

    if (wire_tuple_open(tuple, &in, &count) != WIRE_OK || count != relation->column_count) {
        return false;
    }
    columns = columns < map->highest ? columns : map->highest;
    clear_image(image, map, columns);
    for (uint32_t i = 0; i < count && map->numbers[i] <= columns; i++) {
        struct wire_value *value = &image->values[map->numbers[i] - 1];
        if (wire_tuple_next(&in, value) != WIRE_OK) {
            return false;
        }
        set_cell(&image->cells.cells[map->numbers[i] - 1], value);
        image->leaves_out = image->leaves_out || value->kind == WIRE_VALUE_UNCHANGED;
    }
    image->row = (struct match_row){ image->values, columns, image };
    return true;
}

/* The old row of REPLICA IDENTITY FULL has what the new one leaves out because it is the same. */
static void fill_unchanged(struct view_image *new_image, const struct view_image *old_image)
{
    for (uint32_t i = 0; i < new_image->cells.count; i++) {
        const struct wire_value *old = &old_image->values[i];
        if (new_image->values[i].kind == WIRE_VALUE_UNCHANGED &&
            (old->kind == WIRE_VALUE_TEXT || old->kind == WIRE_VALUE_NULL)) {
            new_image->values[i] = *old;
            set_cell(&new_image->cells.cells[i], old);
        }
    }
}

bool view_change_read(struct view_change *rows, const struct relation *relation,
                      struct access *access, const struct wire_change *change, uint32_t columns)
{
    struct view_image *new_image = &rows->images[IMAGE_NEW];
    struct view_image *old_image = &rows->images[IMAGE_OLD];
    const struct map *map = find_map(rows, relation, access);
    bool has_new = change->new_row.data != NULL;
    bool has_old = change->old_row.data != NULL;
    bool fits = map->fits;

    rows->columns = columns;
    rows->blinded_count = 0;
    fits = fits && (!has_new || fill_image(new_image, map, relation, change->new_row, columns));
    fits = fits && (!has_old || fill_image(old_image, map, relation, change->old_row, columns));
    new_image->there = fits && has_new;
    old_image->there = fits && has_old;
    if (new_image->there && new_image->leaves_out && old_image->there &&
        change->old_kind == WIRE_OLD_FULL) {
        fill_unchanged(new_image, old_image);
    }
    return fits;
}

bool view_change_set(struct view_change *rows, const struct relation *relation,
                     struct access *access, const struct wire_change *change, int64_t now)
{
    view_change_set_now(rows, now);
    return view_change_read(rows, relation, access, change, UINT32_MAX);
}

uint32_t view_change_columns(const struct view_change *rows)
{
    return rows->columns;
}

void view_change_set_now(struct view_change *rows, int64_t now)
{
    rows->images[IMAGE_NEW].now = now;
    rows->images[IMAGE_OLD].now = now;
}

static const struct match_row *row_of(const struct view_image *image)
{
    return image->there ? &image->row : NULL;
}

const struct match_row *view_change_new_row(const struct view_change *rows)
{
    return row_of(&rows->images[IMAGE_NEW]);
}

const struct match_row *view_change_old_row(const struct view_change *rows)
{
    return row_of(&rows->images[IMAGE_OLD]);
}

const struct policy_row *view_change_new_cells(const struct view_change *rows)
{
    return rows->images[IMAGE_NEW].there ? &rows->images[IMAGE_NEW].cells : NULL;
}

const struct policy_row *view_change_old_cells(const struct view_change *rows)
{
    return rows->images[IMAGE_OLD].there ? &rows->images[IMAGE_OLD].cells : NULL;
}

void view_image_blinded(struct view_image *image, const struct view *view)
{
    struct view_change *rows = image->change;

    if (rows->blinded_count == rows->blinded_cap) {
        rows->blinded_cap = rows->blinded_cap == 0 ? 16 : rows->blinded_cap * 2;
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
        rows->blinded = rt_realloc(rows->blinded, rows->blinded_cap, sizeof(*rows->blinded));
    }
    rows->blinded[rows->blinded_count++] = view;
}

const struct view *const *view_change_blinded(const struct view_change *rows, uint32_t *out_count)
{
    *out_count = rows->blinded_count;
    return rows->blinded;
}

struct policy_row *view_image_other_row(struct view_image *image, const struct policy_rules *rules)
{
    if (image->serial == 0) {
        image->serial = rules->serial;
        return &image->cells;
    }
    for (size_t i = 0; i < VIEW_READINGS_MAX && i < image->next; i++) {
        if (image->readings[i].serial == rules->serial) {
            return &image->readings[i].row;
        }
    }
    struct view_reading *reading = &image->readings[image->next++ % VIEW_READINGS_MAX];
    reading->serial = rules->serial;
    reading->row.count = image->cells.count;
    memcpy(reading->row.cells, image->cells.cells,
           image->cells.count * sizeof(*image->cells.cells));
    for (uint32_t i = 0; i < reading->row.count; i++) {
        reading->row.cells[i].parsed = false;
    }
    return &reading->row;
}
