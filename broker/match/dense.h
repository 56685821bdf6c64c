/* broker/match/dense.h - numbers filed under small numbers: the classes of each member of a set. Inside broker/match/ only.
 *
 * Members are numbered from 0 and numbers are used again, so an array in pages serves better than a hash table: a third of
 * the memory, and what a look-up touches is a third as much to keep in the caches. A page without members is given back.
 */
#ifndef PGTIDE_BROKER_MATCH_DENSE_H
#define PGTIDE_BROKER_MATCH_DENSE_H

#include "broker/match/postings.h"

#define DENSE_PAGE 64u

struct dense_page {
    uint32_t used;
    struct postings_ids ids[DENSE_PAGE];
};

struct dense {
    struct dense_page **pages;
    uint32_t page_count;
    size_t bytes;
};

void dense_fini(struct dense *dense);
/* As postings_add() and postings_remove(), with the member in place of the hash. */
uint32_t dense_add(struct dense *dense, struct postings *lists, uint32_t member, uint32_t id);
uint32_t dense_remove(struct dense *dense, struct postings *lists, uint32_t member, uint32_t place);

/* What is filed under a member; NULL when nothing is. */
static inline const struct postings_ids *dense_at(const struct dense *dense, uint32_t member)
{
    uint32_t page = member / DENSE_PAGE;

    if (page >= dense->page_count || dense->pages[page] == NULL) {
        return NULL;
    }
    return &dense->pages[page]->ids[member % DENSE_PAGE];
}

#endif
