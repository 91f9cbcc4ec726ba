#include "persistence/tree_format.h"

#include "base/check.h"
#include "base/checksum.h"
#include "base/mark.h"

#include <string.h>

static const char magic[] = "CONFRTRE";

enum { MAGIC_BYTES = sizeof magic - 1, META_FIXED_BYTES = MAGIC_BYTES + 4 + 5 * 8 + 4 };

void tree_format_key(struct bytes key, struct tree_key *ret_key)
{
    CHECK_OP(key.size, <=, TREE_STORE_KEY_BYTES_MAX);
    ret_key->data[0] = TREE_KEY_RECORD;
    if (key.size > 0) {
        memcpy(ret_key->data + 1, key.data, key.size);
    }
    ret_key->size = key.size + 1;
}

struct bytes tree_format_meta_key(void)
{
    static const uint8_t key[1] = {TREE_KEY_META};

    return bytes_of(key, sizeof key);
}

bool tree_format_record_key(struct bytes stored_key, struct bytes *ret_key)
{
    if (stored_key.size == 0 || stored_key.data[0] != TREE_KEY_RECORD) {
        return false;
    }
    *ret_key = bytes_of(stored_key.data + 1, stored_key.size - 1);
    return true;
}

/* --- Records --- */

static bool is_long(size_t value_bytes)
{
    return value_bytes > TREE_HEAD_BYTES;
}

static uint64_t head_seal(struct bytes stored_key, const uint8_t *value)
{
    return checksum_pair(stored_key, bytes_of(value, TREE_HEAD_BYTES));
}

size_t tree_format_record_bytes(size_t value_bytes)
{
    return value_bytes + (is_long(value_bytes) ? 2 * SEAL_BYTES : SEAL_BYTES);
}

void tree_format_put_record(struct bytes stored_key, struct bytes value, uint8_t *stored)
{
    size_t size = value.size;

    if (size > 0) {
        memcpy(stored, value.data, size);
    }
    if (!is_long(size)) {
        seal_put(stored_key, stored, size);
        return;
    }
    bytes_store_u64(stored + size, head_seal(stored_key, stored));
    size += SEAL_BYTES;
    /* Inverted, for format 1 sealed long values once, like the others. */
    bytes_store_u64(stored + size, ~checksum_pair(stored_key, bytes_of(stored, size)));
}

static bool get_long_record(struct bytes stored_key, struct bytes stored, struct bytes *ret_value)
{
    size_t size = stored.size - SEAL_BYTES;
    uint64_t seal = bytes_load_u64(stored.data + size);
    uint64_t sum = checksum_pair(stored_key, bytes_of(stored.data, size));

    MARK_IF(seal == sum, long_record_with_one_seal);
    *ret_value = bytes_of(stored.data, seal == sum ? size : size - SEAL_BYTES);
    return seal == sum || seal == ~sum;
}

bool tree_format_get_record(struct bytes stored_key,
                            struct bytes stored,
                            size_t bytes_wanted,
                            struct bytes *ret_value)
{
    if (stored.size <= TREE_HEAD_BYTES + 2 * SEAL_BYTES) {
        return seal_check(stored_key, stored, ret_value);
    }
    /* One that format 1 sealed has a part of its value there: whatever that is, a beginning that
     * fits it is as it was written. */
    if (bytes_wanted <= TREE_HEAD_BYTES &&
        bytes_load_u64(stored.data + stored.size - 2 * SEAL_BYTES) ==
            head_seal(stored_key, stored.data)) {
        *ret_value = bytes_of(stored.data, TREE_HEAD_BYTES);
        return true;
    }
    return get_long_record(stored_key, stored, ret_value);
}

/* --- The meta record --- */

void tree_format_put_meta(const struct tree_meta *meta, struct buffer *buffer)
{
    size_t start = buffer->size;
    size_t size;

    CHECK_OP(meta->config.size, <=, TREE_CONFIG_BYTES_MAX);
    buffer_put(buffer, bytes_of(magic, MAGIC_BYTES));
    buffer_put_u32(buffer, TREE_STORE_FORMAT);
    buffer_put_u64(buffer, meta->applied_index);
    buffer_put_u64(buffer, meta->applied_term);
    buffer_put_u64(buffer, meta->config_index);
    buffer_put_u64(buffer, meta->record_count);
    buffer_put_u64(buffer, meta->record_sum);
    buffer_put_u32(buffer, (uint32_t)meta->config.size);
    buffer_put(buffer, meta->config);
    size = buffer->size - start;
    (void)buffer_extend(buffer, SEAL_BYTES);
    seal_put(tree_format_meta_key(), buffer->data + start, size);
}

enum status
tree_format_get_meta(struct bytes stored, struct tree_meta *ret_meta, uint32_t *ret_format)
{
    struct bytes value;
    struct reader reader;
    struct tree_meta meta;
    uint32_t config_bytes = 0;

    /* Magic, format and seal stand at the same places in every format, so that damage is told from
     * a newer version. */
    if (!seal_check(tree_format_meta_key(), stored, &value) || value.size < MAGIC_BYTES + 4 ||
        memcmp(value.data, magic, MAGIC_BYTES) != 0) {
        return STATUS_CORRUPT;
    }
    *ret_format = bytes_load_u32(value.data + MAGIC_BYTES);
    if (*ret_format == 0 || *ret_format > TREE_STORE_FORMAT) {
        return STATUS_FORMAT;
    }
    if (value.size < META_FIXED_BYTES) {
        return STATUS_CORRUPT;
    }
    reader = reader_of(bytes_of(value.data + MAGIC_BYTES + 4, value.size - MAGIC_BYTES - 4));
    (void)reader_u64(&reader, &meta.applied_index);
    (void)reader_u64(&reader, &meta.applied_term);
    (void)reader_u64(&reader, &meta.config_index);
    (void)reader_u64(&reader, &meta.record_count);
    (void)reader_u64(&reader, &meta.record_sum);
    (void)reader_u32(&reader, &config_bytes);
    if (config_bytes > TREE_CONFIG_BYTES_MAX ||
        reader_lend(&reader, config_bytes, &meta.config) != STATUS_OK ||
        reader_finish(&reader) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    *ret_meta = meta;
    return STATUS_OK;
}
