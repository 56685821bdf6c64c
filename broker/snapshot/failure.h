/* broker/snapshot/failure.h - what an error of PostgreSQL means for a snapshot. No I/O. */
#ifndef PGTIDE_BROKER_SNAPSHOT_FAILURE_H
#define PGTIDE_BROKER_SNAPSHOT_FAILURE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "broker/snapshot/metrics.h"
#include "proto/records.h"

enum failure_phase { FAILURE_ENTERING, FAILURE_READING };

struct failure {
    enum snapshot_failure kind;
    bool again; /* may be tried again at once, up to a bound */
    enum wire_code code;
    char message[WIRE_TEXT_MAX + 1]; /* for the client */
};

/* `table`: "schema.table", for the texts. */
void failure_of(struct failure *out, const PGresult *result, enum failure_phase phase,
                const char *role, const char *table);

#endif
