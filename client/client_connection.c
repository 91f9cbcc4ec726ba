#include "client/client_connection.h"

#include "proto/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    /* One event reads no more than this, so that timers and other events get their turn. */
    READ_BYTES_PER_EVENT = 1024 * 1024,
    /* A larger idle buffer is given back. */
    IDLE_BUFFER_BYTES_MAX = 1024 * 1024
};

static void reason_of(int error, char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX])
{
    char text[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    (void)snprintf(reason, CLIENT_RESOLVER_TEXT_BYTES_MAX, "%s",
                   error == ENOMEM ? "out of memory" : strerror_r(error, text, sizeof text));
}

void client_connection_init(struct client_connection *connection,
                            struct event_base *base,
                            const struct client_connection_callbacks *callbacks)
{
    *connection = (struct client_connection){.callbacks = *callbacks, .base = base, .fd = -1};
}

void client_connection_release(struct client_connection *connection)
{
    client_connection_close(connection);
    client_buffer_release(&connection->input);
    client_buffer_release(&connection->output);
}

void client_connection_close(struct client_connection *connection)
{
    if (connection->fd < 0) {
        return;
    }
    (void)event_del(&connection->readable);
    (void)event_del(&connection->writable);
    (void)close(connection->fd);
    connection->fd = -1;
    connection->wants_write = false;
    client_buffer_clear(&connection->input);
    client_buffer_clear(&connection->output);
}

static void lose(struct client_connection *connection, const char *reason)
{
    client_connection_close(connection);
    connection->callbacks.on_lost(connection->callbacks.context, reason);
}

/* --- Reading --- */

/* Give the whole frames in the input to the handle. False: the connection is closed now. */
static bool take_frames(struct client_connection *connection)
{
    for (;;) {
        struct bytes input = client_buffer_lend(&connection->input);
        uint32_t body_bytes;

        if (input.size < FRAME_CLIENT_HEAD_BYTES) {
            return true;
        }
        if (frame_client_head(input.data, &body_bytes) != STATUS_OK) {
            lose(connection, "the server sent a frame of impossible length");
            return false;
        }
        if (input.size - FRAME_CLIENT_HEAD_BYTES < body_bytes) {
            return true;
        }
        connection->callbacks.on_frame(connection->callbacks.context,
                                       bytes_of(input.data + FRAME_CLIENT_HEAD_BYTES, body_bytes));
        if (connection->fd < 0) {
            return false;
        }
        client_buffer_consume(&connection->input, FRAME_CLIENT_HEAD_BYTES + (size_t)body_bytes);
    }
}

static void trim(struct client_buffer *buffer)
{
    if (buffer->size == 0 && buffer->capacity > IDLE_BUFFER_BYTES_MAX) {
        client_buffer_release(buffer);
    }
}

/* The buffer grows with what arrived, never by what a length field promises. */
static void read_all(struct client_connection *connection)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    for (size_t total = 0; total < READ_BYTES_PER_EVENT;) {
        uint8_t *room = client_buffer_reserve(&connection->input, READ_BYTES);
        ssize_t got;

        if (room == NULL) {
            lose(connection, "out of memory");
            return;
        }
        got = recv(connection->fd, room, READ_BYTES, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (got < 0) {
            reason_of(errno, reason);
            lose(connection, reason);
            return;
        }
        if (got == 0) {
            lose(connection, "the server closed the connection");
            return;
        }
        client_buffer_filled(&connection->input, (size_t)got);
        connection->received_bytes += (uint64_t)got;
        total += (size_t)got;
        if (!take_frames(connection)) {
            return;
        }
    }
    trim(&connection->input);
}

/* --- Writing --- */

static bool want_write(struct client_connection *connection, bool wants)
{
    if (wants == connection->wants_write) {
        return true;
    }
    connection->wants_write = wants;
    return (wants ? event_add(&connection->writable, NULL) : event_del(&connection->writable)) == 0;
}

bool client_connection_flush(struct client_connection *connection,
                             char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX])
{
    if (connection->fd < 0 || connection->is_connecting) {
        return true;
    }
    while (connection->output.size > 0) {
        struct bytes output = client_buffer_lend(&connection->output);
        ssize_t sent = send(connection->fd, output.data, output.size, MSG_NOSIGNAL);

        if (sent >= 0) {
            client_buffer_consume(&connection->output, (size_t)sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            reason_of(errno, reason);
            client_connection_close(connection);
            return false;
        }
    }
    trim(&connection->output);
    if (!want_write(connection, connection->output.size > 0)) {
        reason_of(ENOMEM, reason);
        client_connection_close(connection);
        return false;
    }
    return true;
}

static void finish_connect(struct client_connection *connection)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];
    int error = 0;
    socklen_t bytes = sizeof error;

    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
        error = errno;
    }
    if (error != 0) {
        reason_of(error, reason);
        lose(connection, reason);
        return;
    }
    connection->is_connecting = false;
    if (!want_write(connection, false) || event_add(&connection->readable, NULL) != 0) {
        lose(connection, "out of memory");
        return;
    }
    connection->callbacks.on_open(connection->callbacks.context);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct client_connection *connection = argument;

    (void)fd;
    (void)what;
    read_all(connection);
    connection->callbacks.on_settle(connection->callbacks.context);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    struct client_connection *connection = argument;
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    (void)fd;
    (void)what;
    if (connection->is_connecting) {
        finish_connect(connection);
    } else if (!client_connection_flush(connection, reason)) {
        connection->callbacks.on_lost(connection->callbacks.context, reason);
    }
    connection->callbacks.on_settle(connection->callbacks.context);
}

/* --- Connecting --- */

/* Best effort: without them the connection works, a dead peer is only found later. */
static void set_options(int fd, unsigned silence_ms)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
}

bool client_connection_open(struct client_connection *connection,
                            const struct sockaddr_storage *address,
                            socklen_t address_bytes,
                            unsigned silence_ms,
                            char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX])
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        reason_of(errno, reason);
        return false;
    }
    set_options(fd, silence_ms);
    if (connect(fd, (const struct sockaddr *)address, address_bytes) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        reason_of(errno, reason);
        (void)close(fd);
        return false;
    }
    connection->fd = fd;
    connection->is_connecting = true;
    connection->wants_write = false;
    connection->received_bytes = 0;
    (void)event_assign(&connection->readable, connection->base, fd, EV_READ | EV_PERSIST,
                       on_readable, connection);
    (void)event_assign(&connection->writable, connection->base, fd, EV_WRITE | EV_PERSIST,
                       on_writable, connection);
    if (!want_write(connection, true)) {
        reason_of(ENOMEM, reason);
        client_connection_close(connection);
        return false;
    }
    return true;
}
