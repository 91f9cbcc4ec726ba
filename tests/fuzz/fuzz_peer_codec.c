/* Bytes as a message between members: what is taken is legal for the core, and the same after being
 * packed and read again. */
#include "base/check.h"
#include "server/node/config_codec.h"
#include "server/node/peer_codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRY_BYTES_MAX = 4096 };

static Peer__PeerMessage *unpack(struct bytes packed)
{
    return peer__peer_message__unpack(NULL, packed.size, packed.data);
}

static bool is_raft(const Peer__PeerMessage *wire)
{
    return wire != NULL && wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT;
}

static void pack(const struct raft_message *message,
                 const struct bytes *payloads,
                 struct arena *arena,
                 struct buffer *to)
{
    bool append = message->type == RAFT_APPEND;

    peer_codec_pack_raft(message, append ? message->append.entries : NULL, payloads, arena, to);
}

static void
check_again(const struct raft_message *message, const struct bytes *payloads, struct arena *arena)
{
    struct buffer once = BUFFER_INIT;
    struct buffer twice = BUFFER_INIT;
    struct raft_message again;
    const struct bytes *payloads_again = NULL;
    Peer__PeerMessage *wire;

    pack(message, payloads, arena, &once);
    wire = unpack(buffer_lend(&once));
    CHECK(is_raft(wire));
    CHECK(peer_codec_read_raft(wire->raft, 1, 2, ENTRY_BYTES_MAX, arena, &again, &payloads_again) ==
          STATUS_OK);
    CHECK(again.type == message->type && again.term == message->term);
    pack(&again, payloads_again, arena, &twice);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    peer__peer_message__free_unpacked(wire, NULL);
    buffer_release(&once);
    buffer_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Peer__PeerMessage *wire = unpack(bytes_of(data, size));
    struct raft_message message;
    const struct bytes *payloads = NULL;
    struct arena arena;

    arena_init(&arena);
    if (is_raft(wire) && peer_codec_read_raft(wire->raft, 1, 2, ENTRY_BYTES_MAX, &arena, &message,
                                              &payloads) == STATUS_OK) {
        CHECK(raft_message_validate(&message, ENTRY_BYTES_MAX) == STATUS_OK);
        CHECK(message.from == 1 && message.to == 2);
        check_again(&message, payloads, &arena);
    }
    arena_release(&arena);
    if (wire != NULL) {
        peer__peer_message__free_unpacked(wire, NULL);
    }
    return 0;
}
