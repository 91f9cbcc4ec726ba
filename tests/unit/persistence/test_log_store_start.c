/* Whose folder it is, and what a start does with one. */
#include "persistence/log_store.h"

#include "persistence/log_format.h"
#include "tests/support/damage.h"
#include "tests/unit/persistence/log_store_lab.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_new_folder_has_an_identity_and_an_empty_log(void)
{
    static const uint8_t zeros[RAFT_INCARNATION_BYTES];
    struct log_store *store;
    const struct log_identity *identity;
    struct log_state state;

    new_path();
    store = open_store();
    identity = log_store_identity(store);
    state = log_store_state(store);
    EXPECT_EQ(identity->node_id, NODE);
    EXPECT(memcmp(identity->incarnation, zeros, sizeof zeros) != 0);
    EXPECT(!identity->has_cluster);
    EXPECT_EQ(identity->start_count, 1);
    EXPECT_EQ(identity->tree_generation, 0);
    EXPECT_EQ(state.term, 0);
    EXPECT_EQ(state.vote, 0);
    EXPECT_EQ(state.base, 0);
    EXPECT_EQ(state.base_term, 0);
    EXPECT_EQ(state.last, 0);
    EXPECT_OK(read_all(store, 1, 0));
    EXPECT_EQ(read_all(store, 1, 1), STATUS_NOT_FOUND);
    log_store_close(store);
}

static void test_identity_stays_and_starts_are_counted(void)
{
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    struct log_store *store;

    new_path();
    store = open_store();
    memcpy(incarnation, log_store_identity(store)->incarnation, sizeof incarnation);
    log_store_close(store);
    for (uint64_t start = 2; start < 5; start++) {
        store = open_store();
        EXPECT_EQ(log_store_identity(store)->start_count, start);
        EXPECT(memcmp(log_store_identity(store)->incarnation, incarnation, sizeof incarnation) ==
               0);
        log_store_close(store);
    }
}

static void test_two_folders_have_different_incarnations(void)
{
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    struct log_store *store;

    new_path();
    store = open_store();
    memcpy(incarnation, log_store_identity(store)->incarnation, sizeof incarnation);
    log_store_close(store);
    new_path();
    store = open_store();
    EXPECT(memcmp(log_store_identity(store)->incarnation, incarnation, sizeof incarnation) != 0);
    log_store_close(store);
}

static void test_another_node_is_refused_with_both_ids(void)
{
    struct log_store *store;

    new_path();
    log_store_close(open_store());
    EXPECT_EQ(open_with(3, MAP_BYTES, &store), STATUS_MISMATCH);
    EXPECT_CONTAINS(error.text, "belongs to node 1, this is node 3");
    EXPECT_CONTAINS(error.text, path);
    /* And the refusal changed nothing. */
    store = open_store();
    EXPECT_EQ(log_store_identity(store)->start_count, 2);
    log_store_close(store);
}

static void test_cluster_is_set_once(void)
{
    static const uint8_t one[LOG_STORE_CLUSTER_ID_BYTES] = {1, 2, 3};
    static const uint8_t other[LOG_STORE_CLUSTER_ID_BYTES] = {3, 2, 1};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(log_store_set_cluster(store, one, &error));
    EXPECT_OK(log_store_set_cluster(store, one, &error));
    EXPECT_EQ(log_store_set_cluster(store, other, &error), STATUS_MISMATCH);
    EXPECT_CONTAINS(error.text, path);
    log_store_close(store);
    store = open_store();
    EXPECT(log_store_identity(store)->has_cluster);
    EXPECT(memcmp(log_store_identity(store)->cluster_id, one, sizeof one) == 0);
    EXPECT_EQ(log_store_set_cluster(store, other, &error), STATUS_MISMATCH);
    log_store_close(store);
}

/* Each start draws a number and knows those of the starts before, as many as fit. */
static void test_a_start_knows_the_numbers_of_those_before(void)
{
    uint64_t drawn[LOG_STORE_STARTS_MAX + 3];
    struct log_store *store;

    new_path();
    for (uint32_t count = 1; count < LOG_STORE_STARTS_MAX + 3; count++) {
        const struct log_identity *identity;
        uint32_t known = count < LOG_STORE_STARTS_MAX ? count : LOG_STORE_STARTS_MAX;

        EXPECT_OK(open_with(NODE, MAP_BYTES, &store));
        identity = log_store_identity(store);
        EXPECT_EQ(identity->start_count, count);
        EXPECT_EQ(identity->start_known, known);
        drawn[count] = identity->starts[0];
        for (uint32_t age = 0; age < known; age++) {
            EXPECT_EQ(identity->starts[age], drawn[count - age]);
        }
        EXPECT(count == 1 || drawn[count] != drawn[count - 1]);
        log_store_close(store);
    }
}

static void test_witnesses_outlive_restarts_and_resets(void)
{
    const struct log_witness kept[2] = {
        {.id = 1, .incarnation = {7}, .start_count = 3, .start = 99, .term = 4, .index = 10},
        {.id = 2, .incarnation = {8}, .start_count = 1, .start = 98, .term = 5, .index = 11}};
    const struct log_write with = {.witnesses = kept, .witness_count = 2};
    const struct log_write reset = {.reset = true, .reset_index = 50, .reset_term = 3};
    struct log_witness read[LOG_STORE_WITNESSES_MAX];
    struct log_store *store;

    make_log_of_ten();
    store = open_store();
    EXPECT_EQ(log_store_witnesses(store, read), 0);
    EXPECT_OK(log_store_write(store, &with, &error));
    EXPECT_EQ(log_store_state(store).last, 10);
    EXPECT_OK(log_store_write(store, &reset, &error));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_witnesses(store, read), 2);
    EXPECT(memcmp(read, kept, sizeof kept) == 0);
    EXPECT_OK(log_store_write(store, &(struct log_write){.witnesses = kept + 1, .witness_count = 1},
                              &error));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_witnesses(store, read), 1);
    EXPECT_EQ(read[0].id, 2);
    log_store_close(store);
}

static void test_an_inspected_folder_is_left_as_it_is(void)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES, .is_inspected = true};
    struct log_identity before;
    struct log_store *store;

    make_log_of_ten();
    store = open_store();
    before = *log_store_identity(store);
    EXPECT_OK(log_store_set_superseded(store, &error));
    log_store_close(store);
    for (int again = 0; again < 2; again++) {
        EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
        EXPECT_EQ(log_store_identity(store)->start_count, before.start_count);
        EXPECT(log_store_identity(store)->is_superseded);
        EXPECT_EQ(log_store_state(store).last, 10);
        log_store_close(store);
    }
}

static void test_a_recovered_folder_is_another_one_with_the_same_entries(void)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES, .is_inspected = true};
    const struct log_witness seen = {.id = 2, .start_count = 1};
    struct log_entry entries[2] = {
        {.index = 11, .term = 8, .type = RAFT_ENTRY_CONFIG, .payload = bytes_of_text("x")},
        {.index = 12, .term = 8, .type = RAFT_ENTRY_NOOP}};
    struct log_recovery recovery = {.incarnation = {1, 2},
                                    .cluster_id = {3, 4},
                                    .term = 8,
                                    .entries = entries,
                                    .entry_count = 2};
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    struct log_state state;
    struct log_store *store;

    make_log_of_ten();
    store = open_store();
    EXPECT_OK(log_store_write(
        store,
        &(struct log_write){
            .hard_state = true, .term = 7, .vote = 3, .witnesses = &seen, .witness_count = 1},
        &error));
    EXPECT_OK(log_store_set_superseded(store, &error));
    log_store_close(store);

    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    /* All or nothing. */
    entries[1].index = 13;
    EXPECT_EQ(log_store_recover(store, &recovery, &error), STATUS_INVALID);
    log_store_close(store);
    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    EXPECT(log_store_identity(store)->is_superseded);
    EXPECT_EQ(log_store_state(store).last, 10);
    entries[1].index = 12;
    EXPECT_OK(log_store_recover(store, &recovery, &error));
    log_store_close(store);

    store = open_store();
    state = log_store_state(store);
    EXPECT_EQ(state.term, 8);
    EXPECT_EQ(state.vote, 0);
    EXPECT_EQ(state.last, 12);
    EXPECT_EQ(log_store_identity(store)->incarnation[1], 2);
    EXPECT(log_store_identity(store)->has_cluster);
    EXPECT_EQ(log_store_identity(store)->cluster_id[1], 4);
    EXPECT_EQ(log_store_witnesses(store, witnesses), 0);
    EXPECT_OK(read_all(store, 1, 12));
    log_store_close(store);
}

static void test_a_superseded_folder_starts_no_more(void)
{
    struct log_store *store;

    make_log_of_ten();
    store = open_store();
    EXPECT_OK(log_store_set_superseded(store, &error));
    log_store_close(store);
    for (int again = 0; again < 2; again++) {
        EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_MISMATCH);
        EXPECT_CONTAINS(error.text, path);
        EXPECT_CONTAINS(error.text, "old copy");
        EXPECT_CONTAINS(error.text, "remove-member");
    }
}

static void test_a_missing_data_file_is_no_fresh_start(void)
{
    struct log_store *store;

    make_log_of_ten();
    EXPECT_EQ(unlink(data_path), 0);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "data.mdb is missing");
}

static void test_a_foreign_file_is_refused(void)
{
    struct log_store *store;
    uint8_t rubbish[9000] = {7};

    new_path();
    EXPECT_EQ(mkdir(path, 0700), 0);
    damage_write(data_path, 0, bytes_of(rubbish, sizeof rubbish));
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, path);
}

static void test_a_file_at_the_path_is_refused(void)
{
    struct log_store *store;

    new_path();
    damage_write(path, 0, bytes_of_text("a file"));
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_IO);
    EXPECT_CONTAINS(error.text, "is not a folder");
}

static void test_an_interrupted_creation_is_begun_again(void)
{
    char part[4300];
    char file[4400];
    struct log_store *store;

    new_path();
    (void)snprintf(part, sizeof part, "%s.part", path);
    (void)snprintf(file, sizeof file, "%s/data.mdb", part);
    EXPECT_EQ(mkdir(part, 0700), 0);
    damage_write(file, 0, bytes_of_text("half"));
    store = open_store();
    EXPECT_OK(append(store, 1, 1, 1, 10));
    log_store_close(store);
    EXPECT(access(part, F_OK) != 0);
    /* An empty folder is as good as none. */
    new_path();
    EXPECT_EQ(mkdir(path, 0700), 0);
    store = open_store();
    log_store_close(store);
}

static void test_a_smaller_map_than_the_file_still_opens(void)
{
    struct log_store *store;

    make_log_of_ten();
    EXPECT_OK(open_with(NODE, 4096, &store));
    EXPECT_OK(read_all(store, 1, 10));
    log_store_close(store);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_new_folder_has_an_identity_and_an_empty_log),
        TEST_CASE(test_identity_stays_and_starts_are_counted),
        TEST_CASE(test_two_folders_have_different_incarnations),
        TEST_CASE(test_another_node_is_refused_with_both_ids),
        TEST_CASE(test_cluster_is_set_once),
        TEST_CASE(test_a_start_knows_the_numbers_of_those_before),
        TEST_CASE(test_witnesses_outlive_restarts_and_resets),
        TEST_CASE(test_an_inspected_folder_is_left_as_it_is),
        TEST_CASE(test_a_recovered_folder_is_another_one_with_the_same_entries),
        TEST_CASE(test_a_superseded_folder_starts_no_more),
        TEST_CASE(test_a_missing_data_file_is_no_fresh_start),
        TEST_CASE(test_a_foreign_file_is_refused),
        TEST_CASE(test_a_file_at_the_path_is_refused),
        TEST_CASE(test_an_interrupted_creation_is_begun_again),
        TEST_CASE(test_a_smaller_map_than_the_file_still_opens),
        TEST_END,
    };

    return test_main("log_store_start", cases, argc, argv);
}
