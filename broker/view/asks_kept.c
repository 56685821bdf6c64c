/* broker/view/asks_kept.c - statements that connections keep: the same identities are asked about change after change.
 *
 * A set is kept when it is asked for the second time in a while: one that never comes again would only push out others. What a statement is
 * for is compared as a whole (rules, columns, role, constants: objects that do not change, and that are kept alive here), never by a hash:
 * a statement of others would be others' verdicts. Its name has a number that is never used twice, and one that only this process knows.
 *
 * Where it is not certain which statements a session has (a text failed that was to change that), the next text begins with forgetting all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy/rules.h"
#include "broker/view/asks_impl.h"
#include "broker/view/view_parts.h"

enum { NOT_THERE_MAX = 3 };

struct statement {
    struct policy_rules *rules; /* NULL: none */
    struct access *access;
    struct view_constants **constants;
    size_t count;
    size_t bytes;
    uint64_t number;
    uint64_t used;
};

struct asks_session {
    uint64_t number; /* pg_lease_session() */
    uint64_t used;
    bool uncertain;
    size_t bytes;
    struct statement statements[ASKS_STATEMENTS];
    struct asks_session *next;
};

static void forget_statement(struct asks_session *session, struct statement *statement)
{
    if (statement->rules == NULL) {
        return;
    }
    policy_rules_unref(statement->rules);
    access_unref(statement->access);
    for (size_t i = 0; i < statement->count; i++) {
        view_constants_unref(statement->constants[i]);
    }
    free((void *)statement->constants);
    session->bytes -= statement->bytes;
    *statement = (struct statement){ .rules = NULL };
}

static void forget_all(struct asks_session *session)
{
    for (size_t i = 0; i < ASKS_STATEMENTS; i++) {
        forget_statement(session, &session->statements[i]);
    }
    session->uncertain = true;
}

/* --- sessions ----------------------------------------------------------------------------------- */

static struct asks_session *new_session(struct asks *asks)
{
    struct asks_session *session = rt_alloc(sizeof(*session));

    session->next = asks->sessions;
    asks->sessions = session;
    return session;
}

/* Beyond what a pool has at a time, the one that was not used for the longest time has ended; if it has not, it is told to forget all. */
static struct asks_session *session_of(struct asks *asks, const struct asks_batch *batch)
{
    uint64_t number = pg_lease_session(batch->lease);
    struct asks_session *session = NULL;
    struct asks_session *oldest = NULL;
    size_t count = 0;

    for (struct asks_session *at = asks->sessions; at != NULL; at = at->next) {
        session = at->number == number ? at : session;
        oldest = oldest == NULL || at->used < oldest->used ? at : oldest;
        count++;
    }
    if (session == NULL) {
        session = oldest == NULL || count < ASKS_SESSIONS ? new_session(asks) : oldest;
        forget_all(session);
        session->number = number;
    }
    session->used = ++asks->uses;
    return session;
}

/* --- statements --------------------------------------------------------------------------------- */

static bool is_for(const struct statement *statement, const struct asks_batch *batch)
{
    const struct question *first = batch->questions[0];
    bool same = statement->rules == first->rules && statement->count == batch->width &&
                statement->access == first->change->shape->access;

    for (size_t i = 0; i < batch->width && same; i++) {
        same = statement->constants[i] == batch->questions[i]->view->constants;
    }
    return same;
}

static bool find_statement(struct asks_session *session, const struct asks_batch *batch,
                           struct statement **out)
{
    for (size_t i = 0; i < ASKS_STATEMENTS; i++) {
        if (is_for(&session->statements[i], batch)) {
            *out = &session->statements[i];
            return true;
        }
    }
    return false;
}

/* Only a guess whether it comes again: then it may be kept. */
static bool was_seen(struct asks *asks, const struct asks_batch *batch)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = (uint64_t)(uintptr_t)batch->questions[0]->rules + batch->width;
    bool seen = false;

    for (size_t i = 0; i < batch->width; i++) {
        hash = (hash ^ (uint64_t)(uintptr_t)batch->questions[i]->view->constants) * odd;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < ASKS_SEEN && !seen; i++) {
        seen = asks->seen[i] == hash;
    }
    if (!seen) {
        asks->seen[asks->seen_at++ % ASKS_SEEN] = hash;
    }
    return seen;
}

static struct statement *least_used(struct asks_session *session)
{
    struct statement *least = &session->statements[0];

    for (size_t i = 1; i < ASKS_STATEMENTS; i++) {
        struct statement *at = &session->statements[i];
        least = at->used < least->used ? at : least; /* an empty one was never used */
    }
    return least;
}

static void write_name(const struct asks *asks, const char *what, uint64_t number, char *out)
{
    (void)snprintf(out, ASKS_NAME_SIZE, "pgtide_%016" PRIx64 "_%s%" PRIu64, asks->nonce, what,
                   number);
}

static void drop(struct asks *asks, struct asks_session *session, struct statement *statement,
                 struct rt_buf *out)
{
    char name[ASKS_NAME_SIZE];

    if (statement->rules != NULL) {
        write_name(asks, "set", statement->number, name);
        rt_buf_printf(out, "DEALLOCATE %s; ", name);
        forget_statement(session, statement);
    }
}

static struct statement *keep(struct asks *asks, struct asks_session *session,
                              const struct asks_batch *batch, struct rt_buf *drops)
{
    struct statement *statement = least_used(session);

    drop(asks, session, statement, drops);
    while (session->bytes > 0 && session->bytes + batch->bytes > ASKS_KEPT_BYTES) {
        struct statement *other = NULL;
        for (size_t i = 0; i < ASKS_STATEMENTS; i++) {
            struct statement *at = &session->statements[i];
            bool older = at->rules != NULL && (other == NULL || at->used < other->used);
            other = older ? at : other;
        }
        drop(asks, session, other, drops);
    }
    statement->rules = policy_rules_ref(batch->questions[0]->rules);
    statement->access = access_ref(batch->questions[0]->change->shape->access);
    statement->count = batch->width;
    statement->constants = rt_alloc(batch->width * sizeof(struct view_constants *));
    for (size_t i = 0; i < batch->width; i++) {
        statement->constants[i] = batch->questions[i]->view->constants;
        statement->constants[i]->refs++;
    }
    statement->bytes = batch->bytes;
    session->bytes += batch->bytes;
    statement->number = ++asks->statements;
    return statement;
}

void kept_begin(struct asks_batch *batch, struct asks_kept *out)
{
    struct asks *asks = batch->asks;
    struct asks_session *session = session_of(asks, batch);
    bool keeps = asks->not_there < NOT_THERE_MAX;
    struct statement *statement = NULL;
    bool has = keeps && find_statement(session, batch, &statement);
    bool again = keeps && !has && was_seen(asks, batch);

    *out = (struct asks_kept){ .drops = { .data = NULL } };
    write_name(asks, "answer", 0, out->answer);
    out->told.answer = out->answer;
    out->told.reset = session->uncertain;
    session->uncertain = false;
    if (again) {
        statement = keep(asks, session, batch, &out->drops);
        out->told.prepare = true;
    }
    if (has || again) {
        statement->used = ++asks->uses;
        write_name(asks, "set", statement->number, out->name);
        out->told.name = out->name;
    }
    out->told.drop = out->drops.len > 0 ? rt_buf_cstr(&out->drops) : NULL;
    batch->session = session->number;
    batch->tells = out->told.reset || out->told.prepare || out->told.drop != NULL;
    rt_counter_add(asks->metrics.kept, has);
}

void kept_end(struct asks_kept *kept)
{
    rt_buf_fini(&kept->drops);
}

void kept_failed(struct asks_batch *batch, const char *sqlstate)
{
    struct asks *asks = batch->asks;
    bool not_there = sqlstate != NULL && strcmp(sqlstate, "26000") == 0;

    /* Somebody between PostgreSQL and this process forgets statements, or gives them to others. */
    asks->not_there += not_there;
    for (struct asks_session *at = asks->sessions; at != NULL; at = at->next) {
        if (at->number == batch->session && (batch->tells || not_there)) {
            forget_all(at);
        }
    }
}

void kept_free(struct asks *asks)
{
    while (asks->sessions != NULL) {
        struct asks_session *session = asks->sessions;
        asks->sessions = session->next;
        forget_all(session);
        free(session);
    }
}
