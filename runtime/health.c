/* runtime/health.c - conditions in the order of their registration. */
#include "runtime/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { REASON_SIZE = 256 };

struct rt_condition {
    char *name;
    bool met;
    char reason[REASON_SIZE];
    struct rt_condition *next;
};

struct rt_health {
    struct rt_condition *conditions;
};

struct rt_health *rt_health_new(void)
{
    return rt_alloc(sizeof(struct rt_health));
}

void rt_health_free(struct rt_health *health)
{
    if (health == NULL) {
        return;
    }
    while (health->conditions != NULL) {
        struct rt_condition *condition = health->conditions;
        health->conditions = condition->next;
        free(condition->name);
        free(condition);
    }
    free(health);
}

struct rt_condition *rt_condition_new(struct rt_health *health, const char *name)
{
    struct rt_condition **last = &health->conditions;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = rt_alloc(sizeof(**last));
    (*last)->name = rt_strdup(name);
    rt_condition_set(*last, false, "starting");
    return *last;
}

void rt_condition_set(struct rt_condition *condition, bool met, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(condition->reason, sizeof(condition->reason), format, args);
    va_end(args);
    condition->met = met;
    /* One line per condition, whatever a library's error text holds. */
    for (char *at = condition->reason; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\r') {
            *at = ' ';
        }
    }
}

bool rt_health_ready(const struct rt_health *health)
{
    for (const struct rt_condition *at = health->conditions; at != NULL; at = at->next) {
        if (!at->met) {
            return false;
        }
    }
    return health->conditions != NULL;
}

void rt_health_render(const struct rt_health *health, struct rt_buf *out)
{
    if (health->conditions == NULL) {
        rt_buf_puts(out, "fail process starting\n");
    }
    for (const struct rt_condition *at = health->conditions; at != NULL; at = at->next) {
        rt_buf_printf(out, "%-4s %s %s\n", at->met ? "ok" : "fail", at->name, at->reason);
    }
}
