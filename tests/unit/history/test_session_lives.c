#include "tests/history/sessions.h"

#include "tests/unit/history/told.h"

static size_t check(const struct history *history, struct buffer *text)
{
    return sessions_check(history, 10, text);
}

#define OPENED "session opened session=7 asked=0 time=10 timeout=4000\n"

static void test_a_silent_session_may_be_expired(void)
{
    EXPECT_RIGHT(check, OPENED "session contact session=7 asked=1000 time=1100\n"
                               "call session=7 invoked=2000 returned=2100 outcome=ok zxid=8 ; set "
                               "path=/a make value=1\n"
                               "session suspended session=7 asked=3000 time=3000\n"
                               "session expired session=7 asked=6000 time=6000\n");
}

static void test_a_session_expired_while_kept_alive_is_found(void)
{
    EXPECT_WRONG(check,
                 OPENED "session contact session=7 asked=1000 time=1100 timeout=4000\n"
                        "session expired session=7 asked=4900 time=4900\n",
                 "session 7 was expired 3900 after its last sign of life, its timeout is 4000");
    EXPECT_WRONG(check,
                 OPENED
                 "call session=7 invoked=3000 returned=3100 outcome=refused error=1 ; remove "
                 "path=/a\n"
                 "session expired session=7 asked=5000 time=5000\n",
                 "session 7 was expired 2000 after");
}

static void test_to_be_told_that_it_lives_prolongs_no_session(void)
{
    EXPECT_RIGHT(check, OPENED "session contact session=7 asked=3000 time=3100\n"
                               "session expired session=7 asked=4100 time=4100\n");
}

static void test_clocks_may_drift_as_far_as_said(void)
{
    EXPECT_RIGHT(check, OPENED "session expired session=7 asked=3960 time=3960\n");
    EXPECT_WRONG(check, OPENED "session expired session=7 asked=3959 time=3959\n", "was expired");
}

static void test_a_read_is_no_sign_of_life(void)
{
    EXPECT_RIGHT(check,
                 OPENED "call session=7 invoked=3000 returned=3100 outcome=ok ; get path=/a\n"
                        "session expired session=7 asked=5000 time=5000\n");
}

static void test_a_write_acknowledged_after_the_end_is_found(void)
{
    EXPECT_WRONG(check,
                 OPENED "session expired session=7 asked=5000 time=5000\n"
                        "call session=7 invoked=6000 returned=6100 outcome=ok ; set path=/a make "
                        "value=1\n",
                 "session 7 was over, and lives");
    EXPECT_WRONG(check,
                 OPENED "session closed session=7 asked=5000 time=5100\n"
                        "session contact session=7 asked=6000 time=6100\n",
                 "session 7 was over, and lives");
}

static void test_a_close_without_an_answer_ends_nothing(void)
{
    EXPECT_RIGHT(check, OPENED "session closed session=7 asked=5000\n"
                               "session contact session=7 asked=6000 time=6100\n");
}

static void test_writes_out_of_the_order_of_their_calls_are_found(void)
{
    EXPECT_RIGHT(check, "call session=7 invoked=1 returned=50 outcome=ok zxid=8 ; set path=/a make "
                        "value=1\n"
                        "call session=7 invoked=2 returned=50 outcome=ok zxid=9 ; set path=/a make "
                        "value=2\n"
                        "call session=8 invoked=3 returned=50 outcome=ok zxid=7 ; set path=/a make "
                        "value=3\n");
    EXPECT_WRONG(check,
                 "call session=7 invoked=1 returned=50 outcome=ok zxid=9 ; set path=/a make "
                 "value=1\n"
                 "call session=7 invoked=2 returned=50 outcome=ok zxid=8 ; set path=/b make "
                 "value=2\n",
                 "session 7 did not write in the order of its calls");
}

static void test_effects_of_an_ended_session_are_found(void)
{
    EXPECT_RIGHT(check, "effect session-opened zxid=7 session=7\n"
                        "effect created zxid=8 path=/e session=7 owner=7\n"
                        "effect session-expired zxid=9 session=7\n"
                        "effect removed zxid=9 path=/e session=7 owner=7\n");
    EXPECT_WRONG(check,
                 "effect session-opened zxid=7 session=7\n"
                 "effect session-expired zxid=9 session=7\n"
                 "effect created zxid=10 path=/e session=7 owner=7\n",
                 "session 7 had ended before this");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_silent_session_may_be_expired),
        TEST_CASE(test_a_session_expired_while_kept_alive_is_found),
        TEST_CASE(test_to_be_told_that_it_lives_prolongs_no_session),
        TEST_CASE(test_clocks_may_drift_as_far_as_said),
        TEST_CASE(test_a_read_is_no_sign_of_life),
        TEST_CASE(test_a_write_acknowledged_after_the_end_is_found),
        TEST_CASE(test_a_close_without_an_answer_ends_nothing),
        TEST_CASE(test_writes_out_of_the_order_of_their_calls_are_found),
        TEST_CASE(test_effects_of_an_ended_session_are_found),
        TEST_END};
    return test_main("session_lives", cases, argc, argv);
}
