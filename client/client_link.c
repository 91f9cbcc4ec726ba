#include "client/client_link.h"

#include "base/clock.h"
#include "proto/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    RECONNECT_MS_MIN = 20, /* doubled with each attempt that fails */
    RECONNECT_MS_MAX = 2000,
    CONNECT_MS_MAX = 2000,
    HANDSHAKE_MS_MAX = 5000,
    DRAIN_MS_MAX = 1000,
    SILENCE_MS_MAX = 10 * 1000,
    /* Requests wait in their list while so much waits for the socket. */
    OUTPUT_BYTES_MAX = 1024 * 1024
};

/* Two thirds of the session's timeout leave time to find another server. A long session is no
 * reason to wait long for a server that hangs. */
void client_link_set_silence(struct confer *confer, uint32_t session_timeout_ms)
{
    uint32_t silence_ms = session_timeout_ms / 3 * 2;

    confer->silence_ms = silence_ms < SILENCE_MS_MAX ? silence_ms : SILENCE_MS_MAX;
}

void client_link_log(struct confer *confer, enum confer_log_level level, const char *format, ...)
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

void client_link_set_state(struct confer *confer, enum confer_state state)
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
    client_link_log(confer, CONFER_LOG_INFO, "%s -> %s", confer_state_text(before),
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

bool client_link_is_closing(struct confer *confer)
{
    bool closing;

    (void)pthread_mutex_lock(&confer->mutex);
    closing = confer->is_closing;
    (void)pthread_mutex_unlock(&confer->mutex);
    return closing;
}

bool client_link_is_connected(const struct confer *confer)
{
    return confer->phase == CLIENT_PHASE_READY || confer->phase == CLIENT_PHASE_DRAINING;
}

/* --- Connecting --- */

void client_link_reset(struct confer *confer)
{
    client_connection_close(&confer->connection);
    client_resolver_free(confer->lookup);
    confer->lookup = NULL;
    confer->credentials_pending = 0;
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
    confer->reconnect_us =
        clock_monotonic_us() + prng_below(&confer->prng, client_link_us(bound_ms) + 1);
}

/* The connection, or the attempt to make one, came to nothing. */
void client_link_drop(struct confer *confer, const char *reason)
{
    bool was_connected = client_link_is_connected(confer);

    client_link_log(confer, CONFER_LOG_INFO, "%s: %s",
                    client_servers_current(&confer->servers)->text, reason);
    client_servers_note(&confer->servers, reason);
    client_link_reset(confer);
    if (confer->phase == CLIENT_PHASE_OVER) {
        return;
    }
    reconnect_later(confer);
    if (was_connected) {
        client_watches_disconnected(&confer->watches);
        client_queue_disconnected(&confer->queue, reason);
        if (!client_link_is_closing(confer)) {
            client_link_set_state(confer, CONFER_STATE_SUSPENDED);
        }
    }
}

/* As drop, but nothing is wrong with the server's answer: only another one may do better. */
void client_link_drain(struct confer *confer, const char *reason)
{
    if (confer->phase != CLIENT_PHASE_READY) {
        return;
    }
    client_link_log(confer, CONFER_LOG_INFO, "leaving %s: %s",
                    client_servers_current(&confer->servers)->text, reason);
    client_servers_note(&confer->servers, reason);
    confer->phase = CLIENT_PHASE_DRAINING;
    confer->give_up_us = clock_monotonic_us() + client_link_us(DRAIN_MS_MAX);
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
    client_link_drop(confer, reason);
}

void client_link_connect(struct confer *confer)
{
    const struct client_server *server = client_servers_current(&confer->servers);
    enum confer_status status;

    confer->give_up_us = clock_monotonic_us() + client_link_us(CONNECT_MS_MAX);
    confer->next_address = 0;
    if (client_resolver_numeric(&server->address, &confer->addresses)) {
        try_next_address(confer);
        return;
    }
    confer->phase = CLIENT_PHASE_RESOLVING;
    status = client_resolver_start(&server->address, confer->wake_fd, &confer->lookup);
    if (status != CONFER_OK) {
        client_link_drop(confer, confer_status_text(status));
    }
}

void client_link_poll(struct confer *confer)
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
    client_link_drop(confer, reason);
}

static void on_lost(void *context, const char *reason)
{
    struct confer *confer = context;

    client_servers_note(&confer->servers, reason);
    if (confer->phase == CLIENT_PHASE_CONNECTING &&
        confer->next_address < confer->addresses.count) {
        try_next_address(confer);
    } else {
        client_link_drop(confer, reason);
    }
}

/* --- The session --- */

static void become_ready(struct confer *confer)
{
    struct client_server *server = client_servers_current(&confer->servers);

    confer->phase = CLIENT_PHASE_READY;
    confer->waiting_since_us = 0;
    server->problem[0] = '\0';
    client_link_log(confer, CONFER_LOG_INFO, "connected to %s", server->text);
    if (!client_link_is_closing(confer)) {
        client_link_set_state(confer, CONFER_STATE_CONNECTED);
        client_watches_connected(&confer->watches);
    }
}

static void flush(struct confer *confer)
{
    char reason[CLIENT_RESOLVER_TEXT_BYTES_MAX];

    if (!client_connection_flush(&confer->connection, reason)) {
        client_link_drop(confer, reason);
    }
}

static struct client_envelope envelope_of(struct confer *confer)
{
    return (struct client_envelope){.id = confer->next_id++,
                                    .seen_zxid = atomic_load(&confer->seen_zxid)};
}

/* All at once, with ids in a row; the answers come in the same order. */
static enum confer_status put_handshake(struct confer *confer, struct client_buffer *output)
{
    struct client_envelope envelope;
    enum confer_status status = CONFER_OK;

    for (size_t i = 0; status == CONFER_OK && i < confer->credentials.count; i++) {
        envelope = envelope_of(confer);
        status = client_codec_put_request(output, &confer->credentials.items[i], &envelope);
    }
    if (status == CONFER_OK && confer->has_session) {
        envelope = envelope_of(confer);
        status = client_session_put(&confer->session, output, &envelope);
    }
    return status;
}

static void on_open(void *context)
{
    struct confer *confer = context;
    struct client_buffer *output = &confer->connection.output;
    uint8_t *preface = client_buffer_reserve(output, FRAME_PREFACE_BYTES);
    uint64_t now = clock_monotonic_us();

    confer->sent_us = now;
    confer->received_us = now;
    if (preface == NULL) {
        client_link_drop(confer, "out of memory");
        return;
    }
    memcpy(preface, frame_client_preface, FRAME_PREFACE_BYTES);
    client_buffer_filled(output, FRAME_PREFACE_BYTES);
    confer->handshake_id = confer->next_id;
    if (put_handshake(confer, output) != CONFER_OK) {
        client_link_drop(confer, "out of memory");
        return;
    }
    confer->credentials_pending = confer->credentials.count;
    if (!confer->has_session && confer->credentials_pending == 0) {
        become_ready(confer);
        return;
    }
    confer->phase = CLIENT_PHASE_HANDSHAKE;
    confer->give_up_us = now + client_link_us(HANDSHAKE_MS_MAX);
    flush(confer);
}

/* The session is gone for good, and with it all that hangs on it. */
static void expire(struct confer *confer, const char *text)
{
    if (confer->phase == CLIENT_PHASE_OVER) {
        return;
    }
    confer->phase = CLIENT_PHASE_OVER;
    client_link_reset(confer);
    confer->watches.is_connected = false;
    if (!client_link_is_closing(confer)) {
        client_link_set_state(confer, CONFER_STATE_EXPIRED);
    }
    client_queue_fail_all(&confer->queue, CONFER_SESSION_EXPIRED, text, false);
    client_watches_end_all(&confer->watches, CONFER_SESSION_EXPIRED, text);
}

/* The server belongs to no cluster, or is no member of it. When they all say so, waiting helps
 * nobody. */
static void note_outside(struct confer *confer, enum confer_status status)
{
    struct client_server *server = client_servers_current(&confer->servers);
    char text[CLIENT_MESSAGE_BYTES_MAX];

    client_servers_note(&confer->servers, confer_status_text(status));
    server->is_outside = true;
    if (!client_servers_all_outside(&confer->servers)) {
        return;
    }
    if (status == CONFER_NO_CLUSTER) {
        (void)snprintf(text, sizeof text,
                       "%s belongs to no cluster yet: make one with init, or add "
                       "it to one through a member with add-learner",
                       server->text);
    } else {
        (void)snprintf(text, sizeof text,
                       "%s is not a member of its cluster (any more): ask another server, or add "
                       "it through a member with add-learner",
                       server->text);
    }
    client_queue_fail_all(&confer->queue, status, text, true);
}

static bool is_outside(Client__Code code)
{
    return code == CLIENT__CODE__NO_CLUSTER || code == CLIENT__CODE__NOT_MEMBER;
}

static void take_credential_answer(struct confer *confer, const Client__Response *response)
{
    bool is_refused =
        response->code == CLIENT__CODE__AUTH_FAILED || response->code == CLIENT__CODE__UNSUPPORTED;
    char text[CLIENT_MESSAGE_BYTES_MAX];

    if (response->code == CLIENT__CODE__OK) {
        confer->handshake_id++;
        confer->credentials_pending--;
        if (confer->credentials_pending == 0 && !confer->has_session) {
            become_ready(confer);
        }
        return;
    }
    (void)snprintf(text, sizeof text, "%s does not take the credentials: %s",
                   client_servers_current(&confer->servers)->text,
                   response->message != NULL ? response->message : "");
    if (is_refused) {
        client_queue_fail_all(&confer->queue, CONFER_AUTH_FAILED, text, true);
    }
    client_link_drop(confer, text);
}

static void take_session_answer(struct confer *confer, const Client__Response *response)
{
    uint64_t last_sequence = 0;
    const char *text = response->message != NULL && response->message[0] != '\0'
                           ? response->message
                           : confer_status_text((enum confer_status)response->code);
    char reason[CLIENT_PROBLEM_BYTES_MAX];

    (void)snprintf(reason, sizeof reason, "%s", text);
    switch (client_session_take(&confer->session, response, &last_sequence)) {
    case CLIENT_SESSION_ATTACHED:
        if (!client_queue_attached(&confer->queue, last_sequence)) {
            expire(confer, "the servers forgot acknowledged writes of this session");
            return;
        }
        atomic_store(&confer->session_id, confer->session.id);
        confer->attempts = 0;
        client_link_set_silence(confer, confer->session.timeout_ms);
        become_ready(confer);
        return;
    case CLIENT_SESSION_AGAIN:
        if (is_outside(response->code)) {
            note_outside(confer, (enum confer_status)response->code);
        }
        client_link_drop(confer, reason);
        return;
    case CLIENT_SESSION_GONE:
        expire(confer, NULL);
        return;
    case CLIENT_SESSION_NONSENSE:
        client_link_drop(confer, "the server's answer about the session makes no sense");
        return;
    }
}

/* --- What servers send --- */

/* News of the leader say something of the session only where it is attached. */
static void take_leader_state(struct confer *confer, enum confer_state state)
{
    if (client_link_is_connected(confer) && !client_link_is_closing(confer)) {
        client_link_set_state(confer, state);
    }
}

static void take_notice(struct confer *confer, const Client__Notice *notice)
{
    switch (notice->kind) {
    case CLIENT__NOTICE_KIND__LEADER_LOST:
        if (!confer->is_leaderless) {
            confer->is_leaderless = true;
            confer->leaderless_until_us =
                clock_monotonic_us() + client_link_us(confer->silence_ms / 2);
            take_leader_state(confer, CONFER_STATE_SUSPENDED);
        }
        return;
    case CLIENT__NOTICE_KIND__LEADER_FOUND:
        confer->is_leaderless = false;
        take_leader_state(confer, CONFER_STATE_CONNECTED);
        return;
    case CLIENT__NOTICE_KIND__GOING_AWAY:
        client_link_drain(confer, notice->code == CLIENT__CODE__STOPPING
                                      ? "it is stopping"
                                      : confer_status_text((enum confer_status)notice->code));
        return;
    case CLIENT__NOTICE_KIND__SESSION_ENDED:
        if (notice->code == CLIENT__CODE__SESSION_EXPIRED && confer->has_session) {
            expire(confer, NULL);
        } else {
            client_link_drop(confer, "the session was attached elsewhere");
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
            client_link_drain(confer, confer_status_text((enum confer_status)code));
        }
        return;
    case CLIENT_VERDICT_OUTSIDE:
        note_outside(confer, (enum confer_status)code);
        if (confer->servers.count > 1) {
            client_link_drain(confer, confer_status_text((enum confer_status)code));
        }
        return;
    case CLIENT_VERDICT_REATTACH:
        client_link_drop(confer, "attaching the session again");
        return;
    case CLIENT_VERDICT_EXPIRED:
        if (confer->has_session) {
            expire(confer, NULL);
        }
        return;
    case CLIENT_VERDICT_VIOLATION:
        client_link_drop(confer, "the server answered something that was not asked");
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
    if (!is_outside(response->code)) {
        client_servers_current(&confer->servers)->is_outside = false;
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
        client_link_drop(confer, confer_status_text(status));
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
        if (answer.response->id != confer->handshake_id) {
            client_link_drop(confer, "the server answered something that was not asked");
        } else if (confer->credentials_pending > 0) {
            take_credential_answer(confer, answer.response);
        } else {
            take_session_answer(confer, answer.response);
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
            client_link_drop(confer, "out of memory");
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

void client_link_pump(struct confer *confer)
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

void client_link_send_own(struct confer *confer,
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

void client_link_ping(struct confer *confer)
{
    Client__Ping message = CLIENT__PING__INIT;

    /* Without memory there is no ping this time, and another try at the next tick. */
    client_link_send_own(confer, CLIENT__REQUEST__BODY_PING, &message.base, NULL);
    confer->sent_us = clock_monotonic_us();
}

/* --- Life --- */

void client_link_init(struct confer *confer, void (*on_settle)(void *context))
{
    struct client_connection_callbacks callbacks = {.context = confer,
                                                    .on_open = on_open,
                                                    .on_frame = on_frame,
                                                    .on_lost = on_lost,
                                                    .on_settle = on_settle};

    client_connection_init(&confer->connection, confer->base, &callbacks);
}
