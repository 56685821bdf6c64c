/* edge/edge.h - the edge tier: clients below (edge/server.h), shards above (edge/hub.h), dialects between.
 *
 * Nothing else knows all three. The process object and its configuration outlive the edge.
 */
#ifndef PGTIDE_EDGE_EDGE_H
#define PGTIDE_EDGE_EDGE_H

#include "runtime/process.h"

extern const struct rt_tier edge_tier;

#endif
