/* edge/http_token.h - the characters of a token (RFC 9110 5.6.2): names of headers, methods, and of WebSocket extensions. */
#ifndef PGTIDE_EDGE_HTTP_TOKEN_H
#define PGTIDE_EDGE_HTTP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool http_is_token_byte(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    bool letter = lower >= 'a' && lower <= 'z';
    bool digit = byte >= '0' && byte <= '9';

    return letter || digit || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

#endif
