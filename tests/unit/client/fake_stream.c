#include "tests/unit/client/fake_stream.h"

#include "base/alloc.h"
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fake_stream_send(struct fake_connection *connection, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0 && connection->fd >= 0) {
        ssize_t sent = send(connection->fd, at, size, MSG_NOSIGNAL);

        if (sent < 0) {
            return; /* the reader finds out */
        }
        at += sent;
        size -= (size_t)sent;
    }
}

void fake_stream_respond(struct fake_server *server,
                         struct fake_connection *connection,
                         Client__Response *response)
{
    size_t size;
    uint8_t *frame;

    response->zxid = server->zxid;
    size = client__response__get_packed_size(response);
    frame = xmalloc(FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__response__pack(response, frame + FRAME_CLIENT_HEAD_BYTES);
    fake_stream_send(connection, frame, FRAME_CLIENT_HEAD_BYTES + size);
    free(frame);
}

void fake_stream_close(struct fake_connection *connection)
{
    if (connection->fd >= 0) {
        (void)close(connection->fd);
        connection->fd = -1;
    }
}

bool fake_stream_concerns(const struct fake_watch *watch, const struct fake_change *change)
{
    size_t bytes = strlen(watch->path);
    const char *rest;

    if (strcmp(change->path, watch->path) == 0) {
        return true;
    }
    if (strcmp(watch->path, "/") == 0) {
        bytes = 0;
    }
    if (strncmp(change->path, watch->path, bytes) != 0 || change->path[bytes] != '/') {
        return false;
    }
    rest = change->path + bytes + 1;
    return watch->recursive ||
           (strchr(rest, '/') == NULL && change->kind != CLIENT__EVENT_KIND__VALUE_SET);
}

static void send_change(struct fake_server *server,
                        struct fake_connection *connection,
                        const struct fake_watch *watch,
                        struct fake_change *change,
                        uint64_t up_to)
{
    Client__Response response = fake_response();
    Client__Events events = CLIENT__EVENTS__INIT;
    Client__Event event = CLIENT__EVENT__INIT;
    Client__Event *only = &event;

    event.zxid = change->zxid;
    event.kind = change->kind;
    event.path.data = (uint8_t *)change->path;
    event.path.len = strlen(change->path);
    event.stat = &change->stat;
    if (watch->with_values && change->kind != CLIENT__EVENT_KIND__REMOVED) {
        event.value.data = (uint8_t *)change->value;
        event.value.len = strlen(change->value);
    }
    events.watch = watch->id;
    events.n_events = 1;
    events.events = &only;
    events.up_to_zxid = up_to;
    response.body_case = CLIENT__RESPONSE__BODY_EVENTS;
    response.events = &events;
    fake_stream_respond(server, connection, &response);
}

void fake_stream_feed_one(struct fake_server *server, struct fake_connection *connection)
{
    for (size_t i = 0; i < connection->watch_count; i++) {
        struct fake_watch *watch = &connection->watches[i];

        for (; watch->next < server->change_count; watch->next++) {
            struct fake_change *change = &server->history[watch->next];
            bool is_last = watch->next + 1 == server->change_count ||
                           server->history[watch->next + 1].zxid != change->zxid;

            if (fake_stream_concerns(watch, change)) {
                send_change(server, connection, watch, change,
                            is_last ? change->zxid : change->zxid - 1);
            }
        }
    }
}

void fake_stream_feed(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i].fd >= 0 && !server->connections[i].is_silent) {
            fake_stream_feed_one(server, &server->connections[i]);
        }
    }
}

void fake_stream_end(struct fake_connection *connection, uint64_t id)
{
    for (size_t i = 0; i < connection->watch_count; i++) {
        if (connection->watches[i].id == id) {
            free(connection->watches[i].path);
            connection->watches[i] = connection->watches[--connection->watch_count];
            return;
        }
    }
}
