/* broker/route/group.c - groups: who sees the same of a table, and at which edges they are. */
#include <stdlib.h>
#include <string.h>

#include "broker/route/parts.h"
#include "runtime/buf.h"
#include "runtime/map.h"

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
    const struct route_config *config = &table->route->config;

    for (uint32_t i = 0; group->view == NULL && i < table->group_count; i++) {
        if (table->groups[i] == group) {
            table->groups[i] = table->groups[--table->group_count];
            break;
        }
    }
    if (group->view != NULL) {
        *group->link = group->next;
        if (group->next != NULL) {
            group->next->link = group->link;
        }
        group->view->user = NULL;
        (void)match_remove(table->route->match, group->filed);
        config->events->ask_forget(config->ctx, group->view, UINT64_MAX, 0);
        view_unref(group->view);
    }
    table->dirty = table->dirty || group->view == NULL;
    add_to_gauge(config->stats->groups, -1);
    access_unref(group->access);
    free(group->blinded_at);
    free(group);
}

static struct route_group *group_new(struct route_table *table, struct access *access)
{
    struct route_group *group = rt_alloc(sizeof(*group));

    group->own.number = table->route->next_group++;
    group->table = table;
    group->access = access_ref(access);
    group->users = 1;
    add_to_gauge(table->route->config.stats->groups, 1);
    return group;
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
            group->users++;
            return group;
        }
    }
    if (table->group_count == ROUTE_GROUPS_MAX) {
        return NULL;
    }
    struct route_group *group = group_new(table, access);
    table->groups =
        rt_realloc(table->groups, (size_t)table->group_count + 1, sizeof(struct route_group *));
    table->groups[table->group_count++] = group;
    return group;
}

static const char *file(struct route_group *group, struct view *view)
{
    struct route_table *table = group->table;
    struct route *route = table->route;

    if (table->match == NULL) {
        table->match = match_table_new(route->match, route->config.limits);
    }
    struct view_filing filing;
    uint32_t columns = view_columns(view);

    table->columns = columns > table->columns ? columns : table->columns;
    view_filing_init(&filing, view);
    enum match_status status =
        match_add(table->match, &filing.match, (uint64_t)(uintptr_t)group, &group->filed);
    view_filing_fini(&filing);
    if (status == MATCH_TOO_MANY_SCANNED) {
        return "too many subscriptions of this table have no condition that can be looked up (a "
               "column that "
               "equals something); see policies.scanned_views";
    }
    if (status == MATCH_TOO_MANY_ORDERED) {
        return "too many subscriptions of this table compare columns by order; see "
               "policies.ordered_views";
    }
    return NULL;
}

struct route_group *group_for_view(struct route_table *table, struct view *view,
                                   const char **out_why)
{
    uint64_t found = 0;
    struct route_group *group = NULL;

    if (table->match != NULL && match_find(table->match, view_key(view), &found)) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number that was a pointer, or bytes that are only read */
        group = (struct route_group *)(uintptr_t)found;
        group->users++;
        return group;
    }
    group = group_new(table, view->access);
    view_ref(view); /* the index's, which it also takes when it refuses */
    *out_why = file(group, view);
    if (*out_why != NULL) {
        group_release(group);
        return NULL;
    }
    group->view = view_ref(view);
    view->user = group;
    group->next = table->judged;
    group->link = &table->judged;
    if (group->next != NULL) {
        group->next->link = &group->next;
    }
    table->judged = group;
    access_ref(view->access);
    access_unref(table->attributes);
    table->attributes = view->access;
    return group;
}

void group_release(struct route_group *group)
{
    if (group != NULL && --group->users == 0) {
        free_group(group);
    }
}

struct member *group_join(struct route_group *group, struct route_edge *edge)
{
    for (struct member *member = group->members; member != NULL; member = member->next) {
        if (member->edge == edge) {
            member->count++;
            return member;
        }
    }
    struct member *member = group->own.count == 0 ? &group->own : rt_alloc(sizeof(*member));
    *member = (struct member){ .group = group,
                               .edge = edge,
                               .next = group->members,
                               .count = 1,
                               .number = group->own.number };
    group->members = member;
    group->table->dirty = group->table->dirty || group->view == NULL;
    return member;
}

void group_leave(struct member *member)
{
    struct route_group *group = member->group;
    struct member **link = &group->members;

    if (--member->count > 0) {
        return;
    }
    while (*link != member) {
        link = &(*link)->next;
    }
    *link = member->next;
    group->table->dirty = group->table->dirty || group->view == NULL;
    if (member != &group->own) {
        free(member);
    }
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
    group_announce(member->group, member->edge, member->number, relation);
    member->announced = serial;
}

void group_describe(struct route_group *group, const struct relation *relation)
{
    struct member *member = group->access->oid == relation->oid ? group->members : NULL;

    for (; member != NULL; member = member->next) {
        if (member->announced == 0) {
            member_announce(member, relation);
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
