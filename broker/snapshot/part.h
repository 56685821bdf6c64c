/* broker/snapshot/part.h - rows collected for one ROWS record. No I/O.
 *
 * A row is a tuple in the columns of the stream: MISSING where the reader may not look, TOO_LARGE over the limit. The part
 * keeps its memory between uses; rows are copied once.
 */
#ifndef PGTIDE_BROKER_SNAPSHOT_PART_H
#define PGTIDE_BROKER_SNAPSHOT_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "broker/snapshot/sql.h"
#include "proto/records.h"

#define PART_BYTES 262144u /* it is full with the row that passes this */

struct part {
    struct wire_writer bytes;
    size_t *ends; /* of each row, in bytes */
    struct wire_tuple *rows;
    uint32_t count;
    uint32_t cap;
};

void part_fini(struct part *part);
void part_clear(struct part *part);
/* Row `at` of a page. */
void part_add(struct part *part, const struct sql_table *table, const PGresult *result, int at,
              uint32_t max_value);
bool part_full(const struct part *part, uint32_t page_rows);
/* Valid until the part changes. */
const struct wire_tuple *part_rows(struct part *part);

#endif
