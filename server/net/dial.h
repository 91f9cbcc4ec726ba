/* Dialling: from HOST:PORT to a connected socket. Looks the name up, tries its addresses one after
 * the other, all within one deadline. Main thread. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "server/net/resolver.h"

struct dial;

/* `done` comes later from the event loop, once, unless cancelled: with a connected non-blocking
 * socket that is the receiver's, or with -1 and the reason. The dial is gone after either.
 * `remote` and `reason` are lent. */
struct dial *dial_start(struct event_base *base,
                        struct resolver *resolver,
                        const char *address,
                        unsigned timeout_ms,
                        void (*done)(void *context,
                                     int socket,
                                     const struct socket_address *remote,
                                     const char *reason),
                        void *context);
void dial_cancel(struct dial *dial); /* NULL is fine */

#endif
