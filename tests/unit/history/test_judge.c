#include "tests/history/judge.h"

#include "tests/unit/history/told.h"

static bool judged(const char *lines, const struct judge_rules *rules, struct buffer *report)
{
    struct history *history = told_history(lines);
    bool right = judge_history(history, rules, report);

    history_record_free(history);
    buffer_put_u8(report, 0);
    return right;
}

static void test_a_right_history_passes_every_checker(void)
{
    struct buffer report = BUFFER_INIT;

    EXPECT(
        judged("session opened client=1 session=7 asked=0 time=1 timeout=4000\n"
               "call client=1 session=7 invoked=2 returned=9 outcome=ok zxid=8 ; create path=/e "
               "ephemeral value=1 made=/e has_stat czxid=8 mzxid=8 owner=7\n"
               "call client=2 linearizable invoked=10 returned=12 outcome=ok zxid=8 ; get path=/e "
               "exists value=1 has_stat czxid=8 mzxid=8 owner=7\n"
               "event started client=2 watch=1 time=1 zxid=7 path=/ recursive\n"
               "event created client=2 watch=1 time=9 zxid=8 path=/e has_value value=1 has_stat "
               "owner=7\n"
               "event progress client=2 watch=1 time=15 zxid=8\n",
               NULL, &report));
    EXPECT_TEXT((const char *)report.data, "");
    buffer_release(&report);
}

/* One fault of each kind, and each checker says its own. */
static void test_every_checker_is_asked(void)
{
    struct buffer report = BUFFER_INIT;

    EXPECT(
        !judged("session opened client=1 session=7 asked=0 time=1 timeout=4000\n"
                "session expired client=1 session=7 asked=50 time=50\n"
                "call client=1 session=7 invoked=2 returned=9 outcome=ok zxid=8 ; create path=/e "
                "ephemeral value=1\n"
                "call client=2 linearizable invoked=60 returned=69 outcome=ok zxid=9 ; get path=/e "
                "exists value=1 has_stat mzxid=8 owner=7\n"
                "call client=2 invoked=70 returned=79 outcome=ok zxid=5 ; get path=/a exists "
                "value=99\n"
                "event started client=2 watch=1 time=1 zxid=7 path=/ recursive\n"
                "event progress client=2 watch=1 time=15 zxid=8\n",
                NULL, &report));
    EXPECT_CONTAINS((const char *)report.data, "once: value 99 was written by nobody");
    EXPECT_CONTAINS((const char *)report.data, "views: client 2 had seen zxid 9");
    EXPECT_CONTAINS((const char *)report.data, "sessions: session 7 was expired");
    EXPECT_CONTAINS((const char *)report.data, "ephemerals: /e is there after the end");
    EXPECT_CONTAINS((const char *)report.data, "watches: watch 1 of client 2 missed this");
    EXPECT_CONTAINS((const char *)report.data, "linear: not linearizable");
    buffer_release(&report);
}

static void test_the_rules_are_handed_on(void)
{
    static const char early[] = "session opened session=7 asked=0 time=1 timeout=4000\n"
                                "session expired session=7 asked=3900 time=3900\n";
    static const char crowded[] = "call returned=9 outcome=ok ; set path=/a make value=1\n"
                                  "call returned=9 outcome=ok ; set path=/a make value=2\n"
                                  "call returned=9 outcome=ok ; set path=/a make value=3\n";
    const struct judge_rules drift = {.drift_permille = 100};
    const struct judge_rules lazy = {.work_max = 1};
    struct buffer report = BUFFER_INIT;

    EXPECT(!judged(early, NULL, &report));
    EXPECT(judged(early, &drift, &report));
    EXPECT(judged(crowded, NULL, &report));
    buffer_clear(&report);
    EXPECT(!judged(crowded, &lazy, &report));
    EXPECT_CONTAINS((const char *)report.data, "undecided");
    buffer_release(&report);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_a_right_history_passes_every_checker),
                                             TEST_CASE(test_every_checker_is_asked),
                                             TEST_CASE(test_the_rules_are_handed_on), TEST_END};
    return test_main("judge", cases, argc, argv);
}
