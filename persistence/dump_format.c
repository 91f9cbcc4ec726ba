#include "persistence/dump_format.h"

#include "base/checksum.h"
#include "persistence/tree_format.h"

#include <string.h>

static const char header_magic[] = "CONFRDMP";
static const char trailer_magic[] = "CONFREND";

enum { MAGIC_BYTES = 8, CONFIG_SIZE_AT = 68 };

uint64_t dump_format_put_header(const struct dump_header *header, struct buffer *buffer)
{
    const struct tree_meta *meta = &header->meta;
    size_t start = buffer->size;
    uint64_t sum;

    buffer_put(buffer, bytes_of(header_magic, MAGIC_BYTES));
    buffer_put_u32(buffer, DUMP_FORMAT);
    buffer_put(buffer, bytes_of(header->cluster_id, sizeof header->cluster_id));
    buffer_put_u64(buffer, meta->applied_index);
    buffer_put_u64(buffer, meta->applied_term);
    buffer_put_u64(buffer, meta->config_index);
    buffer_put_u64(buffer, meta->record_count);
    buffer_put_u64(buffer, meta->record_sum);
    buffer_put_u32(buffer, (uint32_t)meta->config.size);
    buffer_put(buffer, meta->config);
    sum = checksum(bytes_of(buffer->data + start, buffer->size - start));
    buffer_put_u64(buffer, sum);
    return sum;
}

enum status dump_format_header_bytes(const uint8_t fixed[DUMP_HEADER_FIXED_BYTES],
                                     size_t *ret_bytes)
{
    uint32_t config_bytes = bytes_load_u32(fixed + CONFIG_SIZE_AT);

    if (memcmp(fixed, header_magic, MAGIC_BYTES) != 0) {
        return STATUS_CORRUPT;
    }
    if (bytes_load_u32(fixed + MAGIC_BYTES) != DUMP_FORMAT) {
        return STATUS_FORMAT;
    }
    if (config_bytes > TREE_CONFIG_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    *ret_bytes = DUMP_HEADER_FIXED_BYTES + config_bytes + DUMP_CHECKSUM_BYTES;
    return STATUS_OK;
}

enum status
dump_format_get_header(struct bytes bytes, struct dump_header *ret_header, uint64_t *ret_chain)
{
    struct bytes covered = bytes_of(bytes.data, bytes.size - DUMP_CHECKSUM_BYTES);
    const uint8_t *at = bytes.data + MAGIC_BYTES + 4;
    uint64_t sum = bytes_load_u64(bytes.data + covered.size);

    if (sum != checksum(covered)) {
        return STATUS_CORRUPT;
    }
    memcpy(ret_header->cluster_id, at, sizeof ret_header->cluster_id);
    at += sizeof ret_header->cluster_id;
    ret_header->meta = (struct tree_meta){
        .applied_index = bytes_load_u64(at),
        .applied_term = bytes_load_u64(at + 8),
        .config_index = bytes_load_u64(at + 16),
        .record_count = bytes_load_u64(at + 24),
        .record_sum = bytes_load_u64(at + 32),
        .config =
            bytes_of(bytes.data + DUMP_HEADER_FIXED_BYTES, covered.size - DUMP_HEADER_FIXED_BYTES),
    };
    *ret_chain = sum;
    return STATUS_OK;
}

void dump_format_put_record_head(struct bytes key,
                                 struct bytes value,
                                 uint8_t head[DUMP_RECORD_HEAD_BYTES])
{
    bytes_store_u16(head, (uint16_t)key.size);
    bytes_store_u32(head + 2, (uint32_t)value.size);
}

void dump_format_get_record_head(const uint8_t head[DUMP_RECORD_HEAD_BYTES],
                                 size_t *ret_key_bytes,
                                 size_t *ret_value_bytes)
{
    *ret_key_bytes = bytes_load_u16(head);
    *ret_value_bytes = bytes_load_u32(head + 2);
}

uint64_t dump_format_record_checksum(uint64_t number, struct bytes key, struct bytes value)
{
    uint8_t first[8 + TREE_STORE_KEY_BYTES_MAX];

    bytes_store_u64(first, number);
    if (key.size > 0) {
        memcpy(first + 8, key.data, key.size);
    }
    return checksum_pair(bytes_of(first, 8 + key.size), value);
}

uint64_t dump_format_chain(uint64_t chain, uint64_t record_checksum)
{
    uint8_t both[16];

    bytes_store_u64(both, chain);
    bytes_store_u64(both + 8, record_checksum);
    return checksum(bytes_of(both, sizeof both));
}

void dump_format_put_trailer(const struct dump_trailer *trailer, uint8_t to[DUMP_TRAILER_BYTES])
{
    memcpy(to, trailer_magic, MAGIC_BYTES);
    bytes_store_u64(to + 8, trailer->record_count);
    bytes_store_u64(to + 16, trailer->file_bytes);
    bytes_store_u64(to + 24, trailer->chain);
    bytes_store_u64(to + 32, checksum(bytes_of(to, 32)));
}

bool dump_format_get_trailer(const uint8_t from[DUMP_TRAILER_BYTES],
                             struct dump_trailer *ret_trailer)
{
    if (memcmp(from, trailer_magic, MAGIC_BYTES) != 0 ||
        bytes_load_u64(from + 32) != checksum(bytes_of(from, 32))) {
        return false;
    }
    *ret_trailer = (struct dump_trailer){
        .record_count = bytes_load_u64(from + 8),
        .file_bytes = bytes_load_u64(from + 16),
        .chain = bytes_load_u64(from + 24),
    };
    return true;
}
