/* broker/view/filter_allowed.c - what a role may filter by. */
#include <stdio.h>
#include <string.h>

#include "broker/policy/allow.h"
#include "broker/view/filter_parts.h"

enum { TYPE_JSON = 114, TYPE_JSONB = 3802 };

static bool refuse(const struct filter_node *node, struct filter_error *out_error, const char *why)
{
    *out_error = (struct filter_error){ .at = node->at };
    (void)snprintf(out_error->text, sizeof(out_error->text), "column \"%s\" %s", node->column.data,
                   why);
    return false;
}

static bool is_generated(const struct access *access, const char *name)
{
    for (uint32_t i = 0; i < access->generated_count; i++) {
        if (strcmp(access->generated[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whose operators and casts are PostgreSQL's own, for this test. */
static bool is_trusted(const struct filter_node *node, const struct filter_column *column)
{
    bool pattern = node->op >= FILTER_LIKE && node->op <= FILTER_IMATCH;
    bool json = column->type == TYPE_JSON || column->type == TYPE_JSONB;

    if (node->step_count > 0) {
        return json;
    }
    return column->type < POLICY_TYPE_FIRST_OWN || node->op == FILTER_IS_NULL ||
           (column->enums && !pattern);
}

bool filter_allowed(const struct filter *filter, const struct access *access,
                    const struct filter_columns *columns, struct filter_error *out_error)
{
    char why[160]; /* two names fit */

    for (uint32_t i = 0; i < filter->node_count; i++) {
        const struct filter_node *node = &filter->nodes[i];
        if (node->kind != FILTER_TEST) {
            continue;
        }
        const struct filter_column *column = filter_columns_find(columns, node->column.data);
        if (column == NULL || !access_reads(access, node->column)) {
            return refuse(node, out_error, "does not exist, or may not be read");
        }
        if (is_generated(access, column->name)) {
            return refuse(node, out_error, "is generated, and not in the stream of changes");
        }
        if (!is_trusted(node, column)) {
            (void)snprintf(why, sizeof(why), "has type %s, for which there is no %s here",
                           column->type_name,
                           node->step_count > 0 ? "path" : filter_op_name(node->op));
            return refuse(node, out_error, why);
        }
    }
    return true;
}
