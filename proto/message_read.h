/* A protobuf message from bytes that are not believed, into the structs of protobuf-c, in one pass.
 *
 * Strict: only fields that the schema knows, with the type that it gives them, each at most once
 * unless repeated (and then not packed), at most one of a oneof, whole to the last byte, and no
 * more submessages than allowed. So the memory taken is in proportion to the bytes. What is written
 * by this schema passes; what a newer one may have written does not, and is protobuf-c's to read
 * where that must be understood.
 *
 * It replaces protobuf-c's unpacking where every write comes by, and every answer at a client: that
 * took up to five times the instructions, and believes what it is told of counts
 * (docs/PERFORMANCE.md). */
#ifndef PROTO_MESSAGE_READ_H
#define PROTO_MESSAGE_READ_H

#include "base/bytes.h"

#include <protobuf-c/protobuf-c.h>

/* Everything in *ret_message is the allocator's, but for bytes when they are `lent`: those stay
 * where they came from. Texts are always copied, for the NUL behind them. Nothing is ever freed:
 * the allocator is one whose memory ends at once (arena_allocator.h).
 *
 * STATUS_INVALID: not such a message. STATUS_LIMIT: more than `message_count_max` submessages.
 * STATUS_NO_MEMORY: the allocator gave none. Each leaves what was allocated so far. */
MUST_CHECK enum status message_read(const ProtobufCMessageDescriptor *descriptor,
                                    struct bytes bytes,
                                    bool lent,
                                    size_t message_count_max,
                                    const ProtobufCAllocator *allocator,
                                    ProtobufCMessage **ret_message);

#endif
