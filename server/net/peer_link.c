#include "server/net/peer_link.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct peer_link {
    const struct peer_link_world *world;
    struct connection *connection;
    struct handshake handshake;
    const struct peer_link_handler *handler;
    void *context;
    bool dialled;
    enum status failure; /* of the handshake */
};

static void draw_nonce(uint8_t nonce[HANDSHAKE_NONCE_BYTES])
{
    CHECK(getrandom(nonce, HANDSHAKE_NONCE_BYTES, 0) == HANDSHAKE_NONCE_BYTES);
}

static void send_buffer(struct peer_link *link, struct buffer *out)
{
    if (out->size > 0) {
        connection_send_peer_frame(link->connection, buffer_lend(out), false);
    }
    buffer_release(out);
}

/* Behind the last message of the handshake, in both directions. */
static void seal_frames(struct peer_link *link)
{
    uint8_t sent[SEAL_KEY_BYTES];
    uint8_t came[SEAL_KEY_BYTES];

    if (link->world->policy.secret.size > 0) {
        handshake_keys(&link->handshake, sent, came);
        connection_set_seals(link->connection, seal_new(sent), seal_new(came));
        explicit_bzero(sent, sizeof sent);
        explicit_bzero(came, sizeof came);
    }
}

static void come_up(struct peer_link *link)
{
    seal_frames(link);
    connection_set_state(link->connection, CONNECTION_OPEN);
    connection_set_protocol(link->connection, FRAME_PROTOCOL_PEER, FRAME_PEER_BYTES_MAX);
    link->handler->on_up(link->context, link);
}

/* After the other one's proof. */
static void decide(struct peer_link *link)
{
    char refusal[ERROR_TEXT_BYTES_MAX] = "";
    struct buffer out = BUFFER_INIT;
    enum handshake_verdict verdict = link->handler->admit(link->context, link, refusal);

    handshake_decide(&link->handshake, verdict, refusal, &out);
    send_buffer(link, &out);
    if (verdict != HANDSHAKE_ADMITTED) {
        link->failure = STATUS_MISMATCH;
        connection_finish(link->connection, refusal);
    } else if (link->handshake.state == HANDSHAKE_DONE) {
        come_up(link);
    }
}

static void on_handshake(struct peer_link *link, struct bytes message)
{
    struct buffer out = BUFFER_INIT;
    struct error error;
    enum status status = handshake_receive(&link->handshake, message, &out, &error);

    send_buffer(link, &out);
    if (status != STATUS_OK) {
        link->failure = status;
        if (link->dialled) {
            connection_close(link->connection, error.text);
        } else {
            connection_finish(link->connection, error.text);
        }
    } else if (link->handshake.state == HANDSHAKE_PROVEN) {
        decide(link);
    } else if (link->handshake.state == HANDSHAKE_DONE) {
        come_up(link);
    }
}

static void on_frame(void *context, struct connection *connection, struct bytes body)
{
    struct peer_link *link = context;

    if (link->handshake.state != HANDSHAKE_DONE) {
        on_handshake(link, body);
    } else if (link->handler->on_message(link->context, link, body) != STATUS_OK) {
        connection_close(connection, "a message is unreadable or does not belong here");
    }
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct peer_link *link = context;

    (void)connection;
    link->handler->on_down(link->context, link, link->failure, reason);
    free(link);
}

static const struct connection_handler connection_handler = {.on_frame = on_frame,
                                                             .on_closed = on_closed};

static struct peer_link *link_new(const struct peer_link_world *world,
                                  const struct peer_link_handler *handler,
                                  void *context)
{
    struct peer_link *link = xcalloc(1, sizeof *link);

    link->world = world;
    link->handler = handler;
    link->context = context;
    link->failure = STATUS_CLOSED;
    return link;
}

struct peer_link *peer_link_dial(const struct peer_link_world *world,
                                 int socket,
                                 const struct socket_address *remote,
                                 Peer__Channel channel,
                                 const struct handshake_target *target,
                                 const struct peer_link_handler *handler,
                                 void *context)
{
    struct peer_link *link = link_new(world, handler, context);
    const struct handshake_identity self = world->self(world->self_context);
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    struct buffer hello = BUFFER_INIT;

    link->dialled = true;
    link->connection = connection_new(world->loop, socket, remote, CONNECTION_HANDSHAKE,
                                      &connection_handler, link);
    connection_set_protocol(link->connection, FRAME_PROTOCOL_PEER, HANDSHAKE_FRAME_BYTES_MAX);
    connection_set_patience(link->connection, &socket_patience_peer);
    draw_nonce(nonce);
    handshake_dial(&link->handshake, &world->policy, socket_address_is_loopback(remote), &self,
                   channel, target, nonce, &hello);
    connection_send(link->connection, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
    send_buffer(link, &hello);
    return link;
}

struct peer_link *peer_link_accept(const struct peer_link_world *world,
                                   struct connection *connection,
                                   const struct peer_link_handler *handler,
                                   void *context)
{
    struct peer_link *link = link_new(world, handler, context);
    const struct handshake_identity self = world->self(world->self_context);
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];

    link->connection = connection;
    connection_set_protocol(connection, FRAME_PROTOCOL_PEER, HANDSHAKE_FRAME_BYTES_MAX);
    connection_set_patience(connection, &socket_patience_peer);
    connection_set_handler(connection, &connection_handler, link);
    connection_set_state(connection, CONNECTION_HANDSHAKE);
    draw_nonce(nonce);
    handshake_accept(&link->handshake, &world->policy,
                     socket_address_is_loopback(connection_remote(connection)), &self, nonce);
    return link;
}

void peer_link_set_handler(struct peer_link *link,
                           const struct peer_link_handler *handler,
                           void *context)
{
    link->handler = handler;
    link->context = context;
}

bool peer_link_send(struct peer_link *link, struct bytes message, bool is_late)
{
    size_t waiting = connection_output_bytes(link->connection);

    CHECK_OP(message.size, <=, FRAME_PEER_BYTES_MAX);
    if (!peer_link_is_up(link) ||
        (waiting > 0 && waiting + message.size > PEER_LINK_QUEUE_BYTES_MAX)) {
        return false;
    }
    connection_send_peer_frame(link->connection, message, is_late);
    return true;
}

void peer_link_close(struct peer_link *link, const char *reason)
{
    connection_close(link->connection, reason);
}

void peer_link_retire(struct peer_link *link)
{
    connection_retire(link->connection);
}

void peer_link_finish(struct peer_link *link, const char *reason)
{
    connection_finish(link->connection, reason);
}

bool peer_link_is_up(const struct peer_link *link)
{
    return connection_state(link->connection) == CONNECTION_OPEN;
}

bool peer_link_is_dialled(const struct peer_link *link)
{
    return link->dialled;
}

uint64_t peer_link_peer_id(const struct peer_link *link)
{
    return link->dialled && link->handshake.to != 0 ? link->handshake.to : link->handshake.peer.id;
}

Peer__Channel peer_link_channel(const struct peer_link *link)
{
    return link->handshake.channel;
}

const struct handshake *peer_link_handshake(const struct peer_link *link)
{
    return &link->handshake;
}

const struct socket_address *peer_link_remote(const struct peer_link *link)
{
    return connection_remote(link->connection);
}

uint64_t peer_link_heard_us(const struct peer_link *link)
{
    return connection_heard_us(link->connection);
}
