/* tailer/lsn.h - positions in the WAL as text, and the epoch they belong to. Pure. */
#ifndef PGTIDE_TAILER_LSN_H
#define PGTIDE_TAILER_LSN_H

#include <stdbool.h>
#include <stdint.h>

/* Slot names PostgreSQL takes: 1 to 63 of [a-z0-9_]. */
bool lsn_slot_name_ok(const char *name);
/* 32 bits, never 0: the same LSN may mean other data on another server, timeline or slot. */
uint64_t lsn_epoch(const char *system_id, uint32_t timeline, const char *slot, int64_t incarnation);
/* "16/B374D848". False, and 0, when it is not an LSN. */
bool lsn_parse(const char *text, uint64_t *out);
#define LSN_TEXT_SIZE 24
void lsn_text(uint64_t lsn, char out[LSN_TEXT_SIZE]);

#endif
