#include "proto/field.h"

enum { SHORT_BYTES_MAX = 5 };

static const uint8_t *read_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < FIELD_VARINT_BYTES_MAX && at < end; i++) {
        uint8_t byte = *at++;

        if (i == FIELD_VARINT_BYTES_MAX - 1 && byte > 1) {
            return NULL;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* NULL when it does not end, or means more than 64 bits. */
static inline const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (at < end && *at < 0x80) { /* nearly all of them */
        *ret_value = *at;
        return at + 1;
    }
    return read_long_varint(at, end, ret_value);
}

/* A key or a length, which have 32 bits: no more bytes than those need, as protobuf-c wants it. */
static const uint8_t *read_short_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    return read_varint(at, (size_t)(end - at) > SHORT_BYTES_MAX ? at + SHORT_BYTES_MAX : end,
                       ret_value);
}

static const uint8_t *
read_bytes(const uint8_t *at, const uint8_t *end, uint64_t size, struct bytes *ret_bytes)
{
    if (size > (size_t)(end - at)) {
        return NULL;
    }
    *ret_bytes = bytes_of(at, (size_t)size);
    return at + size;
}

static const uint8_t *
read_content(const uint8_t *at, const uint8_t *end, uint64_t type, struct field *field)
{
    uint64_t size;

    switch (type) {
    case FIELD_VARINT:
        return read_varint(at, end, &field->value);
    case FIELD_BYTES:
        at = read_short_varint(at, end, &size);
        return at == NULL ? NULL : read_bytes(at, end, size, &field->bytes);
    case FIELD_FIXED64:
        return read_bytes(at, end, sizeof(uint64_t), &field->bytes);
    case FIELD_FIXED32:
        return read_bytes(at, end, sizeof(uint32_t), &field->bytes);
    default:
        return NULL;
    }
}

bool field_read_any(struct reader *reader, struct field *ret_field)
{
    const uint8_t *at = reader->rest.data;
    const uint8_t *end;
    uint64_t key;

    if (reader->failed || reader->rest.size == 0) {
        return false;
    }
    end = at + reader->rest.size;
    at = read_short_varint(at, end, &key);
    if (at != NULL && key >> 3 != 0 && key >> 3 <= FIELD_NUMBER_MAX) {
        ret_field->number = (uint32_t)(key >> 3);
        ret_field->type = (enum field_type)(key & 7);
        at = read_content(at, end, key & 7, ret_field);
    } else {
        at = NULL;
    }
    if (at == NULL) {
        reader->failed = true;
        return false;
    }
    reader->rest = bytes_of(at, (size_t)(end - at));
    return true;
}
