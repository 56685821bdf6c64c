/* tailer/describe.h - a table's definition as of now, for brokers that need it before any change of the table has come.
 *
 * The answer is not of the stream: its number is never named there, and the stream tells the table again before its
 * first change. It is read from the catalog, unless the stream's own definition is in force.
 *
 * Synchronous, as tailer/catalog.h; two questions and one for each type.
 */
#ifndef PGTIDE_TAILER_DESCRIBE_H
#define PGTIDE_TAILER_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/writer.h"

struct catalog;
struct relcache;

/* Writes a RELATION record. False: no such table in the publication, or the catalog does not answer; `out` is then empty. */
bool describe_table(struct catalog *catalog, struct relcache *relcache, const char *publication,
                    uint32_t oid, struct wire_writer *out);

#endif
