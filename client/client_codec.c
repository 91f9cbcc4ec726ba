#include "client/client_codec.h"

#include "proto/field.h"
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Head, id, seen_zxid, tag and length of the body, sequence and confirmed behind it. */
    ENVELOPE_BYTES_MAX = FRAME_CLIENT_HEAD_BYTES + 6 * (1 + FIELD_VARINT_BYTES_MAX),
    /* Field numbers of Request and Write. */
    FIELD_ID = 1,
    FIELD_SEEN_ZXID = 2,
    FIELD_SEQUENCE = 3,
    FIELD_CONFIRMED = 4
};

ProtobufCBinaryData client_data_of(const void *data, size_t size)
{
    /* protobuf-c's type has no const. */
    union {
        const void *in;
        uint8_t *out;
    } cast = {.in = data};

    return (ProtobufCBinaryData){.len = size, .data = cast.out};
}

ProtobufCBinaryData client_data_of_text(const char *text)
{
    return client_data_of(text, text == NULL ? 0 : strlen(text));
}

enum confer_status client_body_pack(Client__Request__BodyCase field,
                                    const ProtobufCMessage *message,
                                    struct client_body *ret_body)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data;

    if (size > FRAME_CLIENT_BYTES_MAX - ENVELOPE_BYTES_MAX) {
        return CONFER_LIMIT;
    }
    data = client_alloc(size);
    if (data == NULL) {
        return CONFER_NO_MEMORY;
    }
    (void)protobuf_c_message_pack(message, data);
    *ret_body = (struct client_body){.field = field, .data = data, .size = size};
    return CONFER_OK;
}

enum confer_status client_codec_put_request(struct client_buffer *buffer,
                                            const struct client_body *body,
                                            const struct client_envelope *envelope)
{
    size_t numbers_bytes = field_number_bytes(FIELD_SEQUENCE, envelope->sequence) +
                           field_number_bytes(FIELD_CONFIRMED, envelope->confirmed);
    uint8_t *frame = client_buffer_reserve(buffer, ENVELOPE_BYTES_MAX + body->size);
    uint8_t *to;

    if (frame == NULL) {
        return CONFER_NO_MEMORY;
    }
    to = field_put_number(frame + FRAME_CLIENT_HEAD_BYTES, FIELD_ID, envelope->id);
    to = field_put_number(to, FIELD_SEEN_ZXID, envelope->seen_zxid);
    to = field_put_message_head(to, body->field, body->size + numbers_bytes);
    if (body->size > 0) {
        memcpy(to, body->data, body->size);
        to += body->size;
    }
    to = field_put_number(to, FIELD_SEQUENCE, envelope->sequence);
    to = field_put_number(to, FIELD_CONFIRMED, envelope->confirmed);
    frame_client_put_head(frame, (uint32_t)(to - frame - FRAME_CLIENT_HEAD_BYTES));
    client_buffer_filled(buffer, (size_t)(to - frame));
    return CONFER_OK;
}
