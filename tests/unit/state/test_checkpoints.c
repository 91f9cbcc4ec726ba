#include "server/state/apply.h"
#include "server/state/record_key.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include "base/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT

static struct state_lab lab;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
}

static void stop(void)
{
    state_lab_release(&lab);
}

/* As stop, for a state whose records were tampered with. */
static void discard(void)
{
    state_free(lab.state);
    memory_source_free(lab.source);
    arena_release(&lab.arena);
}

static void checkpoint(void)
{
    state_lab_seal(&lab);
    state_lab_end(&lab);
}

static size_t count_table(char table)
{
    size_t count = 0;

    for (size_t i = 0; i < memory_source_count(lab.source); i++) {
        count += memory_source_at(lab.source, i).key.data[0] == (uint8_t)table ? 1 : 0;
    }
    return count;
}

static void test_the_bytes_of_paths_and_values_are_known(void)
{
    struct arena arena;
    Record__Operation *operations[2];

    start();
    EXPECT_EQ(state_data_bytes(lab.state), strlen("/"
                                                  "/zookeeper"
                                                  "/zookeeper/quota"
                                                  "/zookeeper/config"));
    EXPECT_EQ(state_lab_create(&lab, "/a", "12345", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/bc", NULL, PERSISTENT), OP_OK);
    EXPECT_EQ(state_data_bytes(lab.state), 44 + 2 + 5 + 5);
    EXPECT_EQ(state_lab_set(&lab, "/a", "1", -1), OP_OK);
    EXPECT_EQ(state_data_bytes(lab.state), 44 + 2 + 1 + 5);
    arena_init(&arena);
    operations[0] = state_lab_make_create(&arena, "/taken-back", "value");
    operations[1] = state_lab_make_check(&arena, "/a", 7);
    EXPECT_EQ(state_lab_transaction(&lab, operations, 2), OP_BAD_VERSION);
    arena_release(&arena);
    EXPECT_EQ(state_data_bytes(lab.state), 44 + 2 + 1 + 5);
    checkpoint();
    EXPECT(state_lab_restart(&lab) > 0);
    EXPECT_EQ(state_data_bytes(lab.state), 44 + 2 + 1 + 5);
    EXPECT_EQ(state_lab_remove(&lab, "/a/bc", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_OK);
    EXPECT_EQ(state_data_bytes(lab.state), 44);
    stop();
}

/* The meta record of the first format is the beginning of the present one. */
static void test_a_state_that_does_not_tell_its_bytes_is_counted(void)
{
    struct state_record meta;
    struct record_key key;
    uint8_t older[52];
    uint64_t bytes;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "12345", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/b", "1", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/b/cd", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/e", "12", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_set(&lab, "/", "root", -1), OP_OK);
    bytes = state_data_bytes(lab.state);
    checkpoint();
    record_key_meta(&key);
    meta = memory_source_at(lab.source, memory_source_find(lab.source, record_key_lend(&key)));
    EXPECT(meta.value.size > sizeof older);
    memcpy(older, meta.value.data, sizeof older);
    bytes_store_u32(older, 1);
    memory_source_put(lab.source, record_key_lend(&key), bytes_of(older, sizeof older));
    EXPECT_EQ(state_lab_restart(&lab), 5);
    EXPECT_EQ(state_data_bytes(lab.state), bytes);
    stop();
}

static uint64_t reads_for(const char *path)
{
    uint64_t before = memory_source_reads(lab.source);
    struct state_stat stat;

    (void)state_lab_stat(&lab, path, &stat);
    return memory_source_reads(lab.source) - before;
}

static bool is_asked_for(const char *path)
{
    return reads_for(path) > 0;
}

enum { LARGE_BYTES = 100 * 1024 };

static void write_large(const char *path)
{
    static char value[LARGE_BYTES + 1];

    memset(value, 'v', sizeof value - 1);
    EXPECT_EQ(state_lab_create(&lab, path, value, PERSISTENT), OP_OK);
}

static enum op_error create_with_parents(const char *path)
{
    struct arena arena;
    Record__Operation *operation;
    enum op_error error;

    arena_init(&arena);
    operation = state_lab_make_create(&arena, path, "");
    operation->create->make_parents = true;
    error = state_lab_operation(&lab, operation);
    arena_release(&arena);
    return error;
}

/* Neither to find what is below them nor to make more there. */
static void test_large_values_above_a_node_are_not_read(void)
{
    enum { LEVELS = 9 };
    char path[2 * LEVELS + 16] = "";
    struct state_stat stat;

    start();
    for (size_t i = 0; i < LEVELS; i++) {
        (void)strcpy(path + 2 * i, "/l");
        write_large(path);
    }
    (void)strcpy(path + 2 * LEVELS, "/small");
    EXPECT_EQ(state_lab_create(&lab, path, "1", PERSISTENT), OP_OK);
    checkpoint();
    (void)state_lab_restart(&lab);
    EXPECT_TEXT(state_lab_value(&lab, path), "1");
    EXPECT_EQ(state_lab_set(&lab, path, "2", -1), OP_OK);
    (void)strcpy(path + 2 * LEVELS, "/small/a/b/c");
    EXPECT_EQ(create_with_parents(path), OP_OK);
    EXPECT(state_memory_bytes(lab.state) < 10 * 1024);
    (void)strcpy(path + 2 * LEVELS, "/other/a");
    EXPECT_EQ(create_with_parents(path), OP_OK);
    path[2 * LEVELS] = '\0';
    EXPECT(state_lab_stat(&lab, path, &stat));
    EXPECT_EQ(stat.child_count, 2); /* so this one alone was read whole, and written */
    EXPECT_EQ(stat.value_bytes, LARGE_BYTES);
    EXPECT(state_memory_bytes(lab.state) > LARGE_BYTES);
    EXPECT(state_memory_bytes(lab.state) < LARGE_BYTES + 20 * 1024);
    stop();
}

/* Their beginnings stay in RAM, and none is ever taken for the whole. */
static void test_large_values_above_a_node_are_looked_at_once(void)
{
    enum { ABOVE = 2 };
    struct state_children children;
    enum op_error error;
    struct arena arena;
    bool is_null;

    start();
    write_large("/l");
    write_large("/l/l");
    EXPECT_EQ(state_lab_create(&lab, "/l/l/small", "1", PERSISTENT), OP_OK);
    checkpoint();
    (void)state_lab_restart(&lab);
    EXPECT_EQ(reads_for("/l/l/small"), ABOVE + 1);
    EXPECT_EQ(reads_for("/l/l/other"), 0);
    EXPECT_EQ(reads_for("/l/l"), 1);
    EXPECT_EQ(strlen(state_lab_value(&lab, "/l/l")), LARGE_BYTES);
    EXPECT_EQ(reads_for("/l/l"), 0);
    EXPECT(state_memory_bytes(lab.state) < LARGE_BYTES + 10 * 1024);
    arena_init(&arena);
    EXPECT_OK(state_read_children(lab.state, bytes_of_text("/"), BYTES_EMPTY, 10, SIZE_MAX, true,
                                  &arena, &error, &children));
    EXPECT_EQ(children.count, 2);
    EXPECT_EQ(state_node_value(children.items[0].node, &is_null).size, LARGE_BYTES);
    for (size_t i = 0; i < children.count; i++) {
        state_node_unref(children.items[i].node);
    }
    arena_release(&arena);
    EXPECT_EQ(reads_for("/l"), 0);
    stop();
}

static void test_what_waits_for_a_checkpoint_takes_from_the_cache(void)
{
    char path[8];

    start();
    write_large("/a");
    checkpoint();
    EXPECT(!is_asked_for("/a"));
    for (unsigned i = 10; i < 23; i++) {
        (void)snprintf(path, sizeof path, "/%u", i);
        write_large(path);
    }
    EXPECT(state_memory_bytes(lab.state) > 1 << 20); /* it cannot be dropped */
    EXPECT(is_asked_for("/a"));
    EXPECT(is_asked_for("/a"));
    checkpoint();
    write_large("/z");
    EXPECT(state_memory_bytes(lab.state) <= 1 << 20);
    EXPECT(is_asked_for("/a"));
    EXPECT(!is_asked_for("/a"));
    stop();
}

static void test_a_smaller_cache_holds_less_from_then_on(void)
{
    start();
    write_large("/a");
    write_large("/b");
    checkpoint();
    EXPECT(!is_asked_for("/a"));
    EXPECT(!is_asked_for("/b"));
    state_set_cache_max(lab.state, 150 * 1024);
    EXPECT(!is_asked_for("/b"));
    EXPECT(state_memory_bytes(lab.state) <= 150 * 1024);
    EXPECT(is_asked_for("/a"));
    state_set_cache_max(lab.state, 1 << 20);
    EXPECT(is_asked_for("/b"));
    EXPECT(!is_asked_for("/a"));
    EXPECT(!is_asked_for("/b"));
    stop();
}

static void test_a_restart_goes_on_where_the_checkpoint_stood(void)
{
    struct state_digest digest;

    start();
    lab.time_ms = 4000;
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    state_skip(lab.state, lab.next++);
    digest = state_digest(lab.state);
    checkpoint();
    EXPECT_EQ(state_lab_create(&lab, "/lost", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_restart(&lab), 2);
    EXPECT_EQ(state_time_ms(lab.state), 4000);
    EXPECT_EQ(state_digest(lab.state).sum, digest.sum);
    EXPECT_EQ(state_digest(lab.state).record_count, digest.record_count);
    EXPECT_EQ(state_node_count(lab.state), 5);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "a,zookeeper,");
    stop();
}

static void test_a_generation_is_ordered_and_unique(void)
{
    const struct state_record *records;
    size_t count;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_set(&lab, "/a", "2", -1), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/b", "1", PERSISTENT), OP_OK);
    EXPECT_EQ(state_dirty(lab.state).record_count, 6);
    EXPECT(!state_dirty(lab.state).sealed);
    state_lab_seal(&lab);
    EXPECT(state_dirty(lab.state).sealed);
    EXPECT_EQ(state_dirty(lab.state).record_count, 0);
    EXPECT_EQ(state_dirty(lab.state).bytes, 0);
    EXPECT_EQ(state_generation_applied(lab.sealed), 3);
    records = state_generation_records(lab.sealed, &count);
    EXPECT_EQ(count, 7);
    for (size_t i = 1; i < count; i++) {
        EXPECT(bytes_compare(records[i - 1].key, records[i].key) < 0);
    }
    state_lab_end(&lab);
    stop();
}

static void test_a_sealed_generation_does_not_move(void)
{
    const struct state_record *records;
    uint64_t sums[2] = {0, 0};
    size_t count;

    start();
    for (int i = 0; i < 50; i++) {
        char path[16];

        (void)snprintf(path, sizeof path, "/n%d", i);
        EXPECT_EQ(state_lab_create(&lab, path, "1", PERSISTENT), OP_OK);
    }
    state_lab_seal(&lab);
    for (int round = 0; round < 2; round++) {
        records = state_generation_records(lab.sealed, &count);
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < records[i].value.size; j++) {
                sums[round] = sums[round] * 31 + records[i].value.data[j];
            }
        }
        for (int i = 0; i < 50; i++) {
            char path[16];

            (void)snprintf(path, sizeof path, "/n%d", i);
            (void)(i % 2 == 0 ? state_lab_remove(&lab, path, -1)
                              : state_lab_set(&lab, path, "22", -1));
        }
    }
    EXPECT_EQ(sums[0], sums[1]);
    state_lab_end(&lab);
    stop();
}

static void test_what_comes_and_goes_between_checkpoints_leaves_nothing(void)
{
    struct state_dirty before;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    before = state_dirty(lab.state);
    EXPECT_EQ(state_lab_create(&lab, "/a/b", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/a/b", -1), OP_OK);
    EXPECT_EQ(state_dirty(lab.state).record_count, before.record_count);
    EXPECT_EQ(state_dirty(lab.state).bytes, before.bytes);
    stop();
}

static void set_all(size_t count, const char *value)
{
    struct arena arena;
    Record__Operation **operations;

    arena_init(&arena);
    operations = arena_calloc(&arena, count, sizeof *operations);
    for (size_t i = 0; i < count; i++) {
        char path[24];

        (void)snprintf(path, sizeof path, "/n%03zu", i);
        operations[i] = state_lab_make_set(&arena, path, value, -1);
        operations[i]->set->create = true;
    }
    EXPECT_EQ(state_lab_transaction(&lab, operations, count), OP_OK);
    arena_release(&arena);
}

/* So large that the last generation is still turning clean when the next one ends, with other
 * versions of the same nodes in each. */
static void test_generations_may_end_right_after_each_other(void)
{
    enum { COUNT = 500 };

    start();
    set_all(COUNT, "1");
    state_lab_seal(&lab);
    set_all(COUNT, "2");
    state_lab_end(&lab);
    state_lab_seal(&lab);
    state_check(lab.state, true);
    state_lab_end(&lab);
    state_check(lab.state, true);
    EXPECT_TEXT(state_lab_value(&lab, "/n000"), "2");
    EXPECT_TEXT(state_lab_value(&lab, "/n499"), "2");
    EXPECT_EQ(state_lab_remove(&lab, "/n250", -1), OP_OK);
    checkpoint();
    state_lab_seal(&lab);
    state_lab_end(&lab);
    EXPECT_TEXT(state_lab_value(&lab, "/n250"), "(none)");
    EXPECT_EQ(state_node_count(lab.state), COUNT - 1 + 4);
    state_check(lab.state, true);
    (void)state_lab_restart(&lab);
    EXPECT_TEXT(state_lab_value(&lab, "/n251"), "2");
    stop();
}

static void *sum_generation(void *context)
{
    size_t count;
    const struct state_record *records = state_generation_records(context, &count);
    uint64_t *sum = calloc(1, sizeof *sum);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < records[i].value.size; j++) {
            *sum += records[i].value.data[j];
        }
        *sum += records[i].removed ? 1 : 0;
    }
    return sum;
}

/* ThreadSanitizer makes this test worth its name. */
static void test_a_generation_is_read_by_another_thread_while_commands_go_on(void)
{
    pthread_t thread;
    void *during = NULL;
    uint64_t *after;

    start();
    set_all(300, "1");
    state_lab_seal(&lab);
    EXPECT_EQ(pthread_create(&thread, NULL, sum_generation, lab.sealed), 0);
    set_all(400, "2");
    EXPECT_EQ(state_lab_remove(&lab, "/n100", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/n100", -1), OP_NO_NODE);
    EXPECT_TEXT(state_lab_value(&lab, "/n101"), "2");
    EXPECT_EQ(pthread_join(thread, &during), 0);
    after = sum_generation(lab.sealed);
    EXPECT_EQ(*(uint64_t *)during, *after);
    free(during);
    free(after);
    state_lab_end(&lab);
    stop();
}

static void test_a_removal_reaches_the_source(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('n'), 5);
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_OK);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "(none)");
    state_lab_seal(&lab);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "(none)");
    state_lab_end(&lab);
    EXPECT_TEXT(state_lab_value(&lab, "/a"), "(none)");
    EXPECT_EQ(count_table('n'), 4);
    stop();
}

static void test_due_nodes_stand_in_tables_of_their_own(void)
{
    struct record_key key;
    bool found = false;

    start();
    lab.time_ms = 1000;
    EXPECT_EQ(state_lab_create(&lab, "/c", "", RECORD__CREATE_MODE__CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/t", 500), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('c'), 0); /* never used */
    EXPECT_EQ(count_table('t'), 1);
    EXPECT_EQ(state_lab_create(&lab, "/c/x", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/t/x", "", PERSISTENT), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('c'), 0);
    EXPECT_EQ(count_table('t'), 0);
    EXPECT_EQ(state_lab_remove(&lab, "/c/x", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/t/x", -1), OP_OK);
    lab.time_ms = 2000;
    EXPECT_EQ(state_lab_set(&lab, "/t", "again", -1), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('c'), 1);
    EXPECT_EQ(count_table('t'), 1);
    record_key_ttl(2500, 6, &key);
    for (size_t i = 0; i < memory_source_count(lab.source); i++) {
        struct state_record record = memory_source_at(lab.source, i);

        if (bytes_equal(record.key, record_key_lend(&key))) {
            EXPECT_BYTES(record.value, bytes_of_text("/t"));
            found = true;
        }
    }
    EXPECT(found);
    EXPECT_EQ(state_lab_remove(&lab, "/c", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/t", -1), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('c') + count_table('t'), 0);
    stop();
}

static void test_what_a_session_left_is_remembered_over_a_restart(void)
{
    start();
    lab.end_count_max = 1;
    (void)state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/a", "", RECORD__CREATE_MODE__EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/b", "", RECORD__CREATE_MODE__EPHEMERAL), OP_OK);
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    checkpoint();
    EXPECT_EQ(count_table('o'), 1);
    EXPECT_EQ(count_table('e'), 1);
    EXPECT_EQ(state_lab_restart(&lab), 4);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "b,zookeeper,");
    lab.session = 0;
    EXPECT_EQ(state_lab_sweep(&lab, 1), OP_OK);
    checkpoint();
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    EXPECT_EQ(count_table('o') + count_table('e'), 0);
    stop();
}

/* --- Damage and foreign data --- */

static enum status open_again(struct error *error)
{
    struct state_source port = memory_source_port(lab.source);
    struct state *state = NULL;
    enum status status = state_new(&lab.options, &port, &state, error);

    state_free(state);
    return status;
}

static void test_a_newer_format_is_refused_with_the_way_out(void)
{
    struct error error;
    uint8_t meta[52] = {0, 0, 0, 9};

    start();
    checkpoint();
    memory_source_put(lab.source, bytes_of_text("m"), bytes_of(meta, sizeof meta));
    EXPECT_EQ(open_again(&error), STATUS_FORMAT);
    EXPECT_CONTAINS(error.text, "format 9");
    EXPECT_CONTAINS(error.text, "newer version");
    stop();
}

static void test_a_damaged_meta_record_is_refused(void)
{
    struct error error;
    uint8_t meta[51] = {0, 0, 0, 1};

    start();
    checkpoint();
    memory_source_put(lab.source, bytes_of_text("m"), bytes_of(meta, sizeof meta));
    EXPECT_EQ(open_again(&error), STATUS_CORRUPT);
    memory_source_put(lab.source, bytes_of_text("m"), BYTES_EMPTY);
    EXPECT_EQ(open_again(&error), STATUS_CORRUPT);
    memory_source_remove(lab.source, bytes_of_text("m"));
    EXPECT_EQ(open_again(&error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "no meta record");
    stop();
}

static void test_a_damaged_session_record_is_refused(void)
{
    struct record_key key;
    struct error error;

    start();
    checkpoint();
    record_key_session(1, &key);
    memory_source_put(lab.source, record_key_lend(&key), bytes_of_text("short"));
    EXPECT_EQ(open_again(&error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "sessions");
    discard();
}

static struct state_record record_of(uint64_t parent_id, const char *name)
{
    struct record_key key;

    record_key_node(parent_id, bytes_of_text(name), &key);
    for (size_t i = 0; i < memory_source_count(lab.source); i++) {
        if (bytes_equal(memory_source_at(lab.source, i).key, record_key_lend(&key))) {
            return memory_source_at(lab.source, i);
        }
    }
    check_failed(__FILE__, __LINE__, "no such record");
}

/* Any record that is cut off, too long, or of unknown flags. */
static void test_a_damaged_node_is_reported_and_never_believed(void)
{
    struct state_node *node = NULL;
    enum op_error error;

    for (size_t size = 0; size < 90; size++) {
        struct state_record record;
        uint8_t *value;

        start();
        EXPECT_EQ(state_lab_create(&lab, "/a", "value", PERSISTENT), OP_OK);
        checkpoint();
        record = record_of(1, "a");
        value = calloc(1, record.value.size + 3);
        memcpy(value, record.value.data, record.value.size);
        if (size == record.value.size) {
            value[80] = 0xf0;
        }
        memory_source_put(lab.source, record.key,
                          bytes_of(value, size == 89 ? record.value.size + 3 : size));
        free(value);
        (void)state_lab_restart(&lab);
        EXPECT_EQ(state_read(lab.state, bytes_of_text("/a"), &error, &node), STATUS_CORRUPT);
        discard();
    }
}

/* On the way to another node, where only the beginning is looked at, and as the place to make one.
 */
static void test_records_on_the_way_that_are_no_nodes_are_damage(void)
{
    Record__Command command = RECORD__COMMAND__INIT;
    struct state_node *node = NULL;
    struct record_key key;
    enum op_error error;
    struct arena arena;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    checkpoint();
    record_key_node(1, bytes_of_text("a"), &key);
    memory_source_put(lab.source, record_key_lend(&key), bytes_of_text(""));
    (void)state_lab_restart(&lab);
    EXPECT_EQ(state_read(lab.state, bytes_of_text("/a/b"), &error, &node), STATUS_CORRUPT);
    record_key_node(0, BYTES_EMPTY, &key);
    memory_source_remove(lab.source, record_key_lend(&key));
    (void)state_lab_restart(&lab);
    arena_init(&arena);
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = state_lab_make_create(&arena, "/c/d", "");
    command.operation->create->make_parents = true;
    EXPECT_EQ(state_apply(lab.state, lab.next++, state_lab_encode(&command, 1, &arena), &arena,
                          &lab.result),
              STATUS_CORRUPT);
    arena_release(&arena);
    discard();
}

static void test_a_failing_source_is_passed_on(void)
{
    struct state_children children;
    struct state_node *node = NULL;
    enum op_error error;
    struct arena arena;
    struct error text;

    start();
    checkpoint();
    (void)state_lab_restart(&lab);
    arena_init(&arena);
    memory_source_fail(lab.source, STATUS_IO);
    EXPECT_EQ(state_read(lab.state, bytes_of_text("/"), &error, &node), STATUS_IO);
    EXPECT_EQ(state_read_children(lab.state, bytes_of_text("/"), BYTES_EMPTY, 1, 1, true, &arena,
                                  &error, &children),
              STATUS_IO);
    EXPECT_EQ(open_again(&text), STATUS_IO);
    memory_source_fail(lab.source, STATUS_OK);
    EXPECT_OK(state_read(lab.state, bytes_of_text("/"), &error, &node));
    state_node_unref(node);
    arena_release(&arena);
    stop();
}

/* --- Counters at their ends --- */

static void patch_u32(uint64_t parent_id, const char *name, size_t offset, uint32_t number)
{
    struct state_record record = record_of(parent_id, name);
    uint8_t value[256];

    CHECK_OP(record.value.size, <=, sizeof value);
    memcpy(value, record.value.data, record.value.size);
    bytes_store_u32(value + offset, number);
    memory_source_put(lab.source, record.key, bytes_of(value, record.value.size));
    (void)state_lab_restart(&lab);
}

static void test_versions_step_over_minus_one(void)
{
    struct state_stat stat;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    checkpoint();
    patch_u32(1, "a", 56, (uint32_t)-2);
    EXPECT_EQ(state_lab_set(&lab, "/a", "", -2), OP_OK);
    EXPECT(state_lab_stat(&lab, "/a", &stat));
    EXPECT_EQ(stat.version, 0);
    discard();
    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    checkpoint();
    patch_u32(1, "a", 56, INT32_MAX);
    EXPECT_EQ(state_lab_set(&lab, "/a", "", INT32_MAX), OP_OK);
    EXPECT(state_lab_stat(&lab, "/a", &stat));
    EXPECT_EQ(stat.version, INT32_MIN);
    discard();
}

static void test_sequence_numbers_wrap_as_signed(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    checkpoint();
    patch_u32(1, "a", 64, INT32_MAX);
    EXPECT_EQ(state_lab_create(&lab, "/a/n", "", RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL),
              OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/a/n2147483647"));
    EXPECT_EQ(state_lab_create(&lab, "/a/n", "", RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL),
              OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/a/n-2147483648"));
    EXPECT_EQ(state_lab_create(&lab, "/a/n", "", RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL),
              OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/a/n-2147483647"));
    discard();
}

static enum status verify_all(struct error *error)
{
    size_t position = 0;
    size_t bytes;
    enum status status;

    do {
        status = state_verify(lab.state, &position, 1, &bytes, error);
    } while (status == STATUS_OK && position != 0);
    return status;
}

/* As failing memory does; back again by the same call. */
static void flip_in_memory(const char *name)
{
    struct record_key key;
    struct record *record;

    record_key_node(1, bytes_of_text(name), &key);
    EXPECT_OK(overlay_find(&lab.state->overlay, record_key_lend(&key), &record));
    EXPECT(record != NULL);
    record_value_space(record)[record->value_bytes / 2] ^= 4;
}

static void test_a_record_that_memory_changed_is_found(void)
{
    struct error error;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "a value", PERSISTENT), OP_OK);
    EXPECT_OK(verify_all(&error));
    flip_in_memory("a");
    EXPECT_EQ(verify_all(&error), STATUS_CORRUPT);
    EXPECT_CONTAINS(error.text, "memory");
    flip_in_memory("a");
    /* Sealed and clean ones as well. */
    state_lab_seal(&lab);
    flip_in_memory("a");
    EXPECT_EQ(verify_all(&error), STATUS_CORRUPT);
    flip_in_memory("a");
    state_lab_end(&lab);
    EXPECT_OK(verify_all(&error));
    flip_in_memory("a");
    EXPECT_EQ(verify_all(&error), STATUS_CORRUPT);
    flip_in_memory("a");
    stop();
}

static void test_the_shares_of_a_checkpoint_are_its_digest(void)
{
    struct state_digest sum = {.record_count = 0};
    struct state_digest digest;

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    lab.time_ms = 4000;
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/b", "", PERSISTENT), OP_OK);
    digest = state_digest(lab.state);
    checkpoint();
    for (size_t i = 0; i < memory_source_count(lab.source); i++) {
        struct state_record record = memory_source_at(lab.source, i);
        struct state_digest share = state_digest_share(record.key, record.value);

        sum.record_count += share.record_count;
        sum.sum += share.sum;
    }
    EXPECT_EQ(sum.record_count, digest.record_count);
    EXPECT_EQ(sum.sum, digest.sum);
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_bytes_of_paths_and_values_are_known),
        TEST_CASE(test_a_state_that_does_not_tell_its_bytes_is_counted),
        TEST_CASE(test_large_values_above_a_node_are_not_read),
        TEST_CASE(test_large_values_above_a_node_are_looked_at_once),
        TEST_CASE(test_what_waits_for_a_checkpoint_takes_from_the_cache),
        TEST_CASE(test_a_smaller_cache_holds_less_from_then_on),
        TEST_CASE(test_a_restart_goes_on_where_the_checkpoint_stood),
        TEST_CASE(test_a_generation_is_ordered_and_unique),
        TEST_CASE(test_a_sealed_generation_does_not_move),
        TEST_CASE(test_what_comes_and_goes_between_checkpoints_leaves_nothing),
        TEST_CASE(test_generations_may_end_right_after_each_other),
        TEST_CASE(test_a_generation_is_read_by_another_thread_while_commands_go_on),
        TEST_CASE(test_a_removal_reaches_the_source),
        TEST_CASE(test_due_nodes_stand_in_tables_of_their_own),
        TEST_CASE(test_what_a_session_left_is_remembered_over_a_restart),
        TEST_CASE(test_a_newer_format_is_refused_with_the_way_out),
        TEST_CASE(test_a_damaged_meta_record_is_refused),
        TEST_CASE(test_a_damaged_session_record_is_refused),
        TEST_CASE(test_a_damaged_node_is_reported_and_never_believed),
        TEST_CASE(test_records_on_the_way_that_are_no_nodes_are_damage),
        TEST_CASE(test_a_failing_source_is_passed_on),
        TEST_CASE(test_versions_step_over_minus_one),
        TEST_CASE(test_sequence_numbers_wrap_as_signed),
        TEST_CASE(test_a_record_that_memory_changed_is_found),
        TEST_CASE(test_the_shares_of_a_checkpoint_are_its_digest),
        TEST_END,
    };

    return test_main("checkpoints", cases, argc, argv);
}
