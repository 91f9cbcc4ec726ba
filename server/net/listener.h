/* Listening sockets. Accepts connections and hands them on; survives a lack of descriptors. Main
 * thread. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "server/net/socket.h"

#include <event2/event.h>

struct listener;

/* Bind and listen on every address that `address` (HOST:PORT) stands for; connections queue up in
 * the kernel until listener_accept. May ask the name service and wait for it.
 * EXISTS   the port is in use.
 * INVALID  not an address of this machine, or unknown.
 * IO       anything else. The text names the address and the way out. */
MUST_CHECK enum status listener_open(struct event_base *base,
                                     const char *address,
                                     struct listener **ret_listener,
                                     struct error *error);
/* Start to accept: `on_accept` gets a non-blocking socket that is its own from then on. */
void listener_accept(struct listener *listener,
                     void (*on_accept)(void *context,
                                       int socket,
                                       const struct socket_address *remote),
                     void *context);
void listener_close(struct listener *listener); /* NULL is fine */

/* Descriptors are exhausted and accepting pauses. */
bool listener_is_paused(const struct listener *listener);
/* HOST:PORT of the first socket, as bound. */
void listener_address(const struct listener *listener, char text[ADDRESS_TEXT_BYTES_MAX]);

#endif
