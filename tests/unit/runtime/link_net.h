/* tests/unit/runtime/link_net.h - the network of a world: packets on their way, and what happens to them there.
 *
 * Publisher and subscribers send through the two sets of operations; `struct faults` of the world says what is
 * lost, doubled, late or refused.
 */
#ifndef PGTIDE_TESTS_UNIT_RUNTIME_LINK_NET_H
#define PGTIDE_TESTS_UNIT_RUNTIME_LINK_NET_H

#include "tests/unit/runtime/link_world.h"

extern const struct link_tx_ops net_tx_ops; /* ctx: the world */
extern const struct link_rx_ops net_rx_ops; /* ctx: the subscriber */

/* Takes the packet that is due first, world.packets[0]; its data is the caller's. There must be one. */
struct packet net_pop(struct world *w);

#endif
