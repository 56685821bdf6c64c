/* broker/view/views_journal.c - see views_journal.h. */
#include "broker/view/views_journal.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

void views_journal_init(struct views_journal *journal)
{
    *journal = (struct views_journal){ .last = &journal->first };
}

/* --- what was dropped ---------------------------------------------------------------------------- */

/* False: the oldest of too many was forgotten. */
static bool remember(struct views_journal *journal, uint32_t xid)
{
    bool full = journal->passed_count == VIEWS_JOURNAL_PASSED;

    if (journal->passed_count > 0 && journal->passed[journal->passed_count - 1].xid == xid) {
        return true;
    }
    if (full) {
        journal->passed_count /= 2;
        memmove(journal->passed, journal->passed + journal->passed_count,
                journal->passed_count * sizeof(*journal->passed));
    }
    if (journal->passed_count == journal->passed_cap) {
        journal->passed_cap = journal->passed_cap == 0 ? 64 : journal->passed_cap * 2;
        journal->passed =
            rt_realloc(journal->passed, journal->passed_cap, sizeof(*journal->passed));
    }
    journal->passed[journal->passed_count++] = (struct views_passed){ .xid = xid };
    return !full;
}

void views_journal_seen(struct views_journal *journal, const struct xid_snapshot *snapshot,
                        uint64_t sent, uint64_t oldest)
{
    size_t left = 0;

    for (size_t i = 0; i < journal->passed_count; i++) {
        struct views_passed at = journal->passed[i];
        if (at.seen == 0 && xid_snapshot_sees(snapshot, at.xid)) {
            at.seen = sent;
        }
        if (at.seen == 0 || at.seen >= oldest) {
            journal->passed[left++] = at;
        }
    }
    journal->passed_count = left;
}

uint64_t views_journal_oldest(const struct views_journal *journal)
{
    return journal->first != NULL ? journal->first->number : journal->next;
}

/* --- records ------------------------------------------------------------------------------------- */

static void free_first(struct views_journal *journal)
{
    struct views_record *first = journal->first;

    journal->first = first->next;
    if (journal->first == NULL) {
        journal->last = &journal->first;
    }
    journal->count--;
    journal->bytes -= first->size;
    relation_unref(first->relation);
    free(first);
}

void views_journal_clear(struct views_journal *journal)
{
    while (journal->first != NULL) {
        free_first(journal);
    }
    journal->floor = ++journal->next;
    free(journal->passed);
    journal->passed = NULL;
    journal->passed_count = 0;
    journal->passed_cap = 0;
}

static struct wire_tuple copy_row(struct wire_tuple row, uint8_t **at)
{
    struct wire_tuple copy = row;

    if (row.data != NULL) {
        memcpy(*at, row.data, row.len);
        copy.data = *at;
        *at += row.len;
    }
    return copy;
}

static bool has_too_much(const struct views_journal *journal, uint64_t needed)
{
    bool many = journal->count > VIEWS_JOURNAL_KEPT || journal->bytes > VIEWS_JOURNAL_KEPT_BYTES;

    return journal->count > VIEWS_JOURNAL_MAX || journal->bytes > VIEWS_JOURNAL_BYTES ||
           (many && journal->first->number < needed);
}

bool views_journal_add(struct views_journal *journal, struct relation *relation,
                       const struct wire_change *change, uint32_t xid, uint64_t needed)
{
    size_t size = change == NULL ? 0 : change->new_row.len + change->old_row.len;
    struct views_record *record = rt_alloc(sizeof(*record) + size);
    uint8_t *at = record->bytes;
    bool all = true;

    record->number = journal->next++;
    record->xid = xid;
    record->truncate = change == NULL;
    record->size = size;
    record->relation = relation_ref(relation);
    if (change != NULL) {
        record->change = *change;
        record->change.new_row = copy_row(change->new_row, &at);
        record->change.old_row = copy_row(change->old_row, &at);
    }
    *journal->last = record;
    journal->last = &record->next;
    journal->count++;
    journal->bytes += size;
    while (journal->first != NULL && has_too_much(journal, needed)) {
        all = remember(journal, journal->first->xid) && all;
        free_first(journal);
    }
    return all;
}

bool views_journal_covers(const struct views_journal *journal, uint64_t number,
                          const struct xid_snapshot *snapshot)
{
    for (size_t i = 0; i < journal->passed_count; i++) {
        if (!xid_snapshot_sees(snapshot, journal->passed[i].xid)) {
            return false;
        }
    }
    return number >= journal->floor;
}
