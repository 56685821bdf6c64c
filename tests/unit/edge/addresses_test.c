/* Tests of edge/addresses: what counts as one address. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "edge/addresses.h"

static struct sockaddr_storage at(const char *text)
{
    struct sockaddr_storage peer = { .ss_family = AF_UNIX };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&peer, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(&peer, &v6, sizeof v6);
    }
    return peer;
}

static struct address *take(struct addresses *addresses, const char *text)
{
    struct sockaddr_storage peer = at(text);

    return addresses_take(addresses, &peer);
}

static size_t count(const struct addresses *addresses, const char *text)
{
    struct sockaddr_storage peer = at(text);

    return addresses_count(addresses, &peer);
}

static void test_connections_are_counted_by_address(void **state)
{
    struct addresses *addresses = addresses_new();
    struct address *first = take(addresses, "192.0.2.1");

    (void)state;
    assert_ptr_equal(take(addresses, "192.0.2.1"), first);
    struct address *other = take(addresses, "192.0.2.2");
    assert_int_equal(count(addresses, "192.0.2.1"), 2);
    assert_int_equal(count(addresses, "192.0.2.2"), 1);
    assert_int_equal(count(addresses, "192.0.2.3"), 0);
    addresses_give_back(addresses, first);
    assert_int_equal(count(addresses, "192.0.2.1"), 1);
    addresses_give_back(addresses, first);
    assert_int_equal(count(addresses, "192.0.2.1"), 0);
    addresses_give_back(addresses, other);
    addresses_give_back(addresses, NULL);
    addresses_free(addresses);
}

static void test_ipv4_in_ipv6_is_ipv4_and_a_network_of_64_bits_is_one_address(void **state)
{
    struct addresses *addresses = addresses_new();
    struct address *v4 = take(addresses, "::ffff:192.0.2.1");
    struct address *v6 = take(addresses, "2001:db8:0:1::1");

    (void)state;
    assert_int_equal(count(addresses, "192.0.2.1"), 1);
    assert_int_equal(count(addresses, "2001:db8:0:1:ffff::2"), 1);
    assert_int_equal(count(addresses, "2001:db8:0:2::1"), 0);
    addresses_give_back(addresses, v4);
    addresses_give_back(addresses, v6);
    addresses_free(addresses);
}

static void test_what_is_not_ip_is_not_counted(void **state)
{
    struct addresses *addresses = addresses_new();

    (void)state;
    assert_null(take(addresses, "a socket with a path"));
    assert_int_equal(count(addresses, "a socket with a path"), 0);
    addresses_free(addresses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_are_counted_by_address),
        cmocka_unit_test(test_ipv4_in_ipv6_is_ipv4_and_a_network_of_64_bits_is_one_address),
        cmocka_unit_test(test_what_is_not_ip_is_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
