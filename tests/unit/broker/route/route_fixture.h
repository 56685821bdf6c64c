/* tests/unit/broker/route/route_fixture.h - a kit per test, and the two steps that most tests begin with. */
#ifndef PGTIDE_TESTS_BROKER_ROUTE_FIXTURE_H
#define PGTIDE_TESTS_BROKER_ROUTE_FIXTURE_H

#include "tests/unit/broker/kit.h"

static inline int set_up(void **state)
{
    struct kit *kit = rt_alloc(sizeof(*kit));

    kit_init(kit);
    *state = kit;
    return 0;
}

static inline int tear_down(void **state)
{
    struct kit *kit = *state;

    kit_fini(kit);
    free(kit);
    return 0;
}

/* One finished transaction, so that the position is known. */
static inline void settle(struct kit *kit, uint64_t lsn)
{
    kit_start(kit, lsn);
    kit_end(kit, lsn);
}

/* Sub 1 of `edge` watches public.t, and may see these columns. */
static inline void watch(struct kit *kit, int edge, const char *role, const char *columns)
{
    char who[64];

    kit_identify(kit, edge, 1, role);
    kit_subscribe(kit, edge, 1, 1, "table:public.t");
    (void)snprintf(who, sizeof(who), "public.t/%s", role);
    kit_allow(kit, who, 10, columns);
    route_flush(kit->route);
    for (int i = 0; i < KIT_EDGES; i++) {
        rt_buf_clear(&kit->sent[i]);
    }
}

#endif
