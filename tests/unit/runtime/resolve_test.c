/* Unit tests of runtime/resolve.h. getaddrinfo() is wrapped, so that no test needs a name server or waits for one. */
#include <dirent.h>
#include <netdb.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

#include "runtime/resolve.h"
#include "tests/unit/runtime/loop_fixture.h"

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);

static sem_t entered; /* a look-up of "held" is under way */
static sem_t held;    /* it may go on */

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if (strcmp(node, "held") == 0) {
        sem_post(&entered);
        sem_wait(&held);
        return __real_getaddrinfo("127.0.0.1", service, hints, out);
    }
    if (strstr(node, ".invalid") != NULL) {
        return EAI_NONAME; /* RFC 6761: always */
    }
    return __real_getaddrinfo(node, service, hints, out);
}

struct answer {
    struct fixture *f;
    struct rt_resolve *resolve;
    char addresses[256];
    char hosts[512];
    char error[256];
    bool free_it;
};

static void copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

static void on_found(void *ctx, const struct rt_resolved *found)
{
    struct answer *answer = ctx;
    copy(answer->addresses, sizeof(answer->addresses), found->addresses);
    copy(answer->hosts, sizeof(answer->hosts), found->hosts);
    copy(answer->error, sizeof(answer->error), found->error);
    assert_true((found->error == NULL) == (found->addresses != NULL));
    if (answer->free_it) {
        rt_resolve_free(answer->resolve);
        answer->resolve = NULL;
    }
    count_call(answer->f);
}

static struct answer look_up(struct fixture *f, const char *name)
{
    struct answer answer = { .f = f };
    f->goal = f->calls + 1;
    answer.resolve = rt_resolve_new(f->loop, name, on_found, &answer);
    run(f);
    rt_resolve_free(answer.resolve);
    return answer;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

/* A thread holds its descriptor a moment longer than the look-up: every test ends when all are gone. */
static void wait_for_descriptors(int count)
{
    while (open_descriptors() != count) {
        sched_yield();
    }
}

static int descriptors_at_start;

static int begin(void **state)
{
    descriptors_at_start = open_descriptors();
    return setup(state);
}

static int end(void **state)
{
    int rc = teardown(state);
    wait_for_descriptors(descriptors_at_start);
    return rc;
}

#define RESOLVE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void test_an_address_is_its_own_answer(void **state)
{
    struct answer answer = look_up(*state, "127.0.0.1");
    assert_string_equal(answer.addresses, "127.0.0.1");
    assert_string_equal(answer.hosts, "127.0.0.1");
}

static void test_localhost_has_as_many_names_as_addresses(void **state)
{
    struct answer answer = look_up(*state, "localhost");
    size_t addresses = 1;
    size_t hosts = 1;
    assert_true(strstr(answer.addresses, "127.0.0.1") != NULL ||
                strstr(answer.addresses, "::1") != NULL);
    for (const char *at = answer.addresses; *at != '\0'; at++) {
        addresses += *at == ',';
    }
    for (const char *at = answer.hosts; *at != '\0'; at++) {
        hosts += *at == ',';
    }
    assert_int_equal(addresses, hosts);
    assert_memory_equal(answer.hosts, "localhost", 9);
}

static void test_a_name_that_does_not_exist_fails_with_a_text(void **state)
{
    struct answer answer = look_up(*state, "nowhere.invalid");
    assert_string_equal(answer.addresses, "");
    assert_non_null(strstr(answer.error, "could not translate host name \"nowhere.invalid\""));
}

static void test_the_callback_may_free_the_look_up(void **state)
{
    struct fixture *f = *state;
    struct answer answer = { .f = f, .free_it = true };
    int before = open_descriptors();
    f->goal = 1;
    answer.resolve = rt_resolve_new(f->loop, "127.0.0.1", on_found, &answer);
    run(f);
    assert_null(answer.resolve);
    wait_for_descriptors(before);
}

static void test_the_loop_turns_while_a_look_up_hangs(void **state)
{
    struct fixture *f = *state;
    struct answer answer = { .f = f };
    answer.resolve = rt_resolve_new(f->loop, "held", on_found, &answer);
    sem_wait(&entered);
    f->goal = 1;
    f->timer = rt_timer_new(f->loop, on_call, f);
    rt_timer_set(f->timer, 0, 0);
    run(f);
    assert_string_equal(answer.addresses, "");
    f->goal = 2;
    sem_post(&held);
    run(f);
    assert_string_equal(answer.addresses, "127.0.0.1");
    rt_resolve_free(answer.resolve);
}

static void test_what_is_freed_under_way_is_released_by_the_thread(void **state)
{
    struct fixture *f = *state;
    struct answer answer = { .f = f };
    int before = open_descriptors();
    answer.resolve = rt_resolve_new(f->loop, "held", on_found, &answer);
    sem_wait(&entered);
    rt_resolve_free(answer.resolve);
    assert_int_equal(open_descriptors(), before + 1);
    sem_post(&held);
    wait_for_descriptors(before);
    assert_int_equal(f->calls, 0);
}

static void test_only_single_names_need_a_look_up(void **state)
{
    static const char *const none[] = { NULL,       "",    "/run/postgresql", "@abstract",
                                        "10.0.0.1", "::1", "fe80::1%eth0",    "a,b" };
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(rt_resolve_needed(none[i]));
    }
    assert_true(rt_resolve_needed("postgres"));
    assert_true(rt_resolve_needed("db.example.com"));
    assert_true(rt_resolve_needed("localhost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(test_an_address_is_its_own_answer),
        RESOLVE_TEST(test_localhost_has_as_many_names_as_addresses),
        RESOLVE_TEST(test_a_name_that_does_not_exist_fails_with_a_text),
        RESOLVE_TEST(test_the_callback_may_free_the_look_up),
        RESOLVE_TEST(test_the_loop_turns_while_a_look_up_hangs),
        RESOLVE_TEST(test_what_is_freed_under_way_is_released_by_the_thread),
        RESOLVE_TEST(test_only_single_names_need_a_look_up),
    };
    if (sem_init(&entered, 0, 0) != 0 || sem_init(&held, 0, 0) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
