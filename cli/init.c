/* cli/init.c - pgtide init: applies deploy/sql to a database, all or nothing. */
#include <stdio.h>

#include <libpq-fe.h>

#include "cli/command.h"
#include "cli/database.h"
#include "cli/settings.h"
#include "cli/sql_files.h"
#include "runtime/config.h"

/* Two at once would collide on the catalogs; the second waits. Locks of others are not waited for
 * without end, so that a running system never queues behind this. */
static const char begin_sql[] =
    "begin; set local lock_timeout = '10s'; set local client_min_messages = notice;"
    "select pg_advisory_xact_lock(hashtextextended('pgtide.init', 0))";

static bool apply(PGconn *conn, const struct rt_config *config, bool verbose)
{
    const char *publications[] = { config->database_publication,
                                   config->database_policy_publication };

    if (!cli_database_run(conn, begin_sql, "beginning the transaction")) {
        return false;
    }
    PGresult *set = cli_database_query(conn,
                                       "select set_config('pgtide.publication', $1, true),"
                                       " set_config('pgtide.policy_publication', $2, true)",
                                       2, publications);
    if (set == NULL) {
        return false;
    }
    PQclear(set);
    for (const struct sql_file *file = cli_sql_files(); file->name != NULL; file++) {
        if (verbose) {
            cli_say("applying %s", file->name);
        }
        if (!cli_database_run(conn, file->text, file->name)) {
            cli_say(
                "nothing was changed. Run it as a superuser, or as the role that ran it before");
            return false;
        }
    }
    return cli_database_run(conn, "commit", "the commit");
}

static bool report(PGconn *conn)
{
    PGresult *result = cli_database_query(
        conn,
        "select current_database(), pgtide.publication(), count(t.tablename)"
        " from pg_publication p left join pg_publication_tables t on t.pubname = p.pubname"
        " where p.pubname = pgtide.publication()",
        0, NULL);
    if (result == NULL) {
        return false;
    }
    printf("database %s is set up: publication %s, %s tables enabled\n", PQgetvalue(result, 0, 0),
           PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
    PQclear(result);
    return true;
}

/* For people who want to read it first, or to apply it with their own tools. */
static enum cli_status print_files(void)
{
    for (const struct sql_file *file = cli_sql_files(); file->name != NULL; file++) {
        printf("-- %s\n\n%s\n", file->name, file->text);
    }
    return CLI_OK;
}

static enum cli_status run_init(const struct cli_args *args)
{
    enum cli_status status = CLI_USAGE;
    PGconn *conn = NULL;

    if (cli_args_flag(args, "print")) {
        return print_files();
    }
    struct rt_config *config = cli_settings_load(args);
    const char *url = config != NULL ? cli_settings_database(args, config) : NULL;
    if (url == NULL) {
        goto out;
    }
    status = CLI_FAILED;
    conn = cli_database_connect(url);
    if (conn != NULL && apply(conn, config, cli_args_flag(args, "verbose")) && report(conn)) {
        status = CLI_OK;
    }

out:
    PQfinish(conn);
    rt_config_free(config);
    return status;
}

static const struct cli_option init_options[] = {
    { "database", "URL", false, "the database; without it: DATABASE_URL, or database.url" },
    CLI_CONFIG_OPTIONS,
    { "print", NULL, false, "print the SQL instead of applying it" },
    { "verbose", NULL, false, "name each file as it is applied" },
    { 0 },
};

const struct cli_command cli_command_init = {
    .name = "init",
    .arguments = "",
    .summary = "set up a database for pgtide (safe to repeat)",
    .about =
        "Makes schema pgtide, the publications, enable_realtime() and disable_realtime(), the "
        "view\n"
        "realtime_enabled_tables, and, when they are missing, the roles anon, authenticated and\n"
        "service_role and the functions auth.uid(), auth.role() and auth.jwt(). All in one\n"
        "transaction; no table of yours is touched. Run it again after every update of pgtide.\n"
        "The user who runs it becomes a member of those roles: the broker, which reads snapshots\n"
        "as the role of the client, needs that. Give its user the same if it is another one.\n"
        "\n"
        "Best run once as a superuser: only then the event triggers can be made that tell pgtide "
        "of\n"
        "schema changes at once.\n"
        "\n"
        "  pgtide init --database postgresql://postgres@localhost/shop\n",
    .options = init_options,
    .run = run_init,
};
