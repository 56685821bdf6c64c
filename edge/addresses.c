/* edge/addresses.c - see edge/addresses.h. */
#include "edge/addresses.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/map.h"

enum { NETWORK_BYTES = 8 }; /* of an IPv6 address */

struct key {
    uint8_t bytes[NETWORK_BYTES];
    size_t len;
};

struct address {
    struct key key;
    size_t count;
};

struct addresses {
    struct rt_map *known;
};

/* 4 bytes of IPv4, or 8 of IPv6. */
static bool key_of(const struct sockaddr_storage *peer, struct key *out)
{
    const void *from = NULL;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    out->len = 0;
    if (peer->ss_family == AF_INET) {
        memcpy(&v4, peer, sizeof v4);
        from = &v4.sin_addr;
        out->len = sizeof v4.sin_addr;
    } else if (peer->ss_family == AF_INET6) {
        memcpy(&v6, peer, sizeof v6);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        from = mapped ? &v6.sin6_addr.s6_addr[12] : &v6.sin6_addr.s6_addr[0];
        out->len = mapped ? sizeof v4.sin_addr : NETWORK_BYTES;
    }
    if (from != NULL) {
        memcpy(out->bytes, from, out->len);
    }
    return from != NULL;
}

size_t addresses_count(const struct addresses *addresses, const struct sockaddr_storage *peer)
{
    const struct address *address = NULL;
    struct key key;

    if (key_of(peer, &key)) {
        address = rt_map_get(addresses->known, key.bytes, key.len);
    }
    return address == NULL ? 0 : address->count;
}

struct address *addresses_take(struct addresses *addresses, const struct sockaddr_storage *peer)
{
    struct key key;

    if (!key_of(peer, &key)) {
        return NULL;
    }
    struct address *address = rt_map_get(addresses->known, key.bytes, key.len);
    if (address == NULL) {
        address = rt_alloc(sizeof *address);
        address->key = key;
        (void)rt_map_put(addresses->known, key.bytes, key.len, address);
    }
    address->count++;
    return address;
}

void addresses_give_back(struct addresses *addresses, struct address *address)
{
    if (address != NULL && --address->count == 0) {
        (void)rt_map_remove(addresses->known, address->key.bytes, address->key.len);
        free(address);
    }
}

struct addresses *addresses_new(void)
{
    struct addresses *addresses = rt_alloc(sizeof *addresses);

    addresses->known = rt_map_new();
    return addresses;
}

void addresses_free(struct addresses *addresses)
{
    if (addresses != NULL) {
        rt_map_free(addresses->known);
        free(addresses);
    }
}
