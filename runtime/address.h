/* runtime/address.h - "host:port" texts of the ports that we listen on. Pure. */
#ifndef PGTIDE_RUNTIME_ADDRESS_H
#define PGTIDE_RUNTIME_ADDRESS_H

#include <stdbool.h>

enum { RT_HOST_SIZE = 256, RT_PORT_SIZE = 8 };

/* Splits 127.0.0.1:9100, [::1]:9100, localhost:0 and :9100 (host "": every address). False, with
 * nothing written, when it is none of these or the port is not 0 to 65535. */
bool rt_address_split(const char *text, char host[RT_HOST_SIZE], char port[RT_PORT_SIZE]);

#endif
