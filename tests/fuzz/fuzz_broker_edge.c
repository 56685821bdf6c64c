/* tests/fuzz/fuzz_broker_edge.c - messages of an edge: whatever it announces can be answered and taken back.
 *
 * Input: messages, each behind its length (two bytes); a length of 0 answers all questions so far and lets a transaction
 * pass. Positions up to 1000 of epoch 1 are in the window. */
#include "tests/fuzz/broker_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake fake;
    unsigned answers = 0;
    uint64_t lsn = 1000;

    fake_init(&fake);
    struct route_edge *edge = route_edge_new(fake.route, NULL);
    (void)route_edge_new(fake.route, NULL);
    fake_insert(&fake, 500);
    fake_insert(&fake, 600);
    route_progress(fake.route, &(struct wire_progress){ .epoch = 1, .lsn = 1000 }, RT_SEC);
    while (size >= 2) {
        size_t len = (size_t)data[0] * 256 + data[1];
        data += 2;
        size -= 2;
        len = len > size ? size : len;
        if (len == 0) {
            fake_answer(&fake, 10, ++answers % 4);
            fake_insert(&fake, lsn += 100);
            (void)route_work(fake.route);
            continue;
        }
        char *copy = malloc(len);
        fake_check(copy != NULL);
        memcpy(copy, data, len);
        const char *why = route_edge_message(edge, (struct wire_span){ copy, len });
        free(copy);
        data += len;
        size -= len;
        (void)route_work(fake.route);
        route_flush(fake.route);
        if (why != NULL) { /* the session ends here */
            route_edge_free(edge);
            edge = route_edge_new(fake.route, NULL);
        }
    }
    route_flush(fake.route);
    fake_fini(&fake);
    return 0;
}
