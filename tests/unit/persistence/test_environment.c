/* What happens when the disk fails: fdatasync and pwrite of this program stand before the C
 * library's, for LMDB too, and fail on request. */
#include "persistence/environment.h"

#include "persistence/log_prezero.h"
#include "persistence/page_format.h"
#include "persistence/tree_store.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, META_PAGES_END = 2 * PAGE, MAP_BYTES = 64 * 1024 * 1024 };

static struct {
    int sync_error;       /* of every fdatasync */
    int meta_error;       /* of every write below META_PAGES_END */
    bool meta_once;       /* only of the next one */
    int data_error;       /* of every other write */
    bool data_short;      /* write half and say so */
    unsigned sync_choice; /* not 0: sync_error is only of the next ones with a bit, lowest first */
} fault;

/* The meta pages of the one file that is written, as a disk has them whose cache tells of a failed
 * write-back once: what a failed sync did not bring there stays away until it is written again. */
static struct {
    bool is_dirty[PAGE_META_COUNT];
    uint8_t durable[PAGE_META_COUNT][PAGE];
} metas;

/* Names of their own in C, the C library's for the linker. */
int faulty_fdatasync(int file) __asm__("fdatasync") __attribute__((visibility("default")));
ssize_t faulty_pwrite(int file, const void *data, size_t size, off_t offset) __asm__("pwrite")
    __attribute__((visibility("default")));
ssize_t faulty_writev(int file, const struct iovec *parts, int count) __asm__("writev")
    __attribute__((visibility("default")));

static void reach_disk(int file, size_t page)
{
    ssize_t bytes = pread(file, metas.durable[page], PAGE, (off_t)(page * PAGE));

    metas.is_dirty[page] = bytes != PAGE;
}

static bool sync_fails(void)
{
    bool fails = fault.sync_error != 0 && (fault.sync_choice == 0 || (fault.sync_choice & 1) != 0);

    errno = fault.sync_error;
    if (fault.sync_choice != 0) {
        fault.sync_choice >>= 1;
        fault.sync_error = fault.sync_choice == 0 ? 0 : fault.sync_error;
    }
    return fails;
}

int faulty_fdatasync(int file)
{
    if (sync_fails()) {
        memset(metas.is_dirty, 0, sizeof metas.is_dirty);
        return -1;
    }
    for (size_t page = 0; page < PAGE_META_COUNT; page++) {
        if (metas.is_dirty[page]) {
            reach_disk(file, page);
        }
    }
    return (int)syscall(SYS_fdatasync, file);
}

static ssize_t write_at(int file, const void *data, size_t size, off_t offset)
{
    ssize_t written = (ssize_t)syscall(SYS_pwrite64, file, data, size, offset);

    if (offset < META_PAGES_END) {
        metas.is_dirty[offset / PAGE] = true;
        if ((fcntl(file, F_GETFL) & O_DSYNC) != 0) {
            reach_disk(file, (size_t)(offset / PAGE));
        }
    }
    return written;
}

ssize_t faulty_pwrite(int file, const void *data, size_t size, off_t offset)
{
    int failure = offset < META_PAGES_END ? fault.meta_error : fault.data_error;

    if (failure != 0) {
        if (offset < META_PAGES_END && fault.meta_once) {
            fault.meta_error = 0;
        }
        errno = failure;
        return -1;
    }
    if (offset >= META_PAGES_END && fault.data_short) {
        size /= 2;
    }
    return write_at(file, data, size, offset);
}

ssize_t faulty_writev(int file, const struct iovec *parts, int count)
{
    if (fault.data_error != 0 && file > 2) {
        errno = fault.data_error;
        return -1;
    }
    return (ssize_t)syscall(SYS_writev, file, parts, fault.data_short && file > 2 ? 1 : count);
}

static char path[4096];
static struct error error;

static struct log_store *open_log(bool prezero)
{
    struct log_store_options options = {.map_bytes = MAP_BYTES, .prezero = prezero};
    struct log_store *store = NULL;

    EXPECT_OK(log_store_open(path, 1, &options, &store, &error));
    return store;
}

static void new_log_path(void)
{
    (void)snprintf(path, sizeof path, "%s/log", test_folder());
}

static enum status write_one(struct log_store *store, raft_index index)
{
    static const uint8_t payload[300] = {1};
    struct log_entry entry = {.index = index,
                              .term = 1,
                              .type = RAFT_ENTRY_COMMAND,
                              .payload = bytes_of(payload, sizeof payload)};
    struct log_write write = {.entries = &entry, .entry_count = 1};

    return log_store_write(store, &write, &error);
}

/* After a failure of unknown outcome nothing is written any more, even though the disk works again;
 * a restart finds a whole log that holds at least what was acknowledged. */
static void expect_sticky(struct log_store *store)
{
    static const uint8_t cluster[LOG_STORE_CLUSTER_ID_BYTES] = {1};
    char first_text[ERROR_TEXT_BYTES_MAX];
    bool more;
    raft_index last;

    memcpy(first_text, error.text, sizeof first_text);
    EXPECT_CONTAINS(error.text, path);
    memset(&fault, 0, sizeof fault);
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    EXPECT_TEXT(error.text, first_text);
    EXPECT_EQ(log_store_trim(store, 1, 1, &more, &error), STATUS_IO);
    EXPECT_EQ(log_store_set_cluster(store, cluster, &error), STATUS_IO);
    EXPECT_EQ(log_store_state(store).last, 2);
    log_store_close(store);
    store = open_log(false);
    last = log_store_state(store).last;
    EXPECT(last == 2 || last == 3);
    EXPECT_OK(write_one(store, last + 1));
    log_store_close(store);
}

static struct log_store *make_log_of_two(void)
{
    struct log_store *store;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(false);
    EXPECT_OK(write_one(store, 1));
    EXPECT_OK(write_one(store, 2));
    return store;
}

static void test_a_failed_sync_stops_all_writes(void)
{
    struct log_store *store = make_log_of_two();

    fault.sync_error = EIO;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    expect_sticky(store);
}

static void test_a_failed_meta_page_stops_all_writes(void)
{
    struct log_store *store = make_log_of_two();

    fault.meta_error = EIO;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    expect_sticky(store);
}

static void sync_log(void)
{
    char data[4200];
    int file;

    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    file = open(data, O_RDWR | O_CLOEXEC);
    EXPECT(file >= 0 && faulty_fdatasync(file) == 0);
    (void)close(file);
}

/* LMDB writes half of the old one back itself, which no power cut may leave. */
static void test_a_meta_page_that_failed_once_is_as_before_on_the_disk(void)
{
    struct log_store *store = make_log_of_two();
    uint8_t before[PAGE_META_COUNT][PAGE];

    sync_log();
    memcpy(before, metas.durable, sizeof before);
    fault.meta_error = EIO;
    fault.meta_once = true;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    for (size_t page = 0; page < PAGE_META_COUNT; page++) {
        EXPECT(!metas.is_dirty[page]);
        EXPECT(memcmp(metas.durable[page], before[page], PAGE) == 0);
    }
    expect_sticky(store);
}

static void test_no_space_for_the_meta_page_is_an_unknown_outcome_too(void)
{
    struct log_store *store = make_log_of_two();

    fault.meta_error = ENOSPC;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    expect_sticky(store);
}

static void test_a_failed_page_write_stops_all_writes(void)
{
    struct log_store *store = make_log_of_two();

    fault.data_error = EIO;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    expect_sticky(store);
}

static void test_a_short_write_on_a_disk_with_space_stops_all_writes(void)
{
    struct log_store *store = make_log_of_two();

    fault.data_short = true;
    EXPECT_EQ(write_one(store, 3), STATUS_IO);
    expect_sticky(store);
}

static void test_a_full_disk_writes_nothing_and_the_log_goes_on(void)
{
    static const int errors[] = {ENOSPC, EDQUOT, EFBIG};

    for (size_t i = 0; i < 3; i++) {
        struct log_store *store = make_log_of_two();

        fault.data_error = errors[i];
        EXPECT_EQ(write_one(store, 3), STATUS_NO_SPACE);
        EXPECT_CONTAINS(error.text, path);
        EXPECT_EQ(write_one(store, 3), STATUS_NO_SPACE);
        EXPECT_EQ(log_store_state(store).last, 2);
        memset(&fault, 0, sizeof fault);
        EXPECT_OK(write_one(store, 3));
        log_store_close(store);
        store = open_log(false);
        EXPECT_EQ(log_store_state(store).last, 3);
        log_store_close(store);
    }
}

static uint64_t newest_transaction(const uint8_t *pages)
{
    struct page_meta first;
    struct page_meta second;

    EXPECT(page_format_meta(0, pages, &first) && page_format_meta(1, pages + PAGE, &second));
    return first.transaction > second.transaction ? first.transaction : second.transaction;
}

/* What the log was told to have written needs its meta page no less than before. */
static void expect_newest_meta_on_disk(void)
{
    char data[4200];
    uint8_t *cached;
    size_t bytes;

    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    cached = damage_read(data, &bytes);
    EXPECT(bytes > META_PAGES_END);
    EXPECT_EQ(newest_transaction(metas.durable[0]), newest_transaction(cached));
    free(cached);
}

static void test_a_sync_without_space_loses_no_meta_page_that_it_told_of(void)
{
    struct log_store *store = make_log_of_two();

    /* It is tried twice, with all that settling frees. */
    fault.sync_error = ENOSPC;
    fault.sync_choice = 1 | 1 << 2;
    EXPECT_EQ(write_one(store, 3), STATUS_NO_SPACE);
    EXPECT_EQ(fault.sync_error, 0);
    expect_newest_meta_on_disk();
    EXPECT_OK(write_one(store, 3));
    log_store_close(store);
}

static void test_a_folder_is_not_made_by_halves(void)
{
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    struct log_store *store;
    char part[4200];

    memset(&fault, 0, sizeof fault);
    new_log_path();
    (void)snprintf(part, sizeof part, "%s.part", path);
    fault.sync_error = EIO;
    EXPECT_EQ(log_store_open(path, 1, &options, &store, &error), STATUS_IO);
    memset(&fault, 0, sizeof fault);
    EXPECT(access(path, F_OK) != 0);
    EXPECT(access(part, F_OK) != 0);
    fault.data_error = ENOSPC;
    EXPECT_EQ(log_store_open(path, 1, &options, &store, &error), STATUS_NO_SPACE);
    memset(&fault, 0, sizeof fault);
    EXPECT(access(path, F_OK) != 0);
    store = open_log(false);
    EXPECT_EQ(log_store_identity(store)->start_count, 1);
    log_store_close(store);
}

static void test_a_start_that_cannot_be_counted_fails(void)
{
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    struct log_store *store = make_log_of_two();

    log_store_close(store);
    fault.sync_error = EIO;
    EXPECT_EQ(log_store_open(path, 1, &options, &store, &error), STATUS_IO);
    memset(&fault, 0, sizeof fault);
    store = open_log(false);
    EXPECT_OK(write_one(store, 3));
    log_store_close(store);
}

static enum status commit_tree(struct tree_store *store, raft_index applied)
{
    struct tree_record record = {.key = bytes_of_text("k"), .value = bytes_of_text("v")};
    struct tree_meta meta = {.applied_index = applied};

    return tree_store_commit(store, &record, 1, &meta, &error);
}

static void test_a_tree_store_tells_a_full_disk_from_a_broken_one(void)
{
    struct tree_store_options options = {.map_bytes = MAP_BYTES};
    struct tree_store *store;

    memset(&fault, 0, sizeof fault);
    (void)snprintf(path, sizeof path, "%s/tree-0", test_folder());
    EXPECT_OK(tree_store_open(path, &options, &store, &error));
    EXPECT_OK(commit_tree(store, 1));
    fault.data_error = ENOSPC;
    EXPECT_EQ(commit_tree(store, 2), STATUS_NO_SPACE);
    fault.data_error = 0;
    EXPECT_OK(commit_tree(store, 3));
    fault.sync_error = EIO;
    EXPECT_EQ(commit_tree(store, 4), STATUS_IO);
    fault.sync_error = 0;
    EXPECT_EQ(commit_tree(store, 5), STATUS_IO);
    EXPECT_CONTAINS(error.text, path);
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_EQ(tree_store_meta(store).applied_index, 3);
    tree_store_close(store);
    EXPECT_OK(tree_store_open(path, &options, &store, &error));
    EXPECT_EQ(tree_store_meta(store).applied_index, 3);
    tree_store_close(store);
}

/* --- Zeros ahead --- */

static size_t file_bytes(void)
{
    char data[4200];

    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    return damage_file_bytes(data);
}

static void zero_all_ahead(struct log_store *store)
{
    while (log_prezero_need(store) != LOG_PREZERO_NONE) {
        size_t before = file_bytes();

        EXPECT_OK(log_prezero_step(store, &error));
        EXPECT(file_bytes() > before);
    }
}

static enum status check_payload(void *context, const struct log_entry *entry)
{
    static const uint8_t payload[300] = {1};

    EXPECT_BYTES(entry->payload, bytes_of(payload, sizeof payload));
    ++*(size_t *)context;
    return STATUS_OK;
}

static void test_zeros_ahead_touch_nothing_in_use(void)
{
    struct log_store *store;
    size_t count = 0;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(true);
    for (raft_index index = 1; index <= 2000; index++) {
        EXPECT_OK(write_one(store, index));
        if (index % 10 == 0 && log_prezero_need(store) != LOG_PREZERO_NONE) {
            EXPECT_OK(log_prezero_step(store, &error));
        }
    }
    log_store_close(store);
    store = open_log(true);
    EXPECT_OK(log_store_read(store, 1, 2000, check_payload, &count, &error));
    EXPECT_EQ(count, 2000);
    log_store_close(store);
}

static void test_zeros_ahead_are_bounded_by_need_and_map(void)
{
    struct log_store_options small = {.map_bytes = 3 << 20, .prezero = true};
    struct log_store *store;
    size_t after;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(true);
    zero_all_ahead(store);
    after = file_bytes();
    EXPECT(after >= LOG_PREZERO_BYTES_MIN);
    EXPECT(after <= 2 * LOG_PREZERO_BYTES_MIN);
    EXPECT_OK(write_one(store, 1));
    EXPECT_EQ(file_bytes(), after);
    log_store_close(store);
    new_log_path();
    EXPECT_OK(log_store_open(path, 1, &small, &store, &error));
    zero_all_ahead(store);
    EXPECT_EQ(file_bytes(), 3 << 20);
    log_store_close(store);
    new_log_path();
    store = open_log(false);
    EXPECT_EQ(log_prezero_need(store), LOG_PREZERO_NONE);
    log_store_close(store);
}

static void test_zeros_ahead_stop_at_a_full_disk_without_an_error(void)
{
    struct log_store *store;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(true);
    fault.data_error = ENOSPC;
    EXPECT(log_prezero_need(store) != LOG_PREZERO_NONE);
    EXPECT_OK(log_prezero_step(store, &error));
    EXPECT_EQ(log_prezero_need(store), LOG_PREZERO_NONE);
    fault.data_error = 0;
    EXPECT_OK(write_one(store, 1));
    /* And come back after a while. */
    for (int i = 0; i < 10000 && log_prezero_need(store) == LOG_PREZERO_NONE; i++) {
    }
    EXPECT(log_prezero_need(store) != LOG_PREZERO_NONE);
    log_store_close(store);
}

static void test_zeros_ahead_without_space_lose_no_meta_page(void)
{
    struct log_store *store;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(true);
    EXPECT_OK(write_one(store, 1));
    EXPECT_OK(write_one(store, 2));
    fault.sync_error = ENOSPC;
    fault.sync_choice = 1;
    EXPECT_OK(log_prezero_step(store, &error));
    EXPECT_EQ(fault.sync_error, 0);
    expect_newest_meta_on_disk();
    EXPECT_OK(write_one(store, 3));
    log_store_close(store);
}

static void test_zeros_ahead_tell_a_broken_disk(void)
{
    struct log_store *store;

    memset(&fault, 0, sizeof fault);
    new_log_path();
    store = open_log(true);
    EXPECT_OK(write_one(store, 1));
    fault.sync_error = EIO;
    EXPECT_EQ(log_prezero_step(store, &error), STATUS_IO);
    fault.sync_error = 0;
    EXPECT_EQ(write_one(store, 2), STATUS_IO);
    EXPECT_EQ(log_prezero_need(store), LOG_PREZERO_NONE);
    log_store_close(store);
}

/* --- A disk that is really full --- */

/* 0: as expected. */
static int fill_a_small_disk(void)
{
    struct tree_store_options options = {.map_bytes = MAP_BYTES};
    struct tree_record record = {.key = bytes_of_text("k")};
    static uint8_t value[256 * 1024];
    struct tree_meta meta = {.applied_index = 1};
    struct tree_store *store;
    char filler[4200];
    char tree[4200];
    struct log_store *log;
    size_t bytes = 6 << 20;

    (void)snprintf(filler, sizeof filler, "%s/filler", path);
    (void)snprintf(tree, sizeof tree, "%s/tree-0", path);
    memcpy(path + strlen(path), "/log", sizeof "/log");
    if (tree_store_open(tree, &options, &store, &error) != STATUS_OK ||
        tree_store_commit(store, &record, 1, &meta, &error) != STATUS_OK) {
        return 2;
    }
    log = open_log(true);
    /* Fill what is left, down to the last page. */
    for (; bytes >= PAGE; bytes /= 2) {
        int file = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        while (write(file, value, bytes < sizeof value ? bytes : sizeof value) > 0) {
        }
        (void)close(file);
    }
    record.value = bytes_of(value, sizeof value);
    for (raft_index applied = 2; applied < 6; applied++) {
        meta.applied_index = applied;
        if (tree_store_commit(store, &record, 1, &meta, &error) != STATUS_NO_SPACE) {
            return 3;
        }
    }
    if (log_prezero_step(log, &error) != STATUS_OK) {
        return 4;
    }
    for (raft_index index = 1; write_one(log, index) == STATUS_OK; index++) {
        if (index > 100000) {
            return 5;
        }
    }
    if (error.status != STATUS_NO_SPACE) {
        return 6;
    }
    if (unlink(filler) != 0 || tree_store_commit(store, &record, 1, &meta, &error) != STATUS_OK ||
        write_one(log, log_store_state(log).last + 1) != STATUS_OK) {
        return 7;
    }
    tree_store_close(store);
    log_store_close(log);
    return 0;
}

static void test_a_disk_that_is_really_full_is_survived(void)
{
    int status;
    pid_t child;

    memset(&fault, 0, sizeof fault);
    (void)snprintf(path, sizeof path, "%s", test_folder());
    child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        /* A mount that ends with this process. */
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", path, "tmpfs", 0, "size=4m") != 0) {
            _exit(100);
        }
        _exit(fill_a_small_disk());
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT(WIFEXITED(status));
    if (WEXITSTATUS(status) == 100) {
        (void)printf("skipped: no right to mount\n");
        return;
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_failed_sync_stops_all_writes),
        TEST_CASE(test_a_failed_meta_page_stops_all_writes),
        TEST_CASE(test_a_meta_page_that_failed_once_is_as_before_on_the_disk),
        TEST_CASE(test_no_space_for_the_meta_page_is_an_unknown_outcome_too),
        TEST_CASE(test_a_failed_page_write_stops_all_writes),
        TEST_CASE(test_a_short_write_on_a_disk_with_space_stops_all_writes),
        TEST_CASE(test_a_full_disk_writes_nothing_and_the_log_goes_on),
        TEST_CASE(test_a_sync_without_space_loses_no_meta_page_that_it_told_of),
        TEST_CASE(test_a_folder_is_not_made_by_halves),
        TEST_CASE(test_a_start_that_cannot_be_counted_fails),
        TEST_CASE(test_a_tree_store_tells_a_full_disk_from_a_broken_one),
        TEST_CASE(test_zeros_ahead_touch_nothing_in_use),
        TEST_CASE(test_zeros_ahead_are_bounded_by_need_and_map),
        TEST_CASE(test_zeros_ahead_stop_at_a_full_disk_without_an_error),
        TEST_CASE(test_zeros_ahead_without_space_lose_no_meta_page),
        TEST_CASE(test_zeros_ahead_tell_a_broken_disk),
        TEST_CASE(test_a_disk_that_is_really_full_is_survived),
        TEST_END,
    };

    return test_main("environment", cases, argc, argv);
}
