#include "persistence/log_format.h"

#include "base/alloc.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static void test_keys_keep_entries_and_pieces_in_order_above_the_records(void)
{
    EXPECT(log_key(1, 0) > LOG_KEY_BASE);
    EXPECT_EQ(log_key(1, 0), 256);
    EXPECT_EQ(log_key(7, 3), 7 * 256 + 3);
    EXPECT(log_key(7, LOG_PIECES_MAX - 1) < log_key(8, 0));
    EXPECT(log_key(LOG_INDEX_MAX, LOG_PIECES_MAX - 1) < log_key(LOG_INDEX_MAX + 1, 0));
    EXPECT(log_key(LOG_INDEX_MAX + 1, 0) < UINT64_MAX);
}

static void test_pieces_are_counted_at_their_borders(void)
{
    EXPECT_EQ(log_format_pieces(0), 1);
    EXPECT_EQ(log_format_pieces(1), 1);
    EXPECT_EQ(log_format_pieces(LOG_PIECE_BYTES), 1);
    EXPECT_EQ(log_format_pieces(LOG_PIECE_BYTES + 1), 2);
    EXPECT_EQ(log_format_pieces(2 * LOG_PIECE_BYTES), 2);
    EXPECT_EQ(log_format_pieces(LOG_STORE_ENTRY_BYTES_MAX), LOG_PIECES_MAX);
}

static void test_the_identity_lies_where_the_document_says(void)
{
    struct log_identity identity = {.node_id = 0x0102030405060708,
                                    .incarnation = {0xaa, 0xbb},
                                    .has_cluster = true,
                                    .cluster_id = {0xcc},
                                    .start_count = 9,
                                    .starts = {0x1112131415161718, 5},
                                    .start_known = 2,
                                    .is_superseded = true,
                                    .tree_generation = 4};
    struct log_identity read;
    uint8_t value[LOG_RECORD_BYTES_MAX];
    uint32_t format;

    EXPECT_EQ(log_format_put_identity(&identity, value), 71 + 2 * 8 + 8);
    EXPECT(memcmp(value, "CONFRLOG", 8) == 0);
    EXPECT_EQ(bytes_load_u32(value + 8), LOG_STORE_FORMAT);
    EXPECT_EQ(bytes_load_u64(value + 12), 0x0102030405060708);
    EXPECT_EQ(value[20], 0xaa);
    EXPECT_EQ(value[36], 1);
    EXPECT_EQ(value[37], 0xcc);
    EXPECT_EQ(bytes_load_u64(value + 53), 9);
    EXPECT_EQ(bytes_load_u64(value + 61), 4);
    EXPECT_EQ(value[69], 1);
    EXPECT_EQ(value[70], 2);
    EXPECT_EQ(bytes_load_u64(value + 71), 0x1112131415161718);
    EXPECT_EQ(bytes_load_u64(value + 79), 5);
    EXPECT_OK(log_format_get_identity(bytes_of(value, 95), &read, &format));
    EXPECT_EQ(read.node_id, identity.node_id);
    EXPECT(memcmp(read.incarnation, identity.incarnation, sizeof read.incarnation) == 0);
    EXPECT(memcmp(read.cluster_id, identity.cluster_id, sizeof read.cluster_id) == 0);
    EXPECT(read.has_cluster);
    EXPECT_EQ(read.start_count, 9);
    EXPECT_EQ(read.tree_generation, 4);
    EXPECT_EQ(read.start_known, 2);
    EXPECT(memcmp(read.starts, identity.starts, sizeof read.starts) == 0);
    EXPECT(read.is_superseded);
}

static void test_an_identity_that_lies_about_its_starts_is_refused(void)
{
    struct log_identity identity = {.start_count = 2, .start_known = 2};
    struct log_identity read;
    uint8_t value[LOG_RECORD_BYTES_MAX];
    uint32_t format;
    size_t size = log_format_put_identity(&identity, value) - SEAL_BYTES;

    for (unsigned known = 0; known < 256; known++) {
        value[70] = (uint8_t)known;
        log_format_seal(LOG_KEY_IDENTITY, value, size);
        EXPECT_EQ(log_format_get_identity(bytes_of(value, size + SEAL_BYTES), &read, &format),
                  known == 2 ? STATUS_OK : STATUS_CORRUPT);
    }
    /* More than there were. */
    value[70] = 2;
    bytes_store_u64(value + 53, 1);
    log_format_seal(LOG_KEY_IDENTITY, value, size);
    EXPECT_EQ(log_format_get_identity(bytes_of(value, size + SEAL_BYTES), &read, &format),
              STATUS_CORRUPT);
}

static void test_witnesses_lie_where_the_document_says(void)
{
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    struct log_witness read[LOG_STORE_WITNESSES_MAX];
    uint8_t value[LOG_RECORD_BYTES_MAX];
    size_t count = 0;
    size_t size;

    for (uint8_t i = 0; i < LOG_STORE_WITNESSES_MAX; i++) {
        witnesses[i] = (struct log_witness){.id = i + 1U,
                                            .incarnation = {i},
                                            .start_count = 100U + i,
                                            .start = 200U + i,
                                            .term = 300U + i,
                                            .index = 400U + i};
    }
    size = log_format_put_witnesses(witnesses, LOG_STORE_WITNESSES_MAX, value);
    EXPECT_EQ(size, 56 * LOG_STORE_WITNESSES_MAX + 8);
    EXPECT_EQ(bytes_load_u64(value + 56), 2);
    EXPECT_EQ(value[56 + 8], 1);
    EXPECT_EQ(bytes_load_u64(value + 56 + 24), 101);
    EXPECT_EQ(bytes_load_u64(value + 56 + 32), 201);
    EXPECT_EQ(bytes_load_u64(value + 56 + 40), 301);
    EXPECT_EQ(bytes_load_u64(value + 56 + 48), 401);
    EXPECT_OK(log_format_get_witnesses(bytes_of(value, size), read, &count));
    EXPECT_EQ(count, LOG_STORE_WITNESSES_MAX);
    EXPECT(memcmp(read, witnesses, sizeof read) == 0);
    for (size_t bit = 0; bit < size * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT_EQ(log_format_get_witnesses(bytes_of(value, size), read, &count), STATUS_CORRUPT);
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* Well sealed, yet no whole number of them. */
    log_format_seal(LOG_KEY_WITNESSES, value, 57);
    EXPECT_EQ(log_format_get_witnesses(bytes_of(value, 57 + SEAL_BYTES), read, &count),
              STATUS_CORRUPT);
    EXPECT_EQ(log_format_put_witnesses(NULL, 0, value), 8);
    EXPECT_OK(log_format_get_witnesses(bytes_of(value, 8), read, &count));
    EXPECT_EQ(count, 0);
}

static void test_every_flipped_bit_of_the_records_is_found(void)
{
    struct log_identity identity = {.node_id = 1, .start_count = 1};
    struct log_state state = {.term = 3, .vote = 2, .base = 7, .base_term = 2};
    uint8_t value[LOG_RECORD_BYTES_MAX];
    uint32_t format;
    size_t size = log_format_put_identity(&identity, value);

    for (size_t bit = 0; bit < size * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT_EQ(log_format_get_identity(bytes_of(value, size), &identity, &format),
                  STATUS_CORRUPT);
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    size = log_format_put_hard_state(&state, value);
    EXPECT_EQ(size, 24);
    EXPECT_OK(log_format_get_hard_state(bytes_of(value, size), &state));
    EXPECT_EQ(log_format_get_base(bytes_of(value, size), &state), STATUS_CORRUPT);
    for (size_t bit = 0; bit < size * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT_EQ(log_format_get_hard_state(bytes_of(value, size), &state), STATUS_CORRUPT);
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    size = log_format_put_base(&state, value);
    for (size_t cut = 0; cut < size; cut++) {
        EXPECT_EQ(log_format_get_base(bytes_of(value, cut), &state), STATUS_CORRUPT);
    }
    EXPECT_OK(log_format_get_base(bytes_of(value, size), &state));
}

static bool reads(raft_index last, const uint8_t *value, size_t size, struct log_run *ret_run)
{
    return log_format_get_run(last, bytes_of(value, size), ret_run);
}

static bool seals_and_reads(raft_index last, uint8_t *value, size_t size)
{
    struct log_run run;

    log_format_seal(log_key(last, 0), value, size - SEAL_BYTES);
    return reads(last, value, size, &run);
}

static void test_an_entry_that_lies_is_refused(void)
{
    struct log_entry entry = {
        .index = 9, .term = 5, .type = RAFT_ENTRY_CONFIG, .payload = bytes_of_text("payload")};
    struct log_entry read;
    struct log_run run;
    uint8_t value[64];
    uint64_t stamp = 77;
    size_t size = log_format_run_bytes(&entry, 1, &stamp);

    EXPECT_EQ(size, 21 + 7 + 8);
    log_format_put_run(&entry, 1, &stamp, value);
    stamp = 0;
    EXPECT(log_format_get_stamp(bytes_of(value, size), &stamp));
    EXPECT_EQ(stamp, 77);
    EXPECT(reads(9, value, size, &run));
    EXPECT_EQ(run.first, 9);
    EXPECT_EQ(run.payload_bytes, 7);
    EXPECT(log_format_next_entry(&run, &read));
    EXPECT_EQ(read.index, 9);
    EXPECT_EQ(read.term, 5);
    EXPECT_EQ(read.type, RAFT_ENTRY_CONFIG);
    EXPECT_BYTES(read.payload, entry.payload);
    EXPECT(!log_format_next_entry(&run, &read));
    EXPECT(!reads(8, value, size, &run));
    /* Well sealed, yet impossible: a type that there is not, a size that does not fit. */
    value[8] = 0;
    EXPECT(!seals_and_reads(9, value, size));
    value[8] = RAFT_ENTRY_CONFIG + 1;
    EXPECT(!seals_and_reads(9, value, size));
    value[8] = 0x80 | RAFT_ENTRY_COMMAND;
    EXPECT(seals_and_reads(9, value, size));
    bytes_store_u32(value + 9, 8);
    EXPECT(!seals_and_reads(9, value, size));
    bytes_store_u32(value + 9, 6);
    EXPECT(!seals_and_reads(9, value, size));
    bytes_store_u32(value + 9, UINT32_MAX);
    EXPECT(!seals_and_reads(9, value, size));
    EXPECT(!reads(9, NULL, 0, &run));
}

static void test_an_entry_may_have_no_stamp(void)
{
    uint8_t value[13 + 2 + SEAL_BYTES] = {[7] = 6, [8] = RAFT_ENTRY_COMMAND, [12] = 2, 'h', 'i'};
    struct log_entry read;
    struct log_run run;
    uint64_t stamp;

    EXPECT(seals_and_reads(9, value, sizeof value));
    EXPECT(reads(9, value, sizeof value, &run));
    EXPECT(log_format_next_entry(&run, &read));
    EXPECT_EQ(read.term, 6);
    EXPECT_EQ(read.type, RAFT_ENTRY_COMMAND);
    EXPECT_BYTES(read.payload, bytes_of_text("hi"));
    EXPECT(!log_format_get_stamp(bytes_of(value, sizeof value), &stamp));
    /* Too short for the stamp that it tells of. */
    value[8] |= 0x80;
    EXPECT(!seals_and_reads(9, value, sizeof value));
    EXPECT(!log_format_get_stamp(bytes_of(value, sizeof value), &stamp));
}

static void test_a_run_lies_where_the_document_says(void)
{
    const struct log_entry entries[] = {
        {.index = 6, .term = 2, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of_text("ab")},
        {.index = 7, .term = 2, .type = RAFT_ENTRY_NOOP, .payload = BYTES_EMPTY},
        {.index = 8, .term = 3, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of_text("c")},
    };
    static const uint8_t expected[] = {
        0, 0, 0, 0, 0, 0, 0, 2, 0x81, 0, 0, 0, 2, 0,   0, 0, 0, 0, 0, 0, 9, 'a', 'b', /* entry 6 */
        0, 0, 0, 0, 0, 0, 0, 2, 2,    0, 0, 0, 0,                                     /* entry 7 */
        0, 0, 0, 0, 0, 0, 0, 3, 1,    0, 0, 0, 1, 'c',                                /* entry 8 */
    };
    uint64_t stamp = 9;
    uint8_t value[sizeof expected + SEAL_BYTES];
    struct log_run run;
    struct log_entry read;

    EXPECT_EQ(log_format_run_length(entries, 3), 3);
    EXPECT_EQ(log_format_run_bytes(entries, 3, &stamp), sizeof value);
    log_format_put_run(entries, 3, &stamp, value);
    EXPECT_BYTES(bytes_of(value, sizeof expected), bytes_of(expected, sizeof expected));
    EXPECT(reads(8, value, sizeof value, &run));
    EXPECT_EQ(run.first, 6);
    EXPECT_EQ(run.last, 8);
    for (size_t i = 0; i < 3; i++) {
        EXPECT(log_format_next_entry(&run, &read));
        EXPECT_EQ(read.index, entries[i].index);
        EXPECT_EQ(read.term, entries[i].term);
        EXPECT_EQ(read.type, entries[i].type);
        EXPECT_BYTES(read.payload, entries[i].payload);
    }
    EXPECT(!log_format_next_entry(&run, &read));
    /* Not under the key of another entry, and no bit of it may differ. */
    EXPECT(!reads(7, value, sizeof value, &run));
    for (size_t bit = 0; bit < sizeof value * 8; bit++) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(!reads(8, value, sizeof value, &run));
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_a_run_that_lies_is_refused(void)
{
    const struct log_entry entries[] = {
        {.index = 1, .term = 2, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of_text("ab")},
        {.index = 2, .term = 2, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of_text("c")},
    };
    enum { SECOND = LOG_ENTRY_HEAD_BYTES + 2 };
    uint8_t value[128] = {0};
    size_t size = log_format_run_bytes(entries, 2, NULL);

    log_format_put_run(entries, 2, NULL, value);
    EXPECT(seals_and_reads(2, value, size));
    EXPECT(!seals_and_reads(1, value, size)); /* there is no entry 0 */
    for (size_t cut = 1; cut <= size - SEAL_BYTES; cut++) {
        bool is_whole = size - cut == SECOND + SEAL_BYTES;

        EXPECT_EQ(seals_and_reads(2, value, size - cut), is_whole);
        log_format_put_run(entries, 2, NULL, value);
    }
    EXPECT(!seals_and_reads(2, value, size + 1));
    log_format_put_run(entries, 2, NULL, value);
    value[SECOND + 8] |= 0x80; /* a stamp is the first one's */
    EXPECT(!seals_and_reads(2, value, size));
    value[SECOND + 8] = 0;
    EXPECT(!seals_and_reads(2, value, size));
    value[SECOND + 8] = RAFT_ENTRY_COMMAND;
    bytes_store_u32(value + SECOND + 9, 2);
    EXPECT(!seals_and_reads(2, value, size));
}

static void test_entries_share_a_value_while_it_is_small(void)
{
    static const uint8_t payload[LOG_RUN_BYTES_MAX];
    struct log_entry entries[LOG_RUN_ENTRIES_MAX + 1];
    uint64_t stamp = 1;

    for (size_t i = 0; i <= LOG_RUN_ENTRIES_MAX; i++) {
        entries[i] = (struct log_entry){.index = i + 1, .term = 1, .type = RAFT_ENTRY_NOOP};
    }
    EXPECT_EQ(log_format_run_length(entries, 1), 1);
    EXPECT_EQ(log_format_run_length(entries, 5), 5);
    EXPECT(log_format_run_length(entries, LOG_RUN_ENTRIES_MAX + 1) <= LOG_RUN_ENTRIES_MAX);
    for (size_t bytes = LOG_RUN_BYTES_MAX - 60; bytes <= LOG_RUN_BYTES_MAX; bytes++) {
        size_t both;

        entries[1].payload = bytes_of(payload, bytes);
        both = log_format_run_bytes(entries, 2, &stamp);
        EXPECT_EQ(log_format_run_length(entries, 2), both <= LOG_RUN_BYTES_MAX ? 2 : 1);
        EXPECT_EQ(log_format_run_length(entries + 1, 1), 1);
    }
}

static void test_pieces_hold_the_payload_without_gaps(void)
{
    size_t bytes = 2 * LOG_PIECE_BYTES + 5;
    uint8_t *payload = xmalloc(bytes);
    uint8_t *value = xmalloc(LOG_PIECE_BYTES + 64);
    struct log_entry entry = {
        .index = 3, .term = 1, .type = RAFT_ENTRY_COMMAND, .payload = bytes_of(payload, bytes)};
    size_t at = 0;

    for (size_t i = 0; i < bytes; i++) {
        payload[i] = (uint8_t)(i * 31 >> 3);
    }
    for (uint32_t piece = 0; piece < log_format_pieces(bytes); piece++) {
        size_t size = piece == 0 ? log_format_run_bytes(&entry, 1, NULL)
                                 : log_format_piece_bytes(&entry, piece);
        size_t head = piece == 0 ? LOG_ENTRY_HEAD_BYTES : 0;
        struct bytes read;

        if (piece == 0) {
            log_format_put_run(&entry, 1, NULL, value);
        } else {
            log_format_put_piece(&entry, piece, value);
        }
        EXPECT(log_format_check(log_key(3, piece), bytes_of(value, size), &read));
        EXPECT_BYTES(bytes_of(read.data + head, read.size - head),
                     bytes_of(payload + at, read.size - head));
        at += read.size - head;
    }
    EXPECT_EQ(at, bytes);
    free(payload);
    free(value);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_keys_keep_entries_and_pieces_in_order_above_the_records),
        TEST_CASE(test_pieces_are_counted_at_their_borders),
        TEST_CASE(test_the_identity_lies_where_the_document_says),
        TEST_CASE(test_an_identity_that_lies_about_its_starts_is_refused),
        TEST_CASE(test_witnesses_lie_where_the_document_says),
        TEST_CASE(test_every_flipped_bit_of_the_records_is_found),
        TEST_CASE(test_an_entry_that_lies_is_refused),
        TEST_CASE(test_an_entry_may_have_no_stamp),
        TEST_CASE(test_a_run_lies_where_the_document_says),
        TEST_CASE(test_a_run_that_lies_is_refused),
        TEST_CASE(test_entries_share_a_value_while_it_is_small),
        TEST_CASE(test_pieces_hold_the_payload_without_gaps),
        TEST_END,
    };

    return test_main("log_format", cases, argc, argv);
}
