#include "bench/bench_connection.h"

#include "base/address.h"
#include "base/clock.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024 };

bool bench_connection_open(struct bench_connection *connection, const char *text)
{
    struct address address;
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct error error;
    int one = 1;

    memset(connection, 0, sizeof *connection);
    connection->socket = -1;
    if (address_parse(text, &address, &error) != STATUS_OK ||
        inet_pton(AF_INET, address.host, &to.sin_addr) != 1) {
        (void)fprintf(stderr, "confer-bench: '%s' is not a numeric HOST:PORT\n", text);
        exit(2);
    }
    to.sin_port = htons(address.port);
    connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->socket < 0 ||
        connect(connection->socket, (struct sockaddr *)&to, sizeof to) != 0) {
        bench_connection_close(connection);
        return false;
    }
    (void)setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(connection->socket, F_SETFL, O_NONBLOCK);
    buffer_put(&connection->output, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    return true;
}

void bench_connection_close(struct bench_connection *connection)
{
    if (connection->socket >= 0) {
        (void)close(connection->socket);
    }
    connection->socket = -1;
    buffer_release(&connection->input);
    buffer_release(&connection->output);
    connection->taken = 0;
    connection->sent = 0;
}

void bench_connection_queue(struct bench_connection *connection, Client__Request *request)
{
    size_t size;
    uint8_t *frame;

    request->id = ++connection->last_id;
    size = client__request__get_packed_size(request);
    frame = buffer_extend(&connection->output, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__request__pack(request, frame + FRAME_CLIENT_HEAD_BYTES);
}

static bool is_lost(ssize_t moved)
{
    return moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR);
}

bool bench_connection_exchange(struct bench_connection *connection)
{
    ssize_t moved;

    if (connection->sent < connection->output.size) {
        moved = send(connection->socket, connection->output.data + connection->sent,
                     connection->output.size - connection->sent, MSG_NOSIGNAL);
        if (is_lost(moved)) {
            bench_connection_close(connection);
            return false;
        }
        connection->sent += moved > 0 ? (size_t)moved : 0;
        if (connection->sent == connection->output.size) {
            buffer_clear(&connection->output);
            connection->sent = 0;
        }
    }
    if (connection->taken == connection->input.size) {
        buffer_clear(&connection->input);
        connection->taken = 0;
    }
    (void)buffer_extend(&connection->input, READ_BYTES);
    connection->input.size -= READ_BYTES;
    moved =
        recv(connection->socket, connection->input.data + connection->input.size, READ_BYTES, 0);
    if (is_lost(moved)) {
        bench_connection_close(connection);
        return false;
    }
    connection->input.size += moved > 0 ? (size_t)moved : 0;
    return true;
}

Client__Response *bench_connection_take(struct bench_connection *connection)
{
    size_t left = connection->input.size - connection->taken;
    const uint8_t *frame = connection->input.data + connection->taken;
    uint32_t size;

    if (left < FRAME_CLIENT_HEAD_BYTES) {
        return NULL;
    }
    if (frame_client_head(frame, &size) != STATUS_OK) {
        (void)fprintf(stderr, "confer-bench: the server sent a malformed frame\n");
        exit(1);
    }
    if (left < FRAME_CLIENT_HEAD_BYTES + size) {
        return NULL;
    }
    connection->taken += FRAME_CLIENT_HEAD_BYTES + size;
    return client__response__unpack(NULL, size, frame + FRAME_CLIENT_HEAD_BYTES);
}

Client__Response *
bench_connection_call(struct bench_connection *connection, Client__Request *request, int timeout_ms)
{
    uint64_t deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;

    bench_connection_queue(connection, request);
    while (clock_monotonic_us() < deadline_us) {
        struct pollfd poller = {.fd = connection->socket, .events = POLLIN};
        Client__Response *response;

        if (!bench_connection_exchange(connection)) {
            return NULL;
        }
        while ((response = bench_connection_take(connection)) != NULL) {
            if (response->id == connection->last_id) {
                return response;
            }
            client__response__free_unpacked(response, NULL);
        }
        (void)poll(&poller, 1, 10);
    }
    return NULL;
}
