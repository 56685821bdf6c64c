/* tests/unit/edge/hub_fixture.c - see hub_fixture.h. */
#include "hub_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/shard.h"

/* --- the test dialect ------------------------------------------------------------------------------------ */

static const char *op_name(enum hub_op op)
{
    switch (op) {
    case HUB_INSERT:
        return "insert";
    case HUB_UPDATE:
        return "update";
    case HUB_DELETE:
        return "delete";
    case HUB_TRUNCATE:
    default:
        return "truncate";
    }
}

static struct edge_frame *encode(void *dialect, const struct hub_event *event, unsigned form,
                                 struct rt_span text)
{
    struct fixture *f = dialect;
    struct rt_buf out = { 0 };

    f->encoded++;
    f->content = event->content;
    rt_buf_printf(&out, "%u %.*s %s %.*s", form, (int)text.len, (const char *)text.data,
                  op_name(event->op), (int)event->table.len, (const char *)event->table.data);
    if (event->record.len > 0) {
        rt_buf_printf(&out, " new %.*s", (int)event->record.len, (const char *)event->record.data);
    }
    if (event->old_record.len > 0) {
        rt_buf_printf(&out, " old %.*s", (int)event->old_record.len,
                      (const char *)event->old_record.data);
    }
    rt_buf_putc(&out, '+');
    struct edge_frame *frame = edge_frame_text(out.data, out.len);
    rt_buf_fini(&out);
    return frame;
}

static void mark_last(struct edge_frame *frame)
{
    frame->bytes[frame->len - 1] = '.';
}

static void deliver(void *to, struct edge_frame *frame)
{
    struct person *person = to;
    struct rt_span text = fake_payload(frame);

    person->last = frame;
    rt_buf_append(&person->heard, text.data, text.len);
    rt_buf_putc(&person->heard, '\n');
}

static void on_accepted(void *session, void *sub, const struct hub_accepted *accepted)
{
    struct person *person = session;
    struct user *user = sub;

    assert_ptr_equal(person, user->person);
    rt_buf_printf(&person->heard, "%s %c %d/%d/%d%s\n", accepted->resumed ? "resumed" : "accepted",
                  user->name, (int)accepted->position.epoch, (int)accepted->position.lsn,
                  (int)accepted->position.index, accepted->defined ? "" : " undefined");
}

static void on_refused(void *session, void *sub, enum wire_code code, struct rt_span message)
{
    struct person *person = session;
    struct user *user = sub;

    rt_buf_printf(&person->heard, "refused %c %d %.*s\n", user->name, (int)code, (int)message.len,
                  (const char *)message.data);
}

static void on_gone(void *session, void *sub, const struct hub_gone *gone)
{
    struct person *person = session;
    struct user *user = sub;

    rt_buf_printf(&person->heard, "gone %c %d %.*s since %d/%d of %d/%d to %d/%d\n", user->name,
                  (int)gone->reason, (int)gone->message.len, (const char *)gone->message.data,
                  (int)gone->since.epoch, (int)gone->since.lsn, (int)gone->oldest.epoch,
                  (int)gone->oldest.lsn, (int)gone->newest.epoch, (int)gone->newest.lsn);
}

static void on_gap(void *session, void *sub, const struct hub_gap *gap)
{
    struct person *person = session;
    struct user *user = sub;

    rt_buf_printf(&person->heard, "gap %c %d/%d to %d/%d\n", user->name, (int)gap->after.epoch,
                  (int)gap->after.lsn, (int)gap->position.epoch, (int)gap->position.lsn);
}

static void on_unseated(void *session)
{
    rt_buf_puts(&((struct person *)session)->heard, "unseated\n");
}

static void on_expired(void *session)
{
    rt_buf_puts(&((struct person *)session)->heard, "expired\n");
}

static void on_rows(void *session, void *sub, const struct hub_page *page)
{
    struct person *person = session;
    struct user *user = sub;

    rt_buf_printf(&person->heard, "rows %c %u%s %.*s '%.*s'%.*s\n", user->name, page->number,
                  page->last ? " last" : "", (int)page->rows.len, (const char *)page->rows.data,
                  (int)page->token.len, (const char *)page->token.data, (int)page->too_large.len,
                  (const char *)page->too_large.data);
}

static size_t waiting(void *session)
{
    return ((struct person *)session)->waiting;
}

static void on_commit(void *session, const struct wire_position *at, uint64_t changes)
{
    rt_buf_printf(&((struct person *)session)->heard, "commit %d/%d %d\n", (int)at->lsn,
                  (int)at->index, (int)changes);
}

static void on_overflow(void *session)
{
    rt_buf_puts(&((struct person *)session)->heard, "overflow\n");
}

static void on_stale(void *session, rt_usec age)
{
    rt_buf_printf(&((struct person *)session)->heard, "stale %d\n", (int)(age / RT_SEC));
}

static void on_fresh(void *session)
{
    rt_buf_puts(&((struct person *)session)->heard, "fresh\n");
}

static const struct hub_dialect dialect = {
    .name = "test",
    .encode = encode,
    .mark_last = mark_last,
    .deliver = deliver,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_gone = on_gone,
    .on_gap = on_gap,
    .on_rows = on_rows,
    .waiting = waiting,
    .on_commit = on_commit,
    .on_overflow = on_overflow,
    .on_stale = on_stale,
    .on_fresh = on_fresh,
    .on_expired = on_expired,
    .on_unseated = on_unseated,
};

/* --- the fixture ------------------------------------------------------------------------------------------- */

static int set_up_with(void **state, const char *const *sets)
{
    struct fixture *f = rt_alloc(sizeof *f);

    fakes_reset();
    f->process = fake_process_new(sets);
    f->hub = hub_new(
        &(struct hub_config){ .process = f->process, .now = fake_now, .wall_now = fake_wall_now });
    *state = f;
    return 0;
}

int set_up(void **state)
{
    static const char *const sets[] = { "shards=2", "realtime.max_subscriptions_per_connection=3",
                                        "auth.leeway=5s", "freshness.threshold=0", NULL };

    return set_up_with(state, sets);
}

int set_up_fresh(void **state)
{
    static const char *const sets[] = { "shards=2", "freshness.threshold=10s", NULL };

    return set_up_with(state, sets);
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 4; i++) {
        hub_leave(f->people[i].client);
        rt_buf_fini(&f->people[i].heard);
        rt_buf_fini(&f->people[i].shown);
    }
    hub_free(f->hub);
    fake_process_free(f->process);
    wire_writer_fini(&f->out);
    fakes_reset();
    free(f);
    return 0;
}

static struct person *join_as(struct fixture *f, unsigned at, const char *token, bool transactions)
{
    struct person *person = &f->people[at];
    struct identity identity = fake_identity(token);

    person->client = hub_join(f->hub, &(struct hub_joining){
                                          .ops = &dialect,
                                          .dialect = f,
                                          .session = person,
                                          .to = person,
                                          .identity = &identity,
                                          .transactions = transactions,
                                      });
    assert_null(identity.claims);
    return person;
}

struct person *join(struct fixture *f, unsigned at, const char *token)
{
    return join_as(f, at, token, false);
}

struct person *join_for_transactions(struct fixture *f, unsigned at, const char *token)
{
    return join_as(f, at, token, true);
}

void leave(struct person *person)
{
    hub_leave(person->client);
    person->client = NULL;
}

enum hub_err subscribe_with(struct fixture *f, struct person *person, char name,
                            struct hub_want want)
{
    struct user *user = &f->users[f->user_count++];

    assert_true(f->user_count <= 16);
    user->person = person;
    user->name = name;
    want.channel = (struct rt_span){ (const uint8_t *)"table:public.t", 14 };
    want.form = 1;
    want.text = (struct rt_span){ (const uint8_t *)"t", 1 };
    want.events = HUB_EVERY_OP;
    want.user = user;
    return hub_subscribe(person->client, &want, &person->subs[name - 'a']);
}

void subscribe_to(struct fixture *f, struct person *person, char name, const char *channel)
{
    struct user *user = &f->users[f->user_count++];
    struct hub_want want = {
        .channel = { (const uint8_t *)channel, strlen(channel) },
        .form = 1,
        .text = { (const uint8_t *)"t", 1 },
        .events = HUB_EVERY_OP,
        .user = user,
    };

    assert_true(f->user_count <= 16);
    user->person = person;
    user->name = name;
    assert_int_equal(hub_subscribe(person->client, &want, &person->subs[name - 'a']), HUB_OK);
}

void subscribe_since(struct fixture *f, struct person *person, char name, uint64_t lsn)
{
    struct hub_want want = { .has_since = true, .since = { EPOCH, lsn, UINT32_MAX } };

    assert_int_equal(subscribe_with(f, person, name, want), HUB_OK);
}

enum hub_err subscribe_as(struct fixture *f, struct person *person, char name, const char *text,
                          unsigned events)
{
    struct user *user = &f->users[f->user_count++];

    *user = (struct user){ person, name };
    return hub_subscribe(person->client,
                         &(struct hub_want){
                             .channel = { (const uint8_t *)"table:public.t", 14 },
                             .form = 1,
                             .text = { (const uint8_t *)text, strlen(text) },
                             .events = events,
                             .user = user,
                         },
                         &person->subs[name - 'a']);
}

void subscribe(struct fixture *f, struct person *person, char name)
{
    assert_int_equal(subscribe_as(f, person, name, "t", HUB_EVERY_OP), HUB_OK);
}

const char *heard(struct person *person)
{
    rt_buf_clear(&person->shown);
    rt_buf_append(&person->shown, person->heard.data, person->heard.len);
    rt_buf_clear(&person->heard);
    return rt_buf_cstr(&person->shown);
}

unsigned shard(void)
{
    return rt_shard_of("table:public.t", 14, 2);
}

const char *of_the_other_shard(void)
{
    static char channel[32];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(channel, sizeof channel, "table:public.u%d", i);
        if (rt_shard_of(channel, strlen(channel), 2) != shard()) {
            return channel;
        }
    }
    fail();
    return NULL;
}

uint64_t number_in(const char *told)
{
    return strtoull(strstr(told, "subscribe ") + 10, NULL, 10);
}

uint64_t announced(const char **out_told)
{
    const char *told = fake_told(shard());
    uint64_t number = 0;

    for (const char *at = told; (at = strstr(at, "subscribe ")) != NULL; at++) {
        if (at == told || at[-1] == '\n') {
            number = strtoull(at + 10, NULL, 10);
        }
    }
    if (out_told != NULL) {
        *out_told = told;
    }
    return number;
}

void send_frame(struct fixture *f)
{
    fake_frame(shard(), &f->out);
}

void accept_sub(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn)
{
    wire_encode_accept(
        &f->out, &(struct wire_accept){ sub, group, WIRE_ACCEPT_LIVE, { EPOCH, lsn, UINT32_MAX } });
    send_frame(f);
}

void accept_replay_within(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn,
                          uint32_t index)
{
    wire_encode_accept(
        &f->out, &(struct wire_accept){ sub, group, WIRE_ACCEPT_REPLAY, { EPOCH, lsn, index } });
    send_frame(f);
}

void accept_replay(struct fixture *f, uint64_t sub, uint32_t group, uint64_t lsn)
{
    accept_replay_within(f, sub, group, lsn, UINT32_MAX);
}

void gone_sub(struct fixture *f, uint64_t sub, enum wire_gone_reason reason)
{
    wire_encode_gone(
        &f->out,
        &(struct wire_gone){
            sub, reason, { "no more", 7 }, { EPOCH, 15, UINT32_MAX }, { EPOCH, 90, UINT32_MAX } });
    send_frame(f);
}

void refuse_sub(struct fixture *f, uint64_t sub)
{
    wire_encode_refuse(&f->out, &(struct wire_refuse){ sub, WIRE_CODE_FORBIDDEN, { "no", 2 } });
    send_frame(f);
}

void begin(struct fixture *f, uint64_t lsn, bool continued)
{
    wire_encode_begin(&f->out, &(struct wire_begin){
                                   .epoch = EPOCH,
                                   .commit_lsn = lsn,
                                   .xid = 1,
                                   .commit_time = fake_wall_now() - 50 * RT_MSEC,
                                   .continued = continued,
                               });
}

void replay(struct fixture *f, uint32_t group, uint64_t lsn, bool continued)
{
    wire_encode_replay(&f->out, &(struct wire_replay){
                                    .group = group,
                                    .epoch = EPOCH,
                                    .commit_lsn = lsn,
                                    .xid = 1,
                                    .commit_time = fake_wall_now() - 50 * RT_MSEC,
                                    .continued = continued,
                                });
}

void end(struct fixture *f, uint64_t lsn)
{
    wire_encode_end(&f->out,
                    &(struct wire_end){ .commit_lsn = lsn, .end_lsn = lsn + 1, .count = 1 });
}

void insert(struct fixture *f, uint32_t group, uint32_t index, const char *id)
{
    const char *row[] = { id, "x" };

    wire_encode_deliver(
        &f->out,
        &(struct wire_deliver){ .index = index, .group_count = 1, .new_row = fake_tuple(2, row) },
        &(struct wire_delivery){ group, WIRE_INSERT });
}

void transaction(struct fixture *f, uint32_t group, uint64_t lsn, const char *id)
{
    begin(f, lsn, false);
    insert(f, group, 0, id);
    end(f, lsn);
    send_frame(f);
}

void replayed(struct fixture *f, uint32_t group, uint64_t lsn, const char *id)
{
    replay(f, group, lsn, false);
    insert(f, group, 0, id);
    end(f, lsn);
    send_frame(f);
}

uint64_t in_force(struct fixture *f, struct person *person)
{
    fake_session(0, true);
    fake_session(1, true);
    subscribe(f, person, 'a');
    uint64_t number = announced(NULL);
    fake_write_group(&f->out, 5, "t");
    accept_sub(f, number, 5, 20);
    assert_string_equal(heard(person), "accepted a 10/20/-1\n");
    return number;
}

void set_identity(struct person *person, const char *token)
{
    struct identity identity = fake_identity(token);

    hub_set_identity(person->client, &identity);
    assert_null(identity.claims);
}
