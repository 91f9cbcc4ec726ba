#include "server/node/peer_codec.h"

#include "base/check.h"
#include "proto/arena_allocator.h"
#include "proto/field.h"
#include "proto/message_read.h"
#include "server/node/config_codec.h"

#include <string.h>

void peer_codec_pack(const Peer__PeerMessage *message, struct buffer *buffer)
{
    (void)peer__peer_message__pack(
        message, buffer_extend(buffer, peer__peer_message__get_packed_size(message)));
}

/* What one message has at most within it: the entries of an APPEND, or a report with all members.
 */
enum { MESSAGES_MAX = RAFT_MESSAGE_ENTRIES_MAX + RAFT_MEMBERS_MAX + 16 };

/* Entries stand last in a RaftMessage and are most of what servers say to each other, so they are
 * written field by field, behind what protobuf-c packs. */
enum { RAFT_MESSAGE_ENTRIES = 10, ENTRY_TERM = 1, ENTRY_TYPE, ENTRY_PAYLOAD };

static size_t entry_bytes(const struct raft_entry *entry, struct bytes payload)
{
    return field_number_bytes(ENTRY_TERM, entry->term) +
           field_number_bytes(ENTRY_TYPE, (uint64_t)entry->type) +
           field_bytes_bytes(ENTRY_PAYLOAD, payload);
}

static uint8_t *put_entry(uint8_t *to, const struct raft_entry *entry, struct bytes payload)
{
    to = field_put_message_head(to, RAFT_MESSAGE_ENTRIES, entry_bytes(entry, payload));
    to = field_put_number(to, ENTRY_TERM, entry->term);
    to = field_put_number(to, ENTRY_TYPE, (uint64_t)entry->type);
    return field_put_bytes(to, ENTRY_PAYLOAD, payload);
}

static void pack(const Peer__RaftMessage *wire,
                 const struct raft_entry *entries,
                 const struct bytes *payloads,
                 size_t count,
                 struct buffer *buffer)
{
    size_t head_bytes = peer__raft_message__get_packed_size(wire);
    size_t bytes = head_bytes;
    uint8_t *to;

    for (size_t i = 0; i < count; i++) {
        bytes += field_message_bytes(RAFT_MESSAGE_ENTRIES, entry_bytes(&entries[i], payloads[i]));
    }
    to = buffer_extend(buffer, field_message_bytes(PEER__PEER_MESSAGE__BODY_RAFT, bytes));
    to = field_put_message_head(to, PEER__PEER_MESSAGE__BODY_RAFT, bytes);
    to += peer__raft_message__pack(wire, to);
    for (size_t i = 0; i < count; i++) {
        to = put_entry(to, &entries[i], payloads[i]);
    }
}

void peer_codec_pack_raft(const struct raft_message *message,
                          const struct raft_entry *entries,
                          const struct bytes *payloads,
                          struct buffer *buffer)
{
    Peer__RaftMessage wire = PEER__RAFT_MESSAGE__INIT;
    size_t count = 0;

    wire.type = (uint32_t)message->type;
    wire.term = message->term;
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        wire.index = message->vote.last_index;
        wire.index_term = message->vote.last_term;
        wire.round = message->vote.round;
        wire.flag = message->vote.transfer;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        wire.round = message->vote_response.round;
        wire.flag = message->vote_response.granted;
        break;
    case RAFT_APPEND:
        wire.index = message->append.previous_index;
        wire.index_term = message->append.previous_term;
        wire.commit = message->append.commit;
        wire.round = message->append.read_round;
        count = message->append.entry_count;
        break;
    case RAFT_APPEND_RESPONSE:
        wire.flag = message->append_response.ok;
        wire.index = message->append_response.index;
        wire.hint_index = message->append_response.hint_index;
        wire.hint_term = message->append_response.hint_term;
        wire.round = message->append_response.read_round;
        break;
    case RAFT_HEARTBEAT:
        wire.commit = message->heartbeat.commit;
        wire.round = message->heartbeat.read_round;
        wire.flag = message->heartbeat.quiet;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        wire.round = message->heartbeat_response.read_round;
        break;
    case RAFT_TIMEOUT_NOW:
        wire.index = message->timeout_now.last_index;
        wire.index_term = message->timeout_now.last_term;
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        wire.flag = message->timeout_now_response.accepted;
        break;
    case RAFT_READ_INDEX:
        wire.round = message->read_index.token;
        break;
    case RAFT_READ_INDEX_RESPONSE:
        wire.round = message->read_index_response.token;
        wire.flag = message->read_index_response.ok;
        wire.index = message->read_index_response.index;
        break;
    }
    pack(&wire, entries, payloads, count, buffer);
}

Peer__PeerMessage *peer_codec_read(struct bytes bytes, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    ProtobufCMessage *message;
    enum status status = message_read(&peer__peer_message__descriptor, bytes, true, MESSAGES_MAX,
                                      &allocator, &message);

    if (status == STATUS_OK) {
        return (Peer__PeerMessage *)message;
    }
    return status == STATUS_LIMIT ? NULL
                                  : peer__peer_message__unpack(&allocator, bytes.size, bytes.data);
}

static enum status read_append(const Peer__RaftMessage *wire,
                               struct arena *arena,
                               struct raft_message *message,
                               const struct bytes **ret_payloads)
{
    size_t count = wire->n_entries;
    struct raft_entry *entries;
    struct bytes *payloads;
    const struct raft_config **configs;
    size_t config_count = 0;

    if (count > RAFT_MESSAGE_ENTRIES_MAX) {
        return STATUS_INVALID;
    }
    entries = arena_alloc(arena, count * sizeof *entries);
    payloads = arena_alloc(arena, count * sizeof *payloads);
    configs = arena_alloc(arena, count * sizeof(struct raft_config *));
    for (size_t i = 0; i < count; i++) {
        const Peer__Entry *from = wire->entries[i];

        if (from->type < RAFT_ENTRY_COMMAND || from->type > RAFT_ENTRY_CONFIG ||
            from->payload.len > UINT32_MAX) {
            return STATUS_INVALID;
        }
        payloads[i] = bytes_of(from->payload.data, from->payload.len);
        entries[i] = (struct raft_entry){.term = from->term,
                                         .bytes = (uint32_t)from->payload.len,
                                         .type = (enum raft_entry_type)from->type};
        if (entries[i].type == RAFT_ENTRY_CONFIG) {
            struct raft_config *config = arena_alloc(arena, sizeof *config);

            if (config_codec_unpack(payloads[i], config) != STATUS_OK) {
                return STATUS_INVALID;
            }
            configs[config_count++] = config;
        }
    }
    message->append.previous_index = wire->index;
    message->append.previous_term = wire->index_term;
    message->append.commit = wire->commit;
    message->append.read_round = wire->round;
    message->append.entry_count = (uint32_t)count;
    message->append.entries = entries;
    message->append.configs = configs;
    *ret_payloads = payloads;
    return STATUS_OK;
}

/* Everything but an APPEND. */
static void read_fields(const Peer__RaftMessage *wire, struct raft_message *message)
{
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        message->vote.last_index = wire->index;
        message->vote.last_term = wire->index_term;
        message->vote.round = wire->round;
        message->vote.transfer = wire->flag;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        message->vote_response.round = wire->round;
        message->vote_response.granted = wire->flag;
        break;
    case RAFT_APPEND:
        break;
    case RAFT_APPEND_RESPONSE:
        message->append_response.ok = wire->flag;
        message->append_response.index = wire->index;
        message->append_response.hint_index = wire->hint_index;
        message->append_response.hint_term = wire->hint_term;
        message->append_response.read_round = wire->round;
        break;
    case RAFT_HEARTBEAT:
        message->heartbeat.commit = wire->commit;
        message->heartbeat.read_round = wire->round;
        message->heartbeat.quiet = wire->flag;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        message->heartbeat_response.read_round = wire->round;
        break;
    case RAFT_TIMEOUT_NOW:
        message->timeout_now.last_index = wire->index;
        message->timeout_now.last_term = wire->index_term;
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        message->timeout_now_response.accepted = wire->flag;
        break;
    case RAFT_READ_INDEX:
        message->read_index.token = wire->round;
        break;
    case RAFT_READ_INDEX_RESPONSE:
        message->read_index_response.token = wire->round;
        message->read_index_response.ok = wire->flag;
        message->read_index_response.index = wire->index;
        break;
    }
}

enum status peer_codec_read_raft(const Peer__RaftMessage *wire,
                                 raft_id from,
                                 raft_id to,
                                 uint32_t entry_bytes_max,
                                 struct arena *arena,
                                 struct raft_message *ret_message,
                                 const struct bytes **ret_payloads)
{
    struct raft_message message;
    const struct bytes *payloads = NULL;
    enum status status;

    if (wire->type < RAFT_PREVOTE || wire->type > RAFT_READ_INDEX_RESPONSE) {
        return STATUS_INVALID;
    }
    memset(&message, 0, sizeof message);
    message.type = (enum raft_message_type)wire->type;
    message.from = from;
    message.to = to;
    message.term = wire->term;
    if (message.type == RAFT_APPEND) {
        status = read_append(wire, arena, &message, &payloads);
        if (status != STATUS_OK) {
            return status;
        }
    } else {
        read_fields(wire, &message);
    }
    status = raft_message_validate(&message, entry_bytes_max);
    if (status == STATUS_OK) {
        *ret_message = message;
        *ret_payloads = payloads;
    }
    return status;
}
