/* Files with flipped bits, missing records or another format. */
#include "persistence/log_store.h"

#include "persistence/environment.h"
#include "persistence/inspect.h"
#include "persistence/log_format.h"
#include "tests/support/damage.h"
#include "tests/unit/persistence/log_store_lab.h"

#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>

static void test_a_flipped_bit_in_an_entry_is_named(void)
{
    static const char text[] = "a payload that is found in the file by its content";
    struct log_entry entry = {.index = 6,
                              .term = 1,
                              .type = RAFT_ENTRY_COMMAND,
                              .payload = {(const uint8_t *)text, sizeof text}};
    struct log_write write = {.entries = &entry, .entry_count = 1};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 5, 1, 100));
    EXPECT_OK(log_store_write(store, &write, &error));
    EXPECT_OK(append(store, 7, 5, 1, 100));
    log_store_close(store);
    EXPECT(damage_flip(data_path, bytes_of(text, sizeof text)) > 0);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 11);
    EXPECT_EQ(read_all(store, 1, 11), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 6");
    EXPECT_CONTAINS(error.text, path);
    expect_entries(store, 1, 5, 1, 100);
    expect_entries(store, 7, 11, 1, 100);
    log_store_close(store);
}

/* A repair: the checkpoint that takes the place of the damaged state ends where the log is broken.
 */
static void test_a_damaged_entry_goes_when_the_tree_is_switched(void)
{
    static const char text[] = "the last entry that the other checkpoint holds";
    struct log_entry entry = {.index = 3,
                              .term = 2,
                              .type = RAFT_ENTRY_COMMAND,
                              .payload = {(const uint8_t *)text, sizeof text}};
    struct log_write write = {.hard_state = true, .term = 2, .entries = &entry, .entry_count = 1};
    const struct log_write change = {
        .switch_tree = true, .tree_generation = 1, .trim = 3, .trim_term = 2};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 2, 1, 100));
    EXPECT_OK(log_store_write(store, &write, &error));
    EXPECT_OK(append(store, 4, 2, 2, 100));
    log_store_close(store);
    EXPECT(damage_flip(data_path, bytes_of(text, sizeof text)) > 0);
    store = open_store();
    EXPECT_EQ(read_all(store, 1, 5), STATUS_CORRUPT);
    EXPECT_OK(log_store_write(store, &change, &error));
    EXPECT_EQ(log_store_state(store).base, 3);
    EXPECT_EQ(log_store_state(store).base_term, 2);
    EXPECT_OK(read_all(store, 4, 5));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_identity(store)->tree_generation, 1);
    EXPECT_EQ(log_store_state(store).base_term, 2);
    expect_entries(store, 4, 5, 2, 100);
    log_store_close(store);
}

static void test_a_flipped_bit_in_a_later_piece_is_named(void)
{
    struct log_store *store;
    uint8_t *payload = make_payload(2, 1, 3 * PIECE);

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 1, 1, 10));
    EXPECT_OK(append(store, 2, 1, 1, 3 * PIECE));
    log_store_close(store);
    EXPECT_EQ(damage_flip(data_path, bytes_of(payload + 2 * PIECE + 100, 64)), 1);
    free(payload);
    store = open_store();
    EXPECT_EQ(read_all(store, 1, 2), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 2");
    EXPECT_OK(read_all(store, 1, 1));
    log_store_close(store);
}

enum { RUNS_LAST = 40, RUN_DAMAGED = 14 };

/* Entries in several runs, one of them damaged. Returns the last before the damaged run; *ret_last
 * is the last in it. */
static raft_index make_log_with_a_damaged_run(raft_index *ret_last)
{
    uint8_t *payload = make_payload(RUN_DAMAGED, 1, 150);
    struct log_store *store;
    raft_index before = 0;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, RUNS_LAST, 1, 150));
    log_store_close(store);
    EXPECT(damage_flip(data_path, bytes_of(payload, 150)) > 0);
    free(payload);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, RUNS_LAST);
    while (before < RUN_DAMAGED && read_all(store, before + 1, before + 1) == STATUS_OK) {
        before++;
    }
    *ret_last = RUNS_LAST;
    while (*ret_last > RUN_DAMAGED && read_all(store, *ret_last, RUNS_LAST) == STATUS_OK) {
        --*ret_last;
    }
    log_store_close(store);
    EXPECT(before > 0);
    EXPECT(before + 1 < *ret_last);
    EXPECT(*ret_last < RUNS_LAST);
    return before;
}

static void test_a_flipped_bit_in_a_run_damages_its_entries_and_no_others(void)
{
    raft_index last;
    raft_index before = make_log_with_a_damaged_run(&last);
    struct log_store *store = open_store();

    for (raft_index index = before + 1; index <= last; index++) {
        char name[32];

        (void)snprintf(name, sizeof name, "entry %d ", (int)index);
        EXPECT_EQ(read_all(store, index, last), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, name);
        EXPECT_CONTAINS(error.text, "is damaged");
    }
    expect_entries(store, 1, before, 1, 150);
    expect_entries(store, last + 1, RUNS_LAST, 1, 150);
    log_store_close(store);
}

/* Wherever the checkpoint that takes the place of the damaged state ends. What is damaged and
 * behind it stays damage until that goes too. */
static void test_a_damaged_run_goes_with_its_last_entry_when_the_tree_is_switched(void)
{
    for (raft_index trim = 11; trim <= 26; trim++) {
        raft_index last;
        raft_index before = make_log_with_a_damaged_run(&last);
        struct log_write change = {.switch_tree = true, .trim = trim, .trim_term = 1};
        struct log_store *store = open_store();
        bool is_gone = trim >= last;

        EXPECT_OK(log_store_write(store, &change, &error));
        for (int start = 0; start < 2; start++) {
            EXPECT_EQ(log_store_state(store).base, trim);
            EXPECT_EQ(log_store_state(store).last, RUNS_LAST);
            EXPECT_EQ(read_all(store, trim + 1, RUNS_LAST), is_gone ? STATUS_OK : STATUS_CORRUPT);
            if (trim < before) {
                expect_entries(store, trim + 1, before, 1, 150);
            }
            expect_entries(store, last + 1 > trim ? last + 1 : trim + 1, RUNS_LAST, 1, 150);
            log_store_close(store);
            store = open_store();
        }
        change.trim = last > trim ? last : trim;
        EXPECT_OK(log_store_write(store, &change, &error));
        EXPECT_OK(read_all(store, change.trim + 1, RUNS_LAST));
        log_store_close(store);
    }
}

struct inspected {
    raft_index first; /* of the entries that were shown */
    raft_index last;
    char text[256]; /* what is wrong, the last of it */
};

static void see_entry(void *context, const struct log_entry *entry)
{
    struct inspected *inspected = context;

    inspected->first = inspected->first == 0 ? entry->index : inspected->first;
    inspected->last = entry->index;
}

static void see_damage(void *context, const char *text)
{
    struct inspected *inspected = context;

    (void)snprintf(inspected->text, sizeof inspected->text, "%s", text);
}

static uint64_t inspect(struct inspected *ret_inspected)
{
    struct log_inspection inspection = {
        .path = path, .on_damage = see_damage, .on_entry = see_entry, .context = ret_inspected};

    *ret_inspected = (struct inspected){.first = 0};
    EXPECT_OK(log_inspect(&inspection, &error));
    EXPECT_EQ(inspection.state.last, RUNS_LAST);
    return inspection.entry_count;
}

/* Of the entries that share a value all are named that are damaged, and none is counted that the
 * log has let go. */
static void test_an_inspection_tells_entries_of_runs_apart(void)
{
    raft_index last;
    raft_index before = make_log_with_a_damaged_run(&last);
    struct inspected inspected;
    struct log_write change = {.switch_tree = true, .trim = 2, .trim_term = 1};
    struct log_store *store;
    char expected[64];

    EXPECT_EQ(inspect(&inspected), RUNS_LAST - (last - before));
    (void)snprintf(expected, sizeof expected, "the entries %d to %d are damaged", (int)before + 1,
                   (int)last);
    EXPECT_TEXT(inspected.text, expected);
    store = open_store();
    EXPECT_OK(log_store_write(store, &change, &error));
    log_store_close(store);
    EXPECT_EQ(inspect(&inspected), RUNS_LAST - 2 - (last - before));
    EXPECT_EQ(inspected.first, 3);
    store = open_store();
    change.trim = last - 1;
    EXPECT_OK(log_store_write(store, &change, &error));
    log_store_close(store);
    EXPECT_EQ(inspect(&inspected), RUNS_LAST - last);
    (void)snprintf(expected, sizeof expected, "entry %d is damaged", (int)last);
    EXPECT_TEXT(inspected.text, expected);
}

/* From its first entry on others may take its place. From a later one on they may not: what stays
 * before them would be lost. */
static void test_a_damaged_run_is_replaced_as_a_whole_only(void)
{
    raft_index last;
    raft_index before = make_log_with_a_damaged_run(&last);
    struct log_store *store = open_store();

    EXPECT_OK(append(store, before + 1, 2, 2, 100));
    expect_entries(store, 1, before, 1, 150);
    expect_entries(store, before + 1, before + 2, 2, 100);
    log_store_close(store);
    before = make_log_with_a_damaged_run(&last);
    store = open_store();
    EXPECT_EQ(append(store, before + 2, 2, 2, 100), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "is damaged");
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, RUNS_LAST);
    expect_entries(store, 1, before, 1, 150);
    log_store_close(store);
}

/* Change one key behind the store's back, through LMDB. */
static void edit(uint64_t key, const uint8_t *value, size_t size)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val stored = environment_value(value, size);

    EXPECT_EQ(mdb_env_create(&env), 0);
    EXPECT_EQ(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    EXPECT_EQ(mdb_env_open(env, path, 0, 0600), 0);
    EXPECT_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    EXPECT_EQ(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &database), 0);
    if (value == NULL) {
        EXPECT_EQ(mdb_del(txn, database, &key_value, NULL), 0);
    } else {
        EXPECT_EQ(mdb_put(txn, database, &key_value, &stored, 0), 0);
    }
    EXPECT_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void test_a_missing_entry_is_named(void)
{
    struct log_store *store;

    make_log_of_ten();
    edit(log_key(5, 0), NULL, 0);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 10);
    EXPECT_EQ(read_all(store, 1, 10), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 5");
    EXPECT_CONTAINS(error.text, "is missing");
    log_store_close(store);
}

/* Whatever follows what is missing may be replaced: here an entry that is larger than any run. */
static void test_what_follows_a_missing_entry_is_replaced(void)
{
    struct log_store *store;

    make_log_of_ten();
    edit(log_key(9, 0), NULL, 0);
    store = open_store();
    EXPECT_OK(append(store, 10, 1, 2, 100));
    expect_entries(store, 1, 8, 1, 100);
    expect_entries(store, 10, 10, 2, 100);
    EXPECT_EQ(read_all(store, 8, 10), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 9 ");
    log_store_close(store);
}

static void test_a_missing_first_entry_refuses_the_start(void)
{
    struct log_store *store;

    make_log_of_ten();
    edit(log_key(1, 0), NULL, 0);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 1 ");
}

static void test_a_missing_run_is_named(void)
{
    static const raft_index lasts[] = {5, 10, 15};

    for (size_t i = 0; i < sizeof lasts / sizeof lasts[0]; i++) {
        struct log_store *store;

        new_path();
        store = open_store();
        for (raft_index first = 1; first <= 15; first += 5) {
            EXPECT_OK(append(store, first, 5, 1, 100));
        }
        log_store_close(store);
        edit(log_key(lasts[i], 0), NULL, 0);
        if (i == 0) {
            EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
            EXPECT_CONTAINS(error.text, "entry 1 ");
            continue;
        }
        store = open_store();
        EXPECT_EQ(log_store_state(store).last, i == 1 ? 15 : 10);
        EXPECT_EQ(read_all(store, 1, log_store_state(store).last),
                  i == 1 ? STATUS_CORRUPT : STATUS_OK);
        if (i == 1) {
            EXPECT_CONTAINS(error.text, "entry 6 ");
            EXPECT_EQ(read_all(store, 8, 9), STATUS_CORRUPT);
            EXPECT_CONTAINS(error.text, "entry 8 ");
            EXPECT_CONTAINS(error.text, "is missing");
        }
        log_store_close(store);
    }
}

static void test_a_missing_piece_is_named(void)
{
    struct log_store *store;

    make_log_of_ten();
    edit(log_key(10, 1), NULL, 0);
    store = open_store();
    EXPECT_EQ(read_all(store, 1, 10), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 10");
    EXPECT_CONTAINS(error.text, "lacks a piece");
    log_store_close(store);
    make_log_of_ten();
    edit(log_key(10, 0), NULL, 0);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 10);
    EXPECT_EQ(read_all(store, 1, 10), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 10");
    log_store_close(store);
}

static void test_a_value_under_another_key_is_damage(void)
{
    struct log_entry entry = {
        .index = 4, .term = 1, .type = RAFT_ENTRY_COMMAND, .payload = {(const uint8_t *)"x", 1}};
    uint8_t value[64];
    struct log_store *store;

    make_log_of_ten();
    log_format_put_run(&entry, 1, NULL, value);
    edit(log_key(5, 0), value, log_format_run_bytes(&entry, 1, NULL));
    store = open_store();
    EXPECT_EQ(read_all(store, 1, 10), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "entry 5");
    log_store_close(store);
}

static void test_missing_or_damaged_records_refuse_the_start(void)
{
    static const struct {
        uint64_t key;
        const char *name;
    } records[] = {{LOG_KEY_IDENTITY, "identity"},
                   {LOG_KEY_HARD_STATE, "hard state"},
                   {LOG_KEY_BASE, "base"},
                   {LOG_KEY_WITNESSES, "memory of other servers"}};
    static const uint8_t rubbish[16] = {1, 2, 3};

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct log_store *store;

        make_log_of_ten();
        edit(records[i].key, NULL, 0);
        EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, records[i].name);
        EXPECT_CONTAINS(error.text, "missing");
        make_log_of_ten();
        edit(records[i].key, rubbish, sizeof rubbish);
        EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, records[i].name);
        EXPECT_CONTAINS(error.text, "damaged");
        edit(records[i].key, rubbish, 3);
        EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
    }
}

static void test_a_newer_format_is_refused(void)
{
    struct log_identity identity = {.node_id = NODE};
    uint8_t value[LOG_RECORD_BYTES_MAX];
    size_t size = log_format_put_identity(&identity, value);
    struct log_store *store;

    make_log_of_ten();
    bytes_store_u32(value + 8, LOG_STORE_FORMAT + 1);
    log_format_seal(LOG_KEY_IDENTITY, value, size - SEAL_BYTES);
    edit(LOG_KEY_IDENTITY, value, size);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_FORMAT);
    EXPECT_CONTAINS(error.text, "format 9");
    /* A format with a wrong seal is damage, not a newer version. */
    value[20] ^= 1;
    edit(LOG_KEY_IDENTITY, value, size);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
}

static uint32_t stored_format(void)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    uint64_t key = LOG_KEY_IDENTITY;
    MDB_val key_value = environment_value(&key, sizeof key);
    MDB_val stored = {.mv_size = 0};
    uint32_t format = 0;

    EXPECT_EQ(mdb_env_create(&env), 0);
    EXPECT_EQ(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    EXPECT_EQ(mdb_env_open(env, path, 0, 0600), 0);
    EXPECT_EQ(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    EXPECT_EQ(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &database), 0);
    EXPECT_EQ(mdb_get(txn, database, &key_value, &stored), 0);
    if (stored.mv_size > 12) {
        format = bytes_load_u32((const uint8_t *)stored.mv_data + 8);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return format;
}

/* They end where the present one goes on, and keep nothing of other servers. */
static void test_older_formats_are_read_and_become_the_present_one(void)
{
    for (uint32_t format = LOG_STORE_FORMAT_OLDEST; format < LOG_STORE_FORMAT_OF_WITNESSES;
         format++) {
        struct log_identity identity = {.node_id = NODE, .start_count = 41};
        struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
        uint8_t value[LOG_RECORD_BYTES_MAX];
        struct log_store *store;

        make_log_of_ten();
        (void)log_format_put_identity(&identity, value);
        bytes_store_u32(value + 8, format);
        log_format_seal(LOG_KEY_IDENTITY, value, LOG_IDENTITY_BYTES_MIN);
        edit(LOG_KEY_IDENTITY, value, LOG_IDENTITY_BYTES_MIN + SEAL_BYTES);
        edit(LOG_KEY_WITNESSES, NULL, 0);
        EXPECT_OK(open_with(NODE, MAP_BYTES, &store));
        EXPECT_EQ(log_store_identity(store)->start_count, 42);
        EXPECT_EQ(log_store_identity(store)->start_known, 1);
        EXPECT_EQ(log_store_witnesses(store, witnesses), 0);
        log_store_close(store);
        EXPECT_EQ(stored_format(), LOG_STORE_FORMAT);
        EXPECT_OK(open_with(NODE, MAP_BYTES, &store));
        EXPECT_EQ(log_store_identity(store)->start_known, 2);
        log_store_close(store);
    }
}

/* It knows other servers, and has no stamp record. */
static void test_the_format_before_the_stamps_is_read_and_becomes_the_present_one(void)
{
    enum { BEFORE_STAMPS = LOG_STORE_FORMAT_OF_STAMPS - 1 };
    struct log_identity identity = {.node_id = NODE, .start_count = 41};
    uint8_t value[LOG_RECORD_BYTES_MAX];
    struct log_store *store;
    size_t bytes;

    make_log_of_ten();
    bytes = log_format_put_identity(&identity, value) - SEAL_BYTES;
    bytes_store_u32(value + 8, BEFORE_STAMPS);
    log_format_seal(LOG_KEY_IDENTITY, value, bytes);
    edit(LOG_KEY_IDENTITY, value, bytes + SEAL_BYTES);
    edit(LOG_KEY_STAMP, NULL, 0);
    EXPECT_EQ(stored_format(), BEFORE_STAMPS);
    for (uint64_t start = 42; start < 44; start++) {
        EXPECT_OK(open_with(NODE, MAP_BYTES, &store));
        EXPECT_EQ(log_store_identity(store)->start_count, start);
        EXPECT_EQ(log_store_state(store).last, 10);
        log_store_close(store);
        EXPECT_EQ(stored_format(), LOG_STORE_FORMAT);
    }
    /* From then on it is missed. */
    edit(LOG_KEY_STAMP, NULL, 0);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "stamp");
}

static void test_a_file_cut_off_is_refused(void)
{
    struct log_store *store;
    size_t bytes;

    make_log_of_ten();
    bytes = damage_file_bytes(data_path);
    for (size_t cut = bytes - 4096; cut > 8192; cut -= 8192) {
        enum status status;

        damage_truncate(data_path, cut);
        status = open_with(NODE, MAP_BYTES, &store);
        EXPECT_EQ(status, STATUS_CORRUPT);
        EXPECT_CONTAINS(error.text, path);
        EXPECT_EQ(damage_file_bytes(data_path), cut);
    }
    damage_truncate(data_path, 4000);
    EXPECT_EQ(open_with(NODE, MAP_BYTES, &store), STATUS_CORRUPT);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_flipped_bit_in_an_entry_is_named),
        TEST_CASE(test_a_damaged_entry_goes_when_the_tree_is_switched),
        TEST_CASE(test_a_flipped_bit_in_a_run_damages_its_entries_and_no_others),
        TEST_CASE(test_a_damaged_run_goes_with_its_last_entry_when_the_tree_is_switched),
        TEST_CASE(test_an_inspection_tells_entries_of_runs_apart),
        TEST_CASE(test_a_damaged_run_is_replaced_as_a_whole_only),
        TEST_CASE(test_a_flipped_bit_in_a_later_piece_is_named),
        TEST_CASE(test_a_missing_entry_is_named),
        TEST_CASE(test_what_follows_a_missing_entry_is_replaced),
        TEST_CASE(test_a_missing_first_entry_refuses_the_start),
        TEST_CASE(test_a_missing_run_is_named),
        TEST_CASE(test_a_missing_piece_is_named),
        TEST_CASE(test_a_value_under_another_key_is_damage),
        TEST_CASE(test_missing_or_damaged_records_refuse_the_start),
        TEST_CASE(test_a_newer_format_is_refused),
        TEST_CASE(test_older_formats_are_read_and_become_the_present_one),
        TEST_CASE(test_the_format_before_the_stamps_is_read_and_becomes_the_present_one),
        TEST_CASE(test_a_file_cut_off_is_refused),
        TEST_END,
    };

    return test_main("log_store_damage", cases, argc, argv);
}
