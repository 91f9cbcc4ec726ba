#include "tests/history/once.h"

#include "tests/unit/history/told.h"

static void test_writes_that_took_effect_once_are_right(void)
{
    EXPECT_RIGHT(
        once_check,
        "effects complete\n"
        "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
        "call invoked=0 outcome=unknown ; set path=/a make value=2\n"
        "call invoked=0 outcome=unknown ; set path=/a make value=3\n"
        "call invoked=0 returned=9 outcome=refused error=2 ; create path=/a value=4\n"
        "call invoked=0 returned=9 outcome=not-applied error=101 ; set path=/a value=5\n"
        "call invoked=0 returned=9 outcome=ok zxid=8 ; remove path=/a\n"
        "call invoked=20 returned=29 outcome=ok zxid=6 ; get path=/a exists value=2 has_stat "
        "mzxid=6\n"
        "event created watch=1 time=3 zxid=5 path=/a has_value value=1\n"
        "event value-set watch=1 time=3 zxid=6 path=/a has_value value=2\n"
        "event created watch=1 time=3 zxid=7 path=/a has_value value=2 resync\n"
        "effect created zxid=5 path=/a value=1\neffect value-set zxid=6 path=/a value=2 version=1\n"
        "effect removed zxid=8 path=/a\n");
}

static void test_a_refused_write_that_took_effect_is_found(void)
{
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=refused error=2 ; create path=/a value=4\n"
                 "call invoked=20 returned=29 outcome=ok ; get path=/a exists value=4\n",
                 "value 4 was refused, and is there");
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=not-applied error=101 ; set path=/a value=4\n"
                 "event value-set watch=1 time=3 zxid=6 path=/a has_value value=4\n",
                 "value 4 was refused, and is there");
}

static void test_a_write_that_took_effect_twice_is_found(void)
{
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "effect created zxid=5 path=/a value=1\n"
                 "effect value-set zxid=7 path=/a value=1 version=1\n",
                 "value 1 took effect twice");
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "event value-set watch=1 time=3 zxid=7 path=/a has_value value=1\n",
                 "value 1 took effect in two places");
    EXPECT_WRONG(once_check,
                 "call invoked=0 outcome=unknown ; set path=/a make value=1\n"
                 "event created watch=1 time=3 zxid=6 path=/a has_value value=1\n"
                 "call invoked=20 returned=29 outcome=ok ; get path=/a exists value=1 has_stat "
                 "mzxid=7\n",
                 "value 1 took effect in two places");
}

static void test_a_create_done_twice_makes_two_nodes_and_is_found(void)
{
    EXPECT_WRONG(
        once_check,
        "call invoked=0 returned=9 outcome=ok ; create path=/q/n- sequential value=1 "
        "made=/q/n-0000000000\n"
        "call invoked=20 returned=29 outcome=ok ; get path=/q/n-0000000001 exists value=1\n",
        "value 1 took effect in two places");
    EXPECT_WRONG(once_check,
                 "call invoked=0 outcome=unknown ; create path=/q/n- sequential value=1\n"
                 "event created watch=1 time=3 zxid=6 path=/q/n-0000000000 has_value value=1\n"
                 "event created watch=1 time=3 zxid=7 path=/q/n-0000000001 has_value value=1\n",
                 "value 1 took effect in two places");
}

static void test_an_acknowledged_write_that_is_lost_is_found(void)
{
    EXPECT_WRONG(once_check,
                 "effects complete\n"
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n",
                 "value 1 was acknowledged and never took effect");
    EXPECT_WRONG(once_check,
                 "effects complete\neffect created zxid=4 path=/a value=1\n"
                 "call invoked=0 returned=9 outcome=ok zxid=4 ; create path=/a value=1\n"
                 "call invoked=10 returned=19 outcome=ok zxid=5 ; remove path=/a\n",
                 "a removal was acknowledged and never took effect");
}

static void test_a_write_at_another_place_than_told_is_found(void)
{
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call invoked=20 returned=29 outcome=ok ; get path=/b exists value=1\n",
                 "value 1 took effect in two places");
}

static void test_a_value_that_nobody_wrote_is_found(void)
{
    EXPECT_WRONG(once_check,
                 "call invoked=20 returned=29 outcome=ok ; get path=/b exists value=1\n",
                 "value 1 was written by nobody");
    EXPECT_RIGHT(once_check,
                 "effect created path=/b value=1\n"
                 "call invoked=20 returned=29 outcome=ok ; get path=/b exists value=1\n");
}

static void test_a_record_with_one_value_of_two_writers_is_of_no_use(void)
{
    EXPECT_WRONG(once_check,
                 "call invoked=0 returned=9 outcome=ok zxid=5 ; set path=/a make value=1\n"
                 "call invoked=0 returned=9 outcome=ok zxid=6 ; set path=/b make value=1\n",
                 "written by two");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_writes_that_took_effect_once_are_right),
        TEST_CASE(test_a_refused_write_that_took_effect_is_found),
        TEST_CASE(test_a_write_that_took_effect_twice_is_found),
        TEST_CASE(test_a_create_done_twice_makes_two_nodes_and_is_found),
        TEST_CASE(test_an_acknowledged_write_that_is_lost_is_found),
        TEST_CASE(test_a_write_at_another_place_than_told_is_found),
        TEST_CASE(test_a_value_that_nobody_wrote_is_found),
        TEST_CASE(test_a_record_with_one_value_of_two_writers_is_of_no_use),
        TEST_END};
    return test_main("once", cases, argc, argv);
}
