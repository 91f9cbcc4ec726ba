/* What the tests of the log store share: a folder, entries whose payloads follow from their place,
 * and reading them back. Included once in a test program. */
#ifndef TESTS_UNIT_PERSISTENCE_LOG_STORE_LAB_H
#define TESTS_UNIT_PERSISTENCE_LOG_STORE_LAB_H

#include "base/alloc.h"
#include "base/prng.h"
#include "persistence/log_format.h"
#include "persistence/log_store.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { NODE = 1, MAP_BYTES = 256 * 1024 * 1024, PIECE = LOG_PIECE_BYTES };

static char path[4096];
static char data_path[4200];
static struct error error;

static inline void new_path(void)
{
    (void)snprintf(path, sizeof path, "%s/log", test_folder());
    (void)snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
}

static inline enum status open_with(raft_id node, uint64_t map_bytes, struct log_store **store)
{
    struct log_store_options options = {.map_bytes = map_bytes, .prezero = false};

    return log_store_open(path, node, &options, store, &error);
}

static inline struct log_store *open_store(void)
{
    struct log_store *store = NULL;

    EXPECT_OK(open_with(NODE, MAP_BYTES, &store));
    return store;
}

/* A payload that says which entry it belongs to, at both ends and in between. */
static inline uint8_t *make_payload(raft_index index, raft_term term, size_t bytes)
{
    uint8_t *payload = xmalloc(bytes);
    struct prng prng;

    prng_init(&prng, index * 1000 + term);
    for (size_t i = 0; i < bytes; i++) {
        payload[i] = i % 8 == 0 ? (uint8_t)prng_next(&prng) : (uint8_t)(payload[i - 1] + 1);
    }
    return payload;
}

static inline enum status
append(struct log_store *store, raft_index first, size_t count, raft_term term, size_t bytes)
{
    struct log_entry *entries = xcalloc(count, sizeof *entries);
    struct log_write write = {.entries = entries, .entry_count = count};
    enum status status;

    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct log_entry){
            .index = first + i,
            .term = term,
            .type = RAFT_ENTRY_COMMAND,
            .payload = bytes_of(make_payload(first + i, term, bytes), bytes),
        };
    }
    status = log_store_write(store, &write, &error);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)entries[i].payload.data);
    }
    free(entries);
    return status;
}

struct expectation {
    raft_index next;
    raft_term term;
    size_t bytes;
};

static inline enum status check_entry(void *context, const struct log_entry *entry)
{
    struct expectation *expected = context;
    uint8_t *payload = make_payload(expected->next, expected->term, expected->bytes);

    EXPECT_EQ(entry->index, expected->next);
    EXPECT_EQ(entry->term, expected->term);
    EXPECT_EQ(entry->type, RAFT_ENTRY_COMMAND);
    EXPECT_BYTES(entry->payload, bytes_of(payload, expected->bytes));
    free(payload);
    expected->next++;
    return STATUS_OK;
}

static inline enum status ignore_entry(void *context, const struct log_entry *entry)
{
    (void)entry;
    ++*(size_t *)context;
    return STATUS_OK;
}

static inline void expect_entries(
    struct log_store *store, raft_index first, raft_index last, raft_term term, size_t bytes)
{
    struct expectation expected = {.next = first, .term = term, .bytes = bytes};

    EXPECT_OK(log_store_read(store, first, last, check_entry, &expected, &error));
    EXPECT_EQ(expected.next, last + 1);
}

static inline enum status read_all(struct log_store *store, raft_index first, raft_index last)
{
    size_t count = 0;

    return log_store_read(store, first, last, ignore_entry, &count, &error);
}

/* Each entry in a value of its own, the last one in pieces. */
static inline void make_log_of_ten(void)
{
    struct log_store *store;

    new_path();
    store = open_store();
    for (raft_index index = 1; index <= 9; index++) {
        EXPECT_OK(append(store, index, 1, 1, 100));
    }
    EXPECT_OK(append(store, 10, 1, 1, 2 * PIECE));
    log_store_close(store);
}

#endif
