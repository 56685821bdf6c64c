/* broker/policy/body.h - whether an SQL function's body is a constant of the identity: reads no table and no clock.
 *
 * A look at tokens, not a parser: one SELECT; FROM only before a subselect in parentheses, alone; calls only of
 * functions on a short list and of SQL functions without parameters for which the same holds. Everything else is no. What a body is
 * declared (STABLE) is believed as far as PostgreSQL believes it. Pure. Linear cost, bounded depth.
 */
#ifndef PGTIDE_BROKER_POLICY_BODY_H
#define PGTIDE_BROKER_POLICY_BODY_H

#include <stdbool.h>

#include "broker/policy/facts.h"

#define POLICY_BODY_DEPTH_MAX 8

bool policy_body_is_constant(const struct policy_facts *facts,
                             const struct policy_function_fact *function);

#endif
