/* broker/view/views_item.c - what identities, folds, tables, filters and watches are put together from: places in lists, questions, names. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"

void views_link_add(struct views_link **list, struct views_link *link)
{
    if (link->at != NULL) {
        return;
    }
    link->next = *list;
    link->at = list;
    if (link->next != NULL) {
        link->next->at = &link->next;
    }
    *list = link;
}

void views_link_drop(struct views_link *link)
{
    if (link->at == NULL) {
        return;
    }
    *link->at = link->next;
    if (link->next != NULL) {
        link->next->at = link->at;
    }
    link->at = NULL;
    link->next = NULL;
}

/* --- questions ----------------------------------------------------------------------------------- */

struct views_question *views_question(struct views_item *item)
{
    if (item->question == NULL) {
        item->question = rt_alloc(sizeof(*item->question));
    }
    return item->question;
}

void views_question_free(struct views_item *item)
{
    if (item->question != NULL) {
        free(item->question->trouble);
        free(item->question->xids);
        free(item->question);
        item->question = NULL;
    }
}

void views_question_done(struct views_item *item)
{
    const struct views_question *question = item->question;

    if (question != NULL && item->state != VIEWS_QUEUED && question->trouble == NULL &&
        question->waiting == NULL && question->xid_count == 0) {
        views_question_free(item);
    }
}

/* --- names, and snapshots ------------------------------------------------------------------------- */

struct views_name *views_name(struct views *views, const char *schema, const char *table)
{
    struct views_name *last = views->name;

    if (last == NULL || strcmp(last->schema, schema) != 0 || strcmp(last->table, table) != 0) {
        size_t schema_size = strlen(schema) + 1;
        struct views_name *made = rt_alloc(sizeof(*made) + schema_size + strlen(table) + 1);
        char *texts = (char *)(made + 1);
        made->views = views;
        made->refs = 1;
        made->schema = memcpy(texts, schema, schema_size);
        made->table = memcpy(texts + schema_size, table, strlen(table) + 1);
        views->name = made;
        views_name_unref(last);
    }
    views->name->refs++;
    return views->name;
}

void views_name_unref(struct views_name *name)
{
    if (name != NULL && --name->refs == 0) {
        free(name);
    }
}

void views_seen_unref(struct views_seen *seen)
{
    if (seen != NULL && --seen->refs == 0) {
        xid_snapshot_fini(&seen->snapshot);
        free(seen);
    }
}
