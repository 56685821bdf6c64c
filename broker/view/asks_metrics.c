/* broker/view/asks_metrics.c - names and help texts. */
#include "broker/view/asks_metrics.h"

static void init_lanes(struct asks_metrics *metrics, struct rt_metrics *registry)
{
    static const char *const lanes[ASK_LANES] = {
        [ASK_LANE_SET] = "lane=\"set\"",
        [ASK_LANE_LOOP] = "lane=\"loop\"",
        [ASK_LANE_FILTER] = "lane=\"filter\"",
    };

    for (int i = 0; i < ASK_LANES; i++) {
        metrics->questions[i] =
            rt_counter_new(registry, "pgtide_broker_ask_questions_total", lanes[i],
                           "Questions put to PostgreSQL because a policy or a filter is not "
                           "compiled, by lane: policies for many identities in one statement, "
                           "identity by identity, conditions of filters.");
        metrics->batches[i] = rt_counter_new(registry, "pgtide_broker_ask_batches_total", lanes[i],
                                             "Texts sent to PostgreSQL with such questions.");
        metrics->judged[i] = rt_counter_new(registry, "pgtide_broker_ask_judged_total", lanes[i],
                                            "Row versions times identities (or conditions) that "
                                            "PostgreSQL judged in them.");
    }
}

void asks_metrics_init(struct asks_metrics *metrics, struct rt_metrics *registry)
{
    static const char *const retries[ASK_RETRIES] = {
        [ASK_RETRY_UNSEEN] = "reason=\"not_visible\"",
        [ASK_RETRY_RAISED] = "reason=\"raised\"",
        [ASK_RETRY_SHAPE] = "reason=\"altered\"",
        [ASK_RETRY_LOST] = "reason=\"connection\"",
    };
    static const char *const failures[ASK_FAILURES] = {
        [ASK_FAILURE_DEADLINE] = "reason=\"deadline\"",
        [ASK_FAILURE_ERROR] = "reason=\"error\"",
        [ASK_FAILURE_FULL] = "reason=\"full\"",
    };

    init_lanes(metrics, registry);
    for (int i = 0; i < ASK_RETRIES; i++) {
        metrics->retries[i] =
            rt_counter_new(registry, "pgtide_broker_ask_retries_total", retries[i],
                           "Questions that were asked again, by reason.");
    }
    for (int i = 0; i < ASK_FAILURES; i++) {
        metrics->failures[i] =
            rt_counter_new(registry, "pgtide_broker_ask_failures_total", failures[i],
                           "Questions without an answer: the change was not delivered.");
    }
    metrics->kept = rt_counter_new(registry, "pgtide_broker_ask_kept_total", NULL,
                                   "Texts for many identities whose statement the connection had "
                                   "from an earlier one.");
    metrics->shared = rt_counter_new(registry, "pgtide_broker_ask_shared_total", NULL,
                                     "Questions that another view had asked already.");
    metrics->raised = rt_counter_new(registry, "pgtide_broker_ask_raised_total", NULL,
                                     "Answers that are an error of the identity's own policies "
                                     "or filter: the row was not delivered to it.");
    metrics->incomplete = rt_counter_new(
        registry, "pgtide_broker_ask_incomplete_total", NULL,
        "Row versions that lack a column that a policy or a filter needs: not delivered.");
    metrics->pending = rt_gauge_new(registry, "pgtide_broker_asks_pending", NULL,
                                    "Questions that wait for their answer.");
    metrics->seconds = rt_histogram_new(registry, "pgtide_broker_ask_seconds", NULL,
                                        "From a question to its answer.");
}
