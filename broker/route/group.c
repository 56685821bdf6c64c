/* broker/route/group.c - groups: who sees the same of a table, and at which edges they are. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"

static struct wire_span span_of(const char *text)
{
    return (struct wire_span){ text, strlen(text) };
}

static void add_to_gauge(struct rt_gauge *gauge, double by)
{
    rt_gauge_set(gauge, gauge->value + by);
}

static void free_group(struct route_group *group)
{
    struct route_table *table = group->table;

    for (uint32_t i = 0; i < table->group_count; i++) {
        if (table->groups[i] == group) {
            table->groups[i] = table->groups[--table->group_count];
            break;
        }
    }
    table->dirty = true;
    add_to_gauge(table->route->config.stats->groups, -1);
    access_unref(group->access);
    free(group->members);
    free(group);
}

static uint32_t readable_columns(const struct access *access, const struct relation *relation,
                                 struct wire_group_column *out)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct wire_column *column = &relation->columns[i];
        if (access_reads(access, column->name)) {
            out[count++] = (struct wire_group_column){
                .at = i, .name = column->name, .flags = column->flags, .shape = column->shape
            };
        }
    }
    return count;
}

static uint32_t readable_generated(const struct access *access, const struct relation *relation,
                                   struct wire_span *out)
{
    uint32_t count = 0;

    if (relation == NULL) {
        for (uint32_t i = 0; i < access->generated_count; i++) {
            out[count++] = span_of(access->generated[i]);
        }
        return count;
    }
    for (uint32_t i = 0; i < relation->not_streamed_count; i++) {
        if (access_reads(access, relation->not_streamed[i])) {
            out[count++] = relation->not_streamed[i];
        }
    }
    return count;
}

struct route_group *group_for(struct route_table *table, struct access *access)
{
    for (uint32_t i = 0; i < table->group_count; i++) {
        struct route_group *group = table->groups[i];
        if (access_same_view(group->access, access)) {
            access_ref(access); /* the newer one: it may know other generated columns */
            access_unref(group->access);
            group->access = access;
            group->audiences++;
            return group;
        }
    }
    if (table->group_count == ROUTE_GROUPS_MAX) {
        return NULL;
    }
    struct route_group *group = rt_alloc(sizeof(*group));
    group->number = table->route->next_group++;
    group->table = table;
    group->access = access_ref(access);
    group->audiences = 1;
    table->groups =
        rt_realloc(table->groups, (size_t)table->group_count + 1, sizeof(struct route_group *));
    table->groups[table->group_count++] = group;
    add_to_gauge(table->route->config.stats->groups, 1);
    return group;
}

void group_release(struct route_group *group)
{
    if (group != NULL && --group->audiences == 0) {
        free_group(group);
    }
}

struct member *group_join(struct route_group *group, struct route_edge *edge)
{
    for (uint32_t i = 0; i < group->member_count; i++) {
        if (group->members[i]->edge == edge) {
            group->members[i]->count++;
            return group->members[i];
        }
    }
    struct member *member = rt_alloc(sizeof(*member));
    *member = (struct member){ .group = group, .edge = edge, .count = 1 };
    group->members =
        rt_realloc(group->members, (size_t)group->member_count + 1, sizeof(struct member *));
    group->members[group->member_count++] = member;
    group->table->dirty = true;
    return member;
}

void group_leave(struct member *member)
{
    struct route_group *group = member->group;

    if (--member->count > 0) {
        return;
    }
    for (uint32_t i = 0; i < group->member_count; i++) {
        if (group->members[i] == member) {
            group->members[i] = group->members[--group->member_count];
            break;
        }
    }
    group->table->dirty = true;
    free(member);
}

void group_announce(const struct route_group *group, struct route_edge *edge, uint32_t number,
                    const struct relation *relation)
{
    const struct access *access = group->access;
    uint32_t most = relation == NULL ? 0 : relation->column_count;
    uint32_t most_generated =
        relation == NULL ? access->generated_count : relation->not_streamed_count;
    struct wire_group_column *columns = rt_realloc(NULL, (size_t)most + 1, sizeof(*columns));
    struct wire_span *generated = rt_realloc(NULL, (size_t)most_generated + 1, sizeof(*generated));
    struct wire_group head = {
        .group = number,
        .schema = span_of(group->table->schema),
        .table = span_of(group->table->table),
        .column_count = relation == NULL ? 0 : readable_columns(access, relation, columns),
        .not_streamed_count = readable_generated(access, relation, generated),
    };

    wire_encode_group(edge_out(edge), &head, columns, generated);
    free(columns);
    free(generated);
}

void member_announce(struct member *member, const struct relation *relation)
{
    uint64_t serial = relation == NULL ? 0 : relation->serial;

    if (member->announced == serial && serial != 0) {
        return;
    }
    group_announce(member->group, member->edge, member->group->number, relation);
    member->announced = serial;
}

void group_describe(struct route_group *group, const struct relation *relation)
{
    for (uint32_t i = 0; group->access->oid == relation->oid && i < group->member_count; i++) {
        if (group->members[i]->announced == 0) {
            member_announce(group->members[i], relation);
        }
    }
}

void group_ask(struct route_group *group)
{
    const struct route_config *config = &group->table->route->config;

    if (!group->table->asked) {
        group->table->asked = true;
        config->events->describe(config->ctx, group->access->oid);
    }
}
