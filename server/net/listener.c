#include "server/net/listener.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SOCKETS_MAX = 8,
    BACKLOG = 1024,
    /* Connections taken in one turn; the others wait for the next. */
    ACCEPTS_PER_TURN = 128,
    PAUSE_MS = 500
};

struct listener {
    struct event_base *base;
    size_t count;
    int sockets[SOCKETS_MAX];
    struct event events[SOCKETS_MAX];
    /* Given up when descriptors run out, so that a waiting connection can be taken and closed
     * instead of being left to wonder. */
    int reserve;
    bool paused;
    struct event resume;
    void (*on_accept)(void *context, int socket, const struct socket_address *remote);
    void *context;
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static enum status refuse(struct error *error, const char *address, const char *what, int number)
{
    if (number == EADDRINUSE) {
        return error_set(error, STATUS_EXISTS,
                         "cannot listen on %s: another program uses this port; stop it, or choose "
                         "another port with --server or --listen",
                         address);
    }
    if (number == EADDRNOTAVAIL) {
        return error_set(error, STATUS_INVALID,
                         "cannot listen on %s: this is not an address of this machine; name one "
                         "with --listen, as --listen 0.0.0.0:PORT",
                         address);
    }
    if (number == EACCES) {
        return error_set(error, STATUS_IO,
                         "cannot listen on %s: not permitted; ports below 1024 need a privilege",
                         address);
    }
    return error_set(error, STATUS_IO, "cannot listen on %s: %s: %s", address, what,
                     strerror(number));
}

static enum status listen_on(struct listener *listener,
                             const struct socket_address *address,
                             const char *text,
                             struct error *error)
{
    int one = 1;
    int made;
    enum status status = socket_open(address, &made, error);
    int failure = 0;
    const char *what = "bind";

    if (status != STATUS_OK) {
        return status;
    }
    (void)setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->as.any.sa_family == AF_INET6) {
        /* A name that stands for both families is bound twice. */
        (void)setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (bind(made, &address->as.any, address->size) != 0) {
        failure = errno;
    } else if (listen(made, BACKLOG) != 0) {
        failure = errno;
        what = "listen";
    }
    if (failure != 0) {
        (void)close(made);
        return refuse(error, text, what, failure);
    }
    listener->sockets[listener->count++] = made;
    return STATUS_OK;
}

static enum status listen_on_all(struct listener *listener, const char *text, struct error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    struct address parsed;
    char port[8];
    int failure;
    enum status status = address_parse(text, &parsed, error);

    if (status != STATUS_OK) {
        return status;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)parsed.port);
    failure = getaddrinfo(parsed.host, port, &hints, &found);
    if (failure != 0) {
        return error_set(error, STATUS_INVALID,
                         "cannot listen on %s: %s; name an address of this machine with --listen",
                         text, gai_strerror(failure));
    }
    for (struct addrinfo *at = found;
         at != NULL && status == STATUS_OK && listener->count < SOCKETS_MAX; at = at->ai_next) {
        struct socket_address address = socket_address_of(at->ai_addr, at->ai_addrlen);

        status = listen_on(listener, &address, text, error);
    }
    freeaddrinfo(found);
    return status;
}

static void on_resume(evutil_socket_t socket, short events, void *context)
{
    struct listener *listener = context;

    (void)socket;
    (void)events;
    if (listener->reserve < 0) {
        listener->reserve = open_reserve();
    }
    for (size_t i = 0; i < listener->count; i++) {
        CHECK(event_add(&listener->events[i], NULL) == 0);
    }
}

/* No descriptor is left. With the reserve one connection can be taken and closed at once, which
 * tells its client; then nothing is accepted for a moment. Said once, until accepting works again.
 */
static void pause_accepting(struct listener *listener, int from, int number)
{
    struct timeval wait = {.tv_sec = PAUSE_MS / 1000, .tv_usec = (PAUSE_MS % 1000) * 1000};

    if (!listener->paused) {
        log_event(LOG_LEVEL_WARN, "descriptors_exhausted", "reason=%s way_out=%s",
                  log_quote(strerror(number)),
                  log_quote("raise the limit of open files (ulimit -n), or lower "
                            "--max-connections"));
        listener->paused = true;
    }
    if (listener->reserve >= 0) {
        int taken;

        (void)close(listener->reserve);
        taken = accept4(from, NULL, NULL, SOCK_CLOEXEC);
        if (taken >= 0) {
            (void)close(taken);
        }
        listener->reserve = open_reserve();
    }
    for (size_t i = 0; i < listener->count; i++) {
        (void)event_del(&listener->events[i]);
    }
    CHECK(event_add(&listener->resume, &wait) == 0);
}

static bool is_exhaustion(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

static void on_readable(evutil_socket_t socket, short events, void *context)
{
    struct listener *listener = context;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct socket_address remote = {.size = sizeof remote.as};
        int taken = accept4(socket, &remote.as.any, &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (taken < 0) {
            if (is_exhaustion(errno)) {
                pause_accepting(listener, socket, errno);
            }
            /* Other errors concern that one connection, which is gone (accept(2)). */
            return;
        }
        if (listener->paused) {
            listener->paused = false;
            log_event(LOG_LEVEL_INFO, "accepting_again", "%s", "");
        }
        listener->on_accept(listener->context, taken, &remote);
    }
}

enum status listener_open(struct event_base *base,
                          const char *address,
                          struct listener **ret_listener,
                          struct error *error)
{
    struct listener *listener = xcalloc(1, sizeof *listener);
    enum status status;

    listener->base = base;
    listener->reserve = open_reserve();
    CHECK(event_assign(&listener->resume, base, -1, 0, on_resume, listener) == 0);
    status = listen_on_all(listener, address, error);
    for (size_t i = 0; i < listener->count; i++) {
        CHECK(event_assign(&listener->events[i], base, listener->sockets[i], EV_READ | EV_PERSIST,
                           on_readable, listener) == 0);
    }
    if (status != STATUS_OK) {
        listener_close(listener);
        return status;
    }
    *ret_listener = listener;
    return STATUS_OK;
}

void listener_accept(struct listener *listener,
                     void (*on_accept)(void *context,
                                       int socket,
                                       const struct socket_address *remote),
                     void *context)
{
    listener->on_accept = on_accept;
    listener->context = context;
    for (size_t i = 0; i < listener->count; i++) {
        CHECK(event_add(&listener->events[i], NULL) == 0);
    }
}

void listener_close(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    (void)event_del(&listener->resume);
    for (size_t i = 0; i < listener->count; i++) {
        (void)event_del(&listener->events[i]);
        (void)close(listener->sockets[i]);
    }
    if (listener->reserve >= 0) {
        (void)close(listener->reserve);
    }
    free(listener);
}

bool listener_is_paused(const struct listener *listener)
{
    return listener->paused;
}

void listener_address(const struct listener *listener, char text[ADDRESS_TEXT_BYTES_MAX])
{
    struct socket_address address = {.size = sizeof address.as};

    CHECK_OP(listener->count, >, 0);
    (void)getsockname(listener->sockets[0], &address.as.any, &address.size);
    socket_address_text(&address, text);
}
