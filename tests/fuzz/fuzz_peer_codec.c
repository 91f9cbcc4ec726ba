/* Bytes as a message between members: what is taken is legal for the core, and the same after being
 * packed and read again. */
#include "base/check.h"
#include "server/node/config_codec.h"
#include "server/node/peer_codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRY_BYTES_MAX = 4096 };

static void pack_message(const Peer__PeerMessage *message, struct buffer *to)
{
    size_t size = peer__peer_message__get_packed_size(message);

    (void)peer__peer_message__pack(message, buffer_extend(to, size + 1));
    to->size = size;
}

/* What protobuf-c makes of the same bytes is the same, field by field. */
static Peer__PeerMessage *read_message(struct bytes packed, struct arena *arena)
{
    Peer__PeerMessage *message = peer_codec_read(packed, arena);
    Peer__PeerMessage *model = peer__peer_message__unpack(NULL, packed.size, packed.data);
    struct buffer one = BUFFER_INIT;
    struct buffer other = BUFFER_INIT;

    CHECK(model == NULL || message != NULL);
    if (model != NULL) {
        pack_message(message, &one);
        pack_message(model, &other);
        CHECK(bytes_equal(buffer_lend(&one), buffer_lend(&other)));
        peer__peer_message__free_unpacked(model, NULL);
    }
    buffer_release(&one);
    buffer_release(&other);
    return message;
}

static bool is_raft(const Peer__PeerMessage *wire)
{
    return wire != NULL && wire->body_case == PEER__PEER_MESSAGE__BODY_RAFT;
}

static void
pack(const struct raft_message *message, const struct bytes *payloads, struct buffer *to)
{
    bool append = message->type == RAFT_APPEND;

    peer_codec_pack_raft(message, append ? message->append.entries : NULL, payloads, to);
}

static void
check_again(const struct raft_message *message, const struct bytes *payloads, struct arena *arena)
{
    struct buffer once = BUFFER_INIT;
    struct buffer twice = BUFFER_INIT;
    struct raft_message again;
    const struct bytes *payloads_again = NULL;
    Peer__PeerMessage *wire;

    pack(message, payloads, &once);
    wire = read_message(buffer_lend(&once), arena);
    CHECK(is_raft(wire));
    CHECK(peer_codec_read_raft(wire->raft, 1, 2, ENTRY_BYTES_MAX, arena, &again, &payloads_again) ==
          STATUS_OK);
    CHECK(again.type == message->type && again.term == message->term);
    pack(&again, payloads_again, &twice);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    buffer_release(&once);
    buffer_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Peer__PeerMessage *wire;
    struct raft_message message;
    const struct bytes *payloads = NULL;
    struct arena arena;

    arena_init(&arena);
    wire = read_message(bytes_of(data, size), &arena);
    if (is_raft(wire) && peer_codec_read_raft(wire->raft, 1, 2, ENTRY_BYTES_MAX, &arena, &message,
                                              &payloads) == STATUS_OK) {
        CHECK(raft_message_validate(&message, ENTRY_BYTES_MAX) == STATUS_OK);
        CHECK(message.from == 1 && message.to == 2);
        check_again(&message, payloads, &arena);
    }
    arena_release(&arena);
    return 0;
}
