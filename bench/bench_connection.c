#include "bench/bench_connection.h"

#include "base/address.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
    if (connection->codec != NULL) {
        connection->codec_free(connection->codec);
    }
    connection->codec = NULL;
    connection->taken = 0;
    connection->sent = 0;
}

static bool is_lost(ssize_t moved)
{
    return moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR);
}

bool bench_connection_send(struct bench_connection *connection)
{
    ssize_t moved;

    if (connection->sent == connection->output.size) {
        return true;
    }
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
    return true;
}

bool bench_connection_receive(struct bench_connection *connection)
{
    ssize_t moved;

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

bool bench_connection_take(struct bench_connection *connection, struct bytes *ret_frame)
{
    size_t left = connection->input.size - connection->taken;
    const uint8_t *frame = connection->input.data + connection->taken;
    uint32_t size;

    if (left < FRAME_CLIENT_HEAD_BYTES) {
        return false;
    }
    if (frame_client_head(frame, &size) != STATUS_OK) {
        (void)fprintf(stderr, "confer-bench: the server sent a malformed frame\n");
        exit(1);
    }
    if (left < FRAME_CLIENT_HEAD_BYTES + size) {
        return false;
    }
    connection->taken += FRAME_CLIENT_HEAD_BYTES + size;
    *ret_frame = bytes_of(frame + FRAME_CLIENT_HEAD_BYTES, size);
    return true;
}
