/* cli/frame_scan.h - reads a few members of a server frame without taking the frame apart.
 *
 * Frames carry values that JSON libraries change or refuse (numbers of any size, \u0000), and pgtide
 * tail prints frames as they came; so only the top level is walked, and values are skipped.
 */
#ifndef PGTIDE_CLI_FRAME_SCAN_H
#define PGTIDE_CLI_FRAME_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the text of a top-level string member, escapes left as they are, cut to out_size - 1 bytes.
 * False (out is "") when there is no such member, or it is not a string, or this is not an object. */
bool cli_frame_text(const char *frame, size_t len, const char *name, char *out, size_t out_size);

#endif
