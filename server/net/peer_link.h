/* One connection to another server: frames, handshake, then messages. What the messages mean and
 * which link is kept is its owner's business (peers, probes). Main thread. */
#ifndef NET_PEER_LINK_H
#define NET_PEER_LINK_H

#include "server/net/connection.h"
#include "server/net/handshake.h"

struct peer_link;

enum {
    /* Messages that wait on one link; what does not fit is dropped (Raft sends again). */
    PEER_LINK_QUEUE_BYTES_MAX = 32 * 1024 * 1024
};

/* What all links share; outlives them. */
struct peer_link_world {
    struct connection_loop *loop;
    struct handshake_policy policy;
    /* Who we are, asked anew for each handshake: a fresh server gets its cluster while running. */
    struct handshake_identity (*self)(void *context);
    void *self_context;
};

struct peer_link_handler {
    /* The peer has proven itself; other than ADMITTED, with words, to turn it away. */
    enum handshake_verdict (*admit)(void *context,
                                    struct peer_link *link,
                                    char refusal[ERROR_TEXT_BYTES_MAX]);
    void (*on_up)(void *context, struct peer_link *link);
    /* Other than OK: the link is closed. */
    enum status (*on_message)(void *context, struct peer_link *link, struct bytes message);
    /* The last call; the link is freed afterwards. It may never have been up. `status` is CLOSED
     * or, when the handshake failed, why. Never called from inside a function of this unit. */
    void (*on_down)(void *context, struct peer_link *link, enum status status, const char *reason);
};

/* Takes over a connected socket and starts the handshake. */
struct peer_link *peer_link_dial(const struct peer_link_world *world,
                                 int socket,
                                 const struct socket_address *remote,
                                 Peer__Channel channel,
                                 const struct handshake_target *target,
                                 const struct peer_link_handler *handler,
                                 void *context);
/* Takes over an accepted connection in state PREFACE. */
struct peer_link *peer_link_accept(const struct peer_link_world *world,
                                   struct connection *connection,
                                   const struct peer_link_handler *handler,
                                   void *context);
void peer_link_set_handler(struct peer_link *link,
                           const struct peer_link_handler *handler,
                           void *context);

/* A copy of the message is queued; false: not up, or the queue is full. `is_late` as in
 * connection_send_peer_frame. */
bool peer_link_send(struct peer_link *link, struct bytes message, bool is_late);
void peer_link_close(struct peer_link *link, const char *reason);
/* Send what waits, take what still comes, until the other side has done the same. */
void peer_link_retire(struct peer_link *link);
/* Send what waits, then close. */
void peer_link_finish(struct peer_link *link, const char *reason);

bool peer_link_is_up(const struct peer_link *link);
bool peer_link_is_dialled(const struct peer_link *link);
/* Whom it is with: known from the start for a dialled link that is no probe, else from admit on. */
uint64_t peer_link_peer_id(const struct peer_link *link);
Peer__Channel peer_link_channel(const struct peer_link *link);
/* Valid from admit (accepted) or on_up (dialled) on. */
const struct handshake *peer_link_handshake(const struct peer_link *link);
const struct socket_address *peer_link_remote(const struct peer_link *link);
uint64_t peer_link_heard_us(const struct peer_link *link);

#endif
