#include "persistence/log_journal.h"

#include "persistence/inspect.h"
#include "persistence/log_store_internal.h"
#include "tests/support/damage.h"
#include "tests/unit/persistence/log_store_lab.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = LOG_JOURNAL_BLOCK_BYTES, BLOCKS = 16, METAS_BYTES = 2 * 4096, TERM = 3 };

static char journal_path[4200];

static struct log_store *open_journaled(size_t blocks)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES,
                                              .journal_bytes = blocks * BLOCK};
    struct log_store *store = NULL;

    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    return store;
}

static struct log_store *new_store(void)
{
    const struct log_write term = {.hard_state = true, .term = TERM};
    struct log_store *store;

    new_path();
    (void)snprintf(journal_path, sizeof journal_path, "%s/journal", path);
    store = open_journaled(BLOCKS);
    EXPECT_OK(log_store_write(store, &term, &error));
    return store;
}

static void put(struct log_store *store, raft_index first, size_t count, size_t bytes)
{
    EXPECT_OK(append(store, first, count, TERM, bytes));
}

/* --- What a crash leaves --- */

struct files {
    uint8_t *data;
    size_t data_bytes;
    uint8_t *journal;
    size_t journal_bytes;
};

static struct files save_files(void)
{
    struct files files;

    files.data = damage_read(data_path, &files.data_bytes);
    files.journal = damage_read(journal_path, &files.journal_bytes);
    return files;
}

/* In place of what they are now: a store that is closed in order goes on writing. */
static void restore_files(struct files files)
{
    EXPECT_EQ(truncate(data_path, (off_t)files.data_bytes), 0);
    damage_write(data_path, 0, bytes_of(files.data, files.data_bytes));
    damage_write(journal_path, 0, bytes_of(files.journal, files.journal_bytes));
    free(files.data);
    free(files.journal);
}

/* The process dies now. */
static void crash(struct log_store *store)
{
    struct files files = save_files();

    log_store_close(store);
    restore_files(files);
}

/* The power goes now, and takes the meta pages written since. */
static void cut(struct log_store *store, uint8_t *metas)
{
    struct files files = save_files();

    log_store_close(store);
    memcpy(files.data, metas, METAS_BYTES);
    restore_files(files);
    free(metas);
}

static void expect_log(raft_index last, size_t bytes)
{
    /* The second start finds what the first one put in its place. */
    for (unsigned start = 0; start < 2; start++) {
        struct log_store *store = open_journaled(BLOCKS);
        struct log_state state = log_store_state(store);

        EXPECT_EQ(state.last, last);
        EXPECT_EQ(state.term, TERM);
        expect_entries(store, state.base + 1, last, TERM, bytes);
        crash(store);
    }
}

static uint64_t transactions(void)
{
    enum { TRANSACTION_AT = 16 + 24 + 2 * 48 + 8 };
    size_t bytes;
    uint8_t *file = damage_read(data_path, &bytes);
    uint64_t first;
    uint64_t second;

    memcpy(&first, file + TRANSACTION_AT, sizeof first);
    memcpy(&second, file + 4096 + TRANSACTION_AT, sizeof second);
    free(file);
    return first > second ? first : second;
}

/* --- Writing and reading --- */

static void test_small_appends_make_no_transaction_until_the_journal_is_full(void)
{
    struct log_store *store = new_store();
    uint64_t before = transactions();

    for (raft_index index = 1; index <= BLOCKS; index++) {
        put(store, index, 1, 100);
    }
    EXPECT_EQ(transactions(), before);
    EXPECT_EQ(log_store_state(store).last, BLOCKS);
    put(store, BLOCKS + 1, 1, 100);
    EXPECT_EQ(transactions(), before + 1);
    put(store, BLOCKS + 2, 1, 100);
    EXPECT_EQ(transactions(), before + 1);
    expect_entries(store, 1, BLOCKS + 2, TERM, 100);
    log_store_close(store);
}

static void test_entries_are_read_wherever_they_are(void)
{
    struct log_store *store = new_store();

    const struct log_write vote = {.hard_state = true, .term = TERM, .vote = 2};

    put(store, 1, 40, 100);
    EXPECT_OK(log_store_write(store, &vote, &error)); /* not in the journal any more */
    put(store, 41, 1, 100);
    put(store, 42, 30, 100);
    put(store, 72, 1, 100);
    for (raft_index first = 35; first <= 72; first++) {
        for (raft_index last = first; last <= 72; last++) {
            expect_entries(store, first, last, TERM, 100);
        }
    }
    EXPECT_EQ(read_all(store, 70, 73), STATUS_NOT_FOUND);
    log_store_close(store);
}

static void test_what_is_large_goes_into_the_log_at_once(void)
{
    struct log_store *store = new_store();
    uint64_t before;

    log_store_close(store);
    store = open_journaled(2 * LOG_JOURNAL_WRITE_BYTES_MAX / BLOCK);
    before = transactions();
    put(store, 1, 1, 100);
    put(store, 2, 1, LOG_JOURNAL_WRITE_BYTES_MAX - BLOCK);
    EXPECT_EQ(transactions(), before);
    put(store, 3, 1, LOG_JOURNAL_WRITE_BYTES_MAX);
    EXPECT_EQ(transactions(), before + 1);
    EXPECT_EQ(read_all(store, 1, 3), STATUS_OK);
    log_store_close(store);
}

/* --- What the file system says --- */

/* What is written to the journal from now on goes to `to` instead, opened with `flags`. */
static void redirect(struct log_store *store, const char *to, int flags)
{
    int file = open(to, flags | O_CLOEXEC);

    EXPECT(file >= 0);
    EXPECT_EQ(dup2(file, store->journal.file), store->journal.file);
    (void)close(file);
}

static void expect_goes_on_without(const char *refuses)
{
    struct log_store *store = new_store();

    put(store, 1, 2, 100);
    redirect(store, refuses, O_WRONLY);
    put(store, 3, 2, 100);
    put(store, 5, 2, 100);
    expect_entries(store, 1, 6, TERM, 100);
    crash(store);
    expect_log(6, 100);
}

static void test_a_journal_that_has_no_space_is_done_without(void)
{
    expect_goes_on_without("/dev/full");
}

/* As a device does whose blocks are larger. */
static void test_a_journal_that_takes_no_such_blocks_is_done_without(void)
{
    expect_goes_on_without("/proc/self/oom_score_adj");
}

static void test_after_another_failure_of_the_journal_nothing_is_written(void)
{
    struct log_store *store = new_store();

    put(store, 1, 2, 100);
    redirect(store, path, O_RDONLY);
    EXPECT_EQ(append(store, 3, 1, TERM, 100), STATUS_IO);
    EXPECT_EQ(append(store, 3, 1, TERM, 3 * BLOCK), STATUS_IO);
    EXPECT_EQ(log_store_state(store).last, 2);
    crash(store);
    expect_log(2, 100);
}

/* --- After a crash --- */

static void test_a_crash_takes_nothing(void)
{
    for (raft_index last = 1; last < 3 * BLOCKS; last += 5) {
        struct log_store *store = new_store();

        for (raft_index index = 1; index <= last; index++) {
            put(store, index, 1, 70);
        }
        crash(store);
        expect_log(last, 70);
    }
}

static void test_writes_of_several_blocks_and_values_come_back(void)
{
    static const size_t counts[] = {1, 2, 30, 100, 7, 60};

    for (size_t bytes = 10; bytes <= 1000; bytes += 330) {
        struct log_store *store = new_store();
        raft_index last = 0;

        for (size_t i = 0; i < 24; i++) {
            put(store, last + 1, counts[i % 6], bytes);
            last += counts[i % 6];
        }
        crash(store);
        expect_log(last, bytes);
    }
}

/* The transaction that took what the journal had, without its meta page, while the journal has
 * begun anew. */
static void test_a_lost_meta_page_takes_nothing(void)
{
    struct log_store *store = new_store();
    uint8_t *metas;
    size_t bytes;

    put(store, 1, 1, 100);
    metas = damage_read(data_path, &bytes);
    for (raft_index index = 2; index <= BLOCKS + 5; index++) {
        put(store, index, 1, 100);
    }
    cut(store, metas);
    expect_log(BLOCKS + 5, 100);
}

/* A trim is durable, so that what the journal takes from then on follows something. */
static void test_a_trim_beside_a_journal_waits_for_its_meta_page(void)
{
    const struct log_write trim = {.trim = 5};
    struct log_store *store = new_store();
    bool more;

    put(store, 1, 8, 100);
    put(store, 9, 1, 100);
    EXPECT_OK(log_store_write(store, &trim, &error));
    EXPECT_EQ(log_store_state(store).base, 5);
    EXPECT_EQ(store->synced_stamp, store->stamp);
    put(store, 10, 1, 100);
    EXPECT_OK(log_store_trim(store, 7, 10, &more, &error));
    EXPECT_EQ(log_store_state(store).base, 7);
    /* All but what is in the journal alone. */
    EXPECT_EQ(store->synced_stamp, store->journaled.first_stamp - 1);
    crash(store);
    expect_log(10, 100);
}

/* Nor does a transaction without what the journal has say that it has it. */
static void test_turning_over_leaves_what_the_journal_has(void)
{
    struct log_store *store = new_store();

    put(store, 1, 1, 100);
    put(store, 2, 1, 100);
    EXPECT_OK(log_store_turn_over(store, &error));
    EXPECT_OK(log_store_turn_over(store, &error));
    EXPECT_EQ(log_store_state(store).last, 2);
    crash(store);
    expect_log(2, 100);
}

static void test_a_write_that_was_not_finished_is_none(void)
{
    for (size_t torn = 0; torn < 3 * BLOCK; torn += 1024) {
        struct log_store *store = new_store();
        struct files files;

        put(store, 1, 1, 100);
        put(store, 2, 80, 100);
        files = save_files();
        log_store_close(store);
        memset(files.journal + BLOCK + torn, 0, 512);
        restore_files(files);
        /* What the last block is filled up with is nobody's. */
        expect_log(torn < LOG_JOURNAL_HEAD_BYTES + 80 * 113 ? 1 : 81, 100);
    }
}

/* It was finished: a later one stands behind it, and was begun when it had returned. */
static void test_a_damaged_write_before_the_last_is_named(void)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES,
                                              .journal_bytes = BLOCKS * BLOCK};
    struct log_store *store = new_store();
    struct files files;

    for (raft_index index = 1; index <= 9; index++) {
        put(store, index, 1, 100);
    }
    files = save_files();
    log_store_close(store);
    files.journal[5 * BLOCK + 60] ^= 4;
    restore_files(files);
    EXPECT_EQ(log_store_open(path, NODE, &options, &store, &error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, path);
    EXPECT_CONTAINS(error.text, "lacks the entries 6 to 8");
}

static void test_entries_that_were_replaced_do_not_come_back(void)
{
    struct log_store *store = new_store();

    for (raft_index index = 1; index <= 9; index++) {
        put(store, index, 1, 100);
    }
    put(store, 5, 1, 100);
    EXPECT_EQ(log_store_state(store).last, 5);
    crash(store);
    expect_log(5, 100);
    store = open_journaled(BLOCKS);
    put(store, 6, 1, 100);
    crash(store);
    expect_log(6, 100);
}

static void test_a_vote_takes_what_the_journal_has_with_it(void)
{
    const struct log_write vote = {.hard_state = true, .term = TERM, .vote = 2};
    struct log_store *store = new_store();

    put(store, 1, 3, 100);
    EXPECT_OK(log_store_write(store, &vote, &error));
    put(store, 4, 1, 100);
    crash(store);
    store = open_journaled(BLOCKS);
    EXPECT_EQ(log_store_state(store).vote, 2);
    expect_entries(store, 1, 4, TERM, 100);
    log_store_close(store);
}

static void test_a_reset_drops_what_the_journal_has(void)
{
    const struct log_write reset = {
        .reset = true, .reset_index = 100, .reset_term = TERM, .tree_generation = 1};
    struct log_store *store = new_store();

    put(store, 1, 3, 100);
    EXPECT_OK(log_store_write(store, &reset, &error));
    put(store, 101, 2, 100);
    crash(store);
    expect_log(102, 100);
}

static void test_a_journal_of_another_size_gives_what_it_has(void)
{
    static const size_t blocks[] = {BLOCKS, 2 * BLOCKS, 0, 1, BLOCKS};
    struct log_store *store = new_store();
    raft_index last = 0;

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        put(store, last + 1, 1, 100);
        put(store, last + 2, 1, 100);
        last += 2;
        crash(store);
        store = open_journaled(blocks[i]);
        EXPECT_EQ(log_store_state(store).last, last);
        expect_entries(store, 1, last, TERM, 100);
    }
    log_store_close(store);
}

static void note_damage(void *context, const char *text)
{
    (void)context;
    EXPECT_TEXT(text, "");
}

static void test_an_inspection_sees_what_the_journal_has(void)
{
    struct log_store *store = new_store();
    struct log_inspection inspection = {.path = path, .on_damage = note_damage};

    put(store, 1, 1, 100);
    put(store, 2, 5, 100);
    crash(store);
    EXPECT_OK(log_inspect(&inspection, &error));
    EXPECT_EQ(inspection.tail_count, 6);
}

/* --- Without room --- */

/* What only the journal has is acknowledged, but asks for no room before others have made some. */
static void test_a_full_map_is_trimmed_beside_a_journal(void)
{
    const struct log_store_options options = {.map_bytes = 4 * 1024 * 1024,
                                              .journal_bytes = BLOCKS * BLOCK};
    struct log_store *store = NULL;
    enum status status = STATUS_OK;
    raft_index last = 0;
    bool more;

    new_path();
    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    while (status == STATUS_OK) {
        status = append(store, last + 1, 1, 0, 3000);
        last += status == STATUS_OK;
    }
    EXPECT_EQ(status, STATUS_NO_SPACE);
    EXPECT_EQ(log_store_state(store).last, last);
    /* The first time may only give back what is kept in case a meta page is lost. */
    /* A few at a time, for that takes pages too; and the first time may only give back what is kept
     * in case a meta page is lost. */
    for (unsigned turn = 0; log_store_state(store).base < last - 20 && turn < 200; turn++) {
        status = log_store_trim(store, last, 20, &more, &error);
        EXPECT(status == STATUS_OK || status == STATUS_NO_SPACE);
    }
    EXPECT(log_store_state(store).base >= last - 20);
    for (unsigned turn = 0; turn < 3; turn++) {
        status = log_store_turn_over(store, &error);
        EXPECT(status == STATUS_OK || status == STATUS_NO_SPACE);
    }
    EXPECT_EQ(log_store_state(store).last, last);
    EXPECT_OK(append(store, last + 1, 1, 0, 3000));
    expect_entries(store, last, last + 1, 0, 3000);
    log_store_close(store);
}

/* The next start must find room for what the journal has, though it cannot trim. */
static void test_a_nearly_full_map_has_no_journal(void)
{
    const struct log_store_options options = {.map_bytes = 4 * 1024 * 1024,
                                              .journal_bytes = 64 * BLOCK};
    struct log_store *store = NULL;
    enum status status = STATUS_OK;
    raft_index last = 0;
    struct files files;

    new_path();
    (void)snprintf(journal_path, sizeof journal_path, "%s/journal", path);
    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    while (status == STATUS_OK) {
        status = append(store, last + 1, 1, 0, 3000);
        last += status == STATUS_OK;
    }
    files = save_files();
    log_store_close(store);
    restore_files(files);
    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    EXPECT_EQ(log_store_state(store).last, last);
    log_store_close(store);
}

/* With transactions of a few writes each, the log would grow until the journal is full. */
static void test_a_log_of_which_much_may_go_is_trimmed_at_once(void)
{
    struct log_store *store = new_store();
    raft_index last = 4;

    for (raft_index index = 1; index <= last; index++) {
        put(store, index, 1, 100);
    }
    EXPECT_OK(log_store_merge(store, &error));
    for (; last < 100; last++) {
        uint8_t *payload = make_payload(last + 1, TERM, 100);
        const struct log_entry entry = {.index = last + 1,
                                        .term = TERM,
                                        .type = RAFT_ENTRY_COMMAND,
                                        .payload = bytes_of(payload, 100)};
        const struct log_write write = {.entries = &entry, .entry_count = 1, .trim = last};

        EXPECT_OK(log_store_write(store, &write, &error));
        free(payload);
        EXPECT(log_store_state(store).last - log_store_state(store).base <= BLOCKS);
    }
    log_store_close(store);
}

/* --- Beside each other --- */

struct replacing {
    struct log_store *store;
    bool is_over;
};

static void *read_on(void *context)
{
    struct replacing *replacing = context;

    while (!__atomic_load_n(&replacing->is_over, __ATOMIC_RELAXED)) {
        struct log_state state = log_store_state(replacing->store);
        size_t count = 0;
        struct error read_error;
        enum status status =
            log_store_read(replacing->store, 1, state.last, ignore_entry, &count, &read_error);

        EXPECT(status == STATUS_OK || status == STATUS_NOT_FOUND);
        EXPECT(status != STATUS_OK || count == state.last);
    }
    return NULL;
}

/* What is read is the log of one moment, wherever its parts were. */
static void test_a_reader_beside_replaced_entries_finds_no_damage(void)
{
    struct replacing replacing = {.store = new_store()};
    pthread_t reader;

    put(replacing.store, 1, 1, 100);
    EXPECT_EQ(pthread_create(&reader, NULL, read_on, &replacing), 0);
    for (unsigned turn = 0; turn < 300; turn++) {
        for (raft_index index = 2; index <= 10; index++) {
            put(replacing.store, index, 1, 100);
        }
    }
    __atomic_store_n(&replacing.is_over, true, __ATOMIC_RELAXED);
    EXPECT_EQ(pthread_join(reader, NULL), 0);
    log_store_close(replacing.store);
}

/* --- The bytes --- */

static void test_sound_writes_are_found_between_others(void)
{
    uint8_t bytes[4 * BLOCK] = {0};
    struct log_journal_write write;
    struct log_journal journal;
    struct bytes rest;
    struct bytes value;
    struct buffer file = BUFFER_INIT;
    uint64_t key;
    uint8_t *to;

    new_path();
    EXPECT_EQ(mkdir(path, 0700), 0);
    EXPECT_OK(log_journal_open(path, sizeof bytes, &journal, &error));
    for (uint64_t stamp = 1; stamp <= 4; stamp++) {
        to = log_journal_reserve(&journal, LOG_JOURNAL_RECORD_HEAD_BYTES + 3);
        EXPECT(to != NULL);
        memcpy(log_journal_put_record(to, stamp * 10, 3), "abc", 3);
        EXPECT_EQ(log_journal_write(&journal, LOG_JOURNAL_RECORD_HEAD_BYTES + 3, stamp, stamp * 5),
                  0);
    }
    EXPECT(log_journal_reserve(&journal, 1) == NULL);
    log_journal_close(&journal);
    EXPECT_OK(log_journal_load(path, &file, &error));
    EXPECT_EQ(file.size, sizeof bytes);
    file.data[BLOCK + 30] ^= 1;
    rest = buffer_lend(&file);
    for (uint64_t stamp = 1; stamp <= 4; stamp += stamp == 1 ? 2 : 1) {
        EXPECT(log_journal_next(&rest, &write));
        EXPECT_EQ(write.stamp, stamp);
        EXPECT_EQ(write.first, stamp * 5);
        EXPECT(log_journal_next_record(&write.records, &key, &value));
        EXPECT_EQ(key, stamp * 10);
        EXPECT_BYTES(value, bytes_of_text("abc"));
        EXPECT(!log_journal_next_record(&write.records, &key, &value));
    }
    EXPECT(!log_journal_next(&rest, &write));
    buffer_release(&file);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_small_appends_make_no_transaction_until_the_journal_is_full),
        TEST_CASE(test_entries_are_read_wherever_they_are),
        TEST_CASE(test_what_is_large_goes_into_the_log_at_once),
        TEST_CASE(test_a_journal_that_has_no_space_is_done_without),
        TEST_CASE(test_a_journal_that_takes_no_such_blocks_is_done_without),
        TEST_CASE(test_after_another_failure_of_the_journal_nothing_is_written),
        TEST_CASE(test_a_crash_takes_nothing),
        TEST_CASE(test_writes_of_several_blocks_and_values_come_back),
        TEST_CASE(test_a_lost_meta_page_takes_nothing),
        TEST_CASE(test_a_trim_beside_a_journal_waits_for_its_meta_page),
        TEST_CASE(test_turning_over_leaves_what_the_journal_has),
        TEST_CASE(test_a_write_that_was_not_finished_is_none),
        TEST_CASE(test_a_damaged_write_before_the_last_is_named),
        TEST_CASE(test_entries_that_were_replaced_do_not_come_back),
        TEST_CASE(test_a_vote_takes_what_the_journal_has_with_it),
        TEST_CASE(test_a_reset_drops_what_the_journal_has),
        TEST_CASE(test_a_journal_of_another_size_gives_what_it_has),
        TEST_CASE(test_an_inspection_sees_what_the_journal_has),
        TEST_CASE(test_a_full_map_is_trimmed_beside_a_journal),
        TEST_CASE(test_a_nearly_full_map_has_no_journal),
        TEST_CASE(test_a_log_of_which_much_may_go_is_trimmed_at_once),
        TEST_CASE(test_a_reader_beside_replaced_entries_finds_no_damage),
        TEST_CASE(test_sound_writes_are_found_between_others),
        TEST_END};

    return test_main("log_journal", cases, argc, argv);
}
