#include "client/client.h"

#include "base/clock.h"
#include "proto/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    RECONNECT_MS_MIN = 20, /* doubled with each attempt that fails */
    RECONNECT_MS_MAX = 2000,
    CONNECT_MS_MAX = 2000,
    HANDSHAKE_MS_MAX = 5000,
    DRAIN_MS_MAX = 1000,
    CLOSE_MS_MAX = 1000,
    SILENCE_MS_MAX = 10 * 1000,
    IDLE_TICK_MS = 60 * 1000,
    /* Requests wait in their list while so much waits for the socket. */
    OUTPUT_BYTES_MAX = 1024 * 1024
};

static void settle(struct confer *confer);

/* Two thirds of the session's timeout leave time to find another server. A long session is no
 * reason to wait long for a server that hangs. */
static void set_silence(struct confer *confer, uint32_t session_timeout_ms)
{
    uint32_t silence_ms = session_timeout_ms / 3 * 2;

    confer->silence_ms = silence_ms < SILENCE_MS_MAX ? silence_ms : SILENCE_MS_MAX;
}

static uint64_t ms_to_us(uint64_t ms)
{
    return 1000 * ms;
}

static void __attribute__((format(printf, 3, 4)))
log_line(struct confer *confer, enum confer_log_level level, const char *format, ...)
{
    char line[512];
    va_list arguments;

    if (confer->on_log == NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    confer->on_log(level, line, confer->argument);
}

static void set_state(struct confer *confer, enum confer_state state)
{
    enum confer_state before = (enum confer_state)atomic_load(&confer->state);

    if (state == CONFER_STATE_CONNECTED && before != CONFER_STATE_CONNECTING) {
        state = CONFER_STATE_RECONNECTED;
    }
    /* Before the first connection there is nothing to suspend. */
    if (state == before || (state == CONFER_STATE_SUSPENDED && before == CONFER_STATE_CONNECTING) ||
        (state == CONFER_STATE_RECONNECTED && before == CONFER_STATE_CONNECTED)) {
        return;
    }
    atomic_store(&confer->state, (int)state);
    log_line(confer, CONFER_LOG_INFO, "%s -> %s", confer_state_text(before),
             confer_state_text(state));
    if (confer->on_state != NULL) {
        confer->on_state(confer, state, confer->argument);
    }
}

static void see_zxid(struct confer *confer, uint64_t zxid)
{
    if (zxid > atomic_load(&confer->seen_zxid)) {
        atomic_store(&confer->seen_zxid, zxid);
    }
}

static bool is_closing(struct confer *confer)
{
    bool closing;

    (void)pthread_mutex_lock(&confer->mutex);
    closing = confer->is_closing;
    (void)pthread_mutex_unlock(&confer->mutex);
    return closing;
}

static bool is_connected(const struct confer *confer)
{
    return confer->phase == CLIENT_PHASE_READY || confer->phase == CLIENT_PHASE_DRAINING;
}

/* --- Telling callers --- */

static void tell(void *context, struct client_request *request)
{
    struct confer *confer = context;
    struct client_result *result = request->result;

    if (request->has_timer) {
        (void)event_del(&request->timer);
        request->has_timer = false;
    }
    if (request->on_done != NULL) {
        request->on_done(request->owner, &result->public);
    } else if (request->callback != NULL) {
        request->result = NULL;
        request->callback(confer, &result->public, request->argument);
    }
}

/* What to say to a caller whose time is up. */
static void explain_timeout(struct confer *confer,
                            const struct client_request *request,
                            char *text,
                            size_t bytes)
{
    const struct client_server *server = client_servers_current(&confer->servers);
    char problem[420];

    if (confer->phase == CLIENT_PHASE_HANDSHAKE) {
        (void)snprintf(problem, sizeof problem, "%s takes connections but opens no session",
                       server->text);
    } else if (!is_connected(confer)) {
        client_servers_explain(&confer->servers, problem, sizeof problem);
    } else if (confer->is_leaderless) {
        (void)snprintf(problem, sizeof problem, "%s hears no leader", server->text);
    } else if (request->place == CLIENT_PLACE_PAUSED && server->problem[0] != '\0') {
        (void)snprintf(problem, sizeof problem, "%s: %s", server->text, server->problem);
    } else {
        (void)snprintf(problem, sizeof problem, "no answer from %s", server->text);
    }
    (void)snprintf(text, bytes, "timed out after %u ms: %s", (unsigned)request->timeout_ms,
                   problem);
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct client_request *request = argument;
    struct confer *confer = request->owner;
    char text[CLIENT_MESSAGE_BYTES_MAX];

    (void)fd;
    (void)what;
    explain_timeout(confer, request, text, sizeof text);
    client_queue_expire(&confer->queue, request, CONFER_TIMEOUT, text);
    settle(confer);
}

static bool set_deadline(struct confer *confer, struct client_request *request)
{
    struct timeval timeout = {.tv_sec = request->timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(request->timeout_ms % 1000) * 1000};

    if (request->timeout_ms == 0) {
        return true;
    }
    request->owner = confer;
    (void)evtimer_assign(&request->timer, confer->base, on_deadline, request);
    request->has_timer = event_add(&request->timer, &timeout) == 0;
    return request->has_timer;
}

static void submit_own(void *context, struct client_request *request)
{
    struct confer *confer = context;

    client_queue_add(&confer->queue, request);
}

static bool watches_are_open(void *context)
{
    return !is_closing(context);
}

/* --- Connecting --- */

static void reset_attempt(struct confer *confer)
{
    client_connection_close(&confer->connection);
    client_resolver_free(confer->lookup);
    confer->lookup = NULL;
    confer->handshake_id = 0;
    confer->is_leaderless = false;
}

/* Try the next server after a pause that grows with the number of attempts, with full jitter, so
 * that the clients of a server that fell do not come back all at once. */
static void reconnect_later(struct confer *confer)
{
    uint64_t bound_ms = RECONNECT_MS_MAX;

    if (confer->attempts < 7) {
        bound_ms = (uint64_t)RECONNECT_MS_MIN << confer->attempts;
        confer->attempts++;
    }
    client_servers_next(&confer->servers);
    confer->phase = CLIENT_PHASE_WAITING;
    confer->reconnect_us = clock_monotonic_us() + prng_below(&confer->prng, ms_to_us(bound_ms) + 1);
}

/* The connection, or the attempt to make one, came to nothing. */
static void drop(struct confer *confer, const char *reason)
{
    bool was_connected = is_connected(confer);

    log_line(confer, CONFER_LOG_INFO, "%s: %s", client_servers_current(&confer->servers)->text,
             reason);
    client_servers_note(&confer->servers, reason);
    reset_attempt(confer);
    if (confer->phase == CLIENT_PHASE_OVER) {
        return;
    }
    reconnect_later(confer);
    if (was_connected) {
        client_watches_disconnected(&confer->watches);
        client_queue_disconnected(&confer->queue, reason);
        if (!is_closing(confer)) {
            set_state(confer, CONFER_STATE_SUSPENDED);
        }
    }
}

/* As drop, but nothing is wrong with the server's answer: only another one may do better. */
static void drain(struct confer *confer, const char *reason)
{
    if (confer->phase != CLIENT_PHASE_READY) {
        return;
    }
    log_line(confer, CONFER_LOG_INFO, "leaving %s: %s",
             client_servers_current(&confer->servers)->text, reason);
    client_servers_note(&confer->servers, reason);
    confer->phase = CLIENT_PHASE_DRAINING;
    confer->give_up_us = clock_monotonic_us() + ms_to_us(DRAIN_MS_MAX);
}

static void try_next_address(struct confer *confer)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX] = "the name has no address";

    while (confer->next_address < confer->addresses.count) {
        size_t i = confer->next_address++;

        if (client_connection_open(&confer->connection, &confer->addresses.items[i],
                                   confer->addresses.bytes[i], confer->silence_ms, reason)) {
            confer->phase = CLIENT_PHASE_CONNECTING;
            return;
        }
    }
    drop(confer, reason);
}

static void connect_now(struct confer *confer)
{
    const struct client_server *server = client_servers_current(&confer->servers);
    enum confer_status status;

    confer->give_up_us = clock_monotonic_us() + ms_to_us(CONNECT_MS_MAX);
    confer->next_address = 0;
    if (client_resolver_numeric(&server->address, &confer->addresses)) {
        try_next_address(confer);
        return;
    }
    confer->phase = CLIENT_PHASE_RESOLVING;
    status = client_resolver_start(&server->address, confer->wake_fd, &confer->lookup);
    if (status != CONFER_OK) {
        drop(confer, confer_status_text(status));
    }
}

static void poll_lookup(struct confer *confer)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    if (confer->phase != CLIENT_PHASE_RESOLVING ||
        !client_resolver_poll(confer->lookup, &confer->addresses)) {
        return;
    }
    client_resolver_free(confer->lookup);
    confer->lookup = NULL;
    if (confer->addresses.count > 0) {
        try_next_address(confer);
        return;
    }
    memcpy(reason, confer->addresses.problem, sizeof reason);
    drop(confer, reason);
}

static void on_lost(void *context, const char *reason)
{
    struct confer *confer = context;

    client_servers_note(&confer->servers, reason);
    if (confer->phase == CLIENT_PHASE_CONNECTING &&
        confer->next_address < confer->addresses.count) {
        try_next_address(confer);
    } else {
        drop(confer, reason);
    }
}

/* --- The session --- */

static void become_ready(struct confer *confer)
{
    struct client_server *server = client_servers_current(&confer->servers);

    confer->phase = CLIENT_PHASE_READY;
    confer->waiting_since_us = 0;
    server->problem[0] = '\0';
    log_line(confer, CONFER_LOG_INFO, "connected to %s", server->text);
    if (!is_closing(confer)) {
        set_state(confer, CONFER_STATE_CONNECTED);
        client_watches_connected(&confer->watches);
    }
}

static void flush(struct confer *confer)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    if (!client_connection_flush(&confer->connection, reason)) {
        drop(confer, reason);
    }
}

static struct client_envelope envelope_of(struct confer *confer)
{
    return (struct client_envelope){.id = confer->next_id++,
                                    .seen_zxid = atomic_load(&confer->seen_zxid)};
}

static void on_open(void *context)
{
    struct confer *confer = context;
    struct client_buffer *output = &confer->connection.output;
    uint8_t *preface = client_buffer_reserve(output, FRAME_PREFACE_BYTES);
    struct client_envelope envelope = envelope_of(confer);
    uint64_t now = clock_monotonic_us();

    confer->sent_us = now;
    confer->received_us = now;
    if (preface == NULL) {
        drop(confer, "out of memory");
        return;
    }
    memcpy(preface, frame_client_preface, FRAME_PREFACE_BYTES);
    client_buffer_filled(output, FRAME_PREFACE_BYTES);
    if (!confer->has_session) {
        become_ready(confer);
        return;
    }
    if (client_session_put(&confer->session, output, &envelope) != CONFER_OK) {
        drop(confer, "out of memory");
        return;
    }
    confer->phase = CLIENT_PHASE_HANDSHAKE;
    confer->handshake_id = envelope.id;
    confer->give_up_us = now + ms_to_us(HANDSHAKE_MS_MAX);
    flush(confer);
}

/* The session is gone for good, and with it all that hangs on it. */
static void expire(struct confer *confer, const char *text)
{
    if (confer->phase == CLIENT_PHASE_OVER) {
        return;
    }
    confer->phase = CLIENT_PHASE_OVER;
    reset_attempt(confer);
    confer->watches.is_connected = false;
    if (!is_closing(confer)) {
        set_state(confer, CONFER_STATE_EXPIRED);
    }
    client_queue_fail_all(&confer->queue, CONFER_SESSION_EXPIRED, text, false);
    client_watches_end_all(&confer->watches, CONFER_SESSION_EXPIRED, text);
}

/* The server belongs to no cluster. When they all say so, waiting helps nobody. */
static void note_no_cluster(struct confer *confer)
{
    struct client_server *server = client_servers_current(&confer->servers);
    char text[CLIENT_MESSAGE_BYTES_MAX];

    client_servers_note(&confer->servers, confer_status_text(CONFER_NO_CLUSTER));
    server->no_cluster = true;
    if (client_servers_all_without_cluster(&confer->servers)) {
        (void)snprintf(text, sizeof text,
                       "%s belongs to no cluster yet: make one with init, or add "
                       "it to one through a member with add-learner",
                       server->text);
        client_queue_fail_all(&confer->queue, CONFER_NO_CLUSTER, text, true);
    }
}

static void take_handshake(struct confer *confer, const Client__Response *response)
{
    uint64_t last_sequence = 0;
    const char *text = response->message != NULL && response->message[0] != '\0'
                           ? response->message
                           : confer_status_text((enum confer_status)response->code);
    char reason[CLIENT_PROBLEM_BYTES_MAX];

    (void)snprintf(reason, sizeof reason, "%s", text);
    confer->handshake_id = 0;
    switch (client_session_take(&confer->session, response, &last_sequence)) {
    case CLIENT_SESSION_ATTACHED:
        if (!client_queue_attached(&confer->queue, last_sequence)) {
            expire(confer, "the servers forgot acknowledged writes of this session");
            return;
        }
        atomic_store(&confer->session_id, confer->session.id);
        confer->attempts = 0;
        set_silence(confer, confer->session.timeout_ms);
        become_ready(confer);
        return;
    case CLIENT_SESSION_AGAIN:
        if (response->code == CLIENT__CODE__NO_CLUSTER) {
            note_no_cluster(confer);
        }
        drop(confer, reason);
        return;
    case CLIENT_SESSION_GONE:
        expire(confer, NULL);
        return;
    case CLIENT_SESSION_NONSENSE:
        drop(confer, "the server's answer about the session makes no sense");
        return;
    }
}

/* --- What servers send --- */

static void take_notice(struct confer *confer, const Client__Notice *notice)
{
    switch (notice->kind) {
    case CLIENT__NOTICE_KIND__LEADER_LOST:
        if (!confer->is_leaderless) {
            confer->is_leaderless = true;
            confer->leaderless_until_us = clock_monotonic_us() + ms_to_us(confer->silence_ms / 2);
            if (!is_closing(confer)) {
                set_state(confer, CONFER_STATE_SUSPENDED);
            }
        }
        return;
    case CLIENT__NOTICE_KIND__LEADER_FOUND:
        confer->is_leaderless = false;
        if (!is_closing(confer)) {
            set_state(confer, CONFER_STATE_CONNECTED);
        }
        return;
    case CLIENT__NOTICE_KIND__GOING_AWAY:
        drain(confer, "it is stopping");
        return;
    case CLIENT__NOTICE_KIND__SESSION_ENDED:
        if (notice->code == CLIENT__CODE__SESSION_EXPIRED && confer->has_session) {
            expire(confer, NULL);
        } else {
            drop(confer, "the session was attached elsewhere");
        }
        return;
    case _CLIENT__NOTICE_KIND_IS_INT_SIZE:
        break;
    }
    /* A kind that is newer than this library. */
}

static void take_verdict(struct confer *confer, enum client_verdict verdict, Client__Code code)
{
    switch (verdict) {
    case CLIENT_VERDICT_GO_ON:
        return;
    case CLIENT_VERDICT_MOVE:
        /* With one server there is nowhere to go; the request comes again after a pause. */
        if (confer->servers.count > 1) {
            drain(confer, confer_status_text((enum confer_status)code));
        }
        return;
    case CLIENT_VERDICT_NO_CLUSTER:
        note_no_cluster(confer);
        if (confer->servers.count > 1) {
            drain(confer, confer_status_text(CONFER_NO_CLUSTER));
        }
        return;
    case CLIENT_VERDICT_REATTACH:
        drop(confer, "attaching the session again");
        return;
    case CLIENT_VERDICT_EXPIRED:
        if (confer->has_session) {
            expire(confer, NULL);
        }
        return;
    case CLIENT_VERDICT_VIOLATION:
        drop(confer, "the server answered something that was not asked");
        return;
    }
}

static void take_pushed(struct confer *confer, const Client__Response *response)
{
    if (response->body_case == CLIENT__RESPONSE__BODY_EVENTS) {
        see_zxid(confer, response->events->up_to_zxid);
        client_watches_events(&confer->watches, response->events);
    } else if (response->body_case == CLIENT__RESPONSE__BODY_NOTICE) {
        take_notice(confer, response->notice);
    }
}

/* What the server says about itself counts when somebody asks later why nothing happens. */
static void note_code(struct confer *confer, const Client__Response *response)
{
    if (response->code == CLIENT__CODE__OK) {
        confer->attempts = 0;
    }
    if (response->code != CLIENT__CODE__NO_CLUSTER) {
        client_servers_current(&confer->servers)->no_cluster = false;
    }
    if (response->code >= CLIENT__CODE__NO_LEADER) {
        client_servers_note(&confer->servers,
                            response->message != NULL && response->message[0] != '\0'
                                ? response->message
                                : confer_status_text((enum confer_status)response->code));
    }
}

static void take_answer(struct confer *confer, struct client_answer *answer)
{
    Client__Code code = answer->response->code;

    note_code(confer, answer->response);
    take_verdict(confer,
                 client_queue_answer(&confer->queue, answer,
                                     client_servers_current(&confer->servers)->text,
                                     confer->received_us),
                 code);
}

static void on_frame(void *context, struct bytes frame)
{
    struct confer *confer = context;
    struct client_answer answer;
    enum confer_status status = client_answer_unpack(frame, &answer);

    if (status != CONFER_OK) {
        drop(confer, confer_status_text(status));
        return;
    }
    confer->received_us = clock_monotonic_us();
    see_zxid(confer, answer.response->zxid);
    if (answer.response->body_case == CLIENT__RESPONSE__BODY_WRITE) {
        see_zxid(confer, answer.response->write->zxid);
    }
    if (answer.response->id == 0) {
        take_pushed(confer, answer.response);
    } else if (confer->phase == CLIENT_PHASE_HANDSHAKE) {
        if (answer.response->id == confer->handshake_id) {
            take_handshake(confer, answer.response);
        } else {
            drop(confer, "the server answered something that was not asked");
        }
    } else {
        take_answer(confer, &answer);
    }
    client_answer_release(&answer);
}

/* --- Sending --- */

/* False: not now. */
static bool send_one(struct confer *confer, struct client_request *request)
{
    struct client_envelope envelope = envelope_of(confer);

    client_queue_number(&confer->queue, request);
    envelope.sequence = request->sequence;
    envelope.confirmed = request->sequence != 0 ? client_queue_confirmed(&confer->queue) : 0;
    if (client_codec_put_request(&confer->connection.output, &request->body, &envelope) !=
        CONFER_OK) {
        if (request->sequence != 0) {
            /* Its number is taken, so it has to be sent some time. */
            drop(confer, "out of memory");
        } else {
            client_queue_expire(&confer->queue, request, CONFER_NO_MEMORY, NULL);
        }
        return false;
    }
    if (confer->queue.in_flight_count == 0) {
        confer->waiting_since_us = clock_monotonic_us();
    }
    confer->sent_us = clock_monotonic_us();
    client_queue_sent(&confer->queue, request, envelope.id);
    return true;
}

static void pump(struct confer *confer)
{
    while (confer->phase == CLIENT_PHASE_READY &&
           confer->connection.output.size < OUTPUT_BYTES_MAX) {
        struct client_request *request = client_queue_next(&confer->queue, clock_monotonic_us());

        if (request == NULL) {
            break;
        }
        (void)send_one(confer, request);
    }
    flush(confer);
}

static void send_own(struct confer *confer,
                     Client__Request__BodyCase field,
                     const ProtobufCMessage *message,
                     void (*on_done)(void *owner, const struct confer_result *result))
{
    struct client_request *request = client_request_new();

    if (request == NULL || client_body_pack(field, message, &request->body) != CONFER_OK) {
        client_request_free(request);
        return;
    }
    request->per_connection = true;
    request->on_done = on_done;
    request->owner = confer;
    client_queue_add(&confer->queue, request);
}

static void ping(struct confer *confer)
{
    Client__Ping message = CLIENT__PING__INIT;

    /* Without memory there is no ping this time, and another try at the next tick. */
    send_own(confer, CLIENT__REQUEST__BODY_PING, &message.base, NULL);
    confer->sent_us = clock_monotonic_us();
}

/* --- Closing --- */

static void on_session_closed(void *owner, const struct confer_result *result)
{
    struct confer *confer = owner;

    (void)result;
    confer->close_us = 0;
}

static void begin_close(struct confer *confer)
{
    Client__CloseSession message = CLIENT__CLOSE_SESSION__INIT;

    confer->close_begun = true;
    client_queue_fail_all(&confer->queue, CONFER_CLOSED, NULL, false);
    client_watches_end_all(&confer->watches, CONFER_CLOSED, NULL);
    if (confer->phase == CLIENT_PHASE_DRAINING) {
        confer->phase = CLIENT_PHASE_READY; /* even a server that goes away may end the session */
    }
    if (confer->has_session && confer->phase == CLIENT_PHASE_READY) {
        confer->close_us = clock_monotonic_us() + ms_to_us(CLOSE_MS_MAX);
        send_own(confer, CLIENT__REQUEST__BODY_CLOSE_SESSION, &message.base, on_session_closed);
    }
}

/* The last act. The handle is gone afterwards when it lives on the caller's base. */
static void finish(struct confer *confer)
{
    confer->is_finished = true;
    confer->phase = CLIENT_PHASE_OVER;
    reset_attempt(confer);
    (void)event_del(&confer->wake_event);
    (void)event_del(&confer->tick_event);
    set_state(confer, CONFER_STATE_CLOSED);
    if (confer->owns_base) {
        (void)event_base_loopbreak(confer->base);
    } else {
        client_free(confer);
    }
}

/* --- The loop --- */

static void take_request(struct confer *confer, struct client_request *request)
{
    bool is_over = confer->phase == CLIENT_PHASE_OVER || confer->close_begun;
    enum confer_status status = confer->close_begun ? CONFER_CLOSED : CONFER_SESSION_EXPIRED;

    if (request->job == CLIENT_JOB_UNWATCH) {
        client_watches_remove(&confer->watches, request->watch_id);
        client_request_free(request);
        return;
    }
    if (request->job == CLIENT_JOB_WATCH) {
        struct client_watch *watch = request->watch;

        request->watch = NULL;
        client_request_free(request);
        client_watches_add(&confer->watches, watch);
        if (is_over) {
            client_watches_end_all(&confer->watches, status, NULL);
        }
        return;
    }
    if (!is_over && !set_deadline(confer, request)) {
        is_over = true;
        status = CONFER_NO_MEMORY;
    }
    client_queue_add(&confer->queue, request);
    if (is_over) {
        client_queue_expire(&confer->queue, request, status, NULL);
    }
}

static void take_inbox(struct confer *confer)
{
    struct list taken;
    struct list *link;

    list_init(&taken);
    (void)pthread_mutex_lock(&confer->mutex);
    confer->is_woken = false;
    while ((link = list_take_first(&confer->inbox)) != NULL) {
        list_append(&taken, link);
    }
    (void)pthread_mutex_unlock(&confer->mutex);
    while ((link = list_take_first(&taken)) != NULL) {
        take_request(confer, CONTAINER_OF(link, struct client_request, link));
    }
}

static uint64_t interval_us(const struct confer *confer)
{
    return ms_to_us(confer->silence_ms / 2);
}

/* Whether an answer should have come by now. A membership change may take long. */
static bool expects_answer(const struct confer *confer)
{
    return confer->queue.in_flight_count > 0 && confer->queue.slow_in_flight == 0;
}

static uint64_t silent_since_us(const struct confer *confer)
{
    return confer->received_us > confer->waiting_since_us ? confer->received_us
                                                          : confer->waiting_since_us;
}

static bool wants_pings(const struct confer *confer)
{
    return confer->phase == CLIENT_PHASE_READY &&
           (confer->has_session || confer->queue.in_flight_count > 0 ||
            client_watches_alive(&confer->watches) > 0);
}

/* Everything that is due by itself. */
static void take_time(struct confer *confer, uint64_t now)
{
    if (confer->phase == CLIENT_PHASE_WAITING && now >= confer->reconnect_us &&
        !confer->close_begun) {
        connect_now(confer);
    }
    if ((confer->phase == CLIENT_PHASE_RESOLVING || confer->phase == CLIENT_PHASE_CONNECTING) &&
        now >= confer->give_up_us) {
        drop(confer, "no connection within 2 s");
    }
    if (confer->phase == CLIENT_PHASE_HANDSHAKE && now >= confer->give_up_us) {
        drop(confer, "no answer about the session within 5 s");
    }
    if (confer->phase == CLIENT_PHASE_DRAINING &&
        (now >= confer->give_up_us || confer->queue.in_flight_count == 0)) {
        char reason[CLIENT_PROBLEM_BYTES_MAX];

        memcpy(reason, client_servers_current(&confer->servers)->problem, sizeof reason);
        drop(confer, reason);
    }
    if (is_connected(confer) && expects_answer(confer) &&
        now >= silent_since_us(confer) + ms_to_us(confer->silence_ms)) {
        drop(confer, "the server is silent");
    }
    if (confer->phase == CLIENT_PHASE_READY && confer->is_leaderless &&
        now >= confer->leaderless_until_us) {
        if (confer->servers.count > 1) {
            drain(confer, "it hears no leader");
        } else {
            confer->leaderless_until_us = UINT64_MAX;
        }
    }
    if (wants_pings(confer) && now >= confer->sent_us + interval_us(confer)) {
        ping(confer);
    }
}

static void earlier(uint64_t *due_us, uint64_t other_us)
{
    if (other_us < *due_us) {
        *due_us = other_us;
    }
}

static uint64_t next_due_us(const struct confer *confer, uint64_t now)
{
    uint64_t due = now + ms_to_us(IDLE_TICK_MS);

    switch (confer->phase) {
    case CLIENT_PHASE_WAITING:
        earlier(&due, confer->close_begun ? UINT64_MAX : confer->reconnect_us);
        break;
    case CLIENT_PHASE_RESOLVING:
    case CLIENT_PHASE_CONNECTING:
    case CLIENT_PHASE_HANDSHAKE:
    case CLIENT_PHASE_DRAINING:
        earlier(&due, confer->give_up_us);
        break;
    case CLIENT_PHASE_READY:
        earlier(&due, client_queue_due_us(&confer->queue));
        earlier(&due, confer->is_leaderless ? confer->leaderless_until_us : UINT64_MAX);
        earlier(&due, wants_pings(confer) ? confer->sent_us + interval_us(confer) : UINT64_MAX);
        break;
    case CLIENT_PHASE_OVER:
        break;
    }
    if (is_connected(confer) && expects_answer(confer)) {
        earlier(&due, silent_since_us(confer) + ms_to_us(confer->silence_ms));
    }
    if (confer->close_begun) {
        earlier(&due, confer->close_us);
    }
    return due;
}

static void set_tick(struct confer *confer)
{
    uint64_t now = clock_monotonic_us();
    uint64_t due = next_due_us(confer, now);
    uint64_t delay = due > now ? due - now : 0;
    struct timeval timeout = {.tv_sec = (time_t)(delay / 1000000),
                              .tv_usec = (suseconds_t)(delay % 1000000)};

    if (due != confer->tick_us) {
        confer->tick_us = due;
        (void)event_add(&confer->tick_event, &timeout);
    }
}

/* The end of every event of the handle: do what has become possible. The handle may be gone
 * afterwards. */
static void settle(struct confer *confer)
{
    take_inbox(confer);
    poll_lookup(confer);
    if (is_closing(confer) && !confer->close_begun) {
        begin_close(confer);
    }
    take_time(confer, clock_monotonic_us());
    pump(confer);
    client_watches_sweep(&confer->watches);
    if (confer->close_begun &&
        (!is_connected(confer) || clock_monotonic_us() >= confer->close_us)) {
        finish(confer);
        return;
    }
    set_tick(confer);
}

static void on_settle(void *context)
{
    settle(context);
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);

    (void)what;
    (void)got;
    settle(argument);
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    struct confer *confer = argument;

    (void)fd;
    (void)what;
    confer->tick_us = 0;
    settle(confer);
}

/* --- Life --- */

static uint64_t draw_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed = clock_monotonic_us() ^ ((uint64_t)getpid() << 40);
    }
    return seed;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (config == NULL) {
        return NULL;
    }
    /* One thread touches it: what others have to say comes through the eventfd. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void take_options(struct confer *confer, const struct confer_options *options)
{
    confer->has_session = !options->no_session;
    confer->request_timeout_ms = options->request_timeout_ms;
    set_silence(confer, options->session_timeout_ms);
    confer->on_state = options->on_state;
    confer->on_log = options->on_log;
    confer->argument = options->argument;
    confer->session.asked_timeout_ms = options->session_timeout_ms;
    atomic_init(&confer->seen_zxid, options->seen_zxid);
    atomic_init(&confer->session_id, 0);
    atomic_init(&confer->state, (int)CONFER_STATE_CONNECTING);
}

enum confer_status client_new(struct event_base *base,
                              struct client_servers *servers,
                              const struct confer_options *options,
                              struct confer **ret_confer)
{
    struct confer *confer = client_alloc(sizeof *confer);
    static const struct client_connection_callbacks callbacks = {
        .on_open = on_open, .on_frame = on_frame, .on_lost = on_lost, .on_settle = on_settle};
    struct client_connection_callbacks own = callbacks;

    if (confer == NULL) {
        client_servers_release(servers);
        return CONFER_NO_MEMORY;
    }
    take_options(confer, options);
    confer->servers = *servers;
    confer->next_id = 1;
    prng_init(&confer->prng, draw_seed());
    client_servers_shuffle(&confer->servers, &confer->prng);
    list_init(&confer->inbox);
    (void)pthread_mutex_init(&confer->mutex, NULL);
    client_queue_init(&confer->queue, &confer->prng, tell, confer);
    confer->queue.has_session = confer->has_session;
    confer->watches = (struct client_watches){
        .context = confer, .confer = confer, .submit = submit_own, .is_open = watches_are_open};
    confer->owns_base = base == NULL;
    confer->base = base == NULL ? new_base() : base;
    own.context = confer;
    client_connection_init(&confer->connection, confer->base, &own);
    confer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (confer->base == NULL || confer->wake_fd < 0) {
        enum confer_status status = confer->base == NULL ? CONFER_NO_MEMORY : CONFER_SYSTEM;

        client_free(confer);
        return status;
    }
    *ret_confer = confer;
    return CONFER_OK;
}

void client_free(struct confer *confer)
{
    client_resolver_free(confer->lookup);
    client_connection_release(&confer->connection);
    client_queue_release(&confer->queue);
    client_watches_release(&confer->watches);
    client_servers_release(&confer->servers);
    if (confer->wake_fd >= 0) {
        (void)close(confer->wake_fd);
    }
    if (confer->owns_base && confer->base != NULL) {
        event_base_free(confer->base);
    }
    (void)pthread_mutex_destroy(&confer->mutex);
    free(confer);
}

enum confer_status client_start(struct confer *confer)
{
    struct timeval now = {.tv_sec = 0, .tv_usec = 0};

    (void)event_assign(&confer->wake_event, confer->base, confer->wake_fd, EV_READ | EV_PERSIST,
                       on_wake, confer);
    (void)event_assign(&confer->tick_event, confer->base, -1, EV_PERSIST, on_tick, confer);
    atomic_store(&confer->loop_thread, gettid());
    if (event_add(&confer->wake_event, NULL) != 0) {
        return CONFER_NO_MEMORY;
    }
    if (event_add(&confer->tick_event, &now) != 0) {
        (void)event_del(&confer->wake_event);
        return CONFER_NO_MEMORY;
    }
    return CONFER_OK;
}

void client_run(struct confer *confer)
{
    atomic_store(&confer->loop_thread, gettid());
    while (!confer->is_finished) {
        if (event_base_loop(confer->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0) {
            log_line(confer, CONFER_LOG_WARN, "the event loop failed; the handle ends");
            client_begin_close(confer, false);
            begin_close(confer);
            finish(confer);
        }
    }
}

static void wake(struct confer *confer)
{
    uint64_t one = 1;
    ssize_t written = write(confer->wake_fd, &one, sizeof one);

    (void)written; /* a full counter wakes too */
}

enum confer_status
client_accept(struct confer *confer, struct client_request *request, uint64_t *ret_watch)
{
    enum confer_status status = CONFER_OK;
    bool has_to_wake = false;

    (void)pthread_mutex_lock(&confer->mutex);
    if (confer->is_closing) {
        status = CONFER_CLOSED;
    } else {
        if (request->watch != NULL) {
            request->watch->id = ++confer->last_watch_id;
            if (ret_watch != NULL) {
                *ret_watch = request->watch->id;
            }
        }
        list_append(&confer->inbox, &request->link);
        has_to_wake = !confer->is_woken;
        confer->is_woken = true;
    }
    if (has_to_wake) {
        /* Under the mutex: the handle cannot be closed before the descriptor was written. */
        wake(confer);
    }
    (void)pthread_mutex_unlock(&confer->mutex);
    return status;
}

void client_begin_close(struct confer *confer, bool frees_itself)
{
    (void)pthread_mutex_lock(&confer->mutex);
    confer->is_closing = true;
    confer->frees_itself = frees_itself;
    wake(confer);
    (void)pthread_mutex_unlock(&confer->mutex);
}

bool client_is_loop_thread(struct confer *confer)
{
    return atomic_load(&confer->loop_thread) == gettid();
}
