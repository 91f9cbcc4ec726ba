#include "server/front/native_front.h"

#include "base/alloc.h"
#include "base/log.h"
#include "server/front/native_reply.h"
#include "server/front/native_request.h"

#include <stdlib.h>

enum {
    /* Answers that wait to be sent; beyond it nothing more is read from the connection. */
    OUTPUT_BYTES_MAX = 4 * 1024 * 1024
};

struct native_front {
    struct node *node;
    struct list sessions;
};

/* One connection. */
struct native_session {
    struct list link;
    struct native_front *front;
    struct connection *connection;
    struct client *client;
    bool is_paused;
};

static void send_response(struct native_session *session, const Client__Response *response)
{
    size_t size = client__response__get_packed_size(response);
    uint8_t *frame;

    if (size > FRAME_CLIENT_BYTES_MAX) {
        struct arena arena;
        Client__Response *refusal;

        arena_init(&arena);
        refusal = native_reply_refusal(response->id, CLIENT__CODE__LIMIT, &arena);
        send_response(session, refusal);
        arena_release(&arena);
        return;
    }
    frame = connection_reserve(session->connection, FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__response__pack(response, frame + FRAME_CLIENT_HEAD_BYTES);
    connection_commit(session->connection, FRAME_CLIENT_HEAD_BYTES + size);
}

/* --- From the node --- */

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    struct native_session *session = context;
    struct arena arena;

    arena_init(&arena);
    send_response(session, native_reply_make(request, reply, &arena));
    arena_release(&arena);
}

static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    struct native_session *session = context;
    struct arena arena;

    arena_init(&arena);
    send_response(session,
                  native_reply_events(watch, with_values, events, count, up_to, lost, &arena));
    arena_release(&arena);
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    struct native_session *session = context;
    struct arena arena;

    arena_init(&arena);
    send_response(session, native_reply_notice(kind, code, &arena));
    arena_release(&arena);
}

static size_t output_bytes(void *context)
{
    const struct native_session *session = context;

    return connection_output_bytes(session->connection);
}

static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                  .on_events = on_events,
                                                  .on_notice = on_notice,
                                                  .output_bytes = output_bytes};

/* --- From the connection --- */

static bool must_wait(const struct native_session *session)
{
    return client_is_full(session->client) ||
           connection_output_bytes(session->connection) > OUTPUT_BYTES_MAX;
}

static void on_frame(void *context, struct connection *connection, struct bytes body)
{
    struct native_session *session = context;
    struct request *request;

    if (native_request_read(body, &request) != STATUS_OK) {
        connection_close(connection, "unreadable request");
        return;
    }
    client_submit(session->client, request);
    if (must_wait(session)) {
        session->is_paused = true;
        connection_pause(connection);
    }
}

static void session_free(struct native_session *session)
{
    client_close(session->client);
    list_remove(&session->link);
    free(session);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct native_session *session = context;
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(connection), remote);
    log_event(LOG_LEVEL_DEBUG, "client_closed", "remote=%s reason=%s", remote->text,
              log_quote(reason));
    session_free(session);
}

static const struct connection_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

struct native_front *native_front_new(struct node *node)
{
    struct native_front *front = xcalloc(1, sizeof *front);

    front->node = node;
    list_init(&front->sessions);
    return front;
}

void native_front_free(struct native_front *front)
{
    if (front == NULL) {
        return;
    }
    LIST_FOR_EACH (link, &front->sessions) {
        struct native_session *session = CONTAINER_OF(link, struct native_session, link);

        connection_set_handler(session->connection, NULL, NULL);
        connection_close(session->connection, "the server stops");
        session_free(session);
    }
    free(front);
}

void native_front_take(struct native_front *front, struct connection *connection)
{
    struct native_session *session = xcalloc(1, sizeof *session);

    session->front = front;
    session->connection = connection;
    session->client = client_open(front->node, &callbacks, session);
    list_append(&front->sessions, &session->link);
    connection_set_handler(connection, &handler, session);
    connection_set_protocol(connection, FRAME_PROTOCOL_CLIENT, FRAME_CLIENT_BYTES_MAX);
    connection_set_state(connection, CONNECTION_OPEN);
}

void native_front_resume(struct native_front *front)
{
    LIST_FOR_EACH (link, &front->sessions) {
        struct native_session *session = CONTAINER_OF(link, struct native_session, link);

        if (session->is_paused && !must_wait(session)) {
            session->is_paused = false;
            connection_resume(session->connection);
        }
    }
}
