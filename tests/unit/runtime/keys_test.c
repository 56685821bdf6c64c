/* runtime/keys. CURVE itself is tried over an ipc socket in a private directory: no port is opened. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "runtime/clock.h"
#include "runtime/keys.h"
#include "runtime/log.h"

struct fixture {
    char dir[64];
    char file[96];
    char other[96];
    char address[112];
    struct rt_log *log;
};

static int set_up(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/pgtide-keys-XXXXXX");
    if (mkdtemp(f->dir) == NULL) {
        return -1;
    }
    snprintf(f->file, sizeof(f->file), "%s/key", f->dir);
    snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
    snprintf(f->address, sizeof(f->address), "ipc://%s/sock", f->dir);
    f->log = rt_log_new("test", RT_LOG_ERROR, RT_LOG_KV);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char socket[112];
    snprintf(socket, sizeof(socket), "%s/sock", f->dir);
    (void)unlink(f->file);
    (void)unlink(f->other);
    (void)unlink(socket);
    (void)rmdir(f->dir);
    rt_log_free(f->log);
    test_free(f);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(chmod(path, 0600), 0);
}

static void test_generated_file_is_private_and_loads(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_true(rt_keys_generate(f->file));
    assert_int_equal(stat(f->file, &st), 0);
    struct rt_keys *keys = rt_keys_load(f->file, f->log);

    assert_int_equal(st.st_mode & 0777, 0600);
    assert_non_null(keys);
    rt_keys_free(keys);
}

static void test_existing_file_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    write_file(f->file, "precious");

    assert_false(rt_keys_generate(f->file));

    struct stat st;
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_size, 8);
}

static void test_file_that_others_can_read_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_true(rt_keys_generate(f->file));

    assert_int_equal(chmod(f->file, 0640), 0);
    assert_null(rt_keys_load(f->file, f->log));
    assert_int_equal(chmod(f->file, 0604), 0);
    assert_null(rt_keys_load(f->file, f->log));
}

static void test_missing_and_malformed_files_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_null(rt_keys_load(f->file, f->log));
    assert_null(rt_keys_load(f->dir, f->log));

    static const char no_pair[] =
        "curve\n    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\n"
        "    secret-key = \"0000000000000000000000000000000000000000\"\n";
    const char *const bad[] = {
        "",
        "curve\n    public-key = \"short\"\n    secret-key = \"short\"\n",
        "curve\n    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\n",
        no_pair,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(f->file, bad[i]);
        assert_null(rt_keys_load(f->file, f->log));
    }
}

static void test_only_this_host_is_local(void **state)
{
    (void)state;
    const char *const local[] = { "ipc:///tmp/x",         "inproc://x",
                                  "tcp://127.0.0.1:1",    "tcp://127.9.9.9:65535",
                                  "tcp://localhost:7401", "tcp://[::1]:7401" };
    const char *const remote[] = {
        "tcp://*:1",         "tcp://0.0.0.0:1",          "tcp://10.0.0.1:7401", "tcp://127.0.0.1",
        "tcp://[::]:1",      "tcp://127.evil.example:1", "tcp://localhost.a:1", "tcp://eth0:7401",
        "udp://127.0.0.1:1", "tcp://[::1].a:1",          "pgm://127.0.0.1:1",   ""
    };

    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        assert_true(rt_address_is_local(local[i]));
    }
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
        assert_false(rt_address_is_local(remote[i]));
    }
}

static void test_context_leaves_the_signals_alone(void **state)
{
    (void)state;
    struct sigaction action;
    assert_non_null(rt_zmq_context());

    assert_int_equal(sigaction(SIGTERM, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(sigaction(SIGINT, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

/* A server with `served`, and a client that joins with `joined`. The event that the server's side of
 * the handshake ends with. */
static int handshake(struct fixture *f, const struct rt_keys *served, const struct rt_keys *joined)
{
    void *server = zmq_socket(rt_zmq_context(), ZMQ_PULL);
    void *client = zmq_socket(rt_zmq_context(), ZMQ_PUSH);
    void *monitor = zmq_socket(rt_zmq_context(), ZMQ_PAIR);
    int linger = 0;
    int deadline_ms = 20000;
    zmq_setsockopt(server, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(monitor, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &deadline_ms, sizeof(deadline_ms));
    /* Another name each time: ZeroMQ gives one back some time after its socket was closed. */
    char events[64];
    (void)snprintf(events, sizeof(events), "inproc://keys-test-%" PRIx64, rt_random64());
    assert_int_equal(zmq_socket_monitor(
                         server, events,
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH),
                     0);
    assert_int_equal(zmq_connect(monitor, events), 0);
    rt_keys_serve(served, server);
    rt_keys_join(joined, client);
    assert_int_equal(zmq_bind(server, f->address), 0);
    assert_int_equal(zmq_connect(client, f->address), 0);

    uint8_t event[6] = { 0 };
    assert_int_equal(zmq_recv(monitor, event, sizeof(event), 0), 6);
    uint16_t id = 0;
    memcpy(&id, event, sizeof(id));
    zmq_close(client);
    zmq_close(server);
    zmq_close(monitor);
    return id;
}

static void test_holder_of_the_key_is_let_in(void **state)
{
    struct fixture *f = *state;
    assert_true(rt_keys_generate(f->file));
    struct rt_keys *keys = rt_keys_load(f->file, f->log);
    assert_non_null(keys);

    assert_int_equal(handshake(f, keys, keys), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);

    rt_keys_free(keys);
}

static void test_peer_without_a_key_is_kept_out(void **state)
{
    struct fixture *f = *state;
    assert_true(rt_keys_generate(f->file));
    struct rt_keys *keys = rt_keys_load(f->file, f->log);
    assert_non_null(keys);

    assert_int_not_equal(handshake(f, keys, NULL), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);

    rt_keys_free(keys);
}

/* It knows our public key, so that only the certificate store stands between it and us. */
static void test_peer_with_another_key_is_kept_out(void **state)
{
    struct fixture *f = *state;
    assert_true(rt_keys_generate(f->file));
    struct rt_keys *keys = rt_keys_load(f->file, f->log);
    assert_non_null(keys);
    char public_key[41];
    char secret_key[41];
    char ours[41];
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    void *server = zmq_socket(rt_zmq_context(), ZMQ_PULL);
    rt_keys_serve(keys, server);
    size_t size = sizeof(ours);
    assert_int_equal(zmq_getsockopt(server, ZMQ_CURVE_PUBLICKEY, ours, &size), 0);

    void *client = zmq_socket(rt_zmq_context(), ZMQ_PUSH);
    void *monitor = zmq_socket(rt_zmq_context(), ZMQ_PAIR);
    int linger = 0;
    int deadline_ms = 20000;
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &deadline_ms, sizeof(deadline_ms));
    zmq_setsockopt(client, ZMQ_CURVE_SERVERKEY, ours, 40);
    zmq_setsockopt(client, ZMQ_CURVE_PUBLICKEY, public_key, 40);
    zmq_setsockopt(client, ZMQ_CURVE_SECRETKEY, secret_key, 40);
    assert_int_equal(zmq_socket_monitor(
                         server, "inproc://keys-test-2",
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH),
                     0);
    assert_int_equal(zmq_connect(monitor, "inproc://keys-test-2"), 0);
    assert_int_equal(zmq_bind(server, f->address), 0);
    assert_int_equal(zmq_connect(client, f->address), 0);
    uint8_t event[6] = { 0 };
    assert_int_equal(zmq_recv(monitor, event, sizeof(event), 0), 6);
    uint16_t id = 0;
    memcpy(&id, event, sizeof(id));

    assert_int_not_equal(id, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);

    zmq_close(client);
    zmq_close(server);
    zmq_close(monitor);
    rt_keys_free(keys);
}

static int close_context(void **state)
{
    (void)state;
    rt_zmq_context_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_leaves_the_signals_alone),
        cmocka_unit_test(test_only_this_host_is_local),
        cmocka_unit_test_setup_teardown(test_generated_file_is_private_and_loads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_existing_file_is_not_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_that_others_can_read_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_missing_and_malformed_files_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_holder_of_the_key_is_let_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_without_a_key_is_kept_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_with_another_key_is_kept_out, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, close_context);
}
