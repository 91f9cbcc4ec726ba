/* Sockets of the kind used here: TCP, non-blocking, closed on exec. Knows nothing of protocols. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "base/address.h"
#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* A fourth of a sockaddr_storage: each connection keeps one. */
struct socket_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } as;
    socklen_t size;
};

/* Of IPv4 or IPv6, as getaddrinfo(3) found it. */
struct socket_address socket_address_of(const struct sockaddr *address, socklen_t size);

/* Notice a silent other side: probes after `idle_s`, then each `interval_s`, `count` of them; and
 * data that stays unacknowledged for `user_timeout_ms`. */
struct socket_patience {
    int idle_s;
    int interval_s;
    int count;
    unsigned user_timeout_ms;
};

extern const struct socket_patience socket_patience_client;
extern const struct socket_patience socket_patience_peer;

/* HOST:PORT for logs. */
void socket_address_text(const struct socket_address *address, char text[ADDRESS_TEXT_BYTES_MAX]);
/* The host alone; an IPv4 address inside an IPv6 one as the former. */
enum { SOCKET_HOST_TEXT_BYTES_MAX = 46 };
void socket_address_host_text(const struct socket_address *address,
                              char text[SOCKET_HOST_TEXT_BYTES_MAX]);
/* 127.0.0.0/8, ::1, and the former inside IPv6. */
bool socket_address_is_loopback(const struct socket_address *address);
/* The host part as 16 bytes, IPv4 mapped into IPv6: equal for the same host whatever the family. */
void socket_address_host(const struct socket_address *address, uint8_t host[16]);
/* Without a name service; false when the host is a name. */
bool socket_address_numeric(const struct address *address, struct socket_address *ret_address);

/* A new socket of the address's family. IO with the reason. */
MUST_CHECK enum status
socket_open(const struct socket_address *address, int *ret_socket, struct error *error);
/* Send small messages at once, notice silence. Failures are harmless and ignored. */
void socket_tune(int socket, const struct socket_patience *patience);

#endif
