/* broker/access.c - a counted list of column names with a verdict. */
#include "broker/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "runtime/buf.h"
#include "runtime/map.h"

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;

    return strcmp(*left, *right);
}

static void free_names(char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

static void add_name(char ***names, uint32_t *count, const char *name)
{
    /* Doubling at powers of two needs no capacity field. */
    if ((*count & (*count - 1)) == 0) {
        *names = rt_realloc(*names, *count == 0 ? 1 : (size_t)*count * 2, sizeof(char *));
    }
    (*names)[(*count)++] = rt_strdup(name);
}

struct access *access_new(void)
{
    struct access *access = rt_alloc(sizeof(*access));

    access->refs = 1;
    return access;
}

struct access *access_refuse(int code, const char *format, ...)
{
    struct access *access = access_new();
    char text[WIRE_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    access->code = code;
    access->message = rt_strdup(text);
    return access;
}

struct access *access_ref(struct access *access)
{
    access->refs++;
    return access;
}

void access_unref(struct access *access)
{
    if (access == NULL || --access->refs > 0) {
        return;
    }
    free_names(access->columns, access->column_count);
    free_names(access->generated, access->generated_count);
    for (uint32_t i = 0; i < access->attribute_count; i++) {
        free(access->attributes[i].name);
    }
    free(access->attributes);
    policy_rules_unref(access->rules);
    free(access->message);
    free(access);
}

void access_add_column(struct access *access, const char *name, bool generated)
{
    add_name(&access->columns, &access->column_count, name);
    if (generated) {
        add_name(&access->generated, &access->generated_count, name);
    }
}

void access_add_attribute(struct access *access, const char *name, uint32_t number, uint32_t type)
{
    uint32_t count = access->attribute_count;

    if ((count & (count - 1)) == 0) {
        access->attributes = rt_realloc(access->attributes, count == 0 ? 1 : (size_t)count * 2,
                                        sizeof(*access->attributes));
    }
    access->attributes[access->attribute_count++] =
        (struct access_attribute){ rt_strdup(name), number, type };
    uint64_t parts[] = { access->shape, number, type, rt_stable_hash(name, strlen(name)) };
    access->shape = rt_stable_hash(parts, sizeof(parts));
}

void access_seal(struct access *access)
{
    if (access->column_count > 1) {
        qsort(access->columns, access->column_count, sizeof(char *), compare_names);
    }
}

bool access_reads(const struct access *access, struct wire_span column)
{
    char name[WIRE_NAME_MAX + 1];
    const char *key = name;

    if (access->all) {
        return true;
    }
    if (column.len > WIRE_NAME_MAX || access->column_count == 0) {
        return false;
    }
    memcpy(name, column.data, column.len);
    name[column.len] = '\0';
    return bsearch(&key, access->columns, access->column_count, sizeof(char *), compare_names) !=
           NULL;
}

bool access_same_view(const struct access *a, const struct access *b)
{
    if (a->oid != b->oid || a->all != b->all || a->rules != b->rules) {
        return false;
    }
    if (a->all) {
        return true; /* whatever the columns are called */
    }
    if (a->column_count != b->column_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i], b->columns[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool access_same_attributes(const struct access *a, const struct access *b)
{
    if (a->attribute_count != b->attribute_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->attribute_count; i++) {
        const struct access_attribute *left = &a->attributes[i];
        const struct access_attribute *right = &b->attributes[i];
        if (left->number != right->number || left->type != right->type ||
            strcmp(left->name, right->name) != 0) {
            return false;
        }
    }
    return true;
}
