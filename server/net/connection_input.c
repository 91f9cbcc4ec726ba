#include "server/net/connection_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FRAMES_A_LOOK = 16,
    /* A read into a frame under way takes at most as many bytes as it has, or this many. */
    INPUT_GROWTH_BYTES_MIN = 64 * 1024
};

static void account_input(struct connection *connection)
{
    if (connection_is_client(connection)) {
        holding_set(&connection->input_held, connection->input.capacity);
    }
}

static void relieve_input(struct connection_loop *loop)
{
    while (holdings_are_too_much(&loop->input)) {
        struct connection *largest =
            CONTAINER_OF(holdings_largest(&loop->input), struct connection, input_held);

        connection_refuse(largest, "the requests of all connections together are at their limit");
        /* Its memory is freed when the turn gets to it. */
        holding_set(&largest->input_held, 0);
    }
}

/* --- Frames out of bytes --- */

/* False while the protocol is not known, or when there is none. */
static bool cut_preface(struct connection *connection, struct bytes bytes, size_t *ret_used)
{
    enum frame_protocol protocol = frame_detect(bytes);

    if (protocol == FRAME_PROTOCOL_UNDECIDED) {
        return false;
    }
    if (protocol == FRAME_PROTOCOL_UNKNOWN) {
        connection_refuse(connection, "the first bytes are of no known protocol");
        return false;
    }
    connection->handler->on_preface(connection->context, connection, protocol);
    CHECK(connection->state != CONNECTION_PREFACE);
    *ret_used = frame_preface_bytes(protocol);
    return true;
}

static size_t head_bytes(const struct connection *connection)
{
    switch (connection->protocol) {
    case FRAME_PROTOCOL_PEER:
        return FRAME_PEER_HEAD_BYTES;
    case FRAME_PROTOCOL_WORD:
        return 0;
    case FRAME_PROTOCOL_CLIENT:
    case FRAME_PROTOCOL_ZOOKEEPER:
    case FRAME_PROTOCOL_UNDECIDED:
    case FRAME_PROTOCOL_UNKNOWN:
    default:
        return FRAME_CLIENT_HEAD_BYTES;
    }
}

/* The body's size by a whole head; false if it is not a legal one. */
static bool read_head(const struct connection *connection,
                      const uint8_t *head,
                      uint32_t *ret_body_bytes,
                      uint64_t *ret_seal)
{
    enum status status = STATUS_OK;

    if (connection->protocol == FRAME_PROTOCOL_PEER) {
        status = frame_peer_head(head, ret_body_bytes, ret_seal);
    } else if (connection->protocol == FRAME_PROTOCOL_WORD) {
        *ret_body_bytes = FRAME_WORD_BYTES;
    } else {
        status = frame_client_head(head, ret_body_bytes);
    }
    return status == STATUS_OK && *ret_body_bytes <= connection->frame_bytes_max;
}

static size_t cut_frame(struct connection *connection, struct bytes bytes)
{
    size_t head = head_bytes(connection);
    uint32_t body_bytes = 0;
    uint64_t seal = 0;
    struct bytes body;

    if (bytes.size < head) {
        return 0;
    }
    if (!read_head(connection, bytes.data, &body_bytes, &seal)) {
        connection_refuse(connection, "a frame's length is zero or above the limit");
        return 0;
    }
    if (bytes.size - head < body_bytes) {
        return 0;
    }
    body = bytes_of(bytes.data + head, body_bytes);
    if (connection->protocol == FRAME_PROTOCOL_PEER &&
        !seal_holds(connection->came_seal, body, seal)) {
        connection_refuse(connection, "a frame is not what the peer sent: its seal is wrong");
        return 0;
    }
    connection->handler->on_frame(connection->context, connection, body);
    return head + body_bytes;
}

/* Links to servers, handshakes with them included, have no share. */
static bool has_share(const struct connection *connection)
{
    return connection_is_client(connection) || connection->state == CONNECTION_PREFACE;
}

static size_t frames_of_visit(const struct connection *connection)
{
    return connection->reading.is_heavy ? (size_t)CONNECTION_VISIT_FRAMES
                                        : (size_t)CONNECTION_FIRST_FRAMES;
}

/* The clock costs more than a small frame: it is not looked at for each. Nor before the first: time
 * that has passed there went to others, and the visit would end with nothing. */
static bool visit_is_over(const struct connection *connection)
{
    size_t taken = frames_of_visit(connection) - connection->frames_left;

    return connection_is_client(connection) &&
           (connection->frames_left == 0 ||
            (taken > 0 && taken % FRAMES_A_LOOK == 0 &&
             clock_monotonic_us() - connection->visit_us > CONNECTION_VISIT_US));
}

/* Give what is whole; returns how many bytes are done with. */
static size_t cut(struct connection *connection, struct bytes bytes)
{
    size_t taken = 0;

    while (!connection->paused && connection->state < CONNECTION_DRAINING && taken < bytes.size) {
        struct bytes rest = bytes_of(bytes.data + taken, bytes.size - taken);
        size_t used = 0;

        if (visit_is_over(connection)) {
            connection->cut_short = true;
            break;
        }
        if (connection->state == CONNECTION_PREFACE) {
            if (!cut_preface(connection, rest, &used)) {
                break;
            }
        } else {
            used = cut_frame(connection, rest);
            if (used == 0) {
                break;
            }
        }
        taken += used;
        connection->frames_left -= connection_is_client(connection) ? 1 : 0;
    }
    connection->visit_bytes += taken;
    return taken;
}

/* --- Input --- */

static struct bytes input_rest(const struct connection *connection)
{
    if (connection->input.size == connection->taken) {
        return BYTES_EMPTY; /* perhaps without memory, to which nothing may be added */
    }
    return bytes_of(connection->input.data + connection->taken,
                    connection->input.size - connection->taken);
}

/* Cut what is kept. The rest moves to the front unless there are whole frames in it: then it may be
 * many, and moving them for each few taken would be quadratic. */
static void cut_input(struct connection *connection)
{
    struct bytes rest;

    if (connection->input.size > connection->taken) {
        connection->taken += cut(connection, input_rest(connection));
    }
    rest = input_rest(connection);
    if (rest.size == 0) {
        buffer_release(&connection->input); /* a connection at rest keeps nothing */
        connection->taken = 0;
    } else if (connection->taken > 0 && ((!connection->paused && !connection->cut_short) ||
                                         connection->taken > connection->input.size / 2)) {
        memmove(connection->input.data, rest.data, rest.size);
        connection->input.size = rest.size;
        connection->taken = 0;
    }
}

/* How many bytes the frame under way still lacks, or its head. */
static size_t missing_bytes(const struct connection *connection)
{
    struct bytes rest = input_rest(connection);
    size_t head =
        connection->state == CONNECTION_PREFACE ? FRAME_PREFACE_BYTES : head_bytes(connection);
    uint32_t body_bytes = 0;
    uint64_t seal;

    if (rest.size < head) {
        return head - rest.size;
    }
    if (connection->state == CONNECTION_PREFACE ||
        !read_head(connection, rest.data, &body_bytes, &seal) || head + body_bytes <= rest.size) {
        return 0;
    }
    return head + body_bytes - rest.size;
}

/* The frame that is under way must go on, unless we ourselves hold it up. */
static void watch_progress(struct connection *connection, size_t came, bool finished_one)
{
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    if (connection->paused || input_rest(connection).size == 0) {
        connection->frame_deadline_us = 0;
        return;
    }
    connection->frame_progress_bytes += came;
    if (connection->frame_deadline_us == 0 || finished_one ||
        connection->frame_progress_bytes >= CONNECTION_PROGRESS_BYTES) {
        connection->frame_progress_bytes = 0;
        connection->frame_deadline_us = connection_after_ms(connection->loop->limits.frame_ms);
        connection_note_deadline(connection);
    }
}

/* Before the others comes who is read little of. */
static size_t share_of(const struct connection *connection)
{
    bool is_little = has_share(connection) && !connection->reading.is_heavy;

    return is_little ? (size_t)CONNECTION_FIRST_BYTES : (size_t)CONNECTION_VISIT_BYTES;
}

/* Read into the frame under way first, as far as it goes and a visit allows, and into the scratch
 * memory behind it: one call, and a large body is not copied again. */
static ssize_t read_socket(struct connection *connection, size_t *ret_in_input)
{
    size_t kept = connection->input.size;
    size_t have = input_rest(connection).size;
    size_t room = 0;
    struct iovec parts[2];
    ssize_t came;

    if (have > 0 && connection->state < CONNECTION_DRAINING) {
        size_t growth = have > INPUT_GROWTH_BYTES_MIN ? have : INPUT_GROWTH_BYTES_MIN;
        size_t missing = missing_bytes(connection);

        room = missing < growth ? missing : growth;
        if (has_share(connection) && room > share_of(connection)) {
            room = share_of(connection);
        }
        buffer_reserve(&connection->input, room, kept + missing);
    }
    parts[0] = (struct iovec){.iov_base = room > 0 ? buffer_extend(&connection->input, room) : NULL,
                              .iov_len = room};
    parts[1] = (struct iovec){.iov_base = connection->loop->scratch,
                              .iov_len = has_share(connection) ? share_of(connection) - room
                                                               : (size_t)CONNECTION_VISIT_BYTES};
    came = room > 0 ? readv(connection->socket, parts, 2)
                    : recv(connection->socket, parts[1].iov_base, parts[1].iov_len, 0);
    *ret_in_input = came <= 0 ? 0 : (size_t)came < room ? (size_t)came : room;
    connection->input.size = kept + *ret_in_input;
    return came;
}

static void take_bytes(struct connection *connection, size_t in_input, size_t in_scratch)
{
    struct bytes fresh = bytes_of(connection->loop->scratch, in_scratch);
    bool cut_some = false;

    if (in_input > 0) {
        size_t before = input_rest(connection).size;

        cut_input(connection);
        cut_some = input_rest(connection).size < before;
    }
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    if (input_rest(connection).size == 0) {
        size_t used = cut(connection, fresh);

        cut_some = cut_some || used > 0;
        if (connection->state >= CONNECTION_DRAINING) {
            return;
        }
        buffer_put(&connection->input, bytes_of(fresh.data + used, fresh.size - used));
    } else if (fresh.size > 0) {
        buffer_put(&connection->input, fresh);
        cut_input(connection);
    }
    watch_progress(connection, in_input + in_scratch, cut_some);
}

static void on_end_of_stream(struct connection *connection)
{
    if (connection->retiring && evbuffer_get_length(connection->output) > 0) {
        connection_finish(connection, "closed by the other side");
        return;
    }
    connection_close(connection, "closed by the other side");
}

/* Returns how many bytes came. */
static size_t read_some(struct connection *connection)
{
    size_t in_input;
    ssize_t came = read_socket(connection, &in_input);

    connection->readable = false;
    if (came < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            connection_fail(connection, "cannot read", errno);
        }
        return 0;
    }
    if (came == 0) {
        on_end_of_stream(connection);
        return 0;
    }
    connection->heard_us = clock_monotonic_us();
    if (connection->state != CONNECTION_DRAINING) {
        take_bytes(connection, in_input, (size_t)came - in_input);
    }
    return (size_t)came;
}

/* Not by time: whoever was being served when others took the processor did nothing. Who is paused
 * with something left asks faster than he is answered, however little fits in between; but for one
 * whose beginning waits. */
static bool took_much(const struct connection *connection, size_t came)
{
    bool has_left = connection->paused && connection->state == CONNECTION_OPEN &&
                    input_rest(connection).size > 0;

    return connection->cut_short || has_left || came > CONNECTION_LITTLE_BYTES ||
           connection->visit_bytes > CONNECTION_LITTLE_BYTES;
}

/* First what is here already. */
void connection_visit(struct connection *connection)
{
    size_t came = 0;

    connection->visit_us = clock_monotonic_us();
    connection->frames_left = frames_of_visit(connection);
    connection->visit_bytes = 0;
    connection->cut_short = false;
    if (input_rest(connection).size > 0) {
        cut_input(connection);
        watch_progress(connection, 0, true);
    }
    if (connection->readable && !connection->cut_short &&
        (!connection->paused || connection->state == CONNECTION_DRAINING) &&
        connection->state != CONNECTION_CLOSED) {
        came = read_some(connection);
    }
    connection->reading.is_heavy = took_much(connection, came);
    if (connection->cut_short && !connection->paused && connection->state < CONNECTION_DRAINING) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    }
    account_input(connection);
    relieve_input(connection->loop);
}

void connection_on_readable(evutil_socket_t socket, short events, void *context)
{
    struct connection *connection = context;

    (void)socket;
    (void)events;
    connection->readable = true;
    if (has_share(connection)) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    } else {
        connection_visit(connection);
    }
}

void connection_pause(struct connection *connection)
{
    if (connection->paused || connection->state >= CONNECTION_DRAINING) {
        return;
    }
    connection->paused = true;
    connection->readable = false;
    connection->frame_deadline_us = 0;
    list_remove(&connection->reading.link);
    (void)event_del(&connection->read_event);
}

void connection_resume(struct connection *connection)
{
    if (!connection->paused || connection->state >= CONNECTION_DRAINING) {
        return;
    }
    connection->paused = false;
    connection_note_deadline(connection);
    CHECK(event_add(&connection->read_event, NULL) == 0);
    if (input_rest(connection).size > 0) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    }
}
