#include "server/state/quota.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT
#define EPHEMERAL  RECORD__CREATE_MODE__EPHEMERAL
#define STATS      "/zookeeper/quota/a/zookeeper_stats"
#define LIMITS     "/zookeeper/quota/a/zookeeper_limits"

static struct state_lab lab;

static void create(const char *path, const char *value)
{
    EXPECT_EQ(state_lab_create(&lab, path, value, PERSISTENT), OP_OK);
}

static void start(const char *limits)
{
    state_lab_init(&lab, 1 << 20);
    create("/a", "12345");
    create("/a/x", NULL);
    create("/zookeeper/quota/a", "");
    create(LIMITS, limits);
    create(STATS, "count=-1,bytes=-1");
}

static void stop(void)
{
    state_lab_release(&lab);
}

static void expect_stats(const char *text)
{
    EXPECT_TEXT(state_lab_value(&lab, STATS), text);
}

static enum op_error create_enforced(const char *path, const char *value)
{
    struct arena arena;
    Record__Command command = RECORD__COMMAND__INIT;
    enum op_error error;

    arena_init(&arena);
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = state_lab_make_create(&arena, path, value);
    command.operation->create->make_parents = true;
    command.enforce_quotas = true;
    error = state_lab_command(&lab, &command);
    arena_release(&arena);
    return error;
}

static enum op_error set_enforced(const char *path, const char *value)
{
    struct arena arena;
    Record__Command command = RECORD__COMMAND__INIT;
    enum op_error error;

    arena_init(&arena);
    command.body_case = RECORD__COMMAND__BODY_OPERATION;
    command.operation = state_lab_make_set(&arena, path, value, -1);
    command.enforce_quotas = true;
    error = state_lab_command(&lab, &command);
    arena_release(&arena);
    return error;
}

/* Each write below reads them. */
static void test_of_long_limits_only_the_beginning_counts(void)
{
    char limits[1500];

    memset(limits, ',', sizeof limits);
    (void)strcpy(limits + 1000, "countHardLimit=3,,,,,,,,,,,,countHardLimit=1");
    start(limits);
    EXPECT_EQ(create_enforced("/a/y", ""), OP_OK);
    EXPECT_EQ(create_enforced("/a/z", ""), OP_QUOTA_EXCEEDED);
    expect_stats("count=3,bytes=5");
    stop();
}

static void test_long_limits_are_read_only_so_often_in_a_transaction(void)
{
    enum { WRITES = 100, ENOUGH = STATE_TRANSACTION_TOUCHED_BYTES_MAX / WRITES * 2 };
    static char limits[ENOUGH];
    Record__Operation *operations[WRITES];
    struct arena arena;

    memset(limits, ',', sizeof limits - 1);
    start(limits);
    arena_init(&arena);
    for (size_t i = 0; i < WRITES; i++) {
        operations[i] = state_lab_make_set(&arena, "/a", "1", -1);
    }
    EXPECT_EQ(state_lab_transaction(&lab, operations, WRITES), OP_LIMIT);
    EXPECT_EQ(state_lab_transaction(&lab, operations, WRITES / 4), OP_OK);
    arena_release(&arena);
    stop();
}

static void test_stats_follow_every_change_and_nothing_else_does(void)
{
    struct state_stat before = {.version = 0};
    struct state_stat after = {.version = 0};

    start("count=100,bytes=100");
    expect_stats("count=2,bytes=5");
    EXPECT(state_lab_stat(&lab, STATS, &before));
    create("/a/y", "123");
    EXPECT_EQ(lab.result.change_count, 1); /* no event for the stats */
    expect_stats("count=3,bytes=8");
    create("/a/y/z", "1");
    create("/ab", "1234567");
    create("/b", "1234567");
    expect_stats("count=4,bytes=9");
    EXPECT_EQ(state_lab_set(&lab, "/a", "1", -1), OP_OK);
    expect_stats("count=4,bytes=5");
    EXPECT_EQ(state_lab_remove(&lab, "/a/y/z", -1), OP_OK);
    expect_stats("count=3,bytes=4");
    EXPECT(state_lab_stat(&lab, STATS, &after));
    EXPECT_EQ(after.value_bytes, strlen("count=3,bytes=4"));
    after.value_bytes = before.value_bytes;
    EXPECT(state_lab_stat_equal(&before, &after));
    stop();
}

static void test_what_goes_by_itself_is_counted_too(void)
{
    start("count=100,bytes=100");
    (void)state_lab_open(&lab, 'a', 5000);
    EXPECT_EQ(state_lab_create(&lab, "/a/e", "1234", EPHEMERAL), OP_OK);
    expect_stats("count=3,bytes=9");
    EXPECT_EQ(state_lab_close(&lab), OP_OK);
    lab.session = 0;
    expect_stats("count=2,bytes=5");
    EXPECT_EQ(state_lab_create_ttl(&lab, "/a/t", 10), OP_OK);
    expect_stats("count=3,bytes=5");
    lab.time_ms += 1000;
    EXPECT_EQ(state_lab_sweep(&lab, 10), OP_OK);
    expect_stats("count=2,bytes=5");
    stop();
}

static void test_the_nearest_quota_counts(void)
{
    start("count=100");
    create("/zookeeper/quota/a/x", "");
    create("/zookeeper/quota/a/x/zookeeper_limits", "count=1");
    create("/zookeeper/quota/a/x/zookeeper_stats", "");
    create("/a/x/y", "12");
    EXPECT_BYTES(lab.result.quota_passed, bytes_of_text("/a/x"));
    expect_stats("count=2,bytes=5");
    EXPECT_TEXT(state_lab_value(&lab, "/zookeeper/quota/a/x/zookeeper_stats"), "count=2,bytes=2");
    EXPECT_EQ(state_lab_remove(&lab, "/zookeeper/quota/a/x/zookeeper_limits", -1), OP_OK);
    create("/a/x/z", "12");
    expect_stats("count=3,bytes=7");
    stop();
}

static void test_hard_limits_refuse_where_they_are_enforced(void)
{
    start("count=2,bytes=6=;byteHardLimit=8;countHardLimit=3");
    EXPECT_EQ(create_enforced("/a/y/z", ""), OP_QUOTA_EXCEEDED);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_TEXT(state_lab_children(&lab, "/a"), "x,");
    expect_stats("count=2,bytes=5");
    EXPECT_EQ(create_enforced("/a/y", "1234"), OP_QUOTA_EXCEEDED);
    EXPECT_EQ(create_enforced("/a/y", "123"), OP_OK);
    EXPECT_EQ(lab.result.quota_passed.size, 0);
    expect_stats("count=3,bytes=8");
    EXPECT_EQ(set_enforced("/a", "123456"), OP_QUOTA_EXCEEDED);
    EXPECT_EQ(set_enforced("/a/missing", "123456"), OP_NO_NODE);
    EXPECT_EQ(create_enforced("/a/y", ""), OP_NODE_EXISTS);
    EXPECT_EQ(set_enforced("/a", "54321"), OP_OK);
    /* A server that does not enforce them only tells. */
    create("/a/more", "12");
    EXPECT_BYTES(lab.result.quota_passed, bytes_of_text("/a"));
    expect_stats("count=4,bytes=10");
    EXPECT_EQ(state_lab_remove(&lab, "/a/more", -1), OP_OK);
    stop();
}

static void test_soft_limits_only_tell(void)
{
    start("count=2,bytes=5");
    EXPECT_EQ(create_enforced("/a/y", "1"), OP_OK);
    EXPECT_BYTES(lab.result.quota_passed, bytes_of_text("/a"));
    EXPECT_EQ(state_lab_remove(&lab, "/a/y", -1), OP_OK);
    EXPECT_EQ(lab.result.quota_passed.size, 0);
    stop();
}

static void test_a_transaction_is_judged_step_by_step(void)
{
    struct arena arena;
    Record__Operation *operations[3];
    Record__Transaction transaction = RECORD__TRANSACTION__INIT;
    Record__Command command = RECORD__COMMAND__INIT;

    start("countHardLimit=3");
    arena_init(&arena);
    operations[0] = state_lab_make_create(&arena, "/a/y", "1");
    operations[1] = state_lab_make_create(&arena, "/a/z", "1");
    operations[2] = state_lab_make_remove(&arena, "/a/x", -1);
    transaction.operations = operations;
    transaction.n_operations = 3;
    command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
    command.transaction = &transaction;
    command.enforce_quotas = true;
    EXPECT_EQ(state_lab_command(&lab, &command), OP_QUOTA_EXCEEDED);
    EXPECT_EQ(lab.result.operations[1].error, OP_QUOTA_EXCEEDED);
    EXPECT_EQ(lab.result.operations[2].error, OP_NOT_EXECUTED);
    expect_stats("count=2,bytes=5");
    operations[1] = state_lab_make_remove(&arena, "/a/x", -1);
    operations[2] = state_lab_make_create(&arena, "/a/z", "1");
    EXPECT_EQ(state_lab_command(&lab, &command), OP_OK);
    expect_stats("count=3,bytes=7");
    arena_release(&arena);
    stop();
}

/* Children of /a, in few commands. */
static void create_many(int first, int end)
{
    enum { STEP = 1024 };
    Record__Operation *operations[STEP];
    struct arena arena;

    arena_init(&arena);
    while (first < end) {
        size_t count = 0;

        for (; first < end && count < STEP; first++) {
            char path[32];

            (void)snprintf(path, sizeof path, "/a/%d", first);
            operations[count++] = state_lab_make_create(&arena, path, "");
        }
        EXPECT_EQ(state_lab_transaction(&lab, operations, count), OP_OK);
        arena_reset(&arena);
    }
    arena_release(&arena);
}

/* However often one transaction sets quotas, it counts no more nodes than one may. */
static void expect_one_count_in_a_transaction(void)
{
    struct arena arena;
    Record__Operation *operations[3];

    arena_init(&arena);
    operations[0] = state_lab_make_create(&arena, STATS, "");
    operations[1] = state_lab_make_remove(&arena, STATS, -1);
    operations[2] = state_lab_make_create(&arena, STATS, "");
    EXPECT_EQ(state_lab_transaction(&lab, operations, 2), OP_OK);
    EXPECT(lab.result.work > 1000);
    EXPECT_EQ(state_lab_transaction(&lab, operations, 3), OP_LIMIT);
    EXPECT_EQ(lab.result.operations[2].error, OP_LIMIT);
    EXPECT(lab.result.work > 1000);
    arena_release(&arena);
    expect_stats("(none)");
}

static void test_a_quota_on_too_many_nodes_is_refused(void)
{
    state_lab_init(&lab, 1 << 20);
    create("/a", "");
    create_many(0, QUOTA_COUNTED_MAX);
    create("/zookeeper/quota/a", "");
    create(STATS, "");
    expect_stats("count=131073,bytes=0");
    EXPECT_EQ(state_lab_remove(&lab, STATS, -1), OP_OK);
    expect_one_count_in_a_transaction();
    create_many(QUOTA_COUNTED_MAX, QUOTA_COUNTED_MAX + 1);
    EXPECT_EQ(state_lab_create(&lab, STATS, "", PERSISTENT), OP_LIMIT);
    expect_stats("(none)");
    /* What the state holds is checked by the other cases; here it would take long. */
    state_free(lab.state);
    memory_source_free(lab.source);
    arena_release(&lab.arena);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_of_long_limits_only_the_beginning_counts),
        TEST_CASE(test_long_limits_are_read_only_so_often_in_a_transaction),
        TEST_CASE(test_stats_follow_every_change_and_nothing_else_does),
        TEST_CASE(test_what_goes_by_itself_is_counted_too),
        TEST_CASE(test_the_nearest_quota_counts),
        TEST_CASE(test_hard_limits_refuse_where_they_are_enforced),
        TEST_CASE(test_soft_limits_only_tell),
        TEST_CASE(test_a_transaction_is_judged_step_by_step),
        TEST_CASE(test_a_quota_on_too_many_nodes_is_refused),
        TEST_END,
    };

    return test_main("quotas", cases, argc, argv);
}
