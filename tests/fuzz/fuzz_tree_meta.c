/* Bytes as the meta record of a checkpoint, as they came and with the checksum made right, and as
 * another record. What is taken is the same after being written and read again. */
#include "base/check.h"
#include "persistence/tree_format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_meta(struct bytes stored)
{
    struct tree_meta meta;
    struct tree_meta again;
    uint32_t format = 0;
    struct buffer written = BUFFER_INIT;

    if (tree_format_get_meta(stored, &meta, &format) != STATUS_OK) {
        return;
    }
    CHECK_OP(meta.config.size, <=, stored.size);
    tree_format_put_meta(&meta, &written);
    CHECK(tree_format_get_meta(buffer_lend(&written), &again, &format) == STATUS_OK);
    CHECK(meta.applied_index == again.applied_index && meta.applied_term == again.applied_term &&
          meta.config_index == again.config_index && meta.record_count == again.record_count &&
          meta.record_sum == again.record_sum && meta.config.size == again.config.size);
    buffer_release(&written);
}

/* Read as stored by whoever, and as stored by us. */
static void read_record(struct bytes data)
{
    struct bytes key = bytes_of_text("\1n");
    size_t size = tree_format_record_bytes(data.size);
    uint8_t *stored = malloc(size);
    struct bytes value;

    for (size_t wanted = 0; wanted <= 2 * TREE_HEAD_BYTES; wanted += TREE_HEAD_BYTES) {
        CHECK(!tree_format_get_record(key, data, wanted, &value) || value.size <= data.size);
    }
    CHECK(stored != NULL);
    tree_format_put_record(key, data, stored);
    CHECK(tree_format_get_record(key, bytes_of(stored, size), SIZE_MAX, &value));
    CHECK(bytes_equal(value, data));
    CHECK(tree_format_get_record(key, bytes_of(stored, size), 0, &value));
    CHECK(bytes_equal(value, bytes_of(data.data, value.size)));
    free(stored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *sealed = malloc(size + SEAL_BYTES);
    struct bytes key;

    read_meta(bytes_of(data, size));
    CHECK(sealed != NULL);
    if (size > 0) {
        memcpy(sealed, data, size);
    }
    seal_put(tree_format_meta_key(), sealed, size);
    read_meta(bytes_of(sealed, size + SEAL_BYTES));
    free(sealed);
    (void)tree_format_record_key(bytes_of(data, size), &key);
    read_record(bytes_of(data, size));
    return 0;
}
