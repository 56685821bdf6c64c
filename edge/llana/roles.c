/* edge/llana/roles.c - see edge/llana/roles.h. */
#include "edge/llana/roles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "edge/list.h"
#include "runtime/buf.h"
#include "runtime/map.h"

enum { KEY_SIZE = 256 };

/* A row of the first two tables. */
struct rule {
    struct list_node node;
    bool custom;
    bool reads;     /* records, or access_level */
    bool reads_own; /* own_records */
    char *table;    /* NULL: of none */
    char *role;
    char *column;
};

struct llana_roles {
    char *user_role_column;
    struct rt_map *rows[LLANA_SOURCES]; /* by key: struct rule, and for users the role's text */
    struct list_node rules;
    struct list_node publics;
    uint64_t generation;
};

/* --- JSON -------------------------------------------------------------------------------------------------------- */

/* A number or a text as text; false: neither, or too long. */
static bool text_of(const json_t *value, char out[KEY_SIZE])
{
    int len = -1;

    if (json_is_string(value)) {
        len = snprintf(out, KEY_SIZE, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        len = snprintf(out, KEY_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    return len >= 0 && len < KEY_SIZE;
}

/* NULL when it is not a text. */
static char *member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));

    return text != NULL ? rt_strdup(text) : NULL;
}

static bool covers_read(const json_t *row, const char *name)
{
    const char *level = json_string_value(json_object_get(row, name));

    return level != NULL && (strcmp(level, "READ") == 0 || strcmp(level, "WRITE") == 0 ||
                             strcmp(level, "DELETE") == 0);
}

/* Databases that know no boolean have numbers. */
static bool is_true(const json_t *value)
{
    return json_is_true(value) || (json_is_integer(value) && json_integer_value(value) != 0);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static void rule_free(struct rule *rule)
{
    if (rule != NULL) {
        list_remove(&rule->node);
        free(rule->table);
        free(rule->role);
        free(rule->column);
        free(rule);
    }
}

static void row_free(enum llana_source source, void *row)
{
    if (source == LLANA_USERS) {
        free(row);
    } else {
        rule_free(row);
    }
}

static void put_rule(struct llana_roles *roles, enum llana_source source, const json_t *row,
                     const char *key)
{
    struct rule *rule = rt_alloc(sizeof(*rule));

    rule->table = member(row, "table");
    if (source == LLANA_RULES) {
        rule->custom = is_true(json_object_get(row, "custom"));
        rule->role = member(row, "role");
        rule->column = member(row, "identity_column");
        rule->reads = covers_read(row, "records");
        rule->reads_own = covers_read(row, "own_records");
    } else {
        rule->reads = covers_read(row, "access_level");
    }
    list_append(source == LLANA_RULES ? &roles->rules : &roles->publics, &rule->node);
    rule_free(rt_map_put(roles->rows[source], key, strlen(key), rule));
    roles->generation++;
}

static void put_user(struct llana_roles *roles, const json_t *row, const char *key)
{
    char role[KEY_SIZE];
    struct rt_map *users = roles->rows[LLANA_USERS];
    const char *known = rt_map_get(users, key, strlen(key));
    bool has_role = text_of(json_object_get(row, roles->user_role_column), role);

    if (known != NULL && has_role && strcmp(known, role) == 0) {
        return; /* something else of the user's has changed */
    }
    free(has_role ? rt_map_put(users, key, strlen(key), rt_strdup(role))
                  : rt_map_remove(users, key, strlen(key)));
    roles->generation++;
}

void llana_roles_put(struct llana_roles *roles, enum llana_source source, void *row,
                     const char *key)
{
    char text[KEY_SIZE];

    if (!text_of(json_object_get(row, key), text)) {
        return;
    }
    if (source == LLANA_USERS) {
        put_user(roles, row, text);
    } else {
        put_rule(roles, source, row, text);
    }
}

void llana_roles_remove(struct llana_roles *roles, enum llana_source source, void *row,
                        const char *key)
{
    char text[KEY_SIZE];

    if (text_of(json_object_get(row, key), text)) {
        row_free(source, rt_map_remove(roles->rows[source], text, strlen(text)));
        roles->generation++;
    }
}

void llana_roles_clear(struct llana_roles *roles, enum llana_source source)
{
    struct rt_map_iter iter = rt_map_begin(roles->rows[source]);

    for (void *row = rt_map_next(&iter); row != NULL; row = rt_map_next(&iter)) {
        rt_map_iter_remove(&iter);
        row_free(source, row);
    }
    roles->generation++;
}

/* --- judgements -------------------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

bool llana_roles_is_public(const struct llana_roles *roles, const char *table)
{
    const struct list_node *head = &roles->publics;

    for (struct list_node *at = head->next; at != head; at = at->next) {
        const struct rule *rule = LIST_ELEMENT(at, struct rule, node);
        if (rule->reads && same(rule->table, table)) {
            return true;
        }
    }
    return false;
}

/* The rule that decides: of this table if there is one, else the role's general one. Several: the first that came. */
static const struct rule *find_rule(const struct llana_roles *roles, const char *table,
                                    const char *role)
{
    const struct list_node *head = &roles->rules;
    const struct rule *general = NULL;

    for (struct list_node *at = head->next; at != head; at = at->next) {
        const struct rule *rule = LIST_ELEMENT(at, struct rule, node);
        if (!same(rule->role, role)) {
            continue;
        }
        if (rule->custom && same(rule->table, table)) {
            return rule;
        }
        if (!rule->custom && general == NULL) {
            general = rule;
        }
    }
    return general;
}

struct llana_verdict llana_roles_judge(const struct llana_roles *roles, const char *table,
                                       const char *sub)
{
    struct llana_verdict verdict = { LLANA_NOTHING, "" };

    if (llana_roles_is_public(roles, table)) {
        verdict.access = LLANA_ALL;
        return verdict;
    }
    const char *role = sub != NULL ? rt_map_get(roles->rows[LLANA_USERS], sub, strlen(sub)) : NULL;
    const struct rule *rule = role != NULL ? find_rule(roles, table, role) : NULL;
    if (rule != NULL && rule->reads) {
        verdict.access = LLANA_ALL;
    } else if (rule != NULL && rule->custom && rule->reads_own) {
        verdict.access = LLANA_OWN;
        verdict.column = rule->column != NULL ? rule->column : "";
    }
    return verdict;
}

void llana_roles_each_own_column(const struct llana_roles *roles, const char *table,
                                 void (*each)(void *ctx, const char *column), void *ctx)
{
    const struct list_node *head = &roles->rules;

    for (struct list_node *at = head->next; at != head; at = at->next) {
        const struct rule *rule = LIST_ELEMENT(at, struct rule, node);
        if (rule->custom && rule->reads_own && !rule->reads && same(rule->table, table)) {
            each(ctx, rule->column != NULL ? rule->column : "");
        }
    }
}

uint64_t llana_roles_generation(const struct llana_roles *roles)
{
    return roles->generation;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

struct llana_roles *llana_roles_new(const char *user_role_column)
{
    struct llana_roles *roles = rt_alloc(sizeof(*roles));

    roles->user_role_column = rt_strdup(user_role_column);
    roles->generation = 1;
    list_init(&roles->rules);
    list_init(&roles->publics);
    for (int i = 0; i < LLANA_SOURCES; i++) {
        roles->rows[i] = rt_map_new();
    }
    return roles;
}

void llana_roles_free(struct llana_roles *roles)
{
    if (roles == NULL) {
        return;
    }
    for (int i = 0; i < LLANA_SOURCES; i++) {
        llana_roles_clear(roles, (enum llana_source)i);
        rt_map_free(roles->rows[i]);
    }
    free(roles->user_role_column);
    free(roles);
}
