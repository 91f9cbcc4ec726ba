/* What the log is told. */
#include "tests/unit/node/node_lab.h"

/* Of writes that do nothing but trim, the last one's; 0 = there is none. */
static raft_index told_trim(void)
{
    raft_index trim = 0;

    LIST_FOR_EACH (link, &lab.log_jobs) {
        const struct log_write *write = &CONTAINER_OF(link, struct log_job, link)->write;

        if (write->entry_count == 0 && !write->hard_state && write->trim > 0) {
            trim = write->trim;
        }
    }
    return trim;
}

/* It stands in the way of all that could tell it. */
static void test_a_write_that_waits_for_space_is_told_how_far_the_log_may_be_trimmed(void)
{
    begin_alone();
    lab.node->options.log_tail_bytes_max = 1;
    lab.node->options.checkpoint_records_max = 1;
    lab.checkpoints_are_stuck = true;
    submit(creating("/a", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 1);
    lab.log_is_stuck = true;
    submit(creating("/b", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 1);
    lab.is_short_of_space = true;
    run(2 * 1000 * 1000);
    EXPECT_EQ(told_trim(), 0); /* there is nothing to tell */
    lab.checkpoints_are_stuck = false;
    run(2 * 1000 * 1000);
    EXPECT(told_trim() > 0);
    EXPECT_EQ(told_trim(), lab.node->log_trim);
    lab.log_is_stuck = false;
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 2);
    EXPECT_EQ(lab.replies[1].code, CLIENT__CODE__OK);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_write_that_waits_for_space_is_told_how_far_the_log_may_be_trimmed),
        TEST_END};

    return test_main("node_log", cases, argc, argv);
}
