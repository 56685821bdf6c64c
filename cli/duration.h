/* cli/duration.h - lengths of time as people write them: 90s, 15m, 12h, 7d. */
#ifndef PGTIDE_CLI_DURATION_H
#define PGTIDE_CLI_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number and one of s, m, h, d; at most 100 years. False (nothing written) otherwise. */
bool cli_duration_parse(const char *text, int64_t *out_seconds);

#endif
