#include "proto/jute.h"

#include "base/check.h"

#include <string.h>

/* --- Reading --- */

int32_t jute_read_int(struct reader *reader)
{
    uint32_t value = 0;

    (void)reader_u32(reader, &value);
    return (int32_t)value;
}

int64_t jute_read_long(struct reader *reader)
{
    uint64_t value = 0;

    (void)reader_u64(reader, &value);
    return (int64_t)value;
}

bool jute_read_bool(struct reader *reader)
{
    uint8_t value = 0;

    (void)reader_u8(reader, &value);
    return value != 0;
}

struct bytes jute_read_buffer(struct reader *reader, bool *ret_is_null)
{
    struct bytes value = BYTES_EMPTY;
    int32_t size = jute_read_int(reader);

    if (ret_is_null != NULL) {
        *ret_is_null = size == -1;
    }
    if (size == -1 && ret_is_null != NULL) {
        return value;
    }
    if (size < 0) {
        reader->failed = true;
        return value;
    }
    (void)reader_lend(reader, (size_t)size, &value);
    return value;
}

uint32_t jute_read_count(struct reader *reader, size_t element_bytes_min, bool *ret_is_null)
{
    int32_t count = jute_read_int(reader);

    if (ret_is_null != NULL) {
        *ret_is_null = count == -1;
    }
    if (count == -1 && ret_is_null != NULL) {
        return 0;
    }
    if (count < 0 || (size_t)count > reader->rest.size / element_bytes_min) {
        reader->failed = true;
        return 0;
    }
    return reader->failed ? 0 : (uint32_t)count;
}

enum status jute_read_connect_request(struct bytes frame, struct jute_connect_request *ret_request)
{
    struct reader reader = reader_of(frame);
    struct jute_connect_request request = {.has_read_only = false};
    bool is_null;

    (void)jute_read_int(&reader); /* the protocol's version, which nobody looks at */
    request.last_zxid_seen = jute_read_long(&reader);
    request.timeout_ms = jute_read_int(&reader);
    request.session = jute_read_long(&reader);
    request.password = jute_read_buffer(&reader, &is_null);
    request.has_read_only = reader.rest.size > 0;
    if (request.has_read_only) {
        request.read_only = jute_read_bool(&reader);
    }
    if (reader.failed) {
        return STATUS_INVALID;
    }
    *ret_request = request;
    return STATUS_OK;
}

struct jute_acl_entry jute_read_acl_entry(struct reader *reader)
{
    struct jute_acl_entry entry = {.permissions = jute_read_int(reader)};
    bool id_is_null;

    entry.scheme = jute_read_buffer(reader, &entry.scheme_is_null);
    entry.id = jute_read_buffer(reader, &id_is_null);
    return entry;
}

struct jute_multi_header jute_read_multi_header(struct reader *reader)
{
    struct jute_multi_header header = {.type = jute_read_int(reader)};

    header.done = jute_read_bool(reader);
    header.error = jute_read_int(reader);
    return header;
}

/* --- Writing --- */

void jute_put_int(struct buffer *buffer, int32_t value)
{
    buffer_put_u32(buffer, (uint32_t)value);
}

void jute_put_long(struct buffer *buffer, int64_t value)
{
    buffer_put_u64(buffer, (uint64_t)value);
}

void jute_put_bool(struct buffer *buffer, bool value)
{
    buffer_put_u8(buffer, value ? 1 : 0);
}

void jute_put_buffer(struct buffer *buffer, struct bytes value, bool is_null)
{
    CHECK_OP(value.size, <=, (size_t)INT32_MAX);
    jute_put_int(buffer, is_null ? -1 : (int32_t)value.size);
    if (!is_null) {
        buffer_put(buffer, value);
    }
}

void jute_put_acl_entry(struct buffer *buffer, const struct jute_acl_entry *entry)
{
    jute_put_int(buffer, entry->permissions);
    jute_put_buffer(buffer, entry->scheme, entry->scheme_is_null);
    jute_put_buffer(buffer, entry->id, false);
}

void jute_put_multi_header(struct buffer *buffer, struct jute_multi_header header)
{
    jute_put_int(buffer, header.type);
    jute_put_bool(buffer, header.done);
    jute_put_int(buffer, header.error);
}

void jute_put_stat(struct buffer *buffer, const struct jute_stat *stat)
{
    jute_put_long(buffer, stat->czxid);
    jute_put_long(buffer, stat->mzxid);
    jute_put_long(buffer, stat->ctime_ms);
    jute_put_long(buffer, stat->mtime_ms);
    jute_put_int(buffer, stat->version);
    jute_put_int(buffer, stat->cversion);
    jute_put_int(buffer, stat->aversion);
    jute_put_long(buffer, stat->ephemeral_owner);
    jute_put_int(buffer, stat->data_bytes);
    jute_put_int(buffer, stat->child_count);
    jute_put_long(buffer, stat->pzxid);
}

void jute_put_connect_response(struct buffer *buffer, const struct jute_connect_response *response)
{
    jute_put_int(buffer, 0);
    jute_put_int(buffer, response->timeout_ms);
    jute_put_long(buffer, response->session);
    jute_put_buffer(buffer, bytes_of(response->password, sizeof response->password), false);
    if (response->has_read_only) {
        jute_put_bool(buffer, response->read_only);
    }
}

void jute_put_reply_header(struct buffer *buffer, int32_t xid, int64_t zxid, int32_t error)
{
    jute_put_int(buffer, xid);
    jute_put_long(buffer, zxid);
    jute_put_int(buffer, error);
}

size_t jute_begin_frame(struct buffer *buffer)
{
    size_t begin = buffer->size;

    (void)buffer_extend(buffer, JUTE_FRAME_HEAD_BYTES);
    return begin;
}

void jute_end_frame(struct buffer *buffer, size_t begin)
{
    jute_end_frame_around(buffer, begin, 0);
}

void jute_end_frame_around(struct buffer *buffer, size_t begin, size_t apart_bytes)
{
    size_t size = buffer->size - begin - JUTE_FRAME_HEAD_BYTES + apart_bytes;

    CHECK_OP(size, <=, (size_t)INT32_MAX);
    bytes_store_u32(buffer->data + begin, (uint32_t)size);
}
