#include "server/net/dial.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dial {
    struct event_base *base;
    struct resolver_query *query; /* while the name is looked up */
    struct resolver_answer found;
    size_t next; /* address to try */
    int socket;  /* connecting; -1 = none */
    struct event connected;
    struct event timer; /* first: report a failure at once; else: the deadline of this try */
    uint64_t deadline_us;
    struct error error;
    void (*done)(void *context,
                 int socket,
                 const struct socket_address *remote,
                 const char *reason);
    void *context;
};

static void dial_free(struct dial *dial)
{
    if (dial->socket >= 0) {
        (void)event_del(&dial->connected);
        (void)close(dial->socket);
    }
    (void)event_del(&dial->timer);
    free(dial);
}

static void fail(struct dial *dial)
{
    dial->done(dial->context, -1, NULL, dial->error.text);
    dial_free(dial);
}

static void set_timer(struct dial *dial, uint64_t wait_us)
{
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};

    CHECK(event_add(&dial->timer, &wait) == 0);
}

/* A socket that dials a free port of its own machine can meet itself. */
static bool is_itself(int socket)
{
    struct sockaddr_storage here;
    struct sockaddr_storage there;
    socklen_t here_bytes = sizeof here;
    socklen_t there_bytes = sizeof there;

    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    return getsockname(socket, (struct sockaddr *)&here, &here_bytes) == 0 &&
           getpeername(socket, (struct sockaddr *)&there, &there_bytes) == 0 &&
           here_bytes == there_bytes && memcmp(&here, &there, here_bytes) == 0;
}

static void note_failure(struct dial *dial, int number)
{
    char text[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(&dial->found.addresses[dial->next - 1], text);
    (void)error_set(&dial->error, STATUS_UNAVAILABLE, "cannot connect to %s: %s", text,
                    strerror(number));
}

static void drop_socket(struct dial *dial)
{
    (void)event_del(&dial->connected);
    (void)close(dial->socket);
    dial->socket = -1;
}

static void on_connected(evutil_socket_t socket, short events, void *context);

/* Begin with one address; 0, or why not. */
static int try_address(struct dial *dial, const struct socket_address *address)
{
    int made;

    if (socket_open(address, &made, NULL) != STATUS_OK) {
        return errno;
    }
    if (connect(made, &address->as.any, address->size) != 0 && errno != EINPROGRESS) {
        int number = errno;

        (void)close(made);
        return number;
    }
    dial->socket = made;
    CHECK(event_assign(&dial->connected, dial->base, made, EV_WRITE, on_connected, dial) == 0);
    CHECK(event_add(&dial->connected, NULL) == 0);
    return 0;
}

/* Go on with the next address; the time left is shared between those that remain. Ends the dial
 * when none is left. */
static void try_next(struct dial *dial)
{
    while (dial->next < dial->found.count) {
        uint64_t now_us = clock_monotonic_us();
        uint64_t left_us = dial->deadline_us > now_us ? dial->deadline_us - now_us : 0;
        size_t remaining = dial->found.count - dial->next;
        int failure;

        if (left_us == 0) {
            break;
        }
        failure = try_address(dial, &dial->found.addresses[dial->next++]);
        if (failure == 0) {
            set_timer(dial, left_us / remaining);
            return;
        }
        note_failure(dial, failure);
    }
    fail(dial);
}

static void on_connected(evutil_socket_t socket, short events, void *context)
{
    struct dial *dial = context;
    int failure = 0;
    socklen_t size = sizeof failure;

    (void)events;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) {
        failure = errno;
    }
    if (failure == 0 && is_itself(socket)) {
        failure = ECONNREFUSED;
    }
    if (failure != 0) {
        note_failure(dial, failure);
        drop_socket(dial);
        try_next(dial);
        return;
    }
    (void)event_del(&dial->connected);
    dial->socket = -1;
    dial->done(dial->context, socket, &dial->found.addresses[dial->next - 1], NULL);
    dial_free(dial);
}

static void on_timer(evutil_socket_t socket, short events, void *context)
{
    struct dial *dial = context;

    (void)socket;
    (void)events;
    if (dial->query != NULL) {
        resolver_cancel(dial->query);
        (void)error_set(&dial->error, STATUS_TIMEOUT, "looking up the host took too long");
        fail(dial);
        return;
    }
    if (dial->socket >= 0) {
        note_failure(dial, ETIMEDOUT);
        drop_socket(dial);
    }
    if (dial->error.status == STATUS_INVALID) {
        fail(dial);
        return;
    }
    try_next(dial);
}

static void on_resolved(void *context, const struct resolver_answer *answer)
{
    struct dial *dial = context;

    dial->query = NULL;
    dial->found = *answer;
    dial->error = answer->error;
    (void)event_del(&dial->timer);
    try_next(dial);
}

struct dial *dial_start(struct event_base *base,
                        struct resolver *resolver,
                        const char *address,
                        unsigned timeout_ms,
                        void (*done)(void *context,
                                     int socket,
                                     const struct socket_address *remote,
                                     const char *reason),
                        void *context)
{
    struct dial *dial = xcalloc(1, sizeof *dial);
    struct address parsed;

    dial->base = base;
    dial->socket = -1;
    dial->done = done;
    dial->context = context;
    dial->deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    CHECK(event_assign(&dial->timer, base, -1, 0, on_timer, dial) == 0);
    if (address_parse(address, &parsed, &dial->error) != STATUS_OK) {
        set_timer(dial, 0);
    } else if (socket_address_numeric(&parsed, &dial->found.addresses[0])) {
        /* The first try waits for the loop too, so that `done` is never called from here. */
        dial->found.count = 1;
        set_timer(dial, 0);
    } else {
        dial->query = resolver_ask(resolver, &parsed, on_resolved, dial);
        set_timer(dial, (uint64_t)timeout_ms * 1000);
    }
    return dial;
}

void dial_cancel(struct dial *dial)
{
    if (dial == NULL) {
        return;
    }
    if (dial->query != NULL) {
        resolver_cancel(dial->query);
    }
    dial_free(dial);
}
