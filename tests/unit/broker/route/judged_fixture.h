/* tests/unit/broker/route/judged_fixture.h - subscriptions whose views are judged. */
#ifndef PGTIDE_TESTS_BROKER_JUDGED_FIXTURE_H
#define PGTIDE_TESTS_BROKER_JUDGED_FIXTURE_H

#include "tests/unit/broker/route/replay_fixture.h"

/* The edge is told to stay where it is: a replay that brings nothing. */
#define NOWHERE "4294967295"

/* Sub `sub` of `edge` sees public.t (id, a) where a is `owner`: the filter is the name of its viewer, too. */
static inline void see(struct kit *kit, int edge, uint64_t sub, const char *owner)
{
    struct wire_writer out = { 0 };

    wire_encode_subscribe(&out, &(struct wire_subscribe){ .sub = sub,
                                                          .identity = 1,
                                                          .channel = kit_text("table:public.t"),
                                                          .filter = kit_text(owner) });
    assert_null(kit_message(kit, edge, &out));
}

static inline void answer(struct kit *kit, const char *filter, const char *owner)
{
    char name[64];
    struct access *access = kit_columns(10, "*");

    (void)snprintf(name, sizeof(name), "%s/", filter);
    kit_show(kit, name, access, owner);
    access_unref(access);
}

static inline struct relation *start(struct kit *kit)
{
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a");

    settle(kit, 100);
    kit_identify(kit, 0, 1, "anon");
    kit_identify(kit, 1, 1, "anon");
    return t;
}

/* `alice` and `bob` at edge 0, in force as groups 2 and 3 (1 is of those who see all rows). */
static inline struct relation *two(struct kit *kit)
{
    struct relation *t = start(kit);

    see(kit, 0, 7, "alice");
    see(kit, 0, 8, "bob");
    allow(kit, "*");
    answer(kit, "alice", "alice");
    answer(kit, "bob", "bob");
    kit_expect(kit, 0,
               "group 2 public.t id@0,a@1\naccept 7 group 2 100/end\n"
               "group 3 public.t id@0,a@1\naccept 8 group 3 100/end\n");
    return t;
}

#endif
