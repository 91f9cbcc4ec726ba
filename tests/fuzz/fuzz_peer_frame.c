/* What a stranger can do to a peer connection: a stream of frames into both ends of the handshake.
 * Without the secret nobody gets through, whatever he sends.
 *
 * The first byte chooses the end. The seal of each frame is taken for right, so that the fuzzer
 * need not guess it: the messages are what is tested. */
#include "base/check.h"
#include "proto/frame.h"
#include "server/net/handshake.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct handshake_identity identity(uint64_t id)
{
    struct handshake_identity made = {.id = id,
                                      .has_cluster = true,
                                      .format = HANDSHAKE_FORMAT,
                                      .start_count = 1,
                                      .start_known = 1};

    memset(made.incarnation, (int)id, sizeof made.incarnation);
    memset(made.cluster_id, 0xcc, sizeof made.cluster_id);
    return made;
}

static void begin(struct handshake *handshake, bool dials, struct buffer *out)
{
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {1, 2, 3};
    const struct handshake_policy policy = {.secret = bytes_of_text("nobody knows")};
    const struct handshake_identity self = identity(2);
    const struct handshake_identity other = identity(1);
    const struct handshake_target target = {.id = other.id, .incarnation = other.incarnation};

    if (dials) {
        handshake_dial(handshake, &policy, true, &self, PEER__CHANNEL__CONTROL, &target, nonce,
                       out);
    } else {
        handshake_accept(handshake, &policy, true, &self, nonce);
    }
}

static void receive(struct handshake *handshake, struct bytes message)
{
    struct buffer out = BUFFER_INIT;
    struct error error;
    enum status status = handshake_receive(handshake, message, &out, &error);

    CHECK((status == STATUS_OK) == (handshake->state != HANDSHAKE_FAILED));
    CHECK(handshake->state != HANDSHAKE_PROVEN);
    CHECK(handshake->state != HANDSHAKE_DONE);
    CHECK(!handshake->is_superseded);
    if (out.size > 0) {
        Peer__PeerMessage *answer = peer__peer_message__unpack(NULL, out.size, out.data);

        CHECK(answer != NULL);
        CHECK(answer->body_case != PEER__PEER_MESSAGE__BODY__NOT_SET);
        peer__peer_message__free_unpacked(answer, NULL);
    }
    buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(bytes_of(data, size));
    struct handshake handshake;
    struct buffer out = BUFFER_INIT;
    uint8_t choice = 0;
    struct bytes head;

    if (reader_u8(&reader, &choice) != STATUS_OK) {
        return 0;
    }
    begin(&handshake, (choice & 1) != 0, &out);
    while (handshake.state != HANDSHAKE_FAILED &&
           reader_lend(&reader, FRAME_PEER_HEAD_BYTES, &head) == STATUS_OK) {
        uint32_t body_bytes = 0;
        uint64_t seal = 0;
        struct bytes body;

        if (frame_peer_head(head.data, &body_bytes, &seal) != STATUS_OK ||
            reader_lend(&reader, body_bytes, &body) != STATUS_OK) {
            break;
        }
        receive(&handshake, body);
    }
    buffer_release(&out);
    return 0;
}
