/* broker/snapshot/part.c - see part.h. */
#include "broker/snapshot/part.h"

#include <stdlib.h>

void part_fini(struct part *part)
{
    wire_writer_fini(&part->bytes);
    free(part->ends);
    free(part->rows);
    *part = (struct part){ 0 };
}

void part_clear(struct part *part)
{
    wire_writer_clear(&part->bytes);
    part->count = 0;
}

static struct wire_value value_of(const PGresult *result, int at, int field, uint32_t max_value)
{
    if (PQgetisnull(result, at, field) != 0) {
        return (struct wire_value){ .kind = WIRE_VALUE_NULL };
    }
    uint32_t len = (uint32_t)PQgetlength(result, at, field);
    if (len > max_value) {
        return (struct wire_value){ .kind = WIRE_VALUE_TOO_LARGE };
    }
    return (struct wire_value){ .kind = WIRE_VALUE_TEXT,
                                .len = len,
                                .text = PQgetvalue(result, at, field) };
}

void part_add(struct part *part, const struct sql_table *table, const PGresult *result, int at,
              uint32_t max_value)
{
    if (part->count == part->cap) {
        part->cap = part->cap == 0 ? 64 : part->cap * 2;
        part->ends = rt_realloc(part->ends, part->cap, sizeof(*part->ends));
        part->rows = rt_realloc(part->rows, part->cap, sizeof(*part->rows));
    }
    wire_write_array(&part->bytes, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++) {
        int field = table->columns[i].at;
        struct wire_value value = { .kind = WIRE_VALUE_MISSING };
        if (field >= 0) {
            value = value_of(result, at, field, max_value);
        }
        wire_write_value(&part->bytes, &value);
    }
    part->ends[part->count++] = part->bytes.len;
}

bool part_full(const struct part *part, uint32_t page_rows)
{
    return part->count >= page_rows || part->bytes.len >= PART_BYTES;
}

const struct wire_tuple *part_rows(struct part *part)
{
    size_t start = 0;

    for (uint32_t i = 0; i < part->count; i++) {
        part->rows[i] = (struct wire_tuple){ part->bytes.data + start, part->ends[i] - start };
        start = part->ends[i];
    }
    return part->rows;
}
