/* broker/view/views.h - makes views: asks PostgreSQL for the constants of identities and the values of filters.
 *
 * A watch is one (access, identity, filter). Its view, or a refusal, comes with on_view, never from inside a call of this module,
 * and again after views_refresh() or when the watch is given another access; the same view again, if nothing came of it. Identities
 * are interned: claims that are equal are kept once. Constants are folded once for each (rules, identity), filters are cast once
 * for each table and text; questions go in batches over a small pool.
 *
 * Constants that are sets of membership tests are kept from the stream where that can be done (policy/kept.h): changes of their
 * tables come with views_change(), and views_touched() gives those whose sets changed their new views, at once, without a question.
 *
 * Fails closed: what has no answer within the deadline is refused, with the reason. So is an identity for which PostgreSQL refuses
 * to plan the table's policies (a claim that is no number where one is cast, a missing grant): a SELECT of its would fail as well.
 * A constant that raises, where others may still decide, leaves a view that shows less. A text of many identities that
 * fails, or takes longer than the pool's statement_timeout, is taken apart: so that one is to be a fraction of the deadline.
 *
 * One thread. Cost: a round trip for 64 identities, in PostgreSQL about 0.5 ms each (a membership set: 0.8); memory about
 * 460 bytes for a watch with an identity of its own (its view and its constants included), plus its claims, and for each set that is
 * kept about 250, 100 more for each value. A change of a table that sets are of: a look-up for each rules and membership test of
 * them, for each set that it concerns a copy of that set and a new view; nothing for the others (policy/sets.h).
 */
#ifndef PGTIDE_BROKER_VIEW_VIEWS_H
#define PGTIDE_BROKER_VIEW_VIEWS_H

#include "broker/match/filter.h"
#include "broker/relations.h"
#include "broker/view/view.h"
#include "runtime/clock.h"

struct claims;
struct views;
struct view_watch;
struct pg_pool;
struct rt_log;
struct rt_loop;
struct rt_metrics;

struct views_events {
    /* The view is borrowed. NULL: refused, with code and text. May unwatch any watch, this one included. */
    void (*on_view)(void *ctx, void *user, struct view *view, int code, const char *message);
    /* From inside of views_touched(): what this one sees may change with that transaction, and views_refresh() is wanted for
     * it. Never for one whose view is on its way. */
    void (*on_doubt)(void *ctx, void *user, uint32_t xid, uint64_t lsn);
};

struct views_config {
    struct rt_loop *loop;
    struct rt_log *log;
    struct rt_metrics *metrics;
    struct pg_pool *pool; /* outlives the views */
    const char *const *
        settings; /* as policy/settings.h; NULL ends them. Outlives the views and their identities */
    const char *search_path; /* of policies; NULL: none. Outlives the views and their identities */
    rt_usec deadline;
    bool keeps;       /* sets from the stream: views_change() and views_touched() are called */
    rt_usec patience; /* with answers that may be too early, when that begins; 0: none */
    const struct views_events *events;
    void *ctx;
};

struct view_want {
    const char *schema, *table, *role; /* C strings */
    struct wire_span claims;           /* JSON object, "" without a token */
    struct claims *kept;     /* what `claims` stand in, to be kept; NULL: they are copied */
    struct wire_span filter; /* "" for none */
    enum filter_dialect dialect;
    struct access *access; /* allowed; the watch takes a reference */
};

struct views *views_new(const struct views_config *config);
void views_free(struct views *views); /* and its watches */
/* What is wanted is copied. */
struct view_watch *views_watch(struct views *views, const struct view_want *want, void *user);
void views_unwatch(struct view_watch *watch); /* NULL is fine */
/* Another answer of the authority for the same table and role: a new view follows. */
void views_access(struct view_watch *watch, struct access *access);
/* Constants may have changed by transaction `xid`: a new view follows, computed under a snapshot that sees it. 0: by one that
 * sessions see already. */
void views_refresh(struct view_watch *watch, uint32_t xid);
/* Whether its constants change with tables only as views_touched() tells (then it need not be refreshed for them). Holds until
 * views_access(). */
bool views_is_kept(const struct view_watch *watch);
/* A change of a table that policies read, in the order of the stream, each once; NULL: a truncate. No relation: anything may
 * have happened. */
void views_change(struct views *views, struct relation *relation, const struct wire_change *change,
                  uint32_t xid);
/* The changes of a transaction have come, to these tables; its rows are judged after this. on_view and on_doubt for whom it
 * concerns. */
void views_touched(struct views *views, const uint32_t *oids, uint32_t count, uint32_t xid,
                   uint64_t lsn);
/* Another history: transactions waited for may never become visible in it. */
void views_new_epoch(struct views *views);

#endif
