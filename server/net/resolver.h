/* Names to addresses without holding up the main loop: getaddrinfo runs in a short-lived thread for
 * each question, so that one dead name server delays nobody else. Knows /etc/hosts and whatever
 * else the system is set up to ask. */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "server/net/socket.h"

#include <event2/event.h>
#include <stddef.h>

enum { RESOLVER_ADDRESSES_MAX = 8, RESOLVER_THREADS_MAX = 32 };

struct resolver;
struct resolver_query;

struct resolver_answer {
    struct error error; /* error.status is STATUS_OK, or why there is no address */
    struct socket_address addresses[RESOLVER_ADDRESSES_MAX];
    size_t count;
};

/* IO: no descriptor. `base` outlives the resolver. */
MUST_CHECK enum status
resolver_new(struct event_base *base, struct resolver **ret_resolver, struct error *error);
/* Questions still open get no answer. Does not wait for threads. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* `done(context, answer)` comes later from the event loop, once, unless cancelled; the answer is
 * lent. The query is gone after either. */
struct resolver_query *resolver_ask(struct resolver *resolver,
                                    const struct address *address,
                                    void (*done)(void *context,
                                                 const struct resolver_answer *answer),
                                    void *context);
void resolver_cancel(struct resolver_query *query);

#endif
