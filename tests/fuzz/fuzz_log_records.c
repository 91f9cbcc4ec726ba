/* Bytes as the records of a log store. The first byte chooses the record. Each is read as it came,
 * and with its checksum made right, so that the fuzzer need not guess it. What is taken is the same
 * after being written and read again. */
#include "base/check.h"
#include "persistence/log_format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAST = 100, KINDS = 6 };

static void read_identity(struct bytes stored)
{
    struct log_identity identity;
    struct log_identity again;
    uint32_t format = 0;
    uint8_t written[LOG_RECORD_BYTES_MAX];

    if (log_format_get_identity(stored, &identity, &format) == STATUS_OK) {
        size_t size = log_format_put_identity(&identity, written);

        CHECK_OP(size, <=, sizeof written);
        CHECK(log_format_get_identity(bytes_of(written, size), &again, &format) == STATUS_OK);
        CHECK(identity.node_id == again.node_id && identity.has_cluster == again.has_cluster &&
              identity.start_count == again.start_count &&
              identity.tree_generation == again.tree_generation &&
              identity.is_superseded == again.is_superseded &&
              identity.start_known == again.start_known &&
              memcmp(identity.starts, again.starts, sizeof identity.starts) == 0);
    }
}

static void read_state(struct bytes stored, bool hard)
{
    struct log_state state;
    struct log_state again;
    uint8_t written[LOG_RECORD_BYTES_MAX];
    enum status (*get)(struct bytes, struct log_state *) =
        hard ? log_format_get_hard_state : log_format_get_base;
    size_t (*put)(const struct log_state *, uint8_t *) =
        hard ? log_format_put_hard_state : log_format_put_base;

    memset(&state, 0, sizeof state);
    memset(&again, 0, sizeof again);
    if (get(stored, &state) == STATUS_OK) {
        size_t size = put(&state, written);

        CHECK(size == stored.size && memcmp(written, stored.data, size) == 0);
        CHECK(get(bytes_of(written, size), &again) == STATUS_OK);
        CHECK(state.term == again.term && state.vote == again.vote && state.base == again.base &&
              state.base_term == again.base_term);
    }
}

static void read_witnesses(struct bytes stored)
{
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    uint8_t written[LOG_RECORD_BYTES_MAX];
    size_t count;

    if (log_format_get_witnesses(stored, witnesses, &count) == STATUS_OK) {
        size_t size = log_format_put_witnesses(witnesses, count, written);

        CHECK(size == stored.size && memcmp(written, stored.data, size) == 0);
    }
}

static void read_stamp(struct bytes stored)
{
    uint8_t written[LOG_RECORD_BYTES_MAX];
    uint64_t stamp;

    if (log_format_get_stamp_record(stored, &stamp)) {
        size_t size = log_format_put_stamp(stamp, written);

        CHECK(size == stored.size && memcmp(written, stored.data, size) == 0);
    }
}

static void read_run(struct bytes stored)
{
    struct log_run run;
    struct log_entry entries[LOG_RUN_ENTRIES_MAX];
    size_t count = 0;
    uint64_t stamp;
    bool has_stamp = log_format_get_stamp(stored, &stamp);
    uint8_t *written;

    if (!log_format_get_run(LAST, stored, &run)) {
        return;
    }
    CHECK_OP(run.payload_bytes, <=, LOG_STORE_ENTRY_BYTES_MAX);
    CHECK_OP(log_format_pieces(run.payload_bytes), <=, LOG_PIECES_MAX);
    CHECK_OP(run.last - run.first, <, LOG_RUN_ENTRIES_MAX);
    while (log_format_next_entry(&run, &entries[count])) {
        CHECK_OP(entries[count].index, ==, run.first + count);
        count++;
    }
    CHECK_OP(entries[count - 1].index, ==, LAST);
    if (run.payload_bytes > LOG_PIECE_BYTES) {
        return; /* what is written of it depends on the other pieces */
    }
    written = malloc(stored.size);
    CHECK(written != NULL);
    CHECK_OP(log_format_run_bytes(entries, count, has_stamp ? &stamp : NULL), ==, stored.size);
    log_format_put_run(entries, count, has_stamp ? &stamp : NULL, written);
    CHECK(memcmp(written, stored.data, stored.size) == 0);
    free(written);
}

static void read_record(uint8_t which, struct bytes stored)
{
    switch (which % KINDS) {
    case 0:
        read_identity(stored);
        break;
    case 1:
        read_state(stored, true);
        break;
    case 2:
        read_state(stored, false);
        break;
    case 3:
        read_witnesses(stored);
        break;
    case 4:
        read_stamp(stored);
        break;
    default:
        read_run(stored);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t keys[KINDS] = {LOG_KEY_IDENTITY, LOG_KEY_HARD_STATE,
                                         LOG_KEY_BASE,     LOG_KEY_WITNESSES,
                                         LOG_KEY_STAMP,    (uint64_t)LAST << LOG_KEY_PIECE_BITS};
    uint8_t *sealed;

    if (size == 0) {
        return 0;
    }
    read_record(data[0], bytes_of(data + 1, size - 1));
    sealed = malloc(size - 1 + SEAL_BYTES);
    CHECK(sealed != NULL);
    memcpy(sealed, data + 1, size - 1);
    log_format_seal(keys[data[0] % KINDS], sealed, size - 1);
    read_record(data[0], bytes_of(sealed, size - 1 + SEAL_BYTES));
    free(sealed);
    return 0;
}
