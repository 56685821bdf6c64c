/* edge/addresses.h - how many connections come from each address.
 *
 * An IPv4 address counts by itself, also when it comes as IPv4 in IPv6; of an IPv6 address the first 64 bits, since whoever has one address of such a
 * network has all of them. What comes through a load balancer comes from its address. One process counts its own. O(1); about 100 bytes for each
 * address that has a connection. No I/O.
 */
#ifndef PGTIDE_EDGE_ADDRESSES_H
#define PGTIDE_EDGE_ADDRESSES_H

#include <stddef.h>
#include <sys/socket.h>

struct address; /* one that has connections */
struct addresses;

struct addresses *addresses_new(void);
void addresses_free(struct addresses *addresses); /* after all connections are gone */

size_t addresses_count(const struct addresses *addresses, const struct sockaddr_storage *peer);
/* One connection more. NULL: the peer is not IP, and is not counted. */
struct address *addresses_take(struct addresses *addresses, const struct sockaddr_storage *peer);
/* One less. NULL is fine. */
void addresses_give_back(struct addresses *addresses, struct address *address);

#endif
