#include "server/net/connection_internal.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void connection_account_output(struct connection *connection)
{
    if (connection_is_client(connection)) {
        holding_set(&connection->output_held, evbuffer_get_length(connection->output));
    }
}

static void relieve_output(struct connection_loop *loop)
{
    while (holdings_are_too_much(&loop->output)) {
        struct connection *largest =
            CONTAINER_OF(holdings_largest(&loop->output), struct connection, output_held);

        connection_refuse(largest, "the output of all connections together is at its limit");
    }
}

static void on_output_empty(struct connection *connection)
{
    connection->stall_deadline_us = 0;
    connection_disarm_writing(connection);
    if ((connection->state == CONNECTION_DRAINING || connection->retiring) && !connection->shut) {
        connection->shut = true;
        if (shutdown(connection->socket, SHUT_WR) != 0) {
            connection_fail(connection, "cannot end the stream", errno);
        }
    }
}

static void wait_until_writable(struct connection *connection)
{
    if (connection->write_event == NULL) {
        connection->write_event =
            event_new(connection->loop->base, connection->socket, EV_WRITE | EV_PERSIST,
                      connection_on_writable, connection);
        CHECK(connection->write_event != NULL);
        CHECK(event_add(connection->write_event, NULL) == 0);
    }
}

/* By what waits, not by what was written last: a visit writes all that is little. */
static void enter_writers(struct connection *connection)
{
    bool is_heavy = evbuffer_get_length(connection->output) > CONNECTION_FIRST_BYTES;

    if (is_heavy != connection->writing.is_heavy) {
        list_remove(&connection->writing.link);
        connection->writing.is_heavy = is_heavy;
    }
    round_robin_enter(&connection->loop->writers, &connection->writing);
}

/* A single answer, or an event, lies in one piece and is sent as one: writev(2) takes 0.3 us more
 * of the 3.7 us that it costs to send a little. */
static ssize_t write_atmost(struct connection *connection, size_t most)
{
    struct evbuffer_iovec first;
    ssize_t sent;

    if (evbuffer_peek(connection->output, (ev_ssize_t)most, NULL, &first, 1) != 1) {
        return evbuffer_write_atmost(connection->output, connection->socket, (ev_ssize_t)most);
    }
    sent = send(connection->socket, first.iov_base, most < first.iov_len ? most : first.iov_len,
                MSG_NOSIGNAL);
    if (sent > 0) {
        CHECK(evbuffer_drain(connection->output, (size_t)sent) == 0);
    }
    return sent;
}

/* What the socket takes, and of a client no more than a visit allows. */
void connection_write(struct connection *connection)
{
    size_t size = evbuffer_get_length(connection->output);
    bool is_share = connection_is_client(connection) && size > CONNECTION_VISIT_BYTES;
    size_t most = is_share ? (size_t)CONNECTION_VISIT_BYTES : size;
    ssize_t written = most == 0 ? 0 : write_atmost(connection, most);

    if (written < 0 && errno != EAGAIN && errno != EINTR) {
        connection_fail(connection, "cannot write", errno);
        return;
    }
    connection_account_output(connection);
    connection->behind = evbuffer_get_length(connection->output) > 0;
    if (!connection->behind) {
        on_output_empty(connection);
        return;
    }
    if (written > 0 || connection->stall_deadline_us == 0) {
        connection->stall_deadline_us = connection_after_ms(connection->loop->limits.stall_ms);
        connection_note_deadline(connection);
    }
    if (is_share && written == (ssize_t)most) {
        enter_writers(connection);
    } else {
        wait_until_writable(connection);
    }
}

/* The same, and the owner is told when output that had to wait is gone. */
void connection_write_visit(struct connection *connection)
{
    bool was_behind = connection->behind;

    connection_write(connection);
    if (was_behind && !connection->behind && connection->state < CONNECTION_DRAINING &&
        connection->handler->on_drained != NULL) {
        connection->handler->on_drained(connection->context, connection);
    }
}

void connection_mark_dirty(struct connection *connection)
{
    if (connection_is_client(connection) && connection->write_event == NULL) {
        enter_writers(connection);
    } else if (!connection_is_client(connection) &&
               (connection->is_late || list_is_empty(&connection->link))) {
        list_remove(&connection->link);
        list_append(&connection->loop->dirty, &connection->link);
        connection->is_late = false;
    }
}

/* What was just put into the output is all that there is, and may wait for clients. */
static void put_off(struct connection *connection)
{
    list_remove(&connection->link);
    list_append(&connection->loop->late, &connection->link);
    connection->is_late = true;
}

void connection_on_writable(evutil_socket_t socket, short events, void *context)
{
    struct connection *connection = context;

    (void)socket;
    (void)events;
    if (connection_is_client(connection)) {
        enter_writers(connection);
    } else {
        connection_write_visit(connection);
    }
}

uint8_t *connection_reserve(struct connection *connection, size_t size)
{
    int parts;

    if (!connection_can_send(connection)) {
        buffer_clear(&connection->nowhere);
        return buffer_extend(&connection->nowhere, size > 0 ? size : 1);
    }
    parts = evbuffer_reserve_space(connection->output, (ev_ssize_t)size, &connection->reserved, 1);
    CHECK(parts == 1);
    CHECK_OP(connection->reserved.iov_len, >=, size);
    return connection->reserved.iov_base;
}

static void on_output_grown(struct connection *connection)
{
    struct connection_loop *loop = connection->loop;

    connection_account_output(connection);
    connection_mark_dirty(connection);
    if (evbuffer_get_length(connection->output) > loop->limits.output_bytes_max) {
        connection_refuse(connection, "the other side reads too slowly: output limit reached");
    }
    relieve_output(loop);
}

void connection_commit(struct connection *connection, size_t size)
{
    if (!connection_can_send(connection)) {
        return;
    }
    CHECK_OP(size, <=, connection->reserved.iov_len);
    connection->reserved.iov_len = size;
    CHECK(evbuffer_commit_space(connection->output, &connection->reserved, 1) == 0);
    connection->reserved.iov_len = 0;
    on_output_grown(connection);
}

void connection_send(struct connection *connection, struct bytes bytes)
{
    memcpy(connection_reserve(connection, bytes.size), bytes.data, bytes.size);
    connection_commit(connection, bytes.size);
}

void connection_send_lent(struct connection *connection,
                          struct bytes bytes,
                          void (*release)(const void *data, size_t size, void *owner),
                          void *owner)
{
    if (!connection_can_send(connection)) {
        release(bytes.data, bytes.size, owner);
        return;
    }
    CHECK(evbuffer_add_reference(connection->output, bytes.data, bytes.size, release, owner) == 0);
    on_output_grown(connection);
}

void connection_set_seals(struct connection *connection, struct seal *sent, struct seal *came)
{
    CHECK(connection->sent_seal == NULL && connection->came_seal == NULL);
    connection->sent_seal = sent;
    connection->came_seal = came;
}

void connection_send_peer_frame(struct connection *connection, struct bytes body, bool is_late)
{
    bool is_alone = connection->is_late || list_is_empty(&connection->link);
    uint8_t *to = connection_reserve(connection, FRAME_PEER_HEAD_BYTES + body.size);

    frame_peer_put_head(to, body.size, seal_next(connection->sent_seal, body));
    memcpy(to + FRAME_PEER_HEAD_BYTES, body.data, body.size);
    connection_commit(connection, FRAME_PEER_HEAD_BYTES + body.size);
    if (is_late && is_alone && connection_can_send(connection)) {
        put_off(connection);
    }
}

size_t connection_output_bytes(const struct connection *connection)
{
    return evbuffer_get_length(connection->output);
}
