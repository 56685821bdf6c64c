/* edge/hub_place.c - places as text: the position, and the stamp of a client's message. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge/hub.h"

void hub_place_text(const struct wire_place *place, char out[HUB_PLACE_TEXT_SIZE])
{
    char position[WIRE_POSITION_TEXT_SIZE];

    wire_position_text(&place->position, position);
    if (place->stamp == 0) {
        (void)snprintf(out, HUB_PLACE_TEXT_SIZE, "%s", position);
    } else {
        (void)snprintf(out, HUB_PLACE_TEXT_SIZE, "%s.%" PRIx64, position, place->stamp);
    }
}

/* Lower-case hexadecimal without leading zeros; never 0. */
static bool parse_stamp(const char *text, size_t len, uint64_t *out)
{
    uint64_t stamp = 0;

    if (len == 0 || len > 16 || text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int digit = text[i] >= '0' && text[i] <= '9'   ? text[i] - '0'
                    : text[i] >= 'a' && text[i] <= 'f' ? text[i] - 'a' + 10
                                                       : -1;
        if (digit < 0) {
            return false;
        }
        stamp = stamp << 4 | (unsigned)digit;
    }
    *out = stamp;
    return true;
}

bool hub_place_parse(struct rt_span text, struct wire_place *out)
{
    const char *from = (const char *)text.data;
    const char *dot = text.len == 0 ? NULL : memchr(from, '.', text.len);
    size_t len = dot == NULL ? text.len : (size_t)(dot - from);
    struct wire_place place = { .stamp = 0 };

    if (!wire_position_parse(from, len, &place.position) ||
        (dot != NULL && !parse_stamp(dot + 1, text.len - len - 1, &place.stamp))) {
        return false;
    }
    *out = place;
    return true;
}
