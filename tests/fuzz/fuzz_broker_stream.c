/* tests/fuzz/fuzz_broker_stream.c - frames of a tailer, from the first byte to what edges are sent for them.
 *
 * Input: a byte that says what a role may see, whether fences wait and whether somebody comes back or wants rows, then frames, each behind its length (two
 * bytes). An edge watches public.t (oid 10) all the time. */
#include "broker/upstream.h"
#include "tests/fuzz/broker_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
    struct fake fake;
    bool waits;
    uint32_t needed;
    uint32_t touched; /* the sum of what was told: each OID was read */
};

static void on_need(void *ctx, uint32_t rel)
{
    struct stream *stream = ctx;

    stream->needed = rel;
}

static bool on_fence(void *ctx, const struct relation *relation, uint32_t xid, uint64_t lsn)
{
    const struct stream *stream = ctx;

    (void)relation;
    (void)xid;
    (void)lsn;
    return stream->waits;
}

static void on_epoch(void *ctx, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
}

static void on_touches(void *ctx, const uint32_t *oids, uint32_t count, bool whole, uint32_t xid,
                       uint64_t lsn)
{
    struct stream *stream = ctx;

    (void)whole;
    (void)xid;
    (void)lsn;
    fake_check(count <= 2); /* each of those of interest once */
    for (uint32_t i = 0; i < count; i++) {
        fake_check(oids[i] == 10 || oids[i] == 11);
        stream->touched += oids[i];
    }
}

static void on_touching(void *ctx, struct relation *relation, const struct wire_change *change,
                        uint32_t xid)
{
    struct stream *stream = ctx;

    (void)xid;
    fake_check(relation == NULL || relation->oid == 10 || relation->oid == 11);
    if (change != NULL) {
        stream->touched += change->new_row.len > 0 ? change->new_row.data[0] : 0;
    }
}

static void on_malformed(void *ctx, const char *why)
{
    (void)ctx;
    fake_check(why != NULL);
}

static void subscribe(struct fake *fake, uint8_t mode)
{
    static const char channel[] = "table:public.t";
    struct wire_writer out = { 0 };
    struct route_edge *edge = route_edge_new(fake->route, NULL);

    wire_encode_identify(
        &out, &(struct wire_identify){ .identity = 1, .role = { "anon", 4 }, .claims = { "", 0 } });
    struct wire_subscribe more = { .sub = 2,
                                   .identity = 1,
                                   .channel = { channel, sizeof(channel) - 1 },
                                   .filter = { "", 0 },
                                   .token = { "", 0 },
                                   .has_since = (mode & 4) != 0,
                                   .since = { .epoch = 1, .lsn = mode >> 4, .index = UINT32_MAX },
                                   .snapshot = (mode & 4) == 0,
                                   .page_rows = 1 };

    wire_encode_subscribe(&out,
                          &(struct wire_subscribe){ .sub = 1,
                                                    .identity = 1,
                                                    .channel = { channel, sizeof(channel) - 1 },
                                                    .filter = { "", 0 } });
    if ((mode & 8) != 0) {
        wire_encode_subscribe(&out, &more);
    }
    fake_check(route_edge_message(edge, (struct wire_span){ (char *)out.data, out.len }) == NULL);
    wire_writer_fini(&out);
    fake_answer(fake, 10, 1 + mode % 2u);
}

/* Settles what upstream waits for, until the frame is done. */
static void finish(struct upstream *up, bool done)
{
    rt_usec now = RT_SEC;

    for (int i = 0; !done; i++) {
        fake_check(i < 65536);
        upstream_settled(up);
        upstream_tick(up, now += UPSTREAM_NEED_TIMEOUT);
        done = upstream_continue(up, now);
    }
    upstream_settled(up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct upstream_events events = { .need = on_need,
                                                   .fence = on_fence,
                                                   .new_epoch = on_epoch,
                                                   .touches = on_touches,
                                                   .touching = on_touching,
                                                   .malformed = on_malformed };
    struct stream stream;
    rt_usec now = RT_SEC;

    if (size == 0) {
        return 0;
    }
    fake_init(&stream.fake);
    stream.waits = (data[0] & 2) != 0;
    stream.needed = 0;
    stream.touched = 0;
    struct upstream_config config = { .route = stream.fake.route,
                                      .window = stream.fake.window,
                                      .relations = stream.fake.relations,
                                      .stats = &stream.fake.stats,
                                      .events = &events,
                                      .ctx = &stream };
    struct upstream *up = upstream_new(&config);
    if ((data[0] & 1) != 0) {
        upstream_interest(up, 10, 1);
        upstream_interest(up, 11, 1);
    }
    subscribe(&stream.fake, data[0]);
    data++;
    size--;
    while (size >= 2) {
        size_t len = (size_t)data[0] * 256 + data[1];
        data += 2;
        size -= 2;
        len = len > size ? size : len;
        char *copy = malloc(len == 0 ? 1 : len);
        fake_check(copy != NULL);
        memcpy(copy, data, len);
        bool done = upstream_frame(up, (struct wire_span){ copy, len }, RT_SEC);
        free(copy);
        finish(up, done);
        (void)route_work(stream.fake.route);
        (void)route_tell(stream.fake.route, now += RT_MSEC);
        route_flush(stream.fake.route);
        data += len;
        size -= len;
    }
    upstream_free(up);
    fake_fini(&stream.fake);
    return 0;
}
