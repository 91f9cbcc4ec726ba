/* The pages as LMDB writes them are found sound and whole; changed ones are told. */
#include "persistence/page_walk.h"

#include "base/prng.h"
#include "persistence/environment.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, KEYS = 3000, META_STRUCT = 16, META_LAST_PAGE = 136, META_TRANSACTION = 144 };

static char path[4096];
static char data[4200];
static struct error error;

struct seen {
    uint64_t entries;
    uint64_t value_bytes;
    uint64_t damages;
    char first[PAGE_WALK_TEXT_BYTES_MAX];
};

static void on_entry(void *context, struct bytes key, struct bytes value)
{
    struct seen *seen = context;

    EXPECT(key.size > 0);
    seen->entries++;
    seen->value_bytes += value.size;
}

static bool on_damage(void *context, const char *text)
{
    struct seen *seen = context;

    if (seen->damages++ == 0) {
        (void)snprintf(seen->first, sizeof seen->first, "%s", text);
    }
    return true;
}

static enum status walk_file(enum page_walk_depth depth, struct page_walk *walk, struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    *walk = (struct page_walk){.path = data,
                               .depth = depth,
                               .on_entry = on_entry,
                               .on_damage = on_damage,
                               .context = seen};
    return page_walk(walk, &error);
}

static enum status fill_nothing(struct environment *environment, void *context, struct error *e)
{
    (void)environment;
    (void)context;
    (void)e;
    return STATUS_OK;
}

static const struct environment_options options = {.map_bytes = UINT64_C(1) << 30};

static void put(MDB_txn *txn, MDB_dbi database, const char *key, size_t size)
{
    static const uint8_t bytes[64 * 1024] = {7};
    MDB_val key_value = environment_value(key, strlen(key));
    MDB_val value = environment_value(bytes, size);

    EXPECT_EQ(mdb_put(txn, database, &key_value, &value, 0), MDB_SUCCESS);
}

static void remove_key(MDB_txn *txn, MDB_dbi database, const char *key)
{
    MDB_val key_value = environment_value(key, strlen(key));
    int result = mdb_del(txn, database, &key_value, NULL);

    EXPECT(result == MDB_SUCCESS || result == MDB_NOTFOUND);
}

/* Transactions that put and remove at random; LMDB's own statistics of what is there then. */
static MDB_stat make_file(uint64_t seed, unsigned transactions)
{
    struct environment environment;
    struct prng prng;
    MDB_stat stat;
    MDB_txn *txn;

    prng_init(&prng, seed);
    (void)snprintf(path, sizeof path, "%s/env", test_folder());
    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    EXPECT_OK(environment_create(path, &options, fill_nothing, NULL, &error));
    EXPECT_OK(environment_open(&environment, path, &options, &error));
    for (unsigned i = 0; i < transactions; i++) {
        EXPECT_OK(environment_begin_write(&environment, &txn, &error));
        put(txn, environment.database, "always", 1 + i % 7);
        for (unsigned j = 0; j < 100; j++) {
            char key[64];

            (void)snprintf(key, sizeof key, "key-%020u", (unsigned)prng_below(&prng, KEYS));
            if (prng_below(&prng, 3) == 0) {
                remove_key(txn, environment.database, key);
            } else {
                put(txn, environment.database, key,
                    (size_t)prng_below(&prng, prng_below(&prng, 20) == 0 ? 60000 : 300));
            }
        }
        EXPECT_OK(environment_commit(&environment, txn, ENVIRONMENT_SYNC_ALL, &error));
    }
    EXPECT_OK(environment_begin_read(&environment, &txn, &error));
    EXPECT_EQ(mdb_stat(txn, environment.database, &stat), MDB_SUCCESS);
    mdb_txn_abort(txn);
    environment_close(&environment);
    return stat;
}

static void test_what_lmdb_wrote_is_sound_and_counted_as_lmdb_counts(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        MDB_stat stat = make_file(seed, (unsigned)(20 * seed * seed));
        struct page_walk walk;
        struct seen seen;

        EXPECT_OK(walk_file(PAGE_WALK_VALUES, &walk, &seen));
        EXPECT_TEXT(seen.first, "");
        EXPECT_EQ(seen.entries, stat.ms_entries);
        EXPECT_EQ(walk.entries, stat.ms_entries);
        EXPECT_EQ(walk.branch_pages, stat.ms_branch_pages);
        EXPECT_EQ(walk.leaf_pages, stat.ms_leaf_pages);
        EXPECT_EQ(walk.overflow_pages, stat.ms_overflow_pages);
        EXPECT(stat.ms_depth > 1);
        /* Every page is in use or free: none is lost, none counted twice. */
        EXPECT_EQ(2 + walk.branch_pages + walk.leaf_pages + walk.overflow_pages + walk.list_pages +
                      walk.free_pages,
                  walk.page_count);
        EXPECT_OK(walk_file(PAGE_WALK_LEAVES, &walk, &seen));
        EXPECT_EQ(seen.damages, 0);
        EXPECT_EQ(seen.entries, 0);
        EXPECT_OK(walk_file(PAGE_WALK_BRANCHES, &walk, &seen));
        EXPECT_EQ(seen.damages, 0);
        EXPECT_EQ(walk.leaf_pages, stat.ms_leaf_pages);
    }
}

static void test_an_empty_environment_is_sound(void)
{
    struct page_walk walk;
    struct seen seen;

    (void)make_file(1, 0);
    EXPECT_OK(walk_file(PAGE_WALK_VALUES, &walk, &seen));
    EXPECT_EQ(seen.damages, 0);
    EXPECT_EQ(walk.entries, 0);
}

static void test_a_missing_file_is_not_found(void)
{
    struct page_walk walk;
    struct seen seen;

    (void)snprintf(data, sizeof data, "%s/none", test_folder());
    EXPECT_EQ(walk_file(PAGE_WALK_VALUES, &walk, &seen), STATUS_NOT_FOUND);
}

static void test_a_file_cut_anywhere_is_told(void)
{
    struct page_walk walk;
    struct seen seen;
    size_t bytes;

    (void)make_file(2, 30);
    bytes = damage_file_bytes(data);
    while (bytes > 0) {
        enum status status;

        bytes -= bytes > 5 * PAGE ? 5 * PAGE : bytes;
        damage_truncate(data, bytes);
        status = walk_file(PAGE_WALK_VALUES, &walk, &seen);
        EXPECT(status == STATUS_OK || status == STATUS_CORRUPT);
        EXPECT(seen.damages > 0 || walk.free_pages_behind_end > 0);
    }
    EXPECT_CONTAINS(seen.first, "cut off");
}

/* A meta page whose number was changed passes for the older of the two, and the last transaction is
 * lost: the list of free pages tells. */
static void test_every_flip_in_the_number_of_a_transaction_is_told(void)
{
    (void)make_file(3, 30);
    for (size_t slot = 0; slot < 2; slot++) {
        for (size_t bit = 0; bit < 64; bit++) {
            size_t offset = slot * PAGE + META_TRANSACTION + bit / 8;
            size_t bytes;
            uint8_t *file = damage_read(data, &bytes);
            uint8_t original = file[offset];
            uint8_t flipped = original ^ (uint8_t)(1U << bit % 8);
            struct page_walk walk;
            struct seen seen;
            enum status status;

            free(file);
            damage_write(data, offset, bytes_of(&flipped, 1));
            status = walk_file(PAGE_WALK_BRANCHES, &walk, &seen);
            damage_write(data, offset, bytes_of(&original, 1));
            EXPECT(seen.damages > 0);
            EXPECT(status == STATUS_OK || status == STATUS_CORRUPT);
        }
    }
}

/* The walk ends, in bounds, and never finds more values than there are, whatever is changed. */
static void test_random_damage_is_survived(void)
{
    MDB_stat stat = make_file(4, 40);
    struct prng prng;

    prng_init(&prng, 1);
    for (unsigned i = 0; i < 400; i++) {
        uint8_t garbage[16];
        uint8_t original[sizeof garbage];
        size_t bytes;
        uint8_t *file = damage_read(data, &bytes);
        size_t page = prng_below(&prng, bytes / PAGE) * PAGE;
        size_t offset = page + prng_below(&prng, prng_below(&prng, 2) == 0 ? 64 : PAGE - 16);
        struct page_walk walk;
        struct seen seen;
        enum status status;

        memcpy(original, file + offset, sizeof original);
        free(file);
        for (size_t j = 0; j < sizeof garbage; j++) {
            garbage[j] = prng_below(&prng, 2) == 0 ? original[j] : (uint8_t)prng_next(&prng);
        }
        damage_write(data, offset, bytes_of(garbage, sizeof garbage));
        status = walk_file(PAGE_WALK_VALUES, &walk, &seen);
        damage_write(data, offset, bytes_of(original, sizeof original));
        EXPECT(status == STATUS_OK || status == STATUS_CORRUPT);
        EXPECT(seen.entries <= stat.ms_entries || seen.damages > 0);
    }
}

static void expect_told(size_t offset, uint64_t value, size_t size, const char *words)
{
    uint8_t original[8];
    size_t bytes;
    uint8_t *file = damage_read(data, &bytes);
    struct page_walk walk;
    struct seen seen;
    enum status status;

    memcpy(original, file + offset, size);
    free(file);
    damage_write(data, offset, bytes_of(&value, size));
    status = walk_file(PAGE_WALK_BRANCHES, &walk, &seen);
    damage_write(data, offset, bytes_of(original, size));
    EXPECT(status == STATUS_OK || status == STATUS_CORRUPT);
    EXPECT_CONTAINS(seen.first, words);
}

static size_t newest_meta(void)
{
    size_t bytes;
    uint8_t *file = damage_read(data, &bytes);
    uint64_t first;
    uint64_t second;

    memcpy(&first, file + META_TRANSACTION, sizeof first);
    memcpy(&second, file + PAGE + META_TRANSACTION, sizeof second);
    free(file);
    return first > second ? 0 : PAGE;
}

static void test_each_field_of_the_meta_page_is_looked_at(void)
{
    enum {
        FREE = META_STRUCT + 24,
        MAIN = FREE + 48,
        LEVELS = 6,
        BRANCHES = 8,
        LEAVES = 16,
        ROOT = 40
    };
    size_t meta;

    (void)make_file(5, 60);
    meta = newest_meta();
    expect_told(META_STRUCT, 1, 4, "no meta page");
    expect_told(META_STRUCT + 4, 2, 4, "no meta page");
    expect_told(0, 9, 8, "no meta page");
    expect_told(FREE, 100, 4, "pages of 100 bytes");
    expect_told(FREE, 8192, 4, "page 1 is no meta page");
    expect_told(PAGE + FREE, 8192, 4, "the second meta page");
    expect_told(meta + FREE + 4, 0, 2, "a wrong kind");
    expect_told(meta + MAIN + 4, 8, 2, "a wrong kind");
    expect_told(meta + MAIN + LEVELS, 40, 2, "40 levels");
    expect_told(meta + MAIN + LEVELS, 0, 2, "0 levels");
    expect_told(meta + MAIN + LEVELS, 1, 2, "counts");
    expect_told(meta + MAIN + BRANCHES, 999, 8, "counts");
    expect_told(meta + MAIN + LEAVES, 999, 8, "counts");
    expect_told(meta + MAIN + ROOT, 0, 8, "at page 0, which is none");
    expect_told(meta + MAIN + ROOT, UINT64_C(1) << 40, 8, "which is none");
    expect_told(meta + FREE + ROOT, UINT64_MAX, 8, "levels");
    expect_told(meta + META_LAST_PAGE, 2, 8, "which is none");
    expect_told(meta + META_LAST_PAGE, UINT64_MAX, 8, "the last page");
}

/* Where the page number of the next large value stands, from `*at` on, in any leaf page of the
 * file, used or not; false: there is none. */
static bool next_large_value(const uint8_t *file, size_t bytes, size_t *at, size_t *ret_offset)
{
    enum { LEAF = 2, BIG = 1, HEAD = 16, NODE_HEAD = 8 };

    for (; *at + 2 <= bytes; *at += 2) {
        size_t page = *at / PAGE * PAGE;
        uint16_t flags;
        uint16_t lower;
        uint16_t node;
        uint16_t node_flags;
        uint16_t key_bytes;

        memcpy(&flags, file + page + 10, sizeof flags);
        memcpy(&lower, file + page + 12, sizeof lower);
        if (page < 2 * PAGE || flags != LEAF || *at % PAGE < HEAD || *at % PAGE >= lower) {
            continue;
        }
        memcpy(&node, file + *at, sizeof node);
        memcpy(&node_flags, file + page + node + 4, sizeof node_flags);
        memcpy(&key_bytes, file + page + node + 6, sizeof key_bytes);
        if (node_flags == BIG) {
            *ret_offset = page + node + NODE_HEAD + key_bytes;
            *at += 2;
            return true;
        }
    }
    return false;
}

/* The number that elsewhere stands for no page at all is a number like any other here. */
static void test_a_large_value_on_no_page_is_told_and_not_read(void)
{
    static const uint64_t none = UINT64_MAX;
    unsigned told = 0;
    size_t bytes;
    size_t offset;
    size_t at = 0;
    uint8_t *file;

    (void)make_file(6, 20);
    file = damage_read(data, &bytes);
    while (next_large_value(file, bytes, &at, &offset)) {
        struct page_walk walk;
        struct seen seen;

        damage_write(data, offset, bytes_of(&none, sizeof none));
        EXPECT_OK(walk_file(PAGE_WALK_VALUES, &walk, &seen));
        damage_write(data, offset, bytes_of(file + offset, sizeof none));
        EXPECT(seen.value_bytes <= bytes);
        told += seen.damages > 0;
        if (seen.damages > 0) {
            EXPECT_CONTAINS(seen.first, "a large value is at page 18446744073709551615");
        }
    }
    free(file);
    EXPECT(told > 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_lmdb_wrote_is_sound_and_counted_as_lmdb_counts),
        TEST_CASE(test_an_empty_environment_is_sound),
        TEST_CASE(test_a_missing_file_is_not_found),
        TEST_CASE(test_a_file_cut_anywhere_is_told),
        TEST_CASE(test_every_flip_in_the_number_of_a_transaction_is_told),
        TEST_CASE(test_random_damage_is_survived),
        TEST_CASE(test_each_field_of_the_meta_page_is_looked_at),
        TEST_CASE(test_a_large_value_on_no_page_is_told_and_not_read),
        TEST_END,
    };

    return test_main("page_walk", cases, argc, argv);
}
