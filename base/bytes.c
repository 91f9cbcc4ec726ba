#include "base/bytes.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bytes_equal(struct bytes left, struct bytes right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

int bytes_compare(struct bytes left, struct bytes right)
{
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common == 0 ? 0 : memcmp(left.data, right.data, common);

    if (order != 0) {
        return order;
    }
    return (left.size > right.size) - (left.size < right.size);
}

void bytes_print(struct bytes bytes, char *text, size_t capacity)
{
    enum { ESCAPED_BYTES = 4 };
    size_t used = 0;

    for (size_t i = 0; i < bytes.size && used + ESCAPED_BYTES < capacity; i++) {
        uint8_t byte = bytes.data[i];
        bool is_plain = byte > ' ' && byte < 0x7f && byte != '\\';

        used += (size_t)snprintf(text + used, capacity - used, is_plain ? "%c" : "\\x%02x", byte);
    }
    text[used] = '\0';
}

uint8_t *bytes_copy(struct bytes bytes)
{
    return xmemdup(bytes.data, bytes.size);
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_INIT;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

void buffer_reserve(struct buffer *buffer, size_t size, size_t size_all)
{
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;

    CHECK_OP(size, <=, SIZE_MAX / 4);
    if (buffer->data != NULL && buffer->capacity - buffer->size >= size) {
        return;
    }
    while (capacity - buffer->size < size) {
        capacity *= 2;
    }
    if (capacity > size_all && buffer->size + size <= size_all) {
        capacity = size_all;
    }
    buffer->data = xrealloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
    buffer_reserve(buffer, size, SIZE_MAX);
    buffer->size += size;
    return buffer->data + buffer->size - size;
}

void buffer_put(struct buffer *buffer, struct bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(buffer_extend(buffer, bytes.size), bytes.data, bytes.size);
    }
}

void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
    *buffer_extend(buffer, 1) = value;
}

void buffer_put_u16(struct buffer *buffer, uint16_t value)
{
    bytes_store_u16(buffer_extend(buffer, sizeof value), value);
}

void buffer_put_u32(struct buffer *buffer, uint32_t value)
{
    bytes_store_u32(buffer_extend(buffer, sizeof value), value);
}

void buffer_put_u64(struct buffer *buffer, uint64_t value)
{
    bytes_store_u64(buffer_extend(buffer, sizeof value), value);
}

struct bytes buffer_lend(const struct buffer *buffer)
{
    return bytes_of(buffer->data, buffer->size);
}

uint8_t *buffer_take(struct buffer *buffer, size_t *ret_size)
{
    uint8_t *data = buffer->data;

    *ret_size = buffer->size;
    *buffer = (struct buffer)BUFFER_INIT;
    return data;
}

struct reader reader_of(struct bytes bytes)
{
    return (struct reader){.rest = bytes, .failed = false};
}

enum status reader_lend(struct reader *reader, size_t size, struct bytes *ret)
{
    if (reader->failed || reader->rest.size < size) {
        reader->failed = true;
        return STATUS_INVALID;
    }
    *ret = bytes_of(reader->rest.data, size);
    if (size > 0) {
        reader->rest.data += size;
        reader->rest.size -= size;
    }
    return STATUS_OK;
}

enum status reader_u8(struct reader *reader, uint8_t *ret)
{
    struct bytes bytes;
    enum status status = reader_lend(reader, sizeof *ret, &bytes);

    if (status == STATUS_OK) {
        *ret = bytes.data[0];
    }
    return status;
}

enum status reader_u16(struct reader *reader, uint16_t *ret)
{
    struct bytes bytes;
    enum status status = reader_lend(reader, sizeof *ret, &bytes);

    if (status == STATUS_OK) {
        *ret = bytes_load_u16(bytes.data);
    }
    return status;
}

enum status reader_u32(struct reader *reader, uint32_t *ret)
{
    struct bytes bytes;
    enum status status = reader_lend(reader, sizeof *ret, &bytes);

    if (status == STATUS_OK) {
        *ret = bytes_load_u32(bytes.data);
    }
    return status;
}

enum status reader_u64(struct reader *reader, uint64_t *ret)
{
    struct bytes bytes;
    enum status status = reader_lend(reader, sizeof *ret, &bytes);

    if (status == STATUS_OK) {
        *ret = bytes_load_u64(bytes.data);
    }
    return status;
}

enum status reader_finish(const struct reader *reader)
{
    return reader->failed || reader->rest.size > 0 ? STATUS_INVALID : STATUS_OK;
}
