/* cli/duration.c - see duration.h. */
#include "cli/duration.h"

#include <errno.h>
#include <stdlib.h>

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

bool cli_duration_parse(const char *text, int64_t *out_seconds)
{
    const int64_t longest = INT64_C(100) * 366 * 86400;
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    long long count = strtoll(text, &end, 10);
    if (errno != 0 || end[0] == '\0' || end[1] != '\0') {
        return false;
    }
    int64_t unit = unit_seconds(end[0]);
    if (unit == 0 || count > longest / unit) {
        return false;
    }
    *out_seconds = count * unit;
    return true;
}
