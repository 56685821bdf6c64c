/* tailer/facts.c - see facts.h. */
#include "tailer/facts.h"

#include <stdlib.h>

void facts_table_fini(struct facts_table *table)
{
    free(table->columns);
    *table = (struct facts_table){ 0 };
}

void facts_type_fini(struct facts_type *type)
{
    free(type->attributes);
    *type = (struct facts_type){ 0 };
}
