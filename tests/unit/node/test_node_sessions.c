/* The leader ends sessions of which nothing is heard. */
#include "tests/unit/node/node_lab.h"

enum { TIMEOUT_MS = 4000 };

static void open_session(void)
{
    struct request *request = request_new(REQUEST_OPEN_SESSION);

    request->session.timeout_ms = TIMEOUT_MS;
    submit(request);
    run(20 * STEP_US);
    EXPECT_EQ(lab.reply_count, 1);
    EXPECT_EQ(lab.replies[0].code, CLIENT__CODE__OK);
}

static raft_index last_index(void)
{
    return raft_status(lab.node->raft).last_index;
}

/* It stands in the log: its outcome comes, and each that is added makes the others later. */
static void test_an_expiry_that_takes_long_is_not_proposed_again(void)
{
    raft_index before;

    begin_alone();
    open_session();
    lab.log_is_stuck = true;
    before = last_index();
    run(2 * TIMEOUT_MS * 1000);
    EXPECT_EQ(last_index(), before + 1);
    run(10 * lab.node->options.request_timeout_us);
    EXPECT_EQ(last_index(), before + 1);
    EXPECT_EQ(state_session_count(lab.node->state), 1);
    lab.log_is_stuck = false;
    run(20 * STEP_US);
    EXPECT_EQ(state_session_count(lab.node->state), 0);
    end();
}

/* Where the log ended when this server led before counts no more: it may have been cut since. */
static void test_who_leads_anew_waits_for_no_expiry_of_before(void)
{
    begin_alone();
    open_session();
    lab.node->expiries_up_to = last_index() + 1000;
    session_expiry_stop(lab.node->expiry);
    run(2 * TIMEOUT_MS * 1000);
    EXPECT_EQ(state_session_count(lab.node->state), 0);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_an_expiry_that_takes_long_is_not_proposed_again),
        TEST_CASE(test_who_leads_anew_waits_for_no_expiry_of_before), TEST_END};

    return test_main("node_sessions", cases, argc, argv);
}
