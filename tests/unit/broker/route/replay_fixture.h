/* tests/unit/broker/route/replay_fixture.h - a table with a past, and somebody who comes back. */
#ifndef PGTIDE_TESTS_BROKER_REPLAY_FIXTURE_H
#define PGTIDE_TESTS_BROKER_REPLAY_FIXTURE_H

#include "tests/unit/broker/route/route_fixture.h"

static inline void insert(struct kit *kit, struct relation *relation, uint64_t lsn, const char *row)
{
    kit_start(kit, lsn);
    kit_change(kit, relation, 0, row, NULL);
    kit_end(kit, lsn);
}

/* Transactions 200, 300 and 400 are in the window of public.t (id, a), and edge 0 is somebody. */
static inline struct relation *prepare(struct kit *kit)
{
    struct relation *t = kit_relation(kit, 1, 10, "t", "id a");

    settle(kit, 100);
    insert(kit, t, 200, "1,x");
    insert(kit, t, 300, "2,y");
    insert(kit, t, 400, "3,z");
    kit_identify(kit, 0, 1, "anon");
    return t;
}

static inline void back(struct kit *kit, uint64_t sub, uint64_t lsn, uint32_t index)
{
    kit_resume(kit, 0, sub, 1, "table:public.t", lsn, index);
}

static inline void allow(struct kit *kit, const char *columns)
{
    kit_allow(kit, "public.t/anon", 10, columns);
}

#endif
