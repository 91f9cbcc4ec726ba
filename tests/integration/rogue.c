#include "tests/integration/rogue.h"

#include "proto/frame.h"
#include "server/node/node.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <string.h>
#include <sys/random.h>

struct handshake_identity rogue_identity(uint64_t id)
{
    struct handshake_identity identity = {
        .id = id, .format = NODE_FORMAT, .start_count = 1, .start_known = 1, .starts = {id}};

    memset(identity.incarnation, (int)id, sizeof identity.incarnation);
    return identity;
}

bool rogue_begin(struct rogue *rogue, const char *address)
{
    memset(rogue, 0, sizeof *rogue);
    return wire_connect(&rogue->wire, address) &&
           wire_send(&rogue->wire, bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
}

void rogue_close(struct rogue *rogue)
{
    wire_close(&rogue->wire);
    seal_free(rogue->sent_seal);
    seal_free(rogue->came_seal);
    rogue->sent_seal = NULL;
    rogue->came_seal = NULL;
}

bool rogue_send(struct rogue *rogue, struct bytes body)
{
    uint8_t head[FRAME_PEER_HEAD_BYTES];

    frame_peer_put_head(head, body.size, seal_next(rogue->sent_seal, body));
    return wire_send(&rogue->wire, bytes_of(head, sizeof head)) && wire_send(&rogue->wire, body);
}

bool rogue_send_message(struct rogue *rogue, const Peer__PeerMessage *message)
{
    struct buffer body = BUFFER_INIT;
    size_t size = peer__peer_message__get_packed_size(message);
    bool sent;

    (void)peer__peer_message__pack(message, buffer_extend(&body, size));
    sent = rogue_send(rogue, buffer_lend(&body));
    buffer_release(&body);
    return sent;
}

bool rogue_receive(struct rogue *rogue, struct buffer *body, unsigned deadline_ms)
{
    uint8_t head[FRAME_PEER_HEAD_BYTES];
    uint32_t size = 0;
    uint64_t seal = 0;

    buffer_clear(body);
    return wire_receive(&rogue->wire, head, sizeof head, deadline_ms) &&
           frame_peer_head(head, &size, &seal) == STATUS_OK &&
           wire_receive(&rogue->wire, buffer_extend(body, size), size, deadline_ms) &&
           seal_holds(rogue->came_seal, buffer_lend(body), seal);
}

static void set_seals(struct rogue *rogue)
{
    uint8_t sent[SEAL_KEY_BYTES];
    uint8_t came[SEAL_KEY_BYTES];

    if (rogue->handshake.policy.secret.size > 0) {
        handshake_keys(&rogue->handshake, sent, came);
        rogue->sent_seal = seal_new(sent);
        rogue->came_seal = seal_new(came);
    }
}

bool rogue_connect(struct rogue *rogue, const char *address, const struct rogue_options *options)
{
    const struct handshake_policy policy = {.secret = bytes_of_text(options->secret)};
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    struct buffer in = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    bool goes_on = rogue_begin(rogue, address);

    EXPECT_EQ(getrandom(nonce, sizeof nonce, 0), sizeof nonce);
    handshake_dial(&rogue->handshake, &policy, true, &options->identity, options->channel,
                   &options->target, nonce, &out);
    (void)error_set(&rogue->error, STATUS_CLOSED, "closed without a word");
    while (goes_on && rogue->handshake.state != HANDSHAKE_DONE) {
        goes_on = (out.size == 0 || rogue_send(rogue, buffer_lend(&out))) &&
                  rogue_receive(rogue, &in, CLUSTER_DEADLINE_MS);
        buffer_clear(&out);
        goes_on = goes_on && handshake_receive(&rogue->handshake, buffer_lend(&in), &out,
                                               &rogue->error) == STATUS_OK;
        if (goes_on && rogue->handshake.state == HANDSHAKE_PROVEN) {
            handshake_decide(&rogue->handshake, HANDSHAKE_ADMITTED, NULL, &out);
        }
    }
    buffer_release(&in);
    buffer_release(&out);
    if (!goes_on) {
        rogue_close(rogue);
        return false;
    }
    set_seals(rogue);
    return true;
}

bool rogue_ask_identity(const char *address,
                        const char *secret,
                        struct handshake_identity *ret_identity)
{
    const struct rogue_options options = {
        .secret = secret, .identity = rogue_identity(1000), .channel = PEER__CHANNEL__PROBE};
    struct rogue rogue;
    bool answered = rogue_connect(&rogue, address, &options);

    if (answered) {
        *ret_identity = rogue.handshake.peer;
    }
    rogue_close(&rogue);
    return answered;
}
