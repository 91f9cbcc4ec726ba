#include "server/net/socket.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

/* A client behind a dead network costs a descriptor for about a minute. */
const struct socket_patience socket_patience_client = {
    .idle_s = 30, .interval_s = 10, .count = 3, .user_timeout_ms = 60 * 1000};
/* Between servers silence of five seconds means that the connection is of no use. */
const struct socket_patience socket_patience_peer = {
    .idle_s = 2, .interval_s = 1, .count = 3, .user_timeout_ms = 5 * 1000};

struct socket_address socket_address_of(const struct sockaddr *address, socklen_t size)
{
    struct socket_address copy = {.size = size};

    CHECK_OP(size, <=, sizeof copy.as);
    memcpy(&copy.as, address, size);
    return copy;
}

void socket_address_text(const struct socket_address *address, char text[ADDRESS_TEXT_BYTES_MAX])
{
    struct address readable = {.port = 0};

    if (address->as.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->as.ipv4.sin_addr, readable.host, sizeof readable.host);
        readable.port = ntohs(address->as.ipv4.sin_port);
    } else if (address->as.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->as.ipv6.sin6_addr, readable.host, sizeof readable.host);
        readable.port = ntohs(address->as.ipv6.sin6_port);
    } else {
        (void)snprintf(readable.host, sizeof readable.host, "unknown");
    }
    address_format(&readable, text);
}

void socket_address_host(const struct socket_address *address, uint8_t host[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(host, 0, 16);
    if (address->as.any.sa_family == AF_INET) {
        memcpy(host, mapped, sizeof mapped);
        memcpy(host + sizeof mapped, &address->as.ipv4.sin_addr, 4);
    } else if (address->as.any.sa_family == AF_INET6) {
        memcpy(host, &address->as.ipv6.sin6_addr, 16);
    }
}

void socket_address_host_text(const struct socket_address *address,
                              char text[SOCKET_HOST_TEXT_BYTES_MAX])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t host[16];
    bool is_ipv4;

    socket_address_host(address, host);
    is_ipv4 = memcmp(host, mapped, sizeof mapped) == 0;
    (void)inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? host + sizeof mapped : host, text,
                    SOCKET_HOST_TEXT_BYTES_MAX);
}

bool socket_address_is_loopback(const struct socket_address *address)
{
    static const uint8_t loopback_ipv6[16] = {[15] = 1};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t host[16];

    socket_address_host(address, host);
    return memcmp(host, loopback_ipv6, sizeof host) == 0 ||
           (memcmp(host, mapped, sizeof mapped) == 0 && host[12] == 127);
}

bool socket_address_numeric(const struct address *address, struct socket_address *ret_address)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    if (getaddrinfo(address->host, port, &hints, &found) != 0) {
        return false;
    }
    *ret_address = socket_address_of(found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

enum status socket_open(const struct socket_address *address, int *ret_socket, struct error *error)
{
    int made =
        socket(address->as.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (made < 0) {
        return error_set(error, STATUS_IO, "cannot make a socket: %s", strerror(errno));
    }
    *ret_socket = made;
    return STATUS_OK;
}

static void set_option(int socket, int level, int name, int value)
{
    (void)setsockopt(socket, level, name, &value, sizeof value);
}

void socket_tune(int socket, const struct socket_patience *patience)
{
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, patience->idle_s);
    set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, patience->interval_s);
    set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, patience->count);
    set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)patience->user_timeout_ms);
}
