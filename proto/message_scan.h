/* A strict look over an encoded protobuf message before memory is spent on it: only fields that the
 * schema knows, each at most once unless repeated, at most one of a oneof, whole to the last byte,
 * and no more submessages than allowed. What passes is unpacked in memory proportional to its
 * size. */
#ifndef PROTO_MESSAGE_SCAN_H
#define PROTO_MESSAGE_SCAN_H

#include "base/bytes.h"

#include <protobuf-c/protobuf-c.h>

/* STATUS_INVALID: not such a message. STATUS_LIMIT: more than `message_count_max` submessages. */
MUST_CHECK enum status message_scan(const ProtobufCMessageDescriptor *descriptor,
                                    struct bytes message,
                                    size_t message_count_max);

#endif
