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

void views_fold_want(struct views_fold *fold, uint32_t xid)
{
    struct views_question *question = views_question(&fold->item);

    for (uint32_t i = 0; i < question->xid_count; i++) {
        if (question->xids[i] == xid) {
            return;
        }
    }
    if (question->xid_count == VIEWS_XIDS_MAX) {
        memmove(question->xids, question->xids + 1, (VIEWS_XIDS_MAX - 1) * sizeof(*question->xids));
        question->xid_count--;
    }
    question->xids = rt_realloc(question->xids, question->xid_count + 1, sizeof(*question->xids));
    question->xids[question->xid_count++] = xid;
}

void views_fold_want_nothing(struct views_fold *fold)
{
    struct views_question *question = fold->item.question;

    if (question != NULL) {
        free(question->xids);
        question->xids = NULL;
        question->xid_count = 0;
    }
}

bool views_fold_sees(struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    const struct views_question *question = fold->item.question;

    for (uint32_t i = 0; question != NULL && i < question->xid_count; i++) {
        if (!xid_snapshot_sees(snapshot, question->xids[i])) {
            return false;
        }
    }
    views_fold_want_nothing(fold);
    return true;
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
