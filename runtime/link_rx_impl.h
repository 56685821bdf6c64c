/* runtime/link_rx_impl.h - what link_rx.c (messages and sessions) and link_rx_time.c (the clock) share. Nobody else includes this.
 */
#ifndef PGTIDE_RUNTIME_LINK_RX_IMPL_H
#define PGTIDE_RUNTIME_LINK_RX_IMPL_H

#include "runtime/link_rx.h"

/* link_rx.c */
void rx_say_hello(struct link_rx *rx, rt_usec now);
/* Out of session, but what we have still counts. A peer that throws us out of every session is not
 * asked as fast as it answers. */
void rx_leave(struct link_rx *rx, rt_usec now);
/* Is it still there, and the same? Asked at most every LINK_HELLO_RETRY. */
void rx_doubt(struct link_rx *rx, rt_usec now);
void rx_send_ack(struct link_rx *rx, bool want_answer, rt_usec now);

/* link_rx_time.c: what is due in a session. */
void rx_tick_session(struct link_rx *rx, rt_usec now);

#endif
