/* tests/fuzz/fuzz_deliver.c - any frames from a shard, with four /realtime clients behind the hub.
 *
 * Input: frames, each behind two bytes of length; a length of 0xffff ends a second, 0xfffe is a new session. Before
 * them two clients subscribe, and group 5 is described and accepted for them; the third goes on from a position, and group 6
 * is its replay, and wants whole transactions; the fourth reads a snapshot as group 7. Whatever comes: every frame a client gets is JSON, compact but for the mark of a transaction's last
 * change, and everything is free in the end.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/fluxbase/fluxbase.h"
#include "edge/json_out.h"
#include "hub_fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct client {
    struct edge_conn *conn;
    void *session;
};

static void join(struct fluxbase *fluxbase, struct client *client, bool transactions,
                 const char *text)
{
    struct identity identity = fake_identity("anon");

    client->conn = fake_conn_new();
    if (transactions) {
        fake_conn_want_transactions(client->conn);
    }
    client->session = fluxbase_dialect.on_open(fluxbase, client->conn, TOKEN_OK, &identity);
    fluxbase_dialect.on_text(client->session, client->conn,
                             (struct rt_span){ (const uint8_t *)text, strlen(text) });
}

static void check_sent(struct client *client)
{
    const char *at = fake_sent(client->conn);
    struct rt_buf again = { 0 };
    struct rt_buf scratch = { 0 };
    size_t replaced = 0;

    for (const char *end = NULL; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        rt_buf_clear(&again);
        if (!json_out_compact(&again, at, (size_t)(end - at), &scratch, &replaced) ||
            replaced > 0) {
            abort();
        }
    }
    rt_buf_fini(&again);
    rt_buf_fini(&scratch);
}

/* The numbers are what the hub gave them: the identity is 1, the upward subscriptions are 2, 3 and 4. */
static void prepare(struct wire_writer *out)
{
    fake_write_group(out, 5, "t");
    wire_encode_accept(out, &(struct wire_accept){ 2, 5, WIRE_ACCEPT_LIVE, { 1, 1, 0 } });
    fake_frame(0, out);
    fake_write_group(out, 6, "t");
    wire_encode_accept(out, &(struct wire_accept){ 3, 6, WIRE_ACCEPT_REPLAY, { 1, 1, 0 } });
    fake_frame(0, out);
    fake_write_group(out, 7, "t");
    wire_encode_accept(out, &(struct wire_accept){ 4, 7, WIRE_ACCEPT_SNAPSHOT, { 1, 1, 0 } });
    fake_frame(0, out);
}

static void play(struct hub *hub, struct wire_writer *out, const uint8_t *data, size_t len)
{
    while (len >= 2) {
        size_t frame = (size_t)(data[0] << 8 | data[1]);
        data += 2;
        len -= 2;
        if (frame == 0xffff) {
            fake_clock_add(RT_SEC);
            hub_tick(hub);
            continue;
        }
        if (frame == 0xfffe) {
            fake_session(0, true);
            continue;
        }
        frame = frame < len ? frame : len;
        wire_write_raw(out, data, frame);
        fake_frame(0, out);
        data += frame;
        len -= frame;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const sets[] = { "shards=1", NULL };
    struct rt_process *process = fake_process_new(sets);
    struct hub *hub = hub_new(
        &(struct hub_config){ .process = process, .now = fake_now, .wall_now = fake_wall_now });
    struct fluxbase *fluxbase =
        fluxbase_new(&(struct fluxbase_config){ .process = process, .hub = hub });
    struct client clients[4];
    struct wire_writer out = { 0 };

    fake_session(0, true);
    join(fluxbase, &clients[0], false, "{\"type\":\"subscribe\",\"channel\":\"table:public.t\"}");
    join(fluxbase, &clients[1], false,
         "{\"type\":\"subscribe\",\"channel\":\"r\",\"config\":{\"table\":\"t\",\"event\":"
         "\"INSERT\"}}");
    join(fluxbase, &clients[2], true,
         "{\"type\":\"subscribe\",\"channel\":\"r\",\"config\":{\"table\":\"t\",\"since\":"
         "\"1-0000000000000001-0\"}}");
    join(fluxbase, &clients[3], false,
         "{\"type\":\"subscribe\",\"table\":\"t\",\"snapshot\":true,\"page_size\":10}");
    prepare(&out);
    play(hub, &out, data, len);
    for (int i = 0; i < 4; i++) {
        fluxbase_dialect.on_heartbeat(clients[i].session, clients[i].conn);
        check_sent(&clients[i]);
        fluxbase_dialect.on_close(clients[i].session, clients[i].conn);
        fake_conn_free(clients[i].conn);
    }
    hub_free(hub);
    fluxbase_free(fluxbase);
    fake_process_free(process);
    wire_writer_fini(&out);
    fakes_reset();
    return 0;
}
