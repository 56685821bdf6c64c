/* tailer/dsn.c - see dsn.h.
 *
 * Pinned: DateStyle and TimeZone (dates, timestamps), IntervalStyle, extra_float_digits (the shortest text that reads
 * back as the same number), bytea_output. client_encoding is a parameter of its own.
 *
 * A peer that is gone without a word is noticed by TCP: 10 s of silence, then three probes 5 s apart. The user may set
 * others in the url; these are only added where it has none.
 */
#include "tailer/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "runtime/resolve.h"

static const char pinned[] = "-c datestyle=ISO,MDY -c timezone=UTC -c intervalstyle=postgres "
                             "-c extra_float_digits=3 -c bytea_output=hex";
/* The catalog connection must not be led astray by a search path, nor wait for ever. */
static const char sql_only[] = " -c search_path=pg_catalog -c default_transaction_read_only=off";

static const struct {
    const char *key;
    const char *value;
} defaults[] = {
    { "keepalives_idle", "10" },
    { "keepalives_interval", "5" },
    { "keepalives_count", "3" },
    { "tcp_user_timeout", "30000" },
};

static void add(struct dsn *dsn, const char *key, const char *value)
{
    size_t at = 0;

    while (dsn->keys[at] != NULL) {
        at++;
    }
    if (at < DSN_PARAMS_MAX - 1) {
        dsn->keys[at] = key;
        dsn->values[at] = value;
    }
}

static const char *given(const PQconninfoOption *options, const char *key)
{
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, key) == 0) {
            return option->val;
        }
    }
    return NULL;
}

bool dsn_init(struct dsn *dsn, const char *url, enum dsn_kind kind, rt_usec timeout)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);

    *dsn = (struct dsn){ 0 };
    if (options == NULL) {
        return false;
    }
    const char *own = given(options, "options");
    if (own != NULL) {
        rt_buf_printf(&dsn->options, "%s ", own);
    }
    rt_buf_puts(&dsn->options, pinned);
    if (kind == DSN_SQL) {
        rt_buf_printf(&dsn->options, "%s -c statement_timeout=%lld", sql_only,
                      (long long)(timeout / RT_MSEC));
    }
    /* libpq takes whole seconds, and two at least. */
    (void)snprintf(dsn->timeout, sizeof(dsn->timeout), "%lld",
                   (long long)((timeout + RT_SEC - 1) / RT_SEC));
    add(dsn, "dbname", url);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (given(options, defaults[i].key) == NULL) {
            add(dsn, defaults[i].key, defaults[i].value);
        }
    }
    add(dsn, "connect_timeout", dsn->timeout);
    add(dsn, "application_name", "pgtide-tailer");
    add(dsn, "client_encoding", "UTF8");
    add(dsn, "options", rt_buf_cstr(&dsn->options));
    if (kind == DSN_REPLICATION) {
        add(dsn, "replication", "database");
    }
    PQconninfoFree(options);
    return true;
}

char *dsn_name(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    char *name = NULL;

    if (options == NULL) {
        return NULL;
    }
    const char *host = given(options, "host");
    if (given(options, "hostaddr") == NULL && rt_resolve_needed(host)) {
        name = rt_strdup(host);
    }
    PQconninfoFree(options);
    return name;
}

void dsn_locate(struct dsn *dsn, const char *hosts, const char *addresses)
{
    add(dsn, "host", hosts);
    add(dsn, "hostaddr", addresses);
}

void dsn_fini(struct dsn *dsn)
{
    rt_buf_fini(&dsn->options);
    *dsn = (struct dsn){ 0 };
}
