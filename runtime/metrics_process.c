/* runtime/metrics_process.c - what the kernel knows about this process. */
#include "runtime/metrics_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"

/* The numbers of /proc/self/stat behind the command name, counted from "state", which is 0. */
enum { STAT_START_TIME = 19, STAT_VSIZE = 20, STAT_RSS = 21, STAT_FIELDS = 22 };

static bool read_small_file(const char *path, char *out, size_t out_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, out, out_size - 1);
    (void)close(fd);
    if (got <= 0) {
        return false;
    }
    out[got] = '\0';
    return true;
}

static bool read_stat(uint64_t fields[STAT_FIELDS])
{
    char text[1024];
    if (!read_small_file("/proc/self/stat", text, sizeof(text))) {
        return false;
    }
    /* The name is in parentheses and may hold anything, parentheses too. */
    char *at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 4) {
        return false;
    }
    at += 3; /* behind ") S", at the first number */
    fields[0] = 0;
    for (int i = 1; i < STAT_FIELDS; i++) {
        char *end = NULL;
        fields[i] = strtoull(at, &end, 10); /* negative ones (priorities) are not used */
        if (end == at) {
            return false;
        }
        at = end;
    }
    return true;
}

/* Wall time at which the process started. */
static double start_seconds(uint64_t start_ticks)
{
    struct timespec boot;
    long ticks = sysconf(_SC_CLK_TCK);
    if (ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
        return 0;
    }
    double up = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    return (double)rt_wall_now() / 1e6 - (up - (double)start_ticks / (double)ticks);
}

static int count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return -1;
    }
    int count = -1; /* the directory itself is open as well */
    /* This DIR is ours alone, so readdir is safe whatever other threads do. */
    const struct dirent *entry = readdir(dir);    // NOLINT(concurrency-mt-unsafe)
    for (; entry != NULL; entry = readdir(dir)) { // NOLINT(concurrency-mt-unsafe)
        if (entry->d_name[0] != '.') {
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}

static void put(struct rt_buf *out, const char *name, const char *type, const char *help,
                double value)
{
    rt_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                  value);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void rt_metrics_process_render(struct rt_buf *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        put(out, "process_cpu_seconds_total", "counter", "CPU time used, all threads.",
            seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    }
    uint64_t fields[STAT_FIELDS];
    if (read_stat(fields)) {
        put(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
            (double)fields[STAT_RSS] * (double)sysconf(_SC_PAGESIZE));
        put(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
            (double)fields[STAT_VSIZE]);
        put(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970-01-01 UTC.",
            start_seconds(fields[STAT_START_TIME]));
    }
    int fds = count_open_fds();
    if (fds >= 0) {
        put(out, "process_open_fds", "gauge", "Open descriptors.", (double)fds);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        put(out, "process_max_fds", "gauge", "Limit of open descriptors.", (double)limit.rlim_cur);
    }
    rt_buf_puts(out, "# HELP pgtide_build_info The version of this program; always 1.\n"
                     "# TYPE pgtide_build_info gauge\n"
                     "pgtide_build_info{version=\"" PGTIDE_VERSION "\"} 1\n");
}
