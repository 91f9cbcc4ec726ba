/* Names to socket addresses without stopping the loop.
 *
 * A numeric address is converted at once. A name is looked up by getaddrinfo (so that /etc/hosts
 * and every other source of the system counts) in a thread that lives as long as the look-up. */
#ifndef CLIENT_RESOLVER_H
#define CLIENT_RESOLVER_H

#include "base/address.h"
#include "client/include/confer.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { CLIENT_ADDRESSES_MAX = 8, CLIENT_RESOLVER_TEXT_BYTES_MAX = 128 };

struct client_addresses {
    struct sockaddr_storage items[CLIENT_ADDRESSES_MAX];
    socklen_t bytes[CLIENT_ADDRESSES_MAX];
    size_t count;                                 /* 0: failed */
    char problem[CLIENT_RESOLVER_TEXT_BYTES_MAX]; /* when failed */
};

struct client_lookup;

/* Convert a numeric address; false if it is a name. */
bool client_resolver_numeric(const struct address *address, struct client_addresses *ret);
/* Look a name up. When it is done, 8 bytes are written to `wake_fd` (an eventfd). NO_MEMORY,
 * SYSTEM. */
MUST_CHECK enum confer_status client_resolver_start(const struct address *address,
                                                    int wake_fd,
                                                    struct client_lookup **ret_lookup);
/* True once it is done. */
bool client_resolver_poll(struct client_lookup *lookup, struct client_addresses *ret);
/* Give it up or release it; `wake_fd` is not touched after that. NULL is fine. */
void client_resolver_free(struct client_lookup *lookup);

#endif
