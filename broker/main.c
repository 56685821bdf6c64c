/* broker/main.c - pgtide-broker: one shard in one process. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/shard.h"
#include "runtime/config.h"
#include "runtime/process.h"

static void instance_name(const struct rt_config *config, char *out, int out_size)
{
    (void)snprintf(out, (size_t)out_size, "broker-%" PRId64, config->broker_shard);
}

static const char *admin_listen(const struct rt_config *config)
{
    return config->broker_admin;
}

static void *start(struct rt_process *process)
{
    return shard_new(process);
}

static void drain(void *tier)
{
    shard_drain(tier);
}

static void stop(void *tier)
{
    shard_free(tier);
}

int main(int argc, char **argv)
{
    static const struct rt_tier tier = {
        .name = "broker",
        .summary =
            "Decides who may see which change, and sends it to the edges that have somebody who "
            "watches it. One process for each shard; broker.shard says which one this is.",
        .instance_name = instance_name,
        .admin_listen = admin_listen,
        .start = start,
        .drain = drain,
        .stop = stop,
    };

    return rt_process_main(argc, argv, &tier);
}
