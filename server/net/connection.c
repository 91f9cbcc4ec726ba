#include "server/net/connection_internal.h"

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
#include <unistd.h>

enum { REFUSAL_INTERVAL_US = 10 * 1000 * 1000 };

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
                                      .share_us = 2 * 1000};
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

uint64_t connection_after_ms(unsigned ms)
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

void connection_disarm_writing(struct connection *connection)
{
    if (connection->write_event != NULL) {
        event_free(connection->write_event);
        connection->write_event = NULL;
    }
}

/* The timer is only ever moved forward to an earlier deadline; when it fires too early it is set
 * anew. */
static void arm_timer(struct connection_loop *loop)
{
    const struct heap_node *first = heap_first(&loop->deadlines);
    uint64_t now_us;
    uint64_t wait_us;
    struct timeval wait;

    if (first == NULL || (loop->timer_us != 0 && loop->timer_us <= first->key)) {
        return;
    }
    now_us = clock_monotonic_us();
    wait_us = first->key > now_us ? first->key - now_us : 0;
    wait.tv_sec = (time_t)(wait_us / 1000000);
    wait.tv_usec = (suseconds_t)(wait_us % 1000000);
    loop->timer_us = first->key;
    CHECK(event_add(loop->timer, &wait) == 0);
}

/* A connection's place among the deadlines is only ever moved forward too. So deadlines that come
 * and go with each frame cost nothing. */
void connection_note_deadline(struct connection *connection)
{
    struct heap *deadlines = &connection->loop->deadlines;
    struct heap_node *place = &connection->deadline;
    uint64_t next_us = sooner(sooner(connection->state_deadline_us, idle_deadline_us(connection)),
                              sooner(connection->frame_deadline_us, connection->stall_deadline_us));

    if (next_us != 0 && (!heap_contains(place) || next_us < place->key)) {
        heap_set(deadlines, place, next_us);
        arm_timer(connection->loop);
    }
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
        connection->state_deadline_us = connection_after_ms(connection->loop->limits.handshake_ms);
    } else if (state == CONNECTION_DRAINING) {
        connection->state_deadline_us = connection_after_ms(connection->loop->limits.drain_ms);
    }
    if (state != CONNECTION_CLOSED) {
        connection_note_deadline(connection);
    }
}

bool connection_is_client(const struct connection *connection)
{
    return connection->protocol != FRAME_PROTOCOL_PEER;
}

void connection_close(struct connection *connection, const char *reason)
{
    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    set_state(connection, CONNECTION_CLOSED);
    if (connection->reason == NULL) {
        connection->reason = xstrdup(reason);
    }
    (void)event_del(&connection->read_event);
    connection_disarm_writing(connection);
    heap_remove(&connection->loop->deadlines, &connection->deadline);
    (void)close(connection->socket);
    connection->socket = -1;
    (void)evbuffer_drain(connection->output, evbuffer_get_length(connection->output));
    connection_account_output(connection);
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

bool connection_can_send(const struct connection *connection)
{
    return connection->state < CONNECTION_DRAINING && !connection->retiring;
}

void connection_fail(struct connection *connection, const char *what, int number)
{
    char reason[CONNECTION_REASON_BYTES_MAX];

    (void)snprintf(reason, sizeof reason, "%s: %s", what, strerror(number));
    connection_close(connection, reason);
}

void connection_forbid_idling(struct connection *connection, bool is_forbidden)
{
    connection->may_not_idle = is_forbidden;
    if (connection->state < CONNECTION_DRAINING) {
        connection_note_deadline(connection);
    }
}

void connection_finish(struct connection *connection, const char *reason)
{
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    connection->reason = xstrdup(reason);
    connection->frame_deadline_us = 0;
    list_remove(&connection->reading.link);
    if (connection->paused) {
        CHECK(event_add(&connection->read_event, NULL) == 0);
    }
    set_state(connection, CONNECTION_DRAINING);
    connection_mark_dirty(connection);
}

void connection_retire(struct connection *connection)
{
    if (connection->state >= CONNECTION_DRAINING) {
        return;
    }
    connection->retiring = true;
    connection->state_deadline_us = connection_after_ms(connection->loop->limits.drain_ms);
    connection_note_deadline(connection);
    connection_mark_dirty(connection);
}

/* --- Deadlines --- */

static void judge_deadlines(struct connection *connection, uint64_t now_us)
{
    if (connection->state_deadline_us != 0 && connection->state_deadline_us <= now_us) {
        if (connection_can_send(connection)) {
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
        connection_note_deadline(connection);
    }
}

static void on_timer(evutil_socket_t socket, short events, void *context)
{
    struct connection_loop *loop = context;
    uint64_t now_us = clock_monotonic_us();
    struct heap_node *first;

    (void)socket;
    (void)events;
    while ((first = heap_first(&loop->deadlines)) != NULL && first->key <= now_us) {
        heap_remove(&loop->deadlines, first);
        judge_deadlines(CONTAINER_OF(first, struct connection, deadline), now_us);
    }
    loop->timer_us = 0;
    arm_timer(loop);
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
                       connection_on_readable, connection) == 0);
    CHECK(event_add(&connection->read_event, NULL) == 0);
    connection->state_deadline_us = connection_after_ms(loop->limits.handshake_ms);
    connection_note_deadline(connection);
    loop->count++;
    return connection;
}

static void connection_free(struct connection *connection)
{
    if (connection->release != NULL) {
        connection->release(connection->release_context);
    }
    CHECK(!heap_contains(&connection->deadline));
    connection->loop->count--;
    holding_set(&connection->input_held, 0);
    evbuffer_free(connection->output);
    seal_free(connection->sent_seal);
    seal_free(connection->came_seal);
    buffer_release(&connection->input);
    buffer_release(&connection->nowhere);
    free(connection->reason);
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

bool connection_is_from_own_machine(const struct connection *connection)
{
    struct socket_address local = {.size = sizeof local.as};
    uint8_t here[16];
    uint8_t there[16];

    if (socket_address_is_loopback(&connection->remote)) {
        return true;
    }
    if (getsockname(connection->socket, &local.as.any, &local.size) != 0) {
        return false;
    }
    socket_address_host(&local, here);
    socket_address_host(&connection->remote, there);
    return memcmp(here, there, sizeof here) == 0;
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
    heap_init(&loop->deadlines);
    loop->timer = evtimer_new(base, on_timer, loop);
    CHECK(loop->timer != NULL);
    round_robin_init(&loop->readers);
    round_robin_init(&loop->writers);
    list_init(&loop->dirty);
    list_init(&loop->late);
    list_init(&loop->closed);
}

void connection_loop_release(struct connection_loop *loop)
{
    CHECK_OP(loop->count, ==, 0);
    CHECK_OP(loop->input.bytes, ==, 0);
    CHECK_OP(loop->output.bytes, ==, 0);
    heap_release(&loop->deadlines);
    event_free(loop->timer);
    free(loop->scratch);
}

static void read_round(struct connection_loop *loop)
{
    struct round_robin_place *place;
    uint64_t end_us;

    if (round_robin_is_empty(&loop->readers)) {
        return;
    }
    end_us = clock_monotonic_us() + loop->limits.share_us;
    round_robin_begin(&loop->readers);
    while (round_robin_has_due(&loop->readers) &&
           (place = round_robin_next(&loop->readers, clock_monotonic_us() >= end_us)) != NULL) {
        connection_visit(CONTAINER_OF(place, struct connection, reading));
    }
    round_robin_end(&loop->readers);
}

static void write_round(struct connection_loop *loop)
{
    struct round_robin_place *place;
    uint64_t end_us;

    if (round_robin_is_empty(&loop->writers)) {
        return;
    }
    end_us = clock_monotonic_us() + loop->limits.share_us;
    round_robin_begin(&loop->writers);
    while (round_robin_has_due(&loop->writers) &&
           (place = round_robin_next(&loop->writers, clock_monotonic_us() >= end_us)) != NULL) {
        connection_write_visit(CONTAINER_OF(place, struct connection, writing));
    }
    round_robin_end(&loop->writers);
}

/* What a client leaves behind may be much, and those that leave together many. */
static void report_closed(struct connection_loop *loop)
{
    struct list *link;
    uint64_t end_us;

    if (list_is_empty(&loop->closed)) {
        return;
    }
    end_us = clock_monotonic_us() + loop->limits.share_us;
    while ((link = list_take_first(&loop->closed)) != NULL) {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);
        const struct connection_handler *handler = connection->handler;

        if (handler->let_go != NULL && !handler->let_go(connection->context, connection)) {
            list_append(&loop->closed, link);
        } else {
            if (handler->on_closed != NULL) {
                handler->on_closed(connection->context, connection, connection->reason);
            }
            connection_free(connection);
        }
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

static void write_all(struct list *list)
{
    struct list *link;

    while ((link = list_take_first(list)) != NULL) {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);

        connection->is_late = false;
        if (connection->write_event == NULL) {
            connection_write(connection);
        }
    }
}

void connection_loop_write_links(struct connection_loop *loop)
{
    write_all(&loop->dirty);
}

void connection_loop_end(struct connection_loop *loop)
{
    connection_loop_write_links(loop);
    write_round(loop);
    write_all(&loop->late);
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
