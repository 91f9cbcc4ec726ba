#include "tests/unit/client/fake_server.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/frame.h"
#include "tests/unit/client/fake_requests.h"
#include "tests/unit/client/fake_stream.h"
#include "tests/unit/client/fake_tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

Client__Response fake_response(void)
{
    Client__Response response;

    client__response__init(&response);
    return response;
}

static void wake(struct fake_server *server)
{
    uint64_t one = 1;

    CHECK(write(server->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

static void decide(struct fake_server *server,
                   struct fake_connection *connection,
                   const Client__Request *request)
{
    static const uint8_t garbage[] = {0, 0, 0, 3, 0xff, 0xff, 0xff};
    struct fake_verdict verdict = {.fate = FAKE_SERVE};
    Client__Response response = fake_response();

    if (server->plan != NULL) {
        verdict = server->plan(server->context, connection->port, request);
    }
    response.id = request->id;
    switch (verdict.fate) {
    case FAKE_DROP_BEFORE:
        fake_stream_close(connection);
        return;
    case FAKE_REFUSE:
    case FAKE_UNKNOWN_BEFORE:
        response.code = verdict.fate == FAKE_REFUSE ? verdict.code : CLIENT__CODE__UNKNOWN_OUTCOME;
        fake_stream_respond(server, connection, &response);
        return;
    case FAKE_SILENT:
        connection->is_silent = true;
        return;
    case FAKE_GARBAGE:
        fake_stream_send(connection, garbage, sizeof garbage);
        return;
    case FAKE_SERVE:
    case FAKE_DROP_AFTER:
    case FAKE_UNKNOWN_AFTER:
        fake_requests_serve(server, connection, request, verdict.fate);
        return;
    }
}

static void take_input(struct fake_server *server, struct fake_connection *connection)
{
    size_t used = 0;

    if (!connection->is_greeted) {
        if (connection->input.size < FRAME_PREFACE_BYTES) {
            return;
        }
        CHECK(memcmp(connection->input.data, frame_client_preface, FRAME_PREFACE_BYTES) == 0);
        connection->is_greeted = true;
        used = FRAME_PREFACE_BYTES;
    }
    while (connection->fd >= 0 && !connection->is_silent) {
        const uint8_t *at = connection->input.data + used;
        size_t rest = connection->input.size - used;
        uint32_t body_bytes;
        Client__Request *request;

        if (rest < FRAME_CLIENT_HEAD_BYTES) {
            break;
        }
        CHECK(frame_client_head(at, &body_bytes) == STATUS_OK);
        if (rest - FRAME_CLIENT_HEAD_BYTES < body_bytes) {
            break;
        }
        request = client__request__unpack(NULL, body_bytes, at + FRAME_CLIENT_HEAD_BYTES);
        CHECK(request != NULL && request->id != 0);
        CHECK(request->seen_zxid <= server->zxid);
        decide(server, connection, request);
        client__request__free_unpacked(request, NULL);
        used += FRAME_CLIENT_HEAD_BYTES + body_bytes;
    }
    memmove(connection->input.data, connection->input.data + used, connection->input.size - used);
    connection->input.size -= used;
}

static void read_connection(struct fake_server *server, struct fake_connection *connection)
{
    uint8_t *room = buffer_extend(&connection->input, 65536);
    ssize_t got = recv(connection->fd, room, 65536, MSG_DONTWAIT);

    connection->input.size -= 65536 - (got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        fake_stream_close(connection);
        return;
    }
    take_input(server, connection);
}

static void free_connection(struct fake_connection *connection)
{
    fake_stream_close(connection);
    buffer_release(&connection->input);
    for (size_t i = 0; i < connection->watch_count; i++) {
        free(connection->watches[i].path);
    }
}

static void sweep(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count;) {
        if (server->connections[i].fd < 0) {
            free_connection(&server->connections[i]);
            server->connections[i] = server->connections[--server->connection_count];
        } else {
            i++;
        }
    }
}

static void accept_one(struct fake_server *server, size_t port)
{
    int fd = accept4(server->listeners[port], NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0 && server->is_shut[port]) {
        (void)close(fd);
    } else if (fd >= 0) {
        CHECK_OP(server->connection_count, <, FAKE_CONNECTIONS_MAX);
        server->connections[server->connection_count++] =
            (struct fake_connection){.fd = fd, .port = port};
    }
}

static void *run(void *argument)
{
    struct fake_server *server = argument;

    (void)pthread_mutex_lock(&server->mutex);
    while (!server->is_stopping) {
        struct pollfd files[1 + FAKE_PORTS_MAX + FAKE_CONNECTIONS_MAX];
        size_t count = server->connection_count;
        uint64_t woken;

        files[0] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
        for (size_t i = 0; i < server->port_count; i++) {
            files[1 + i] = (struct pollfd){.fd = server->listeners[i], .events = POLLIN};
        }
        for (size_t i = 0; i < count; i++) {
            files[1 + server->port_count + i] =
                (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        }
        (void)pthread_mutex_unlock(&server->mutex);
        (void)poll(files, 1 + server->port_count + count, -1);
        (void)pthread_mutex_lock(&server->mutex);
        if (files[0].revents != 0) {
            (void)!read(server->wake_fd, &woken, sizeof woken);
        }
        for (size_t i = 0; i < count; i++) {
            if (files[1 + server->port_count + i].revents != 0 && server->connections[i].fd >= 0) {
                read_connection(server, &server->connections[i]);
            }
        }
        sweep(server);
        for (size_t i = 0; i < server->port_count; i++) {
            if (files[1 + i].revents != 0) {
                accept_one(server, i);
            }
        }
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return NULL;
}

static void listen_on(struct fake_server *server, size_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t used;

    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&address, bytes) == 0);
    CHECK(listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    server->listeners[port] = fd;
    (void)snprintf(server->addresses[port], sizeof server->addresses[port], "127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    used = strlen(server->all_addresses);
    (void)snprintf(server->all_addresses + used, sizeof server->all_addresses - used, "%s%s",
                   port > 0 ? "," : "", server->addresses[port]);
}

struct fake_server *fake_server_start(size_t port_count, fake_plan plan, void *context)
{
    struct fake_server *server = xcalloc(1, sizeof *server);

    server->port_count = port_count;
    server->plan = plan;
    server->context = context;
    server->zxid = 100;
    (void)fake_tree_put(server, "/", "", 0);
    server->oldest_zxid = server->zxid;
    (void)pthread_mutex_init(&server->mutex, NULL);
    server->wake_fd = eventfd(0, EFD_CLOEXEC);
    for (size_t i = 0; i < port_count; i++) {
        listen_on(server, i);
    }
    CHECK(pthread_create(&server->thread, NULL, run, server) == 0);
    return server;
}

static void lock(struct fake_server *server)
{
    (void)pthread_mutex_lock(&server->mutex);
}

static void unlock(struct fake_server *server)
{
    (void)pthread_mutex_unlock(&server->mutex);
}

void fake_server_stop(struct fake_server *server)
{
    lock(server);
    server->is_stopping = true;
    unlock(server);
    wake(server);
    (void)pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->connection_count; i++) {
        free_connection(&server->connections[i]);
    }
    for (size_t i = 0; i < server->port_count; i++) {
        (void)close(server->listeners[i]);
    }
    for (size_t i = 0; i < server->node_count; i++) {
        free(server->nodes[i].path);
        free(server->nodes[i].value);
    }
    for (size_t i = 0; i < server->change_count; i++) {
        free(server->history[i].path);
        free(server->history[i].value);
    }
    for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
        for (size_t k = 0; k < FAKE_KEPT_MAX; k++) {
            free(server->sessions[i].kept[k].path);
        }
    }
    free(server->nodes);
    free(server->history);
    free(server->page_path);
    (void)close(server->wake_fd);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}

const char *fake_server_addresses(const struct fake_server *server)
{
    return server->all_addresses;
}

const char *fake_server_address(const struct fake_server *server, size_t port)
{
    return server->addresses[port];
}

static void disconnect(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i].fd >= 0) {
            (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
}

void fake_server_disconnect(struct fake_server *server)
{
    lock(server);
    disconnect(server);
    unlock(server);
}

void fake_server_shut(struct fake_server *server, size_t port, bool shut)
{
    lock(server);
    server->is_shut[port] = shut;
    for (size_t i = 0; shut && i < server->connection_count; i++) {
        if (server->connections[i].port == port && server->connections[i].fd >= 0) {
            (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
    unlock(server);
}

uint64_t fake_server_set(struct fake_server *server, const char *path, const char *value)
{
    uint64_t zxid;

    lock(server);
    zxid = ++server->zxid;
    (void)fake_tree_put(server, path, value, strlen(value));
    fake_stream_feed(server);
    unlock(server);
    return zxid;
}

uint64_t fake_server_remove(struct fake_server *server, const char *path)
{
    uint64_t zxid;

    lock(server);
    zxid = ++server->zxid;
    (void)fake_tree_take_out(server, path);
    fake_stream_feed(server);
    unlock(server);
    return zxid;
}

void fake_server_hide(struct fake_server *server, const char *path)
{
    lock(server);
    for (size_t i = 0; i < server->node_count; i++) {
        if (strcmp(server->nodes[i].path, path) == 0) {
            server->nodes[i].hidden = true;
        }
    }
    unlock(server);
}

void fake_server_compact(struct fake_server *server)
{
    lock(server);
    server->oldest_zxid = server->zxid;
    unlock(server);
}

void fake_server_lose(struct fake_server *server)
{
    lock(server);
    for (size_t i = 0; i < server->connection_count; i++) {
        struct fake_connection *connection = &server->connections[i];

        while (connection->watch_count > 0) {
            Client__Response response = fake_response();
            Client__Events events = CLIENT__EVENTS__INIT;

            events.watch = connection->watches[0].id;
            events.lost = true;
            response.body_case = CLIENT__RESPONSE__BODY_EVENTS;
            response.events = &events;
            fake_stream_end(connection, events.watch);
            fake_stream_respond(server, connection, &response);
        }
    }
    unlock(server);
}

void fake_server_set_paging(struct fake_server *server, size_t nodes, const char *path)
{
    lock(server);
    server->page_nodes = nodes;
    free(server->page_path);
    server->page_path = path == NULL ? NULL : xstrdup(path);
    unlock(server);
}

void fake_server_expire_sessions(struct fake_server *server)
{
    lock(server);
    for (size_t i = 0; i < server->session_count; i++) {
        server->sessions[i].is_alive = false;
    }
    unlock(server);
}

void fake_server_notice(struct fake_server *server, Client__NoticeKind kind, Client__Code code)
{
    lock(server);
    for (size_t i = 0; i < server->connection_count; i++) {
        Client__Response response = fake_response();
        Client__Notice notice = CLIENT__NOTICE__INIT;

        notice.kind = kind;
        notice.code = code;
        response.body_case = CLIENT__RESPONSE__BODY_NOTICE;
        response.notice = &notice;
        fake_stream_respond(server, &server->connections[i], &response);
    }
    unlock(server);
}

uint64_t fake_server_zxid(struct fake_server *server)
{
    uint64_t zxid;

    lock(server);
    zxid = server->zxid;
    unlock(server);
    return zxid;
}

uint64_t fake_server_applied(struct fake_server *server)
{
    uint64_t applied;

    lock(server);
    applied = server->applied;
    unlock(server);
    return applied;
}

size_t fake_server_connections(struct fake_server *server)
{
    size_t count;

    lock(server);
    count = server->connection_count;
    unlock(server);
    return count;
}

size_t fake_server_sessions(struct fake_server *server)
{
    size_t count = 0;

    lock(server);
    for (size_t i = 0; i < server->session_count; i++) {
        count += server->sessions[i].is_alive ? 1 : 0;
    }
    unlock(server);
    return count;
}

char *fake_server_value(struct fake_server *server, const char *path)
{
    struct fake_node *node;
    char *value;

    lock(server);
    node = fake_tree_find(server, path);
    value = node == NULL || !node->exists ? NULL : xstrdup(node->value);
    unlock(server);
    return value;
}
