/* tests/integration/lib/view_probe.c - authority, views and the match index over a real PostgreSQL, driven line by line.
 *
 *   view_probe CONNINFO PUBLICATION
 *
 * In, separated by tabs: watch NAME TABLE ROLE CLAIMS FILTER | unwatch NAME | refresh NAME XID | fence | stats
 *   | judge NAME CELL… with cells n.COLUMN:TYPE=TEXT of the new row, o.… of the old one; \N NULL, \U unchanged, \M missing
 * Out: view NAME EVERY ASKS CONJUNCTIONS KEY TABLES | refused NAME CODE TEXT | verdict NAME NEW OLD FOUND | none NAME | stats …
 *   FOUND: what the index says of the view, "-" if it does not find it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/perms/authority.h"
#include "broker/view/views.h"
#include "pg/pool.h"
#include "proto/writer.h"
#include "runtime/buf.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

enum { FIELDS_MAX = 64, WATCHES_MAX = 1024, AUDIENCES_MAX = 64, COLUMNS_MAX = 32, CONNECTIONS = 3 };

/* As the route has them: one for each (table, role). */
struct audience {
    char *table;
    char *role;
    struct authority_watch *asked;
    struct access *access; /* NULL: no answer yet */
};

struct watch {
    struct probe *probe;
    char *name;
    char *claims;
    char *filter;
    struct audience *audience;
    struct view_watch *watch;
    struct view *view;
    struct match_sub sub;
    bool filed;
};

struct probe {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct stats stats;
    struct pg_pool *pool;
    struct authority *authority;
    struct views *views;
    struct view_change *rows;
    struct match *match;
    struct match_table *table;
    struct rt_io *io;
    struct rt_buf in;
    struct watch *watches[WATCHES_MAX];
    size_t count;
    struct audience audiences[AUDIENCES_MAX];
    size_t audience_count;
    uint64_t serial;
};

static void unfile(struct watch *watch)
{
    if (watch->filed) {
        (void)match_remove(watch->probe->match, watch->sub);
    }
    watch->filed = false;
    view_unref(watch->view);
    watch->view = NULL;
}

/* Each once. */
static void print_tables(const struct policy_rules *rules)
{
    const char *between = "";

    for (uint32_t i = 0; rules != NULL && i < rules->program->table_count; i++) {
        const uint32_t *tables = rules->program->tables;
        uint32_t before = 0;
        while (tables[before] != tables[i]) {
            before++;
        }
        if (before == i) {
            printf("%s%" PRIu32, between, tables[i]);
            between = ",";
        }
    }
}

static void on_view(void *ctx, void *user, struct view *view, int code, const char *message)
{
    struct watch *watch = user;
    struct view_filing filing;

    (void)ctx;
    unfile(watch);
    if (view == NULL) {
        printf("refused\t%s\t%d\t%s\n", watch->name, code, message);
        return;
    }
    watch->view = view_ref(view);
    (void)view_ref(view); /* the index's */
    view_filing_init(&filing, view);
    watch->filed = match_add(watch->probe->table, &filing.match, 0, &watch->sub) == MATCH_ADDED;
    printf("view\t%s\t%d\t%d\t%u\t%016" PRIx64 "%016" PRIx64 "\t", watch->name, view->every_row,
           view->asks, filing.match.conjunction_count, view->key[0], view->key[1]);
    view_filing_fini(&filing);
    print_tables(view->access->rules);
    printf("\n");
}

static void take_access(struct watch *watch)
{
    struct audience *audience = watch->audience;
    struct access *access = audience->access;

    if (access->code != 0) {
        views_unwatch(watch->watch);
        watch->watch = NULL;
        unfile(watch);
        printf("refused\t%s\t%d\t%s\n", watch->name, access->code, access->message);
    } else if (watch->watch != NULL) {
        views_access(watch->watch, access);
    } else {
        struct view_want want = { .schema = "public",
                                  .table = audience->table,
                                  .role = audience->role,
                                  .claims = { watch->claims, strlen(watch->claims) },
                                  .filter = { watch->filter, strlen(watch->filter) },
                                  .dialect = FILTER_LIST,
                                  .access = access };
        watch->watch = views_watch(watch->probe->views, &want, watch);
    }
}

static void on_access(void *ctx, void *user, struct access *access)
{
    struct probe *probe = ctx;
    struct audience *audience = user;

    access_unref(audience->access);
    audience->access = access_ref(access);
    for (size_t i = 0; i < probe->count; i++) {
        if (probe->watches[i] != NULL && probe->watches[i]->audience == audience) {
            take_access(probe->watches[i]);
        }
    }
}

static struct audience *find_audience(struct probe *probe, const char *table, const char *role)
{
    for (size_t i = 0; i < probe->audience_count; i++) {
        struct audience *at = &probe->audiences[i];
        if (strcmp(at->table, table) == 0 && strcmp(at->role, role) == 0) {
            return at;
        }
    }
    struct audience *made = &probe->audiences[probe->audience_count++];
    *made = (struct audience){ .table = rt_strdup(table), .role = rt_strdup(role) };
    made->asked = authority_watch(probe->authority, "public", table, role, made);
    return made;
}

static void on_settled(void *ctx)
{
    (void)ctx;
    printf("settled\n");
}

static void on_state(void *ctx, bool up, const char *reason)
{
    (void)ctx;
    (void)up;
    (void)reason;
}

static struct watch *find(struct probe *probe, const char *name)
{
    for (size_t i = 0; i < probe->count; i++) {
        if (probe->watches[i] != NULL && strcmp(probe->watches[i]->name, name) == 0) {
            return probe->watches[i];
        }
    }
    return NULL;
}

static void add(struct probe *probe, char **fields)
{
    struct watch *watch = rt_alloc(sizeof(*watch));

    watch->probe = probe;
    watch->name = rt_strdup(fields[1]);
    watch->claims = rt_strdup(fields[4]);
    watch->filter = rt_strdup(fields[5]);
    probe->watches[probe->count++] = watch;
    watch->audience = find_audience(probe, fields[2], fields[3]);
    if (watch->audience->access != NULL) {
        take_access(watch);
    }
}

static void drop(struct probe *probe, struct watch *watch)
{
    for (size_t i = 0; i < probe->count; i++) {
        probe->watches[i] = probe->watches[i] == watch ? NULL : probe->watches[i];
    }
    views_unwatch(watch->watch);
    unfile(watch);
    free(watch->name);
    free(watch->claims);
    free(watch->filter);
    free(watch);
}

/* --- rows ---------------------------------------------------------------------------------------- */

struct rows {
    struct wire_column columns[COLUMNS_MAX];
    struct wire_value values[2][COLUMNS_MAX];
    uint32_t counts[2];
};

static void read_cell(struct rows *rows, char *cell)
{
    int image = cell[0] == 'n' ? 0 : 1;
    char *colon = strchr(cell, ':');
    char *equal = strchr(cell, '=');
    uint32_t at = rows->counts[image]++;

    *equal = '\0';
    const char *text = equal + 1;
    rows->columns[at].name = (struct wire_span){ cell + 2, (size_t)(colon - cell - 2) };
    rows->columns[at].type_oid = (uint32_t)strtoul(colon + 1, NULL, 10);
    rows->values[image][at] = (struct wire_value){ strcmp(text, "\\N") == 0   ? WIRE_VALUE_NULL
                                                   : strcmp(text, "\\U") == 0 ? WIRE_VALUE_UNCHANGED
                                                   : strcmp(text, "\\M") == 0 ? WIRE_VALUE_MISSING
                                                                              : WIRE_VALUE_TEXT,
                                                   (uint32_t)strlen(text), text };
}

static struct wire_tuple tuple_of(struct wire_writer *out, const struct wire_value *values,
                                  uint32_t count)
{
    if (count == 0) {
        return (struct wire_tuple){ NULL, 0 };
    }
    wire_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_value(out, &values[i]);
    }
    return (struct wire_tuple){ out->data, out->len };
}

static const char *name_of(enum match_verdict verdict)
{
    static const char *const names[] = { "no", "yes", "ask" };

    return names[verdict];
}

static void judge(struct probe *probe, const struct watch *watch, char **fields, size_t count)
{
    struct rows rows = { .counts = { 0, 0 } };
    struct wire_writer out[2] = { { .data = NULL }, { .data = NULL } };

    for (size_t i = 2; i < count; i++) {
        read_cell(&rows, fields[i]);
    }
    struct relation relation = {
        .oid = watch->audience->access->oid,
        .serial = ++probe->serial,
        .column_count = rows.counts[0] > rows.counts[1] ? rows.counts[0] : rows.counts[1],
        .columns = rows.columns,
    };
    struct wire_change change = { .op = WIRE_UPDATE,
                                  .old_kind = rows.counts[1] > 0 ? WIRE_OLD_FULL : WIRE_OLD_NONE };
    change.new_row = tuple_of(&out[0], rows.values[0], rows.counts[0]);
    change.old_row = tuple_of(&out[1], rows.values[1], rows.counts[1]);
    if (!view_change_set(probe->rows, &relation, watch->audience->access, &change, rt_wall_now())) {
        printf("verdict\t%s\tmisfit\n", watch->name);
    } else {
        struct view_verdict verdict = view_judge(watch->view, probe->rows);
        struct match_result found = match_change(probe->table, view_change_new_row(probe->rows),
                                                 view_change_old_row(probe->rows));
        uint32_t class_id = match_class(probe->match, watch->sub);
        const struct match_hit *hit = NULL;
        for (uint32_t i = 0; i < found.count; i++) {
            hit = found.hits[i].class_id == class_id ? &found.hits[i] : hit;
        }
        printf("verdict\t%s\t%s\t%s\t", watch->name, name_of(verdict.on_new),
               name_of(verdict.on_old));
        if (hit == NULL) {
            printf("-\n");
        } else {
            printf("%s/%s\n", name_of((enum match_verdict)hit->on_new),
                   name_of((enum match_verdict)hit->on_old));
        }
    }
    wire_writer_fini(&out[0]);
    wire_writer_fini(&out[1]);
}

/* --- lines --------------------------------------------------------------------------------------- */

static void print_stats(struct probe *probe)
{
    struct rt_buf text = { .data = NULL };
    unsigned long long folds = 0;
    unsigned long long casts = 0;
    unsigned long long statements = 0;

    rt_metrics_render(probe->metrics, &text);
    (void)sscanf(strstr(rt_buf_cstr(&text), "\npgtide_broker_folds_total "), " %*s %llu", &folds);
    (void)sscanf(strstr(rt_buf_cstr(&text), "\npgtide_broker_filters_cast_total "), " %*s %llu",
                 &casts);
    (void)sscanf(strstr(rt_buf_cstr(&text), "\npgtide_broker_view_statements_total "), " %*s %llu",
                 &statements);
    printf("stats\t%llu\t%llu\t%llu\n", folds, casts, statements);
    rt_buf_fini(&text);
}

static void command(struct probe *probe, char *line)
{
    char *fields[FIELDS_MAX] = { NULL };
    size_t count = 0;

    for (char *field = strsep(&line, "\t"); field != NULL && count < FIELDS_MAX;
         field = strsep(&line, "\t")) {
        fields[count++] = field;
    }
    if (strcmp(fields[0], "watch") == 0 && count == 6) {
        add(probe, fields);
        return;
    }
    if (strcmp(fields[0], "fence") == 0) {
        (void)authority_fence(probe->authority, NULL, NULL, 0, 0);
        return;
    }
    if (strcmp(fields[0], "stats") == 0) {
        print_stats(probe);
        return;
    }
    struct watch *watch = count > 1 ? find(probe, fields[1]) : NULL;
    if (watch == NULL) {
        printf("none\t%s\n", count > 1 ? fields[1] : "");
    } else if (strcmp(fields[0], "unwatch") == 0) {
        drop(probe, watch);
    } else if (strcmp(fields[0], "refresh") == 0) {
        views_refresh(watch->watch, (uint32_t)strtoul(fields[2], NULL, 10));
    } else if (strcmp(fields[0], "judge") == 0 && watch->view != NULL) {
        judge(probe, watch, fields, count);
    } else {
        printf("none\t%s\n", fields[1]);
    }
}

static void on_input(void *ctx, int fd, int events)
{
    struct probe *probe = ctx;
    ssize_t got = read(fd, rt_buf_reserve(&probe->in, 65536), 65536);
    char *newline = NULL;

    (void)events;
    if (got <= 0) {
        rt_loop_stop(probe->loop);
        return;
    }
    probe->in.len += (size_t)got;
    while ((newline = memchr(probe->in.data, '\n', probe->in.len)) != NULL) {
        size_t used = (size_t)(newline - (char *)probe->in.data) + 1;
        *newline = '\0';
        command(probe, (char *)probe->in.data);
        probe->in.len -= used;
        memmove(probe->in.data, probe->in.data + used, probe->in.len);
    }
}

/* The probe touches nothing. */
static void on_doubt(void *ctx, void *user, uint32_t xid, uint64_t lsn)
{
    (void)ctx;
    (void)user;
    (void)xid;
    (void)lsn;
}

static void start(struct probe *probe, const char *conninfo, const char *publication)
{
    static const struct authority_events authority_events = { on_access, on_settled, on_state };
    static const struct views_events views_events = { on_view, on_doubt };
    static const char *const settings[] = { "request.jwt.claims", "request.jwt.claim.sub=sub",
                                            NULL };

    probe->loop = rt_loop_new();
    probe->log = rt_log_new("probe", RT_LOG_WARN, RT_LOG_KV);
    probe->metrics = rt_metrics_new();
    stats_init(&probe->stats, probe->metrics);
    probe->pool = pg_pool_new(&(struct pg_pool_config){ .loop = probe->loop,
                                                        .conninfo = conninfo,
                                                        .application_name = "probe-views",
                                                        .connections = CONNECTIONS,
                                                        .timeout = 5 * RT_SEC,
                                                        .statement_timeout = 5 * RT_SEC,
                                                        .retry_max = 1 * RT_SEC });
    probe->authority =
        authority_new(&(struct authority_config){ .loop = probe->loop,
                                                  .log = probe->log,
                                                  .stats = &probe->stats,
                                                  .conninfo = conninfo,
                                                  .application_name = "probe",
                                                  .publication = publication,
                                                  .policy_publication = "pgtide_policies",
                                                  .slot = "pgtide",
                                                  .timeout = 5 * RT_SEC,
                                                  .retry_max = 1 * RT_SEC,
                                                  .events = &authority_events,
                                                  .ctx = probe });
    probe->views = views_new(&(struct views_config){ .loop = probe->loop,
                                                     .log = probe->log,
                                                     .metrics = probe->metrics,
                                                     .pool = probe->pool,
                                                     .settings = settings,
                                                     .deadline = 3 * RT_SEC,
                                                     .events = &views_events,
                                                     .ctx = probe });
    probe->rows = view_change_new();
    probe->match = match_new();
    probe->table = match_table_new(probe->match, (struct match_limits){ 1000, 1000 });
    probe->io = rt_io_new(probe->loop, STDIN_FILENO, on_input, probe);
    rt_io_want(probe->io, RT_READ);
}

int main(int argc, char **argv)
{
    struct probe *probe = rt_alloc(sizeof(*probe));

    if (argc != 3) {
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    start(probe, argv[1], argv[2]);
    rt_loop_run(probe->loop);
    for (size_t i = 0; i < probe->count; i++) {
        if (probe->watches[i] != NULL) {
            drop(probe, probe->watches[i]);
        }
    }
    views_free(probe->views);
    authority_free(probe->authority);
    for (size_t i = 0; i < probe->audience_count; i++) {
        access_unref(probe->audiences[i].access);
        free(probe->audiences[i].table);
        free(probe->audiences[i].role);
    }
    pg_pool_free(probe->pool);
    match_free(probe->match);
    view_change_free(probe->rows);
    rt_io_free(probe->io);
    rt_metrics_free(probe->metrics);
    rt_log_free(probe->log);
    rt_loop_free(probe->loop);
    rt_buf_fini(&probe->in);
    free(probe);
    return 0;
}
