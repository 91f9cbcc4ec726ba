#include "persistence/tree_store.h"

#include "base/alloc.h"
#include "base/prng.h"
#include "persistence/environment.h"
#include "persistence/tree_format.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_BYTES (UINT64_C(1) << 30)

static char path[4096];
static char data_path[4200];
static struct error error;

static void new_path(void)
{
    (void)snprintf(path, sizeof path, "%s/tree-0", test_folder());
    (void)snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
}

static enum status open_with(uint64_t map_bytes, struct tree_store **store)
{
    struct tree_store_options options = {.map_bytes = map_bytes};

    return tree_store_open(path, &options, store, &error);
}

static struct tree_store *open_store(void)
{
    struct tree_store *store = NULL;

    EXPECT_OK(open_with(MAP_BYTES, &store));
    return store;
}

static struct tree_record put(const char *key, const char *value)
{
    return (struct tree_record){.key = bytes_of_text(key), .value = bytes_of_text(value)};
}

static struct tree_record removal(const char *key)
{
    return (struct tree_record){.key = bytes_of_text(key), .removed = true};
}

static enum status commit(struct tree_store *store,
                          raft_index applied,
                          const struct tree_record *records,
                          size_t count)
{
    struct tree_meta meta = {.applied_index = applied, .config = bytes_of_text("config")};

    return tree_store_commit(store, records, count, &meta, &error);
}

static void expect_value(struct tree_store *store, const char *key, const char *value)
{
    struct bytes found;

    EXPECT_OK(tree_store_lookup(store, bytes_of_text(key), SIZE_MAX, &found));
    EXPECT_BYTES(found, bytes_of_text(value));
}

static void expect_absent(struct tree_store *store, const char *key)
{
    struct bytes found;

    EXPECT_EQ(tree_store_lookup(store, bytes_of_text(key), SIZE_MAX, &found), STATUS_NOT_FOUND);
}

/* --- Opening and meta --- */

static void test_a_new_store_is_empty_with_an_empty_meta(void)
{
    struct tree_store *store;
    struct tree_meta meta;

    new_path();
    store = open_store();
    meta = tree_store_meta(store);
    EXPECT_EQ(meta.applied_index, 0);
    EXPECT_EQ(meta.applied_term, 0);
    EXPECT_EQ(meta.config_index, 0);
    EXPECT_EQ(meta.config.size, 0);
    EXPECT_EQ(meta.record_count, 0);
    EXPECT_EQ(meta.record_sum, 0);
    expect_absent(store, "a");
    EXPECT(tree_store_map_bytes(store) >= MAP_BYTES);
    tree_store_close(store);
}

static void test_records_and_meta_survive_a_restart_together(void)
{
    struct tree_record records[] = {put("a", "1"), put("b", ""), put("c", "3")};
    struct tree_meta meta = {.applied_index = 10,
                             .applied_term = 2,
                             .config_index = 7,
                             .config = bytes_of_text("the configuration"),
                             .record_count = 3,
                             .record_sum = UINT64_MAX};
    struct tree_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(tree_store_commit(store, records, 3, &meta, &error));
    tree_store_close(store);
    store = open_store();
    meta = tree_store_meta(store);
    EXPECT_EQ(meta.applied_index, 10);
    EXPECT_EQ(meta.applied_term, 2);
    EXPECT_EQ(meta.config_index, 7);
    EXPECT_BYTES(meta.config, bytes_of_text("the configuration"));
    EXPECT_EQ(meta.record_count, 3);
    EXPECT_EQ(meta.record_sum, UINT64_MAX);
    expect_value(store, "a", "1");
    expect_value(store, "b", "");
    expect_value(store, "c", "3");
    tree_store_close(store);
}

static void test_the_reader_shows_one_commit_until_renewed(void)
{
    struct tree_record first[] = {put("a", "old"), put("b", "stays")};
    struct tree_record second[] = {put("a", "new"), removal("b"), put("c", "more")};
    struct tree_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, first, 2));
    expect_absent(store, "a");
    EXPECT_EQ(tree_store_meta(store).applied_index, 0);
    EXPECT_OK(tree_store_renew(store, &error));
    expect_value(store, "a", "old");
    EXPECT_EQ(tree_store_meta(store).applied_index, 1);
    EXPECT_OK(commit(store, 2, second, 3));
    expect_value(store, "a", "old");
    expect_value(store, "b", "stays");
    EXPECT_OK(tree_store_renew(store, &error));
    expect_value(store, "a", "new");
    expect_absent(store, "b");
    expect_value(store, "c", "more");
    tree_store_close(store);
}

static void test_removing_what_is_not_there_is_fine(void)
{
    struct tree_record records[] = {put("a", "1"), removal("b"), put("c", "3"), removal("d")};
    struct tree_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 4));
    EXPECT_OK(commit(store, 2, records, 4));
    EXPECT_OK(tree_store_renew(store, &error));
    expect_value(store, "a", "1");
    expect_absent(store, "b");
    expect_value(store, "c", "3");
    tree_store_close(store);
}

static void test_keys_and_values_of_every_size(void)
{
    uint8_t longest[TREE_STORE_KEY_BYTES_MAX + 1] = {0};
    uint8_t *large = xcalloc(1, 2 << 20);
    struct bytes longest_key = bytes_of(longest, TREE_STORE_KEY_BYTES_MAX);
    struct bytes too_long = bytes_of(longest, sizeof longest);
    struct tree_record records[] = {
        {.key = BYTES_EMPTY, .value = bytes_of_text("of the empty key")},
        {.key = bytes_of("\0", 1), .value = bytes_of(large, 2 << 20)},
        {.key = longest_key, .value = bytes_of_text("of the longest")},
    };
    struct tree_store *store;
    struct bytes value;

    memset(longest, 0xff, sizeof longest);
    memset(large, 7, 2 << 20);
    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 3));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_OK(tree_store_lookup(store, BYTES_EMPTY, SIZE_MAX, &value));
    EXPECT_BYTES(value, records[0].value);
    EXPECT_OK(tree_store_lookup(store, records[1].key, SIZE_MAX, &value));
    EXPECT_BYTES(value, records[1].value);
    EXPECT_OK(tree_store_lookup(store, longest_key, SIZE_MAX, &value));
    EXPECT_BYTES(value, records[2].value);
    EXPECT_EQ(tree_store_lookup(store, too_long, SIZE_MAX, &value), STATUS_NOT_FOUND);
    tree_store_close(store);
    free(large);
}

/* --- Ranges --- */

struct listing {
    char text[256];
    size_t limit;
    size_t count;
};

static bool list_record(void *visitor, struct bytes key, struct bytes value)
{
    struct listing *listing = visitor;
    size_t used = strlen(listing->text);

    (void)snprintf(listing->text + used, sizeof listing->text - used, "%.*s=%.*s ", (int)key.size,
                   (const char *)key.data, (int)value.size, (const char *)value.data);
    listing->count++;
    return listing->count < listing->limit;
}

static void expect_range(
    struct tree_store *store, const char *from, const char *prefix, size_t limit, const char *text)
{
    struct listing listing = {.limit = limit};

    EXPECT_OK(tree_store_range(store, bytes_of_text(from), bytes_of_text(prefix), SIZE_MAX,
                               list_record, &listing));
    EXPECT_TEXT(listing.text, text);
}

static void test_ranges_start_and_end_where_they_should(void)
{
    struct tree_record records[] = {put("a", "1"),  put("b", "2"),  put("b1", "3"),
                                    put("b2", "4"), put("b3", "5"), put("c", "6")};
    struct tree_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 6));
    EXPECT_OK(tree_store_renew(store, &error));
    expect_range(store, "", "", 99, "a=1 b=2 b1=3 b2=4 b3=5 c=6 ");
    expect_range(store, "", "b", 99, "b=2 b1=3 b2=4 b3=5 ");
    expect_range(store, "b2", "b", 99, "b2=4 b3=5 ");
    expect_range(store, "b11", "b", 99, "b2=4 b3=5 ");
    expect_range(store, "", "b", 2, "b=2 b1=3 ");
    expect_range(store, "c", "b", 99, "");
    expect_range(store, "", "d", 99, "");
    expect_range(store, "b3", "", 99, "b3=5 c=6 ");
    tree_store_close(store);
}

static void test_a_range_from_behind_the_longest_key(void)
{
    uint8_t longest[TREE_STORE_KEY_BYTES_MAX + 1] = {0};
    struct tree_record records[2] = {
        {.key = bytes_of(longest, TREE_STORE_KEY_BYTES_MAX), .value = bytes_of_text("1")},
        put("z", "2")};
    struct listing listing = {.limit = 99};
    struct tree_store *store;

    memset(longest, 'a', sizeof longest);
    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 2));
    EXPECT_OK(tree_store_renew(store, &error));
    /* The successor of the longest key is longer than any key. */
    longest[TREE_STORE_KEY_BYTES_MAX] = 0;
    EXPECT_OK(tree_store_range(store, bytes_of(longest, sizeof longest), BYTES_EMPTY, SIZE_MAX,
                               list_record, &listing));
    EXPECT_TEXT(listing.text, "z=2 ");
    tree_store_close(store);
}

/* --- Lookups beside one another --- */

enum { NAMES = 600, LOOKUP_ROUNDS = 40, LOOKUPS = 3000, NAME_BYTES = 8 };

/* What is stored as the reader shows it, and as of the last commit. */
struct model {
    bool shown[NAMES];
    bool stored[NAMES];
};

static struct tree_record record_of(char *name, size_t number)
{
    (void)snprintf(name, NAME_BYTES, "n%05zu", number);
    return put(name, name);
}

static void
commit_some(struct tree_store *store, struct model *model, struct prng *prng, raft_index index)
{
    static char names[NAMES][NAME_BYTES];
    struct tree_record records[NAMES];
    size_t count = 0;

    for (size_t i = 0; i < NAMES; i++) {
        if (prng_below(prng, 8) == 0) {
            records[count] = record_of(names[count], i);
            records[count].removed = prng_below(prng, 2) == 0;
            model->stored[i] = !records[count++].removed;
        }
    }
    EXPECT_OK(commit(store, index, records, count));
}

/* Mostly beside the last one, so that all that is remembered of it is asked for. */
static void look_up_some(struct tree_store *store, const struct model *model, struct prng *prng)
{
    size_t at = 0;
    char name[NAME_BYTES];

    for (int i = 0; i < LOOKUPS; i++) {
        at = prng_below(prng, 10) == 0 ? (size_t)prng_below(prng, NAMES)
                                       : (at + (size_t)prng_below(prng, 5) + NAMES - 2) % NAMES;
        (void)record_of(name, at);
        if (model->shown[at]) {
            expect_value(store, name, name);
        } else {
            expect_absent(store, name);
        }
    }
    expect_absent(store, "");
    expect_absent(store, "zzz");
    expect_absent(store, "zz");
}

static void test_a_lookup_finds_what_is_shown_whatever_was_looked_up_before(void)
{
    struct model model = {.shown = {false}};
    struct tree_store *store;
    struct prng prng;

    prng_init(&prng, 5);
    new_path();
    store = open_store();
    for (raft_index round = 1; round <= LOOKUP_ROUNDS; round++) {
        look_up_some(store, &model, &prng);
        commit_some(store, &model, &prng, round);
        look_up_some(store, &model, &prng);
        EXPECT_OK(tree_store_renew(store, &error));
        memcpy(model.shown, model.stored, sizeof model.shown);
    }
    tree_store_close(store);
}

/* --- Sizes --- */

enum { MANY = 300000, KEY_BYTES = 16 };

static struct tree_record *make_many(uint8_t **ret_keys, uint64_t salt)
{
    struct tree_record *records = xcalloc(MANY, sizeof *records);
    uint8_t *keys = xmalloc((size_t)MANY * KEY_BYTES);

    for (size_t i = 0; i < MANY; i++) {
        uint8_t *key = keys + i * KEY_BYTES;

        bytes_store_u64(key, i);
        bytes_store_u64(key + 8, i * 7 + salt);
        records[i].key = bytes_of(key, 8);
        records[i].value = bytes_of(key, KEY_BYTES);
    }
    *ret_keys = keys;
    return records;
}

static bool count_record(void *visitor, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    ++*(size_t *)visitor;
    return true;
}

static void test_300000_records_in_one_commit(void)
{
    uint8_t *keys;
    struct tree_record *records = make_many(&keys, 1);
    struct tree_store *store;
    struct bytes value;
    size_t count = 0;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, MANY));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_OK(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, count_record, &count));
    EXPECT_EQ(count, MANY);
    /* Every record again, each on a page of its own by now: more dirty pages than lie in one. */
    for (size_t i = 0; i < MANY; i++) {
        bytes_store_u64(keys + i * KEY_BYTES + 8, i + 5);
    }
    EXPECT_OK(commit(store, 2, records, MANY));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_OK(tree_store_lookup(store, records[MANY - 1].key, SIZE_MAX, &value));
    EXPECT_BYTES(value, records[MANY - 1].value);
    for (size_t i = 0; i < MANY; i++) {
        records[i].removed = true;
    }
    EXPECT_OK(commit(store, 3, records, MANY));
    EXPECT_OK(tree_store_renew(store, &error));
    count = 0;
    EXPECT_OK(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, count_record, &count));
    EXPECT_EQ(count, 0);
    EXPECT(tree_store_used_bytes(store) < UINT64_C(4) << 20);
    tree_store_close(store);
    free(records);
    free(keys);
}

/* LMDB 0.9.24 loses the list of pages written early, once a transaction (ITS#9155, mended in
 * 0.9.25); only the next test makes such transactions. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:mdb_midl_alloc\n";
}

static void test_more_dirty_pages_than_a_transaction_keeps_in_memory(void)
{
    enum { PAGES = 140000 };
    uint8_t *keys = xmalloc((size_t)PAGES * 8);
    struct tree_record *records = xcalloc(PAGES, sizeof *records);
    uint8_t filler[2500];
    struct tree_store *store;
    struct bytes value;

    memset(filler, 'f', sizeof filler);
    for (size_t i = 0; i < PAGES; i++) {
        bytes_store_u64(keys + i * 8, i);
        records[i].key = bytes_of(keys + i * 8, 8);
        records[i].value = bytes_of(filler, sizeof filler);
    }
    new_path();
    EXPECT_OK(open_with(UINT64_C(4) << 30, &store));
    EXPECT_OK(commit(store, 1, records, PAGES));
    EXPECT_OK(commit(store, 2, records, PAGES));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_EQ(tree_store_meta(store).applied_index, 2);
    for (size_t i = 0; i < PAGES; i += 1000) {
        EXPECT_OK(tree_store_lookup(store, records[i].key, SIZE_MAX, &value));
        EXPECT_BYTES(value, records[i].value);
    }
    tree_store_close(store);
    free(records);
    free(keys);
}

static void test_a_full_map_changes_nothing_and_a_later_commit_works(void)
{
    enum { COUNT = 2000 };
    uint8_t *keys;
    struct tree_record *records = make_many(&keys, 1);
    struct tree_record small[] = {put("small", "one")};
    struct tree_record *large = xcalloc(1, sizeof *large);
    uint8_t *value = xcalloc(1, 2 << 20);
    struct tree_store *store;
    struct bytes found;

    new_path();
    EXPECT_OK(open_with(1 << 20, &store));
    EXPECT_OK(commit(store, 1, records, COUNT));
    *large = (struct tree_record){.key = bytes_of_text("large"), .value = bytes_of(value, 2 << 20)};
    EXPECT_EQ(commit(store, 2, large, 1), STATUS_NO_SPACE);
    EXPECT_CONTAINS(error.text, path);
    EXPECT_EQ(commit(store, 2, records, MANY), STATUS_NO_SPACE);
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_EQ(tree_store_meta(store).applied_index, 1);
    EXPECT_EQ(tree_store_lookup(store, records[COUNT].key, SIZE_MAX, &found), STATUS_NOT_FOUND);
    EXPECT_OK(tree_store_lookup(store, records[COUNT - 1].key, SIZE_MAX, &found));
    EXPECT_OK(commit(store, 3, small, 1));
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_EQ(tree_store_meta(store).applied_index, 3);
    expect_value(store, "small", "one");
    tree_store_close(store);
    free(value);
    free(large);
    free(records);
    free(keys);
}

static void test_removals_make_room_again(void)
{
    enum { COUNT = 10000 };
    uint8_t *keys;
    struct tree_record *records = make_many(&keys, 1);
    struct tree_store *store;
    uint64_t used;

    new_path();
    EXPECT_OK(open_with(2 << 20, &store));
    EXPECT_OK(commit(store, 1, records, COUNT));
    used = tree_store_used_bytes(store);
    EXPECT(used > COUNT * (KEY_BYTES + 8));
    for (size_t i = 0; i < COUNT; i++) {
        records[i].removed = true;
    }
    EXPECT_OK(tree_store_renew(store, &error));
    EXPECT_OK(commit(store, 2, records, COUNT));
    EXPECT(tree_store_used_bytes(store) < used / 4);
    for (size_t i = 0; i < COUNT; i++) {
        records[i].removed = false;
    }
    for (raft_index applied = 3; applied < 8; applied++) {
        EXPECT_OK(tree_store_renew(store, &error));
        EXPECT_OK(commit(store, applied, records, COUNT));
    }
    tree_store_close(store);
    free(records);
    free(keys);
}

/* --- Damage --- */

static void make_store_with_a_text(const char *text)
{
    struct tree_record records[] = {put("a", "1"), put("b", text), put("c", "3")};
    struct tree_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 3));
    tree_store_close(store);
}

static void test_a_flipped_bit_in_a_value_is_named(void)
{
    static const char text[] = "a value that is found in the file by its content";
    struct listing listing = {.limit = 99};
    struct tree_store *store;
    struct bytes value;

    make_store_with_a_text(text);
    EXPECT(damage_flip(data_path, bytes_of_text(text)) > 0);
    store = open_store();
    EXPECT_EQ(tree_store_lookup(store, bytes_of_text("b"), SIZE_MAX, &value), STATUS_CORRUPT);
    EXPECT_CONTAINS(tree_store_error(store)->text, "'b'");
    EXPECT_CONTAINS(tree_store_error(store)->text, path);
    EXPECT_EQ(tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, list_record, &listing),
              STATUS_CORRUPT);
    EXPECT_TEXT(listing.text, "a=1 ");
    expect_value(store, "c", "3");
    tree_store_close(store);
}

static void test_a_flipped_bit_in_the_meta_record_refuses_the_start(void)
{
    struct tree_store *store;

    make_store_with_a_text("x");
    EXPECT(damage_flip(data_path, bytes_of_text("config")) > 0);
    EXPECT_EQ(open_with(MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "meta record");
    EXPECT_CONTAINS(error.text, path);
}

/* Change one key behind the store's back, through LMDB. */
static void edit(struct bytes key, struct bytes value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    MDB_val key_value = environment_value(key.data, key.size);
    MDB_val stored = environment_value(value.data, value.size);

    EXPECT_EQ(mdb_env_create(&env), 0);
    EXPECT_EQ(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    EXPECT_EQ(mdb_env_open(env, path, 0, 0600), 0);
    EXPECT_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    EXPECT_EQ(mdb_dbi_open(txn, NULL, 0, &database), 0);
    if (value.size == 0) {
        EXPECT_EQ(mdb_del(txn, database, &key_value, NULL), 0);
    } else {
        EXPECT_EQ(mdb_put(txn, database, &key_value, &stored, 0), 0);
    }
    EXPECT_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void test_a_missing_meta_record_refuses_the_start(void)
{
    struct tree_store *store;

    make_store_with_a_text("x");
    edit(tree_format_meta_key(), BYTES_EMPTY);
    EXPECT_EQ(open_with(MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "missing");
}

static void test_a_newer_format_is_refused(void)
{
    const struct tree_meta meta = {.applied_index = 1};
    struct buffer buffer = BUFFER_INIT;
    struct tree_store *store;

    make_store_with_a_text("x");
    tree_format_put_meta(&meta, &buffer);
    bytes_store_u32(buffer.data + 8, TREE_STORE_FORMAT + 1);
    seal_put(tree_format_meta_key(), buffer.data, buffer.size - SEAL_BYTES);
    edit(tree_format_meta_key(), buffer_lend(&buffer));
    EXPECT_EQ(open_with(MAP_BYTES, &store), STATUS_FORMAT);
    EXPECT_CONTAINS(error.text, "format 3");
    buffer_release(&buffer);
}

static void test_a_file_cut_off_is_refused(void)
{
    uint8_t *keys;
    struct tree_record *records = make_many(&keys, 1);
    struct tree_store *store;
    size_t bytes;

    new_path();
    store = open_store();
    EXPECT_OK(commit(store, 1, records, 20000));
    tree_store_close(store);
    free(records);
    free(keys);
    bytes = damage_file_bytes(data_path);
    for (size_t cut = bytes - 4096; cut > 100000; cut -= 65536) {
        damage_truncate(data_path, cut);
        EXPECT_EQ(open_with(MAP_BYTES, &store), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, path);
        EXPECT_EQ(damage_file_bytes(data_path), cut);
    }
}

static void test_free_pages_behind_the_end_of_the_file_are_no_damage(void)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    MDB_envinfo info;
    MDB_val key = environment_value("\1zz", 3);
    MDB_val value;
    struct tree_store *store;

    make_store_with_a_text("x");
    EXPECT_EQ(mdb_env_create(&env), 0);
    EXPECT_EQ(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    EXPECT_EQ(mdb_env_open(env, path, 0, 0600), 0);
    /* Pages taken and given back in one transaction are never written, once LMDB has a free list.
     */
    for (size_t round = 1; round < 6; round++) {
        EXPECT_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
        EXPECT_EQ(mdb_dbi_open(txn, NULL, 0, &database), 0);
        value.mv_size = round * 200 * 4096;
        EXPECT_EQ(mdb_put(txn, database, &key, &value, MDB_RESERVE), 0);
        memset(value.mv_data, 1, value.mv_size);
        EXPECT_EQ(mdb_del(txn, database, &key, NULL), 0);
        EXPECT_EQ(mdb_txn_commit(txn), 0);
    }
    EXPECT_EQ(mdb_env_info(env, &info), 0);
    mdb_env_close(env);
    EXPECT(damage_file_bytes(data_path) < (info.me_last_pgno + 1) * 4096);
    store = open_store();
    expect_value(store, "b", "x");
    tree_store_close(store);
}

/* --- Killed while committing --- */

static void commit_until_killed(int reports)
{
    struct tree_store *store;
    uint8_t *keys;
    struct tree_record *records = make_many(&keys, 1);

    if (open_with(MAP_BYTES, &store) != STATUS_OK) {
        _exit(1);
    }
    for (;;) {
        raft_index applied = tree_store_meta(store).applied_index + 1;

        for (size_t i = 0; i < 500; i++) {
            bytes_store_u64(keys + i * KEY_BYTES + 8, applied);
        }
        if (commit(store, applied, records, 500) != STATUS_OK ||
            tree_store_renew(store, &error) != STATUS_OK ||
            write(reports, &applied, sizeof applied) != sizeof applied) {
            _exit(1);
        }
    }
}

static bool check_applied(void *visitor, struct bytes key, struct bytes value)
{
    (void)key;
    EXPECT_EQ(bytes_load_u64(value.data + 8), *(const raft_index *)visitor);
    return true;
}

static void test_a_commit_is_whole_or_absent_when_killed(void)
{
    struct prng prng;

    new_path();
    prng_init(&prng, 3);
    tree_store_close(open_store());
    for (int round = 0; round < 15; round++) {
        struct tree_store *store;
        raft_index acknowledged = 0;
        raft_index reported;
        int status;
        int pipes[2];
        pid_t child;

        EXPECT_EQ(pipe(pipes), 0);
        child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            (void)close(pipes[0]);
            commit_until_killed(pipes[1]);
        }
        (void)close(pipes[1]);
        for (uint64_t i = prng_between(&prng, 1, 10); i > 0; i--) {
            EXPECT(read(pipes[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
        }
        EXPECT_EQ(kill(child, SIGKILL), 0);
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT(WIFSIGNALED(status));
        while (read(pipes[0], &reported, sizeof reported) == sizeof reported) {
            acknowledged = reported;
        }
        (void)close(pipes[0]);
        store = open_store();
        reported = tree_store_meta(store).applied_index;
        EXPECT(reported == acknowledged || reported == acknowledged + 1);
        EXPECT_OK(
            tree_store_range(store, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, check_applied, &reported));
        tree_store_close(store);
    }
}

/* --- Verification --- */

static void weigh(struct bytes key, struct bytes value, uint64_t *count, uint64_t *sum)
{
    *count += 1;
    *sum += key.size * 1000 + value.size;
    for (size_t i = 0; i < value.size; i++) {
        *sum += value.data[i];
    }
}

struct weighed {
    char key[8];
    char value[40];
    bool present;
};

enum { WEIGHED = 300 };
static struct weighed weighed[WEIGHED];

/* The digest of what `weighed` says should be there. */
static struct tree_meta meta_of_weighed(raft_index applied)
{
    struct tree_meta meta = {.applied_index = applied, .config = bytes_of_text("config")};

    for (size_t i = 0; i < WEIGHED; i++) {
        if (weighed[i].present) {
            weigh(bytes_of_text(weighed[i].key), bytes_of_text(weighed[i].value),
                  &meta.record_count, &meta.record_sum);
        }
    }
    return meta;
}

/* Change one record in `every`, and commit that. */
static void
change_some(struct tree_store *store, struct prng *prng, raft_index applied, size_t every)
{
    struct tree_record records[WEIGHED];
    struct tree_meta meta;
    size_t count = 0;

    for (size_t i = 0; i < WEIGHED; i++) {
        if (prng_below(prng, every) != 0) {
            continue;
        }
        (void)snprintf(weighed[i].key, sizeof weighed[i].key, "k%04zu", i);
        (void)snprintf(weighed[i].value, sizeof weighed[i].value, "value-%zu-%" PRIu64, i,
                       prng_next(prng));
        weighed[i].present = prng_below(prng, 4) != 0;
        records[count++] =
            weighed[i].present ? put(weighed[i].key, weighed[i].value) : removal(weighed[i].key);
    }
    meta = meta_of_weighed(applied);
    EXPECT_OK(tree_store_commit(store, records, count, &meta, &error));
}

static void test_verification_adds_up_over_commits_that_come_between(void)
{
    struct tree_scrub_slice slice;
    struct tree_store *store;
    struct prng prng;
    size_t passes = 0;

    new_path();
    memset(weighed, 0, sizeof weighed);
    prng_init(&prng, 7);
    store = open_store();
    EXPECT_OK(tree_store_scrub(store, weigh, 1, &slice, &error));
    EXPECT(slice.finished);
    change_some(store, &prng, 1, 1);
    for (raft_index at = 2; passes < 20; at++) {
        EXPECT_OK(tree_store_scrub(store, weigh, 700, &slice, &error));
        EXPECT(slice.finished || slice.bytes >= 700);
        passes += slice.finished;
        change_some(store, &prng, at, 20);
    }
    tree_store_close(store);
}

static void test_verification_names_a_damaged_record(void)
{
    struct tree_record records[] = {put("a", "1"), put("victim", "a value to be damaged"),
                                    put("z", "3")};
    struct tree_meta meta = {.applied_index = 1, .config = bytes_of_text("config")};
    struct tree_scrub_slice slice;
    struct tree_store *store;

    new_path();
    for (size_t i = 0; i < 3; i++) {
        weigh(records[i].key, records[i].value, &meta.record_count, &meta.record_sum);
    }
    store = open_store();
    EXPECT_OK(tree_store_commit(store, records, 3, &meta, &error));
    EXPECT_OK(tree_store_scrub(store, weigh, SIZE_MAX, &slice, &error));
    tree_store_close(store);
    EXPECT(damage_flip(data_path, bytes_of_text("a value to be damaged")) > 0);
    store = open_store();
    EXPECT_EQ(tree_store_scrub(store, weigh, SIZE_MAX, &slice, &error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "victim");
    tree_store_close(store);
}

static void test_verification_finds_records_that_are_not_those_of_the_digest(void)
{
    struct tree_record records[] = {put("a", "1"), put("b", "2")};
    struct tree_meta meta = {.applied_index = 1, .config = bytes_of_text("config")};
    struct tree_scrub_slice slice;
    struct tree_store *store;

    new_path();
    weigh(records[0].key, records[0].value, &meta.record_count, &meta.record_sum);
    weigh(records[1].key, bytes_of_text("3"), &meta.record_count, &meta.record_sum);
    store = open_store();
    EXPECT_OK(tree_store_commit(store, records, 2, &meta, &error));
    EXPECT_EQ(tree_store_scrub(store, weigh, SIZE_MAX, &slice, &error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "each sound by itself");
    tree_store_close(store);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_new_store_is_empty_with_an_empty_meta),
        TEST_CASE(test_records_and_meta_survive_a_restart_together),
        TEST_CASE(test_the_reader_shows_one_commit_until_renewed),
        TEST_CASE(test_removing_what_is_not_there_is_fine),
        TEST_CASE(test_keys_and_values_of_every_size),
        TEST_CASE(test_ranges_start_and_end_where_they_should),
        TEST_CASE(test_a_range_from_behind_the_longest_key),
        TEST_CASE(test_a_lookup_finds_what_is_shown_whatever_was_looked_up_before),
        TEST_CASE(test_300000_records_in_one_commit),
        TEST_CASE(test_more_dirty_pages_than_a_transaction_keeps_in_memory),
        TEST_CASE(test_a_full_map_changes_nothing_and_a_later_commit_works),
        TEST_CASE(test_removals_make_room_again),
        TEST_CASE(test_a_flipped_bit_in_a_value_is_named),
        TEST_CASE(test_a_flipped_bit_in_the_meta_record_refuses_the_start),
        TEST_CASE(test_a_missing_meta_record_refuses_the_start),
        TEST_CASE(test_a_newer_format_is_refused),
        TEST_CASE(test_a_file_cut_off_is_refused),
        TEST_CASE(test_free_pages_behind_the_end_of_the_file_are_no_damage),
        TEST_CASE(test_a_commit_is_whole_or_absent_when_killed),
        TEST_CASE(test_verification_adds_up_over_commits_that_come_between),
        TEST_CASE(test_verification_names_a_damaged_record),
        TEST_CASE(test_verification_finds_records_that_are_not_those_of_the_digest),
        TEST_END,
    };

    return test_main("tree_store", cases, argc, argv);
}
