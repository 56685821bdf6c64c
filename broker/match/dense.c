/* broker/match/dense.c - see dense.h. */
#include "broker/match/dense.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"

static struct dense_page *page_for(struct dense *dense, uint32_t member)
{
    uint32_t number = member / DENSE_PAGE;

    if (number >= dense->page_count) {
        uint32_t count = number + number / 2 + 1;
        dense->pages = rt_realloc(dense->pages, count, sizeof(struct dense_page *));
        memset(&dense->pages[dense->page_count], 0,
               (count - dense->page_count) * sizeof(struct dense_page *));
        dense->bytes += (count - dense->page_count) * sizeof(struct dense_page *);
        dense->page_count = count;
    }
    if (dense->pages[number] == NULL) {
        struct dense_page *page = rt_alloc(sizeof(*page));
        memset(page->ids, 0xff, sizeof(page->ids));
        dense->pages[number] = page;
        dense->bytes += sizeof(*page);
    }
    return dense->pages[number];
}

void dense_fini(struct dense *dense)
{
    for (uint32_t i = 0; i < dense->page_count; i++) {
        free(dense->pages[i]);
    }
    free(dense->pages);
    *dense = (struct dense){ .pages = NULL };
}

uint32_t dense_add(struct dense *dense, struct postings *lists, uint32_t member, uint32_t id)
{
    struct dense_page *page = page_for(dense, member);
    struct postings_ids *ids = &page->ids[member % DENSE_PAGE];

    page->used += ids->pair[0] == POSTINGS_NONE;
    return postings_ids_add(lists, ids, id);
}

uint32_t dense_remove(struct dense *dense, struct postings *lists, uint32_t member, uint32_t place)
{
    struct dense_page *page = page_for(dense, member);
    struct postings_ids *ids = &page->ids[member % DENSE_PAGE];
    uint32_t moved = postings_ids_remove(lists, ids, place);

    if (ids->pair[0] == POSTINGS_NONE && --page->used == 0) {
        dense->pages[member / DENSE_PAGE] = NULL;
        dense->bytes -= sizeof(*page);
        free(page);
    }
    return moved;
}
