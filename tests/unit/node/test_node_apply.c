/* An entry that cannot be applied: it is not tried again and again, nothing behind it is applied,
 * and nobody is told that it was done. */
#include "tests/unit/node/node_lab.h"

/* Of what is not in memory. */
static void fail_reads(enum status status)
{
    memory_source_fail(lab.tree, status);
}

static uint64_t applied(void)
{
    return state_applied(lab.node->state);
}

static void test_a_server_alone_ends_at_an_entry_that_it_cannot_apply(void)
{
    char text[64];
    uint64_t before;
    uint64_t reads;

    begin_alone();
    before = applied();
    (void)snprintf(text, sizeof text, "cannot apply entry %" PRIu64 ": ", before + 1);
    fail_reads(STATUS_IO);
    submit(creating("/held", 0, 1));
    run(STEP_US * 10);
    EXPECT(lab.has_failed);
    EXPECT_EQ(lab.failure.status, STATUS_IO);
    EXPECT_CONTAINS(lab.failure.text, text);
    EXPECT_CONTAINS(lab.failure.text, status_text(STATUS_IO));
    EXPECT_EQ(lab.reply_count, 0);
    /* Not even when it could be now. */
    reads = memory_source_reads(lab.tree);
    fail_reads(STATUS_OK);
    submit(creating("/behind", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(memory_source_reads(lab.tree), reads);
    EXPECT_EQ(applied(), before + 1);
    EXPECT_EQ(lab.reply_count, 0);
    end();
}

static void test_what_was_applied_before_it_stays_answered(void)
{
    begin_alone();
    submit(creating("/held", 0, 0));
    run(STEP_US * 10);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__OK);
    fail_reads(STATUS_CORRUPT);
    submit(creating("/other", 0, 1));
    run(STEP_US * 10);
    EXPECT(lab.has_failed);
    EXPECT_EQ(lab.failure.status, STATUS_CORRUPT);
    EXPECT_CONTAINS(lab.failure.text, "cannot apply entry");
    EXPECT_EQ(lab.reply_count, 1);
    end();
}

/* They come in one commit, and other messages wait for none but one. */
static void test_large_transactions_are_applied_in_turns_of_their_own(void)
{
    enum { COUNT = 5000, TRANSACTIONS = 3 };

    begin_alone();
    submit(creating("/p", 0, 0));
    for (size_t i = 0; i < TRANSACTIONS; i++) {
        submit(creating("/p", i * COUNT, COUNT));
    }
    run(STEP_US * 20);
    EXPECT_EQ(lab.reply_count, 1 + TRANSACTIONS);
    for (size_t i = 2; i <= TRANSACTIONS; i++) {
        EXPECT_EQ(lab.replies[i].code, CLIENT__CODE__OK);
        EXPECT(lab.replies[i].turn > lab.replies[i - 1].turn);
    }
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_server_alone_ends_at_an_entry_that_it_cannot_apply),
        TEST_CASE(test_what_was_applied_before_it_stays_answered),
        TEST_CASE(test_large_transactions_are_applied_in_turns_of_their_own), TEST_END};

    return test_main("node_apply", cases, argc, argv);
}
