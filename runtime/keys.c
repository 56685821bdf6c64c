/* runtime/keys.c - see the header. The ZAP handler is czmq's actor on its own thread; it has a
 * certificate store in memory that holds the deployment's public key and nothing else. */
#include "runtime/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <czmq.h>
#include <zmq.h>

#include "runtime/buf.h"
#include "runtime/log.h"

#define KEY_TEXT_LEN 40
#define ZAP_DOMAIN   "pgtide"

struct rt_keys {
    zcert_t *cert;
    zactor_t *auth;
};

static const char *file_problem(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno == ENOENT ? "no such file; make one with: pgtide keygen FILE"
                               : "cannot be read by this user";
    }
    if (!S_ISREG(st.st_mode)) {
        return "not a regular file";
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return "other users can read it; run: chmod 600 FILE";
    }
    return NULL;
}

/* NULL when the file is not a certificate with both parts, or they are not a pair. zcert_load() would
 * prefer a FILE_secret next to it, so the file is read here. */
static zcert_t *read_cert(const char *path)
{
    zconfig_t *config = zconfig_load(path);
    if (config == NULL) {
        return NULL;
    }
    zcert_t *cert = NULL;
    char derived[KEY_TEXT_LEN + 1];
    uint8_t public_key[32];
    uint8_t secret_key[32];
    const char *public_text = zconfig_get(config, "curve/public-key", "");
    const char *secret_text = zconfig_get(config, "curve/secret-key", "");
    if (strlen(public_text) == KEY_TEXT_LEN && strlen(secret_text) == KEY_TEXT_LEN &&
        zmq_curve_public(derived, secret_text) == 0 && strcmp(derived, public_text) == 0 &&
        zmq_z85_decode(public_key, public_text) != NULL &&
        zmq_z85_decode(secret_key, secret_text) != NULL) {
        cert = zcert_new_from(public_key, secret_key);
    }
    zconfig_destroy(&config);
    return cert;
}

static zactor_t *start_auth(zcert_t *cert)
{
    zcertstore_t *store = zcertstore_new(NULL);
    const uint8_t no_secret[32] = { 0 };
    zcert_t *copy = zcert_new_from(zcert_public_key(cert), no_secret);
    if (store == NULL || copy == NULL) {
        zcert_destroy(&copy);
        zcertstore_destroy(&store);
        return NULL;
    }
    zcertstore_insert(store, &copy);
    return zactor_new(zauth, store); /* the actor owns the store now */
}

static void set_keys(const struct rt_keys *keys, void *zmq_socket)
{
    zcert_t *cert = keys->cert;
    (void)zmq_setsockopt(zmq_socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(cert), 32);
    (void)zmq_setsockopt(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(cert), 32);
}

void *rt_zmq_context(void)
{
    /* czmq would take SIGINT and SIGTERM; they belong to the loop. */
    zsys_handler_set(NULL);
    return zsys_init();
}

void rt_zmq_context_close(void)
{
    zsys_shutdown();
}

struct rt_keys *rt_keys_load(const char *path, struct rt_log *log)
{
    const char *problem = file_problem(path);
    zcert_t *cert = NULL;
    zactor_t *auth = NULL;
    if (problem == NULL) {
        (void)rt_zmq_context();
        cert = read_cert(path);
        problem = cert == NULL
                      ? "not a certificate with a secret part; make one with: pgtide keygen FILE"
                      : NULL;
    }
    if (problem == NULL) {
        auth = start_auth(cert);
        problem = auth == NULL ? "the ZAP handler did not start" : NULL;
    }
    if (problem != NULL) {
        rt_log_error(log, "link.keys", RT_S("file", path), RT_S("reason", problem));
        zcert_destroy(&cert);
        return NULL;
    }
    struct rt_keys *keys = rt_alloc(sizeof(*keys));
    keys->cert = cert;
    keys->auth = auth;
    return keys;
}

void rt_keys_free(struct rt_keys *keys)
{
    if (keys != NULL) {
        zactor_destroy(&keys->auth);
        zcert_destroy(&keys->cert);
        free(keys);
    }
}

bool rt_keys_generate(const char *path)
{
    /* Made empty with its final mode first: the secret is never readable by others, not for a moment. */
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return false;
    }
    close(fd);
    zcert_t *cert = zcert_new();
    bool saved =
        cert != NULL && zcert_save_secret(cert, path) == 0 && chmod(path, S_IRUSR | S_IWUSR) == 0;
    zcert_destroy(&cert);
    if (!saved) {
        unlink(path);
    }
    return saved;
}

void rt_keys_serve(const struct rt_keys *keys, void *zmq_socket)
{
    if (keys == NULL) {
        return;
    }
    int yes = 1;
    set_keys(keys, zmq_socket);
    (void)zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVER, &yes, sizeof(yes));
    (void)zmq_setsockopt(zmq_socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
}

void rt_keys_join(const struct rt_keys *keys, void *zmq_socket)
{
    if (keys != NULL) {
        set_keys(keys, zmq_socket);
        (void)zmq_setsockopt(zmq_socket, ZMQ_CURVE_SERVERKEY, zcert_public_key(keys->cert), 32);
    }
}

/* "127.", then digits and dots up to the port: a host name may begin like an address. */
static bool is_loopback_v4(const char *host)
{
    const char *end = strrchr(host, ':');
    if (strncmp(host, "127.", 4) != 0 || end == NULL) {
        return false;
    }
    return strspn(host, "0123456789.") == (size_t)(end - host);
}

bool rt_address_is_local(const char *address)
{
    if (strncmp(address, "ipc://", 6) == 0 || strncmp(address, "inproc://", 9) == 0) {
        return true;
    }
    if (strncmp(address, "tcp://", 6) != 0) {
        return false;
    }
    const char *host = address + 6;
    return is_loopback_v4(host) || strncmp(host, "[::1]:", 6) == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}
