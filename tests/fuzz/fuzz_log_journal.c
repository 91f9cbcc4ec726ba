/* Bytes as the file of a log's journal, as they came and with the checksums of all that could be
 * writes made right, so that the fuzzer need not guess them. What is taken lies within the file,
 * and is the same after being written again. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"
#include "persistence/log_journal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 64 * 1024, CHECKSUM_BYTES = 8, SIZE_AT = 24 };

static void read_records(struct bytes records)
{
    uint8_t *again = xmalloc(records.size);
    uint8_t *to = again;
    struct bytes rest = records;
    struct bytes value;
    uint64_t key;

    while (log_journal_next_record(&rest, &key, &value)) {
        CHECK(value.data >= records.data && value.data + value.size <= records.data + records.size);
        to = log_journal_put_record(to, key, value.size);
        if (value.size > 0) {
            memcpy(to, value.data, value.size);
        }
        to += value.size;
    }
    CHECK_OP((size_t)(to - again), ==, records.size - rest.size);
    CHECK(memcmp(again, records.data, (size_t)(to - again)) == 0);
    free(again);
}

static void read_file(struct bytes file)
{
    struct bytes rest = file;
    struct log_journal_write write;

    while (log_journal_next(&rest, &write)) {
        CHECK(write.records.data >= file.data + LOG_JOURNAL_HEAD_BYTES &&
              write.records.data + write.records.size <= file.data + file.size);
        CHECK_OP(rest.size, <, file.size);
        read_records(write.records);
    }
    CHECK_OP(rest.size, ==, 0);
}

static void make_sound(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + LOG_JOURNAL_HEAD_BYTES <= size; at += LOG_JOURNAL_BLOCK_BYTES) {
        size_t records = bytes_load_u32(bytes + at + SIZE_AT);

        if (records <= size - at - LOG_JOURNAL_HEAD_BYTES) {
            bytes_store_u64(bytes + at,
                            checksum(bytes_of(bytes + at + CHECKSUM_BYTES,
                                              LOG_JOURNAL_HEAD_BYTES - CHECKSUM_BYTES + records)));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes;

    if (size == 0 || size > BYTES_MAX) {
        return 0;
    }
    bytes = xmalloc(size);
    memcpy(bytes, data, size);
    read_file(bytes_of(bytes, size));
    make_sound(bytes, size);
    read_file(bytes_of(bytes, size));
    free(bytes);
    return 0;
}
