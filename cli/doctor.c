/* cli/doctor.c - pgtide doctor: what is wrong with a database, and the statement that mends it. The statements are in cli/doctor. */
#include "cli/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/settings.h"
#include "runtime/config.h"

#define DOCTOR_CHECK(stem, needs) extern const unsigned char cli_doctor_##stem[];
#include "cli/doctor.def"
#undef DOCTOR_CHECK

static const struct {
    const char *name;
    const unsigned char *sql;
    const char *needs;
} checks[] = {
#define DOCTOR_CHECK(stem, needs) { #stem, cli_doctor_##stem, needs },
#include "cli/doctor.def"
#undef DOCTOR_CHECK
};

/* --- findings --------------------------------------------------------------------------------- */

static enum doctor_level level_named(const char *name)
{
    return strcmp(name, "error") == 0     ? DOCTOR_ERROR
           : strcmp(name, "warning") == 0 ? DOCTOR_WARNING
                                          : DOCTOR_NOTE;
}

static const char *name_of(enum doctor_level level)
{
    static const char *const names[] = {
        [DOCTOR_ERROR] = "error", [DOCTOR_WARNING] = "warning", [DOCTOR_NOTE] = "note"
    };

    return names[level];
}

void doctor_say(struct doctor *doctor, enum doctor_level level, const char *subject,
                const char *problem, const char *remedy)
{
    doctor->counts[level]++;
    if (doctor->json != NULL) {
        json_array_append_new(doctor->json,
                              json_pack("{s:s,s:s,s:s,s:s?}", "level", name_of(level), "subject",
                                        subject, "problem", problem, "remedy", remedy));
        return;
    }
    printf("%-8s %s: %s\n", name_of(level), subject, problem);
    if (remedy != NULL) {
        printf("         mend: %s\n", remedy);
    }
}

/* --- statements ------------------------------------------------------------------------------- */

static bool exists(struct doctor *doctor, const char *function)
{
    PGresult *result =
        cli_database_query(doctor->conn, "SELECT to_regprocedure($1) IS NOT NULL", 1, &function);
    bool found = PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't';

    PQclear(result);
    return found;
}

static bool look(struct doctor *doctor, const char *name, const char *sql)
{
    PGresult *result = cli_database_query(doctor->conn, sql, 0, NULL);

    for (int i = 0; i < PQntuples(result); i++) {
        doctor_say(doctor, level_named(PQgetvalue(result, i, 0)), PQgetvalue(result, i, 1),
                   PQgetvalue(result, i, 2),
                   PQgetisnull(result, i, 3) ? NULL : PQgetvalue(result, i, 3));
    }
    if (result == NULL) {
        cli_say("the check %s could not be made", name);
    }
    PQclear(result);
    return result != NULL;
}

/* What the statements ask for with current_setting(). */
static bool set_up(struct doctor *doctor, const struct rt_config *config)
{
    char window[32];
    char retention[32];
    const char *params[] = { config->database_publication,
                             config->database_policy_publication,
                             config->database_slot,
                             config->auth_roles,
                             window,
                             retention };

    snprintf(window, sizeof window, "%lld", (long long)config->window_bytes);
    snprintf(retention, sizeof retention, "%lld", (long long)config->retention_bytes);
    PGresult *result = cli_database_query(
        doctor->conn,
        "SELECT set_config('doctor.publication', $1, false), "
        "set_config('doctor.policy_publication', $2, false),"
        " set_config('doctor.slot', $3, false), set_config('doctor.roles', $4, false),"
        " set_config('doctor.window_bytes', $5, false), set_config('doctor.retention_bytes', $6, "
        "false),"
        " set_config('search_path', 'pg_catalog', false)",
        6, params);

    PQclear(result);
    return result != NULL;
}

static bool examine(struct doctor *doctor, const struct rt_config *config)
{
    bool good = set_up(doctor, config);

    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && good; i++) {
        if (checks[i].needs[0] == '\0' || exists(doctor, checks[i].needs)) {
            good = look(doctor, checks[i].name, (const char *)checks[i].sql);
        }
    }
    return good && doctor_policies(doctor, config);
}

static void report(const struct doctor *doctor)
{
    if (doctor->json != NULL) {
        char *text = json_dumps(doctor->json, JSON_INDENT(2));
        printf("%s\n", text != NULL ? text : "[]");
        free(text);
        return;
    }
    printf("%u errors, %u warnings, %u notes\n", doctor->counts[DOCTOR_ERROR],
           doctor->counts[DOCTOR_WARNING], doctor->counts[DOCTOR_NOTE]);
}

static enum cli_status run_doctor(const struct cli_args *args)
{
    struct doctor doctor = { 0 };
    enum cli_status status = CLI_USAGE;
    struct rt_config *config = cli_settings_load(args);
    const char *url = config != NULL ? cli_settings_database(args, config) : NULL;

    if (url != NULL) {
        status = CLI_FAILED;
        doctor.conn = cli_database_connect(url);
        doctor.json = cli_args_flag(args, "json") ? json_array() : NULL;
        if (doctor.conn != NULL && examine(&doctor, config)) {
            report(&doctor);
            bool wrong = doctor.counts[DOCTOR_ERROR] + doctor.counts[DOCTOR_WARNING] > 0;
            status = wrong ? CLI_FAILED : CLI_OK;
        }
    }
    json_decref(doctor.json);
    PQfinish(doctor.conn);
    rt_config_free(config);
    return status;
}

static const struct cli_option doctor_options[] = {
    { "json", NULL, false, "an array of objects instead of lines" },
    { "database", "URL", false, "the database; without it: DATABASE_URL, or database.url" },
    CLI_CONFIG_OPTIONS,
    { 0 },
};

const struct cli_command cli_command_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "say what is wrong with the database, and how to mend it",
    .about = "Looks at the server's settings, the slot, the publications, the event triggers, the "
             "roles and every\n"
             "enabled table. Each finding comes with the statement that mends it, or none when "
             "there is none:\n"
             "  error    events are lost or wrong, or something does not work\n"
             "  warning  works, but not as it should\n"
             "  note     costs speed\n"
             "It changes nothing. Run it as the user of the broker (database.url): some findings "
             "are about that user.\n"
             "\n"
             "  pgtide doctor --database postgresql://pgtide@localhost/shop\n"
             "\n"
             "Exit status: 0 when there is no error and no warning, 1 when there is one.\n",
    .options = doctor_options,
    .run = run_doctor,
};
