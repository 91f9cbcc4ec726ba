/* What a store has read or let go does not stay in the process's resident memory. */
#include "persistence/tree_store_internal.h"
#include "tests/unit/persistence/log_store_lab.h"

#include <string.h>

enum {
    ENTRIES = 400,
    ENTRY_BYTES = 64 * 1024, /* 25 MiB with those */
    ENTRIES_A_WRITE = 20,
    SLACK_BYTES = 12 * 1024 * 1024,
    RECORDS = 40000
};

/* Pages of files that are in the process's memory. */
static uint64_t resident_file_bytes(void)
{
    uint64_t kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    EXPECT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "RssFile:", 8) == 0) {
            kib = strtoull(line + 8, NULL, 10);
        }
    }
    (void)fclose(file);
    return kib * 1024;
}

static void test_entries_that_are_read_or_trimmed_do_not_stay(void)
{
    uint64_t before;
    struct log_store *store;
    bool more = true;

    new_path();
    store = open_store();
    before = resident_file_bytes();
    for (raft_index first = 1; first <= ENTRIES; first += ENTRIES_A_WRITE) {
        EXPECT_OK(append(store, first, ENTRIES_A_WRITE, 1, ENTRY_BYTES));
    }
    for (raft_index first = 1; first <= ENTRIES; first += ENTRIES_A_WRITE) {
        EXPECT_OK(read_all(store, first, first + ENTRIES_A_WRITE - 1));
    }
    EXPECT(resident_file_bytes() < before + SLACK_BYTES);
    while (more) {
        EXPECT_OK(log_store_trim(store, ENTRIES - 1, ENTRIES_A_WRITE, &more, &error));
    }
    EXPECT(resident_file_bytes() < before + SLACK_BYTES);
    EXPECT_OK(read_all(store, ENTRIES, ENTRIES));
    log_store_close(store);
}

static bool count_record(void *visitor, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    (*(size_t *)visitor)++;
    return true;
}

static void make_records(struct tree_store *store)
{
    static const uint8_t value[500] = {1};
    static char keys[RECORDS][16];
    static struct tree_record records[RECORDS];
    struct tree_meta meta = {.applied_index = 1, .config = BYTES_EMPTY};

    for (size_t i = 0; i < RECORDS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "n%08zu", i);
        records[i] = (struct tree_record){.key = bytes_of_text(keys[i]),
                                          .value = bytes_of(value, sizeof value)};
    }
    EXPECT_OK(tree_store_commit(store, records, RECORDS, &meta, &error));
    EXPECT_OK(tree_store_renew(store, &error));
}

static void weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    *count += key.size;
    *sum += value.size;
}

static void test_records_are_forgotten_after_a_while_and_read_as_before(void)
{
    const struct tree_store_options options = {.map_bytes = MAP_BYTES};
    struct tree_store *store = NULL;
    struct tree_scrub_slice slice;
    size_t count = 0;
    uint64_t read;

    (void)snprintf(path, sizeof path, "%s/tree-0", test_folder());
    EXPECT_OK(tree_store_open(path, &options, &store, &error));
    make_records(store);
    EXPECT_OK(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, count_record, &count));
    EXPECT_EQ(count, RECORDS);
    read = resident_file_bytes();
    EXPECT(read > RECORDS * 500);
    EXPECT_OK(tree_store_scrub(store, weigh, 1, &slice, &error)); /* too soon */
    EXPECT(resident_file_bytes() > read - SLACK_BYTES);
    store->forgotten_us = 0;
    EXPECT_OK(tree_store_scrub(store, weigh, 1, &slice, &error));
    EXPECT(resident_file_bytes() < read - SLACK_BYTES);
    count = 0;
    EXPECT_OK(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, count_record, &count));
    EXPECT_EQ(count, RECORDS);
    tree_store_close(store);
}

static void test_each_store_knows_its_own_map(void)
{
    const struct tree_store_options options = {.map_bytes = MAP_BYTES};
    struct tree_store *stores[2];
    const uint8_t *maps[2];

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/tree-own-%zu", test_folder(), i);
        EXPECT_OK(tree_store_open(path, &options, &stores[i], &error));
        make_records(stores[i]);
        maps[i] = stores[i]->environment.map;
        EXPECT(maps[i] != NULL);
        EXPECT(stores[i]->environment.map_length >= MAP_BYTES);
    }
    EXPECT(maps[0] != maps[1]);
    for (size_t i = 0; i < 2; i++) {
        struct bytes value;

        EXPECT_EQ(tree_store_lookup(stores[i], bytes_of_text("n00000007"), SIZE_MAX, &value),
                  STATUS_OK);
        EXPECT(value.data > maps[i]);
        EXPECT(value.data < maps[i] + stores[i]->environment.map_length);
        tree_store_close(stores[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_entries_that_are_read_or_trimmed_do_not_stay),
        TEST_CASE(test_records_are_forgotten_after_a_while_and_read_as_before),
        TEST_CASE(test_each_store_knows_its_own_map),
        TEST_END,
    };

    return test_main("resident", cases, argc, argv);
}
