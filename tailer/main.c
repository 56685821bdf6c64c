/* tailer/main.c - the program pgtide-tailer. */
#include "runtime/config.h"
#include "runtime/process.h"
#include "tailer/tailer.h"

static const char *admin_listen(const struct rt_config *config)
{
    return config->tailer_admin;
}

static void *start(struct rt_process *process)
{
    return tailer_new(process);
}

static void drain(void *tier)
{
    tailer_drain(tier);
}

static void stop(void *tier)
{
    tailer_free(tier);
}

int main(int argc, char **argv)
{
    static const struct rt_tier tier = {
        .name = "tailer",
        .summary =
            "Reads PostgreSQL's write-ahead log through one replication slot and publishes every "
            "committed change to the broker shards. One tailer per database is active; "
            "others stand by until its slot is free.",
        .admin_listen = admin_listen,
        .start = start,
        .drain = drain,
        .stop = stop,
    };

    return rt_process_main(argc, argv, &tier);
}
