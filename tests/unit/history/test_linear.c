#include "tests/history/linear.h"

#include "tests/unit/history/told.h"

#include <string.h>

static size_t check(const struct history *history, struct buffer *text)
{
    return linear_check(history, 0, text);
}

/* --- Right --- */

static void test_an_empty_history_is_right(void)
{
    EXPECT_RIGHT(check, "");
}

static void test_concurrent_reads_may_see_old_or_new(void)
{
    EXPECT_RIGHT(
        check,
        "call invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
        "call invoked=10 returned=50 outcome=ok ; set path=/a make value=2\n"
        "call linearizable invoked=11 returned=20 outcome=ok ; get path=/a exists value=1\n"
        "call linearizable invoked=12 returned=30 outcome=ok ; get path=/a exists value=2\n"
        "call linearizable invoked=31 returned=40 outcome=ok ; get path=/a exists value=2\n");
}

static void test_a_lost_answer_may_take_effect_late_or_never(void)
{
    EXPECT_RIGHT(
        check,
        "call invoked=0 outcome=unknown ; set path=/a make value=1\n"
        "call linearizable invoked=10 returned=20 outcome=ok ; get path=/a\n"
        "call linearizable invoked=30 returned=40 outcome=ok ; get path=/a exists value=1\n");
    EXPECT_RIGHT(check, "call invoked=0 outcome=unknown ; set path=/a make value=1\n"
                        "call linearizable invoked=10 returned=20 outcome=ok ; get path=/a\n");
}

static void test_equal_times_are_concurrent(void)
{
    EXPECT_RIGHT(check, "call invoked=0 returned=10 outcome=ok ; set path=/a make value=1\n"
                        "call linearizable invoked=10 returned=20 outcome=ok ; get path=/a\n");
}

static void test_local_reads_and_what_was_never_done_are_not_judged(void)
{
    EXPECT_RIGHT(
        check,
        "call invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
        "call invoked=10 returned=11 outcome=ok ; get path=/a\n"
        "call invoked=10 returned=11 outcome=not-applied error=101 ; remove path=/a\n"
        "call linearizable invoked=20 returned=21 outcome=ok ; get path=/a exists value=1\n");
}

static void test_refusals_are_believed_where_they_can_be_true(void)
{
    EXPECT_RIGHT(
        check,
        "call invoked=0 returned=9 outcome=ok ; create path=/a value=1\n"
        "call invoked=1 returned=8 outcome=refused error=1 ; set path=/a expected=0 value=2\n"
        "call invoked=10 returned=19 outcome=refused error=2 ; create path=/a value=3\n"
        "call invoked=20 returned=29 outcome=refused error=4 ; remove path=/a expected=5\n"
        "call invoked=30 returned=39 outcome=ok ; create path=/a/b value=4\n"
        "call invoked=40 returned=49 outcome=refused error=3 ; remove path=/a\n"
        "call invoked=50 returned=59 outcome=refused error=1 ; create path=/c/d value=5\n");
}

static void test_sequence_names_go_up_by_the_children_ever_made(void)
{
    EXPECT_RIGHT(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q value=1\n"
                 "call invoked=10 returned=30 outcome=ok ; create path=/q/n- sequential value=2 "
                 "made=/q/n-0000000001\n"
                 "call invoked=10 returned=30 outcome=ok ; create path=/q/n- sequential value=3 "
                 "made=/q/n-0000000000\n"
                 "call invoked=40 returned=49 outcome=ok ; remove path=/q/n-0000000001\n"
                 "call invoked=50 returned=59 outcome=ok ; create path=/q/plain value=4\n"
                 "call invoked=60 returned=69 outcome=ok ; create path=/q/m- sequential value=5 "
                 "made=/q/m-0000000003\n"
                 "call linearizable invoked=70 returned=79 outcome=ok ; list path=/q exists "
                 "names=/q/m-0000000003,/q/n-0000000000,/q/plain\n");
}

static void test_a_lost_sequence_name_may_leave_a_gap(void)
{
    EXPECT_RIGHT(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q value=1\n"
                 "call invoked=10 outcome=unknown ; create path=/q/n- sequential value=2\n"
                 "call invoked=20 returned=29 outcome=ok ; create path=/q/n- sequential value=3 "
                 "made=/q/n-0000000001\n"
                 "call linearizable invoked=30 returned=39 outcome=ok ; list path=/q exists "
                 "names=/q/n-0000000000,/q/n-0000000001\n");
}

static void test_parents_are_made_on_the_way(void)
{
    EXPECT_RIGHT(check, "call invoked=0 returned=9 outcome=ok ; set path=/a/b/c make value=1\n"
                        "call linearizable invoked=10 returned=19 outcome=ok ; list path=/a exists "
                        "names=/a/b\n"
                        "call invoked=20 returned=29 outcome=refused error=3 ; remove path=/a/b\n");
}

static void test_what_was_there_from_the_beginning_counts(void)
{
    EXPECT_RIGHT(check,
                 "effect created path=/a value=7 version=3\n"
                 "call linearizable invoked=10 returned=19 outcome=ok ; get path=/a exists value=7 "
                 "has_stat version=3\n"
                 "call linearizable invoked=10 returned=19 outcome=ok ; list path=/ exists "
                 "names=/a\n");
}

static void test_a_transaction_is_one_moment(void)
{
    EXPECT_RIGHT(
        check, "call invoked=0 returned=9 outcome=ok zxid=4 ; create path=/a value=1 ; create "
               "path=/b value=1 ; set path=/a value=2 has_stat version=1 mzxid=4\n"
               "call invoked=10 returned=19 outcome=refused error=4 ; set path=/a value=3 ; check "
               "path=/b expected=1 error=4 ; remove path=/a error=11\n"
               "call linearizable invoked=20 returned=29 outcome=ok ; get path=/a exists value=2 ; "
               "get path=/b exists value=1\n");
}

static void test_ephemerals_go_with_their_session(void)
{
    EXPECT_RIGHT(
        check, "session opened session=7 asked=0 time=1\n"
               "call session=7 invoked=2 returned=9 outcome=ok ; create path=/e ephemeral value=1 "
               "has_stat owner=7\n"
               "call linearizable invoked=20 returned=29 outcome=ok ; get path=/e exists value=1 "
               "has_stat owner=7\n"
               "session closed session=7 asked=30 time=40\n"
               "call linearizable invoked=31 returned=39 outcome=ok ; get path=/e\n"
               "call session=8 invoked=50 returned=59 outcome=ok ; create path=/e ephemeral "
               "value=2\n");
}

/* --- Wrong --- */

static void test_a_stale_read_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call client=1 invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
        "call client=1 invoked=10 returned=19 outcome=ok ; set path=/a make value=2\n"
        "call client=2 linearizable invoked=20 returned=29 outcome=ok ; get path=/a exists "
        "value=1\n",
        "no order fits these");
    EXPECT_CONTAINS(told(check,
                         "call invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
                         "call linearizable invoked=20 returned=29 outcome=ok ; get path=/a\n"),
                    "/a has value 1, version 0");
}

static void test_a_read_that_goes_back_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call invoked=0 outcome=unknown ; set path=/a make value=1\n"
        "call linearizable invoked=20 returned=29 outcome=ok ; get path=/a exists value=1\n"
        "call linearizable invoked=30 returned=39 outcome=ok ; get path=/a\n",
        "no order fits these");
}

static void test_a_lost_write_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; set path=/a make value=2\n"
                 "call invoked=30 returned=39 outcome=ok ; set path=/a make value=3 has_stat "
                 "version=1\n",
                 "no order fits these");
}

static void test_a_write_done_twice_is_found_by_its_version(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/a value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; set path=/a value=2\n"
                 "call linearizable invoked=20 returned=29 outcome=ok ; get path=/a exists value=2 "
                 "has_stat version=2\n",
                 "no order fits these");
}

static void test_two_winners_of_one_compare_and_set_are_found(void)
{
    EXPECT_WRONG(
        check,
        "call invoked=0 returned=9 outcome=ok ; create path=/a value=1\n"
        "call client=1 invoked=10 returned=30 outcome=ok ; set path=/a expected=0 value=2\n"
        "call client=2 invoked=10 returned=30 outcome=ok ; set path=/a expected=0 value=3\n",
        "no order fits these");
}

static void test_a_refusal_without_reason_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/a value=1\n"
                 "call invoked=10 returned=30 outcome=refused error=4 ; set path=/a expected=0 "
                 "value=2\n",
                 "no order fits these");
}

static void test_a_refused_write_that_shows_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call invoked=0 returned=9 outcome=ok ; create path=/a value=1\n"
        "call invoked=10 returned=30 outcome=refused error=4 ; set path=/a expected=5 "
        "value=2\n"
        "call linearizable invoked=20 returned=29 outcome=ok ; get path=/a exists value=2\n",
        "no order fits these");
}

static void test_a_sequence_number_given_twice_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; create path=/q/a- sequential value=2 "
                 "made=/q/a-0000000000\n"
                 "call invoked=20 returned=29 outcome=ok ; create path=/q/b- sequential value=3 "
                 "made=/q/b-0000000000\n",
                 "no order fits these");
}

static void test_a_sequence_that_goes_back_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; create path=/q/a- sequential value=2 "
                 "made=/q/a-0000000001\n"
                 "call invoked=20 returned=29 outcome=ok ; create path=/q/a- sequential value=3 "
                 "made=/q/a-0000000000\n",
                 "no order fits these");
}

static void test_a_child_missing_in_a_list_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q/a make value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; create path=/q/b make value=2\n"
                 "call linearizable invoked=20 returned=29 outcome=ok ; list path=/q exists "
                 "names=/q/b\n",
                 "no order fits these");
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok ; create path=/q/a make value=1\n"
                 "call invoked=10 returned=19 outcome=ok ; create path=/q/b make value=2\n"
                 "call linearizable invoked=20 returned=29 outcome=ok ; list path=/q exists "
                 "names=/q/b,/q/b\n",
                 "no order fits these");
}

static void test_half_a_transaction_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=19 outcome=ok ; create path=/a value=1 ; create path=/b "
                 "value=2\n"
                 "call linearizable invoked=5 returned=6 outcome=ok ; get path=/a exists value=1\n"
                 "call linearizable invoked=7 returned=8 outcome=ok ; get path=/b\n",
                 "no order fits these");
}

static void test_a_failed_transaction_that_shows_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call invoked=0 returned=9 outcome=refused error=1 ; create path=/a value=1 ; check "
        "path=/b error=1\n"
        "call linearizable invoked=15 returned=16 outcome=ok ; get path=/a exists value=1\n",
        "no order fits these");
}

static void test_an_ephemeral_that_survives_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call session=7 invoked=2 returned=9 outcome=ok ; create path=/e ephemeral value=1\n"
        "session expired session=7 asked=30 time=30\n"
        "call linearizable invoked=40 returned=49 outcome=ok ; get path=/e exists value=1\n",
        "no order fits these");
}

static void test_an_ephemeral_that_vanishes_early_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call session=7 invoked=2 returned=9 outcome=ok ; create path=/e ephemeral value=1\n"
        "call linearizable invoked=20 returned=29 outcome=ok ; get path=/e\n"
        "session contact session=7 asked=30 time=40\n",
        "no order fits these");
}

static void test_a_write_of_an_ended_session_is_found(void)
{
    EXPECT_WRONG(
        check,
        "call session=7 invoked=2 returned=9 outcome=ok ; create path=/e ephemeral value=1\n"
        "session closed session=7 asked=20 time=30\n"
        "call session=7 invoked=40 returned=50 outcome=ok ; set path=/e make value=3\n",
        "no order fits these");
}

static void test_zxids_against_the_order_of_time_are_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call invoked=10 returned=19 outcome=ok zxid=4 ; set path=/a make value=2\n",
                 "no order fits these");
}

static void test_a_read_older_than_what_was_shown_elsewhere_is_found(void)
{
    EXPECT_WRONG(check,
                 "call client=1 invoked=10 returned=11 outcome=ok zxid=5 ; get path=/a\n"
                 "call client=2 linearizable invoked=12 returned=13 outcome=ok zxid=4 ; get "
                 "path=/b\n",
                 "zxid 5 was known before this call began at zxid 4");
}

static void test_two_writes_at_one_zxid_are_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=2\n",
                 "no order fits these");
}

static void test_a_read_of_a_state_it_does_not_name_is_found(void)
{
    EXPECT_WRONG(check,
                 "call invoked=0 returned=50 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call invoked=0 returned=50 outcome=ok zxid=6 ; set path=/a make value=2\n"
                 "call linearizable invoked=0 returned=50 outcome=ok zxid=6 ; get path=/a exists "
                 "value=1\n",
                 "no order fits these");
}

/* --- What is said --- */

static void test_the_report_leaves_out_what_does_not_matter(void)
{
    const char *said = told(
        check, "call client=1 invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
               "call client=1 linearizable invoked=10 returned=11 outcome=ok ; get path=/a exists "
               "value=1\n"
               "call client=2 invoked=12 returned=19 outcome=ok ; set path=/b make value=9\n"
               "call client=1 invoked=20 returned=29 outcome=ok ; set path=/a make value=2\n"
               "call client=3 linearizable invoked=30 returned=31 outcome=ok ; get path=/a exists "
               "value=2\n"
               "call client=4 linearizable invoked=40 returned=41 outcome=ok ; get path=/a exists "
               "value=1\n"
               "call client=5 linearizable invoked=50 returned=51 outcome=ok ; get path=/a exists "
               "value=2\n");

    EXPECT_TEXT(said, "linear: not linearizable: of 6 operations on /a and what belongs to it, no "
                      "order fits these:\n"
                      "    call client=1 returned=9 outcome=ok ; set path=/a make value=1\n"
                      "    call client=1 invoked=20 returned=29 outcome=ok ; set path=/a make "
                      "value=2\n"
                      "    call client=4 linearizable invoked=40 returned=41 outcome=ok ; get "
                      "path=/a value=1 exists\n"
                      "    the longest order that fits has 4 of them and ends before\n"
                      "    call client=4 linearizable invoked=40 returned=41 outcome=ok ; get "
                      "path=/a value=1 exists\n"
                      "    when /a has value 2, version 1, written at zxid 0, owner 0, 0 children, "
                      "next number 0\n");
}

/* Forty writes came before; a value and the one that replaced it are enough. */
static void test_a_stale_read_late_in_a_long_history_is_told_in_three_lines(void)
{
    struct buffer lines = BUFFER_INIT;
    const char *said;
    char line[200];

    for (int i = 1; i <= 40; i++) {
        int size = snprintf(line, sizeof line,
                            "call client=%d invoked=%d returned=%d outcome=ok ; set path=/a make "
                            "value=%d has_stat version=%d\n",
                            i % 5, 10 * i, 10 * i + 5, i, i - 1);

        buffer_put(&lines, bytes_of(line, (size_t)size));
    }
    buffer_put(&lines,
               bytes_of_text("call client=9 linearizable invoked=500 returned=501 outcome=ok "
                             "; get path=/a exists value=17 has_stat version=16\n"));
    buffer_put_u8(&lines, 0);
    said = told(check, (const char *)lines.data);
    buffer_release(&lines);
    EXPECT_CONTAINS(said,
                    "no order fits these:\n"
                    "    call client=2 invoked=170 returned=175 outcome=ok ; set path=/a make "
                    "value=17 has_stat version=16\n"
                    "    call ");
    EXPECT_CONTAINS(said,
                    "\n    call client=9 linearizable invoked=500 returned=501 outcome=ok ; get "
                    "path=/a value=17 exists has_stat version=16\n    the longest order");
    /* Three and the one that was stuck. */
    EXPECT(strlen(said) < 1000);
}

static void test_too_much_work_is_undecided_and_said(void)
{
    struct history *history =
        told_history("call invoked=0 returned=9 outcome=ok ; set path=/a make value=1\n"
                     "call invoked=0 returned=9 outcome=ok ; set path=/a make value=2\n"
                     "call invoked=0 returned=9 outcome=ok ; set path=/a make value=3\n"
                     "call invoked=0 returned=9 outcome=ok ; set path=/a make value=4\n"
                     "call invoked=20 returned=29 outcome=ok linearizable ; get path=/a\n");
    struct buffer text = BUFFER_INIT;

    EXPECT_EQ(linear_check(history, 10, &text), 1);
    buffer_put_u8(&text, 0);
    EXPECT_CONTAINS((const char *)text.data, "undecided after 11 tries: 5 operations on /a");
    buffer_release(&text);
    history_record_free(history);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_an_empty_history_is_right),
        TEST_CASE(test_concurrent_reads_may_see_old_or_new),
        TEST_CASE(test_a_lost_answer_may_take_effect_late_or_never),
        TEST_CASE(test_equal_times_are_concurrent),
        TEST_CASE(test_local_reads_and_what_was_never_done_are_not_judged),
        TEST_CASE(test_refusals_are_believed_where_they_can_be_true),
        TEST_CASE(test_sequence_names_go_up_by_the_children_ever_made),
        TEST_CASE(test_a_lost_sequence_name_may_leave_a_gap),
        TEST_CASE(test_parents_are_made_on_the_way),
        TEST_CASE(test_what_was_there_from_the_beginning_counts),
        TEST_CASE(test_a_transaction_is_one_moment),
        TEST_CASE(test_ephemerals_go_with_their_session),
        TEST_CASE(test_a_stale_read_is_found),
        TEST_CASE(test_a_read_that_goes_back_is_found),
        TEST_CASE(test_a_lost_write_is_found),
        TEST_CASE(test_a_write_done_twice_is_found_by_its_version),
        TEST_CASE(test_two_winners_of_one_compare_and_set_are_found),
        TEST_CASE(test_a_refusal_without_reason_is_found),
        TEST_CASE(test_a_refused_write_that_shows_is_found),
        TEST_CASE(test_a_sequence_number_given_twice_is_found),
        TEST_CASE(test_a_sequence_that_goes_back_is_found),
        TEST_CASE(test_a_child_missing_in_a_list_is_found),
        TEST_CASE(test_half_a_transaction_is_found),
        TEST_CASE(test_a_failed_transaction_that_shows_is_found),
        TEST_CASE(test_an_ephemeral_that_survives_is_found),
        TEST_CASE(test_an_ephemeral_that_vanishes_early_is_found),
        TEST_CASE(test_a_write_of_an_ended_session_is_found),
        TEST_CASE(test_zxids_against_the_order_of_time_are_found),
        TEST_CASE(test_a_read_older_than_what_was_shown_elsewhere_is_found),
        TEST_CASE(test_two_writes_at_one_zxid_are_found),
        TEST_CASE(test_a_read_of_a_state_it_does_not_name_is_found),
        TEST_CASE(test_the_report_leaves_out_what_does_not_matter),
        TEST_CASE(test_a_stale_read_late_in_a_long_history_is_told_in_three_lines),
        TEST_CASE(test_too_much_work_is_undecided_and_said),
        TEST_END};
    return test_main("linear", cases, argc, argv);
}
