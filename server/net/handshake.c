#include "server/net/handshake.h"

#include "base/check.h"

#include <inttypes.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>

#define PROOF_LABEL      "confer peer handshake 1"
#define FRAME_LABEL      "confer peer frames 1"
#define SUPERSEDED_LABEL "confer peer superseded 1"

_Static_assert((int)HANDSHAKE_PROOF_BYTES == (int)SEAL_KEY_BYTES, "proofs and keys are made alike");

enum { ROLE_DIALLER = 1, ROLE_ACCEPTOR = 2 };

const char *handshake_channel_name(Peer__Channel channel)
{
    switch ((int)channel) {
    case PEER__CHANNEL__CONTROL:
        return "control";
    case PEER__CHANNEL__BULK:
        return "bulk";
    case PEER__CHANNEL__PROBE:
        return "probe";
    default:
        return "unknown";
    }
}

/* --- Messages --- */

static ProtobufCBinaryData binary(const uint8_t *data, size_t size)
{
    /* protobuf-c has no const here; packing does not write. */
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = data};

    return (ProtobufCBinaryData){.data = pointer.out, .len = size};
}

void handshake_identity_message(const struct handshake_identity *from, Peer__Identity *identity)
{
    union {
        const uint64_t *lent;
        uint64_t *field; /* as in binary */
    } start = {.lent = from->starts};

    peer__identity__init(identity);
    identity->id = from->id;
    identity->incarnation = binary(from->incarnation, HANDSHAKE_ID_BYTES);
    if (from->has_cluster) {
        identity->cluster_id = binary(from->cluster_id, HANDSHAKE_ID_BYTES);
    }
    identity->format = from->format;
    identity->start_count = from->start_count;
    identity->starts = start.field;
    identity->n_starts = from->start_known;
    identity->term = from->term;
    identity->last = from->last;
    identity->named_at = from->named_at;
}

static void put_message(struct buffer *out, const Peer__PeerMessage *message)
{
    size_t size = peer__peer_message__get_packed_size(message);

    (void)peer__peer_message__pack(message, buffer_extend(out, size));
}

/* What an end that refuses says of the other one's data folder. */
struct superseded {
    bool is_so;
    uint8_t proof[HANDSHAKE_PROOF_BYTES];
    ProtobufCBinaryData proof_lent;
};

static void
put_accepted(struct buffer *out, const char *refusal, const struct superseded *superseded)
{
    Peer__Accepted accepted;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    char text[ERROR_TEXT_BYTES_MAX];

    peer__accepted__init(&accepted);
    (void)snprintf(text, sizeof text, "%s", refusal);
    accepted.refusal = text;
    accepted.superseded = superseded->is_so;
    accepted.superseded_proof = superseded->proof_lent;
    message.body_case = PEER__PEER_MESSAGE__BODY_ACCEPTED;
    message.accepted = &accepted;
    put_message(out, &message);
}

/* Everything fails here: the other side is told with `out` (acceptor only), the owner with `error`.
 */
static enum status fail(struct handshake *handshake,
                        struct buffer *out,
                        struct error *error,
                        enum status status,
                        const char *text)
{
    static const struct superseded no;

    handshake->state = HANDSHAKE_FAILED;
    if (!handshake->dials) {
        put_accepted(out, text, &no);
    }
    return error_set(error, status, "%s", text);
}

static bool read_identity(const Peer__Identity *message, struct handshake_identity *ret_identity)
{
    struct handshake_identity identity;

    memset(&identity, 0, sizeof identity);
    if (message == NULL || message->id == 0 || message->incarnation.len != HANDSHAKE_ID_BYTES ||
        (message->cluster_id.len != 0 && message->cluster_id.len != HANDSHAKE_ID_BYTES) ||
        message->n_starts < 1 || message->n_starts > HANDSHAKE_STARTS_MAX ||
        message->n_starts > message->start_count) {
        return false;
    }
    identity.id = message->id;
    memcpy(identity.incarnation, message->incarnation.data, HANDSHAKE_ID_BYTES);
    identity.has_cluster = message->cluster_id.len != 0;
    if (identity.has_cluster) {
        memcpy(identity.cluster_id, message->cluster_id.data, HANDSHAKE_ID_BYTES);
    }
    identity.format = message->format;
    identity.start_count = message->start_count;
    identity.start_known = (uint32_t)message->n_starts;
    memcpy(identity.starts, message->starts, message->n_starts * sizeof identity.starts[0]);
    identity.term = message->term;
    identity.last = message->last;
    identity.named_at = message->named_at;
    *ret_identity = identity;
    return true;
}

/* --- Proofs --- */

static void put_identity(struct buffer *text, const struct handshake_identity *identity)
{
    static const uint8_t none[HANDSHAKE_ID_BYTES];

    buffer_put_u64(text, identity->id);
    buffer_put(text, bytes_of(identity->incarnation, HANDSHAKE_ID_BYTES));
    buffer_put_u8(text, identity->has_cluster ? 1 : 0);
    buffer_put(text,
               bytes_of(identity->has_cluster ? identity->cluster_id : none, HANDSHAKE_ID_BYTES));
    buffer_put_u32(text, identity->format);
    buffer_put_u64(text, identity->start_count);
    buffer_put_u32(text, identity->start_known);
    for (uint32_t i = 0; i < identity->start_known; i++) {
        buffer_put_u64(text, identity->starts[i]);
    }
    buffer_put_u64(text, identity->term);
    buffer_put_u64(text, identity->last);
    buffer_put_u64(text, identity->named_at);
}

/* What only the two ends of this handshake can know: an HMAC over what it is for, whose it is, and
 * all that makes this handshake differ from others. All parts have a fixed size but the label,
 * which ends with a NUL, so no two texts are the same. */
static void derive(const struct handshake *handshake,
                   const char *label,
                   uint8_t role,
                   uint8_t secret[HANDSHAKE_PROOF_BYTES])
{
    static const uint8_t none[HANDSHAKE_ID_BYTES];
    struct buffer text = BUFFER_INIT;
    struct hmac_sha256_ctx mac;

    buffer_put(&text, bytes_of(label, strlen(label) + 1));
    buffer_put_u8(&text, role);
    buffer_put_u32(&text, (uint32_t)handshake->channel);
    buffer_put(&text, bytes_of(handshake->dialler_nonce, HANDSHAKE_NONCE_BYTES));
    buffer_put(&text, bytes_of(handshake->acceptor_nonce, HANDSHAKE_NONCE_BYTES));
    put_identity(&text, handshake->dials ? &handshake->self : &handshake->peer);
    put_identity(&text, handshake->dials ? &handshake->peer : &handshake->self);
    buffer_put_u64(&text, handshake->to);
    buffer_put_u8(&text, handshake->has_to_incarnation ? 1 : 0);
    buffer_put(&text, bytes_of(handshake->has_to_incarnation ? handshake->to_incarnation : none,
                               HANDSHAKE_ID_BYTES));
    hmac_sha256_set_key(&mac, handshake->policy.secret.size, handshake->policy.secret.data);
    hmac_sha256_update(&mac, text.size, text.data);
    hmac_sha256_digest(&mac, HANDSHAKE_PROOF_BYTES, secret);
    explicit_bzero(&mac, sizeof mac);
    buffer_release(&text);
}

void handshake_keys(const struct handshake *handshake,
                    uint8_t sent[SEAL_KEY_BYTES],
                    uint8_t came[SEAL_KEY_BYTES])
{
    CHECK(handshake->state == HANDSHAKE_DONE || handshake->state == HANDSHAKE_PROVEN);
    CHECK_OP(handshake->policy.secret.size, >, 0);
    derive(handshake, FRAME_LABEL, handshake->dials ? ROLE_DIALLER : ROLE_ACCEPTOR, sent);
    derive(handshake, FRAME_LABEL, handshake->dials ? ROLE_ACCEPTOR : ROLE_DIALLER, came);
}

/* Our own proof, empty without a secret. */
static size_t own_proof(const struct handshake *handshake,
                        const char *label,
                        uint8_t proof[HANDSHAKE_PROOF_BYTES])
{
    if (handshake->policy.secret.size == 0) {
        return 0;
    }
    derive(handshake, label, handshake->dials ? ROLE_DIALLER : ROLE_ACCEPTOR, proof);
    return HANDSHAKE_PROOF_BYTES;
}

/* That `proof` is what the peer's own_proof makes. */
static bool
proves(const struct handshake *handshake, const char *label, const ProtobufCBinaryData *proof)
{
    uint8_t expected[HANDSHAKE_PROOF_BYTES];

    if (handshake->policy.secret.size == 0) {
        return proof->len == 0;
    }
    derive(handshake, label, handshake->dials ? ROLE_ACCEPTOR : ROLE_DIALLER, expected);
    return proof->len == sizeof expected && memeql_sec(proof->data, expected, sizeof expected) != 0;
}

/* NULL if `proof` proves it, else what is wrong. */
static const char *check_proof(const struct handshake *handshake, const ProtobufCBinaryData *proof)
{
    if (proves(handshake, PROOF_LABEL, proof)) {
        return NULL;
    }
    if (handshake->policy.secret.size == 0) {
        return "this server has no cluster secret, the other one has: give both the same "
               "--cluster-secret-file";
    }
    if (proof->len == 0) {
        return "the server that connected or answered has no cluster secret: give it the "
               "--cluster-secret-file of the others";
    }
    return "the cluster secrets differ: give both servers the same --cluster-secret-file";
}

static void
make_superseded(const struct handshake *handshake, bool is_so, struct superseded *superseded)
{
    superseded->is_so = is_so;
    superseded->proof_lent = binary(
        superseded->proof, is_so ? own_proof(handshake, SUPERSEDED_LABEL, superseded->proof) : 0);
}

static enum status refused_there(struct handshake *handshake,
                                 const char *refusal,
                                 bool superseded,
                                 const ProtobufCBinaryData *superseded_proof,
                                 struct error *error)
{
    handshake->state = HANDSHAKE_FAILED;
    handshake->is_superseded = superseded && proves(handshake, SUPERSEDED_LABEL, superseded_proof);
    return error_set(error, STATUS_MISMATCH, "refused there: %.400s", refusal);
}

/* --- Checks --- */

static const char *check_reach(const struct handshake *handshake)
{
    if (handshake->policy.secret.size > 0 || handshake->policy.insecure_peers ||
        handshake->remote_is_loopback) {
        return NULL;
    }
    return "without a cluster secret servers meet on one machine only: give all of them the same "
           "--cluster-secret-file (or, in a network where everybody is trusted, --insecure-peers)";
}

static bool same_incarnation(const uint8_t *left, const uint8_t *right)
{
    return memcmp(left, right, HANDSHAKE_ID_BYTES) == 0;
}

/* What both ends ask of the other's identity. */
static const char *check_identity(const struct handshake *handshake, enum status *ret_status)
{
    const struct handshake_identity *self = &handshake->self;
    const struct handshake_identity *peer = &handshake->peer;

    *ret_status = STATUS_MISMATCH;
    if (peer->format > self->format) {
        *ret_status = STATUS_FORMAT;
        return "the other server speaks a newer version than this one: upgrade this one first";
    }
    if (peer->id == self->id && same_incarnation(peer->incarnation, self->incarnation)) {
        return "this address leads back to the same server";
    }
    if (handshake->channel == PEER__CHANNEL__PROBE) {
        return NULL;
    }
    if (peer->id == self->id) {
        return "two servers have the same --id";
    }
    if (self->has_cluster && peer->has_cluster &&
        memcmp(self->cluster_id, peer->cluster_id, HANDSHAKE_ID_BYTES) != 0) {
        return "the two servers belong to different clusters: check the addresses; to move a "
               "server "
               "here, start it with an empty data folder";
    }
    return NULL;
}

static const char *say_other_folder(uint64_t id, char *text, size_t text_bytes)
{
    (void)snprintf(text, text_bytes,
                   "server %" PRIu64
                   " has another data folder than the cluster knows: give it its own, or, if that "
                   "is lost, confer-cli remove-member %" PRIu64
                   ", then confer-cli add-learner --node %" PRIu64 "=HOST:PORT --promote",
                   id, id, id);
    return text;
}

/* --- Acceptor --- */

/* Whom the dialler asked for. NULL if that is us. */
static const char *check_addressee(const struct handshake *handshake, char *text, size_t text_bytes)
{
    if (handshake->to == 0 && handshake->channel == PEER__CHANNEL__PROBE) {
        return NULL;
    }
    if (handshake->to != handshake->self.id) {
        (void)snprintf(text, text_bytes,
                       "server %" PRIu64 " is here, not %" PRIu64 ": check the addresses",
                       handshake->self.id, handshake->to);
        return text;
    }
    if (!handshake->has_to_incarnation) {
        return handshake->channel == PEER__CHANNEL__PROBE ? NULL
                                                          : "the incarnation asked for is missing";
    }
    if (!handshake_knows_our_incarnation(handshake)) {
        return say_other_folder(handshake->self.id, text, text_bytes);
    }
    return NULL;
}

static enum status receive_hello(struct handshake *handshake,
                                 const Peer__Hello *hello,
                                 struct buffer *out,
                                 struct error *error)
{
    Peer__Identity identity;
    Peer__Welcome welcome = PEER__WELCOME__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    uint8_t proof[HANDSHAKE_PROOF_BYTES];
    char text[ERROR_TEXT_BYTES_MAX];
    enum status status = STATUS_MISMATCH;
    const char *refusal;

    if (!read_identity(hello->from, &handshake->peer) ||
        hello->nonce.len != HANDSHAKE_NONCE_BYTES ||
        (hello->to_incarnation.len != 0 && hello->to_incarnation.len != HANDSHAKE_ID_BYTES) ||
        (int)hello->channel < PEER__CHANNEL__CONTROL ||
        (int)hello->channel > PEER__CHANNEL__PROBE) {
        return fail(handshake, out, error, STATUS_INVALID, "the Hello is malformed");
    }
    handshake->channel = hello->channel;
    handshake->to = hello->to;
    handshake->has_to_incarnation = hello->to_incarnation.len != 0;
    if (handshake->has_to_incarnation) {
        memcpy(handshake->to_incarnation, hello->to_incarnation.data, HANDSHAKE_ID_BYTES);
    }
    memcpy(handshake->dialler_nonce, hello->nonce.data, HANDSHAKE_NONCE_BYTES);
    refusal = check_reach(handshake);
    if (refusal == NULL) {
        refusal = check_identity(handshake, &status);
    }
    if (refusal == NULL) {
        status = STATUS_MISMATCH;
        refusal = check_addressee(handshake, text, sizeof text);
    }
    if (refusal != NULL) {
        return fail(handshake, out, error, status, refusal);
    }
    handshake_identity_message(&handshake->self, &identity);
    welcome.from = &identity;
    welcome.nonce = binary(handshake->acceptor_nonce, HANDSHAKE_NONCE_BYTES);
    welcome.proof = binary(proof, own_proof(handshake, PROOF_LABEL, proof));
    message.body_case = PEER__PEER_MESSAGE__BODY_WELCOME;
    message.welcome = &welcome;
    put_message(out, &message);
    handshake->state = HANDSHAKE_WAITS_FOR_PROOF;
    return STATUS_OK;
}

static enum status receive_proof(struct handshake *handshake,
                                 const Peer__Proof *proof,
                                 struct buffer *out,
                                 struct error *error)
{
    const char *refusal = check_proof(handshake, &proof->proof);

    if (refusal != NULL) {
        return fail(handshake, out, error, STATUS_MISMATCH, refusal);
    }
    if (proof->refusal[0] != '\0') {
        return refused_there(handshake, proof->refusal, proof->superseded, &proof->superseded_proof,
                             error);
    }
    handshake->state = HANDSHAKE_PROVEN;
    return STATUS_OK;
}

/* --- Dialler --- */

static const char *check_target(const struct handshake *handshake, char *text, size_t text_bytes)
{
    const struct handshake_identity *peer = &handshake->peer;

    if (handshake->to != 0 && peer->id != handshake->to) {
        (void)snprintf(text, text_bytes,
                       "server %" PRIu64 " answers there, not %" PRIu64 ": check the addresses",
                       peer->id, handshake->to);
        return text;
    }
    if (handshake->has_to_incarnation &&
        !same_incarnation(peer->incarnation, handshake->to_incarnation)) {
        return say_other_folder(peer->id, text, text_bytes);
    }
    return NULL;
}

static void put_proof(const struct handshake *handshake,
                      const char *refusal,
                      const struct superseded *superseded,
                      struct buffer *out)
{
    Peer__Proof proof;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;
    uint8_t bytes[HANDSHAKE_PROOF_BYTES];
    char text[ERROR_TEXT_BYTES_MAX];

    peer__proof__init(&proof);
    (void)snprintf(text, sizeof text, "%s", refusal);
    proof.proof = binary(bytes, own_proof(handshake, PROOF_LABEL, bytes));
    proof.refusal = text;
    proof.superseded = superseded->is_so;
    proof.superseded_proof = superseded->proof_lent;
    message.body_case = PEER__PEER_MESSAGE__BODY_PROOF;
    message.proof = &proof;
    put_message(out, &message);
}

static enum status receive_welcome(struct handshake *handshake,
                                   const Peer__Welcome *welcome,
                                   struct buffer *out,
                                   struct error *error)
{
    char text[ERROR_TEXT_BYTES_MAX];
    enum status status = STATUS_MISMATCH;
    const char *refusal;

    if (!read_identity(welcome->from, &handshake->peer) ||
        welcome->nonce.len != HANDSHAKE_NONCE_BYTES) {
        return fail(handshake, out, error, STATUS_INVALID, "the Welcome is malformed");
    }
    memcpy(handshake->acceptor_nonce, welcome->nonce.data, HANDSHAKE_NONCE_BYTES);
    refusal = check_reach(handshake);
    if (refusal == NULL) {
        refusal = check_proof(handshake, &welcome->proof);
    }
    if (refusal == NULL) {
        refusal = check_identity(handshake, &status);
    }
    if (refusal == NULL) {
        refusal = check_target(handshake, text, sizeof text);
    }
    if (refusal != NULL) {
        return fail(handshake, out, error, status, refusal);
    }
    handshake->state = HANDSHAKE_PROVEN;
    return STATUS_OK;
}

/* May come at any time after Hello: a refusal does not wait for the proof. */
static enum status
receive_accepted(struct handshake *handshake, const Peer__Accepted *accepted, struct error *error)
{
    if (accepted->refusal[0] != '\0') {
        return refused_there(handshake, accepted->refusal,
                             accepted->superseded &&
                                 handshake->state == HANDSHAKE_WAITS_FOR_ACCEPTED,
                             &accepted->superseded_proof, error);
    }
    if (handshake->state != HANDSHAKE_WAITS_FOR_ACCEPTED) {
        handshake->state = HANDSHAKE_FAILED;
        return error_set(error, STATUS_INVALID, "accepted before anything was proven");
    }
    handshake->state = HANDSHAKE_DONE;
    return STATUS_OK;
}

/* --- Both --- */

void handshake_decide(struct handshake *handshake,
                      enum handshake_verdict verdict,
                      const char *refusal,
                      struct buffer *out)
{
    const char *text = verdict == HANDSHAKE_ADMITTED ? "" : refusal;
    struct superseded superseded;

    CHECK(handshake->state == HANDSHAKE_PROVEN);
    CHECK(verdict == HANDSHAKE_ADMITTED || text[0] != '\0');
    make_superseded(handshake, verdict == HANDSHAKE_SUPERSEDED, &superseded);
    if (handshake->dials) {
        put_proof(handshake, text, &superseded, out);
    } else {
        put_accepted(out, text, &superseded);
    }
    if (verdict != HANDSHAKE_ADMITTED) {
        handshake->state = HANDSHAKE_FAILED;
    } else {
        handshake->state = handshake->dials ? HANDSHAKE_WAITS_FOR_ACCEPTED : HANDSHAKE_DONE;
    }
}

bool handshake_knows_our_incarnation(const struct handshake *handshake)
{
    return handshake->has_to_incarnation &&
           same_incarnation(handshake->to_incarnation, handshake->self.incarnation);
}

void handshake_dial(struct handshake *handshake,
                    const struct handshake_policy *policy,
                    bool remote_is_loopback,
                    const struct handshake_identity *self,
                    Peer__Channel channel,
                    const struct handshake_target *target,
                    const uint8_t nonce[HANDSHAKE_NONCE_BYTES],
                    struct buffer *out)
{
    Peer__Identity identity;
    Peer__Hello hello = PEER__HELLO__INIT;
    Peer__PeerMessage message = PEER__PEER_MESSAGE__INIT;

    *handshake = (struct handshake){.state = HANDSHAKE_WAITS_FOR_WELCOME,
                                    .dials = true,
                                    .policy = *policy,
                                    .remote_is_loopback = remote_is_loopback,
                                    .self = *self,
                                    .channel = channel,
                                    .to = target->id,
                                    .has_to_incarnation = target->incarnation != NULL};
    memcpy(handshake->dialler_nonce, nonce, HANDSHAKE_NONCE_BYTES);
    handshake_identity_message(self, &identity);
    hello.from = &identity;
    hello.to = target->id;
    if (target->incarnation != NULL) {
        memcpy(handshake->to_incarnation, target->incarnation, HANDSHAKE_ID_BYTES);
        hello.to_incarnation = binary(handshake->to_incarnation, HANDSHAKE_ID_BYTES);
    }
    hello.nonce = binary(nonce, HANDSHAKE_NONCE_BYTES);
    hello.channel = channel;
    message.body_case = PEER__PEER_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    put_message(out, &message);
}

void handshake_accept(struct handshake *handshake,
                      const struct handshake_policy *policy,
                      bool remote_is_loopback,
                      const struct handshake_identity *self,
                      const uint8_t nonce[HANDSHAKE_NONCE_BYTES])
{
    *handshake = (struct handshake){.state = HANDSHAKE_WAITS_FOR_HELLO,
                                    .policy = *policy,
                                    .remote_is_loopback = remote_is_loopback,
                                    .self = *self};
    memcpy(handshake->acceptor_nonce, nonce, HANDSHAKE_NONCE_BYTES);
}

static enum status dispatch(struct handshake *handshake,
                            const Peer__PeerMessage *message,
                            struct buffer *out,
                            struct error *error)
{
    if (message->body_case == PEER__PEER_MESSAGE__BODY_HELLO &&
        handshake->state == HANDSHAKE_WAITS_FOR_HELLO) {
        return receive_hello(handshake, message->hello, out, error);
    }
    if (message->body_case == PEER__PEER_MESSAGE__BODY_PROOF &&
        handshake->state == HANDSHAKE_WAITS_FOR_PROOF) {
        return receive_proof(handshake, message->proof, out, error);
    }
    if (message->body_case == PEER__PEER_MESSAGE__BODY_WELCOME &&
        handshake->state == HANDSHAKE_WAITS_FOR_WELCOME) {
        return receive_welcome(handshake, message->welcome, out, error);
    }
    if (message->body_case == PEER__PEER_MESSAGE__BODY_ACCEPTED && handshake->dials) {
        return receive_accepted(handshake, message->accepted, error);
    }
    return fail(handshake, out, error, STATUS_INVALID,
                "a message that does not belong here in the handshake");
}

enum status handshake_receive(struct handshake *handshake,
                              struct bytes message,
                              struct buffer *out,
                              struct error *error)
{
    Peer__PeerMessage *unpacked = NULL;
    enum status status;

    /* Unpacking takes a small multiple of the message's size, which is small here. */
    if (message.size <= HANDSHAKE_FRAME_BYTES_MAX) {
        unpacked = peer__peer_message__unpack(NULL, message.size, message.data);
    }
    if (unpacked == NULL) {
        return fail(handshake, out, error, STATUS_INVALID, "the handshake is unreadable");
    }
    status = dispatch(handshake, unpacked, out, error);
    peer__peer_message__free_unpacked(unpacked, NULL);
    return status;
}
