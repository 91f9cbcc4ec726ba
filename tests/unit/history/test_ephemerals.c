#include "tests/history/ephemerals.h"

#include "tests/unit/history/told.h"

static size_t check(const struct history *history, struct buffer *text)
{
    return ephemerals_check(history, 0, text);
}

#define MADE                                                                                       \
    "session opened session=7 asked=0 time=1\n"                                                    \
    "call session=7 invoked=2 returned=9 outcome=ok zxid=8 ; create path=/e ephemeral value=1\n"

static void test_ephemerals_that_go_with_their_session_are_right(void)
{
    EXPECT_RIGHT(check,
                 MADE "call invoked=10 returned=19 outcome=ok zxid=8 ; get path=/e exists value=1 "
                      "has_stat owner=7\n"
                      "session expired session=7 asked=50 time=50\n"
                      "event removed watch=1 time=45 zxid=20 path=/e\n"
                      "call linearizable invoked=60 returned=69 outcome=ok zxid=21 ; get path=/e\n"
                      "effect created zxid=8 path=/e owner=7 value=1 session=7\n"
                      "effect removed zxid=20 path=/e owner=7 session=7\n"
                      "effect session-expired zxid=20 session=7\n"
                      "effects complete\n");
}

static void test_one_that_somebody_removed_is_right(void)
{
    EXPECT_RIGHT(check, MADE "call invoked=10 returned=19 outcome=ok zxid=9 ; remove path=/e\n"
                             "call invoked=20 returned=29 outcome=ok zxid=9 ; get path=/e\n"
                             "session contact session=7 asked=30 time=31\n");
    EXPECT_RIGHT(check, MADE "call invoked=10 outcome=unknown ; remove path=/e\n"
                             "call invoked=20 returned=29 outcome=ok zxid=10 ; get path=/e\n"
                             "event removed watch=1 time=25 zxid=9 path=/e\n"
                             "session contact session=7 asked=30 time=31\n");
}

static void test_one_that_survives_is_found(void)
{
    EXPECT_WRONG(check,
                 MADE "session closed session=7 asked=40 time=50\n"
                      "call linearizable invoked=60 returned=69 outcome=ok ; get path=/e exists "
                      "value=1 has_stat owner=7\n",
                 "/e is there after the end of its session 7");
    EXPECT_WRONG(check,
                 MADE "effect session-expired zxid=12 session=7\n"
                      "call invoked=60 returned=69 outcome=ok zxid=13 ; exists path=/e exists "
                      "has_stat owner=7\n",
                 "/e is there after the end of its session 7");
    EXPECT_WRONG(check,
                 "effect created zxid=8 path=/e owner=7 value=1 session=7\n"
                 "effect session-expired zxid=20 session=7\n"
                 "effects complete\n",
                 "/e did not go with its session 7");
}

static void test_one_that_goes_late_is_found(void)
{
    EXPECT_WRONG(check,
                 "effect created zxid=8 path=/e owner=7 value=1 session=7\n"
                 "effect session-expired zxid=20 session=7\n"
                 "effect removed zxid=21 path=/e owner=7\n"
                 "effects complete\n",
                 "/e did not go with its session 7");
}

static void test_one_that_vanishes_early_is_found(void)
{
    EXPECT_WRONG(check,
                 MADE "event removed watch=1 time=25 zxid=9 path=/e\n"
                      "session contact session=7 asked=30 time=31\n",
                 "/e vanished while its session 7 lived");
    EXPECT_WRONG(check,
                 MADE "event removed watch=1 time=25 zxid=9 path=/e\n"
                      "call session=7 invoked=20 returned=26 outcome=ok zxid=11 ; set path=/b make "
                      "value=3\n",
                 "/e vanished while its session 7 lived");
    EXPECT_WRONG(check,
                 "effect created zxid=8 path=/e owner=7 value=1 session=7\n"
                 "effect removed zxid=15 path=/e owner=7\n"
                 "effect session-expired zxid=20 session=7\n"
                 "effects complete\n",
                 "/e vanished while its session 7 lived");
}

static void test_one_that_is_missed_is_found(void)
{
    EXPECT_WRONG(check,
                 MADE "call invoked=20 returned=29 outcome=ok zxid=10 ; get path=/e\n"
                      "session contact session=7 asked=30 time=31\n",
                 "/e is missed while its session 7 lives");
    EXPECT_WRONG(check,
                 MADE "call invoked=20 returned=29 outcome=ok zxid=10 ; exists path=/e\n"
                      "call session=7 invoked=20 returned=26 outcome=ok zxid=11 ; set path=/b make "
                      "value=3\n",
                 "/e is missed while its session 7 lives");
}

static void test_one_that_goes_before_its_session_can_be_expired_is_found(void)
{
    static const char made[] =
        "session opened session=7 asked=0 time=1 timeout=1000\n"
        "call session=7 invoked=200 returned=209 outcome=ok zxid=8 ; create path=/e ephemeral "
        "value=1\n";
    char text[600];

    (void)snprintf(text, sizeof text, "%sevent removed watch=1 time=1199 zxid=20 path=/e\n", made);
    EXPECT_WRONG(check, text, "/e vanished while its session 7 lived");
    (void)snprintf(text, sizeof text, "%sevent removed watch=1 time=1200 zxid=20 path=/e\n", made);
    EXPECT_RIGHT(check, text);
    (void)snprintf(text, sizeof text,
                   "%sevent removed watch=1 time=300 zxid=20 path=/e\n"
                   "session closed session=7 asked=250\n",
                   made);
    EXPECT_RIGHT(check, text);
}

static void test_an_old_local_read_may_still_show_it(void)
{
    EXPECT_RIGHT(check,
                 MADE "session expired session=7 asked=50 time=50\n"
                      "call invoked=60 returned=69 outcome=ok zxid=8 ; get path=/e exists value=1 "
                      "has_stat owner=7\n"
                      "effect session-expired zxid=20 session=7\n");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_ephemerals_that_go_with_their_session_are_right),
        TEST_CASE(test_one_that_somebody_removed_is_right),
        TEST_CASE(test_one_that_survives_is_found),
        TEST_CASE(test_one_that_goes_late_is_found),
        TEST_CASE(test_one_that_vanishes_early_is_found),
        TEST_CASE(test_one_that_is_missed_is_found),
        TEST_CASE(test_one_that_goes_before_its_session_can_be_expired_is_found),
        TEST_CASE(test_an_old_local_read_may_still_show_it),
        TEST_END};
    return test_main("ephemerals", cases, argc, argv);
}
