/* broker/view/views_store.c - identities, folds, tables, filters: found by key, freed with their last user. */
#include <stdlib.h>
#include <string.h>

#include "broker/view/views_impl.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

/* --- identities ---------------------------------------------------------------------------------- */

static uint64_t identity_hash(const struct views *views, const char *role, struct wire_span claims)
{
    uint64_t parts[2] = { rt_seeded_hash(views->seeds.low, role, strlen(role)),
                          rt_seeded_hash(views->seeds.high, claims.data, claims.len) };

    return rt_seeded_hash(views->seeds.low, parts, sizeof(parts));
}

static struct views_role *role_of(const struct view_identity *identity)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): it is the maker's own, which others may only read */
    return (struct views_role *)(uintptr_t)identity->maker;
}

static void role_unref(struct views_role *role)
{
    if (--role->refs > 0) {
        return;
    }
    if (role->views != NULL) {
        (void)rt_map_remove(role->views->roles, role->name, strlen(role->name));
    }
    free(role);
}

static void on_last(struct view_identity *identity)
{
    struct views_identity *gone = (struct views_identity *)identity;
    struct views_role *role = role_of(identity);
    struct views *views = role->views;

    if (views != NULL) {
        rt_roster_remove(views->identities, &gone->listed);
        rt_gauge_set(views->identity_count, views->identity_count->value - 1);
    }
    claims_unref(gone->claims);
    role_unref(role);
}

/* It could be made once: that is what an identity begins with. */
static struct policy_identity *make_policy(const struct view_identity *identity)
{
    const struct views_identity *whose = (const struct views_identity *)identity;

    return views_policy_new(role_of(identity), whose->claims);
}

static struct views_role *use_role(struct views *views, const char *name)
{
    struct views_role *role = rt_map_get(views->roles, name, strlen(name));

    if (role == NULL) {
        size_t size = strlen(name) + 1;
        role = rt_alloc(sizeof(*role) + size);
        memcpy(role->name, name, size);
        role->maker = (struct view_maker){ .role = role->name,
                                           .policy = make_policy,
                                           .forget = views_policy_free,
                                           .on_last = on_last };
        role->views = views;
        role->settings = views->config.settings;
        role->search_path = views->config.search_path;
        (void)rt_map_put(views->roles, name, size - 1, role);
    }
    role->refs++;
    return role;
}

void views_let_identities_go(struct views *views)
{
    struct rt_map_iter iter = rt_map_begin(views->roles);

    for (struct views_role *at = rt_map_next(&iter); at != NULL; at = rt_map_next(&iter)) {
        at->views = NULL;
    }
}

static struct views_identity *listed_at(struct rt_listed *at)
{
    return VIEWS_OWNER(at, struct views_identity, listed);
}

static struct views_identity *find_identity(const struct views *views, uint64_t hash,
                                            const struct view_want *want)
{
    struct rt_listed *at = rt_roster_find(views->identities, hash);

    for (; at != NULL; at = rt_roster_same(at)) {
        const struct views_identity *one = listed_at(at);
        if (strcmp(one->identity.maker->role, want->role) == 0 &&
            one->claims->len == want->claims.len &&
            memcmp(one->claims->text, want->claims.data, want->claims.len) == 0) {
            return listed_at(at);
        }
    }
    return NULL;
}

struct view_identity *views_intern(struct views *views, const struct view_want *want)
{
    uint64_t hash = identity_hash(views, want->role, want->claims);
    struct views_identity *found = find_identity(views, hash, want);

    if (found != NULL) {
        found->identity.refs++;
        return &found->identity;
    }
    struct claims *claims = want->kept != NULL ? claims_ref(want->kept) : claims_new(want->claims);
    struct views_role *role = use_role(views, want->role);
    struct policy_identity *policy = views_policy_new(role, claims);
    if (policy == NULL) {
        claims_unref(claims);
        role_unref(role);
        return NULL;
    }
    struct views_identity *made = rt_alloc(sizeof(*made));
    made->identity = (struct view_identity){
        .refs = 1, .serial = ++views->next_identity, .policy = policy, .maker = &role->maker
    };
    made->claims = claims;
    rt_roster_add(views->identities, &made->listed, hash);
    rt_gauge_set(views->identity_count, views->identity_count->value + 1);
    return &made->identity;
}

struct views *views_of_fold(const struct views_fold *fold)
{
    return role_of(fold->identity)->views;
}

struct views *views_of_item(const struct views_item *item)
{
    switch ((enum views_kind)item->kind) {
    case VIEWS_FOLD:
        break;
    case VIEWS_TABLE:
        return ((const struct views_table *)item)->views;
    case VIEWS_FILTER:
        return ((const struct views_filter *)item)->table->views;
    }
    return views_of_fold((const struct views_fold *)item);
}

/* --- folds --------------------------------------------------------------------------------------- */

static void init_item(struct views_item *item, enum views_kind kind)
{
    item->kind = (uint8_t)kind;
    item->users = 1;
}

struct views_fold *views_use_fold(struct policy_rules *rules, struct view_identity *identity)
{
    struct views_identity *whose = (struct views_identity *)identity;
    struct views_fold *fold = whose->folds;

    while (fold != NULL && fold->rules != rules) {
        fold = fold->next;
    }
    if (fold != NULL) {
        fold->item.users++;
        return fold;
    }
    fold = rt_alloc(sizeof(*fold));
    init_item(&fold->item, VIEWS_FOLD);
    fold->identity = identity;
    identity->refs++;
    if (rules != NULL) {
        fold->rules = policy_rules_ref(rules);
        views_sets_use(fold);
    }
    fold->next = whose->folds;
    whose->folds = fold;
    return fold;
}

/* All of its watches are of one table, whose rules they are. */
const struct views_name *views_fold_name(const struct views_fold *fold)
{
    struct views_link *any = fold->watches != NULL ? fold->watches : fold->keep->due;

    return VIEWS_OWNER(any, struct view_watch, of_fold)->name;
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
    free(fold);
}

struct views_fold *views_folds_next(struct views_folds *at)
{
    struct views_fold *fold = at->last == NULL ? NULL : at->last->next;

    while (fold == NULL) {
        struct rt_listed *listed = rt_roster_next(&at->identities);
        if (listed == NULL) {
            break;
        }
        fold = listed_at(listed)->folds;
    }
    at->last = fold;
    return fold;
}

void views_new_epoch(struct views *views)
{
    struct views_folds all = { .identities = rt_roster_begin(views->identities) };

    for (struct views_fold *at = views_folds_next(&all); at != NULL; at = views_folds_next(&all)) {
        views_fold_want_nothing(at);
        views_seen_unref(at->seen);
        at->seen = NULL;
    }
    views_past_forget(views);
}

/* Which identity it is, the log does not say: claims are not for it. */
static void note_errors(const struct views_fold *fold)
{
    struct views *views = views_of_fold(fold);
    const struct policy_constants *constants = &fold->constants->policy;
    const struct views_name *name = views_fold_name(fold);

    if (constants->binding.refused) {
        rt_counter_add(views->unplanned, 1);
        rt_log_warn(views->config.log, "views.policies_refused", RT_S("schema", name->schema),
                    RT_S("table", name->table), RT_S("role", fold->identity->maker->role),
                    RT_S("reason", constants->error));
    } else if (constants->binding.errors) {
        rt_counter_add(views->raised, 1);
        rt_log_warn(views->config.log, "views.constant_raised", RT_S("schema", name->schema),
                    RT_S("table", name->table), RT_S("role", fold->identity->maker->role),
                    RT_S("reason", constants->error));
    }
}

static struct view_constants *constants_of(const struct policy_program *program,
                                           const struct policy_answer_text *answer)
{
    struct policy_constants read;

    (void)policy_fold_read(&read, program, answer->text, answer->len);
    struct view_constants *constants = rt_alloc(sizeof(*constants) + policy_constants_room(&read));
    constants->refs = 1;
    policy_constants_pack(&constants->policy, constants + 1, &read);
    policy_constants_fini(&read);
    return constants;
}

/* The constants of last time, if PostgreSQL says the same: then nobody needs another view. */
static void read_constants(struct views_fold *fold, const struct policy_answer_text *answer)
{
    (void)views_use_constants(fold, constants_of(fold->rules->program, answer));
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
        rt_defer_schedule(views_of_fold(fold)->settle);
    }
    fold->item.answered = true;
    rt_counter_add(views_of_fold(fold)->folded, 1);
    views_wake(&fold->item);
    views_question_done(&fold->item);
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
        init_item(&found->item, VIEWS_TABLE);
        found->views = views;
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
    (void)rt_map_remove(views_of_item(&table->item)->tables, key.data, key.len);
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
    init_item(&found->item, VIEWS_FILTER);
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

    views_question_free(item);
    switch ((enum views_kind)item->kind) {
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

    switch ((enum views_kind)item->kind) {
    case VIEWS_FOLD:
        forget_fold((struct views_fold *)item);
        break;
    case VIEWS_TABLE:
        forget_table((struct views_table *)item);
        break;
    case VIEWS_FILTER:
        filter = (struct views_filter *)item;
        (void)rt_map_remove(views_of_item(item)->filters, filter->key.data, filter->key.len);
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
