/* edge/ws_offer.c - the grammar of RFC 6455 9.1, walked once; the meaning of RFC 7692 7.1.
 *
 *   extensions = 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) )
 *
 * A quoted value must be a token once it is unquoted, so a backslash in it can only stand before a character of a token.
 */
#include "edge/ws_offer.h"

#include <string.h>

#include "edge/http_token.h"

enum { VALUE_MAX = 16 }; /* longer ones are no value of any parameter here */

enum { SERVER_TAKEOVER, CLIENT_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAMETERS };

static const char *const names[PARAMETERS] = {
    [SERVER_TAKEOVER] = "server_no_context_takeover",
    [CLIENT_TAKEOVER] = "client_no_context_takeover",
    [SERVER_BITS] = "server_max_window_bits",
    [CLIENT_BITS] = "client_max_window_bits",
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

struct parameter {
    struct rt_span name;
    bool has_value;
    char value[VALUE_MAX]; /* unquoted */
    size_t value_len;      /* VALUE_MAX: longer */
};

/* One offer of permessage-deflate. */
struct terms {
    bool declined;
    unsigned seen; /* a bit for each of the names */
    uint8_t bits[PARAMETERS];
};

/* --- characters ------------------------------------------------------------------------------------------------- */

static void skip_blanks(struct cursor *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t')) {
        in->at++;
    }
}

/* Skips blanks, and `byte` if it is what follows. */
static bool take(struct cursor *in, char byte)
{
    skip_blanks(in);
    if (in->at < in->end && *in->at == (uint8_t)byte) {
        in->at++;
        return true;
    }
    return false;
}

static struct rt_span take_token(struct cursor *in)
{
    skip_blanks(in);
    const uint8_t *from = in->at;

    while (in->at < in->end && http_is_token_byte(*in->at)) {
        in->at++;
    }
    return (struct rt_span){ from, (size_t)(in->at - from) };
}

static bool span_is(struct rt_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

static void put_value(struct parameter *out, uint8_t byte)
{
    if (out->value_len < VALUE_MAX) {
        out->value[out->value_len++] = (char)byte;
    }
}

static bool take_quoted(struct cursor *in, struct parameter *out)
{
    while (in->at < in->end && *in->at != '"') {
        if (*in->at == '\\') {
            in->at++;
        }
        if (in->at == in->end || !http_is_token_byte(*in->at)) {
            return false;
        }
        put_value(out, *in->at++);
    }
    return take(in, '"') && out->value_len > 0;
}

static bool take_value(struct cursor *in, struct parameter *out)
{
    if (take(in, '"')) {
        return take_quoted(in, out);
    }
    struct rt_span token = take_token(in);
    for (size_t i = 0; i < token.len; i++) {
        put_value(out, token.data[i]);
    }
    return token.len > 0;
}

static bool take_parameter(struct cursor *in, struct parameter *out)
{
    *out = (struct parameter){ .name = take_token(in) };
    if (out->name.len == 0) {
        return false;
    }
    out->has_value = take(in, '=');
    return !out->has_value || take_value(in, out);
}

/* A number of bits, decimal and without a zero in front; 0: none. */
static uint8_t bits_of(const struct parameter *parameter)
{
    const char *value = parameter->value;
    unsigned bits = 0;

    if (parameter->value_len == 1) {
        bits = (unsigned)(value[0] - '0');
    } else if (parameter->value_len == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '9') {
        bits = 10 + (unsigned)(value[1] - '0');
    }
    return bits >= WS_WINDOW_BITS_MIN && bits <= WS_WINDOW_BITS_MAX ? (uint8_t)bits : 0;
}

static bool value_fits(int index, const struct parameter *parameter)
{
    if (index == SERVER_TAKEOVER || index == CLIENT_TAKEOVER) {
        return !parameter->has_value;
    }
    if (index == CLIENT_BITS && !parameter->has_value) {
        return true;
    }
    return parameter->has_value && bits_of(parameter) != 0;
}

static void note(struct terms *terms, const struct parameter *parameter)
{
    int index = 0;

    while (index < PARAMETERS && !span_is(parameter->name, names[index])) {
        index++;
    }
    if (index == PARAMETERS || (terms->seen & 1U << index) != 0 || !value_fits(index, parameter)) {
        terms->declined = true;
        return;
    }
    terms->seen |= 1U << index;
    terms->bits[index] = bits_of(parameter);
}

/* --- offers ------------------------------------------------------------------------------------------------------- */

static void consider(struct ws_offer *offer, const struct terms *terms)
{
    offer->made = true;
    if (offer->taken || terms->declined) {
        return;
    }
    offer->taken = true;
    offer->window_limited = (terms->seen & 1U << SERVER_BITS) != 0;
    offer->window_bits = offer->window_limited ? terms->bits[SERVER_BITS] : WS_WINDOW_BITS_MAX;
}

static bool take_extension(struct cursor *in, struct ws_offer *offer)
{
    struct rt_span name = take_token(in);
    struct terms terms = { .declined = false };
    struct parameter parameter;

    if (name.len == 0) {
        return false;
    }
    while (take(in, ';')) {
        if (!take_parameter(in, &parameter)) {
            return false;
        }
        note(&terms, &parameter);
    }
    if (span_is(name, "permessage-deflate")) {
        consider(offer, &terms);
    }
    return true;
}

bool ws_offer_read(struct ws_offer *offer, struct rt_span value)
{
    struct cursor in = { value.data, value.data + value.len };

    for (;;) {
        while (take(&in, ',')) {
            /* empty elements of a list are ignored (RFC 9110 5.6.1) */
        }
        skip_blanks(&in);
        if (in.at == in.end) {
            return true;
        }
        if (!take_extension(&in, offer)) {
            return false;
        }
        skip_blanks(&in);
        if (in.at < in.end && *in.at != ',') {
            return false;
        }
    }
}

void ws_offer_answer(const struct ws_offer *offer, struct rt_span head, struct rt_buf *out)
{
    rt_buf_append(out, head.data, head.len - 2); /* without the empty line */
    rt_buf_puts(out, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                     "client_no_context_takeover");
    if (offer->window_limited) {
        rt_buf_printf(out, "; server_max_window_bits=%u", (unsigned)offer->window_bits);
    }
    rt_buf_puts(out, "\r\n\r\n");
}
