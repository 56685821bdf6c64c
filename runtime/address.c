/* runtime/address.c - "host:port". */
#include "runtime/address.h"

#include <stddef.h>
#include <string.h>

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    int value = 0;
    for (; *text != '\0'; text++) {
        value = value * 10 + (*text - '0');
    }
    return value <= 65535;
}

bool rt_address_split(const char *text, char host[RT_HOST_SIZE], char port[RT_PORT_SIZE])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !is_port(colon + 1)) {
        return false;
    }
    const char *start = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        start++;
        len -= 2;
    }
    /* Without brackets a colon would belong to an IPv6 address, and "::1:9100" is ambiguous. */
    if (len >= RT_HOST_SIZE || (!bracketed && memchr(start, ':', len) != NULL) ||
        memchr(start, ' ', len) != NULL || (bracketed && len == 0)) {
        return false;
    }
    memcpy(host, start, len);
    host[len] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}
