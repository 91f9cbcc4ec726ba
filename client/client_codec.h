/* Requests as bytes. A call packs its body in the caller's thread, borrowing the caller's memory;
 * what is known only when it is sent (id, seen zxid, sequence) is put around it then. */
#ifndef CLIENT_CODEC_H
#define CLIENT_CODEC_H

#include "client/client_memory.h"
#include "client/include/confer.h"
#include "proto/client.pb-c.h"

#include <stdint.h>

/* A field that borrows; packing only reads it. */
ProtobufCBinaryData client_data_of(const void *data, size_t size);
ProtobufCBinaryData client_data_of_text(const char *text); /* NULL is empty */

/* The message behind one field of Request's oneof, packed. */
struct client_body {
    Client__Request__BodyCase field;
    uint8_t *data; /* free() */
    size_t size;
};

/* NO_MEMORY; LIMIT: larger than a frame. */
MUST_CHECK enum confer_status client_body_pack(Client__Request__BodyCase field,
                                               const ProtobufCMessage *message,
                                               struct client_body *ret_body);

struct client_envelope {
    uint64_t id;
    uint64_t seen_zxid;
    uint64_t sequence; /* 0 = none */
    uint64_t confirmed;
};

/* Append a frame. NO_MEMORY: nothing was appended. */
MUST_CHECK enum confer_status client_codec_put_request(struct client_buffer *buffer,
                                                       const struct client_body *body,
                                                       const struct client_envelope *envelope);

#endif
