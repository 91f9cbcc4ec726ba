#include "server/front/native_front.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "server/front/gate.h"
#include "server/front/identity.h"
#include "server/front/native_encode.h"

#include <stdlib.h>

struct native_client {
    struct list link; /* of the front's clients */
    struct gate_pass pass;
    struct native_front *front;
    struct connection *connection;
    struct client *client;
    struct identities identities;
    size_t pending; /* requests submitted and not answered */
    /* A request that is refused here: answered when all before it are, as replies keep order. */
    bool has_refusal;
    struct native_refusal refusal;
};

struct native_front {
    struct node *node;
    struct native_front_options options;
    struct list clients;
    struct gate gate;
    size_t client_count;
    struct arena arena;
};

/* May no further request be taken? */
static bool is_full(const struct gate_pass *pass)
{
    const struct native_client *client = CONTAINER_OF(pass, struct native_client, pass);

    return client->has_refusal || client_is_full(client->client);
}

/* --- From the connection --- */

static void submit(struct native_client *client, struct request *request)
{
    client->pending++;
    client_submit(client->client, request);
}

static bool may_change_members(const struct native_client *client)
{
    return client->front->options.open_membership || identities_have_super(&client->identities) ||
           connection_is_from_own_machine(client->connection);
}

/* As native_decode, with what only this front knows. */
static enum status
decode(struct native_client *client, struct bytes body, struct request **ret_request)
{
    enum status status = native_decode(body, &client->identities, ret_request, &client->refusal);

    if (status == STATUS_OK && (*ret_request)->kind == REQUEST_MEMBERSHIP &&
        !may_change_members(client)) {
        client->refusal = (struct native_refusal){
            .id = (*ret_request)->id,
            .code = CLIENT__CODE__NO_AUTH,
            .message = "members are changed from a server's own machine, or by the superuser"};
        request_free(*ret_request);
        status = STATUS_UNAVAILABLE;
    }
    return status;
}

static void on_frame(void *context, struct connection *connection, struct bytes body)
{
    struct native_client *client = context;
    struct request *request = NULL;

    switch ((int)decode(client, body, &request)) {
    case STATUS_OK:
        if ((request->notes & NATIVE_NOTE_IDENTITY) != 0) {
            client_identify(client->client, identities_lend(&client->identities));
        }
        submit(client, request);
        break;
    case STATUS_UNAVAILABLE:
        if (client->pending == 0) {
            (void)native_encode_refusal(connection, &client->refusal);
        } else {
            client->has_refusal = true;
        }
        break;
    default:
        connection_close(connection, "a request is unreadable");
        return;
    }
    if (is_full(&client->pass)) {
        gate_hold(&client->pass);
    }
}

static void on_drained(void *context, struct connection *connection)
{
    struct native_client *client = context;

    (void)connection;
    gate_look_again(&client->pass);
}

static bool let_go(void *context, struct connection *connection)
{
    (void)connection;
    return client_let_go(((struct native_client *)context)->client);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct native_client *client = context;
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(connection), remote);
    log_event(LOG_LEVEL_DEBUG, "client_closed", "remote=%s reason=%s", remote, log_quote(reason));
    client_close(client->client);
    identities_release(&client->identities);
    list_remove(&client->link);
    gate_leave(&client->pass);
    client->front->client_count--;
    free(client);
}

static const struct connection_handler handler = {
    .on_frame = on_frame, .on_drained = on_drained, .let_go = let_go, .on_closed = on_closed};

/* --- From the node --- */

/* Who has no session keeps no connection for nothing. */
static void
note_session(struct native_client *client, const struct request *request, const struct reply *reply)
{
    bool has_one = request->kind != REQUEST_CLOSE_SESSION;

    if (reply->code == CLIENT__CODE__OK &&
        (request->kind == REQUEST_OPEN_SESSION || request->kind == REQUEST_ATTACH_SESSION ||
         request->kind == REQUEST_CLOSE_SESSION)) {
        connection_forbid_idling(client->connection, !has_one);
    }
}

static void on_reply(void *context, const struct request *request, const struct reply *reply)
{
    struct native_client *client = context;

    (void)native_encode_reply(client->connection, &client->front->arena, request, reply);
    arena_reset(&client->front->arena);
    note_session(client, request, reply);
    CHECK_OP(client->pending, >, 0);
    client->pending--;
    if (client->pending == 0 && client->has_refusal) {
        client->has_refusal = false;
        (void)native_encode_refusal(client->connection, &client->refusal);
    }
    gate_look_again(&client->pass);
}

static void on_events(void *context,
                      uint64_t watch,
                      bool with_values,
                      const struct watch_event *events,
                      size_t count,
                      zxid up_to,
                      bool lost)
{
    struct native_client *client = context;
    const struct native_events told = {.watch = watch,
                                       .with_values = with_values,
                                       .events = events,
                                       .count = count,
                                       .up_to = up_to,
                                       .lost = lost};

    (void)native_encode_events(client->connection, &told);
}

static void on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    struct native_client *client = context;

    if (kind == CLIENT__NOTICE_KIND__SESSION_ENDED) {
        connection_forbid_idling(client->connection, true);
    }
    (void)native_encode_notice(client->connection, kind, code);
}

static size_t output_bytes(void *context)
{
    struct native_client *client = context;

    return connection_output_bytes(client->connection);
}

static void on_excess(void *context)
{
    struct native_client *client = context;

    connection_refuse(client->connection,
                      "the requests of all clients together are at their limit");
}

/* --- Life --- */

struct native_front *native_front_new(struct node *node, const struct native_front_options *options)
{
    struct native_front *front = xcalloc(1, sizeof *front);

    front->node = node;
    front->options = *options;
    list_init(&front->clients);
    gate_init(&front->gate);
    arena_init(&front->arena);
    return front;
}

void native_front_free(struct native_front *front)
{
    if (front == NULL) {
        return;
    }
    CHECK_OP(front->client_count, ==, 0);
    arena_release(&front->arena);
    free(front);
}

void native_front_take(struct native_front *front, struct connection *connection)
{
    static const struct client_callbacks callbacks = {.on_reply = on_reply,
                                                      .on_events = on_events,
                                                      .on_notice = on_notice,
                                                      .output_bytes = output_bytes,
                                                      .on_excess = on_excess};
    struct native_client *client = xcalloc(1, sizeof *client);
    char host[SOCKET_HOST_TEXT_BYTES_MAX];

    client->front = front;
    client->connection = connection;
    gate_enter(&front->gate, &client->pass, connection);
    list_append(&front->clients, &client->link);
    front->client_count++;
    client->client = client_open(front->node, &callbacks, client);
    socket_address_host_text(connection_remote(connection), host);
    identities_init(&client->identities, bytes_of_text(host), front->options.super_digest);
    client_identify(client->client, identities_lend(&client->identities));
    connection_set_protocol(connection, FRAME_PROTOCOL_CLIENT, FRAME_CLIENT_BYTES_MAX);
    connection_set_handler(connection, &handler, client);
    connection_set_state(connection, CONNECTION_OPEN);
    connection_forbid_idling(connection, true);
}

void native_front_end(struct native_front *front)
{
    gate_open(&front->gate, is_full);
}

void native_front_finish(struct native_front *front, const char *reason)
{
    LIST_FOR_EACH (link, &front->clients) {
        struct native_client *client = CONTAINER_OF(link, struct native_client, link);

        connection_finish(client->connection, reason);
    }
}

size_t native_front_client_count(const struct native_front *front)
{
    return front->client_count;
}
