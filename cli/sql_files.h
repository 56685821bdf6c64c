/* cli/sql_files.h - the files of deploy/sql, a part of the program so that one binary is enough. */
#ifndef PGTIDE_CLI_SQL_FILES_H
#define PGTIDE_CLI_SQL_FILES_H

struct sql_file {
    const char *name; /* "01_roles.sql" */
    const char *text;
};

/* In the order in which they are applied, ended by an entry without a name. */
const struct sql_file *cli_sql_files(void);

#endif
