/* broker/view/views_metrics.c - what views.h counts. */
#include "broker/view/views_impl.h"
#include "runtime/metrics.h"

void views_register(struct views *views, struct rt_metrics *metrics)
{
    views->folded = rt_counter_new(metrics, "pgtide_broker_folds_total", NULL,
                                   "constants of identities read from PostgreSQL");
    views->cast = rt_counter_new(metrics, "pgtide_broker_filters_cast_total", NULL,
                                 "filters whose values PostgreSQL has cast");
    views->statements = rt_counter_new(metrics, "pgtide_broker_view_statements_total", NULL,
                                       "statements sent to make views");
    views->retries = rt_counter_new(metrics, "pgtide_broker_view_retries_total", NULL,
                                    "pauses because a statement for views failed, or its snapshot "
                                    "was too old");
    views->refused = rt_counter_new(metrics, "pgtide_broker_views_refused_total", NULL,
                                    "views that could not be made");
    views->unplanned = rt_counter_new(
        metrics, "pgtide_broker_policies_refused_total", NULL,
        "times PostgreSQL refused to plan or run a table's policies for an identity, "
        "which was told so");
    views->raised = rt_counter_new(
        metrics, "pgtide_broker_policy_errors_total", NULL,
        "identities for which a part of a table's policies raises an error: they see "
        "less, or nothing");
    views->set_count =
        rt_gauge_new(metrics, "pgtide_broker_policy_sets", NULL,
                     "sets of membership tests in policies kept from the stream, one "
                     "for each identity and test");
    views->set_changes = rt_counter_new(metrics, "pgtide_broker_policy_set_changes_total", NULL,
                                        "changes of tables in membership tests applied to the sets "
                                        "that are kept");
    views->set_losses =
        rt_counter_new(metrics, "pgtide_broker_policy_sets_lost_total", NULL,
                       "identities whose sets a change could not be applied to, or changed another "
                       "set that they rest on: they are read from PostgreSQL again");
    views->unsure_count =
        rt_gauge_new(metrics, "pgtide_broker_policy_sets_unsure", NULL,
                     "identities whose sets may lack a commit that was not visible yet when their "
                     "table began to be followed; they are read again when it must be");
    views->identity_count = rt_gauge_new(metrics, "pgtide_broker_view_identities", NULL,
                                         "different identities (role and claims) with views");
}
