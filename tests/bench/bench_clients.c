/* tests/bench/bench_clients.c - many WebSocket clients in one epoll loop, for measuring an edge.
 *
 *   bench-clients PORT CLIENTS CHANNEL EXPECT SECONDS [TOKEN [deflate]]
 *
 * TOKEN: of all clients, or @FILE with one in each line, client by client; "-": none. deflate: permessage-deflate is offered; a
 * compressed frame counts as a change, without being looked at.
 *
 * Opens CLIENTS connections to 127.0.0.1:PORT, subscribes each to CHANNEL, prints "ready", and then counts change
 * frames until every client has EXPECT of them, SECONDS are over, or standard input closes. With EXPECT 0 it only
 * holds the connections. Latency is measured from commit_timestamp to the time of the recv(2) that
 * brought the frame, for every 16th client. "disorder" counts records whose first member "id" is not one more than
 * in the frame before. Prints one line of JSON. Loopback only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    RECV_BYTES = 256 * 1024,
    KEEP_BYTES = 64 * 1024,
    SAMPLES_MAX = 4 * 1024 * 1024,
    SAMPLE_EVERY = 16
};

struct client {
    int fd;
    uint64_t frames;
    uint64_t row;  /* "id" of the last record */
    size_t kept;   /* bytes of an unfinished frame, in `keep` */
    uint64_t skip; /* bytes of a frame that is too long to keep */
    uint8_t *keep;
    bool acked;
};

struct bench {
    int epoll;
    int clients;
    uint64_t expect;
    const char *channel;
    struct client *all;
    uint8_t *buffer;
    uint64_t frames;
    uint64_t bytes;
    int finished;
    bool deflate;
    int acked;
    int lost;
    uint64_t disorder; /* records whose id is not one more than the one before */
    double first;
    double last;
    uint32_t *samples; /* microseconds */
    size_t sample_count;
};

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench-clients: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n <= 0) {
            die("write");
        }
        at += n;
        len -= (size_t)n;
    }
}

/* A masked text frame with a zero key: legal, and the payload stays readable. */
static void send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    uint8_t frame[600];
    size_t at = 0;

    frame[at++] = 0x81;
    if (len < 126) {
        frame[at++] = (uint8_t)(0x80 | len);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(len >> 8);
        frame[at++] = (uint8_t)len;
    }
    memset(frame + at, 0, 4);
    at += 4;
    memcpy(frame + at, text, len);
    write_all(fd, frame, at + len);
}

static void open_client(struct bench *bench, struct client *client, int index, uint16_t port,
                        const char *token)
{
    struct sockaddr_in from = { .sin_family = AF_INET };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    /* 20,000 connections from each 127.0.1.x, so that ports suffice. */
    from.sin_addr.s_addr = htonl(0x7f000101U + (uint32_t)(index / 20000));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(client->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    char request[2600];
    snprintf(request, sizeof(request),
             "GET /realtime%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: "
             "Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n",
             token != NULL ? "?token=" : "", token != NULL ? token : "",
             bench->deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    write_all(client->fd, request, strlen(request));
    size_t got = 0;
    char answer[2048];
    while (got < sizeof(answer) - 1) {
        ssize_t n = recv(client->fd, answer + got, 1, 0);
        if (n <= 0) {
            die("handshake");
        }
        got += (size_t)n;
        if (got >= 4 && memcmp(answer + got - 4, "\r\n\r\n", 4) == 0) {
            break;
        }
    }
    answer[got] = '\0';
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "bench-clients: not upgraded: %s\n", answer);
        exit(1);
    }
    char subscribe[512];
    snprintf(subscribe, sizeof(subscribe), "{\"type\":\"subscribe\",\"channel\":\"%s\"}",
             bench->channel);
    send_text(client->fd, subscribe);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
    epoll_ctl(bench->epoll, EPOLL_CTL_ADD, client->fd, &event);
}

/* 2026-11-21T09:49:46.123456Z, not terminated: what follows is another part of the frame. */
static double parse_time(const char *text, size_t len)
{
    char copy[32] = "";
    struct tm tm = { 0 };
    memcpy(copy, text, len < sizeof(copy) - 1 ? len : sizeof(copy) - 1);
    char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL) {
        return 0;
    }
    return (double)timegm(&tm) + (*rest == '.' ? strtod(rest, NULL) : 0);
}

static void check_order(struct bench *bench, struct client *client, const uint8_t *payload,
                        size_t len)
{
    static const char key[] = "\"record\":{\"id\":";
    const uint8_t *at = memmem(payload, len, key, sizeof(key) - 1);
    if (at == NULL) {
        return;
    }
    uint64_t row = 0;
    for (at += sizeof(key) - 1; at < payload + len && *at >= '0' && *at <= '9'; at++) {
        row = row * 10 + *at - '0';
    }
    bench->disorder += client->row != 0 && row != client->row + 1;
    client->row = row;
}

static void count_change(struct bench *bench, struct client *client, double now)
{
    bench->frames++;
    if (bench->first == 0) {
        bench->first = now;
    }
    bench->last = now;
    if (++client->frames == bench->expect) {
        bench->finished++;
    }
}

static void on_frame(struct bench *bench, struct client *client, const uint8_t *payload, size_t len,
                     double now)
{
    static const char change[] = "{\"type\":\"broadcast\"";
    static const char ack[] = "{\"type\":\"ack\"";
    static const char error[] = "{\"type\":\"error\"";

    if (len >= sizeof(ack) - 1 && memcmp(payload, ack, sizeof(ack) - 1) == 0) {
        client->acked = true;
        bench->acked++;
    } else if (len >= sizeof(error) - 1 && memcmp(payload, error, sizeof(error) - 1) == 0) {
        fprintf(stderr, "bench-clients: %.*s\n", (int)len, (const char *)payload);
        exit(1);
    }
    if (len < sizeof(change) - 1 || memcmp(payload, change, sizeof(change) - 1) != 0) {
        return;
    }
    count_change(bench, client, now);
    check_order(bench, client, payload, len);
    /* Very many frames: some of them will do. */
    if (bench->expect > 100000 && client->frames % 64 != 0) {
        return;
    }
    if ((client - bench->all) % SAMPLE_EVERY == 0 && bench->sample_count < SAMPLES_MAX) {
        static const char key[] = "\"commit_timestamp\":\"";
        const char *at = memmem(payload, len, key, sizeof(key) - 1);
        if (at != NULL) {
            at += sizeof(key) - 1;
            double delay = now - parse_time(at, (size_t)((const char *)payload + len - at));
            bench->samples[bench->sample_count++] = delay > 0 ? (uint32_t)(delay * 1e6) : 0;
        }
    }
}

/* Consumes whole frames; returns how many bytes were used. */
static size_t parse(struct bench *bench, struct client *client, const uint8_t *data, size_t len,
                    double now)
{
    size_t at = 0;
    while (len - at >= 2) {
        size_t header = 2;
        uint64_t size = data[at + 1] & 127u;
        if (size == 126) {
            header = 4;
        } else if (size == 127) {
            header = 10;
        }
        if (len - at < header) {
            break;
        }
        if (header > 2) {
            size = 0;
            for (size_t i = 2; i < header; i++) {
                size = size << 8 | data[at + i];
            }
        }
        if (len - at - header < size) {
            if (header + size > KEEP_BYTES) { /* a very long frame: count it by its head */
                on_frame(bench, client, data + at + header, len - at - header, now);
                client->skip = size - (len - at - header);
                return len;
            }
            break;
        }
        if ((data[at] & 0x4fu) == 0x41) {
            count_change(bench, client, now);
        } else if ((data[at] & 15u) == 1) {
            on_frame(bench, client, data + at + header, (size_t)size, now);
        }
        at += header + (size_t)size;
    }
    return at;
}

static void on_bytes(struct bench *bench, struct client *client, uint8_t *data, size_t len,
                     double now)
{
    if (client->skip > 0) {
        size_t n = client->skip < len ? (size_t)client->skip : len;
        client->skip -= n;
        data += n;
        len -= n;
    }
    size_t used = parse(bench, client, data, len, now);
    client->kept = len - used;
    if (client->kept > 0) {
        if (client->keep == NULL) {
            client->keep = malloc(KEEP_BYTES);
        }
        if (client->keep == NULL || client->kept > KEEP_BYTES) {
            die("a frame that is too long");
        }
        memcpy(client->keep, data + used, client->kept);
    }
}

static void on_readable(struct bench *bench, struct client *client)
{
    if (client->kept > 0) {
        memcpy(bench->buffer, client->keep, client->kept);
    }
    ssize_t n = recv(client->fd, bench->buffer + client->kept, RECV_BYTES - client->kept, 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        bench->lost++;
        bench->finished += client->frames < bench->expect || bench->expect == 0;
        epoll_ctl(bench->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        return;
    }
    bench->bytes += (uint64_t)n;
    on_bytes(bench, client, bench->buffer, client->kept + (size_t)n, wall());
}

/* Until all are done, or the deadline, or (without a deadline of its own) standard input ends. */
static void run(struct bench *bench, double deadline, const int *counter)
{
    struct epoll_event events[512];
    while (*counter < bench->clients && wall() < deadline) {
        int n = epoll_wait(bench->epoll, events, 512, 100);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                return;
            }
            on_readable(bench, events[i].data.ptr);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct bench *bench)
{
    qsort(bench->samples, bench->sample_count, sizeof(*bench->samples), by_value);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    size_t n = bench->sample_count;
    double seconds = bench->last - bench->first;
    printf("{\"clients\":%d,\"frames\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"frames_per_second\":%"
           ".0f,\"lost\":%d,\"disorder\":%llu,"
           "\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,\"client_cpu_seconds\":%.2f}\n",
           bench->clients, (unsigned long long)bench->frames, (unsigned long long)bench->bytes,
           seconds, seconds > 0 ? (double)bench->frames / seconds : 0, bench->lost,
           (unsigned long long)bench->disorder, n ? bench->samples[n / 2] : 0,
           n ? bench->samples[n - 1 - n / 100] : 0, n ? bench->samples[n - 1] : 0,
           (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: bench-clients PORT CLIENTS CHANNEL EXPECT SECONDS "
                        "[TOKEN [deflate]]\n");
        return 2;
    }
    struct bench bench = { .clients = atoi(argv[2]),
                           .channel = argv[3],
                           .expect = strtoull(argv[4], NULL, 10),
                           .deflate = argc > 7 && strcmp(argv[7], "deflate") == 0 };
    double seconds = atof(argv[5]);
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    bench.all = calloc((size_t)bench.clients, sizeof(*bench.all));
    bench.buffer = malloc(RECV_BYTES);
    bench.samples = malloc(SAMPLES_MAX * sizeof(*bench.samples));
    if (bench.all == NULL || bench.buffer == NULL || bench.samples == NULL) {
        die("memory");
    }
    const char *token = argc > 6 && strcmp(argv[6], "-") != 0 ? argv[6] : NULL;
    FILE *tokens = token != NULL && token[0] == '@' ? fopen(token + 1, "re") : NULL;
    for (int i = 0; i < bench.clients; i++) {
        char line[2048];
        if (tokens != NULL) {
            if (fgets(line, sizeof(line), tokens) == NULL) {
                die("tokens");
            }
            line[strcspn(line, "\n")] = '\0';
            token = line;
        }
        open_client(&bench, &bench.all[i], i, (uint16_t)atoi(argv[1]), token);
    }
    if (tokens != NULL) {
        fclose(tokens);
    }
    run(&bench, wall() + 60, &bench.acked);
    if (bench.acked < bench.clients) {
        fprintf(stderr, "bench-clients: only %d of %d subscriptions were acknowledged\n",
                bench.acked, bench.clients);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(bench.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    run(&bench, wall() + seconds, &bench.finished);
    report(&bench);
    fflush(stdout);
    for (int i = 0; i < bench.clients; i++) {
        free(bench.all[i].keep);
    }
    free(bench.all);
    free(bench.buffer);
    free(bench.samples);
    return 0;
}
