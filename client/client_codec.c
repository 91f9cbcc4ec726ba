#include "client/client_codec.h"

#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

enum {
    VARINT_BYTES_MAX = 10,
    /* Head, id, seen_zxid, tag and length of the body, sequence and confirmed behind it. */
    ENVELOPE_BYTES_MAX = FRAME_CLIENT_HEAD_BYTES + 6 * (1 + VARINT_BYTES_MAX),
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
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

size_t client_codec_put_varint(uint8_t *to, uint64_t value)
{
    size_t size = 0;

    while (value >= 0x80) {
        to[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[size++] = (uint8_t)value;
    return size;
}

/* Absent when 0, as proto3 has it. */
static size_t put_number(uint8_t *to, uint32_t field, uint64_t value)
{
    size_t size;

    if (value == 0) {
        return 0;
    }
    size = client_codec_put_varint(to, field << 3 | WIRE_VARINT);
    return size + client_codec_put_varint(to + size, value);
}

enum confer_status client_codec_put_request(struct client_buffer *buffer,
                                            const struct client_body *body,
                                            const struct client_envelope *envelope)
{
    uint8_t tail[2 * (1 + VARINT_BYTES_MAX)];
    size_t tail_bytes = put_number(tail, FIELD_SEQUENCE, envelope->sequence);
    uint8_t *frame = client_buffer_reserve(buffer, ENVELOPE_BYTES_MAX + body->size);
    size_t size = FRAME_CLIENT_HEAD_BYTES;

    if (frame == NULL) {
        return CONFER_NO_MEMORY;
    }
    tail_bytes += put_number(tail + tail_bytes, FIELD_CONFIRMED, envelope->confirmed);
    size += put_number(frame + size, FIELD_ID, envelope->id);
    size += put_number(frame + size, FIELD_SEEN_ZXID, envelope->seen_zxid);
    size += client_codec_put_varint(frame + size, (uint64_t)body->field << 3 | WIRE_BYTES);
    size += client_codec_put_varint(frame + size, body->size + tail_bytes);
    if (body->size > 0) {
        memcpy(frame + size, body->data, body->size);
        size += body->size;
    }
    memcpy(frame + size, tail, tail_bytes);
    size += tail_bytes;
    frame_client_put_head(frame, (uint32_t)(size - FRAME_CLIENT_HEAD_BYTES));
    client_buffer_filled(buffer, size);
    return CONFER_OK;
}
