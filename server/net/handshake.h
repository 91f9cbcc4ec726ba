/* The handshake between servers: each side proves that it knows the cluster's secret and learns
 * whom it speaks with. Messages in, messages out; no sockets.
 *
 *     dialler                                    acceptor
 *     Hello(who, to whom, nonce)            -->
 *                                           <--  Welcome(who, nonce, proof)
 *     asks its owner
 *     Proof(proof, refusal or nothing)      -->  asks its owner whether the peer is welcome
 *                                           <--  Accepted(refusal or nothing)
 *
 * An owner that finds the other one's data folder to be an old copy says so, with a proof over one
 * more label: nobody without the secret can end a server by saying so.
 *
 * A proof is HMAC-SHA256 (RFC 2104) over a label, the prover's role, channel, both nonces, both
 * identities and the addressee. The roles make a proof useless for the other direction, the nonces
 * make an old one useless. The frames after the handshake are sealed (seal.h) with keys made the
 * same way, so that who relays a handshake gains nothing. Without a secret the proofs are empty,
 * and both ends insist that the other one is on this machine, unless `insecure_peers`. */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include "base/bytes.h"
#include "base/error.h"
#include "proto/peer.pb-c.h"
#include "server/net/seal.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HANDSHAKE_ID_BYTES = 16, /* incarnation, cluster */
    HANDSHAKE_NONCE_BYTES = 32,
    HANDSHAKE_PROOF_BYTES = 32,
    HANDSHAKE_STARTS_MAX = 64,
    HANDSHAKE_FORMAT = 1,
    /* Longest frame before the handshake is done. */
    HANDSHAKE_FRAME_BYTES_MAX = 4096
};

struct handshake_identity {
    uint64_t id;
    uint8_t incarnation[HANDSHAKE_ID_BYTES];
    bool has_cluster;
    uint8_t cluster_id[HANDSHAKE_ID_BYTES];
    uint32_t format;
    /* Of the data folder; see Identity in peer.proto. */
    uint64_t start_count;
    uint64_t starts[HANDSHAKE_STARTS_MAX];
    uint32_t start_known; /* at least 1 */
    uint64_t term;
    uint64_t last;
    uint64_t named_at;
};

/* `identity` points into `from` and is valid as long as that. */
void handshake_identity_message(const struct handshake_identity *from, Peer__Identity *identity);

struct handshake_policy {
    struct bytes secret; /* lent for as long as handshakes run; empty = none */
    bool insecure_peers;
};

enum handshake_state {
    HANDSHAKE_WAITS_FOR_HELLO,    /* acceptor */
    HANDSHAKE_WAITS_FOR_PROOF,    /* acceptor: Welcome was sent */
    HANDSHAKE_PROVEN,             /* its owner decides, handshake_decide */
    HANDSHAKE_WAITS_FOR_WELCOME,  /* dialler: Hello was sent */
    HANDSHAKE_WAITS_FOR_ACCEPTED, /* dialler: Proof was sent */
    HANDSHAKE_DONE,
    HANDSHAKE_FAILED
};

enum handshake_verdict {
    HANDSHAKE_ADMITTED,
    HANDSHAKE_REFUSED,
    HANDSHAKE_SUPERSEDED /* refused because its data folder is an old copy */
};

struct handshake {
    enum handshake_state state;
    bool dials;
    bool is_superseded; /* FAILED: the peer, proven, says so of our data folder */
    struct handshake_policy policy;
    bool remote_is_loopback;
    struct handshake_identity self;
    struct handshake_identity peer; /* believed from PROVEN or DONE on */
    Peer__Channel channel;
    uint64_t to; /* as in Hello */
    bool has_to_incarnation;
    uint8_t to_incarnation[HANDSHAKE_ID_BYTES];
    uint8_t dialler_nonce[HANDSHAKE_NONCE_BYTES];
    uint8_t acceptor_nonce[HANDSHAKE_NONCE_BYTES];
};

/* Whom to meet; id 0 and no incarnation on the PROBE channel. */
struct handshake_target {
    uint64_t id;
    const uint8_t *incarnation;
};

/* `nonce` is fresh from the kernel. Puts Hello into `out`. */
void handshake_dial(struct handshake *handshake,
                    const struct handshake_policy *policy,
                    bool remote_is_loopback,
                    const struct handshake_identity *self,
                    Peer__Channel channel,
                    const struct handshake_target *target,
                    const uint8_t nonce[HANDSHAKE_NONCE_BYTES],
                    struct buffer *out);
void handshake_accept(struct handshake *handshake,
                      const struct handshake_policy *policy,
                      bool remote_is_loopback,
                      const struct handshake_identity *self,
                      const uint8_t nonce[HANDSHAKE_NONCE_BYTES]);

/* Take one message; an answer, if any, is put into `out` (one message, to be sent even when this
 * fails: it tells the other side why). The state says how far it is.
 * INVALID   unreadable, or not the message that must come now.
 * MISMATCH  the other one is not whom it should be, or refuses us, or does not know the secret.
 * FORMAT    it is newer than we are. After a failure only close. */
MUST_CHECK enum status handshake_receive(struct handshake *handshake,
                                         struct bytes message,
                                         struct buffer *out,
                                         struct error *error);
/* In state PROVEN: admit (`refusal` is not looked at; then DONE, or for the dialler
 * WAITS_FOR_ACCEPTED), or refuse (then FAILED). */
void handshake_decide(struct handshake *handshake,
                      enum handshake_verdict verdict,
                      const char *refusal,
                      struct buffer *out);

/* In state DONE or PROVEN, with a secret: the keys of the frames that we send and of those that
 * come. Both ends know them and, as they follow from secret and nonces, nobody else ever does. */
void handshake_keys(const struct handshake *handshake,
                    uint8_t sent[SEAL_KEY_BYTES],
                    uint8_t came[SEAL_KEY_BYTES]);

/* The dialler of this handshake named our incarnation in its Hello. */
bool handshake_knows_our_incarnation(const struct handshake *handshake);

const char *handshake_channel_name(Peer__Channel channel);

#endif
