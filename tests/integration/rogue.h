/* A server's peer by hand: what a test needs to say anything at all to the peer protocol, with or
 * without knowing the secret. Every call has a deadline. */
#ifndef TESTS_INTEGRATION_ROGUE_H
#define TESTS_INTEGRATION_ROGUE_H

#include "server/net/handshake.h"
#include "tests/support/wire.h"

struct rogue {
    struct wire wire;
    struct handshake handshake;
    struct seal *sent_seal; /* NULL = checksums */
    struct seal *came_seal;
    struct error error; /* why the handshake failed */
};

struct rogue_options {
    const char *secret; /* "" = none */
    struct handshake_identity identity;
    Peer__Channel channel;
    struct handshake_target target;
};

/* An identity of this format with no cluster. */
struct handshake_identity rogue_identity(uint64_t id);
/* Connect and go through the handshake. False: refused, or closed without a word; `error` tells. */
bool rogue_connect(struct rogue *rogue, const char *address, const struct rogue_options *options);
/* Only the preface and what follows it, no handshake. */
bool rogue_begin(struct rogue *rogue, const char *address);
void rogue_close(struct rogue *rogue);
/* Who the server at `address` is, as it says on the PROBE channel. */
bool rogue_ask_identity(const char *address,
                        const char *secret,
                        struct handshake_identity *ret_identity);

/* One frame, sealed as the handshake wants it. */
bool rogue_send(struct rogue *rogue, struct bytes body);
bool rogue_send_message(struct rogue *rogue, const Peer__PeerMessage *message);
/* The next frame; false at the deadline or the end of the connection. */
bool rogue_receive(struct rogue *rogue, struct buffer *body, unsigned deadline_ms);

#endif
