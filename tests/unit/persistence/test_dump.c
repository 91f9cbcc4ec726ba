#include "base/alloc.h"
#include "base/prng.h"
#include "persistence/dump_file.h"
#include "persistence/tree_store.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t cluster[16] = {1, 2, 3, 4};
static const uint8_t other_cluster[16] = {4, 3, 2, 1};
static const struct tree_store_options options = {.map_bytes = UINT64_C(1) << 30};
static const char *folder;
static char dump_path[4200];
static char tree_path[4200];
static char part_path[4300];
static struct error error;

static void new_paths(void)
{
    folder = test_folder();
    (void)snprintf(dump_path, sizeof dump_path, "%s/dump", folder);
    (void)snprintf(tree_path, sizeof tree_path, "%s/tree-1", folder);
    (void)snprintf(part_path, sizeof part_path, "%s.part", tree_path);
}

static struct tree_store *open_tree(const char *name)
{
    char path[4200];
    struct tree_store *store = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    EXPECT_OK(tree_store_open(path, &options, &store, &error));
    return store;
}

static const struct tree_meta example_meta = {.applied_index = 44,
                                              .applied_term = 3,
                                              .config_index = 12,
                                              .config = {(const uint8_t *)"the config", 10},
                                              .record_count = 5,
                                              .record_sum = 0x1234567890abcdef};

static void expect_example_meta(struct tree_meta meta)
{
    EXPECT_EQ(meta.applied_index, example_meta.applied_index);
    EXPECT_EQ(meta.applied_term, example_meta.applied_term);
    EXPECT_EQ(meta.config_index, example_meta.config_index);
    EXPECT_EQ(meta.record_count, example_meta.record_count);
    EXPECT_EQ(meta.record_sum, example_meta.record_sum);
    EXPECT_BYTES(meta.config, example_meta.config);
}

/* A dump of `count` records, key = number, value of its own size. */
static void make_dump(size_t count)
{
    struct tree_store *store = open_tree("tree-0");
    struct tree_record *records = xcalloc(count, sizeof *records);
    uint8_t *keys = xmalloc(count * 8);
    uint8_t *value = xmalloc(1 << 20);
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    uint64_t bytes = 0;

    memset(value, 'v', 1 << 20);
    for (size_t i = 0; i < count; i++) {
        bytes_store_u64(keys + i * 8, i);
        records[i].key = bytes_of(keys + i * 8, 8);
        records[i].value = bytes_of(value, i == 1 ? 1 << 20 : i % 300);
    }
    EXPECT_OK(tree_store_commit(store, records, count, &example_meta, &error));
    EXPECT_OK(tree_store_dump(store, dump_path, cluster, NULL, &config, &meta, &bytes, &error));
    expect_example_meta(meta);
    EXPECT_EQ(bytes, damage_file_bytes(dump_path));
    tree_store_close(store);
    buffer_release(&config);
    free(value);
    free(keys);
    free(records);
}

static enum status install(void)
{
    return dump_install(dump_path, tree_path, &options, cluster, NULL, &error);
}

static enum status inspect(void)
{
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    enum status status = dump_inspect(dump_path, cluster, &config, &meta, &error);

    if (status == STATUS_OK) {
        expect_example_meta(meta);
    }
    buffer_release(&config);
    return status;
}

static void expect_nothing_installed(void)
{
    EXPECT(access(tree_path, F_OK) != 0);
    EXPECT(access(part_path, F_OK) != 0);
}

struct comparison {
    struct tree_store *other;
    size_t count;
};

static bool compare_record(void *visitor, struct bytes key, struct bytes value)
{
    struct comparison *comparison = visitor;
    struct bytes found;

    EXPECT_OK(tree_store_lookup(comparison->other, key, SIZE_MAX, &found));
    EXPECT_BYTES(found, value);
    comparison->count++;
    return true;
}

static void expect_equal_trees(size_t count)
{
    struct tree_store *from = open_tree("tree-0");
    struct comparison comparison = {.other = open_tree("tree-1")};

    expect_example_meta(tree_store_meta(comparison.other));
    EXPECT_OK(
        tree_store_range(from, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, compare_record, &comparison));
    EXPECT_EQ(comparison.count, count);
    comparison.count = 0;
    tree_store_close(from);
    tree_store_close(comparison.other);
}

static void test_a_tree_goes_round_by_way_of_a_dump(void)
{
    new_paths();
    make_dump(1000);
    EXPECT_OK(inspect());
    EXPECT_OK(install());
    expect_equal_trees(1000);
    EXPECT(access(part_path, F_OK) != 0);
    EXPECT_EQ(install(), STATUS_EXISTS);
}

static void test_an_empty_tree_goes_round_too(void)
{
    new_paths();
    make_dump(0);
    EXPECT_OK(inspect());
    EXPECT_OK(install());
    expect_equal_trees(0);
}

static void test_300000_records_need_several_transactions(void)
{
    new_paths();
    make_dump(300000);
    EXPECT_OK(install());
    expect_equal_trees(300000);
}

static void test_an_installed_tree_goes_on(void)
{
    struct tree_record record = {.key = bytes_of_text("zz"), .value = bytes_of_text("new")};
    struct tree_store *store;
    struct bytes value;

    new_paths();
    make_dump(50);
    EXPECT_OK(install());
    store = open_tree("tree-1");
    EXPECT_OK(tree_store_commit(store, &record, 1, &example_meta, &error));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_OK(tree_store_lookup(store, record.key, SIZE_MAX, &value));
    EXPECT_BYTES(value, record.value);
    tree_store_close(store);
}

static void test_a_missing_dump_is_not_found(void)
{
    new_paths();
    EXPECT_EQ(inspect(), STATUS_NOT_FOUND);
    EXPECT_CONTAINS(error.text, dump_path);
    EXPECT_EQ(install(), STATUS_NOT_FOUND);
    expect_nothing_installed();
}

static void test_a_folder_is_no_dump(void)
{
    new_paths();
    EXPECT_EQ(mkdir(dump_path, 0700), 0);
    EXPECT_EQ(inspect(), STATUS_IO);
    EXPECT_EQ(install(), STATUS_IO);
}

static void test_the_dump_of_another_cluster_is_refused(void)
{
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;

    new_paths();
    make_dump(5);
    EXPECT_EQ(dump_inspect(dump_path, other_cluster, &config, &meta, &error), STATUS_MISMATCH);
    EXPECT_EQ(dump_install(dump_path, tree_path, &options, other_cluster, NULL, &error),
              STATUS_MISMATCH);
    EXPECT_CONTAINS(error.text, dump_path);
    expect_nothing_installed();
    buffer_release(&config);
}

static void test_a_dump_cut_anywhere_is_refused(void)
{
    uint8_t *data;
    size_t bytes;

    new_paths();
    make_dump(1);
    data = damage_read(dump_path, &bytes);
    for (size_t cut = bytes - 1; cut != SIZE_MAX; cut--) {
        damage_truncate(dump_path, cut);
        EXPECT_EQ(inspect(), STATUS_CORRUPT);
        EXPECT_EQ(install(), STATUS_CORRUPT);
    }
    expect_nothing_installed();
    free(data);
}

static void test_every_flipped_byte_is_found(void)
{
    size_t bytes;
    uint8_t *data;

    new_paths();
    /* Small enough to try every byte: two records of 0 and 1 bytes. */
    {
        struct dump_header header = {.meta = example_meta};
        struct dump_writer writer;
        uint64_t written;

        memcpy(header.cluster_id, cluster, sizeof cluster);
        EXPECT_OK(dump_writer_open(&writer, dump_path, &header, &error));
        EXPECT_OK(dump_writer_put(&writer, bytes_of_text("a"), BYTES_EMPTY, &error));
        EXPECT_OK(dump_writer_put(&writer, bytes_of_text("b"), bytes_of_text("x"), &error));
        EXPECT_OK(dump_writer_close(&writer, dump_path, STATUS_OK, &written, &error));
    }
    data = damage_read(dump_path, &bytes);
    for (size_t at = 0; at < bytes; at++) {
        enum status status;

        damage_flip_at(dump_path, at);
        status = install();
        EXPECT(status == STATUS_CORRUPT || (status == STATUS_FORMAT && at >= 8 && at < 12));
        expect_nothing_installed();
        damage_write(dump_path, at, bytes_of(data + at, 1));
    }
    EXPECT_OK(install());
    free(data);
}

static void test_a_damaged_record_is_named_by_its_number(void)
{
    size_t bytes;

    new_paths();
    make_dump(100);
    bytes = damage_file_bytes(dump_path);
    /* In the last value. */
    damage_flip_at(dump_path, bytes - DUMP_TRAILER_BYTES - DUMP_CHECKSUM_BYTES - 10);
    EXPECT_OK(inspect());
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 100");
    expect_nothing_installed();
}

/* --- Dumps that no honest writer makes --- */

struct forgery {
    struct buffer bytes;
    struct dump_trailer trailer;
};

static void forge_begin(struct forgery *forgery)
{
    struct dump_header header = {.meta = example_meta};

    memset(forgery, 0, sizeof *forgery);
    memcpy(header.cluster_id, cluster, sizeof cluster);
    forgery->trailer.chain = dump_format_put_header(&header, &forgery->bytes);
}

static void
forge_record(struct forgery *forgery, uint64_t number, const char *key, const char *value)
{
    uint8_t head[DUMP_RECORD_HEAD_BYTES];
    uint64_t sum = dump_format_record_checksum(number, bytes_of_text(key), bytes_of_text(value));

    dump_format_put_record_head(bytes_of_text(key), bytes_of_text(value), head);
    buffer_put(&forgery->bytes, bytes_of(head, sizeof head));
    buffer_put(&forgery->bytes, bytes_of_text(key));
    buffer_put(&forgery->bytes, bytes_of_text(value));
    buffer_put_u64(&forgery->bytes, sum);
    forgery->trailer.chain = dump_format_chain(forgery->trailer.chain, sum);
    forgery->trailer.record_count++;
}

static void forge_end(struct forgery *forgery)
{
    uint8_t trailer[DUMP_TRAILER_BYTES];

    forgery->trailer.file_bytes = forgery->bytes.size + DUMP_TRAILER_BYTES;
    dump_format_put_trailer(&forgery->trailer, trailer);
    buffer_put(&forgery->bytes, bytes_of(trailer, sizeof trailer));
    (void)unlink(dump_path);
    damage_write(dump_path, 0, buffer_lend(&forgery->bytes));
    buffer_release(&forgery->bytes);
}

static void test_records_out_of_order_are_refused(void)
{
    struct forgery forgery;

    new_paths();
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forge_record(&forgery, 2, "c", "2");
    forge_record(&forgery, 3, "b", "3");
    forge_end(&forgery);
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 3 is out of order");
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forge_record(&forgery, 2, "a", "2");
    forge_end(&forgery);
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 2 is out of order");
    expect_nothing_installed();
}

static void test_records_missing_or_doubled_are_refused(void)
{
    struct forgery forgery;

    new_paths();
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forge_record(&forgery, 3, "c", "3");
    forge_end(&forgery);
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 2");
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forgery.trailer.record_count = 2;
    forge_end(&forgery);
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "number of its records");
    expect_nothing_installed();
}

static void test_parts_of_two_dumps_are_refused(void)
{
    struct forgery forgery;

    new_paths();
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forge_record(&forgery, 2, "b", "2");
    forgery.trailer.chain ^= 1;
    forge_end(&forgery);
    EXPECT_OK(inspect());
    EXPECT_EQ(install(), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "not of one dump");
}

static void test_impossible_sizes_are_refused_before_memory_is_taken(void)
{
    static const uint32_t sizes[] = {UINT32_MAX, DUMP_VALUE_BYTES_MAX + 1, DUMP_VALUE_BYTES_MAX, 3};

    for (size_t i = 0; i < 4; i++) {
        struct forgery forgery;
        uint8_t head[DUMP_RECORD_HEAD_BYTES];

        new_paths();
        forge_begin(&forgery);
        bytes_store_u16(head, 0);
        bytes_store_u32(head + 2, sizes[i]);
        buffer_put(&forgery.bytes, bytes_of(head, sizeof head));
        buffer_put_u64(&forgery.bytes, 0);
        forge_end(&forgery);
        EXPECT_EQ(install(), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, "impossible size");
    }
    {
        struct forgery forgery;
        uint8_t head[DUMP_RECORD_HEAD_BYTES];
        uint8_t key[TREE_STORE_KEY_BYTES_MAX + 1] = {0};

        new_paths();
        forge_begin(&forgery);
        bytes_store_u16(head, sizeof key);
        bytes_store_u32(head + 2, 0);
        buffer_put(&forgery.bytes, bytes_of(head, sizeof head));
        buffer_put(&forgery.bytes, bytes_of(key, sizeof key));
        buffer_put_u64(&forgery.bytes, 0);
        forge_end(&forgery);
        EXPECT_EQ(install(), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, "impossible size");
    }
}

static bool refuse_key_c(struct bytes key, struct bytes value)
{
    (void)value;
    return key.size != 1 || key.data[0] != 'c';
}

static void test_a_record_that_the_state_refuses_is_named(void)
{
    struct forgery forgery;

    new_paths();
    forge_begin(&forgery);
    forge_record(&forgery, 1, "a", "1");
    forge_record(&forgery, 2, "c", "2");
    forge_end(&forgery);
    EXPECT_EQ(dump_install(dump_path, tree_path, &options, cluster, refuse_key_c, &error),
              STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 2 ");
    expect_nothing_installed();
    EXPECT_OK(install());
}

static void test_a_newer_format_is_refused(void)
{
    uint8_t version[4];

    new_paths();
    make_dump(3);
    bytes_store_u32(version, DUMP_FORMAT + 1);
    damage_write(dump_path, 8, bytes_of(version, sizeof version));
    EXPECT_EQ(inspect(), STATUS_FORMAT);
    EXPECT_CONTAINS(error.text, "format 2");
    EXPECT_EQ(install(), STATUS_FORMAT);
}

static void test_a_full_map_leaves_nothing(void)
{
    struct tree_store_options small = {.map_bytes = 256 * 1024};

    new_paths();
    make_dump(10000);
    EXPECT_EQ(dump_install(dump_path, tree_path, &small, cluster, NULL, &error), STATUS_NO_SPACE);
    expect_nothing_installed();
    EXPECT_OK(install());
}

static void test_what_an_interrupted_installation_left_is_replaced(void)
{
    char file[4400];

    new_paths();
    make_dump(20);
    EXPECT_EQ(mkdir(part_path, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/data.mdb", part_path);
    damage_write(file, 0, bytes_of_text("half"));
    EXPECT_OK(install());
    expect_equal_trees(20);
}

static void test_a_dump_of_a_damaged_tree_is_refused(void)
{
    static const char text[] = "a value that is found in the file by its content";
    struct tree_record record = {.key = bytes_of_text("a"), .value = bytes_of_text(text)};
    struct tree_store *store;
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    uint64_t bytes;
    char path[4300];
    char part[4300];

    new_paths();
    store = open_tree("tree-0");
    EXPECT_OK(tree_store_commit(store, &record, 1, &example_meta, &error));
    tree_store_close(store);
    (void)snprintf(path, sizeof path, "%s/tree-0/data.mdb", folder);
    EXPECT(damage_flip(path, bytes_of_text(text)) > 0);
    store = open_tree("tree-0");
    EXPECT_EQ(tree_store_dump(store, dump_path, cluster, NULL, &config, &meta, &bytes, &error),
              STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "record 1");
    tree_store_close(store);
    (void)snprintf(part, sizeof part, "%s.part", dump_path);
    EXPECT(access(dump_path, F_OK) != 0);
    EXPECT(access(part, F_OK) != 0);
}

static void test_a_dump_where_nothing_can_be_written_fails(void)
{
    struct tree_store *store;
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    uint64_t bytes;
    char path[4300];

    new_paths();
    store = open_tree("tree-0");
    (void)snprintf(path, sizeof path, "%s/absent/dump", folder);
    EXPECT_EQ(tree_store_dump(store, path, cluster, NULL, &config, &meta, &bytes, &error),
              STATUS_IO);
    EXPECT_CONTAINS(error.text, path);
    tree_store_close(store);
}

/* --- What later commits need while a dump is written --- */

enum { GROWTH_RECORDS = 2000, GROWTH_COMMITS = 20 };

static struct {
    struct tree_store *store;
    uint64_t bytes_before;
    uint64_t bytes_after;
} growth;

static uint64_t tree_file_bytes(void)
{
    char path[4200];

    (void)snprintf(path, sizeof path, "%s/tree-0/data.mdb", folder);
    return damage_file_bytes(path);
}

/* All records anew, so often. */
static void rewrite(size_t commits)
{
    static uint8_t keys[GROWTH_RECORDS * 8];
    static struct tree_record records[GROWTH_RECORDS];

    for (size_t i = 0; i < GROWTH_RECORDS; i++) {
        bytes_store_u64(keys + i * 8, i);
        records[i] = (struct tree_record){.key = bytes_of(keys + i * 8, 8),
                                          .value = bytes_of(folder, strlen(folder))};
    }
    for (size_t i = 0; i < commits; i++) {
        EXPECT_OK(tree_store_commit(growth.store, records, GROWTH_RECORDS, &example_meta, &error));
        EXPECT_OK(tree_store_renew(growth.store, &error));
    }
}

/* At the first record: the dump's transaction is open. */
static void rewrite_meanwhile(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    (void)key;
    (void)value;
    if (growth.bytes_before == 0) {
        growth.bytes_before = tree_file_bytes();
        rewrite(GROWTH_COMMITS);
        growth.bytes_after = tree_file_bytes();
    }
    *count = example_meta.record_count;
    *sum = example_meta.record_sum;
}

static void test_a_file_grows_while_a_dump_is_written_and_no_more_afterwards(void)
{
    struct buffer config = BUFFER_INIT;
    struct tree_meta meta;
    uint64_t bytes;
    uint64_t settled;
    uint64_t of_one_commit;

    new_paths();
    memset(&growth, 0, sizeof growth);
    growth.store = open_tree("tree-0");
    rewrite(1);
    of_one_commit = tree_file_bytes();
    rewrite(GROWTH_COMMITS);
    settled = tree_file_bytes();
    /* Pages that a commit freed serve the next but one. */
    EXPECT(settled <= 4 * of_one_commit);
    rewrite(GROWTH_COMMITS);
    EXPECT_EQ(tree_file_bytes(), settled);

    EXPECT_OK(tree_store_dump(growth.store, dump_path, cluster, rewrite_meanwhile, &config, &meta,
                              &bytes, &error));
    EXPECT_EQ(growth.bytes_before, settled);
    /* No page is used anew, so it is what was written meanwhile, */
    EXPECT(growth.bytes_after >= settled + of_one_commit * (GROWTH_COMMITS - 3));
    EXPECT(growth.bytes_after <= settled + of_one_commit * (GROWTH_COMMITS + 2));
    /* and that serves again once the dump is done. */
    rewrite(GROWTH_COMMITS);
    EXPECT_EQ(tree_file_bytes(), growth.bytes_after);
    tree_store_close(growth.store);
    buffer_release(&config);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_tree_goes_round_by_way_of_a_dump),
        TEST_CASE(test_an_empty_tree_goes_round_too),
        TEST_CASE(test_300000_records_need_several_transactions),
        TEST_CASE(test_an_installed_tree_goes_on),
        TEST_CASE(test_a_missing_dump_is_not_found),
        TEST_CASE(test_a_folder_is_no_dump),
        TEST_CASE(test_the_dump_of_another_cluster_is_refused),
        TEST_CASE(test_a_dump_cut_anywhere_is_refused),
        TEST_CASE(test_every_flipped_byte_is_found),
        TEST_CASE(test_a_damaged_record_is_named_by_its_number),
        TEST_CASE(test_records_out_of_order_are_refused),
        TEST_CASE(test_records_missing_or_doubled_are_refused),
        TEST_CASE(test_parts_of_two_dumps_are_refused),
        TEST_CASE(test_impossible_sizes_are_refused_before_memory_is_taken),
        TEST_CASE(test_a_record_that_the_state_refuses_is_named),
        TEST_CASE(test_a_newer_format_is_refused),
        TEST_CASE(test_a_full_map_leaves_nothing),
        TEST_CASE(test_what_an_interrupted_installation_left_is_replaced),
        TEST_CASE(test_a_dump_of_a_damaged_tree_is_refused),
        TEST_CASE(test_a_file_grows_while_a_dump_is_written_and_no_more_afterwards),
        TEST_CASE(test_a_dump_where_nothing_can_be_written_fails),
        TEST_END,
    };

    return test_main("dump", cases, argc, argv);
}
