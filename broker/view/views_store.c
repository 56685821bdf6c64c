/* broker/view/views_store.c - identities, folds, tables, filters: found by key, freed with their last user. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

void views_link_add(struct views_link **list, struct views_link *link, void *owner)
{
    if (link->at != NULL) {
        return;
    }
    link->owner = owner;
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

/* --- identities ---------------------------------------------------------------------------------- */

static uint64_t identity_hash(const struct views *views, const char *role, struct wire_span claims)
{
    uint64_t parts[2] = { rt_seeded_hash(views->seeds.low, role, strlen(role)),
                          rt_seeded_hash(views->seeds.high, claims.data, claims.len) };

    return rt_seeded_hash(views->seeds.low, parts, sizeof(parts));
}

static bool is_identity(const struct views_identity *identity, const char *role,
                        struct wire_span claims)
{
    return strcmp(identity->identity.policy.role, role) == 0 &&
           identity->claims->len == claims.len &&
           memcmp(identity->claims->text, claims.data, claims.len) == 0;
}

static void free_claims(struct views_identity *identity)
{
    claims_unref(identity->claims);
    free(identity->settings);
}

static void on_last(struct view_identity *identity)
{
    struct views_identity *gone = (struct views_identity *)identity;
    struct views *views = gone->views;
    struct views_identity *first = rt_map_remove_u64(views->identities, gone->hash);
    struct views_identity **link = &first;

    while (*link != gone) {
        link = &(*link)->next;
    }
    *link = gone->next;
    if (first != NULL) {
        rt_map_put_u64(views->identities, gone->hash, first);
    }
    rt_gauge_set(views->identity_count, views->identity_count->value - 1);
    free_claims(gone);
}

/* The views are gone already. */
static void on_last_of_all(struct view_identity *identity)
{
    free_claims((struct views_identity *)identity);
}

void views_let_identities_go(struct views *views)
{
    struct rt_map_iter iter = rt_map_begin(views->identities);

    for (struct views_identity *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        for (; at != NULL; at = at->next) {
            at->identity.on_last = on_last_of_all;
        }
    }
}

struct view_identity *views_intern(struct views *views, const struct view_want *want)
{
    uint64_t hash = identity_hash(views, want->role, want->claims);
    struct views_identity *first = rt_map_get_u64(views->identities, hash);

    for (struct views_identity *at = first; at != NULL; at = at->next) {
        if (is_identity(at, want->role, want->claims)) {
            at->identity.refs++;
            return &at->identity;
        }
    }
    struct claims *claims = want->kept != NULL ? claims_ref(want->kept) : claims_new(want->claims);
    struct views_identity *made = views_identity_new(want->role, claims, views->config.settings);
    claims_unref(claims);
    if (made == NULL) {
        return NULL;
    }
    made->identity.policy.search_path = views->config.search_path;
    made->identity.serial = ++views->next_identity;
    made->identity.on_last = on_last;
    made->views = views;
    made->hash = hash;
    made->next = first;
    rt_map_put_u64(views->identities, hash, made);
    rt_gauge_set(views->identity_count, views->identity_count->value + 1);
    return &made->identity;
}

/* --- folds --------------------------------------------------------------------------------------- */

static void init_item(struct views *views, struct views_item *item, enum views_kind kind)
{
    item->views = views;
    item->kind = kind;
    item->users = 1;
}

struct views_name *views_name(struct views *views, const char *schema, const char *table)
{
    struct views_name *last = views->name;

    if (last == NULL || strcmp(last->schema, schema) != 0 || strcmp(last->table, table) != 0) {
        size_t schema_size = strlen(schema) + 1;
        struct views_name *made = rt_alloc(sizeof(*made) + schema_size + strlen(table) + 1);
        char *texts = (char *)(made + 1);
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

struct views_fold *views_use_fold(struct views *views, struct access *access,
                                  struct view_identity *identity, struct views_name *name)
{
    struct views_identity *whose = (struct views_identity *)identity;
    struct views_fold *fold = whose->folds;

    while (fold != NULL && fold->rules != access->rules) {
        fold = fold->next;
    }
    if (fold != NULL) {
        fold->item.users++;
        return fold;
    }
    fold = rt_alloc(sizeof(*fold));
    init_item(views, &fold->item, VIEWS_FOLD);
    fold->rules = policy_rules_ref(access->rules);
    fold->identity = identity;
    identity->refs++;
    fold->name = name;
    name->refs++;
    views_sets_use(fold);
    fold->next = whose->folds;
    whose->folds = fold;
    return fold;
}

static void forget_fold(struct views_fold *fold)
{
    struct views_fold **link = &((struct views_identity *)fold->identity)->folds;

    while (*link != fold) {
        link = &(*link)->next;
    }
    *link = fold->next;
}

static void free_fold(struct views_fold *fold)
{
    views_sets_unuse(fold);
    policy_rules_unref(fold->rules);
    view_identity_unref(fold->identity);
    view_constants_unref(fold->constants);
    views_seen_unref(fold->seen);
    free(fold->xids);
    views_name_unref(fold->name);
    free(fold);
}

void views_seen_unref(struct views_seen *seen)
{
    if (seen != NULL && --seen->refs == 0) {
        xid_snapshot_fini(&seen->snapshot);
        free(seen);
    }
}

void views_fold_want(struct views_fold *fold, uint32_t xid)
{
    for (uint32_t i = 0; i < fold->xid_count; i++) {
        if (fold->xids[i] == xid) {
            return;
        }
    }
    if (fold->xid_count == VIEWS_XIDS_MAX) {
        memmove(fold->xids, fold->xids + 1, (VIEWS_XIDS_MAX - 1) * sizeof(*fold->xids));
        fold->xid_count--;
    }
    fold->xids = rt_realloc(fold->xids, fold->xid_count + 1, sizeof(*fold->xids));
    fold->xids[fold->xid_count++] = xid;
}

struct views_fold *views_folds_next(struct views_folds *at)
{
    struct views_fold *fold = at->last == NULL ? NULL : at->last->next;
    struct view_identity *whose = at->last == NULL ? NULL : at->last->identity;
    struct views_identity *identity = (struct views_identity *)whose;

    while (fold == NULL) {
        bool chained = identity != NULL && identity->next != NULL;
        identity = chained ? identity->next : rt_map_next(&at->identities);
        if (identity == NULL) {
            break;
        }
        fold = identity->folds;
    }
    at->last = fold;
    return fold;
}

void views_new_epoch(struct views *views)
{
    struct views_folds all = { .identities = rt_map_begin(views->identities) };

    for (struct views_fold *at = views_folds_next(&all); at != NULL; at = views_folds_next(&all)) {
        free(at->xids);
        at->xids = NULL;
        at->xid_count = 0;
        views_seen_unref(at->seen);
        at->seen = NULL;
    }
    views_past_forget(views);
}

/* Which identity it is, the log does not say: claims are not for it. */
static void note_errors(const struct views_fold *fold)
{
    struct views *views = fold->item.views;
    const struct policy_constants *constants = &fold->constants->policy;

    if (constants->binding.refused) {
        rt_counter_add(views->unplanned, 1);
        rt_log_warn(views->config.log, "views.policies_refused", RT_S("schema", fold->name->schema),
                    RT_S("table", fold->name->table), RT_S("role", fold->identity->policy.role),
                    RT_S("reason", constants->error));
    } else if (constants->binding.errors) {
        rt_counter_add(views->raised, 1);
        rt_log_warn(views->config.log, "views.constant_raised", RT_S("schema", fold->name->schema),
                    RT_S("table", fold->name->table), RT_S("role", fold->identity->policy.role),
                    RT_S("reason", constants->error));
    }
}

/* In one piece, but for what is said of errors. */
static struct view_constants *constants_of(const struct policy_program *program,
                                           const struct policy_answer_text *answer)
{
    size_t room = policy_fold_room(program, answer->text, answer->len);
    struct view_constants *constants = rt_alloc(sizeof(*constants) + room);

    constants->refs = 1;
    (void)policy_fold_read_in(&constants->policy, constants + 1, room, program, answer->text,
                              answer->len);
    return constants;
}

/* The constants of last time, if PostgreSQL says the same: then nobody needs another view. */
static void read_constants(struct views_fold *fold, const struct policy_answer_text *answer)
{
    const struct view_seeds *seeds = &fold->item.views->seeds;
    uint64_t hash[2] = { rt_seeded_hash(seeds->low, answer->text, answer->len),
                         rt_seeded_hash(seeds->high, answer->text, answer->len) };

    if (fold->constants == NULL || memcmp(hash, fold->hash, sizeof(hash)) != 0) {
        struct view_constants *constants = constants_of(fold->rules->program, answer);
        view_constants_unref(fold->constants);
        fold->constants = constants;
        memcpy(fold->hash, hash, sizeof(hash));
    }
}

bool views_fold_take(struct views_fold *fold, const struct policy_answer_text *answer,
                     struct views_seen *seen, bool known, uint64_t journal)
{
    const struct view_constants *last = fold->constants;

    if (fold->keep == NULL) {
        read_constants(fold, answer);
    } else if (!views_sets_take(fold, answer, known ? &seen->snapshot : NULL, journal)) {
        return false;
    }
    views_seen_unref(fold->seen);
    fold->seen = seen;
    seen->refs++;
    if (fold->constants != last) {
        note_errors(fold);
    }
    if (fold->constants != last && fold->keep != NULL) { /* no change will tell them */
        views_note_due(fold);
        rt_defer_schedule(fold->item.views->settle);
    }
    fold->item.answered = true;
    rt_counter_add(fold->item.views->folded, 1);
    views_wake(&fold->item);
    return true;
}

bool views_fold_sees(struct views_fold *fold, const struct xid_snapshot *snapshot)
{
    for (uint32_t i = 0; i < fold->xid_count; i++) {
        if (!xid_snapshot_sees(snapshot, fold->xids[i])) {
            return false;
        }
    }
    free(fold->xids);
    fold->xids = NULL;
    fold->xid_count = 0;
    return true;
}

/* --- tables -------------------------------------------------------------------------------------- */

static void table_key(struct rt_buf *out, const char *schema, const char *table)
{
    rt_buf_append(out, schema, strlen(schema) + 1);
    rt_buf_puts(out, table);
}

struct views_table *views_use_table(struct views *views, const char *schema, const char *table)
{
    struct rt_buf key = { .data = NULL };

    table_key(&key, schema, table);
    struct views_table *found = rt_map_get(views->tables, key.data, key.len);
    if (found != NULL) {
        found->item.users++;
    } else {
        found = rt_alloc(sizeof(*found));
        init_item(views, &found->item, VIEWS_TABLE);
        found->schema = rt_strdup(schema);
        found->table = rt_strdup(table);
        rt_map_put(views->tables, key.data, key.len, found);
    }
    rt_buf_fini(&key);
    return found;
}

static void forget_table(const struct views_table *table)
{
    struct rt_buf key = { .data = NULL };

    table_key(&key, table->schema, table->table);
    (void)rt_map_remove(table->item.views->tables, key.data, key.len);
    rt_buf_fini(&key);
}

static void free_table(struct views_table *table)
{
    filter_columns_unref(table->columns);
    free(table->schema);
    free(table->table);
    free(table->text);
    free(table);
}

/* --- filters ------------------------------------------------------------------------------------- */

/* The columns' address: they are referenced as long as the filter is in the map. */
static void filter_key(struct rt_buf *out, const struct views_table *table,
                       const struct filter *parsed)
{
    uintptr_t columns = (uintptr_t)table->columns;

    rt_buf_append(out, &columns, sizeof(columns));
    filter_canonical(parsed, out);
}

struct views_filter *views_use_filter(struct views *views, struct views_table *table,
                                      struct filter *parsed)
{
    struct rt_buf key = { .data = NULL };

    filter_key(&key, table, parsed);
    struct views_filter *found = rt_map_get(views->filters, key.data, key.len);
    if (found != NULL) {
        found->item.users++;
        filter_fini(parsed);
        rt_buf_fini(&key);
        return found;
    }
    found = rt_alloc(sizeof(*found));
    init_item(views, &found->item, VIEWS_FILTER);
    found->table = table;
    table->item.users++;
    found->columns = filter_columns_ref(table->columns);
    found->parsed = *parsed;
    *parsed = (struct filter){ .nodes = NULL };
    found->key = key;
    rt_map_put(views->filters, key.data, key.len, found);
    return found;
}

/* Its use of the table is the caller's to give back. */
static void free_filter(struct views_filter *filter)
{
    filter_columns_unref(filter->columns);
    filter_program_unref(filter->program);
    filter_fini(&filter->parsed);
    rt_buf_fini(&filter->key);
    free(filter);
}

/* --- items --------------------------------------------------------------------------------------- */

/* What it used itself, or NULL. */
static struct views_item *free_one(struct views_item *item)
{
    struct views_item *used = NULL;

    free(item->trouble);
    switch (item->kind) {
    case VIEWS_FOLD:
        free_fold((struct views_fold *)item);
        break;
    case VIEWS_TABLE:
        free_table((struct views_table *)item);
        break;
    case VIEWS_FILTER:
        used = &((struct views_filter *)item)->table->item;
        free_filter((struct views_filter *)item);
        break;
    }
    return used;
}

void views_item_free(struct views_item *item)
{
    views_unuse(free_one(item));
}

static void forget(struct views_item *item)
{
    struct views_filter *filter = NULL;

    switch (item->kind) {
    case VIEWS_FOLD:
        forget_fold((struct views_fold *)item);
        break;
    case VIEWS_TABLE:
        forget_table((struct views_table *)item);
        break;
    case VIEWS_FILTER:
        filter = (struct views_filter *)item;
        (void)rt_map_remove(item->views->filters, filter->key.data, filter->key.len);
        break;
    }
}

void views_unuse(struct views_item *item)
{
    while (item != NULL && --item->users == 0) {
        forget(item);
        if (item->state == VIEWS_IDLE) {
            item = free_one(item);
        } else {
            item->dead = true; /* the queue, or its flight, frees it */
            item = NULL;
        }
    }
}
