/* cli/sql_files.c - see sql_files.h. The objects are made by pgtide_embed(). */
#include "cli/sql_files.h"

#include <stddef.h>

#define SQL_FILE(stem) extern const unsigned char cli_sql_##stem[];
#include "cli/sql_files.def"
#undef SQL_FILE

const struct sql_file *cli_sql_files(void)
{
    static const struct sql_file files[] = {
#define SQL_FILE(stem) { #stem ".sql", (const char *)cli_sql_##stem },
#include "cli/sql_files.def"
#undef SQL_FILE
        { NULL, NULL },
    };
    return files;
}
