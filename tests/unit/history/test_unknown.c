#include "tests/history/unknown.h"

#include "tests/unit/history/told.h"

#define MADE "effects complete\neffect created zxid=5 path=/a value=1 version=0\n"

/* Calls in the order of the lines: "z7" told or learned, "-" did nothing, "?" in doubt. */
static const char *learned(const char *lines)
{
    static char text[200];
    struct history *history = told_history(lines);
    struct unknown unknown;
    size_t size = 0;

    unknown_init(&unknown, history);
    for (size_t i = 0; i < history->call_count; i++) {
        if (unknown.zxids[i] != 0) {
            size +=
                (size_t)snprintf(text + size, sizeof text - size, "z%d ", (int)unknown.zxids[i]);
        } else {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ",
                                     unknown.did_nothing[i] ? "-" : "?");
        }
    }
    unknown_release(&unknown);
    history_record_free(history);
    return text;
}

static void test_a_value_that_was_seen_dates_its_write(void)
{
    EXPECT_TEXT(learned("effects complete\n"
                        "effect created zxid=5 path=/a value=1\n"
                        "call invoked=0 outcome=unknown ; create path=/a value=1\n"
                        "call invoked=0 outcome=unknown ; set path=/a value=2\n"),
                "z5 - ");
    /* Without all effects a value unseen proves nothing. */
    EXPECT_TEXT(learned("call invoked=0 outcome=unknown ; set path=/a value=2\n"), "? ");
}

static void test_a_node_that_goes_was_removed_by_the_call_that_could(void)
{
    EXPECT_TEXT(learned(MADE
                        "effect removed zxid=7 path=/a session=3\n"
                        "call invoked=0 outcome=unknown ; remove path=/a\n"
                        "call session=3 invoked=0 outcome=unknown ; remove path=/b\n"
                        "call session=3 invoked=0 outcome=unknown ; remove path=/a expected=4\n"
                        "call session=3 invoked=0 outcome=unknown ; remove path=/a expected=0\n"
                        "call session=3 invoked=0 outcome=unknown ; check path=/a\n"),
                "- - - z7 - ");
}

static void test_a_removal_that_was_told_needs_no_other(void)
{
    EXPECT_TEXT(learned(MADE "effect removed zxid=7 path=/a\n"
                             "call invoked=0 outcome=unknown ; remove path=/a\n"
                             "call invoked=0 returned=9 outcome=ok zxid=7 ; remove path=/a\n"),
                "- z7 ");
    EXPECT_TEXT(learned(MADE "effect removed zxid=7 path=/a session=3\n"
                             "effect session-expired zxid=7 session=3\n"
                             "call session=3 invoked=0 outcome=unknown ; remove path=/a\n"),
                "- ");
}

static void test_a_call_made_after_the_node_was_gone_did_not_remove_it(void)
{
    EXPECT_TEXT(learned(MADE
                        "effect removed zxid=7 path=/a\n"
                        "call invoked=0 outcome=unknown ; remove path=/a\n"
                        "call invoked=50 returned=60 outcome=ok zxid=8 linearizable ; get path=/a\n"
                        "call invoked=61 outcome=unknown ; remove path=/a expected=0\n"),
                "z7 z8 - ");
}

static void test_of_several_alike_the_first_call_comes_first(void)
{
    EXPECT_TEXT(learned(MADE "effect removed zxid=7 path=/a\n"
                             "effect created zxid=8 path=/a value=2\n"
                             "effect removed zxid=9 path=/a\n"
                             "call invoked=0 outcome=unknown ; remove path=/a\n"
                             "call invoked=1 outcome=unknown ; remove path=/a\n"
                             "call invoked=2 outcome=unknown ; remove path=/a\n"),
                "z7 z9 - ");
}

static void test_what_one_of_several_did_stays_in_doubt_for_all_of_them(void)
{
    EXPECT_TEXT(learned(MADE "effect removed zxid=7 path=/a\n"
                             "effect created zxid=8 path=/a value=2 version=1\n"
                             "effect removed zxid=9 path=/a\n"
                             "call invoked=0 outcome=unknown ; remove path=/a expected=0\n"
                             "call invoked=0 outcome=unknown ; remove path=/a\n"
                             "call invoked=0 outcome=unknown ; remove path=/b\n"),
                "? ? - ");
}

static void test_a_transaction_removes_all_or_nothing(void)
{
    EXPECT_TEXT(learned(MADE "effect created zxid=6 path=/b value=2\n"
                             "effect removed zxid=7 path=/a\neffect removed zxid=7 path=/b\n"
                             "call invoked=0 outcome=unknown ; remove path=/a\n"
                             "call invoked=0 outcome=unknown ; remove path=/a ; remove path=/b\n"
                             "call invoked=0 outcome=unknown ; remove path=/a ; remove path=/c\n"),
                "- z7 - ");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_value_that_was_seen_dates_its_write),
        TEST_CASE(test_a_node_that_goes_was_removed_by_the_call_that_could),
        TEST_CASE(test_a_removal_that_was_told_needs_no_other),
        TEST_CASE(test_a_call_made_after_the_node_was_gone_did_not_remove_it),
        TEST_CASE(test_of_several_alike_the_first_call_comes_first),
        TEST_CASE(test_what_one_of_several_did_stays_in_doubt_for_all_of_them),
        TEST_CASE(test_a_transaction_removes_all_or_nothing),
        TEST_END};

    return test_main("unknown", cases, argc, argv);
}
