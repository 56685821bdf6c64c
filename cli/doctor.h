/* cli/doctor.h - pgtide doctor: findings, and where they are told. doctor.c asks the catalog, doctor_policies.c judges policies as
 * the broker does. One thread; blocking.
 */
#ifndef PGTIDE_CLI_DOCTOR_H
#define PGTIDE_CLI_DOCTOR_H

#include <stdbool.h>

#include <jansson.h>
#include <libpq-fe.h>

struct rt_config;

enum doctor_level { DOCTOR_ERROR, DOCTOR_WARNING, DOCTOR_NOTE, DOCTOR_LEVELS };

struct doctor {
    PGconn *conn;
    json_t *json; /* NULL: lines to standard output */
    unsigned counts[DOCTOR_LEVELS];
};

/* `remedy`: a statement, or NULL. */
void doctor_say(struct doctor *doctor, enum doctor_level level, const char *subject,
                const char *problem, const char *remedy);
/* The policies of the enabled tables for the roles of clients. False after saying what failed. */
bool doctor_policies(struct doctor *doctor, const struct rt_config *config);

#endif
