/* The fields of a protobuf message, read and written one by one: for the few messages that come and
 * go so often that filling protobuf-c's structs costs more than everything else. What is written is
 * what protobuf-c would write, to the byte, if the fields are put in the order of their numbers. */
#ifndef PROTO_FIELD_H
#define PROTO_FIELD_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type { FIELD_VARINT = 0, FIELD_FIXED64 = 1, FIELD_BYTES = 2, FIELD_FIXED32 = 5 };

enum { FIELD_VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

struct field {
    uint32_t number;
    enum field_type type;
    uint64_t value;     /* VARINT */
    struct bytes bytes; /* the others; lent from what is read */
};

/* What tells fields apart: number and type, as they stand before the field. */
static inline uint64_t field_key(uint32_t number, enum field_type type)
{
    return (uint64_t)number << 3 | type;
}

/* --- Reading --- */

/* field_read, whatever the field looks like. */
bool field_read_any(struct reader *reader, struct field *ret_field);

/* The next field. False at the end, or when it is malformed: the reader has then failed. */
static inline bool field_read(struct reader *reader, struct field *ret_field)
{
    const uint8_t *at = reader->rest.data;
    size_t left = reader->rest.size;

    /* Nearly all have a number below 16 and a value or size below 128: one byte each. */
    if (left >= 2 && !reader->failed && at[0] >= 1 << 3 && at[0] < 0x80 && at[1] < 0x80) {
        size_t size = 2;

        ret_field->number = at[0] >> 3;
        ret_field->type = (enum field_type)(at[0] & 7);
        if (ret_field->type == FIELD_VARINT) {
            ret_field->value = at[1];
            reader->rest = bytes_of(at + size, left - size);
            return true;
        }
        size += at[1];
        if (ret_field->type == FIELD_BYTES && size <= left) {
            ret_field->bytes = bytes_of(at + 2, at[1]);
            reader->rest = bytes_of(at + size, left - size);
            return true;
        }
    }
    return field_read_any(reader, ret_field);
}

/* --- Writing: each returns where the next field goes --- */

static inline size_t field_varint_bytes(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);

    /* Nearly all are small; else seven bits in each byte, rounded up. */
    return value < 0x80 ? 1 : (bits * 9 + 64) / 64;
}

static inline uint8_t *field_put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

/* A number, enumeration or bool; absent when 0. */
static inline size_t field_number_bytes(uint32_t number, uint64_t value)
{
    return value == 0
               ? 0
               : field_varint_bytes(field_key(number, FIELD_VARINT)) + field_varint_bytes(value);
}

static inline uint8_t *field_put_number(uint8_t *to, uint32_t number, uint64_t value)
{
    return value == 0
               ? to
               : field_put_varint(field_put_varint(to, field_key(number, FIELD_VARINT)), value);
}

/* What a sint32 is written as: small numbers of either sign are short. */
static inline uint32_t field_zigzag(int32_t value)
{
    return (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
}

/* A message, or one of repeated bytes, of `size` bytes, which follow what is put here. */
static inline size_t field_message_bytes(uint32_t number, size_t size)
{
    return field_varint_bytes(field_key(number, FIELD_BYTES)) + field_varint_bytes(size) + size;
}

static inline uint8_t *field_put_message_head(uint8_t *to, uint32_t number, size_t size)
{
    return field_put_varint(field_put_varint(to, field_key(number, FIELD_BYTES)), size);
}

/* The same with its bytes. */
static inline uint8_t *field_put_message(uint8_t *to, uint32_t number, struct bytes message)
{
    to = field_put_message_head(to, number, message.size);
    if (message.size > 0) {
        memcpy(to, message.data, message.size);
    }
    return to + message.size;
}

/* Bytes, or a text; absent when empty. */
static inline size_t field_bytes_bytes(uint32_t number, struct bytes bytes)
{
    return bytes.size == 0 ? 0 : field_message_bytes(number, bytes.size);
}

static inline uint8_t *field_put_bytes(uint8_t *to, uint32_t number, struct bytes bytes)
{
    return bytes.size == 0 ? to : field_put_message(to, number, bytes);
}

#endif
