#include "tests/history/watches.h"

#include "tests/unit/history/told.h"

/* What was done: five changes, of which one transaction. */
#define DONE                                                                                       \
    "call invoked=0 returned=1 outcome=ok zxid=3 ; create path=/a value=1\n"                       \
    "call invoked=2 returned=3 outcome=ok zxid=4 ; set path=/a value=2 has_stat version=1\n"       \
    "call invoked=4 returned=5 outcome=ok zxid=6 ; create path=/a/b value=3 ; set path=/a "        \
    "value=4 "                                                                                     \
    "has_stat version=2\n"                                                                         \
    "call invoked=6 returned=7 outcome=ok zxid=7 ; remove path=/a/b\n"                             \
    "call invoked=8 returned=9 outcome=ok zxid=9 ; create path=/c value=5\n"

#define STARTED   "event started watch=1 zxid=2 path=/a recursive\n"
#define CREATED_3 "event created watch=1 zxid=3 path=/a has_value value=1\n"
#define SET_4     "event value-set watch=1 zxid=4 path=/a has_value value=2 has_stat version=1\n"
#define BOTH_6                                                                                     \
    "event created watch=1 zxid=6 path=/a/b has_value value=3\n"                                   \
    "event value-set watch=1 zxid=6 path=/a has_value value=4\n"
#define REMOVED_7  "event removed watch=1 zxid=7 path=/a/b\n"
#define PROGRESS_9 "event progress watch=1 zxid=9\n"

static void test_every_change_once_in_order_is_right(void)
{
    EXPECT_RIGHT(watches_check, DONE STARTED CREATED_3 SET_4 BOTH_6 REMOVED_7 PROGRESS_9);
    EXPECT_RIGHT(watches_check,
                 DONE STARTED CREATED_3 SET_4 BOTH_6 REMOVED_7 "event ended watch=1\n");
}

static void test_what_has_not_come_yet_is_not_missed(void)
{
    EXPECT_RIGHT(watches_check, DONE STARTED);
    EXPECT_RIGHT(watches_check, DONE STARTED CREATED_3);
    EXPECT_RIGHT(watches_check,
                 DONE STARTED CREATED_3 SET_4 "event created watch=1 zxid=6 path=/a/b\n");
}

static void test_a_watch_of_the_parent_alone_sees_children_come_and_go(void)
{
    EXPECT_RIGHT(watches_check,
                 DONE "event started watch=1 zxid=2 path=/\n"
                      "event created watch=1 zxid=3 path=/a\nevent created watch=1 zxid=9 path=/c\n"
                      "event progress watch=1 zxid=10\n");
    EXPECT_WRONG(watches_check,
                 DONE "event started watch=1 zxid=2 path=/\n" SET_4
                      "event created watch=1 zxid=9 path=/c\n",
                 "tells of what it does not watch");
}

static void test_an_event_missed_is_found(void)
{
    EXPECT_WRONG(watches_check, DONE STARTED SET_4 BOTH_6 REMOVED_7,
                 "missed this before its last event");
    EXPECT_WRONG(watches_check, DONE STARTED CREATED_3 SET_4 BOTH_6 PROGRESS_9,
                 "missed this before its last event");
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3 SET_4 "event created watch=1 zxid=6 path=/a/b\n" REMOVED_7,
                 "missed this among the changes of one zxid");
}

static void test_an_event_that_another_watch_was_given_is_not_forgotten(void)
{
    EXPECT_WRONG(watches_check,
                 "event started watch=1 zxid=2 path=/a recursive\n"
                 "event started watch=2 zxid=2 path=/ recursive\n"
                 "event removed watch=2 zxid=5 path=/a/e\nevent progress watch=2 zxid=8\n"
                 "event progress watch=1 zxid=8\n",
                 "watch 1 of client 0 missed this");
}

static void test_events_out_of_order_are_found(void)
{
    EXPECT_WRONG(watches_check, DONE STARTED SET_4 CREATED_3 BOTH_6 REMOVED_7,
                 "gives a change again, or out of order");
}

static void test_an_event_given_twice_is_found(void)
{
    EXPECT_WRONG(watches_check, DONE STARTED CREATED_3 SET_4 BOTH_6 SET_4,
                 "gives a change again, or out of order");
    EXPECT_WRONG(watches_check, DONE STARTED CREATED_3 SET_4 SET_4 BOTH_6 REMOVED_7,
                 "was not made, or gave it twice");
}

static void test_an_event_of_nothing_or_of_something_else_is_found(void)
{
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3 "event removed watch=1 zxid=4 path=/a\n" BOTH_6,
                 "tells of another change than was made");
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event value-set watch=1 zxid=4 path=/a has_value value=9\n" BOTH_6,
                 "tells of another change than was made");
    EXPECT_WRONG(watches_check,
                 "effects complete\neffect created zxid=3 path=/a value=1\n" STARTED CREATED_3
                 "event created watch=1 zxid=4 path=/a/x\n" PROGRESS_9,
                 "was not made, or gave it twice");
    EXPECT_WRONG(watches_check, DONE STARTED "event created watch=1 zxid=9 path=/c\n",
                 "tells of what it does not watch");
}

static void test_a_stream_that_resumes_behind_a_gap_is_found(void)
{
    EXPECT_RIGHT(watches_check, DONE STARTED CREATED_3
                 "event started watch=1 zxid=3 path=/a recursive\n" SET_4 BOTH_6 REMOVED_7);
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event started watch=1 zxid=5 path=/a recursive\n" BOTH_6 REMOVED_7,
                 "missed this before its last event");
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3 SET_4 "event progress watch=1 zxid=5\n"
                                              "event started watch=1 zxid=3 path=/a recursive\n",
                 "goes back");
}

static void test_an_event_after_the_end_or_before_the_start_is_found(void)
{
    EXPECT_WRONG(watches_check, DONE STARTED CREATED_3 "event ended watch=1\n" SET_4,
                 "goes on after its end");
    EXPECT_WRONG(watches_check, DONE CREATED_3 STARTED SET_4, "gives a change before it started");
}

#define RESYNC_6                                                                                   \
    "event resync-begin watch=1 zxid=6 full\n"                                                     \
    "event created watch=1 zxid=6 path=/a has_value value=4 has_stat version=2 resync\n"           \
    "event created watch=1 zxid=6 path=/a/b has_value value=3 resync\n"                            \
    "event resync-end watch=1 zxid=6 resync\n"

static void test_after_a_resync_the_picture_is_whole(void)
{
    EXPECT_RIGHT(watches_check, DONE STARTED CREATED_3 RESYNC_6 REMOVED_7 PROGRESS_9);
    EXPECT_RIGHT(watches_check, DONE RESYNC_6
                 "event started watch=1 zxid=6 path=/a recursive\n" REMOVED_7 PROGRESS_9);
    /* Only the difference: the set is told, the child comes after it. */
    EXPECT_RIGHT(watches_check, DONE STARTED CREATED_3
                 "event resync-begin watch=1 zxid=4\n"
                 "event value-set watch=1 zxid=4 path=/a has_value value=2 resync\n"
                 "event resync-end watch=1 zxid=4 resync\n" BOTH_6 REMOVED_7 PROGRESS_9);
}

static void test_a_resync_that_forgets_or_invents_is_found(void)
{
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event resync-begin watch=1 zxid=6 full\n"
                 "event created watch=1 zxid=6 path=/a has_value value=4 resync\n"
                 "event resync-end watch=1 zxid=6 resync\n",
                 "of /a/b: it believes that it is not there");
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event resync-begin watch=1 zxid=7 full\n"
                 "event created watch=1 zxid=7 path=/a has_value value=4 resync\n"
                 "event created watch=1 zxid=7 path=/a/b has_value value=3 resync\n"
                 "event resync-end watch=1 zxid=7 resync\n",
                 "of /a/b: it believes that it is there");
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event resync-begin watch=1 zxid=6 full\n"
                 "event created watch=1 zxid=6 path=/a has_value value=2 resync\n"
                 "event created watch=1 zxid=6 path=/a/b has_value value=3 resync\n"
                 "event resync-end watch=1 zxid=6 resync\n",
                 "of /a: it believes that it is there");
    /* A difference that says nothing although there was a change. */
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3
                 "event resync-begin watch=1 zxid=4\nevent resync-end watch=1 zxid=4 resync\n",
                 "has a wrong picture after its resync");
}

static void test_a_change_shown_by_a_resync_and_given_again_is_found(void)
{
    EXPECT_WRONG(watches_check, DONE STARTED CREATED_3 RESYNC_6 BOTH_6 REMOVED_7,
                 "gives a change again, or out of order");
}

static void test_a_resync_in_pages_may_repeat_what_lies_between_them(void)
{
    EXPECT_RIGHT(
        watches_check, DONE STARTED CREATED_3
        "event resync-begin watch=1 zxid=6 full\n"
        "event created watch=1 zxid=6 path=/a has_value value=4 has_stat version=2 resync\n"
        "event created watch=1 zxid=6 path=/a/b has_value value=3 resync\n"
        "event created watch=1 zxid=7 path=/a/z has_value value=8 resync\n"
        "event resync-end watch=1 zxid=6 resync\n" REMOVED_7 PROGRESS_9);
}

static void test_a_resync_that_goes_back_is_found(void)
{
    EXPECT_WRONG(watches_check,
                 DONE STARTED CREATED_3 SET_4 BOTH_6 REMOVED_7
                 "event resync-begin watch=1 zxid=6 full\n",
                 "goes back");
    EXPECT_WRONG(watches_check, DONE STARTED "event resync-end watch=1 zxid=6 resync\n",
                 "ends a resync that did not begin");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_every_change_once_in_order_is_right),
        TEST_CASE(test_what_has_not_come_yet_is_not_missed),
        TEST_CASE(test_a_watch_of_the_parent_alone_sees_children_come_and_go),
        TEST_CASE(test_an_event_missed_is_found),
        TEST_CASE(test_an_event_that_another_watch_was_given_is_not_forgotten),
        TEST_CASE(test_events_out_of_order_are_found),
        TEST_CASE(test_an_event_given_twice_is_found),
        TEST_CASE(test_an_event_of_nothing_or_of_something_else_is_found),
        TEST_CASE(test_a_stream_that_resumes_behind_a_gap_is_found),
        TEST_CASE(test_an_event_after_the_end_or_before_the_start_is_found),
        TEST_CASE(test_after_a_resync_the_picture_is_whole),
        TEST_CASE(test_a_resync_that_forgets_or_invents_is_found),
        TEST_CASE(test_a_change_shown_by_a_resync_and_given_again_is_found),
        TEST_CASE(test_a_resync_in_pages_may_repeat_what_lies_between_them),
        TEST_CASE(test_a_resync_that_goes_back_is_found),
        TEST_END};
    return test_main("watches", cases, argc, argv);
}
