#include "tests/history/views.h"

#include "tests/unit/history/told.h"

static void test_local_reads_may_be_old_as_long_as_they_do_not_go_back(void)
{
    EXPECT_RIGHT(
        views_check,
        "call client=1 invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
        "call client=1 invoked=10 returned=19 outcome=ok zxid=6 ; set path=/a value=2\n"
        "call client=2 invoked=20 returned=29 outcome=ok zxid=4 ; get path=/a\n"
        "call client=2 invoked=30 returned=39 outcome=ok zxid=5 ; get path=/a exists value=1\n"
        "call client=2 invoked=40 returned=49 outcome=ok zxid=7 ; get path=/a exists "
        "value=2\n");
}

static void test_a_local_read_that_goes_back_is_found(void)
{
    EXPECT_WRONG(views_check,
                 "call client=2 invoked=30 returned=39 outcome=ok zxid=5 ; get path=/a\n"
                 "call client=2 invoked=40 returned=49 outcome=ok zxid=4 ; get path=/b\n",
                 "client 2 had seen zxid 5 when it asked, and was shown 4");
}

static void test_a_read_that_misses_its_own_write_is_found(void)
{
    EXPECT_WRONG(
        views_check,
        "call client=2 invoked=30 returned=39 outcome=ok zxid=5 ; set path=/a make value=1\n"
        "call client=2 invoked=40 returned=49 outcome=ok zxid=4 ; get path=/a\n",
        "client 2 had seen zxid 5");
}

static void test_calls_under_way_together_may_see_different_zxids(void)
{
    EXPECT_RIGHT(views_check,
                 "call client=2 invoked=30 returned=49 outcome=ok zxid=5 ; get path=/a\n"
                 "call client=2 invoked=40 returned=49 outcome=ok zxid=4 ; get path=/b\n"
                 "call client=3 invoked=50 returned=59 outcome=ok zxid=1 ; get path=/b\n");
}

static void test_a_read_that_shows_an_older_value_than_its_zxid_is_found(void)
{
    static const char writes[] =
        "call client=1 invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1 has_stat\n"
        "call client=1 invoked=10 returned=19 outcome=ok zxid=7 ; set path=/a value=2 has_stat "
        "version=1\n";
    static const char *const reads[] = {
        "call client=2 invoked=0 returned=29 outcome=ok zxid=7 ; get path=/a exists value=1\n",
        "call client=2 invoked=0 returned=29 outcome=ok zxid=6 ; get path=/a exists value=2\n",
        "call invoked=0 returned=29 outcome=ok zxid=7 ; get path=/a exists value=2 has_stat\n",
        "call invoked=0 returned=29 outcome=ok zxid=8 ; exists path=/a exists has_stat mzxid=5\n",
        "call client=2 invoked=0 returned=29 outcome=ok zxid=8 ; get path=/a\n"};

    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        char text[1000];

        (void)snprintf(text, sizeof text, "%s%s", writes, reads[i]);
        EXPECT_WRONG(views_check, text, "/a was not so at zxid");
    }
}

static void test_a_value_of_unknown_fate_may_show_or_not(void)
{
    EXPECT_RIGHT(views_check,
                 "call client=1 invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call client=1 invoked=10 outcome=unknown ; set path=/a value=2\n"
                 "call client=1 invoked=10 outcome=unknown ; remove path=/a\n"
                 "call client=2 invoked=20 returned=29 outcome=ok zxid=6 ; get path=/a exists "
                 "value=2\n"
                 "call client=2 invoked=30 returned=39 outcome=ok zxid=7 ; get path=/a\n");
}

static void test_where_all_is_known_a_list_is_exact(void)
{
    static const char effects[] =
        "effects complete\neffect created zxid=1 path=/q\neffect created zxid=2 path=/q/a\n"
        "effect created zxid=3 path=/q/b\neffect removed zxid=4 path=/q/a\n";
    char text[1000];

    (void)snprintf(text, sizeof text, "%s%s", effects,
                   "call invoked=0 returned=9 outcome=ok zxid=3 ; list path=/q exists "
                   "names=/q/a,/q/b\n"
                   "call invoked=10 returned=19 outcome=ok zxid=4 ; list path=/q exists "
                   "names=/q/b\n"
                   "call invoked=20 returned=29 outcome=ok zxid=4 ; get path=/ exists\n");
    EXPECT_RIGHT(views_check, text);
    (void)snprintf(
        text, sizeof text, "%s%s", effects,
        "call invoked=0 returned=9 outcome=ok zxid=3 ; list path=/q exists names=/q/b\n");
    EXPECT_WRONG(views_check, text, "the list of zxid 3 misses /q/a");
    (void)snprintf(text, sizeof text, "%s%s", effects,
                   "call invoked=0 returned=9 outcome=ok zxid=4 ; list path=/q exists "
                   "names=/q/a,/q/b\n");
    EXPECT_WRONG(views_check, text, "the list of zxid 4 shows /q/a");
}

static void test_many_faults_are_counted(void)
{
    const char *said =
        told(views_check, "call client=1 invoked=0 returned=1 outcome=ok zxid=9 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=1 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=2 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=3 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=4 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=5 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=6 ; get path=/a\n"
                          "call client=1 invoked=2 returned=3 outcome=ok zxid=7 ; get path=/a\n");

    EXPECT_CONTAINS(said, "and 2 more of this kind");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_local_reads_may_be_old_as_long_as_they_do_not_go_back),
        TEST_CASE(test_a_local_read_that_goes_back_is_found),
        TEST_CASE(test_a_read_that_misses_its_own_write_is_found),
        TEST_CASE(test_calls_under_way_together_may_see_different_zxids),
        TEST_CASE(test_a_read_that_shows_an_older_value_than_its_zxid_is_found),
        TEST_CASE(test_a_value_of_unknown_fate_may_show_or_not),
        TEST_CASE(test_where_all_is_known_a_list_is_exact),
        TEST_CASE(test_many_faults_are_counted),
        TEST_END};
    return test_main("views", cases, argc, argv);
}
