/* tests/unit/broker/kit_views.h - fakes of broker/view/ for the route: views that a test makes, a database that answers when told.
 *
 * A view's text is its condition: "owner" names column 1 of the row, so `alice` shows rows whose second column is "alice",
 * and those whose second column is "?" are for the database to judge.
 */
#ifndef PGTIDE_TESTS_BROKER_KIT_VIEWS_H
#define PGTIDE_TESTS_BROKER_KIT_VIEWS_H

#include "broker/match/index.h"
#include "broker/policy/rules.h"
#include "broker/route/route.h"
#include "runtime/buf.h"

enum { KIT_VIEWERS = 16, KIT_OWNER = 1 };

struct kit_viewer {
    struct viewer *viewer;
    char name[256]; /* filter/claims */
};

struct kit_views {
    struct kit_viewer viewers[KIT_VIEWERS];
    struct rt_buf told; /* what the makers of views were told, one line each */
    enum ask_state answer;
    enum match_verdict verdict;
    uint64_t pending_from; /* commits from here on have no answer yet; 0: as `answer` says */
    unsigned asked;
    unsigned reconsidered;
    uint32_t refreshed; /* for this transaction last */
    int interest;
    bool kept; /* whoever makes the views tells of changes itself */
    struct policy_rules rules;
    struct policy_program program;
    uint32_t table; /* that they read */
};

struct kit_view {
    struct view view; /* first: it is freed as this */
    char owner[16];
};

static inline enum match_verdict kit_judge(const struct match_program *program,
                                           const void *constants, const struct match_row *row)
{
    const char *name = ((const struct kit_view *)constants)->owner;
    const struct wire_value *owner = &row->values[KIT_OWNER];

    (void)program;
    if (owner->kind == WIRE_VALUE_TEXT && owner->len == 1 && owner->text[0] == '?') {
        return MATCH_ASK;
    }
    return owner->kind == WIRE_VALUE_TEXT && owner->len == strlen(name) &&
                   memcmp(owner->text, name, owner->len) == 0
               ? MATCH_YES
               : MATCH_NO;
}

static inline void kit_release(const struct match_program *program, void *constants)
{
    (void)program;
    view_unref(constants);
}

/* A view that shows the rows of `owner`; judged for every change (no anchors). With one reference. */
static inline struct view *kit_view(struct access *access, const char *owner)
{
    static const struct match_program program = { .judge = kit_judge, .release = kit_release };
    static const struct view_maker maker = { .role = "" };
    static struct policy_identity nobody;
    struct kit_view *made = rt_alloc(sizeof(*made));
    struct view *view = &made->view;

    (void)snprintf(made->owner, sizeof(made->owner), "%s", owner);
    memcpy(view->key, made->owner, sizeof(view->key));
    view->rights = view->key[0];
    view->program = &program;
    view->refs = 1;
    view->access = access_ref(access);
    view->identity = rt_alloc(sizeof(struct view_identity));
    *view->identity = (struct view_identity){ .refs = 1, .policy = &nobody, .maker = &maker };
    view->asks = true;
    return view;
}

/* Policies that read one other table. A reference to the kit's own, which is never freed. */
static inline struct policy_rules *kit_rules(struct kit_views *views, uint32_t table)
{
    views->table = table;
    views->program.tables = &views->table;
    views->program.table_count = 1;
    views->rules.program = &views->program;
    views->rules.refs += views->rules.refs == 0 ? 2 : 1;
    return &views->rules;
}

static inline void *kit_on_view_watch(struct kit_views *views, struct viewer *viewer,
                                      const struct view_want *want)
{
    for (int i = 0; i < KIT_VIEWERS; i++) {
        struct kit_viewer *free = &views->viewers[i];
        if (free->viewer == NULL) {
            free->viewer = viewer;
            (void)snprintf(free->name, sizeof(free->name), "%.*s/%.*s", (int)want->filter.len,
                           want->filter.data, (int)want->claims.len, want->claims.data);
            return free;
        }
    }
    fail_msg("too many viewers");
    return NULL;
}

static inline struct viewer *kit_viewer(const struct kit_views *views, const char *name)
{
    for (int i = 0; i < KIT_VIEWERS; i++) {
        if (views->viewers[i].viewer != NULL && strcmp(views->viewers[i].name, name) == 0) {
            return views->viewers[i].viewer;
        }
    }
    fail_msg("no viewer %s", name);
    return NULL;
}

#endif
