/* edge/staticbackend/tenant.c - staticbackend.keys: public keys, their schemas and limits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/staticbackend/parts.h"
#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"

static bool refuse(struct staticbackend *sb, struct rt_span entry, const char *reason)
{
    rt_log_error(sb->process->log, "staticbackend.bad_keys", RT_S("option", "staticbackend.keys"),
                 RT_SN("entry", (const char *)entry.data, entry.len), RT_S("reason", reason));
    return false;
}

/* Safe in a URL, in a metric's label and in the name of a channel, where a colon ends it. */
static bool is_key(struct rt_span key)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t lower = key.data[i] | 0x20;
        bool letter = lower >= 'a' && lower <= 'z';
        bool digit = key.data[i] >= '0' && key.data[i] <= '9';
        if (!letter && !digit && key.data[i] != '_' && key.data[i] != '-') {
            return false;
        }
    }
    return key.len > 0 && key.len <= SB_KEY_MAX;
}

static bool is_schema(struct rt_span name)
{
    return name.len > 0 && name.len <= WIRE_NAME_MAX && memchr(name.data, '.', name.len) == NULL;
}

static bool read_limit(struct rt_span text, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 6) {
            return false;
        }
        *out = *out * 10 + (text.data[i] - '0');
    }
    return text.len > 0 && *out > 0;
}

static void add(struct staticbackend *sb, struct rt_span key, struct rt_span schema, int64_t limit)
{
    struct rt_metrics *metrics = sb->process->metrics;
    char labels[SB_KEY_MAX + 16];

    sb->tenants = rt_realloc(sb->tenants, sb->tenant_count + 1, sizeof *sb->tenants);
    struct sb_tenant *tenant = &sb->tenants[sb->tenant_count++];
    *tenant = (struct sb_tenant){
        .sb = sb,
        .key = rt_strndup((const char *)key.data, key.len),
        .schema = rt_strndup((const char *)schema.data, schema.len),
        .limit = limit,
    };
    (void)snprintf(labels, sizeof labels, "key=\"%s\"", tenant->key);
    tenant->gauge = rt_gauge_new(metrics, "pgtide_staticbackend_connections", labels,
                                 "Connections of this process, by public key");
    tenant->refused = rt_counter_new(metrics, "pgtide_staticbackend_over_limit_total", labels,
                                     "Connections answered 429, by public key");
}

/* "key=schema" or "key=schema:limit" */
static bool read_entry(struct staticbackend *sb, struct rt_span entry)
{
    const uint8_t *equals = memchr(entry.data, '=', entry.len);
    int64_t limit = 0;

    if (equals == NULL) {
        return refuse(sb, entry, "an entry is key=schema or key=schema:limit");
    }
    struct rt_span key = { entry.data, (size_t)(equals - entry.data) };
    struct rt_span schema = { equals + 1, entry.len - key.len - 1 };
    const uint8_t *colon = memchr(schema.data, ':', schema.len);
    if (colon != NULL) {
        size_t len = (size_t)(colon - schema.data);
        if (!read_limit((struct rt_span){ colon + 1, schema.len - len - 1 }, &limit)) {
            return refuse(sb, entry, "a limit is a number from 1 to 9999999");
        }
        schema.len = len;
    }
    if (!is_key(key)) {
        return refuse(sb, entry, "a public key has 1 to 40 letters, digits, - and _");
    }
    if (!is_schema(schema)) {
        return refuse(sb, entry, "a schema's name has 1 to 63 bytes and no dot");
    }
    if (sb_tenant_find(sb, key) != NULL) {
        return refuse(sb, entry, "the key is there twice");
    }
    add(sb, key, schema, limit);
    return true;
}

bool sb_tenants_read(struct staticbackend *sb)
{
    const char *at = sb->config->sb_keys;

    for (;;) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ", ");
        if (len == 0) {
            break;
        }
        if (!read_entry(sb, (struct rt_span){ (const uint8_t *)at, len })) {
            return false;
        }
        at += len;
    }
    /* Behind the last one, since the array has moved until then. */
    for (size_t i = 0; i < sb->tenant_count; i++) {
        list_init(&sb->tenants[i].sessions);
        sb->tenants[i].users = sb_users_new(&sb->tenants[i]);
    }
    return true;
}

void sb_tenants_free(struct staticbackend *sb)
{
    for (size_t i = 0; i < sb->tenant_count; i++) {
        sb_users_free(sb->tenants[i].users);
        free(sb->tenants[i].key);
        free(sb->tenants[i].schema);
    }
    free(sb->tenants);
}

struct sb_tenant *sb_tenant_find(struct staticbackend *sb, struct rt_span key)
{
    for (size_t i = 0; i < sb->tenant_count; i++) {
        if (sb_same(key, sb_span(sb->tenants[i].key))) {
            return &sb->tenants[i];
        }
    }
    return NULL;
}

bool sb_tenant_is_full(const struct sb_tenant *tenant)
{
    int64_t limit = tenant->limit > 0 ? tenant->limit : tenant->sb->config->sb_max_connections;

    return limit > 0 && tenant->connections >= (size_t)limit;
}
