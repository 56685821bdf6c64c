/* edge/llana/opening.c - see edge/llana/opening.h. */
#include "edge/llana/opening.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define BEARER "Bearer "
#define COOKIE "accessToken="
#define MAPPED "::ffff:"

/* --- the request ------------------------------------------------------------------------------------------------ */

static char *copy_of(struct rt_span span)
{
    return rt_strndup((const char *)span.data, span.len);
}

static bool begins(struct rt_span span, const char *text)
{
    return span.len >= strlen(text) && memcmp(span.data, text, strlen(text)) == 0;
}

static struct rt_span trim(struct rt_span span)
{
    while (span.len > 0 && span.data[0] == ' ') {
        span.data++;
        span.len--;
    }
    while (span.len > 0 && span.data[span.len - 1] == ' ') {
        span.len--;
    }
    return span;
}

/* The last one of all Cookie lines. */
static void read_cookies(const struct http_request *request, struct llana_opening *out)
{
    struct rt_span line;

    for (unsigned nth = 0; http_request_header(request, "cookie", nth, &line); nth++) {
        while (line.len > 0) {
            const uint8_t *end = memchr(line.data, ';', line.len);
            size_t len = end != NULL ? (size_t)(end - line.data) : line.len;
            struct rt_span pair = trim((struct rt_span){ line.data, len });
            if (begins(pair, COOKIE)) {
                pair.data += strlen(COOKIE);
                pair.len -= strlen(COOKIE);
                free(out->cookie);
                out->cookie = copy_of(pair);
            }
            len += end != NULL ? 1 : 0;
            line.data += len;
            line.len -= len;
        }
    }
}

static void set_address(struct llana_opening *out, struct rt_span text)
{
    text = trim(text);
    if (text.len > strlen(MAPPED) && begins(text, MAPPED) &&
        memchr(text.data, '.', text.len) != NULL) {
        text.data += strlen(MAPPED);
        text.len -= strlen(MAPPED);
    }
    if (text.len < sizeof(out->address)) {
        memcpy(out->address, text.data, text.len);
        out->address[text.len] = '\0';
    }
}

/* What the nearest proxy saw is the last entry of X-Forwarded-For; those before it are the client's word. */
static void read_address(const struct http_request *request, bool trust_proxy,
                         struct llana_opening *out)
{
    struct rt_span text;

    memcpy(out->address, request->peer, sizeof(out->address));
    if (!trust_proxy) {
        return;
    }
    if (http_request_header(request, "x-real-ip", 0, &text)) {
        set_address(out, text);
        return;
    }
    unsigned nth = 0;
    while (http_request_header(request, "x-forwarded-for", nth, &text)) {
        const uint8_t *comma = text.len > 0 ? memrchr(text.data, ',', text.len) : NULL;
        if (comma != NULL) {
            text.len -= (size_t)(comma + 1 - text.data);
            text.data = comma + 1;
        }
        set_address(out, text);
        nth++;
    }
}

void llana_opening_read(const struct http_request *request, bool trust_proxy,
                        struct llana_opening *out)
{
    struct rt_span text;

    *out = (struct llana_opening){ .bearer = NULL };
    if (http_request_header(request, "authorization", 0, &text) && begins(text, BEARER)) {
        text.data += strlen(BEARER);
        text.len -= strlen(BEARER);
        out->bearer = copy_of(text);
    }
    if (http_request_header(request, "x-llana-table", 0, &text) && text.len > 0) {
        out->table = copy_of(text);
    }
    read_cookies(request, out);
    read_address(request, trust_proxy, out);
}

void llana_opening_fini(struct llana_opening *opening)
{
    free(opening->bearer);
    free(opening->cookie);
    free(opening->table);
    *opening = (struct llana_opening){ .bearer = NULL };
}

/* --- the packet ------------------------------------------------------------------------------------------------- */

static const char *member(void *auth, const char *name)
{
    const char *text = json_string_value(json_object_get(auth, name));

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static const char *token_of(const struct llana_opening *opening, void *auth)
{
    const char *token = member(auth, "token");

    if (opening->bearer != NULL) {
        return opening->bearer;
    }
    if (token != NULL) {
        return strncmp(token, BEARER, strlen(BEARER)) == 0 ? token + strlen(BEARER) : token;
    }
    return opening->cookie;
}

static void read_since(void *auth, struct llana_connect *out)
{
    const char *pid = member(auth, "pid");
    const char *offset = member(auth, "offset");
    char sid[LLANA_SID_LEN + 1];

    if (pid == NULL || !llana_pid_read(pid, sid, &out->since)) {
        return;
    }
    /* Without an offset it has had no event yet: then from where it began. */
    out->has_since = offset == NULL || wire_position_parse(offset, strlen(offset), &out->since);
    if (out->has_since) {
        memcpy(out->pid, pid, strlen(pid) + 1);
    }
}

void llana_connect_read(const struct llana_opening *opening, void *auth, struct llana_connect *out)
{
    *out = (struct llana_connect){ .table = member(auth, "x-llana-table") };
    if (out->table == NULL) {
        out->table = opening->table;
    }
    out->token = token_of(opening, auth);
    read_since(auth, out);
}

void llana_pid_make(const char sid[LLANA_SID_LEN + 1], const struct wire_position *position,
                    char out[LLANA_PID_SIZE])
{
    memcpy(out, sid, LLANA_SID_LEN);
    out[LLANA_SID_LEN] = '.';
    wire_position_text(position, out + LLANA_SID_LEN + 1);
}

bool llana_pid_read(const char *pid, char sid[LLANA_SID_LEN + 1], struct wire_position *position)
{
    size_t len = strlen(pid);
    size_t letters =
        strspn(pid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    if (len >= LLANA_PID_SIZE || letters != LLANA_SID_LEN || pid[LLANA_SID_LEN] != '.') {
        return false;
    }
    memcpy(sid, pid, LLANA_SID_LEN);
    sid[LLANA_SID_LEN] = '\0';
    return wire_position_parse(pid + LLANA_SID_LEN + 1, len - LLANA_SID_LEN - 1, position);
}

/* --- rules ------------------------------------------------------------------------------------------------------ */

static struct rt_span plain(struct rt_span address)
{
    address = trim(address);
    if (begins(address, MAPPED) && memchr(address.data, '.', address.len) != NULL) {
        address.data += strlen(MAPPED);
        address.len -= strlen(MAPPED);
    }
    return address;
}

bool llana_hosts_allow(const char *hosts, const char *address)
{
    struct rt_span who = plain((struct rt_span){ (const uint8_t *)address, strlen(address) });
    bool any = false;

    while (*hosts != '\0') {
        size_t len = strcspn(hosts, ",");
        struct rt_span item = plain((struct rt_span){ (const uint8_t *)hosts, len });
        any = any || item.len > 0;
        if (item.len > 0 && item.len == who.len && memcmp(item.data, who.data, who.len) == 0) {
            return true;
        }
        hosts += len;
        hosts += *hosts == ',' ? 1 : 0;
    }
    return !any;
}

bool llana_is_table_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= LLANA_TABLE_MAX;
}
