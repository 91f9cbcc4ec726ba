#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#define PERSISTENT           RECORD__CREATE_MODE__PERSISTENT
#define EPHEMERAL            RECORD__CREATE_MODE__EPHEMERAL
#define SEQUENTIAL           RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL
#define EPHEMERAL_SEQUENTIAL RECORD__CREATE_MODE__EPHEMERAL_SEQUENTIAL
#define CONTAINER            RECORD__CREATE_MODE__CONTAINER

static struct state_lab lab;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
}

static void stop(void)
{
    state_lab_release(&lab);
}

static struct state_stat stat_of(const char *path)
{
    struct state_stat stat = {.version = -77};

    EXPECT(state_lab_stat(&lab, path, &stat));
    return stat;
}

static void test_a_new_state_has_the_system_nodes(void)
{
    struct state_stat stat;

    start();
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    EXPECT_TEXT(state_lab_children(&lab, "/zookeeper"), "config,quota,");
    stat = stat_of("/");
    EXPECT_EQ(stat.cversion, -1);
    EXPECT_EQ(stat.czxid, 0);
    EXPECT_EQ(stat.child_count, 1);
    stat = stat_of("/zookeeper");
    EXPECT_EQ(stat.cversion, -2);
    stat = stat_of("/zookeeper/config");
    EXPECT_EQ(stat.aversion, -1);
    EXPECT_TEXT(state_lab_value(&lab, "/zookeeper/config"), "");
    EXPECT_TEXT(state_lab_value(&lab, ""), "");
    stop();
}

static void test_create_sets_every_field_of_the_stat(void)
{
    struct state_stat stat;

    start();
    lab.time_ms = 5000;
    EXPECT_EQ(state_lab_create(&lab, "/a", "value", PERSISTENT), OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/a"));
    stat = stat_of("/a");
    EXPECT(state_lab_stat_equal(&stat, &lab.result.operations[0].stat));
    EXPECT_EQ(stat.czxid, 1);
    EXPECT_EQ(stat.mzxid, 1);
    EXPECT_EQ(stat.pzxid, 1);
    EXPECT_EQ(stat.ctime_ms, 5000);
    EXPECT_EQ(stat.mtime_ms, 5000);
    EXPECT_EQ(stat.version, 0);
    EXPECT_EQ(stat.cversion, 0);
    EXPECT_EQ(stat.aversion, 0);
    EXPECT_EQ(stat.ephemeral_owner, 0);
    EXPECT_EQ(stat.value_bytes, 5);
    EXPECT_EQ(stat.child_count, 0);
    EXPECT_EQ(stat_of("/").cversion, 0);
    EXPECT_EQ(stat_of("/").pzxid, 1);
    stop();
}

static void test_set_moves_version_mzxid_and_mtime_only(void)
{
    struct state_stat before;
    struct state_stat after;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    before = stat_of("/a");
    lab.time_ms = 7000;
    EXPECT_EQ(state_lab_set(&lab, "/a", "22", 0), OP_OK);
    after = stat_of("/a");
    EXPECT_EQ(after.version, 1);
    EXPECT_EQ(after.mzxid, 2);
    EXPECT_EQ(after.mtime_ms, 7000);
    EXPECT_EQ(after.value_bytes, 2);
    EXPECT_EQ(after.czxid, before.czxid);
    EXPECT_EQ(after.pzxid, before.pzxid);
    EXPECT_EQ(after.ctime_ms, before.ctime_ms);
    EXPECT_EQ(after.cversion, before.cversion);
    EXPECT_EQ(after.aversion, before.aversion);
    EXPECT_EQ(state_lab_set(&lab, "/a", "3", 0), OP_BAD_VERSION);
    EXPECT_EQ(state_lab_set(&lab, "/a", "3", -1), OP_OK);
    EXPECT_EQ(state_lab_set(&lab, "/b", "3", -1), OP_NO_NODE);
    EXPECT_EQ(stat_of("/a").version, 2);
    stop();
}

static void test_cversion_counts_creations_and_deletions(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/p", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/a", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/b", "", PERSISTENT), OP_OK);
    EXPECT_EQ(stat_of("/p").cversion, 2);
    EXPECT_EQ(stat_of("/p").pzxid, 3);
    EXPECT_EQ(state_lab_remove(&lab, "/p/a", -1), OP_OK);
    EXPECT_EQ(stat_of("/p").cversion, 3);
    EXPECT_EQ(stat_of("/p").pzxid, 4);
    EXPECT_EQ(stat_of("/p").child_count, 1);
    EXPECT_EQ(state_lab_set(&lab, "/p/b", "x", -1), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/b/c", "", PERSISTENT), OP_OK);
    EXPECT_EQ(stat_of("/p").cversion, 3);
    EXPECT_EQ(stat_of("/p").pzxid, 4);
    EXPECT_EQ(stat_of("/p").version, 0);
    EXPECT_EQ(stat_of("/p").mzxid, 1);
    stop();
}

static void expect_made(const char *path)
{
    EXPECT_EQ(lab.result.error, OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text(path));
}

static void test_sequence_numbers_count_all_children_ever_created(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/p", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/a", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/b", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/p/a", -1), OP_OK);
    (void)state_lab_create(&lab, "/p/n-", "", SEQUENTIAL);
    expect_made("/p/n-0000000002");
    (void)state_lab_create(&lab, "/p/", "", SEQUENTIAL);
    expect_made("/p/0000000003");
    (void)state_lab_create(&lab, "/", "", SEQUENTIAL);
    expect_made("/0000000001");
    EXPECT_EQ(state_lab_create(&lab, "/p/x0000000005", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/x", "", SEQUENTIAL), OP_NODE_EXISTS);
    stop();
}

struct create_case {
    const char *path;
    Record__CreateMode mode;
    uint64_t ttl_ms;
    enum op_error error;
};

static void test_a_copy_goes_on_where_the_original_was(void)
{
    struct arena arena;
    Record__Operation *operation;

    start();
    arena_init(&arena);
    operation = state_lab_make_create(&arena, "/q", "");
    operation->create->version = 7;
    operation->create->children_created = 12;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_OK);
    EXPECT_EQ(stat_of("/q").version, 7);
    EXPECT_EQ(stat_of("/q").cversion, 24);
    EXPECT_EQ(state_lab_set(&lab, "/q", "new", 7), OP_OK);
    EXPECT_EQ(stat_of("/q").version, 8);
    EXPECT_EQ(state_lab_create(&lab, "/q/n-", "", SEQUENTIAL), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/q"), "n-0000000012,");
    operation = state_lab_make_create(&arena, "/r", "");
    operation->create->version = UINT32_C(1) << 31;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_BAD_ARGUMENTS);
    arena_release(&arena);
    stop();
}

static void test_create_checks_in_zookeepers_order(void)
{
    static const struct create_case cases[] = {
        {"/a", 7, 0, OP_BAD_ARGUMENTS},
        {"/a", (Record__CreateMode)1000, 0, OP_BAD_ARGUMENTS},
        {"/a", PERSISTENT, 5, OP_BAD_ARGUMENTS},
        {"/a", RECORD__CREATE_MODE__PERSISTENT_TTL, 0, OP_BAD_ARGUMENTS},
        {"/a", RECORD__CREATE_MODE__PERSISTENT_TTL, UINT64_C(1) << 40, OP_BAD_ARGUMENTS},
        {"", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"a", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"a/b", PERSISTENT, 0, OP_NO_NODE},
        {"/missing/b", PERSISTENT, 0, OP_NO_NODE},
        {"/missing/..", PERSISTENT, 0, OP_NO_NODE},
        {"/missing/b/", PERSISTENT, 0, OP_NO_NODE},
        {"/", PERSISTENT, 0, OP_NODE_EXISTS},
        {"//", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/..", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/.", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/\x01", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/there", PERSISTENT, 0, OP_NODE_EXISTS},
        {"/there/", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/zookeeper", PERSISTENT, 0, OP_NODE_EXISTS},
        {"/eph/child", PERSISTENT, 0, OP_NO_CHILDREN_FOR_EPHEMERALS},
        {"/eph/child-", SEQUENTIAL, 0, OP_NO_CHILDREN_FOR_EPHEMERALS},
        {"/eph/..", PERSISTENT, 0, OP_BAD_ARGUMENTS},
        {"/zookeeper/foo", PERSISTENT, 0, OP_OK},
        {"/...", PERSISTENT, 0, OP_OK},
        {"/.a", PERSISTENT, 0, OP_OK},
        {"/a..", PERSISTENT, 0, OP_OK},
    };

    start();
    (void)state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/there", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/eph", "", EPHEMERAL), OP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        Record__Operation *operation;
        struct state_digest before = state_digest(lab.state);
        enum op_error error;

        arena_init(&arena);
        operation = state_lab_make_create(&arena, cases[i].path, "");
        operation->create->mode = cases[i].mode;
        operation->create->ttl_ms = cases[i].ttl_ms;
        error = state_lab_operation(&lab, operation);
        arena_release(&arena);
        if (error != cases[i].error) {
            (void)printf("\ncase %zu: %s\n", i, cases[i].path);
        }
        EXPECT_EQ(error, cases[i].error);
        if (error != OP_OK) {
            EXPECT_EQ(state_digest(lab.state).sum, before.sum);
            EXPECT_EQ(lab.result.change_count, 0);
        }
    }
    stop();
}

static void test_an_ephemeral_needs_a_session(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_NO_SESSION);
    EXPECT_EQ(state_lab_create(&lab, "/missing/e", "", EPHEMERAL_SEQUENTIAL), OP_NO_SESSION);
    stop();
}

static void test_remove_checks_in_zookeepers_order(void)
{
    static const struct {
        const char *path;
        int32_t version;
        enum op_error error;
    } cases[] = {
        {"", -1, OP_BAD_ARGUMENTS},
        {"a", -1, OP_BAD_ARGUMENTS},
        {"/", -1, OP_BAD_ARGUMENTS},
        {"/zookeeper", -1, OP_BAD_ARGUMENTS},
        {"/zookeeper/quota", -1, OP_BAD_ARGUMENTS},
        {"/zookeeper/config", -1, OP_BAD_ARGUMENTS},
        {"/zookeeper/", -1, OP_NO_NODE},
        {"//", -1, OP_NO_NODE},
        {"/..", -1, OP_NO_NODE},
        {"/missing/a", -1, OP_NO_NODE},
        {"/missing", 3, OP_NO_NODE},
        {"/p", 3, OP_BAD_VERSION},
        {"/p", 0, OP_NOT_EMPTY},
        {"/p", -1, OP_NOT_EMPTY},
        {"//p", -1, OP_NO_NODE},
        {"/p//c", -1, OP_NO_NODE},
        {"/p/c", 1, OP_BAD_VERSION},
        {"/p/c", 0, OP_OK},
        {"/p/c", 0, OP_NO_NODE},
        {"//p", -1, OP_NO_NODE},
        {"/p", -1, OP_OK},
    };

    start();
    EXPECT_EQ(state_lab_create(&lab, "/p", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/p/c", "", PERSISTENT), OP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum op_error error = state_lab_remove(&lab, cases[i].path, cases[i].version);

        if (error != cases[i].error) {
            (void)printf("\ncase %zu: %s\n", i, cases[i].path);
        }
        EXPECT_EQ(error, cases[i].error);
    }
    stop();
}

static void test_set_validates_the_path_before_looking(void)
{
    start();
    EXPECT_EQ(state_lab_set(&lab, "", "", -1), OP_BAD_ARGUMENTS);
    EXPECT_EQ(state_lab_set(&lab, "/a/", "", -1), OP_BAD_ARGUMENTS);
    EXPECT_EQ(state_lab_set(&lab, "/missing//a", "", -1), OP_BAD_ARGUMENTS);
    EXPECT_EQ(state_lab_set(&lab, "/missing", "", -1), OP_NO_NODE);
    EXPECT_EQ(state_lab_set(&lab, "/", "root", -1), OP_OK);
    EXPECT_TEXT(state_lab_value(&lab, "/"), "root");
    stop();
}

static void test_null_stays_null_and_empty_stays_empty(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/null", NULL, PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/empty", "", PERSISTENT), OP_OK);
    EXPECT_TEXT(state_lab_value(&lab, "/null"), "(null)");
    EXPECT_TEXT(state_lab_value(&lab, "/empty"), "");
    EXPECT_EQ(stat_of("/null").value_bytes, 0);
    EXPECT_EQ(state_lab_set(&lab, "/empty", NULL, -1), OP_OK);
    EXPECT_TEXT(state_lab_value(&lab, "/empty"), "(null)");
    EXPECT_EQ(state_lab_set(&lab, "/null", "x", -1), OP_OK);
    EXPECT_TEXT(state_lab_value(&lab, "/null"), "x");
    stop();
}

static void test_reads_find_no_node_under_a_bad_path(void)
{
    static const char *const paths[] = {"a",   "//",          "/a/",        "/a//b",
                                        "/..", "/zookeeper/", "x/zookeeper"};
    struct state_stat stat;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/a/b", "", PERSISTENT), OP_OK);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        EXPECT(!state_lab_stat(&lab, paths[i], &stat));
    }
    stop();
}

static void test_make_parents_creates_open_persistent_ancestors(void)
{
    struct arena arena;
    Record__Operation *operation;

    start();
    arena_init(&arena);
    operation = state_lab_make_create(&arena, "/a/b/c-", "v");
    operation->create->make_parents = true;
    operation->create->mode = SEQUENTIAL;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_OK);
    expect_made("/a/b/c-0000000000");
    EXPECT_EQ(lab.result.change_count, 3);
    EXPECT_BYTES(lab.result.changes[0].path, bytes_of_text("/a"));
    EXPECT_BYTES(lab.result.changes[1].path, bytes_of_text("/a/b"));
    EXPECT_BYTES(lab.result.changes[2].path, bytes_of_text("/a/b/c-0000000000"));
    EXPECT_EQ(stat_of("/a").czxid, 1);
    EXPECT_EQ(stat_of("/a").cversion, 1);
    EXPECT_TEXT(state_lab_value(&lab, "/a/b"), "");

    operation = state_lab_make_create(&arena, "/x/y//", "v");
    operation->create->make_parents = true;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_BAD_ARGUMENTS);
    EXPECT_TEXT(state_lab_value(&lab, "/x"), "(none)");
    arena_release(&arena);
    stop();
}

static void test_set_with_create_makes_the_node_once(void)
{
    struct arena arena;
    Record__Operation *operation;

    start();
    arena_init(&arena);
    operation = state_lab_make_set(&arena, "/app/db/url", "postgres", -1);
    operation->set->create = true;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_OK);
    EXPECT(lab.result.operations[0].created);
    EXPECT_EQ(lab.result.operations[0].stat.version, 0);
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_OK);
    EXPECT(!lab.result.operations[0].created);
    EXPECT_EQ(lab.result.operations[0].stat.version, 1);
    operation->set->version = 1;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_BAD_ARGUMENTS);
    arena_release(&arena);
    stop();
}

static void test_make_parents_stops_at_an_ephemeral(void)
{
    struct arena arena;
    Record__Operation *operation;

    start();
    arena_init(&arena);
    (void)state_lab_open(&lab, 'p', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/e", "", EPHEMERAL), OP_OK);
    operation = state_lab_make_create(&arena, "/e/b/c", "v");
    operation->create->make_parents = true;
    EXPECT_EQ(state_lab_operation(&lab, operation), OP_NO_CHILDREN_FOR_EPHEMERALS);
    EXPECT_EQ(stat_of("/e").child_count, 0);
    arena_release(&arena);
    stop();
}

static void test_changes_carry_the_versions_before_and_after(void)
{
    bool is_null;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", PERSISTENT), OP_OK);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_CREATED);
    EXPECT(lab.result.changes[0].before == NULL);
    EXPECT_EQ(state_lab_set(&lab, "/a", "2", -1), OP_OK);
    EXPECT_EQ(lab.result.change_count, 1);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_VALUE_SET);
    EXPECT_EQ(lab.result.changes[0].zxid, 2);
    EXPECT_BYTES(state_node_value(lab.result.changes[0].before, &is_null), bytes_of_text("1"));
    EXPECT_BYTES(state_node_value(lab.result.changes[0].after, &is_null), bytes_of_text("2"));
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_OK);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_REMOVED);
    EXPECT_BYTES(state_node_value(lab.result.changes[0].before, &is_null), bytes_of_text("2"));
    EXPECT(lab.result.changes[0].after == NULL);
    stop();
}

static void test_a_node_read_stays_as_it_was(void)
{
    struct state_node *node = NULL;
    enum op_error error;
    bool is_null;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "old", PERSISTENT), OP_OK);
    EXPECT_OK(state_read(lab.state, bytes_of_text("/a"), &error, &node));
    EXPECT_EQ(state_lab_set(&lab, "/a", "new", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/a", -1), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/b", "", PERSISTENT), OP_OK);
    EXPECT_BYTES(state_node_value(node, &is_null), bytes_of_text("old"));
    state_node_unref(node);
    stop();
}

static void test_time_never_goes_back(void)
{
    start();
    lab.time_ms = 9000;
    EXPECT_EQ(state_lab_create(&lab, "/a", "", PERSISTENT), OP_OK);
    lab.time_ms = 10;
    EXPECT_EQ(state_lab_create(&lab, "/b", "", PERSISTENT), OP_OK);
    EXPECT_EQ(stat_of("/b").ctime_ms, 9000);
    EXPECT_EQ(state_time_ms(lab.state), 9000);
    stop();
}

static void test_containers_and_ttl_nodes_look_persistent(void)
{
    struct state_node *node = NULL;
    enum op_error error;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/c", "", CONTAINER), OP_OK);
    EXPECT_EQ(stat_of("/c").ephemeral_owner, 0);
    EXPECT_OK(state_read(lab.state, bytes_of_text("/c"), &error, &node));
    EXPECT(state_node_is_container(node));
    EXPECT_EQ(state_node_ttl_ms(node), 0);
    state_node_unref(node);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/t", 5000), OP_OK);
    EXPECT_EQ(stat_of("/t").ephemeral_owner, 0);
    EXPECT_OK(state_read(lab.state, bytes_of_text("/t"), &error, &node));
    EXPECT_EQ(state_node_ttl_ms(node), 5000);
    EXPECT(!state_node_is_container(node));
    state_node_unref(node);
    stop();
}

static void test_a_sweep_removes_left_containers(void)
{
    start();
    EXPECT_EQ(state_lab_create(&lab, "/new", "", CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/used", "", CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/used/x", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/left", "", CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/left/inner", "", CONTAINER), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/left/inner/x", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/left/inner/x", -1), OP_OK);
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_EQ(lab.result.change_count, 1);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_REMOVED);
    EXPECT_BYTES(lab.result.changes[0].path, bytes_of_text("/left/inner"));
    EXPECT_EQ(lab.result.changes[0].session, 0);
    EXPECT_EQ(stat_of("/left").cversion, 2);
    EXPECT_EQ(stat_of("/left").pzxid, lab.result.zxid);
    /* It has lost its last child by that: the next one's. */
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "new,used,zookeeper,");
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_EQ(lab.result.change_count, 0);
    stop();
}

static bool has_due(uint64_t time_ms)
{
    bool found = false;

    EXPECT_OK(state_has_due(lab.state, time_ms, &found));
    return found;
}

static void test_a_sweep_removes_ttl_nodes_after_their_time(void)
{
    start();
    lab.time_ms = 1000;
    EXPECT_EQ(state_lab_create_ttl(&lab, "/t", 500), OP_OK);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/parent", 100), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/parent/x", "", PERSISTENT), OP_OK);
    EXPECT(!has_due(1500));
    EXPECT(has_due(1501));
    lab.time_ms = 1400;
    EXPECT_EQ(state_lab_set(&lab, "/t", "touched", -1), OP_OK);
    lab.time_ms = 1900;
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "parent,t,zookeeper,");
    /* A leader whose clock is behind: its stamp counts for nothing, the time of the state does. */
    lab.time_ms = 1901;
    EXPECT_EQ(state_lab_create(&lab, "/other", "", PERSISTENT), OP_OK);
    lab.time_ms = 10;
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "other,parent,zookeeper,");
    EXPECT_EQ(state_lab_remove(&lab, "/parent/x", -1), OP_OK);
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "other,zookeeper,");
    stop();
}

static void test_a_sweep_is_bounded_and_takes_the_oldest_first(void)
{
    static const char *const paths[] = {"/c", "/a", "/b"};

    start();
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(state_lab_create(&lab, paths[i], "", CONTAINER), OP_OK);
    }
    EXPECT_EQ(state_lab_create(&lab, "/b/x", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_create(&lab, "/c/x", "", PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/b/x", -1), OP_OK);
    EXPECT_EQ(state_lab_remove(&lab, "/c/x", -1), OP_OK);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/late", 300), OP_OK);
    EXPECT_EQ(state_lab_create_ttl(&lab, "/soon", 200), OP_OK);
    lab.time_ms += 1000;
    EXPECT_EQ(state_lab_sweep(&lab, 1), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "a,b,late,zookeeper,");
    EXPECT_EQ(state_lab_sweep(&lab, 0), OP_OK);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX + 1), OP_LIMIT);
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "a,zookeeper,");
    stop();
}

static void test_a_sweep_ends_when_it_has_removed_many_bytes(void)
{
    enum { VALUE_BYTES = 1000 * 1000, NODES = 10 };
    char *value = xcalloc(1, VALUE_BYTES + 1);

    start();
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        value[i] = 'v';
    }
    for (int i = 0; i < NODES; i++) {
        char path[8];

        (void)snprintf(path, sizeof path, "/t%d", i);
        EXPECT_EQ(state_lab_create_ttl(&lab, path, 100), OP_OK);
        EXPECT_EQ(state_lab_set(&lab, path, value, -1), OP_OK);
    }
    lab.time_ms += 1000;
    EXPECT_EQ(state_lab_sweep(&lab, STATE_SWEEP_COUNT_MAX), OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "t9,zookeeper,");
    free(value);
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_new_state_has_the_system_nodes),
        TEST_CASE(test_create_sets_every_field_of_the_stat),
        TEST_CASE(test_set_moves_version_mzxid_and_mtime_only),
        TEST_CASE(test_cversion_counts_creations_and_deletions),
        TEST_CASE(test_sequence_numbers_count_all_children_ever_created),
        TEST_CASE(test_a_copy_goes_on_where_the_original_was),
        TEST_CASE(test_create_checks_in_zookeepers_order),
        TEST_CASE(test_an_ephemeral_needs_a_session),
        TEST_CASE(test_remove_checks_in_zookeepers_order),
        TEST_CASE(test_set_validates_the_path_before_looking),
        TEST_CASE(test_null_stays_null_and_empty_stays_empty),
        TEST_CASE(test_reads_find_no_node_under_a_bad_path),
        TEST_CASE(test_make_parents_creates_open_persistent_ancestors),
        TEST_CASE(test_set_with_create_makes_the_node_once),
        TEST_CASE(test_make_parents_stops_at_an_ephemeral),
        TEST_CASE(test_changes_carry_the_versions_before_and_after),
        TEST_CASE(test_a_node_read_stays_as_it_was),
        TEST_CASE(test_time_never_goes_back),
        TEST_CASE(test_containers_and_ttl_nodes_look_persistent),
        TEST_CASE(test_a_sweep_removes_left_containers),
        TEST_CASE(test_a_sweep_removes_ttl_nodes_after_their_time),
        TEST_CASE(test_a_sweep_is_bounded_and_takes_the_oldest_first),
        TEST_CASE(test_a_sweep_ends_when_it_has_removed_many_bytes),
        TEST_END,
    };

    return test_main("nodes", cases, argc, argv);
}
