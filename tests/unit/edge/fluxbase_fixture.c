/* tests/unit/edge/fluxbase_fixture.c - see fluxbase_fixture.h. */
#include "fluxbase_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void open_conn(struct fixture *f, struct client *client, const char *token)
{
    struct identity identity = { 0 };
    bool bad = strcmp(token, "bad") == 0;

    if (!bad) {
        identity = fake_identity(token);
    }
    client->session = fluxbase_dialect.on_open(f->fluxbase, client->conn,
                                               bad ? TOKEN_SIGNATURE : TOKEN_OK, &identity);
}

void open_client(struct fixture *f, struct client *client, const char *token)
{
    client->conn = fake_conn_new();
    open_conn(f, client, token);
}

void open_client_for_transactions(struct fixture *f, struct client *client, const char *token)
{
    client->conn = fake_conn_new();
    fake_conn_want_transactions(client->conn);
    open_conn(f, client, token);
}

void close_client(struct client *client)
{
    if (client->conn != NULL) {
        fluxbase_dialect.on_close(client->session, client->conn);
        fake_conn_free(client->conn);
        client->conn = NULL;
    }
}

static int set_up_with(void **state, const char *const *sets)
{
    struct fixture *f = rt_alloc(sizeof *f);

    fakes_reset();
    f->process = fake_process_new(sets);
    f->hub = hub_new(
        &(struct hub_config){ .process = f->process, .now = fake_now, .wall_now = fake_wall_now });
    f->fluxbase = fluxbase_new(&(struct fluxbase_config){
        .process = f->process,
        .hub = f->hub,
        .now = fake_now,
        .wall_now = fake_wall_now,
    });
    f->index = 3;
    f->lsn = 0x16b3748;
    fake_session(0, true);
    open_client(f, &f->ann, "authenticated|{\"sub\":\"ann\"}");
    open_client(f, &f->bob, "authenticated|{\"sub\":\"bob\"}");
    *state = f;
    return 0;
}

int set_up(void **state)
{
    static const char *const sets[] = { "realtime.message_rate_limit=0",
                                        "realtime.max_subscriptions_per_connection=3",
                                        "freshness.threshold=10s", NULL };

    return set_up_with(state, sets);
}

int set_up_limited(void **state)
{
    static const char *const sets[] = { "realtime.message_rate_limit=3",
                                        "realtime.unauthorized_delay=2s", "freshness.threshold=0",
                                        NULL };

    return set_up_with(state, sets);
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    close_client(&f->ann);
    close_client(&f->bob);
    hub_free(f->hub);
    fluxbase_free(f->fluxbase);
    fake_process_free(f->process);
    wire_writer_fini(&f->out);
    fakes_reset();
    free(f);
    return 0;
}

/* In a block of exactly its size, so that a read past the end is seen. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = calloc(1, len > 0 ? len : 1);

    memcpy(copy, text, len);
    return copy;
}

const char *say(struct client *client, const char *text)
{
    size_t len = strlen(text);
    char *exact = exact_copy(text, len);

    fluxbase_dialect.on_text(client->session, client->conn,
                             (struct rt_span){ (const uint8_t *)exact, len });
    free(exact);
    return fake_sent(client->conn);
}

void check_error(struct client *client, const char *text, const char *code, const char *words)
{
    char start[80];
    const char *answer = say(client, text);

    (void)snprintf(start, sizeof start, "{\"type\":\"error\",\"code\":\"%s\",\"message\":\"", code);
    if (strncmp(answer, start, strlen(start)) != 0 || strstr(answer, words) == NULL) {
        fail_msg("%s: %s", text, answer);
    }
    assert_null(strstr(answer, "\n{"));
    assert_int_equal(fake_close_code(client->conn), 0);
}

uint64_t announced(void)
{
    const char *told = fake_told(0);
    const char *at = strncmp(told, "subscribe ", 10) == 0 ? told : strstr(told, "\nsubscribe ");

    return at != NULL ? strtoull(strchr(at, ' '), NULL, 10) : 0;
}

void accept_subscription(struct fixture *f, uint64_t sub)
{
    fake_write_group(&f->out, 5, "users");
    wire_encode_accept(&f->out,
                       &(struct wire_accept){ sub, 5, WIRE_ACCEPT_LIVE, { 0x7f3a, 0x16b3700, 0 } });
    fake_frame(0, &f->out);
}

void take_id(char *text, char out[37])
{
    char *at = strstr(text, "\"subscription_id\":\"");

    assert_non_null(at);
    memcpy(out, at + 19, 36);
    out[36] = '\0';
    memmove(at + 19, at + 19 + 36, strlen(at + 19 + 36) + 1);
}

char *subscribed(struct fixture *f, struct client *client, const char *text, char id[37])
{
    assert_string_equal(say(client, text), "");
    accept_subscription(f, announced());
    char *ack = rt_strdup(fake_sent(client->conn));
    take_id(ack, id);
    return ack;
}

const char by_channel[] = "{\"type\":\"subscribe\",\"channel\":\"table:public.users\"}";

void in_force(struct fixture *f, struct client *client)
{
    char id[37];

    free(subscribed(f, client, by_channel, id));
}

void change(struct fixture *f, enum wire_op op, bool with_old)
{
    static const char *const old[] = { "123", "John" };
    static const char *const new[] = { "123", "John Doe" };
    struct wire_deliver head = { .index = f->index++, .group_count = 1 };

    if (op != WIRE_DELETE) {
        head.new_row = fake_tuple(2, new);
    }
    if (with_old) {
        head.old_row = fake_tuple(2, old);
        head.old_kind = WIRE_OLD_FULL;
    }
    wire_encode_begin(&f->out, &(struct wire_begin){
                                   .epoch = 0x7f3a,
                                   .commit_lsn = f->lsn,
                                   .commit_time = INT64_C(1795254586123456),
                               });
    wire_encode_deliver(&f->out, &head, &(struct wire_delivery){ 5, op });
    wire_encode_end(&f->out, &(struct wire_end){ .commit_lsn = f->lsn++, .count = 1 });
    fake_frame(0, &f->out);
}
