#include "server/net/connection.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FRAMES_A_LOOK = 16,
    /* A read into a frame under way takes at most as many bytes as it has, or this many. */
    INPUT_GROWTH_BYTES_MIN = 64 * 1024,
    /* An idle connection keeps no more memory than this for input. */
    INPUT_KEPT_BYTES_MAX = 2048,
    REFUSAL_INTERVAL_US = 10 * 1000 * 1000
};

struct connection {
    struct list link; /* of `dirty`; later of `closed` */
    struct round_robin_place reading;
    struct round_robin_place writing;
    struct connection_loop *loop;
    const struct connection_handler *handler;
    void *context;
    void (*release)(void *context);
    void *release_context;
    struct socket_address remote;
    int socket;
    enum connection_state state;
    enum frame_protocol protocol;
    uint32_t frame_bytes_max;
    struct seal *sent_seal; /* of peer frames; NULL = checksums */
    struct seal *came_seal;
    bool readable;  /* the socket has something */
    bool cut_short; /* this visit ended before all frames were taken */
    bool may_not_idle;
    bool paused;
    bool retiring;
    bool shut;    /* the end of our stream was sent */
    bool behind;  /* output did not all go with the last write */
    bool waiting; /* as the socket took no more: write_event is armed */
    struct event read_event;
    struct event write_event;
    struct event timer;
    uint64_t timer_us;          /* when the timer fires; 0 = not armed */
    uint64_t state_deadline_us; /* 0 = none, also below */
    uint64_t frame_deadline_us;
    uint64_t stall_deadline_us;
    uint64_t heard_us;
    size_t frame_progress_bytes; /* came since the frame's deadline was set */
    struct buffer input;         /* bytes from `taken` on are not a whole frame yet, or held back */
    size_t taken;
    size_t frames_left; /* of this visit */
    uint64_t visit_us;  /* when it began */
    struct holding input_held;
    struct evbuffer *output;
    struct holding output_held;
    struct evbuffer_iovec reserved;
    struct buffer nowhere; /* takes what is sent when nothing can be sent any more */
    char reason[CONNECTION_REASON_BYTES_MAX];
};

struct connection_limits connection_limits_default(void)
{
    return (struct connection_limits){.handshake_ms = 10 * 1000,
                                      .drain_ms = 5 * 1000,
                                      .frame_ms = 30 * 1000,
                                      .idle_ms = 10 * 60 * 1000,
                                      .stall_ms = 30 * 1000,
                                      .output_bytes_max = 64 * 1024 * 1024,
                                      .input_bytes_all_max = UINT64_C(256) << 20,
                                      .output_bytes_all_max = UINT64_C(1) << 30,
                                      .share_us = 4 * 1000};
}

const char *connection_state_name(enum connection_state state)
{
    static const char *const names[] = {"preface", "handshake", "open", "draining", "closed"};

    return names[state];
}

/* --- State --- */

static bool edge_is_legal(enum connection_state from, enum connection_state to)
{
    switch (from) {
    case CONNECTION_PREFACE:
        return to != CONNECTION_PREFACE;
    case CONNECTION_HANDSHAKE:
        return to == CONNECTION_OPEN || to == CONNECTION_DRAINING || to == CONNECTION_CLOSED;
    case CONNECTION_OPEN:
        return to == CONNECTION_DRAINING || to == CONNECTION_CLOSED;
    case CONNECTION_DRAINING:
        return to == CONNECTION_CLOSED;
    case CONNECTION_CLOSED:
        return false;
    }
    return false;
}

static uint64_t after_ms(unsigned ms)
{
    return clock_monotonic_us() + (uint64_t)ms * 1000;
}

static uint64_t sooner(uint64_t left_us, uint64_t right_us)
{
    if (left_us == 0 || right_us == 0) {
        return left_us + right_us;
    }
    return left_us < right_us ? left_us : right_us;
}

/* 0 = none. */
static uint64_t idle_deadline_us(const struct connection *connection)
{
    bool has_one =
        connection->may_not_idle && !connection->paused && connection->state < CONNECTION_DRAINING;

    return has_one ? connection->heard_us + (uint64_t)connection->loop->limits.idle_ms * 1000 : 0;
}

/* The timer is only ever moved forward to an earlier deadline; when it fires too early it is set
 * anew. So deadlines that come and go with each frame cost nothing. */
static void arm_timer(struct connection *connection)
{
    uint64_t next_us = sooner(sooner(connection->state_deadline_us, idle_deadline_us(connection)),
                              sooner(connection->frame_deadline_us, connection->stall_deadline_us));
    uint64_t now_us;
    uint64_t wait_us;
    struct timeval wait;

    if (next_us == 0 || (connection->timer_us != 0 && connection->timer_us <= next_us)) {
        return;
    }
    now_us = clock_monotonic_us();
    wait_us = next_us > now_us ? next_us - now_us : 0;
    wait.tv_sec = (time_t)(wait_us / 1000000);
    wait.tv_usec = (suseconds_t)(wait_us % 1000000);
    connection->timer_us = next_us;
    CHECK(event_add(&connection->timer, &wait) == 0);
}

static void set_state(struct connection *connection, enum connection_state state)
{
    char remote[ADDRESS_TEXT_BYTES_MAX];

    CHECK(edge_is_legal(connection->state, state));
    socket_address_text(&connection->remote, remote);
    log_event(LOG_LEVEL_DEBUG, "connection_state", "remote=%s from=%s to=%s", remote,
              connection_state_name(connection->state), connection_state_name(state));
    connection->state = state;
    connection->state_deadline_us = 0;
    if (state == CONNECTION_HANDSHAKE) {
        connection->state_deadline_us = after_ms(connection->loop->limits.handshake_ms);
    } else if (state == CONNECTION_DRAINING) {
        connection->state_deadline_us = after_ms(connection->loop->limits.drain_ms);
    }
    if (state != CONNECTION_CLOSED) {
        arm_timer(connection);
    }
}

static bool is_client(const struct connection *connection)
{
    return connection->protocol != FRAME_PROTOCOL_PEER;
}

static void account_input(struct connection *connection)
{
    if (is_client(connection)) {
        holding_set(&connection->input_held, connection->input.capacity);
    }
}

static void account_output(struct connection *connection)
{
    if (is_client(connection)) {
        holding_set(&connection->output_held, evbuffer_get_length(connection->output));
    }
}

void connection_close(struct connection *connection, const char *reason)
{
    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    set_state(connection, CONNECTION_CLOSED);
    if (connection->reason[0] == '\0') {
        (void)snprintf(connection->reason, sizeof connection->reason, "%s", reason);
    }
    (void)event_del(&connection->read_event);
    (void)event_del(&connection->write_event);
    (void)event_del(&connection->timer);
    (void)close(connection->socket);
    connection->socket = -1;
    (void)evbuffer_drain(connection->output, evbuffer_get_length(connection->output));
    account_output(connection);
    list_remove(&connection->reading.link);
    list_remove(&connection->writing.link);
    list_remove(&connection->link);
    list_append(&connection->loop->closed, &connection->link);
}

void connection_refuse(struct connection *connection, const char *reason)
{
    if (connection->state != CONNECTION_CLOSED) {
        connection_loop_log_refusal(connection->loop, &connection->remote, reason);
        connection_close(connection, reason);
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

static void relieve_output(struct connection_loop *loop)
{
    while (holdings_are_too_much(&loop->output)) {
        struct connection *largest =
            CONTAINER_OF(holdings_largest(&loop->output), struct connection, output_held);

        connection_refuse(largest, "the output of all connections together is at its limit");
    }
}

static void close_for_errno(struct connection *connection, const char *what, int number)
{
    char reason[CONNECTION_REASON_BYTES_MAX];

    (void)snprintf(reason, sizeof reason, "%s: %s", what, strerror(number));
    connection_close(connection, reason);
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
    return is_client(connection) || connection->state == CONNECTION_PREFACE;
}

/* The clock costs more than a small frame: it is not looked at for each. */
static bool visit_is_over(const struct connection *connection)
{
    return is_client(connection) &&
           (connection->frames_left == 0 ||
            (connection->frames_left % FRAMES_A_LOOK == 0 &&
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
        connection->frames_left -= is_client(connection) ? 1 : 0;
    }
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

static void input_clear(struct connection *connection)
{
    connection->taken = 0;
    if (connection->input.capacity > INPUT_KEPT_BYTES_MAX) {
        buffer_release(&connection->input);
    } else {
        buffer_clear(&connection->input);
    }
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
        input_clear(connection);
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
        connection->frame_deadline_us = after_ms(connection->loop->limits.frame_ms);
        arm_timer(connection);
    }
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
        if (has_share(connection) && room > CONNECTION_VISIT_BYTES) {
            room = CONNECTION_VISIT_BYTES;
        }
    }
    parts[0] = (struct iovec){.iov_base = room > 0 ? buffer_extend(&connection->input, room) : NULL,
                              .iov_len = room};
    parts[1] = (struct iovec){.iov_base = connection->loop->scratch,
                              .iov_len = has_share(connection) ? CONNECTION_VISIT_BYTES - room
                                                               : (size_t)CONNECTION_VISIT_BYTES};
    came = room > 0 ? readv(connection->socket, parts, 2)
                    : read(connection->socket, parts[1].iov_base, parts[1].iov_len);
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
            close_for_errno(connection, "cannot read", errno);
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

/* First what is here already. */
static void visit(struct connection *connection)
{
    size_t came = 0;

    connection->visit_us = clock_monotonic_us();
    connection->frames_left = CONNECTION_VISIT_FRAMES;
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
    connection->reading.is_heavy =
        connection->cut_short || came >= CONNECTION_VISIT_BYTES ||
        clock_monotonic_us() - connection->visit_us > CONNECTION_VISIT_US;
    if (connection->cut_short && !connection->paused && connection->state < CONNECTION_DRAINING) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    }
    account_input(connection);
    relieve_input(connection->loop);
}

static void on_readable(evutil_socket_t socket, short events, void *context)
{
    struct connection *connection = context;

    (void)socket;
    (void)events;
    connection->readable = true;
    if (has_share(connection)) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    } else {
        visit(connection);
    }
}

void connection_forbid_idling(struct connection *connection, bool is_forbidden)
{
    connection->may_not_idle = is_forbidden;
    if (connection->state < CONNECTION_DRAINING) {
        arm_timer(connection);
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
    arm_timer(connection);
    CHECK(event_add(&connection->read_event, NULL) == 0);
    if (input_rest(connection).size > 0) {
        round_robin_enter(&connection->loop->readers, &connection->reading);
    }
}

/* --- Output --- */

static void on_output_empty(struct connection *connection)
{
    connection->stall_deadline_us = 0;
    if (connection->waiting) {
        connection->waiting = false;
        (void)event_del(&connection->write_event);
    }
    if ((connection->state == CONNECTION_DRAINING || connection->retiring) && !connection->shut) {
        connection->shut = true;
        if (shutdown(connection->socket, SHUT_WR) != 0) {
            close_for_errno(connection, "cannot end the stream", errno);
        }
    }
}

static void wait_until_writable(struct connection *connection)
{
    if (!connection->waiting) {
        connection->waiting = true;
        CHECK(event_add(&connection->write_event, NULL) == 0);
    }
}

/* What the socket takes, and of a client no more than a visit allows. */
static void write_output(struct connection *connection)
{
    size_t size = evbuffer_get_length(connection->output);
    bool is_share = is_client(connection) && size > CONNECTION_VISIT_BYTES;
    size_t most = is_share ? (size_t)CONNECTION_VISIT_BYTES : size;
    int written =
        most == 0 ? 0
                  : evbuffer_write_atmost(connection->output, connection->socket, (ev_ssize_t)most);

    if (written < 0 && errno != EAGAIN && errno != EINTR) {
        close_for_errno(connection, "cannot write", errno);
        return;
    }
    account_output(connection);
    connection->writing.is_heavy = is_share;
    connection->behind = evbuffer_get_length(connection->output) > 0;
    if (!connection->behind) {
        on_output_empty(connection);
        return;
    }
    if (written > 0 || connection->stall_deadline_us == 0) {
        connection->stall_deadline_us = after_ms(connection->loop->limits.stall_ms);
        arm_timer(connection);
    }
    if (is_share && written == (int)most) {
        round_robin_enter(&connection->loop->writers, &connection->writing);
    } else {
        wait_until_writable(connection);
    }
}

/* The same, and the owner is told when output that had to wait is gone. */
static void write_visit(struct connection *connection)
{
    bool was_behind = connection->behind;

    write_output(connection);
    if (was_behind && !connection->behind && connection->state < CONNECTION_DRAINING &&
        connection->handler->on_drained != NULL) {
        connection->handler->on_drained(connection->context, connection);
    }
}

static void mark_dirty(struct connection *connection)
{
    if (is_client(connection) && !connection->waiting) {
        round_robin_enter(&connection->loop->writers, &connection->writing);
    } else if (!is_client(connection) && list_is_empty(&connection->link)) {
        list_append(&connection->loop->dirty, &connection->link);
    }
}

static void on_writable(evutil_socket_t socket, short events, void *context)
{
    struct connection *connection = context;

    (void)socket;
    (void)events;
    if (is_client(connection)) {
        round_robin_enter(&connection->loop->writers, &connection->writing);
    } else {
        write_visit(connection);
    }
}

static bool can_send(const struct connection *connection)
{
    return connection->state < CONNECTION_DRAINING && !connection->retiring;
}

uint8_t *connection_reserve(struct connection *connection, size_t size)
{
    int parts;

    if (!can_send(connection)) {
        buffer_clear(&connection->nowhere);
        return buffer_extend(&connection->nowhere, size > 0 ? size : 1);
    }
    parts = evbuffer_reserve_space(connection->output, (ev_ssize_t)size, &connection->reserved, 1);
    CHECK(parts == 1);
    CHECK_OP(connection->reserved.iov_len, >=, size);
    return connection->reserved.iov_base;
}

void connection_commit(struct connection *connection, size_t size)
{
    struct connection_loop *loop = connection->loop;

    if (!can_send(connection)) {
        return;
    }
    CHECK_OP(size, <=, connection->reserved.iov_len);
    connection->reserved.iov_len = size;
    CHECK(evbuffer_commit_space(connection->output, &connection->reserved, 1) == 0);
    connection->reserved.iov_len = 0;
    account_output(connection);
    mark_dirty(connection);
    if (evbuffer_get_length(connection->output) > loop->limits.output_bytes_max) {
        connection_refuse(connection, "the other side reads too slowly: output limit reached");
    }
    relieve_output(loop);
}

void connection_send(struct connection *connection, struct bytes bytes)
{
    memcpy(connection_reserve(connection, bytes.size), bytes.data, bytes.size);
    connection_commit(connection, bytes.size);
}

void connection_set_seals(struct connection *connection, struct seal *sent, struct seal *came)
{
    CHECK(connection->sent_seal == NULL && connection->came_seal == NULL);
    connection->sent_seal = sent;
    connection->came_seal = came;
}

void connection_send_peer_frame(struct connection *connection, struct bytes body)
{
    uint8_t *to = connection_reserve(connection, FRAME_PEER_HEAD_BYTES + body.size);

    frame_peer_put_head(to, body.size, seal_next(connection->sent_seal, body));
    memcpy(to + FRAME_PEER_HEAD_BYTES, body.data, body.size);
    connection_commit(connection, FRAME_PEER_HEAD_BYTES + body.size);
}

size_t connection_output_bytes(const struct connection *connection)
{
    return evbuffer_get_length(connection->output);
}

void connection_finish(struct connection *connection, const char *reason)
{
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    (void)snprintf(connection->reason, sizeof connection->reason, "%s", reason);
    connection->frame_deadline_us = 0;
    list_remove(&connection->reading.link);
    if (connection->paused) {
        CHECK(event_add(&connection->read_event, NULL) == 0);
    }
    set_state(connection, CONNECTION_DRAINING);
    mark_dirty(connection);
}

void connection_retire(struct connection *connection)
{
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    connection->retiring = true;
    connection->state_deadline_us = after_ms(connection->loop->limits.drain_ms);
    arm_timer(connection);
    mark_dirty(connection);
}

/* --- Deadlines --- */

static void on_timer(evutil_socket_t socket, short events, void *context)
{
    struct connection *connection = context;
    uint64_t now_us = clock_monotonic_us();

    (void)socket;
    (void)events;
    connection->timer_us = 0;
    if (connection->state_deadline_us != 0 && connection->state_deadline_us <= now_us) {
        if (can_send(connection)) {
            connection_refuse(connection, "it did not say in time who it is");
        } else {
            connection_close(connection, "the other side did not close in time");
        }
    } else if (connection->frame_deadline_us != 0 && connection->frame_deadline_us <= now_us) {
        connection_refuse(connection, "a frame came too slowly");
    } else if (connection->stall_deadline_us != 0 && connection->stall_deadline_us <= now_us) {
        connection_refuse(connection, "the other side stopped reading");
    } else if (idle_deadline_us(connection) != 0 && idle_deadline_us(connection) <= now_us) {
        connection_refuse(connection, "without a session it was silent for too long");
    } else {
        arm_timer(connection);
    }
}

/* --- Life --- */

struct connection *connection_new(struct connection_loop *loop,
                                  int socket,
                                  const struct socket_address *remote,
                                  enum connection_state state,
                                  const struct connection_handler *handler,
                                  void *context)
{
    struct connection *connection = xcalloc(1, sizeof *connection);

    CHECK(state == CONNECTION_PREFACE || state == CONNECTION_HANDSHAKE);
    connection->loop = loop;
    connection->handler = handler;
    connection->context = context;
    connection->remote = *remote;
    connection->socket = socket;
    connection->state = state;
    connection->protocol = FRAME_PROTOCOL_PEER;
    connection->frame_bytes_max = FRAME_PEER_BYTES_MAX;
    connection->heard_us = clock_monotonic_us();
    connection->output = evbuffer_new();
    CHECK(connection->output != NULL);
    list_init(&connection->link);
    round_robin_place_init(&connection->reading);
    round_robin_place_init(&connection->writing);
    holding_init(&connection->input_held, &loop->input);
    holding_init(&connection->output_held, &loop->output);
    CHECK(event_assign(&connection->read_event, loop->base, socket, EV_READ | EV_PERSIST,
                       on_readable, connection) == 0);
    CHECK(event_assign(&connection->write_event, loop->base, socket, EV_WRITE | EV_PERSIST,
                       on_writable, connection) == 0);
    CHECK(event_assign(&connection->timer, loop->base, -1, 0, on_timer, connection) == 0);
    CHECK(event_add(&connection->read_event, NULL) == 0);
    connection->state_deadline_us = after_ms(loop->limits.handshake_ms);
    arm_timer(connection);
    loop->count++;
    return connection;
}

static void connection_free(struct connection *connection)
{
    if (connection->release != NULL) {
        connection->release(connection->release_context);
    }
    connection->loop->count--;
    holding_set(&connection->input_held, 0);
    evbuffer_free(connection->output);
    seal_free(connection->sent_seal);
    seal_free(connection->came_seal);
    buffer_release(&connection->input);
    buffer_release(&connection->nowhere);
    free(connection);
}

void connection_set_handler(struct connection *connection,
                            const struct connection_handler *handler,
                            void *context)
{
    static const struct connection_handler nobody = {.on_frame = NULL};

    connection->handler = handler != NULL ? handler : &nobody;
    connection->context = context;
    CHECK(handler != NULL || connection->state >= CONNECTION_DRAINING);
}

void *connection_context(const struct connection *connection)
{
    return connection->context;
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
    CHECK(state == CONNECTION_HANDSHAKE || state == CONNECTION_OPEN);
    set_state(connection, state);
}

enum connection_state connection_state(const struct connection *connection)
{
    return connection->state;
}

void connection_set_protocol(struct connection *connection,
                             enum frame_protocol protocol,
                             uint32_t frame_bytes_max)
{
    CHECK(protocol != FRAME_PROTOCOL_UNDECIDED && protocol != FRAME_PROTOCOL_UNKNOWN);
    connection->protocol = protocol;
    connection->frame_bytes_max = frame_bytes_max;
}

void connection_set_patience(struct connection *connection, const struct socket_patience *patience)
{
    if (connection->state != CONNECTION_CLOSED) {
        socket_tune(connection->socket, patience);
    }
}

const struct socket_address *connection_remote(const struct connection *connection)
{
    return &connection->remote;
}

uint64_t connection_heard_us(const struct connection *connection)
{
    return connection->heard_us;
}

void connection_on_release(struct connection *connection,
                           void (*release)(void *context),
                           void *context)
{
    connection->release = release;
    connection->release_context = context;
}

/* --- The loop --- */

void connection_loop_init(struct connection_loop *loop,
                          struct event_base *base,
                          const struct connection_limits *limits)
{
    *loop = (struct connection_loop){
        .base = base, .limits = *limits, .scratch = xmalloc(CONNECTION_VISIT_BYTES)};
    holdings_init(&loop->input, limits->input_bytes_all_max);
    holdings_init(&loop->output, limits->output_bytes_all_max);
    round_robin_init(&loop->readers);
    round_robin_init(&loop->writers);
    list_init(&loop->dirty);
    list_init(&loop->closed);
}

void connection_loop_release(struct connection_loop *loop)
{
    CHECK_OP(loop->count, ==, 0);
    CHECK_OP(loop->input.bytes, ==, 0);
    CHECK_OP(loop->output.bytes, ==, 0);
    free(loop->scratch);
}

static void read_round(struct connection_loop *loop)
{
    uint64_t end_us = clock_monotonic_us() + loop->limits.share_us;
    struct round_robin_place *place;

    round_robin_begin(&loop->readers);
    while ((place = round_robin_next(&loop->readers, clock_monotonic_us() >= end_us)) != NULL) {
        visit(CONTAINER_OF(place, struct connection, reading));
    }
    round_robin_end(&loop->readers);
}

static void write_round(struct connection_loop *loop)
{
    uint64_t end_us = clock_monotonic_us() + loop->limits.share_us;
    struct round_robin_place *place;

    round_robin_begin(&loop->writers);
    while ((place = round_robin_next(&loop->writers, clock_monotonic_us() >= end_us)) != NULL) {
        write_visit(CONTAINER_OF(place, struct connection, writing));
    }
    round_robin_end(&loop->writers);
}

/* What a client leaves behind may be much, and those that leave together many. */
static void report_closed(struct connection_loop *loop)
{
    uint64_t end_us = clock_monotonic_us() + loop->limits.share_us;
    struct list *link;

    while ((link = list_take_first(&loop->closed)) != NULL) {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);

        if (connection->handler->on_closed != NULL) {
            connection->handler->on_closed(connection->context, connection, connection->reason);
        }
        connection_free(connection);
        if (clock_monotonic_us() >= end_us) {
            return;
        }
    }
}

void connection_loop_begin(struct connection_loop *loop)
{
    read_round(loop);
    report_closed(loop);
}

void connection_loop_end(struct connection_loop *loop)
{
    struct list *link;

    while ((link = list_take_first(&loop->dirty)) != NULL) {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);

        if (!connection->waiting) {
            write_output(connection);
        }
    }
    write_round(loop);
}

void connection_loop_log_refusal(struct connection_loop *loop,
                                 const struct socket_address *remote,
                                 const char *reason)
{
    uint64_t now_us = clock_monotonic_us();
    char text[ADDRESS_TEXT_BYTES_MAX];

    loop->refused_unlogged++;
    if (loop->refused_logged_us != 0 && now_us - loop->refused_logged_us < REFUSAL_INTERVAL_US) {
        return;
    }
    socket_address_text(remote, text);
    log_event(LOG_LEVEL_WARN, "connection_refused", "remote=%s reason=%s count=%" PRIu64, text,
              log_quote(reason), loop->refused_unlogged);
    loop->refused_logged_us = now_us;
    loop->refused_unlogged = 0;
}

bool connection_loop_is_pending(const struct connection_loop *loop)
{
    return !round_robin_is_empty(&loop->readers) || !round_robin_is_empty(&loop->writers) ||
           !list_is_empty(&loop->closed);
}
