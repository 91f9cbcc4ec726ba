#include "persistence/log_tail.h"

#include "base/alloc.h"
#include "persistence/inspect.h"
#include "persistence/log_format.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NODE = 1, MAP_BYTES = 256 * 1024 * 1024, PAGE = 4096, METAS_BYTES = 2 * PAGE, TERM = 3 };

static char path[4096];
static char data[4200];
static char tail_folder[4200];
static char tail_path[4300];
static struct error error;
static uint64_t bytes_read;

/* A name of its own in C, the C library's for the linker. */
ssize_t counted_pread(int file, void *bytes, size_t size, off_t offset) __asm__("pread")
    __attribute__((visibility("default")));

ssize_t counted_pread(int file, void *bytes, size_t size, off_t offset)
{
    ssize_t got = (ssize_t)syscall(SYS_pread64, file, bytes, size, offset);

    bytes_read += got > 0 ? (uint64_t)got : 0;
    return got;
}

static struct log_store *open_store(void)
{
    struct log_store_options options = {.map_bytes = MAP_BYTES};
    struct log_store *store = NULL;

    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    return store;
}

static struct log_store *new_store(void)
{
    struct log_write write = {.hard_state = true, .term = TERM};
    struct log_store *store;

    (void)snprintf(path, sizeof path, "%s/log", test_folder());
    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    (void)snprintf(tail_folder, sizeof tail_folder, "%s-tail", path);
    (void)snprintf(tail_path, sizeof tail_path, "%s/data.mdb", tail_folder);
    store = open_store();
    EXPECT_OK(log_store_write(store, &write, &error));
    return store;
}

/* Each payload is made of the last byte of its term and index. */
static void
append(struct log_store *store, raft_index first, size_t count, raft_term term, size_t bytes)
{
    struct log_entry *entries = xcalloc(count, sizeof *entries);
    struct log_write write = {.entries = entries, .entry_count = count};

    for (size_t i = 0; i < count; i++) {
        uint8_t *payload = xmalloc(bytes);

        memset(payload, (int)((first + i) * 16 + term), bytes);
        entries[i] = (struct log_entry){.index = first + i,
                                        .term = term,
                                        .type = RAFT_ENTRY_COMMAND,
                                        .payload = bytes_of(payload, bytes)};
    }
    EXPECT_OK(log_store_write(store, &write, &error));
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)entries[i].payload.data);
    }
    free(entries);
}

static enum status check_entry(void *context, const struct log_entry *entry)
{
    raft_index *next = context;

    EXPECT_EQ(entry->index, *next);
    EXPECT(entry->payload.size > 0);
    EXPECT_EQ(entry->payload.data[0], (uint8_t)(entry->index * 16 + entry->term));
    EXPECT_EQ(entry->payload.data[entry->payload.size - 1], entry->payload.data[0]);
    ++*next;
    return STATUS_OK;
}

static void expect_log(struct log_store *store, raft_index last)
{
    raft_index next = log_store_state(store).base + 1;

    EXPECT_EQ(log_store_state(store).last, last);
    EXPECT_OK(log_store_read(store, next, last, check_entry, &next, &error));
    EXPECT_EQ(next, last + 1);
}

/* The two meta pages as they are now. */
static uint8_t *save_metas(void)
{
    size_t bytes;
    uint8_t *file = damage_read(data, &bytes);

    EXPECT(bytes > METAS_BYTES);
    return file;
}

/* A folder as a power cut leaves it that takes every meta page written since, in place of the
 * store's own. */
static void cut(struct log_store *store, uint8_t *metas)
{
    size_t bytes;
    uint8_t *file = damage_read(data, &bytes);

    log_store_close(store);
    memcpy(file, metas, METAS_BYTES);
    damage_write(data, 0, bytes_of(file, bytes));
    free(file);
    free(metas);
}

static raft_index last_after_restart(void)
{
    struct log_store *store = open_store();
    raft_index last = log_store_state(store).last;

    expect_log(store, last);
    log_store_close(store);
    return last;
}

static void test_appended_entries_outlive_their_meta_page(void)
{
    static const size_t sizes[] = {1, 100, 1900, 3000, 100000, LOG_PIECE_BYTES};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct log_store *store = new_store();
        uint8_t *metas;

        append(store, 1, 20, TERM, 50);
        metas = save_metas();
        append(store, 21, 7, TERM, sizes[i]);
        cut(store, metas);
        EXPECT_EQ(last_after_restart(), 27);
        EXPECT_EQ(last_after_restart(), 27);
    }
}

/* The sync of the last commit may have taken along nothing of the meta page before it: until it is
 * done, the disk has its pages and the meta pages of three and two commits before. */
static void test_many_commits_lose_nothing_with_one_or_two_meta_pages(void)
{
    struct log_store *store = new_store();
    raft_index last = 1;

    append(store, 1, 1, TERM, 64);
    for (unsigned i = 0; i < 200; i++) {
        uint8_t *metas = NULL;

        for (unsigned commit = 0; commit < 6; commit++) {
            size_t count = 1 + (i + commit) % 3;

            if (commit == 4 + i % 2) {
                metas = save_metas();
            }
            append(store, last + 1, count, TERM, 100 + i * 7 % 900);
            last += count;
        }
        cut(store, metas);
        store = open_store();
        expect_log(store, last);
        if (i % 5 == 0) {
            struct log_write write = {.trim = last - last / 4};
            bool more;

            EXPECT_OK(log_store_write(store, &write, &error));
            EXPECT_OK(log_store_trim(store, write.trim, 1000, &more, &error));
        }
    }
    log_store_close(store);
}

/* LMDB makes no transaction of it, so the snapshots that are kept stay those. */
static void test_a_write_of_nothing_changes_nothing(void)
{
    for (unsigned i = 0; i < 6; i++) {
        const struct log_write nothing = {.trim = 0};
        struct log_store *store = new_store();
        uint8_t *metas = NULL;
        raft_index last = 0;

        for (unsigned commit = 0; commit < 22 + i * 3; commit++) {
            if (commit == 20 + i * 3) {
                metas = save_metas();
            }
            append(store, last + 1, 1 + commit % 3, TERM, 50 + i);
            last += 1 + commit % 3;
            EXPECT_OK(log_store_write(store, &nothing, &error));
        }
        cut(store, metas);
        EXPECT_EQ(last_after_restart(), last);
    }
}

static void note_damage(void *context, const char *text)
{
    (void)context;
    EXPECT_TEXT(text, "");
}

/* Let the identity say that an older program wrote it. */
static void set_format(uint32_t format)
{
    static const char magic[] = "CONFRLOG";
    enum { COUNT_AT = 70, STARTS_AT = 71 };
    size_t bytes;
    uint8_t *file = damage_read(data, &bytes);

    for (size_t at = 0; at + LOG_IDENTITY_BYTES_MAX < bytes; at++) {
        if (memcmp(file + at, magic, sizeof magic - 1) == 0) {
            bytes_store_u32(file + at + sizeof magic - 1, format);
            log_format_seal(LOG_KEY_IDENTITY, file + at, STARTS_AT + 8U * file[at + COUNT_AT]);
        }
    }
    damage_write(data, 0, bytes_of(file, bytes));
    free(file);
}

static uint32_t stored_format(void)
{
    struct log_inspection inspection = {.path = path, .on_damage = note_damage};

    EXPECT_OK(log_inspect(&inspection, &error));
    return inspection.format;
}

/* As for --recover, which counts no start. What comes back may lie in runs, which a program that
 * knows none must not read: the log is of the present format from then on. */
static void test_an_inspected_log_gets_its_end_back_too(void)
{
    const struct log_store_options options = {.map_bytes = MAP_BYTES, .is_inspected = true};
    struct log_store *store = new_store();
    uint8_t *metas;

    append(store, 1, 20, TERM, 50);
    metas = save_metas();
    append(store, 21, 7, TERM, 100);
    cut(store, metas);
    set_format(LOG_STORE_FORMAT - 1);
    EXPECT_EQ(stored_format(), LOG_STORE_FORMAT - 1);
    EXPECT_OK(log_store_open(path, NODE, &options, &store, &error));
    EXPECT_EQ(log_store_identity(store)->start_count, 1);
    expect_log(store, 27);
    append(store, 28, 2, TERM, 100);
    log_store_close(store);
    EXPECT_EQ(stored_format(), LOG_STORE_FORMAT);
    EXPECT_EQ(last_after_restart(), 29);
}

/* Entries in pieces, a vote and entries that replace others wait for the meta page: it is on the
 * disk, or the write did not return. So without it there is nothing to be found. */
static void test_what_is_not_only_appended_is_not_looked_for(void)
{
    struct log_store *store = new_store();
    struct log_write vote = {.hard_state = true, .term = TERM + 1, .vote = 2};
    uint8_t *metas;

    append(store, 1, 20, TERM, 50);
    metas = save_metas();
    append(store, 21, 1, TERM, LOG_PIECE_BYTES + 1);
    cut(store, metas);
    EXPECT_EQ(last_after_restart(), 20);

    store = open_store();
    metas = save_metas();
    EXPECT_OK(log_store_write(store, &vote, &error));
    cut(store, metas);
    store = open_store();
    EXPECT_EQ(log_store_state(store).term, TERM);
    log_store_close(store);
}

/* Their pages still lie in the file, with sound seals and the next index. */
static void test_entries_that_were_replaced_do_not_come_back(void)
{
    struct log_store *store = new_store();
    struct log_write term = {.hard_state = true, .term = TERM + 1};
    uint8_t *metas;

    append(store, 1, 10, TERM, 1000);
    append(store, 11, 30, TERM, 1000);
    EXPECT_OK(log_store_write(store, &term, &error));
    append(store, 12, 1, TERM + 1, 1000);
    expect_log(store, 12);
    log_store_close(store);
    EXPECT_EQ(last_after_restart(), 12);
    store = open_store();
    metas = save_metas();
    append(store, 13, 2, TERM + 1, 1000);
    cut(store, metas);
    EXPECT_EQ(last_after_restart(), 14);
}

/* The same of small ones, of which some stay that shared a value with them. */
static void test_entries_that_were_replaced_within_a_run_do_not_come_back(void)
{
    for (raft_index first = 11; first <= 25; first += 2) {
        struct log_store *store = new_store();
        struct log_write term = {.hard_state = true, .term = TERM + 1};
        uint8_t *metas;

        append(store, 1, 10, TERM, 50);
        append(store, 11, 15, TERM, 50);
        EXPECT_OK(log_store_write(store, &term, &error));
        append(store, first, 1, TERM + 1, 60);
        expect_log(store, first);
        log_store_close(store);
        EXPECT_EQ(last_after_restart(), first);
        store = open_store();
        metas = save_metas();
        append(store, first + 1, 3, TERM + 1, 60);
        cut(store, metas);
        EXPECT_EQ(last_after_restart(), first + 3);
    }
}

static void test_entries_of_an_earlier_start_do_not_come_back(void)
{
    struct log_store *store = new_store();
    uint8_t *metas;

    append(store, 1, 10, TERM, 50);
    metas = save_metas();
    append(store, 11, 5, TERM, 1000);
    cut(store, metas);
    /* The start that finds them writes a new stamp; then its own entries take their places. */
    store = open_store();
    append(store, 11, 1, TERM, 50);
    expect_log(store, 11);
    log_store_close(store);
    EXPECT_EQ(last_after_restart(), 11);
}

/* One page that the newest commit wrote, named by what lies on it. */
static void test_a_commit_that_is_not_whole_ends_where_it_does(void)
{
    struct log_store *store = new_store();
    uint8_t *metas;
    uint8_t content[1900];

    append(store, 1, 20, TERM, 50);
    metas = save_metas();
    append(store, 21, 8, TERM, sizeof content);
    memset(content, 25 * 16 + TERM, sizeof content);
    EXPECT(damage_flip(data, bytes_of(content, sizeof content)) > 0);
    cut(store, metas);
    EXPECT_EQ(last_after_restart(), 24);
}

static void test_a_run_that_is_not_whole_ends_what_comes_back_before_it(void)
{
    enum { RUN = 6 }; /* of entries with so much content */
    struct log_store *store = new_store();
    uint8_t *metas;
    uint8_t content[300];

    append(store, 1, 20, TERM, 50);
    metas = save_metas();
    append(store, 21, 15, TERM, sizeof content);
    memset(content, (21 + RUN + 2) * 16 + TERM, sizeof content);
    EXPECT_EQ(damage_flip(data, bytes_of(content, sizeof content)), 1);
    cut(store, metas);
    EXPECT_EQ(last_after_restart(), 20 + RUN);
}

static void test_a_record_without_the_right_stamp_is_not_believed(void)
{
    static const int64_t offsets[] = {0, -1, -1000, (int64_t)LOG_TAIL_COMMITS_MAX + 1};
    struct log_state state = {.term = TERM, .last = 20};

    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct log_store *store = new_store();
        uint64_t stamp = UINT64_C(1) << 40;
        uint64_t forged;
        struct log_tail tail;
        struct log_entry entry = {.index = 21,
                                  .term = TERM,
                                  .type = RAFT_ENTRY_COMMAND,
                                  .payload = bytes_of_text("forged")};
        uint8_t page[PAGE] = {0};
        uint64_t key = log_key(21, 0);
        uint64_t number;
        size_t size = log_format_run_bytes(&entry, 1, &stamp);
        size_t at = (PAGE - 16 - size) / 2 * 2;
        size_t bytes;

        log_store_close(store);
        free(damage_read(data, &bytes));
        number = bytes / PAGE;
        memcpy(page, &number, 8);
        page[10] = 2;                          /* a leaf */
        memcpy(page + 12, &(uint16_t){18}, 2); /* with one node */
        memcpy(page + 14, &(uint16_t){(uint16_t)at}, 2);
        memcpy(page + 16, &(uint16_t){(uint16_t)at}, 2);
        memcpy(page + at, &(uint16_t){(uint16_t)size}, 2);
        memcpy(page + at + 6, &(uint16_t){8}, 2);
        memcpy(page + at + 8, &key, 8);
        forged = stamp + (uint64_t)offsets[i];
        log_format_put_run(&entry, 1, &forged, page + at + 16);
        damage_write(data, bytes, bytes_of(page, PAGE));
        EXPECT_OK(log_tail_find(path, &state, stamp, &tail, &error));
        EXPECT_EQ(tail.count, 0);
        log_tail_release(&tail);
        forged = stamp + LOG_TAIL_COMMITS_MAX;
        log_format_put_run(&entry, 1, &forged, page + at + 16);
        damage_write(data, bytes, bytes_of(page, PAGE));
        EXPECT_OK(log_tail_find(path, &state, stamp, &tail, &error));
        EXPECT_EQ(tail.count, 1);
        log_tail_release(&tail);
    }
}

/* A leaf page of number `number` with as many nodes as fit, all of one key and with the one large
 * value of `size` bytes that begins on the next page. */
static void make_up_leaf(uint8_t page[PAGE], uint64_t number, uint64_t key, uint32_t size)
{
    enum { HEAD = 16, NODE_BYTES = 24, NODES = (PAGE - HEAD) / (NODE_BYTES + 2) };
    uint64_t value_page = number + 1;

    memset(page, 0, PAGE);
    memcpy(page, &number, 8);
    page[10] = 2; /* a leaf */
    memcpy(page + 12, &(uint16_t){HEAD + 2 * NODES}, 2);
    memcpy(page + 14, &(uint16_t){PAGE - NODES * NODE_BYTES}, 2);
    for (size_t i = 0; i < NODES; i++) {
        uint16_t at = (uint16_t)(PAGE - (i + 1) * NODE_BYTES);

        memcpy(page + HEAD + 2 * i, &at, 2);
        memcpy(page + at, &size, 4);
        page[at + 4] = 1; /* the value is elsewhere */
        page[at + 6] = 8;
        memcpy(page + at + 8, &key, 8);
        memcpy(page + at + 16, &value_page, 8);
    }
}

/* Pages of a value that begins with `entry`. */
static void make_up_value(struct buffer *pages,
                          uint64_t number,
                          const struct log_entry *entry,
                          uint64_t stamp,
                          size_t size)
{
    size_t piece_bytes = log_format_run_bytes(entry, 1, &stamp);
    size_t page_count = (16 + (size > piece_bytes ? size : piece_bytes)) / PAGE + 1;
    uint8_t *page = buffer_extend(pages, page_count * PAGE);

    memset(page, 0, page_count * PAGE);
    memcpy(page, &number, 8);
    page[10] = 4; /* for a large value */
    memcpy(page + 12, &(uint32_t){(uint32_t)page_count}, 4);
    log_format_put_run(entry, 1, &stamp, page + 16);
}

/* Who can put bytes into the log can put there what looks like its pages, and have one value named
 * by thousands of them. */
static void test_what_made_up_pages_refer_to_is_not_read_again_and_again(void)
{
    enum { PAYLOAD_BYTES = 200 * 1000, OVERSIZE_BYTES = 2 * LOG_PIECE_BYTES };
    static const struct {
        raft_index index;
        int64_t stamp_offset;
        size_t size; /* 0 = that of the entry */
        bool is_right;
    } made_up[] = {{20, 1, 0, false},
                   {21, -1, 0, false},
                   {21, 0, 0, false},
                   {21, 1, OVERSIZE_BYTES, false},
                   {21, 1, 0, true}};
    static const uint8_t payload[PAYLOAD_BYTES];
    const struct log_state state = {.term = TERM, .last = 20};
    uint64_t stamp = UINT64_C(1) << 40;

    for (size_t i = 0; i < sizeof made_up / sizeof made_up[0]; i++) {
        struct log_entry entry = {.index = made_up[i].index,
                                  .term = TERM,
                                  .type = RAFT_ENTRY_COMMAND,
                                  .payload = bytes_of(payload, sizeof payload)};
        uint64_t forged = stamp + (uint64_t)made_up[i].stamp_offset;
        size_t size =
            made_up[i].size == 0 ? log_format_run_bytes(&entry, 1, &forged) : made_up[i].size;
        struct buffer pages = BUFFER_INIT;
        struct log_tail tail;
        uint8_t page[PAGE];
        size_t bytes;

        log_store_close(new_store());
        free(damage_read(data, &bytes));
        make_up_leaf(page, bytes / PAGE, log_key(entry.index, 0), (uint32_t)size);
        buffer_put(&pages, bytes_of(page, PAGE));
        make_up_value(&pages, bytes / PAGE + 1, &entry, forged, size);
        damage_write(data, bytes, buffer_lend(&pages));
        bytes_read = 0;
        EXPECT_OK(log_tail_find(path, &state, stamp, &tail, &error));
        EXPECT_EQ(tail.count, made_up[i].is_right ? 1 : 0);
        EXPECT(bytes_read >= bytes);
        if (!made_up[i].is_right) {
            EXPECT_EQ(bytes_read / (2 * (bytes + pages.size)), 0);
        }
        log_tail_release(&tail);
        buffer_release(&pages);
    }
}

/* The start after the one that died while it put them back, when their pages may be written over;
 * and one that finds what was saved still there though the log went on. */
static void test_what_was_saved_is_taken_once_and_when_the_pages_are_gone(void)
{
    struct log_store *store = new_store();
    struct log_inspection inspection = {.path = path, .on_damage = note_damage};
    struct log_tail tail;
    struct stat info;
    uint8_t content[1000];
    uint8_t *metas;
    uint8_t *saved;
    size_t saved_bytes;

    append(store, 1, 20, TERM, 50);
    metas = save_metas();
    append(store, 21, 3, TERM, sizeof content);
    cut(store, metas);
    EXPECT_OK(log_inspect(&inspection, &error));
    EXPECT_EQ(inspection.state.last, 20);
    EXPECT_EQ(inspection.tail_count, 3);

    EXPECT_OK(log_tail_find(path, &inspection.state, inspection.stamp, &tail, &error));
    EXPECT_EQ(tail.count, 3);
    EXPECT_OK(log_tail_save(path, inspection.stamp, &tail, &error));
    log_tail_release(&tail);
    saved = damage_read(tail_path, &saved_bytes);
    EXPECT_OK(log_inspect(&inspection, &error));
    EXPECT_EQ(inspection.tail_count, 3);
    for (int i = 21; i <= 23; i++) {
        memset(content, i * 16 + TERM, sizeof content);
        EXPECT(damage_flip(data, bytes_of(content, sizeof content)) > 0);
    }
    EXPECT_EQ(last_after_restart(), 23);
    EXPECT(stat(tail_path, &info) != 0);

    store = open_store();
    append(store, 22, 1, TERM, 50);
    log_store_close(store);
    EXPECT_EQ(mkdir(tail_folder, 0700), 0);
    damage_write(tail_path, 0, bytes_of(saved, saved_bytes));
    free(saved);
    EXPECT_EQ(last_after_restart(), 22);
    EXPECT(stat(tail_path, &info) != 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_appended_entries_outlive_their_meta_page),
        TEST_CASE(test_many_commits_lose_nothing_with_one_or_two_meta_pages),
        TEST_CASE(test_a_write_of_nothing_changes_nothing),
        TEST_CASE(test_an_inspected_log_gets_its_end_back_too),
        TEST_CASE(test_what_is_not_only_appended_is_not_looked_for),
        TEST_CASE(test_entries_that_were_replaced_do_not_come_back),
        TEST_CASE(test_entries_that_were_replaced_within_a_run_do_not_come_back),
        TEST_CASE(test_entries_of_an_earlier_start_do_not_come_back),
        TEST_CASE(test_a_commit_that_is_not_whole_ends_where_it_does),
        TEST_CASE(test_a_run_that_is_not_whole_ends_what_comes_back_before_it),
        TEST_CASE(test_a_record_without_the_right_stamp_is_not_believed),
        TEST_CASE(test_what_made_up_pages_refer_to_is_not_read_again_and_again),
        TEST_CASE(test_what_was_saved_is_taken_once_and_when_the_pages_are_gone),
        TEST_END,
    };

    return test_main("log_tail", cases, argc, argv);
}
