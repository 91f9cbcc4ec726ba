/* Bytes as a dump file: whatever they are, they are refused with words and leave nothing, or make a
 * tree that opens with as many records as were counted. The first byte says what is mended before:
 * the checksums, so that mutations reach what lies behind them. */
#include "base/check.h"
#include "persistence/dump_format.h"
#include "persistence/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEND = 1, INPUT_BYTES_MAX = 64 * 1024, CONFIG_SIZE_AT = 68 };

static const uint8_t cluster[16] = {1};

struct mending {
    uint8_t *data;
    size_t size;
    size_t at;
    struct dump_trailer trailer;
};

static void mend_header(struct mending *mending)
{
    size_t rest =
        mending->size - DUMP_HEADER_FIXED_BYTES - DUMP_CHECKSUM_BYTES - DUMP_TRAILER_BYTES;
    struct dump_header header = {.meta.config = bytes_of(mending->data + DUMP_HEADER_FIXED_BYTES,
                                                         mending->data[CONFIG_SIZE_AT + 3] % 16)};
    struct buffer encoded = BUFFER_INIT;

    if (header.meta.config.size > rest) {
        header.meta.config.size = rest;
    }
    memcpy(header.cluster_id, cluster, sizeof cluster);
    mending->trailer.chain = dump_format_put_header(&header, &encoded);
    memcpy(mending->data, encoded.data, encoded.size);
    mending->at = encoded.size;
    buffer_release(&encoded);
}

/* False: the rest is no record. */
static bool mend_record(struct mending *mending)
{
    size_t left = mending->size - DUMP_TRAILER_BYTES - mending->at;
    uint8_t *head = mending->data + mending->at;
    uint64_t sum;
    size_t key_bytes;
    size_t value_bytes;

    if (left < DUMP_RECORD_HEAD_BYTES + DUMP_CHECKSUM_BYTES) {
        return false;
    }
    dump_format_get_record_head(head, &key_bytes, &value_bytes);
    if (key_bytes > TREE_STORE_KEY_BYTES_MAX ||
        key_bytes + value_bytes > left - DUMP_RECORD_HEAD_BYTES - DUMP_CHECKSUM_BYTES) {
        return false;
    }
    mending->trailer.record_count++;
    sum = dump_format_record_checksum(
        mending->trailer.record_count, bytes_of(head + DUMP_RECORD_HEAD_BYTES, key_bytes),
        bytes_of(head + DUMP_RECORD_HEAD_BYTES + key_bytes, value_bytes));
    mending->at += DUMP_RECORD_HEAD_BYTES + key_bytes + value_bytes + DUMP_CHECKSUM_BYTES;
    bytes_store_u64(mending->data + mending->at - DUMP_CHECKSUM_BYTES, sum);
    mending->trailer.chain = dump_format_chain(mending->trailer.chain, sum);
    return true;
}

static void mend(uint8_t *data, size_t size)
{
    struct mending mending = {.data = data, .size = size};

    if (size < DUMP_HEADER_FIXED_BYTES + DUMP_CHECKSUM_BYTES + DUMP_TRAILER_BYTES) {
        return;
    }
    mend_header(&mending);
    while (mend_record(&mending)) {
    }
    mending.trailer.file_bytes = size;
    dump_format_put_trailer(&mending.trailer, data + size - DUMP_TRAILER_BYTES);
}

static const char *own_folder(void)
{
    static char folder[64];

    if (folder[0] == '\0') {
        /* In memory where that is possible: an installation syncs a dozen times. */
        (void)snprintf(folder, sizeof folder, "%s/confer-fuzz-dump-XXXXXX",
                       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(folder) != NULL);
    }
    return folder;
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(file >= 0 && write(file, data, size) == (ssize_t)size);
    (void)close(file);
}

static bool count_record(void *visitor, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)visitor;
    return true;
}

static void check_tree(const char *path, const struct tree_store_options *options, uint64_t counted)
{
    struct tree_store *store;
    struct error error;
    uint64_t count = 0;

    CHECK(tree_store_open(path, options, &store, &error) == STATUS_OK);
    CHECK(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, count_record, &count) ==
          STATUS_OK);
    CHECK_OP(count, ==, counted);
    tree_store_close(store);
}

static void try_dump(const char *folder, const char *dump_path, const uint8_t *data, size_t size)
{
    struct tree_store_options options = {.map_bytes = 1 << 20};
    struct buffer config = BUFFER_INIT;
    struct dump_trailer trailer = {0};
    struct tree_meta meta;
    struct error error = {.status = STATUS_OK};
    char tree_path[128];
    enum status inspected = dump_inspect(dump_path, cluster, &config, &meta, &error);
    enum status installed;

    CHECK(inspected == STATUS_OK || error.text[0] != '\0');
    (void)snprintf(tree_path, sizeof tree_path, "%s/tree-1", folder);
    installed = dump_install(dump_path, tree_path, &options, cluster, NULL, &error);
    if (installed == STATUS_OK) {
        CHECK(inspected == STATUS_OK);
        CHECK(dump_format_get_trailer(data + size - DUMP_TRAILER_BYTES, &trailer));
        check_tree(tree_path, &options, trailer.record_count);
        CHECK(files_empty_folder(tree_path, true, &error) == STATUS_OK);
    } else {
        CHECK(access(tree_path, F_OK) != 0);
    }
    buffer_release(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = own_folder();
    uint8_t *copy;
    char dump_path[128];
    struct error error;

    if (size < 1 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    copy = bytes_copy(bytes_of(data + 1, size - 1));
    if ((data[0] & MEND) != 0) {
        mend(copy, size - 1);
    }
    /* Made anew when an earlier input took it away. */
    CHECK(files_make_folders(folder, &error) == STATUS_OK);
    (void)snprintf(dump_path, sizeof dump_path, "%s/dump", folder);
    write_file(dump_path, copy, size - 1);
    try_dump(folder, dump_path, copy, size - 1);
    CHECK(files_empty_folder(folder, true, &error) == STATUS_OK);
    free(copy);
    return 0;
}
