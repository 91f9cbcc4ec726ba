/* Frames: how messages are cut out of a stream of bytes, and the first bytes that tell the
 * protocols apart. Pure: bytes in, bytes out. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    FRAME_PREFACE_BYTES = 8,
    FRAME_CLIENT_BYTES_MAX = 8 * 1024 * 1024,
    FRAME_PEER_BYTES_MAX = 16 * 1024 * 1024,
    FRAME_CLIENT_HEAD_BYTES = 4,
    FRAME_PEER_HEAD_BYTES = 12,
    FRAME_WORD_BYTES = 4
};

extern const uint8_t frame_client_preface[FRAME_PREFACE_BYTES]; /* "CONFERC" 0x01 */
extern const uint8_t frame_peer_preface[FRAME_PREFACE_BYTES];   /* "CONFERP" 0x01 */

enum frame_protocol {
    FRAME_PROTOCOL_UNDECIDED, /* more bytes are needed */
    FRAME_PROTOCOL_CLIENT,
    FRAME_PROTOCOL_PEER,
    FRAME_PROTOCOL_ZOOKEEPER, /* a length below 16 MiB: frames from the first byte on */
    FRAME_PROTOCOL_WORD,      /* four lower-case letters, ZooKeeper's way to ask for a report */
    FRAME_PROTOCOL_UNKNOWN
};

/* What a connection that starts with these bytes speaks. */
enum frame_protocol frame_detect(struct bytes start);
/* How many of the first bytes only tell the protocol, and are no part of what follows. */
size_t frame_preface_bytes(enum frame_protocol protocol);

/* The head of a client's frame, native or ZooKeeper's (FRAME_CLIENT_HEAD_BYTES). INVALID: length 0
 * or above FRAME_CLIENT_BYTES_MAX; close the connection. */
MUST_CHECK enum status frame_client_head(const uint8_t *head, uint32_t *ret_body_bytes);
void frame_client_put_head(uint8_t *head, uint32_t body_bytes);

/* The head of a peer frame (FRAME_PEER_HEAD_BYTES): length and seal of the body. The seal is its
 * checksum (base/checksum.h), or what server/net/seal.h makes of it with a key. */
MUST_CHECK enum status
frame_peer_head(const uint8_t *head, uint32_t *ret_body_bytes, uint64_t *ret_seal);
void frame_peer_put_head(uint8_t *head, size_t body_bytes, uint64_t seal);

#endif
