/* tailer/term.c - see term.h. */
#include "tailer/term.h"

#include <stdlib.h>

#include "proto/records.h"
#include "runtime/config.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "tailer/catalog.h"
#include "tailer/describe.h"
#include "tailer/instruments.h"

static void on_fresh(void *ctx, uint32_t shard)
{
    struct term *term = ctx;
    publish_fresh(term->publish, shard);
    term->config.on_fresh(term->config.ctx, shard);
}

static void on_ack(void *ctx, uint32_t shard)
{
    struct term *term = ctx;

    term->config.on_ack(term->config.ctx, shard);
}

static void answer_need(struct term *term, uint32_t shard, uint32_t rel)
{
    const struct relation *relation = relcache_find(term->relcache, rel);

    rt_counter_add(term->config.metrics->needs, 1);
    if (relation == NULL) {
        rt_counter_add(term->config.metrics->bad_messages, 1);
        rt_log_error(term->config.process->log, "shard.unknown_relation", RT_U("shard", shard),
                     RT_U("rel", rel),
                     RT_S("advice", "restart this broker: it gets everything again"));
        return;
    }
    links_message(term->links, shard,
                  (struct rt_span){ relation->record.data, relation->record.len });
}

/* No answer when there is none: the broker asks again, or does without. */
static void answer_describe(struct term *term, uint32_t shard, uint32_t oid)
{
    struct wire_writer record = { 0 };

    rt_counter_add(term->config.metrics->needs, 1);
    if (describe_table(term->config.catalog, term->relcache,
                       term->config.process->config->database_publication, oid, &record)) {
        links_message(term->links, shard, (struct rt_span){ record.data, record.len });
    }
    wire_writer_fini(&record);
}

static enum wire_err on_request(struct term *term, uint32_t shard, enum wire_type type,
                                struct wire_reader *in)
{
    struct wire_need need;
    struct wire_describe describe;
    enum wire_err err = WIRE_ERR_UNKNOWN;

    if (type == WIRE_NEED && (err = wire_decode_need(in, &need)) == WIRE_OK) {
        answer_need(term, shard, need.rel);
    } else if (type == WIRE_DESCRIBE && (err = wire_decode_describe(in, &describe)) == WIRE_OK) {
        answer_describe(term, shard, describe.oid);
    }
    return err;
}

static void on_shard_message(void *ctx, uint32_t shard, struct rt_span message)
{
    struct term *term = ctx;
    struct wire_reader in;
    enum wire_type type = WIRE_NEED;

    wire_reader_init(&in, message.data, message.len);
    enum wire_err err = wire_next_record(&in, &type);
    while (err == WIRE_OK && (err = on_request(term, shard, type, &in)) == WIRE_OK) {
        err = wire_next_record(&in, &type);
    }
    if (err != WIRE_ERR_END) {
        rt_counter_add(term->config.metrics->bad_messages, 1);
        rt_log_warn(term->config.process->log, "shard.bad_message", RT_U("shard", shard),
                    RT_S("reason", wire_err_text(err)));
    }
}

struct term *term_new(const struct term_config *config)
{
    static const struct links_events events = {
        .on_fresh = on_fresh,
        .on_ack = on_ack,
        .on_message = on_shard_message,
    };
    const struct rt_config *options = config->process->config;
    struct facts_source facts = catalog_facts(config->catalog);
    struct term *term = rt_alloc(sizeof(*term));

    term->config = *config;
    term->epoch = config->epoch;
    term->links = links_new(&(struct links_config){
        .config = options,
        .loop = config->process->loop,
        .log = config->process->log,
        .metrics = config->process->metrics,
        .keys = config->keys,
        .events = &events,
        .ctx = term,
    });
    if (term->links == NULL) {
        free(term);
        return NULL;
    }
    struct publish_sink sink = links_sink(term->links);
    term->relcache = relcache_new(&facts, options->shards);
    term->publish = publish_new(&sink, (uint32_t)options->shards, config->epoch, config->start_lsn);
    term->consume = consume_new(&(struct consume_config){
        .relcache = term->relcache,
        .publish = term->publish,
        .counters = &config->metrics->consume,
        .max_value = (uint32_t)options->database_max_value,
    });
    publish_position(term->publish, config->start_lsn, rt_wall_now());
    window_init(&term->window, options->window_time, (uint64_t)options->window_bytes,
                config->start_lsn, rt_now());
    return term;
}

void term_free(struct term *term)
{
    if (term != NULL) {
        consume_free(term->consume);
        publish_free(term->publish);
        relcache_free(term->relcache);
        links_free(term->links);
        free(term);
    }
}
