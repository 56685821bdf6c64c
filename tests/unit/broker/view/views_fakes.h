/* tests/unit/broker/view/views_fakes.h - views over a loop and a pool by hand: statements end when the test says so, and how. */
#ifndef PGTIDE_TESTS_VIEWS_FAKES_H
#define PGTIDE_TESTS_VIEWS_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/view/views.h"

#define ALICE "11111111-1111-1111-1111-111111111111"

enum { WATCHES = 8 };

/* What the callbacks said last of a watch. */
struct seen {
    struct view_watch *watch;
    struct view *view; /* referenced */
    int answers;
    int code;
    int doubts;
    char message[256];
    bool unwatch; /* at the next answer */
};

/* Set up before each test, and checked after it: no lease is left. */
int fakes_setup(void **state);
int fakes_teardown(void **state);
struct views *fakes_views(void);
struct seen *fakes_seen(size_t number);
void fakes_trouble(const char *why); /* of the pool */
void fakes_patience(rt_usec patience);
/* An access whose policy is "owner = auth.uid()", for a table of (id, owner). */
struct access *fakes_access(uint64_t serial);
/* One whose policy is that the row's column 4 is the team of one of auth.uid()'s rows of memb (16402: team_id, user_id), which shows all of
 * its rows to everybody. */
struct access *fakes_member_access(uint64_t serial);
void fakes_use(struct access *access); /* for fakes_watch; takes the reference */
struct seen *fakes_watch(size_t number, const char *claims);

/* Runs what is due now; connections are there at once. */
void fakes_turn(void);
/* The pause after a failure is over. */
void fakes_retry(void);
/* Every deadline is over: they are of no length. */
void fakes_tick(void);
/* One statement is under way, or none (0), with so many folds. The others say how it ends. */
void fakes_asked(int folds);
void fakes_answer(int folds, const char *snapshot, const char *uid); /* each fold the same */
void fakes_answer_texts(int folds, const char *snapshot,
                        const char *each); /* what is behind a fold's brace */
void fakes_fail(int folds, const char *state);
void fakes_lose(int folds);

#endif
