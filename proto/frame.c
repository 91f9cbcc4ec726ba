#include "proto/frame.h"

#include "base/check.h"

#include <string.h>

const uint8_t frame_client_preface[FRAME_PREFACE_BYTES] = {'C', 'O', 'N', 'F', 'E', 'R', 'C', 1};
const uint8_t frame_peer_preface[FRAME_PREFACE_BYTES] = {'C', 'O', 'N', 'F', 'E', 'R', 'P', 1};

static bool starts_as(struct bytes start, const uint8_t *preface)
{
    size_t common = start.size < FRAME_PREFACE_BYTES ? start.size : FRAME_PREFACE_BYTES;

    return common == 0 || memcmp(start.data, preface, common) == 0;
}

static bool is_word(struct bytes start)
{
    for (size_t i = 0; i < start.size && i < FRAME_WORD_BYTES; i++) {
        if (start.data[i] < 'a' || start.data[i] > 'z') {
            return false;
        }
    }
    return true;
}

enum frame_protocol frame_detect(struct bytes start)
{
    bool client = starts_as(start, frame_client_preface);
    bool peer = starts_as(start, frame_peer_preface);

    if (client || peer) {
        return start.size < FRAME_PREFACE_BYTES ? FRAME_PROTOCOL_UNDECIDED
               : client                         ? FRAME_PROTOCOL_CLIENT
                                                : FRAME_PROTOCOL_PEER;
    }
    if (start.data[0] == 0) {
        return FRAME_PROTOCOL_ZOOKEEPER;
    }
    if (!is_word(start)) {
        return FRAME_PROTOCOL_UNKNOWN;
    }
    return start.size < FRAME_WORD_BYTES ? FRAME_PROTOCOL_UNDECIDED : FRAME_PROTOCOL_WORD;
}

size_t frame_preface_bytes(enum frame_protocol protocol)
{
    return protocol == FRAME_PROTOCOL_CLIENT || protocol == FRAME_PROTOCOL_PEER
               ? FRAME_PREFACE_BYTES
               : 0;
}

enum status frame_client_head(const uint8_t *head, uint32_t *ret_body_bytes)
{
    uint32_t body_bytes = bytes_load_u32(head);

    if (body_bytes == 0 || body_bytes > FRAME_CLIENT_BYTES_MAX) {
        return STATUS_INVALID;
    }
    *ret_body_bytes = body_bytes;
    return STATUS_OK;
}

void frame_client_put_head(uint8_t *head, uint32_t body_bytes)
{
    CHECK_OP(body_bytes, >, 0);
    CHECK_OP(body_bytes, <=, FRAME_CLIENT_BYTES_MAX);
    bytes_store_u32(head, body_bytes);
}

enum status frame_peer_head(const uint8_t *head, uint32_t *ret_body_bytes, uint64_t *ret_seal)
{
    uint32_t body_bytes = bytes_load_u32(head);

    if (body_bytes == 0 || body_bytes > FRAME_PEER_BYTES_MAX) {
        return STATUS_INVALID;
    }
    *ret_body_bytes = body_bytes;
    *ret_seal = bytes_load_u64(head + sizeof body_bytes);
    return STATUS_OK;
}

void frame_peer_put_head(uint8_t *head, size_t body_bytes, uint64_t seal)
{
    CHECK_OP(body_bytes, >, 0);
    CHECK_OP(body_bytes, <=, FRAME_PEER_BYTES_MAX);
    bytes_store_u32(head, (uint32_t)body_bytes);
    bytes_store_u64(head + sizeof(uint32_t), seal);
}
