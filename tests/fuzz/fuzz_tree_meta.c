/* Bytes as the meta record of a checkpoint, as they came and with the checksum made right. What is
 * taken is the same after being written and read again. */
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
    return 0;
}
