#include "tests/support/state_lab.h"
#include "tests/support/test.h"

static struct state_lab lab;
static struct arena arena;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
    arena_init(&arena);
}

static void stop(void)
{
    arena_release(&arena);
    state_lab_release(&lab);
}

static enum op_error apply(Record__Operation *first,
                           Record__Operation *second,
                           Record__Operation *third,
                           Record__Operation *fourth)
{
    Record__Operation *all[] = {first, second, third, fourth};
    size_t count = 0;

    while (count < 4 && all[count] != NULL) {
        count++;
    }
    return state_lab_transaction(&lab, all, count);
}

static void test_each_operation_sees_those_before_it(void)
{
    struct state_stat stat;

    start();
    EXPECT_EQ(
        apply(state_lab_make_create(&arena, "/a", ""), state_lab_make_create(&arena, "/a/b", ""),
              state_lab_make_set(&arena, "/a", "x", 0), state_lab_make_check(&arena, "/a", 1)),
        OP_OK);
    EXPECT_EQ(lab.result.operation_count, 4);
    EXPECT_EQ(lab.result.operations[2].stat.version, 1);
    EXPECT_EQ(lab.result.operations[2].stat.child_count, 1);
    EXPECT(state_lab_stat(&lab, "/a/b", &stat));
    EXPECT_EQ(stat.czxid, 1);
    EXPECT_EQ(apply(state_lab_make_remove(&arena, "/a/b", -1),
                    state_lab_make_remove(&arena, "/a", 1),
                    state_lab_make_check_absent(&arena, "/a"), NULL),
              OP_OK);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "zookeeper,");
    stop();
}

static void test_a_failed_transaction_changes_nothing(void)
{
    struct state_digest before;
    uint64_t node_count;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/keep", "1", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    before = state_digest(lab.state);
    node_count = state_node_count(lab.state);
    EXPECT_EQ(apply(state_lab_make_set(&arena, "/keep", "2", -1),
                    state_lab_make_create(&arena, "/new", ""),
                    state_lab_make_remove(&arena, "/keep", 7),
                    state_lab_make_create(&arena, "/later", "")),
              OP_BAD_VERSION);
    EXPECT_EQ(lab.result.operation_count, 4);
    EXPECT_EQ(lab.result.operations[0].error, OP_OK);
    EXPECT(!lab.result.operations[0].has_stat);
    EXPECT_EQ(lab.result.operations[1].error, OP_OK);
    EXPECT_EQ(lab.result.operations[1].path.size, 0);
    EXPECT_EQ(lab.result.operations[2].error, OP_BAD_VERSION);
    EXPECT_EQ(lab.result.operations[3].error, OP_NOT_EXECUTED);
    EXPECT_EQ(lab.result.change_count, 0);
    EXPECT_EQ(state_digest(lab.state).sum, before.sum);
    EXPECT_EQ(state_digest(lab.state).record_count, before.record_count);
    EXPECT_EQ(state_node_count(lab.state), node_count);
    EXPECT_TEXT(state_lab_value(&lab, "/keep"), "1");
    EXPECT_TEXT(state_lab_value(&lab, "/new"), "(none)");
    stop();
}

static void test_an_empty_transaction_is_valid(void)
{
    start();
    EXPECT_EQ(apply(NULL, NULL, NULL, NULL), OP_OK);
    EXPECT_EQ(lab.result.operation_count, 0);
    stop();
}

static void test_sequence_numbers_advance_inside(void)
{
    Record__Operation *first;
    Record__Operation *second;

    start();
    first = state_lab_make_create(&arena, "/n-", "");
    second = state_lab_make_create(&arena, "/n-", "");
    first->create->mode = second->create->mode = RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL;
    EXPECT_EQ(apply(first, second, NULL, NULL), OP_OK);
    EXPECT_BYTES(lab.result.operations[0].path, bytes_of_text("/n-0000000000"));
    EXPECT_BYTES(lab.result.operations[1].path, bytes_of_text("/n-0000000001"));
    EXPECT_EQ(lab.result.changes[0].zxid, lab.result.changes[1].zxid);
    stop();
}

static void test_removing_and_making_again_is_a_new_node(void)
{
    struct state_stat stat;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/a", "1", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    EXPECT_EQ(state_lab_set(&lab, "/a", "2", -1), OP_OK);
    EXPECT_EQ(apply(state_lab_make_remove(&arena, "/a", 1),
                    state_lab_make_create(&arena, "/a", "3"), NULL, NULL),
              OP_OK);
    EXPECT(state_lab_stat(&lab, "/a", &stat));
    EXPECT_EQ(stat.czxid, 3);
    EXPECT_EQ(stat.version, 0);
    EXPECT_EQ(lab.result.changes[0].kind, STATE_REMOVED);
    EXPECT_EQ(lab.result.changes[1].kind, STATE_CREATED);
    stop();
}

/* The undo meets records of every condition: dirty, sealed, clean, and in the source alone. */
static void test_a_rollback_restores_whatever_was_there(void)
{
    struct state_digest before;

    start();
    EXPECT_EQ(state_lab_create(&lab, "/clean", "1", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    state_lab_seal(&lab);
    state_lab_end(&lab);
    (void)state_lab_restart(&lab);
    EXPECT_EQ(state_lab_create(&lab, "/sealed", "2", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    state_lab_seal(&lab);
    EXPECT_EQ(state_lab_create(&lab, "/dirty", "3", RECORD__CREATE_MODE__PERSISTENT), OP_OK);
    before = state_digest(lab.state);
    EXPECT_EQ(apply(state_lab_make_remove(&arena, "/clean", -1),
                    state_lab_make_remove(&arena, "/sealed", -1),
                    state_lab_make_remove(&arena, "/dirty", -1),
                    state_lab_make_check(&arena, "/dirty", -1)),
              OP_NO_NODE);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "clean,dirty,sealed,zookeeper,");
    EXPECT_EQ(state_digest(lab.state).sum, before.sum);
    state_check(lab.state, true);
    state_lab_end(&lab);
    EXPECT_TEXT(state_lab_children(&lab, "/"), "clean,dirty,sealed,zookeeper,");
    EXPECT_TEXT(state_lab_value(&lab, "/sealed"), "2");
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_each_operation_sees_those_before_it),
        TEST_CASE(test_a_failed_transaction_changes_nothing),
        TEST_CASE(test_an_empty_transaction_is_valid),
        TEST_CASE(test_sequence_numbers_advance_inside),
        TEST_CASE(test_removing_and_making_again_is_a_new_node),
        TEST_CASE(test_a_rollback_restores_whatever_was_there),
        TEST_END,
    };

    return test_main("transactions", cases, argc, argv);
}
