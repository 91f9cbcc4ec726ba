/* What the tests of net share: an event loop that turns until something is so, and the far end of a
 * connection as a plain socket. */
#ifndef TESTS_UNIT_NET_NET_LAB_H
#define TESTS_UNIT_NET_NET_LAB_H

#include "base/check.h"
#include "base/clock.h"
#include "server/net/connection.h"
#include "tests/support/test.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LAB_PATIENCE_MS = 20 * 1000 };

struct lab {
    struct event_base *base;
    struct connection_loop loop;
};

static inline void lab_init(struct lab *lab, const struct connection_limits *limits)
{
    const struct connection_limits standard = connection_limits_default();

    (void)signal(SIGPIPE, SIG_IGN);
    lab->base = event_base_new();
    CHECK(lab->base != NULL);
    connection_loop_init(&lab->loop, lab->base, limits != NULL ? limits : &standard);
}

/* All connections must be closed. */
static inline void lab_release(struct lab *lab)
{
    connection_loop_begin(&lab->loop);
    connection_loop_release(&lab->loop);
    event_base_free(lab->base);
}

/* One turn, as the server makes it; waits a moment for events. */
static inline void lab_turn(struct lab *lab)
{
    struct timeval wait = {.tv_usec = 2000};

    if (!connection_loop_is_pending(&lab->loop)) {
        (void)event_base_loopexit(lab->base, &wait);
        (void)event_base_loop(lab->base, EVLOOP_ONCE);
    } else {
        (void)event_base_loop(lab->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    connection_loop_begin(&lab->loop);
    connection_loop_end(&lab->loop);
}

/* Turn until `condition`, which is looked at once a turn, is so. */
#define LAB_UNTIL(lab, condition)                                                                  \
    do {                                                                                           \
        uint64_t lab_deadline_us = clock_monotonic_us() + (uint64_t)LAB_PATIENCE_MS * 1000;        \
        bool lab_is_so = (condition);                                                              \
        while (!lab_is_so && clock_monotonic_us() < lab_deadline_us) {                             \
            lab_turn(lab);                                                                         \
            lab_is_so = (condition);                                                               \
        }                                                                                          \
        test_expect(lab_is_so, __FILE__, __LINE__, #condition);                                    \
    } while (0)

static inline struct socket_address lab_loopback(uint16_t port)
{
    return (struct socket_address){.as.ipv4 = {.sin_family = AF_INET,
                                               .sin_port = htons(port),
                                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}},
                                   .size = sizeof(struct sockaddr_in)};
}

/* Two connected TCP sockets; both non-blocking. */
static inline void lab_socket_pair(int ends[2])
{
    struct socket_address address = lab_loopback(0);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(listening >= 0);
    CHECK(bind(listening, &address.as.any, address.size) == 0);
    CHECK(listen(listening, 1) == 0);
    CHECK(getsockname(listening, &address.as.any, &address.size) == 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(ends[0] >= 0);
    CHECK(connect(ends[0], &address.as.any, address.size) == 0);
    ends[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(ends[1] >= 0);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    (void)close(listening);
}

/* Send all of it, turning the loop while the socket is full. Stops when the other end closed. */
static inline void lab_write(struct lab *lab, int socket, struct bytes bytes)
{
    size_t sent = 0;

    while (sent < bytes.size) {
        ssize_t count = write(socket, bytes.data + sent, bytes.size - sent);

        if (count < 0 && errno != EAGAIN) {
            return;
        }
        sent += count > 0 ? (size_t)count : 0;
        lab_turn(lab);
    }
}

/* Append what has come; false at the end of the stream. */
static inline bool lab_read(int socket, struct buffer *to)
{
    uint8_t bytes[65536];
    ssize_t count;

    while ((count = read(socket, bytes, sizeof bytes)) > 0) {
        buffer_put(to, bytes_of(bytes, (size_t)count));
    }
    return count < 0 && errno == EAGAIN;
}

#endif
