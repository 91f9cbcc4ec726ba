#include "base/holdings.h"

#include "tests/support/test.h"

static void test_the_sum_follows_every_change(void)
{
    struct holdings holdings;
    struct holding first;
    struct holding second;

    holdings_init(&holdings, 100);
    holding_init(&first, &holdings);
    holding_init(&second, &holdings);
    EXPECT_EQ(holdings.bytes, 0);
    holding_set(&first, 60);
    holding_set(&second, 40);
    EXPECT_EQ(holdings.bytes, 100);
    EXPECT(!holdings_are_too_much(&holdings));
    holding_set(&second, 41);
    EXPECT(holdings_are_too_much(&holdings));
    holding_set(&first, 10);
    EXPECT_EQ(holdings.bytes, 51);
    holding_set(&first, 0);
    holding_set(&second, 0);
    holding_set(&second, 0);
    EXPECT_EQ(holdings.bytes, 0);
}

static void test_the_largest_is_found_among_those_who_hold_something(void)
{
    struct holdings holdings;
    struct holding all[3];

    holdings_init(&holdings, 100);
    for (size_t i = 0; i < 3; i++) {
        holding_init(&all[i], &holdings);
    }
    EXPECT(holdings_largest(&holdings) == NULL);
    holding_set(&all[0], 5);
    holding_set(&all[1], 7);
    holding_set(&all[2], 6);
    EXPECT(holdings_largest(&holdings) == &all[1]);
    holding_set(&all[1], 1);
    EXPECT(holdings_largest(&holdings) == &all[2]);
    holding_set(&all[2], 0);
    holding_set(&all[0], 0);
    EXPECT(holdings_largest(&holdings) == &all[1]);
    holding_set(&all[1], 0);
    EXPECT(holdings_largest(&holdings) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_the_sum_follows_every_change),
        TEST_CASE(test_the_largest_is_found_among_those_who_hold_something), TEST_END};
    return test_main("holdings", cases, argc, argv);
}
